//! The last statements of a write transaction: take positions from the head row and write the events. On PostgreSQL they
//! are one, and the rows that the events are about may be written by it as well.
//!
//! The head row is locked from here to the commit, so transactions of several nodes take positions in the order in which
//! they commit, and a rollback gives its positions back. A sequence would hand out numbers before the commit, and a
//! reader would skip the transactions that commit late.

use std::sync::Arc;

use entity::{EventId, Position, TransactionId};

use super::{ChangeKind, Event, departure};
use crate::catalog::datum::write_text;
use crate::catalog::{Catalog, FieldId, ResourceId, Row};
use crate::database::{Column, Dialect, Element, Error, NotCommitted, Sql, Transaction};

/// An event that has no position yet.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its own id.
    pub id: EventId,
    /// The mutation that it belongs to.
    pub transaction_id: TransactionId,
    /// What the row is.
    pub resource: ResourceId,
    /// What happened.
    pub kind: ChangeKind,
    /// The declared fields that changed.
    pub changed_fields: Vec<FieldId>,
    /// The row before, of an update or a delete.
    pub before: Option<Arc<Row>>,
    /// The row after, of a create or an update.
    pub after: Option<Arc<Row>>,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The `sub` of who did it.
    pub by: Option<String>,
}

impl NewEvent {
    fn row(&self) -> &Row {
        self.after.as_deref().or(self.before.as_deref()).expect("an event has an image before or after")
    }

    fn version(&self, catalog: &Catalog) -> i64 {
        let last = self.row().version(catalog.resource(self.resource));
        if self.kind == ChangeKind::Deleted { last + 1 } else { last }
    }

    fn at_position(self, catalog: &Catalog, position: Position) -> Event {
        Event {
            position,
            id: self.id,
            transaction_id: self.transaction_id,
            resource: self.resource,
            row_id: self.row().id(),
            version: self.version(catalog),
            kind: self.kind,
            changed_fields: self.changed_fields,
            before: self.before,
            after: self.after,
            at: self.at,
            by: self.by,
        }
    }
}

/// Rows that are written by the statement that appends the events about them: `WITH w0 AS (…), w1 AS (…)`. For PostgreSQL,
/// where each statement costs a way to the server and back.
#[derive(Debug, Clone)]
pub struct RowWrites {
    sql: Sql,
    count: usize,
}

impl RowWrites {
    /// None yet.
    pub fn new() -> Self {
        Self { sql: Sql::text(Dialect::Postgres, "WITH "), count: 0 }
    }

    /// Adds a statement that writes rows and gives none, which `write` adds. It must not depend on those before it.
    pub fn add(&mut self, write: impl FnOnce(&mut Sql)) {
        self.sql.push("w").push(&self.count.to_string()).push(" AS (");
        write(&mut self.sql);
        self.sql.push(" RETURNING 1),");
        self.count += 1;
    }
}

