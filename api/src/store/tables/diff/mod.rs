//! What is wanted, what is remembered and what is there → the steps between them.
//!
//! Rule: a step that can lose data is refused, and so is one that touches what is not remembered as Tandem's. Whether a
//! change loses data may depend on the rows, so they are asked; the caller's transaction keeps the answer true.

mod columns;
mod enums;
mod keys;
mod search;

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};

use super::introspect::{Actual, ActualTable};
use super::memory::{Memory, TableMemory};
use super::schema::{Schema, Table};
use super::{Dialect, Plan, Step, ddl};

/// The difference.
#[derive(Debug)]
pub(super) struct Diff {
    pub plan: Plan,
    /// SQLite: tables that are dropped and made again on the way. Foreign keys must not be enforced meanwhile.
    pub rebuilt: Vec<String>,
}

/// All that the parts of the comparison look at.
struct Comparison<'a, C> {
    conn: &'a C,
    dialect: Dialect,
    wanted: &'a Schema,
    memory: &'a Memory,
    actual: &'a Actual,
    /// Old name → new name of the tables whose resource has another name now.
    renamed: BTreeMap<&'a str, &'a str>,
}

/// A table that is wanted, remembered and there.
#[derive(Clone, Copy)]
struct Known<'a> {
    wanted: &'a Table,
    memory: &'a TableMemory,
    actual: &'a ActualTable,
}

/// Steps, by when they are done: a key needs its columns, a foreign key its table.
#[derive(Default)]
struct Steps {
    enums: Vec<Step>,
    tables: Vec<Step>,
    columns: Vec<Step>,
    indexes: Vec<Step>,
    foreign_keys: Vec<Step>,
    search: Vec<Step>,
    drops: Vec<Step>,
    rebuilt: Vec<String>,
}

/// Compares.
pub(super) async fn diff<C: ConnectionTrait>(
    conn: &C,
    dialect: Dialect,
    wanted: &Schema,
    memory: &Memory,
    actual: &Actual,
) -> Result<Diff, DbErr> {
    let renamed = renamed(wanted, memory, actual);
    let comparison = Comparison { conn, dialect, wanted, memory, actual, renamed };
    let mut steps = Steps::default();
    comparison.enums(&mut steps).await?;
    for table in &wanted.tables {
        comparison.table(table, &mut steps).await?;
    }
    comparison.dropped_tables(&mut steps).await?;
    let Steps { enums, tables, columns, indexes, foreign_keys, search, drops, rebuilt } = steps;
    let steps = [enums, tables, columns, indexes, foreign_keys, search, drops].concat();
    Ok(Diff { plan: Plan { steps }, rebuilt })
}

fn renamed<'a>(wanted: &'a Schema, memory: &'a Memory, actual: &Actual) -> BTreeMap<&'a str, &'a str> {
    let renamed = wanted.tables.iter().filter_map(|table| {
        let old = memory.table_of(table.renamed_from.as_deref()?)?;
        // A @renamedFrom may stay in the file for as long as its author likes.
        let is_open = actual.tables.contains_key(old) && !actual.tables.contains_key(&table.name);
        let is_free = !wanted.tables.iter().any(|t| t.name == old);
        (is_open && is_free).then_some((old, table.name.as_str()))
    });
    renamed.collect()
}

impl<C: ConnectionTrait> Comparison<'_, C> {
    async fn table(&self, wanted: &Table, steps: &mut Steps) -> Result<(), DbErr> {
        let create = || {
            let indexes = wanted.indexes.iter().map(|index| ddl::create_index(&wanted.name, index));
            let table = ddl::create_table(wanted, &wanted.name, self.dialect);
            std::iter::once(table).chain(indexes).collect::<Vec<_>>()
        };
        let title = format!("create the table {} for {}", wanted.name, wanted.resource);
        if ["tandem_", "sqlite_"].iter().any(|reserved| wanted.name.starts_with(reserved)) {
            let reason = "tables whose names begin with tandem_ or sqlite_ are not for resources: give it another name";
            steps.tables.push(Step::refused(title, Vec::new(), reason));
            return Ok(());
        }
        if let Some((old, _)) = self.renamed.iter().find(|(_, new)| **new == wanted.name) {
            steps.tables.push(self.refuse_rename(old, wanted));
            return Ok(());
        }
        let foreign = match (self.actual.tables.get(&wanted.name), self.memory.tables.get(&wanted.name)) {
            (Some(actual), Some(memory)) => return self.known(Known { wanted, memory, actual }, steps).await,
            (Some(_), None) => Some("table"),
            (None, _) => self.actual.others.get(&wanted.name).map(String::as_str),
        };
        if let Some(kind) = foreign {
            let reason = format!(
                "there is already a {kind} of this name, which Tandem did not make: rename it, or the resource {}",
                wanted.resource
            );
            steps.tables.push(Step::refused(title, create(), reason));
            return Ok(());
        }
        steps.tables.push(Step::safe(title, create()));
        if self.dialect == Dialect::Postgres {
            let add = |key| Step::safe(keys::title_of(wanted, key), vec![ddl::add_foreign_key(&wanted.name, key)]);
            steps.foreign_keys.extend(wanted.foreign_keys.iter().map(add));
        }
        self.search(wanted, None, None, steps).await
    }

    async fn known(&self, table: Known<'_>, steps: &mut Steps) -> Result<(), DbErr> {
        let mut reasons = self.columns(table, steps).await?;
        reasons.extend(self.foreign_keys(table, steps).await?);
        self.rebuild(table, &reasons, steps).await?;
        self.indexes(table, steps).await?;
        self.search(table.wanted, Some(table.actual), Some(table.memory), steps).await
    }

    fn refuse_rename(&self, old: &str, wanted: &Table) -> Step {
        let title = format!("rename the table {old} to {}", wanted.name);
        let sql = format!("ALTER TABLE {} RENAME TO {}", ddl::quoted(old), ddl::quoted(&wanted.name));
        let old_resource = wanted.renamed_from.as_deref().unwrap_or(old);
        let reason = format!(
            "renaming is not available yet, so {old_resource} cannot become {}: keep the name {old_resource} for now",
            wanted.resource
        );
        Step::refused(title, vec![sql], reason)
    }

    /// Tandem's tables whose resource is not in the file any more. Those that are gone already are just forgotten.
    async fn dropped_tables(&self, steps: &mut Steps) -> Result<(), DbErr> {
        for (name, memory) in &self.memory.tables {
            let is_wanted = self.wanted.tables.iter().any(|t| t.name == *name);
            if is_wanted {
                continue;
            }
            self.drop_search(name, memory, steps).await?;
            if self.renamed.contains_key(name.as_str()) || !self.actual.tables.contains_key(name) {
                continue;
            }
            let reason = format!(
                "LOSES DATA: the file has no {} any more. Put it back, or drop the table by hand",
                memory.resource
            );
            let step = Step::refused(format!("drop the table {name}"), vec![ddl::drop_table(name)], reason);
            steps.drops.push(step);
        }
        Ok(())
    }
}
