//! What is wanted, what is remembered and what is there → the steps between them.
//!
//! Rule: a step that can lose data is refused until it is allowed by name, and so is one that touches what is not
//! remembered as Tandem's. Whether a change loses data may depend on the rows, so they are asked; the caller's
//! transaction keeps the answer true.
//!
//! - `columns`: columns that come, stay and go; `types`: those that stay with another type, or may be null or not
//! - `fill`: what the rows that are there get
//! - `rebuild`: SQLite makes a table anew for what it cannot alter
//! - `enums`, `keys`: values of enums; indexes, unique keys and foreign keys
//! - `tables`: tables that come and go
//! - `search`: what `@search` needs

mod columns;
mod enums;
mod fill;
mod keys;
mod rebuild;
mod search;
mod tables;
mod types;

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use self::rebuild::Rebuild;
use super::introspect::{Actual, ActualTable};
use super::lineage::{self, Effects};
use super::memory::{Memory, TableMemory};
use super::rename::{self, Places};
use super::schema::{Column, Schema, Table};
use super::{Allowed, Dialect, Plan, Step};
use crate::catalog::Catalog;
use crate::catalog::lineage::Era;

/// The difference.
#[derive(Debug)]
pub(super) struct Diff {
    pub plan: Plan,
    /// SQLite: tables that are dropped and made again on the way. Foreign keys must not be enforced meanwhile.
    pub rebuilt: Vec<String>,
    /// What it means for older events.
    pub era: Era,
}

/// What is compared, and what may be done.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub catalog: &'a Catalog,
    pub wanted: &'a Schema,
    pub memory: &'a Memory,
    pub actual: &'a Actual,
    pub allowed: &'a Allowed,
}

/// All that the parts of the comparison look at. Names are those of after the renames.
struct Comparison<'a, C> {
    conn: &'a C,
    dialect: Dialect,
    catalog: &'a Catalog,
    wanted: &'a Schema,
    memory: &'a Memory,
    actual: &'a Actual,
    allowed: &'a Allowed,
    places: Places,
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
    renames: Vec<Step>,
    enums: Vec<Step>,
    index_drops: Vec<Step>,
    tables: Vec<Step>,
    columns: Vec<Step>,
    counters: Vec<Step>,
    indexes: Vec<Step>,
    foreign_keys: Vec<Step>,
    search: Vec<Step>,
    drops: Vec<Step>,
    notes: Vec<String>,
    rebuilt: Vec<String>,
    effects: Effects,
}

/// Compares.
pub(super) async fn diff<C: ConnectionTrait>(conn: &C, dialect: Dialect, sides: Sides<'_>) -> Result<Diff, DbErr> {
    let Sides { catalog, wanted, allowed, .. } = sides;
    let (mut memory, mut actual) = (sides.memory.clone(), sides.actual.clone());
    let mut steps = Steps::default();
    let places;
    (places, steps.renames) = rename::rename(dialect, wanted, &mut memory, &mut actual);
    let (memory, actual) = (&memory, &actual);
    let comparison = Comparison { conn, dialect, catalog, wanted, memory, actual, allowed, places };
    comparison.enums(&mut steps).await?;
    for table in &wanted.tables {
        comparison.table(table, &mut steps).await?;
    }
    comparison.dropped_tables(&mut steps).await?;
    let Steps { renames, enums, index_drops, tables, columns, counters, indexes, foreign_keys, search, drops, .. } =
        steps;
    let planned =
        [renames, enums, index_drops, tables, columns, counters, indexes, foreign_keys, search, drops].concat();
    let mut notes = steps.notes;
    let needed: BTreeSet<_> = planned.iter().filter_map(|step| step.name.as_deref()).collect();
    let idle = allowed.names().filter(|name| !needed.contains(name));
    notes.extend(idle.map(|name| format!("{name} is allowed, and there is no such step")));
    let era = lineage::era(wanted, memory, &steps.effects);
    Ok(Diff { plan: Plan { steps: planned, notes }, rebuilt: steps.rebuilt, era })
}

impl<C: ConnectionTrait> Comparison<'_, C> {
    async fn known(&self, table: Known<'_>, steps: &mut Steps) -> Result<(), DbErr> {
        let mut rebuild = Rebuild::default();
        self.columns(table, &mut rebuild, steps).await?;
        self.foreign_keys(table, &mut rebuild, steps).await?;
        self.indexes(table, steps).await?;
        self.rebuild(table, rebuild, steps).await?;
        self.search(table.wanted, Some(table), steps).await
    }

    /// A step that loses data: refused until it is allowed by its name. `loses` says what, in a clause; `instead` what
    /// else could be done.
    fn lossy(&self, step: Step, name: String, loses: &str, instead: &str) -> Step {
        match self.allowed.has(&name) {
            true => step.named(name).caution(format!("LOSES DATA, as allowed: {loses}")),
            false => step.named(name).refused(format!("LOSES DATA: {loses}. {instead}, or allow it")),
        }
    }
}

/// How the plan names a field: `Product.cost`.
fn field_name(table: &Table, column: &Column) -> String {
    format!("{}.{}", table.resource, column.field)
}
