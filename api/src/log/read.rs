//! Reading the log from a position onwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use entity::{Epoch, EventId, Position, TransactionId};
use serde_json::Value;

use super::{ChangeKind, Error, Event};
use crate::catalog::lineage::{Era, View};
use crate::catalog::{Catalog, Lineage, ResourceId, Row};
use crate::database::{self, Database, Dialect, Record, Sql};

/// Where the log ends, and which history it is.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Which history.
    pub epoch: Epoch,
    /// The last position.
    pub position: Position,
}

/// What [`decode`] reads.
const COLUMNS: &str =
    "position, id, transaction_id, type, row_id, version, kind, changed_fields, before, after, at, by";

/// Reads the head row.
pub async fn head(database: &Database) -> Result<Head, database::Error> {
    let records = database.query(Sql::text(database.dialect(), "SELECT epoch, position FROM tandem_head")).await?;
    let record = records.first().ok_or_else(|| database::Error::Corrupt("tandem_head has no row".to_owned()))?;
    Ok(Head { epoch: Epoch(record.need_uuid(0)?), position: Position::new(record.need_int(1)?)? })
}

/// Reads how events that are older than the catalog are read under its names.
pub async fn lineage(database: &Database, catalog: Arc<Catalog>) -> Result<Lineage, database::Error> {
    let sql = Sql::text(database.dialect(), "SELECT position, document FROM tandem_lineage ORDER BY id");
    let era = |record: &Record| {
        let corrupt = |error| database::Error::Corrupt(format!("a row of tandem_lineage cannot be read: {error}"));
        let era: Era = serde_json::from_str(&record.need_text(1)?).map_err(corrupt)?;
        Ok((record.need_int(0)?, era))
    };
    let eras = database.query(sql).await?.iter().map(era).collect::<Result<Vec<_>, database::Error>>()?;
    Ok(Lineage::new(catalog, &eras))
}

