//! Values of enums. The database holds them as text and knows nothing of them.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbErr};

use super::super::column::Item;
use super::super::ddl::{quoted, text_literal};
use super::super::hazard::{Work, lock};
use super::super::schema::{Column, Table};
use super::super::{Dialect, Step, probe};
use super::{Comparison, Steps};

/// A column that had values of one enum and has values of one now.
struct EnumColumn<'a> {
    table: &'a Table,
    column: &'a Column,
}

impl<C: ConnectionTrait> Comparison<'_, C> {
    pub(super) async fn enums(&self, steps: &mut Steps) -> Result<(), DbErr> {
        // Those of an enum that is remembered, whether it has columns or not, and those of a column with another one.
        let mut changes: BTreeMap<(&str, &str), Vec<EnumColumn<'_>>> = BTreeMap::new();
        for name in self.wanted.enums.keys().filter(|name| self.memory.enums.contains_key(*name)) {
            changes.insert((name, name), Vec::new());
        }
        for table in &self.wanted.tables {
            let Some(memory) = self.memory.tables.get(&table.name) else { continue };
            for column in &table.columns {
                let old = memory.columns.get(&column.name).map(|memory| &memory.ty);
                let Some(old) = old.filter(|old| old.list == column.ty.list) else { continue };
                if let (Item::Enum(old), Item::Enum(new)) = (&old.item, &column.ty.item) {
                    if old != new {
                        let title = format!("change {} of {} from {old} to {new}", column.name, table.name);
                        steps.enums.push(Step::new(title, Vec::new()));
                    }
                    changes.entry((old, new)).or_default().push(EnumColumn { table, column });
                }
            }
        }
        for ((old, new), columns) in changes {
            self.change_enum(old, new, &columns, steps).await?;
        }
        Ok(())
    }

    async fn change_enum(
        &self,
        old_name: &str,
        new_name: &str,
        columns: &[EnumColumn<'_>],
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let (Some(old), Some(new)) = (self.memory.enums.get(old_name), self.wanted.enums.get(new_name)) else {
            return Ok(());
        };
        let renamed = |value: &String| new.renamed.get(value).filter(|_| !new.values.contains(value));
        let removed: BTreeSet<_> = old.difference(&new.values).collect();
        let values = new.renamed.values().collect::<BTreeSet<_>>();
        let added: Vec<_> = new.values.difference(old).filter(|value| !values.contains(value)).cloned().collect();
        if old_name == new_name && !added.is_empty() {
            steps.enums.push(Step::new(format!("add {} to the enum {new_name}", added.join(", ")), Vec::new()));
        }
        let (moved, removed): (Vec<&String>, Vec<&String>) =
            removed.into_iter().partition(|value| renamed(value).is_some());
        for value in moved {
            let Some(to) = renamed(value) else { continue };
            let title = format!("rename the value {value} of the enum {new_name} to {to}");
            let step = self.move_values(Step::new(title, Vec::new()), columns, value, to, steps).await?;
            steps.enums.push(step);
        }
        let uses = self.uses(columns, &removed).await?;
        let unused: Vec<_> = removed.iter().filter(|value| !uses.contains_key(**value)).map(|v| v.as_str()).collect();
        if old_name == new_name && !unused.is_empty() {
            steps.enums.push(Step::new(format!("remove {} from the enum {old_name}", unused.join(", ")), Vec::new()));
        }
        for (value, places) in uses {
            let name = format!("remove:{old_name}.{value}");
            let step = Step::new(format!("remove {value} from the enum {old_name}"), Vec::new()).named(name.clone());
            let step = match self.allowed.value(&name) {
                Some(to) if new.values.contains(to) => {
                    let step = self.move_values(step, columns, &value, to, steps).await?;
                    step.caution(format!("LOSES DATA, as allowed: rows that have {value} get {to}, without events"))
                }
                Some(to) => step.refused(format!("{to} is no value of {new_name}")),
                None => step.refused(format!(
                    "rows have it: {places}. Change them, or let them get another value, without events"
                )),
            };
            steps.enums.push(Step { value_hint: "=<another value>", ..step });
        }
        Ok(())
    }

    /// By value, the columns whose rows have it.
    async fn uses(&self, columns: &[EnumColumn<'_>], values: &[&String]) -> Result<BTreeMap<String, String>, DbErr> {
        let mut uses: BTreeMap<String, String> = BTreeMap::new();
        let values: BTreeSet<_> = values.iter().map(|value| value.as_str()).collect();
        for EnumColumn { table, column } in columns.iter().filter(|_| !values.is_empty()) {
            if self.actual.tables.get(&table.name).and_then(|t| t.column(&column.name)).is_none() {
                continue;
            }
            let (at, place) = (self.places.table(&table.name), self.places.column(&table.name, &column.name));
            let used = probe::values_in_use(self.conn, self.dialect, (at, place, column.ty.list), &values).await?;
            for value in used {
                let places = uses.entry(value).or_default();
                let comma = if places.is_empty() { "" } else { ", " };
                places.push_str(&format!("{comma}{} of {}", column.name, table.name));
            }
        }
        Ok(uses)
    }

    /// Gives all rows that have one value another one.
    async fn move_values(
        &self,
        mut step: Step,
        columns: &[EnumColumn<'_>],
        from: &str,
        to: &str,
        steps: &mut Steps,
    ) -> Result<Step, DbErr> {
        for EnumColumn { table, column } in columns {
            let place = (table.name.clone(), column.name.clone());
            steps.effects.values.entry(place).or_default().insert(from.to_owned(), to.to_owned());
            if self.actual.tables.get(&table.name).and_then(|t| t.column(&column.name)).is_none() {
                continue;
            }
            step.sql.push(update(self.dialect, table, column, from, to));
            let rows = probe::rows(self.conn, self.places.table(&table.name)).await?;
            step = step.lock(lock(self.dialect, Work::Update, &table.name, rows));
        }
        Ok(step)
    }
}

fn update(dialect: Dialect, table: &Table, column: &Column, from: &str, to: &str) -> String {
    let (table, place) = (quoted(&table.name), quoted(&column.name));
    let (from, to) = (text_literal(from, dialect), text_literal(to, dialect));
    if !column.ty.list {
        return format!("UPDATE {table} SET {place} = {to} WHERE {place} = {from}");
    }
    let item = format!("CASE WHEN value = {from} THEN {to} ELSE value END");
    match dialect {
        Dialect::Sqlite => format!(
            "UPDATE {table} SET {place} = (SELECT json_group_array(item) FROM (SELECT {item} AS item FROM \
             json_each({table}.{place}) ORDER BY key)) WHERE EXISTS (SELECT 1 FROM json_each({table}.{place}) WHERE value = {from})"
        ),
        Dialect::Postgres => format!(
            "UPDATE {table} SET {place} = (SELECT jsonb_agg({item} ORDER BY place) FROM \
             jsonb_array_elements_text({place}) WITH ORDINALITY AS items (value, place)) \
             WHERE {place} @> jsonb_build_array({from})"
        ),
    }
}