impl Default for RowWrites {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends events in this order, after these writes of rows. Only the settling of keys may come between this and the commit.
pub async fn append(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    events: Vec<NewEvent>,
    writes: RowWrites,
) -> Result<Vec<Arc<Event>>, Error> {
    if events.is_empty() {
        debug_assert!(writes.count == 0, "a row is not written without an event");
        return Ok(Vec::new());
    }
    let last = match transaction.dialect() {
        Dialect::Sqlite => append_sqlite(transaction, catalog, &events).await?,
        Dialect::Postgres => head_position(&transaction.query(postgres_statement(catalog, &events, writes)).await?)?,
    };
    let appended = placed(catalog, events, last)?;
    departure::record(transaction, catalog, &appended).await?;
    Ok(appended)
}

/// [`append`] and commit, in one statement where that is possible.
///
/// # Errors
/// They say whether it may be committed all the same.
pub async fn append_and_commit(
    transaction: Transaction<'_>,
    catalog: &Catalog,
    events: Vec<NewEvent>,
    writes: RowWrites,
) -> Result<Vec<Arc<Event>>, NotCommitted> {
    let takes_away = events.iter().any(|event| event.before.is_some());
    if events.is_empty() || takes_away || transaction.dialect() == Dialect::Sqlite {
        let appended = append(&transaction, catalog, events, writes).await.map_err(NotCommitted::Refused)?;
        transaction.commit().await.map_err(NotCommitted::InDoubt)?;
        return Ok(appended);
    }
    // What is created takes no foreign key away, so nothing comes after the events.
    let records = transaction.commit_with(postgres_statement(catalog, &events, writes)).await?;
    head_position(&records).and_then(|last| placed(catalog, events, last)).map_err(NotCommitted::InDoubt)
}

/// The events at their positions, the last of which is `last`.
fn placed(catalog: &Catalog, events: Vec<NewEvent>, last: i64) -> Result<Vec<Arc<Event>>, Error> {
    let mut position = Position::new(last - events.len() as i64)?;
    let place = |event: NewEvent| {
        position = position.next();
        Arc::new(event.at_position(catalog, position))
    };
    Ok(events.into_iter().map(place).collect())
}

/// The columns of an event.
const COLUMNS: [&str; 12] = [
    "position",
    "id",
    "transaction_id",
    "type",
    "row_id",
    "version",
    "kind",
    "changed_fields",
    "before",
    "after",
    "at",
    "by",
];

async fn append_sqlite(transaction: &Transaction<'_>, catalog: &Catalog, events: &[NewEvent]) -> Result<i64, Error> {
    let count = events.len() as i64;
    let mut sql = Sql::text(Dialect::Sqlite, "UPDATE tandem_head SET position = position + ");
    sql.bind(count).push(" RETURNING position");
    let last = head_position(&transaction.query(sql).await?)?;
    for (event, position) in events.iter().zip(last - count + 1..) {
        let image = |row: &Option<Arc<Row>>| row.as_ref().map(|r| image_text(catalog, event.resource, r));
        let mut sql = Sql::text(Dialect::Sqlite, "INSERT INTO tandem_event (");
        push_columns(&mut sql, "");
        sql.push(") VALUES (");
        sql.bind(position).push(",").bind(event.id.0).push(",").bind(event.transaction_id.0).push(",");
        sql.bind(catalog.resource(event.resource).name.clone()).push(",").bind(event.row().id()).push(",");
        sql.bind(event.version(catalog)).push(",").bind(event.kind.name()).push(",");
        let mut names = Vec::new();
        write_changed_names(catalog, event, &mut names);
        sql.bind(String::from_utf8(names).expect("JSON is text")).push(",");
        sql.bind(image(&event.before)).push(",").bind(image(&event.after)).push(",");
        sql.bind(event.at).push(",").bind(event.by.clone()).push(")");
        transaction.query(sql).await?;
    }
    Ok(last)
}

/// One statement for the rows, the head row and all events. The head row is locked last, when nothing is left that might
/// wait for another transaction: hence the condition, which asks for the writes before it and is always true.
fn postgres_statement(catalog: &Catalog, events: &[NewEvent], writes: RowWrites) -> Sql {
    let count = events.len() as i64;
    let RowWrites { mut sql, count: write_count } = writes;
    sql.push("head AS (UPDATE tandem_head SET position = position + ").bind(count);
    for i in 0..write_count {
        sql.push(if i == 0 { " WHERE " } else { " AND " });
        sql.push("(SELECT count(*) FROM w").push(&i.to_string()).push(") >= 0");
    }
    sql.push(" RETURNING position), written AS (INSERT INTO tandem_event (");
    push_columns(&mut sql, "");
    sql.push(") SELECT head.position + ");
    push_columns(&mut sql, "e.");
    sql.push(" FROM head, (SELECT ");
    sql.list(", ", COLUMNS.into_iter().zip(columns(catalog, events)), |sql, (name, column)| {
        sql.push("unnest(").bind_column(column).push(") AS ").push(name);
    });
    sql.push(") AS e) SELECT position FROM head");
    sql
}

fn push_columns(sql: &mut Sql, before: &str) {
    sql.list(", ", COLUMNS, |sql, name| {
        sql.push(before).push(name);
    });
}

/// The columns of the events, in the order of [`COLUMNS`]; of the positions, how far each is from the last.
fn columns(catalog: &Catalog, events: &[NewEvent]) -> [Column; 12] {
    let column = |element| Column::new(element, events.len());
    let [mut position, mut version, mut at] = [Element::BigInt; 3].map(column);
    let [mut id, mut transaction_id, mut row_id] = [Element::Uuid; 3].map(column);
    let [mut ty, mut kind, mut changed_fields, mut before, mut after, mut by] = [Element::Text; 6].map(column);
    let image = |column: &mut Column, resource, row: &Option<Arc<Row>>| match row {
        Some(row) => column.write(|out| row.write_image(catalog.resource(resource), out)),
        None => column.null(),
    };
    for (i, event) in events.iter().enumerate() {
        position.int(i as i64 + 1 - events.len() as i64);
        id.uuid(event.id.0);
        transaction_id.uuid(event.transaction_id.0);
        ty.text(&catalog.resource(event.resource).name);
        row_id.uuid(event.row().id());
        version.int(event.version(catalog));
        kind.text(event.kind.name());
        changed_fields.write(|out| write_changed_names(catalog, event, out));
        image(&mut before, event.resource, &event.before);
        image(&mut after, event.resource, &event.after);
        at.int(event.at);
        by.text_or_null(event.by.as_deref());
    }
    [position, id, transaction_id, ty, row_id, version, kind, changed_fields, before, after, at, by]
}

fn head_position(records: &[crate::database::Record]) -> Result<i64, Error> {
    records.first().ok_or_else(|| Error::Corrupt("tandem_head has no row".to_owned()))?.need_int(0)
}

fn image_text(catalog: &Catalog, resource: ResourceId, row: &Row) -> String {
    row.image_text(catalog.resource(resource))
}

/// As a JSON array.
fn write_changed_names(catalog: &Catalog, event: &NewEvent, out: &mut Vec<u8>) {
    let resource = catalog.resource(event.resource);
    out.push(b'[');
    for (i, id) in event.changed_fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(out, &resource.field(*id).name);
    }
    out.push(b']');
}
