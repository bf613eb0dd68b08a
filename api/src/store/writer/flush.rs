//! Writing what a batch has changed, in few statements.
//!
//! PostgreSQL gets one statement for all rows of a resource, with an array for each column, so that the statement's text
//! does not depend on their number; those that come last become parts of the statement that appends the events. SQLite,
//! which is in this process, gets one prepared statement for each row, and others for the words of those that can be
//! searched.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::records;
use super::state::{RowKey, Write, push_in_ids};
use crate::catalog::{Catalog, Datum, Field, FieldId, FieldType, Resource, ResourceId, Row};
use crate::database::{Dialect, Error, Sql, Transaction};
use crate::log::RowWrites;
use crate::store::search::{Document, index};

/// Makes the changes. Changes of the same row become one.
pub(super) async fn flush(transaction: &Transaction<'_>, catalog: &Catalog, writes: Vec<Write>) -> Result<(), Error> {
    if writes.is_empty() {
        return Ok(());
    }
    let Folded { inserts, updates, deletes } = fold(writes);
    // Updates first: they may give up a unique key that an insert takes.
    for (resource, rows) in grouped(updates) {
        update(transaction, catalog.resource(resource), &rows).await?;
    }
    for (resource, rows) in parents_first(catalog, grouped(inserts)) {
        insert(transaction, catalog.resource(resource), &rows).await?;
    }
    for (resource, ids) in children_first(catalog, deletes) {
        delete(transaction, catalog.resource(resource), &ids).await?;
    }
    Ok(())
}

/// Makes the changes, except for those that can be left to the statement that appends the events. On PostgreSQL these are
/// all inserts, or else all updates, if nothing comes after them. Foreign keys are checked at the end of that statement, so
/// rows may point at others of it.
pub(super) async fn flush_but_last(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    writes: Vec<Write>,
) -> Result<RowWrites, Error> {
    let mut last = RowWrites::new();
    let is_left = |write: &Write| matches!(write, Write::Insert(..) | Write::Update(..));
    if transaction.dialect() == Dialect::Sqlite || !writes.iter().all(is_left) {
        flush(transaction, catalog, writes).await?;
        return Ok(last);
    }
    let Folded { inserts, updates, .. } = fold(writes);
    if inserts.is_empty() {
        for (resource, rows) in grouped(updates) {
            last.add(|sql| push_update(sql, catalog.resource(resource), &rows));
        }
        return Ok(last);
    }
    for (resource, rows) in grouped(updates) {
        update(transaction, catalog.resource(resource), &rows).await?;
    }
    for (resource, rows) in grouped(inserts) {
        last.add(|sql| push_insert(sql, catalog.resource(resource), &rows));
    }
    Ok(last)
}

#[derive(Default)]
struct Folded {
    inserts: Vec<(ResourceId, Arc<Row>)>,
    /// And whether they have other words to be found by.
    updates: Vec<(ResourceId, (Arc<Row>, bool))>,
    deletes: Vec<(ResourceId, Uuid)>,
}

fn fold(writes: Vec<Write>) -> Folded {
    let mut folded = Folded::default();
    // Where a row stands already: in the inserts or in the updates.
    let mut places: HashMap<RowKey, (bool, usize)> = HashMap::new();
    for write in writes {
        match write {
            Write::Insert(resource, row) => {
                places.insert((resource, row.id()), (true, folded.inserts.len()));
                folded.inserts.push((resource, row));
            }
            Write::Update(resource, row, has_other_words) => match places.get(&(resource, row.id())) {
                Some((true, i)) => folded.inserts[*i].1 = row,
                Some((false, i)) => {
                    let update = &mut folded.updates[*i].1;
                    *update = (row, has_other_words || update.1);
                }
                None => {
                    places.insert((resource, row.id()), (false, folded.updates.len()));
                    folded.updates.push((resource, (row, has_other_words)));
                }
            },
            Write::Delete(resource, id) => folded.deletes.push((resource, id)),
        }
    }
    folded
}

