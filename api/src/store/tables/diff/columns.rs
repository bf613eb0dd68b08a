//! Columns of a table that is already there.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::super::column::{Change, ColumnType, Item};
use super::super::introspect::ActualColumn;
use super::super::schema::{Column, Fill};
use super::super::{Dialect, Step, ddl, probe};
use super::{Comparison, Known, Steps};

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// Returns why the table must be rebuilt, which it need not if there are no reasons.
    pub(super) async fn columns(&self, table: Known<'_>, steps: &mut Steps) -> Result<Vec<String>, DbErr> {
        let mut reasons = Vec::new();
        let mut renamed = BTreeSet::new();
        for column in &table.wanted.columns {
            if let Some(actual) = table.actual.column(&column.name) {
                self.change_type(table, column, actual, steps).await?;
                reasons.extend(self.change_null(table, column, actual, steps).await?);
            } else if let Some(old) = old_name(table, column) {
                renamed.insert(old);
                steps.columns.push(refuse_rename(table, column, old));
            } else {
                steps.columns.push(self.add(table, column).await?);
            }
        }
        for actual in &table.actual.columns {
            if table.wanted.column(&actual.name).is_none() && !renamed.contains(actual.name.as_str()) {
                steps.drops.extend(self.leave(table, actual));
            }
        }
        Ok(reasons)
    }

    async fn add(&self, table: Known<'_>, column: &Column) -> Result<Step, DbErr> {
        let title = format!("add the column {} to {}", column.name, table.wanted.name);
        let sql = vec![ddl::add_column(table.wanted, column, self.dialect)];
        let only_new = match &column.fill {
            Fill::Literal(_) => return Ok(Step::safe(title, sql)),
            Fill::Nothing => "",
            Fill::AtWrite(default) => &format!("{default} is for new rows only; "),
        };
        if !column.nullable && probe::has_rows(self.conn, &table.wanted.name).await? {
            let reason = format!(
                "the table has rows, which would have no value: {only_new}make the field nullable, or give it a \
                 @default(value:)"
            );
            return Ok(Step::refused(title, sql, reason));
        }
        Ok(Step::safe(title, sql))
    }

    async fn change_type(
        &self,
        table: Known<'_>,
        column: &Column,
        actual: &ActualColumn,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let (name, wanted_sql) = (&table.wanted.name, column.ty.sql(self.dialect));
        let Some(old) = table.memory.columns.get(&column.name).map(|c| &c.ty) else {
            steps.columns.push(adopt(name, column, actual, &wanted_sql));
            return Ok(());
        };
        if actual.sql_type != old.sql(self.dialect) {
            // Somebody changed it by hand. If it is now as it is wanted, that is fine.
            if actual.sql_type != wanted_sql {
                let title = format!("use the column {} of {name}", column.name);
                let reason = format!(
                    "its type in the database is {} instead of {wanted_sql}, and it was not Tandem that changed it",
                    actual.sql_type
                );
                steps.columns.push(Step::refused(title, Vec::new(), reason));
            }
            return Ok(());
        }
        let title = format!("change {} of {name} from {old} to {}", column.name, column.ty);
        let sql = match self.dialect {
            Dialect::Postgres if actual.sql_type != wanted_sql => vec![ddl::alter_type(name, column)],
            // All types that a type can be widened to are stored alike on SQLite, and it changes no others.
            Dialect::Postgres | Dialect::Sqlite => Vec::new(),
        };
        steps.columns.extend(match old.change_to(&column.ty) {
            Change::None => self.change_enum(table, column, old, title).await?,
            // Only this widening is stored in another size.
            Change::Widening if !sql.is_empty() && column.ty.item == Item::BigInt => {
                Some(Step::caution(title, sql, "rewrites the table; nobody can read or write it meanwhile"))
            }
            Change::Widening => Some(Step::safe(title, sql)),
            Change::Different if self.is_renamed_reference(old, &column.ty) => None,
            Change::Narrowing => {
                let reason = format!("LOSES DATA: {} cannot hold all that {old} can", column.ty);
                Some(Step::refused(title, sql, reason))
            }
            Change::Different => {
                let reason = format!(
                    "LOSES DATA: values cannot be kept. Add {} under another name, and copy what is needed",
                    column.field
                );
                Some(Step::refused(title, Vec::new(), reason))
            }
        });
        Ok(())
    }

    /// Of a column that had another enum. What the values of the same enum become is said once for the enum.
    async fn change_enum(
        &self,
        table: Known<'_>,
        column: &Column,
        old: &ColumnType,
        title: String,
    ) -> Result<Option<Step>, DbErr> {
        let (Item::Enum(old_name), Item::Enum(new_name)) = (&old.item, &column.ty.item) else { return Ok(None) };
        if old_name == new_name {
            return Ok(None);
        }
        let (old, new) = (self.memory.enums.get(old_name), self.wanted.enums.get(new_name));
        let removed = old.into_iter().flatten().filter(|v| new.is_none_or(|new| !new.contains(*v)));
        let removed: BTreeSet<_> = removed.map(String::as_str).collect();
        let used = if removed.is_empty() {
            None
        } else {
            self.uses_of_values(&table.wanted.name, &column.name, &column.ty, &removed).await?
        };
        Ok(Some(match used {
            None => Step::safe(title, Vec::new()),
            Some(used) => {
                let reason = format!("rows still have values that {new_name} does not: {used}");
                Step::refused(title, Vec::new(), reason)
            }
        }))
    }

    /// The table at the other side is refused to be renamed; that is said once and not for each reference.
    fn is_renamed_reference(&self, old: &ColumnType, new: &ColumnType) -> bool {
        match (&old.item, &new.item) {
            (Item::Reference(old), Item::Reference(new)) => {
                self.renamed.get(old.as_str()).is_some_and(|name| name == new)
            }
            _ => false,
        }
    }

    /// On SQLite it takes a rebuild to change whether a column may be null; this returns why.
    async fn change_null(
        &self,
        table: Known<'_>,
        column: &Column,
        actual: &ActualColumn,
        steps: &mut Steps,
    ) -> Result<Option<String>, DbErr> {
        if column.nullable == actual.nullable {
            return Ok(None);
        }
        let name = &table.wanted.name;
        let verb = if column.nullable { "may" } else { "may not" };
        if !column.nullable && probe::has_nulls(self.conn, name, &column.name).await? {
            let title = format!("say that {} of {name} may not be null", column.name);
            let reason = "there are rows where it is null: give them a value first, or leave the field nullable";
            steps.columns.push(Step::refused(title, Vec::new(), reason));
            return Ok(None);
        }
        if self.dialect == Dialect::Sqlite {
            return Ok(Some(format!("{} {verb} be null", column.name)));
        }
        let (title, sql) =
            (format!("say that {} of {name} {verb} be null", column.name), vec![ddl::alter_null(name, column)]);
        steps.columns.push(if column.nullable {
            Step::safe(title, sql)
        } else {
            Step::caution(title, sql, "reads the whole table; nobody can read or write it meanwhile")
        });
        Ok(None)
    }

    /// A column that is not wanted: refused to be dropped if it is Tandem's; else no matter, if rows can be written.
    fn leave(&self, table: Known<'_>, actual: &ActualColumn) -> Option<Step> {
        let (name, wanted) = (&actual.name, table.wanted);
        if let Some(memory) = table.memory.columns.get(name) {
            let mut sql = Vec::new();
            if self.dialect == Dialect::Sqlite {
                let on_it = table.actual.indexes.iter().filter(|index| index.columns.contains(name));
                sql.extend(on_it.map(|index| ddl::drop_index(&index.name)));
            }
            sql.push(ddl::drop_column(&wanted.name, name));
            let reason = format!(
                "LOSES DATA: {} has no {} any more. Put it back, or drop the column by hand",
                wanted.resource, memory.field
            );
            return Some(Step::refused(format!("drop the column {name} of {}", wanted.name), sql, reason));
        }
        let title = format!("write rows to {}", wanted.name);
        let reason =
            format!("its column {name}, which Tandem did not make, may not be null and has no default: give it one");
        (!actual.nullable && !actual.has_default).then(|| Step::refused(title, Vec::new(), reason))
    }

    /// SQLite: one rebuild for all reasons.
    pub(super) async fn rebuild(&self, table: Known<'_>, reasons: &[String], steps: &mut Steps) -> Result<(), DbErr> {
        if reasons.is_empty() {
            return Ok(());
        }
        let name = &table.wanted.name;
        let title = format!("rebuild {name}, so that {}", reasons.join(" and "));
        let sql = ddl::rebuild(table.wanted, &table.actual.dependents);
        let is_ours = |column: &str| table.wanted.column(column).is_some() || table.memory.columns.contains_key(column);
        let foreign = table.actual.columns.iter().find(|c| !is_ours(&c.name));
        steps.columns.push(match foreign {
            Some(foreign) => {
                let reason = format!("LOSES DATA: the column {}, which Tandem did not make", foreign.name);
                Step::refused(title, sql, reason)
            }
            None if probe::has_rows(self.conn, name).await? => {
                Step::caution(title, sql, "copies the table; nobody can write to the database meanwhile")
            }
            None => Step::safe(title, sql),
        });
        steps.rebuilt.push(name.clone());
        Ok(())
    }
}