/// The events after a position, oldest first, at most `limit` of them.
///
/// # Errors
/// [`Error::Expired`] if the first of them is no longer in the log.
pub async fn after(
    database: &Database,
    lineage: &Lineage,
    position: Position,
    limit: u64,
) -> Result<Vec<Arc<Event>>, Error> {
    let mut sql = Sql::text(database.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM tandem_event WHERE position > ");
    sql.bind(position.get()).push(" ORDER BY position LIMIT ").bind(limit as i64);
    let records = database.query(sql).await?;
    let mut events = Vec::with_capacity(records.len());
    for record in &records {
        events.push(Arc::new(decode(lineage, record)?));
    }
    match events.first() {
        Some(event) if event.position != position.next() => Err(Error::Expired),
        _ => Ok(events),
    }
}

/// The events before a position, oldest first, at most `limit` of them: the newest ones. Fewer if the others are no longer
/// in the log.
pub async fn before(
    database: &Database,
    lineage: &Lineage,
    position: Position,
    limit: u64,
) -> Result<Vec<Arc<Event>>, database::Error> {
    let mut sql = Sql::text(database.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM tandem_event WHERE position < ");
    sql.bind(position.get()).push(" ORDER BY position DESC LIMIT ").bind(limit as i64);
    let records = database.query(sql).await?;
    let events = records.iter().rev().map(|record| decode(lineage, record).map(Arc::new));
    events.collect()
}

/// The events of these kinds after a position and not after another one, oldest first, at most `limit` of them. There may
/// be others among them, whose type had the name of a wanted one at their time.
///
/// # Errors
/// [`Error::Expired`] if an event between these positions is no longer in the log.
pub async fn matching(
    database: &Database,
    lineage: &Lineage,
    wanted: &[(ResourceId, ChangeKind)],
    after: Position,
    until: Position,
    limit: u64,
) -> Result<Vec<Arc<Event>>, Error> {
    let sql = select_matching(database.dialect(), lineage, wanted, after, until, limit);
    let records = database.query(sql).await?;
    let oldest = records.first().map(|record| record.int(12)).transpose()?.flatten();
    if until > after && oldest != Some(after.next().get()) {
        return Err(Error::Expired);
    }
    let mut events = Vec::with_capacity(records.len());
    for record in &records {
        // A row without an event says that there is none.
        if record.int(0)?.is_some() {
            events.push(Arc::new(decode(lineage, record)?));
        }
    }
    Ok(events)
}

/// What [`matching`] reads: in the order of positions from the first one on, so no more than it gives and passes over.
fn select_matching(
    dialect: Dialect,
    lineage: &Lineage,
    wanted: &[(ResourceId, ChangeKind)],
    after: Position,
    until: Position,
    limit: u64,
) -> Sql {
    // The oldest event that is there comes from the same snapshot, so that what expires meanwhile is not passed over.
    let mut sql = Sql::text(dialect, "SELECT ");
    sql.push(COLUMNS).push(", oldest FROM (SELECT min(position) AS oldest FROM tandem_event WHERE position>");
    sql.bind(after.get()).push(") AS present LEFT JOIN (SELECT ").push(COLUMNS);
    sql.push(" FROM tandem_event WHERE position>").bind(after.get()).push(" AND position<=").bind(until.get());
    sql.push(" AND (");
    // By its index of types SQLite would find all events of a type there are, and sort them, to give a few.
    let of_type = match dialect {
        Dialect::Sqlite => "+type",
        Dialect::Postgres => "type",
    };
    let mut by_kinds: BTreeMap<Vec<&str>, Vec<ResourceId>> = BTreeMap::new();
    for (resource, _) in lineage.catalog().resources() {
        let kinds = wanted.iter().filter(|(of, _)| *of == resource).map(|(_, kind)| kind.name()).collect();
        by_kinds.entry(kinds).or_default().push(resource);
    }
    sql.list(" OR ", by_kinds, |sql, (kinds, resources)| {
        sql.push("(1=").push(if kinds.is_empty() { "0" } else { "1" }).push(" AND ").push(of_type).push(" IN (");
        sql.list(",", resources.into_iter().flat_map(|id| lineage.names(id)), |sql, name| {
            sql.bind(name.clone());
        });
        sql.push(")");
        if (1..ChangeKind::ALL.len()).contains(&kinds.len()) {
            sql.push(" AND kind IN (");
            sql.list(",", kinds, |sql, kind| {
                sql.bind(kind);
            });
            sql.push(")");
        }
        sql.push(")");
    });
    sql.push(") ORDER BY position LIMIT ").bind(limit as i64).push(") AS found ON 1=1 ORDER BY position");
    sql
}

/// The first and the last position that the log holds; `None` if it is empty.
pub async fn bounds(database: &Database) -> Result<Option<(Position, Position)>, database::Error> {
    let sql = "SELECT (SELECT MIN(position) FROM tandem_event), (SELECT MAX(position) FROM tandem_event)";
    let records = database.query(Sql::text(database.dialect(), sql)).await?;
    let Some(record) = records.first() else { return Ok(None) };
    let bounds = record.int(0)?.zip(record.int(1)?);
    bounds.map(|(first, last)| Ok((Position::new(first)?, Position::new(last)?))).transpose()
}

/// The position after which the events of this time and later begin, of those that the log holds. Events are written in
/// the order of their times, but for what the clocks of nodes differ, so a few look-ups find it.
pub async fn position_before(database: &Database, at: i64) -> Result<Position, database::Error> {
    let Some((first, last)) = bounds(database).await? else { return Ok(head(database).await?.position) };
    // Everything up to `low` is older, and nothing after `high` is.
    let (mut low, mut high) = (first.get() - 1, last.get());
    while low < high {
        let middle = low + (high - low + 1) / 2;
        let mut sql = Sql::text(database.dialect(), "SELECT at FROM tandem_event WHERE position = ");
        sql.bind(middle);
        match database.query(sql).await?.first() {
            Some(record) if record.need_int(0)? >= at => high = middle - 1,
            // One that is gone is older than all that are there.
            Some(_) | None => low = middle,
        }
    }
    Ok(Position::new(low)?)
}

fn decode(lineage: &Lineage, record: &Record) -> Result<Event, database::Error> {
    let corrupt = |what: &str| database::Error::Corrupt(format!("an event has an unknown {what}"));
    let position = Position::new(record.need_int(0)?)?;
    let view = lineage.view(position.get(), &record.need_text(3)?);
    let names: Vec<String> = serde_json::from_str(&record.need_text(7)?).map_err(|_| corrupt("list of fields"))?;
    let image = |index| match (view, record.text(index)?) {
        (Some(view), Some(text)) => decode_image(lineage, view, &text).map(Some),
        _ => Ok::<_, database::Error>(None),
    };
    Ok(Event {
        position,
        id: EventId(record.need_uuid(1)?),
        transaction_id: TransactionId(record.need_uuid(2)?),
        resource: view.map_or(ResourceId::GONE, |view| view.resource),
        row_id: record.need_uuid(4)?,
        version: record.need_int(5)?,
        kind: ChangeKind::from_name(&record.need_text(6)?).ok_or_else(|| corrupt("kind"))?,
        // A field that has gone from the resource file since is left out.
        changed_fields: names.iter().filter_map(|name| view?.find(name)).collect(),
        before: image(8)?,
        after: image(9)?,
        at: record.need_int(10)?,
        by: record.text(11)?,
    })
}

/// Reads the image that an event at a position has of a row; `None` if the type that it names is none of the catalog's.
pub fn image_at(
    lineage: &Lineage,
    position: i64,
    type_name: &str,
    text: &str,
) -> Result<Option<Arc<Row>>, database::Error> {
    lineage.view(position, type_name).map(|view| decode_image(lineage, view, text)).transpose()
}

fn decode_image(lineage: &Lineage, view: &View, text: &str) -> Result<Arc<Row>, database::Error> {
    let corrupt = || database::Error::Corrupt("an image of the log cannot be read".to_owned());
    match serde_json::from_str(text) {
        Ok(Value::Object(image)) => Ok(Arc::new(lineage.read(view, &image).ok_or_else(corrupt)?)),
        _ => Err(corrupt()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{self, Datum};
    use crate::store::writer::{Command, Create, Mutation};
    use crate::testing::{admin, on_both};

    const OLD: &str = "type Thing @resource { name: String }\ntype Other @resource { name: String }";
    const NEW: &str = r#"type Article @resource { title: String  stock: Int!  note: String }"#;

    #[tokio::test(flavor = "multi_thread")]
    async fn events_of_an_older_resource_file_are_read() {
        on_both(OLD, async |app| {
            let parse = |text| Arc::new(catalog::parse("resources.graphql", text).unwrap());
            let (old, new) = (parse(OLD), parse(NEW));
            for name in ["Other", "Thing", "Other"] {
                let resource = old.find(name).unwrap();
                let value = (old.resource(resource).find("name").unwrap(), Datum::Text("x".to_owned()));
                let create = Create {
                    resource,
                    values: vec![value],
                    children: Vec::new(),
                    path: Vec::new(),
                    violations: Vec::new(),
                };
                let mutation = Mutation {
                    principal: admin(),
                    command: Command::Create(create),
                    violations: Vec::new(),
                    key: None,
                };
                app.parts.writer.mutate(mutation).await.unwrap();
            }
            let era = json!({
                "types": {"Other": {"to": null}, "Thing": {"to": "Article", "fields": {"name": {"to": "title"}}}},
                "fills": {"Article": {"stock": {"absent": {"value": 7}}}},
            });
            let lineage = Lineage::new(Arc::clone(&new), &[(3, serde_json::from_value(era).unwrap())]);
            let events = after(&app.parts.database, &lineage, Position::START, 10).await.unwrap();
            let article = new.find("Article").unwrap();
            assert_eq!(
                events.iter().map(|e| e.resource).collect::<Vec<_>>(),
                [ResourceId::GONE, article, ResourceId::GONE]
            );
            assert!(events[0].after.is_none());
            let row = events[1].after.as_ref().unwrap();
            let field = |name| new.resource(article).find(name).unwrap();
            assert_eq!(*row.get(field("title")), Datum::Text("x".to_owned()));
            assert_eq!(*row.get(field("stock")), Datum::Int(7));
            assert_eq!(*row.get(field("note")), Datum::Null);
            assert_eq!(events[1].changed_fields, [field("title")]);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn matching_events_are_found_by_position() {
        on_both(NEW, async |app| {
            let (lineage, dialect) = (app.parts.hub.lineage(), app.parts.database.dialect());
            let wanted = [(lineage.catalog().find("Article").unwrap(), ChangeKind::Created)];
            let until = Position::new(4_000).unwrap();
            let sql = select_matching(dialect, lineage, &wanted, Position::START, until, 64);
            let plan = app.parts.database.explain(sql).await;
            // PostgreSQL knows how many there are of a type.
            assert!(dialect == Dialect::Postgres || !plan.contains("type="), "{plan}");
        })
        .await;
    }
}