/// By resource, in the order in which each was first seen.
fn grouped<T>(items: Vec<(ResourceId, T)>) -> Vec<(ResourceId, Vec<T>)> {
    let mut groups: Vec<(ResourceId, Vec<T>)> = Vec::new();
    for (resource, item) in items {
        match groups.iter_mut().find(|(id, _)| *id == resource) {
            Some((_, group)) => group.push(item),
            None => groups.push((resource, vec![item])),
        }
    }
    groups
}

/// Resources before those that point at them, so that no foreign key points nowhere in between. Resources that point at
/// each other stay as they are: then the batch is tried again singly.
fn parents_first<T>(catalog: &Catalog, mut groups: Vec<(ResourceId, Vec<T>)>) -> Vec<(ResourceId, Vec<T>)> {
    let mut sorted = Vec::with_capacity(groups.len());
    while !groups.is_empty() {
        let next = next_parent(catalog, &groups).unwrap_or(0);
        sorted.push(groups.remove(next));
    }
    sorted
}

/// Rows before those that they point at. A delete removes rows of one resource on several levels, so the order in which
/// resources were first seen is not enough. Rows of resources that point at each other are removed in the order in which
/// they came, which has children before their parents, in as many statements as that takes.
fn children_first(catalog: &Catalog, deletes: Vec<(ResourceId, Uuid)>) -> Vec<(ResourceId, Vec<Uuid>)> {
    let mut groups = grouped(deletes.clone());
    let mut sorted = Vec::with_capacity(groups.len());
    while !groups.is_empty() {
        let Some(next) = next_parent(catalog, &groups) else { return runs(deletes) };
        sorted.push(groups.remove(next));
    }
    sorted.reverse();
    sorted
}

/// The first group that points at no other one; `None` if they point at each other in a circle.
fn next_parent<T>(catalog: &Catalog, groups: &[(ResourceId, T)]) -> Option<usize> {
    let waits = |id: ResourceId| {
        let targets = catalog.resource(id).fields.iter().filter_map(Field::to_one);
        targets.filter(|target| *target != id).any(|target| groups.iter().any(|(other, _)| *other == target))
    };
    groups.iter().position(|(id, _)| !waits(*id))
}

/// Neighbours of the same resource together.
fn runs(items: Vec<(ResourceId, Uuid)>) -> Vec<(ResourceId, Vec<Uuid>)> {
    let mut runs: Vec<(ResourceId, Vec<Uuid>)> = Vec::new();
    for (resource, item) in items {
        match runs.last_mut() {
            Some((id, run)) if *id == resource => run.push(item),
            _ => runs.push((resource, vec![item])),
        }
    }
    runs
}

async fn insert(transaction: &Transaction<'_>, resource: &Resource, rows: &[Arc<Row>]) -> Result<(), Error> {
    match transaction.dialect() {
        Dialect::Sqlite => {
            for row in rows {
                let mut sql = Sql::text(Dialect::Sqlite, "INSERT INTO ");
                sql.ident(&resource.prefix).push(" (");
                push_columns(&mut sql, resource);
                sql.push(") VALUES (");
                sql.list(",", resource.columns(), |sql, (id, field)| {
                    bind_nullable(sql, &field.ty, row.get(id));
                });
                sql.push(")");
                transaction.query(sql).await?;
                if !resource.search.is_empty() {
                    for sql in index::insert(&resource.prefix, row.id(), Document::of(resource, row)) {
                        transaction.query(sql).await?;
                    }
                }
            }
        }
        Dialect::Postgres => {
            let mut sql = Sql::new(Dialect::Postgres);
            push_insert(&mut sql, resource, rows);
            transaction.run(sql).await?;
        }
    }
    Ok(())
}

