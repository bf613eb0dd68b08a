//! `@renamedFrom`: tables and columns get their new names before anything else is done.
//!
//! What is remembered and what is there are given their new names here too, so that all other parts of the comparison
//! see the tables as they are once the renames are done. Only [`Places`] knows what they are called until then.

use std::collections::BTreeMap;

use super::column::Item;
use super::hazard::{Rows, Work, lock};
use super::introspect::{Actual, ActualTable};
use super::memory::{Memory, TableMemory};
use super::schema::{Column, Schema, Table};
use super::{Dialect, Step, ddl};

/// New names → the names that the database has until the renames are done.
#[derive(Debug, Default)]
pub(super) struct Places {
    tables: BTreeMap<String, String>,
    columns: BTreeMap<(String, String), String>,
}

impl Places {
    /// What a table is called until then.
    pub fn table<'a>(&'a self, name: &'a str) -> &'a str {
        self.tables.get(name).map_or(name, String::as_str)
    }

    /// What a column is called until then.
    pub fn column<'a>(&'a self, table: &str, name: &'a str) -> &'a str {
        self.columns.get(&(table.to_owned(), name.to_owned())).map_or(name, String::as_str)
    }

    /// Whether the table or one of its columns gets another name.
    pub fn is_renamed(&self, table: &str) -> bool {
        self.tables.contains_key(table) || self.columns.keys().any(|(of, _)| of == table)
    }
}

/// Renames what is to be renamed, in `memory` and in `actual`; gives the steps that do it in the database.
pub(super) fn rename(
    dialect: Dialect,
    wanted: &Schema,
    memory: &mut Memory,
    actual: &mut Actual,
) -> (Places, Vec<Step>) {
    let (mut places, mut steps) = (Places::default(), Vec::new());
    for table in &wanted.tables {
        if let Some(old) = old_table(wanted, table, memory, actual) {
            if actual.tables.contains_key(&old) {
                steps.push(table_step(dialect, &old, table, memory));
                places.tables.insert(table.name.clone(), old.clone());
                rename_actual(actual, &old, &table.name);
            }
            rename_memory(memory, &old, &table.name);
        }
    }
    for table in &wanted.tables {
        let (Some(known), Some(there)) = (memory.tables.get_mut(&table.name), actual.tables.get_mut(&table.name))
        else {
            continue;
        };
        for column in &table.columns {
            let Some(old) = old_column(table, column, known, there) else { continue };
            if there.column(&old).is_some() {
                let title = format!("rename the column {old} of {} to {}", table.name, column.name);
                let step = Step::new(title, vec![ddl::rename_column(&table.name, &old, &column.name)]);
                let step = step.caution(
                    "nodes with the older file fail until they are replaced, and so do documents that name it",
                );
                steps.push(step.lock(lock(dialect, Work::Define, &table.name, Rows(0))));
                places.columns.insert((table.name.clone(), column.name.clone()), old.clone());
                rename_in_table(there, &old, &column.name);
            }
            if let Some(memory) = known.columns.remove(&old) {
                known.columns.insert(column.name.clone(), memory);
            }
        }
    }
    (places, steps)
}

/// The name of the table of a resource that had another type name. Once it is renamed, or if somebody did that by hand,
/// the directive may stay in the file for as long as its author likes.
fn old_table(wanted: &Schema, table: &Table, memory: &Memory, actual: &Actual) -> Option<String> {
    let old = memory.table_of(table.renamed_from.as_deref()?)?;
    let is_free = old != table.name && !memory.tables.contains_key(&table.name);
    let is_there = |name: &str| actual.tables.contains_key(name);
    let one_is_there = is_there(old) != is_there(&table.name) && !actual.others.contains_key(&table.name);
    (is_free && one_is_there && !wanted.tables.iter().any(|t| t.name == old)).then(|| old.to_owned())
}

/// Likewise of a field.
fn old_column(table: &Table, column: &Column, memory: &TableMemory, actual: &ActualTable) -> Option<String> {
    let old = memory.column_of(column.renamed_from.as_deref()?)?;
    let is_free = old != column.name && !memory.columns.contains_key(&column.name);
    let one_is_there = actual.column(old).is_some() != actual.column(&column.name).is_some();
    (is_free && one_is_there && table.column(old).is_none()).then(|| old.to_owned())
}

fn table_step(dialect: Dialect, old: &str, table: &Table, memory: &Memory) -> Step {
    let new = &table.name;
    let before = memory.tables.get(old).map_or(old, |memory| memory.resource.as_str());
    let sql = vec![
        ddl::rename_table(old, new),
        // Names of events begin with that of the table.
        format!(
            "UPDATE \"tandem_webhook\" SET \"events\" = replace(\"events\", '\"{old}.', '\"{new}.') \
             WHERE \"events\" LIKE '%\"{old}.%'"
        ),
    ];
    let hazard = format!(
        "ids that begin with {old}_ begin with {new}_ from then on; the old ones are understood as long as the file says \
         @renamedFrom. Nodes with the older file fail until they are replaced, and so do documents that name {before}"
    );
    let step = Step::new(format!("rename the table {old} to {new}"), sql).caution(hazard);
    step.lock(lock(dialect, Work::Define, old, Rows(0)))
}

fn rename_memory(memory: &mut Memory, old: &str, new: &str) {
    if let Some(table) = memory.tables.remove(old) {
        memory.tables.insert(new.to_owned(), table);
    }
    let columns = memory.tables.values_mut().flat_map(|table| table.columns.values_mut());
    for column in columns.filter(|column| column.ty.item == Item::Reference(old.to_owned())) {
        column.ty.item = Item::Reference(new.to_owned());
    }
}

fn rename_actual(actual: &mut Actual, old: &str, new: &str) {
    if let Some(table) = actual.tables.remove(old) {
        actual.tables.insert(new.to_owned(), table);
    }
    let keys = actual.tables.values_mut().flat_map(|table| &mut table.foreign_keys);
    for key in keys.filter(|key| key.target == old) {
        new.clone_into(&mut key.target);
    }
}

fn rename_in_table(table: &mut ActualTable, old: &str, new: &str) {
    let columns = table.columns.iter_mut().map(|column| &mut column.name);
    let keys = table.foreign_keys.iter_mut().map(|key| &mut key.column);
    let indexed = table.indexes.iter_mut().flat_map(|index| &mut index.columns);
    for name in columns.chain(keys).chain(indexed).filter(|name| *name == old) {
        new.clone_into(name);
    }
}