fn old_name<'a>(table: Known<'a>, column: &Column) -> Option<&'a str> {
    let old = table.memory.column_of(column.renamed_from.as_deref()?)?;
    let is_there = table.actual.column(old).is_some();
    (is_there && table.wanted.column(old).is_none()).then_some(old)
}

fn refuse_rename(table: Known<'_>, column: &Column, old: &str) -> Step {
    let (name, resource) = (&table.wanted.name, &table.wanted.resource);
    let title = format!("rename the column {old} of {name} to {}", column.name);
    let sql = format!(
        "ALTER TABLE {} RENAME COLUMN {} TO {}",
        ddl::quoted(name),
        ddl::quoted(old),
        ddl::quoted(&column.name)
    );
    let old_field = column.renamed_from.as_deref().unwrap_or(old);
    let reason = format!(
        "renaming is not available yet, so {old_field} of {resource} cannot become {}: keep the name {old_field} for \
         now, or rename the column by hand",
        column.field
    );
    Step::refused(title, vec![sql], reason)
}

/// A column that is wanted and there, but not remembered: made by hand, perhaps by renaming one.
fn adopt(table: &str, column: &Column, actual: &ActualColumn, wanted_sql: &str) -> Step {
    let title = format!("take over the column {} of {table}", column.name);
    if actual.sql_type == wanted_sql {
        let hazard = format!("Tandem did not make it: it must hold nothing that is no {}", column.ty);
        return Step::caution(title, Vec::new(), hazard);
    }
    let reason = format!("Tandem did not make it, and its type is {} instead of {wanted_sql}", actual.sql_type);
    Step::refused(title, Vec::new(), reason)
}