/// Adds the statement of PostgreSQL that inserts these rows.
fn push_insert(sql: &mut Sql, resource: &Resource, rows: &[Arc<Row>]) {
    sql.push("INSERT INTO ").ident(&resource.prefix).push(" (");
    push_columns(sql, resource);
    sql.push(") SELECT ");
    push_columns(sql, resource);
    sql.push(" FROM ");
    records::push(sql, resource, &rows.iter().map(|row| (row, true)).collect::<Vec<_>>());
}

async fn update(transaction: &Transaction<'_>, resource: &Resource, rows: &[(Arc<Row>, bool)]) -> Result<(), Error> {
    let id_column = &resource.field(Resource::ID).column;
    match transaction.dialect() {
        Dialect::Sqlite => {
            for (row, has_other_words) in rows {
                let mut sql = Sql::text(Dialect::Sqlite, "UPDATE ");
                sql.ident(&resource.prefix).push(" SET ");
                sql.list(",", changeable(resource), |sql, (id, field)| {
                    sql.ident(&field.column).push("=");
                    bind_nullable(sql, &field.ty, row.get(id));
                });
                sql.push(" WHERE ").ident(id_column).push("=").bind(row.id());
                transaction.query(sql).await?;
                if *has_other_words {
                    let words = index::update(&resource.prefix, row.id(), Document::of(resource, row));
                    transaction.query(words).await?;
                }
            }
        }
        Dialect::Postgres => {
            let mut sql = Sql::new(Dialect::Postgres);
            push_update(&mut sql, resource, rows);
            transaction.run(sql).await?;
        }
    }
    Ok(())
}

/// Adds the statement of PostgreSQL that updates these rows.
fn push_update(sql: &mut Sql, resource: &Resource, rows: &[(Arc<Row>, bool)]) {
    let id_column = &resource.field(Resource::ID).column;
    sql.push("UPDATE ").ident(&resource.prefix).push(" AS t SET ");
    sql.list(",", changeable(resource), |sql, (_, field)| {
        sql.ident(&field.column).push("=").column("r", &field.column);
    });
    if records::has_words(Dialect::Postgres, resource) {
        sql.push(",").ident(index::COLUMN).push("=coalesce(").column("r", index::COLUMN);
        sql.push(",").column("t", index::COLUMN).push(")");
    }
    sql.push(" FROM ");
    let rows: Vec<_> = rows.iter().map(|(row, has_other_words)| (row, *has_other_words)).collect();
    records::push(sql, resource, &rows);
    sql.push(" WHERE ").column("t", id_column).push("=").column("r", id_column);
}

/// The columns of a row that may change: all but the id.
fn changeable(resource: &Resource) -> impl Iterator<Item = (FieldId, &Field)> {
    resource.columns().skip(1)
}

async fn delete(transaction: &Transaction<'_>, resource: &Resource, ids: &[Uuid]) -> Result<(), Error> {
    let mut sql = Sql::text(transaction.dialect(), "DELETE FROM ");
    sql.ident(&resource.prefix).push(" WHERE ").ident(&resource.field(Resource::ID).column);
    push_in_ids(&mut sql, ids);
    transaction.query(sql).await?;
    if transaction.dialect() == Dialect::Sqlite && !resource.search.is_empty() {
        for sql in index::delete(&resource.prefix, |sql| push_in_ids(sql, ids)) {
            transaction.query(sql).await?;
        }
    }
    Ok(())
}

fn push_columns(sql: &mut Sql, resource: &Resource) {
    sql.list(",", resource.columns(), |sql, (_, field)| {
        sql.ident(&field.column);
    });
    if records::has_words(sql.dialect(), resource) {
        sql.push(",").ident(index::COLUMN);
    }
}

/// Binds null too, so that the statement's text is the same for every row and stays prepared.
fn bind_nullable(sql: &mut Sql, ty: &FieldType, datum: &Datum) {
    match datum {
        Datum::Null => sql.bind(None::<String>),
        datum => sql.bind_datum(ty, datum),
    };
}
