//! The rows and unique keys that a batch has seen and changed.
//!
//! A batch works in memory: it reads what it needs in few statements, decides, and writes at the end in few statements.
//! What one mutation changes is staged and joins the batch only if the mutation succeeds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::lists::Unjudged;
use super::records;
use crate::catalog::{Catalog, Datum, FieldId, Image, Needs, Resource, ResourceId, Row};
use crate::database::{Column, Dialect, Element, Error, Sql, Transaction};
use crate::log::NewEvent;
use crate::store::{columns, rows};

/// One row of one resource.
pub(super) type RowKey = (ResourceId, Uuid);

/// A change of the database that is still to be written.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Insert(ResourceId, Arc<Row>),
    /// And whether it has other words to be found by.
    Update(ResourceId, Arc<Row>, bool),
    Delete(ResourceId, Uuid),
}

/// A value of a unique key: resource, index of the key, and its fields' values as an image.
pub(super) type KeyValue = (ResourceId, usize, String);

/// Values of a key that one statement looks up: of one field, and of several, which make a deeper expression each.
const MAX_KEYS: usize = 1024;
const MAX_COMPOSITE_KEYS: usize = 256;

#[derive(Debug, Clone)]
struct Seen {
    row: Option<Arc<Row>>,
    /// Whether no other node can change it before this transaction ends.
    locked: bool,
}

/// What one mutation has changed so far.
#[derive(Default)]
pub(super) struct Staged {
    rows: HashMap<RowKey, Option<Arc<Row>>>,
    keys: HashMap<KeyValue, Option<Uuid>>,
    pub(super) writes: Vec<Write>,
    pub(super) events: Vec<NewEvent>,
}

/// What the batch knows.
pub(super) struct State<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) catalog: &'a Catalog,
    /// The time of this batch, in microseconds since 1970.
    pub(super) now: i64,
    rows: HashMap<RowKey, Seen>,
    keys: HashMap<KeyValue, Option<Uuid>>,
    sequences: HashMap<(ResourceId, FieldId), std::ops::Range<i64>>,
    /// Ids that were made up here. Nobody else knows them before the commit, so nothing in the database points at them
    /// that this state has not staged.
    made_up: HashSet<Uuid>,
    writes: Vec<Write>,
    pub(super) staged: Staged,
}

