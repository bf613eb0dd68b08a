//! Which rows have stopped pointing at which: one entry for each foreign key that an event takes away, by an update or
//! with the row.
//!
//! With them the rows of a to-many field can be told as they were at a position of the log, without a look at every event
//! since: the rows that point at the parent now, and those that have left it. An entry is written in the transaction of
//! its event. Creates and most updates take nothing away and cost nothing here.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{ChangeKind, Event};
use crate::catalog::Catalog;
use crate::database::{Dialect, Error, Sql, Transaction};

/// Writes the entries of events that have just been appended.
pub(super) async fn record(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    events: &[Arc<Event>],
) -> Result<(), Error> {
    let departures: BTreeSet<_> = events.iter().flat_map(|event| of_event(catalog, event)).collect();
    if departures.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::text(transaction.dialect(), "INSERT INTO tandem_departure (target_id, position) SELECT ");
    let document: Vec<Value> = departures
        .iter()
        .map(|(target, position)| json!({ "target_id": target.simple().to_string(), "position": position }))
        .collect();
    let document = Value::Array(document).to_string();
    match transaction.dialect() {
        Dialect::Sqlite => {
            sql.push("unhex(value->>'target_id'), value->>'position' FROM json_each(").bind(document).push(")");
        }
        Dialect::Postgres => {
            sql.push("target_id, position FROM json_to_recordset(CAST(").bind(document);
            sql.push(" AS json)) AS r(target_id uuid, position bigint)");
        }
    }
    transaction.run(sql).await?;
    Ok(())
}

/// The rows that the event's row pointed at before and does not after.
fn of_event<'e>(catalog: &'e Catalog, event: &'e Event) -> impl Iterator<Item = (Uuid, i64)> + 'e {
    let before = event.before.as_deref().filter(|_| event.kind != ChangeKind::Created);
    before.into_iter().flat_map(move |before| {
        let to_one = catalog.resource(event.resource).fields().filter(|(_, field)| field.to_one().is_some());
        to_one.filter_map(move |(field, _)| {
            let is_same = event.after.as_ref().is_some_and(|after| after.get(field) == before.get(field));
            let target = before.get(field).as_uuid().filter(|_| !is_same)?;
            Some((target, event.position.get()))
        })
    })
}
