//! Values of enums. The database holds them as text and knows nothing of them, so no SQL is needed.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::super::column::{ColumnType, Item};
use super::super::{Step, probe};
use super::{Comparison, Steps};

impl<C: ConnectionTrait> Comparison<'_, C> {
    pub(super) async fn enums(&self, steps: &mut Steps) -> Result<(), DbErr> {
        for (name, new) in &self.wanted.enums {
            let Some(old) = self.memory.enums.get(name) else { continue };
            let added: Vec<_> = new.difference(old).map(String::as_str).collect();
            if !added.is_empty() {
                let title = format!("add {} to the enum {name}", added.join(", "));
                steps.enums.push(Step::safe(title, Vec::new()));
            }
            let removed: BTreeSet<_> = old.difference(new).map(String::as_str).collect();
            if !removed.is_empty() {
                steps.enums.push(self.remove_values(name, &removed).await?);
            }
        }
        Ok(())
    }

    async fn remove_values(&self, name: &str, removed: &BTreeSet<&str>) -> Result<Step, DbErr> {
        let mut uses = Vec::new();
        for table in &self.wanted.tables {
            let Some(memory) = self.memory.tables.get(&table.name) else { continue };
            for column in &table.columns {
                let of_enum = |ty: &ColumnType| ty.item == Item::Enum(name.to_owned());
                let old = memory.columns.get(&column.name).map(|c| &c.ty);
                if of_enum(&column.ty) && old.is_some_and(of_enum) {
                    uses.extend(self.uses_of_values(&table.name, &column.name, &column.ty, removed).await?);
                }
            }
        }
        let title = format!("remove {} from the enum {name}", removed.iter().copied().collect::<Vec<_>>().join(", "));
        if uses.is_empty() {
            return Ok(Step::safe(title, Vec::new()));
        }
        let reason = format!("rows still have it: {}", uses.join("; "));
        Ok(Step::refused(title, Vec::new(), reason))
    }

    /// In words, which of these values a column has, if it is there and has any.
    pub(super) async fn uses_of_values(
        &self,
        table: &str,
        column: &str,
        ty: &ColumnType,
        values: &BTreeSet<&str>,
    ) -> Result<Option<String>, DbErr> {
        if self.actual.tables.get(table).and_then(|t| t.column(column)).is_none() {
            return Ok(None);
        }
        let used = probe::values_in_use(self.conn, self.dialect, (table, column, ty.list), values).await?;
        Ok((!used.is_empty()).then(|| format!("{column} of {table} is {}", used.join(", "))))
    }
}