impl<'a> State<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, catalog: &'a Catalog, now: i64) -> Self {
        Self {
            transaction,
            catalog,
            now,
            rows: HashMap::new(),
            keys: HashMap::new(),
            sequences: HashMap::new(),
            made_up: HashSet::new(),
            writes: Vec::new(),
            staged: Staged::default(),
        }
    }

    /// The id of a new row.
    pub(super) fn make_up_id(&mut self) -> Uuid {
        let id = Uuid::now_v7();
        self.made_up.insert(id);
        id
    }

    /// Takes over what is staged; gives the events.
    pub(super) fn accept(&mut self) -> Vec<NewEvent> {
        let staged = std::mem::take(&mut self.staged);
        self.rows.extend(staged.rows.into_iter().map(|(key, row)| (key, Seen { row, locked: true })));
        self.keys.extend(staged.keys);
        self.writes.extend(staged.writes);
        staged.events
    }

    /// Forgets what is staged.
    pub(super) fn reject(&mut self) {
        self.staged = Staged::default();
    }

    /// The writes that are still to be made.
    pub(super) fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// A row as this mutation sees it. With `lock`, other nodes cannot change it until the commit.
    pub(super) async fn row(&mut self, key: RowKey, lock: bool) -> Result<Option<Arc<Row>>, Error> {
        if let Some(row) = self.staged.rows.get(&key) {
            return Ok(row.clone());
        }
        match self.rows.get(&key) {
            Some(seen) if seen.locked || !lock => return Ok(seen.row.clone()),
            _ => self.load(key.0, &HashSet::from([key.1]), lock).await?,
        }
        Ok(self.rows.get(&key).and_then(|seen| seen.row.clone()))
    }

    /// Reads rows that are not known yet, in one statement.
    pub(super) async fn load(&mut self, resource_id: ResourceId, ids: &HashSet<Uuid>, lock: bool) -> Result<(), Error> {
        let is_known = |id: &Uuid| self.rows.get(&(resource_id, *id)).is_some_and(|seen| seen.locked || !lock);
        let mut missing: Vec<Uuid> = ids.iter().copied().filter(|id| !is_known(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        let resource = self.catalog.resource(resource_id);
        let dialect = self.transaction.dialect();
        let mut sql = Sql::text(dialect, "SELECT ");
        rows::push_text(&mut sql, "t", resource);
        rows::push_from(&mut sql, "t", resource);
        sql.push(" WHERE ").column("t", &resource.field(Resource::ID).column);
        push_in_ids(&mut sql, &missing);
        if dialect == Dialect::Postgres {
            // Locks are taken in the order of the ids, so that two nodes do not wait for each other.
            sql.push(" ORDER BY ").column("t", &resource.field(Resource::ID).column);
            sql.push(if lock { " FOR NO KEY UPDATE" } else { " FOR KEY SHARE" });
        }
        let records = self.transaction.query(sql).await?;
        // On SQLite nobody else writes while this transaction is open.
        let locked = lock || dialect == Dialect::Sqlite;
        for id in missing {
            self.rows.insert((resource_id, id), Seen { row: None, locked });
        }
        for record in records {
            let row = rows::decode(resource, &record.need_text(0)?)?;
            self.rows.insert((resource_id, row.id()), Seen { row: Some(row), locked });
        }
        Ok(())
    }

    /// Takes over rows that were read and locked.
    pub(super) fn remember(&mut self, resource: ResourceId, rows: &[Arc<Row>]) {
        for row in rows {
            self.rows.insert((resource, row.id()), Seen { row: Some(Arc::clone(row)), locked: true });
        }
    }

    /// A row with the related rows that are needed, as this mutation sees them.
    pub(super) fn image<'s>(
        &'s mut self,
        resource: ResourceId,
        row: Arc<Row>,
        needs: &'s Needs,
    ) -> BoxFutureLocal<'s, Result<Image, Unjudged>> {
        Box::pin(async move {
            let mut related = Vec::with_capacity(needs.related.len());
            for (field, needs) in &needs.related {
                let target = self.catalog.resource(resource).field(*field).to_one().expect("needs name to-one fields");
                let image = match row.get(*field).as_uuid() {
                    Some(id) => match self.row((target, id), false).await? {
                        Some(row) => Some(Arc::new(self.image(target, row, needs).await?)),
                        None => None,
                    },
                    None => None,
                };
                related.push((*field, image));
            }
            let mut lists = Vec::with_capacity(needs.lists.len());
            for (field, needs) in &needs.lists {
                let list = self.catalog.resource(resource).field(*field).to_many();
                let (target, via) = list.expect("needs name lists of related rows");
                let mut images = Vec::new();
                for row in self.list(target, via, row.id()).await? {
                    images.push(Arc::new(self.image(target, row, needs).await?));
                }
                lists.push((*field, images));
            }
            Ok(Image { row, related, lists })
        })
    }

    /// Which row has this value of a unique key; `None` if none has, or if a part of it is null.
    pub(super) async fn key_owner(
        &mut self,
        resource: ResourceId,
        key: usize,
        row: &Row,
    ) -> Result<Option<Uuid>, Error> {
        let Some(value) = self.key_value(resource, key, row) else { return Ok(None) };
        if let Some(owner) = self.staged.keys.get(&value).or_else(|| self.keys.get(&value)) {
            return Ok(*owner);
        }
        let fields = &self.catalog.resource(resource).unique_keys[key].fields;
        if fields.iter().any(|field| row.get(*field).as_uuid().is_some_and(|id| self.made_up.contains(&id))) {
            return Ok(None);
        }
        self.load_keys(resource, key, std::slice::from_ref(&row)).await?;
        Ok(self.keys.get(&value).copied().flatten())
    }

    /// Looks up who has these values of a unique key, in one statement.
    pub(super) async fn load_keys(
        &mut self,
        resource_id: ResourceId,
        key: usize,
        wanted: &[&Row],
    ) -> Result<(), Error> {
        let resource = self.catalog.resource(resource_id);
        let fields = &resource.unique_keys[key].fields;
        let mut by_value = BTreeMap::new();
        for row in wanted {
            if let Some(value) = self.key_value(resource_id, key, row)
                && !self.keys.contains_key(&value)
            {
                by_value.insert(value, *row);
            }
        }
        let wanted: Vec<&Row> = by_value.values().copied().collect();
        for value in by_value.into_keys() {
            self.keys.insert(value, None);
        }
        let most = if fields.len() == 1 { MAX_KEYS } else { MAX_COMPOSITE_KEYS };
        for wanted in wanted.chunks(most) {
            self.load_some_keys(resource_id, key, wanted).await?;
        }
        Ok(())
    }

    async fn load_some_keys(&mut self, resource_id: ResourceId, key: usize, wanted: &[&Row]) -> Result<(), Error> {
        let resource = self.catalog.resource(resource_id);
        let fields = &resource.unique_keys[key].fields;
        let dialect = self.transaction.dialect();
        let mut sql = Sql::text(dialect, "SELECT ");
        sql.column("t", &resource.field(Resource::ID).column)
            .push(", CAST(")
            .push(columns::array_function(dialect))
            .push("(");
        sql.list(",", fields, |sql, field| columns::push_json(sql, "t", resource.field(*field)));
        sql.push(") AS text)");
        rows::push_from(&mut sql, "t", resource);
        match dialect {
            Dialect::Sqlite => push_keys(&mut sql, resource, fields, &padded(wanted.to_vec())),
            Dialect::Postgres => records::push_keys(&mut sql, resource, fields, wanted),
        }
        for record in self.transaction.peek(sql).await? {
            let values: Vec<Value> = serde_json::from_str(&record.need_text(1)?).unwrap_or_default();
            let data: Option<Vec<Datum>> = fields
                .iter()
                .zip(&values)
                .map(|(field, value)| Datum::from_image(&resource.field(*field).ty, value))
                .collect();
            let data = data.ok_or_else(|| Error::Corrupt(format!("a key of {} cannot be read", resource.prefix)))?;
            let text = key_text(resource, fields, data.iter());
            self.keys.insert((resource_id, key, text), Some(record.need_uuid(0)?));
        }
        Ok(())
    }

    /// Looks again who has this value of a unique key, when it is next asked for.
    pub(super) fn forget_key(&mut self, resource: ResourceId, key: usize, row: &Row) {
        if let Some(value) = self.key_value(resource, key, row) {
            self.keys.remove(&value);
        }
    }

    /// What the row has of a unique key; `None` if a part of it is null.
    pub(super) fn key_value(&self, resource: ResourceId, key: usize, row: &Row) -> Option<KeyValue> {
        let definition = self.catalog.resource(resource);
        let fields = &definition.unique_keys[key].fields;
        if fields.iter().any(|field| row.get(*field).is_null()) {
            return None;
        }
        Some((resource, key, key_text(definition, fields, fields.iter().map(|field| row.get(*field)))))
    }

    /// Whether this mutation has changed or removed the row.
    pub(super) fn is_staged(&self, key: RowKey) -> bool {
        self.staged.rows.contains_key(&key)
    }

    /// The rows of a resource that this mutation has made or changed.
    pub(super) fn staged_rows(&self, resource: ResourceId) -> impl Iterator<Item = &Arc<Row>> {
        self.staged.rows.iter().filter(move |((of, _), _)| *of == resource).filter_map(|(_, row)| row.as_ref())
    }

    /// Stages a row as it is from now on, or its removal, with its unique keys.
    pub(super) fn stage(&mut self, resource: ResourceId, before: Option<&Row>, after: Option<Arc<Row>>) {
        let id = after.as_deref().or(before).expect("a row is there before or after").id();
        for key in 0..self.catalog.resource(resource).unique_keys.len() {
            let old = before.and_then(|row| self.key_value(resource, key, row));
            let new = after.as_deref().and_then(|row| self.key_value(resource, key, row));
            if old == new {
                continue;
            }
            if let Some(old) = old {
                self.staged.keys.insert(old, None);
            }
            if let Some(new) = new {
                self.staged.keys.insert(new, Some(id));
            }
        }
        self.staged.writes.push(match (before, &after) {
            (_, None) => Write::Delete(resource, id),
            (None, Some(row)) => Write::Insert(resource, Arc::clone(row)),
            (Some(before), Some(row)) => {
                let searched = &self.catalog.resource(resource).search;
                let has_other_words = searched.iter().any(|field| before.get(*field) != row.get(*field));
                Write::Update(resource, Arc::clone(row), has_other_words)
            }
        });
        self.staged.rows.insert((resource, id), after);
    }

    /// Sets numbers of a counter aside, in one statement.
    pub(super) async fn reserve(&mut self, resource: ResourceId, field: FieldId, count: usize) -> Result<(), Error> {
        // Numbers that are left of an earlier range are given up: counters may have gaps, but no duplicates.
        let count = count as i64;
        if self.sequences.get(&(resource, field)).is_some_and(|range| range.end - range.start >= count) {
            return Ok(());
        }
        let definition = self.catalog.resource(resource);
        let name = format!("{}.{}", definition.name, definition.field(field).name);
        let mut sql = Sql::text(self.transaction.dialect(), "INSERT INTO tandem_sequence (name, value) VALUES (");
        sql.bind(name).push(",").bind(count);
        sql.push(") ON CONFLICT (name) DO UPDATE SET value = tandem_sequence.value + ").bind(count);
        sql.push(" RETURNING value");
        let records = self.transaction.query(sql).await?;
        let record = records.first().ok_or_else(|| Error::Corrupt("a counter gave no number".to_owned()))?;
        let last = record.need_int(0)?;
        self.sequences.insert((resource, field), last - count + 1..last + 1);
        Ok(())
    }

    /// Looks up who has the numbers that are set aside, in one statement for each unique key that is such a number: clients
    /// may be allowed to give some themselves, or rows had them before there was a counter.
    pub(super) async fn load_numbers(&mut self, resource: ResourceId, field: FieldId) -> Result<(), Error> {
        let definition = self.catalog.resource(resource);
        let Some(range) = self.sequences.get(&(resource, field)).cloned() else { return Ok(()) };
        for (key, unique) in definition.unique_keys.iter().enumerate() {
            if unique.fields == [field] {
                let numbered = |number| {
                    let mut row = Row(vec![Datum::Null; definition.fields.len()]);
                    row.set(field, Datum::Int(number));
                    row
                };
                let rows: Vec<Row> = range.clone().map(numbered).collect();
                self.load_keys(resource, key, &rows.iter().collect::<Vec<_>>()).await?;
            }
        }
        Ok(())
    }

    /// The next number of a counter.
    pub(super) async fn next_number(&mut self, resource: ResourceId, field: FieldId) -> Result<i64, Error> {
        self.reserve(resource, field, 1).await?;
        let range = self.sequences.get_mut(&(resource, field));
        range.and_then(Iterator::next).ok_or_else(|| Error::Corrupt("a counter gave no number".to_owned()))
    }
}

