//! The last statements of a write transaction: take positions from the head row and write the events.
//!
//! The head row is locked from here to the commit, so transactions of several nodes take positions in the order in which
//! they commit, and a rollback gives its positions back. A sequence would hand out numbers before the commit, and a
//! reader would skip the transactions that commit late.

use std::sync::Arc;

use entity::{EventId, Position, TransactionId};
use serde_json::{Value, json};

use super::{ChangeKind, Event, departure};
use crate::catalog::{Catalog, FieldId, ResourceId, Row};
use crate::database::{Dialect, Error, Sql, Transaction};

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

/// Appends events in this order. Must be the last thing before the commit.
pub async fn append(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    events: Vec<NewEvent>,
) -> Result<Vec<Arc<Event>>, Error> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let count = events.len() as i64;
    let last = match transaction.dialect() {
        Dialect::Sqlite => append_sqlite(transaction, catalog, &events, count).await?,
        Dialect::Postgres => append_postgres(transaction, catalog, &events, count).await?,
    };
    let mut position = Position::new(last - count)?;
    let mut appended = Vec::with_capacity(events.len());
    for event in events {
        position = position.next();
        appended.push(Arc::new(event.at_position(catalog, position)));
    }
    departure::record(transaction, catalog, &appended).await?;
    Ok(appended)
}

const COLUMNS: &str =
    "position, id, transaction_id, type, row_id, version, kind, changed_fields, before, after, at, by";

async fn append_sqlite(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    events: &[NewEvent],
    count: i64,
) -> Result<i64, Error> {
    let mut sql = Sql::text(Dialect::Sqlite, "UPDATE tandem_head SET position = position + ");
    sql.bind(count).push(" RETURNING position");
    let last = head_position(&transaction.query(sql).await?)?;
    for (event, position) in events.iter().zip(last - count + 1..) {
        let image = |row: &Option<Arc<Row>>| row.as_ref().map(|r| image_text(catalog, event.resource, r));
        let mut sql = Sql::text(Dialect::Sqlite, "INSERT INTO tandem_event (");
        sql.push(COLUMNS).push(") VALUES (");
        sql.bind(position).push(",").bind(event.id.0).push(",").bind(event.transaction_id.0).push(",");
        sql.bind(catalog.resource(event.resource).name.clone()).push(",").bind(event.row().id()).push(",");
        sql.bind(event.version(catalog)).push(",").bind(event.kind.name()).push(",");
        sql.bind(changed_names(catalog, event).to_string()).push(",");
        sql.bind(image(&event.before)).push(",").bind(image(&event.after)).push(",");
        sql.bind(event.at).push(",").bind(event.by.clone()).push(")");
        transaction.query(sql).await?;
    }
    Ok(last)
}

/// One statement for the head row and all events.
async fn append_postgres(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    events: &[NewEvent],
    count: i64,
) -> Result<i64, Error> {
    let document: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(i, event)| {
            let image = |row: &Option<Arc<Row>>| row.as_ref().map(|r| image_text(catalog, event.resource, r));
            json!({
                "n": i as i64 + 1,
                "id": event.id.0.to_string(),
                "transaction_id": event.transaction_id.0.to_string(),
                "type": catalog.resource(event.resource).name,
                "row_id": event.row().id().to_string(),
                "version": event.version(catalog),
                "kind": event.kind.name(),
                "changed_fields": changed_names(catalog, event).to_string(),
                "before": image(&event.before),
                "after": image(&event.after),
                "at": event.at,
                "by": event.by,
            })
        })
        .collect();
    let mut sql = Sql::text(Dialect::Postgres, "WITH head AS (UPDATE tandem_head SET position = position + ");
    sql.bind(count).push(" RETURNING position), written AS (INSERT INTO tandem_event (").push(COLUMNS);
    sql.push(") SELECT head.position - ").bind(count);
    sql.push(
        " + e.n, e.id, e.transaction_id, e.type, e.row_id, e.version, e.kind, e.changed_fields, e.before, e.after, e.at, \
         e.by FROM head, json_to_recordset(CAST(",
    );
    sql.bind(Value::Array(document).to_string());
    sql.push(
        " AS json)) AS e(n bigint, id uuid, transaction_id uuid, type text, row_id uuid, version bigint, kind text, \
         changed_fields text, before text, after text, at bigint, by text)) SELECT position FROM head",
    );
    head_position(&transaction.query(sql).await?)
}

fn head_position(records: &[crate::database::Record]) -> Result<i64, Error> {
    records.first().ok_or_else(|| Error::Corrupt("tandem_head has no row".to_owned()))?.need_int(0)
}

fn image_text(catalog: &Catalog, resource: ResourceId, row: &Row) -> String {
    row.image_text(catalog.resource(resource))
}

fn changed_names(catalog: &Catalog, event: &NewEvent) -> Value {
    let resource = catalog.resource(event.resource);
    event.changed_fields.iter().map(|id| resource.field(*id).name.clone()).collect()
}