/// A boxed future that stays on the writer's thread.
pub(super) type BoxFutureLocal<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + 'a>>;

fn key_text<'d>(resource: &Resource, fields: &[FieldId], data: impl Iterator<Item = &'d Datum>) -> String {
    let mut text = Vec::with_capacity(64);
    text.push(b'[');
    for (i, (field, datum)) in fields.iter().zip(data).enumerate() {
        if i > 0 {
            text.push(b',');
        }
        datum.write_image(&resource.field(*field).ty, &mut text);
    }
    text.push(b']');
    String::from_utf8(text).expect("JSON is text")
}

/// Adds the condition of SQLite that a row `t` has one of these values of a key.
fn push_keys(sql: &mut Sql, resource: &Resource, fields: &[FieldId], wanted: &[&Row]) {
    sql.push(" WHERE ");
    let part = |sql: &mut Sql, field: FieldId, row: &Row| {
        sql.bind_datum(&resource.field(field).ty, row.get(field));
    };
    match fields {
        [field] => {
            sql.column("t", &resource.field(*field).column).push(" IN (");
            sql.list(",", wanted, |sql, row| part(sql, *field, row));
            sql.push(")");
        }
        fields => sql.list(" OR ", wanted, |sql, row| {
            sql.push("(");
            sql.list(" AND ", fields, |sql, field| {
                sql.column("t", &resource.field(*field).column).push("=");
                part(sql, *field, row);
            });
            sql.push(")");
        }),
    }
}

/// The same items, the last of them repeated until there are 1, 4, 16, 64 … of them. A statement that binds each item has
/// few texts then, so it is found prepared.
fn padded<T: Copy>(mut items: Vec<T>) -> Vec<T> {
    let mut length = 1;
    while length < items.len() {
        length *= 4;
    }
    if let Some(last) = items.last().copied() {
        items.resize(length, last);
    }
    items
}

/// Adds ` IN (…)` with all ids in one bound value, so that the text does not depend on their number.
pub(super) fn push_in_ids(sql: &mut Sql, ids: &[Uuid]) {
    match sql.dialect() {
        Dialect::Sqlite => {
            let ids: Value = ids.iter().map(|id| id.simple().to_string()).collect();
            sql.push(" IN (SELECT unhex(value) FROM json_each(").bind(ids.to_string()).push("))");
        }
        Dialect::Postgres => {
            let mut column = Column::new(Element::Uuid, ids.len());
            ids.iter().for_each(|id| column.uuid(*id));
            sql.push("=ANY(").bind_column(column).push(")");
        }
    }
}
