//! Related rows as they were at a position of the log.
//!
//! A row is the current one, unless a later event about it is in the log: then that event's image before. So what is
//! shown of a change is a function of its position alone, however late it is rendered, and a line's order is there after
//! the order is gone.
//!
//! The rows of a to-many field are the current ones, each looked at in that way, and those that have left it since: the
//! log keeps an entry for every row that stops pointing at another one (`log::departure`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entity::Position;
use futures_util::future::BoxFuture;
use quick_cache::Weighter;
use uuid::Uuid;

use super::rows;
use crate::catalog::{FieldId, Image, Lineage, Needs, Resource, ResourceId, Row};
use crate::database::{self, Database, Sql};
use crate::log::{Event, read};

/// About how much memory the rows may take that are kept for the followers that render the same event; and the lists of
/// rows.
const CACHE_SIZE_BYTES: u64 = 64 << 20;

/// How many rows are expected in the cache, for its layout.
const CACHED_ROWS: usize = 20_000;

/// How many lists are expected in their cache.
const CACHED_LISTS: usize = 2_000;

/// Rows of to-many fields that are read for one image. A condition on more rows than that is not judged.
const MAX_LISTED_ROWS: usize = 10_000;

/// Why the related rows of an image are not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// A condition on related rows concerns more of them than one event may cost. It stays so.
    #[error("a condition concerns more than {MAX_LISTED_ROWS} related rows")]
    TooManyRows,
}

/// What a row was at a position stays true: the statement that read it saw the log at that position or later. Either no
/// later event was about the row, then every one that comes changes what was read, or the first of them said what was
/// before it.
type Cache = quick_cache::sync::Cache<Key, Option<Arc<Row>>, BySize>;

type Key = (ResourceId, Uuid, Position);

/// The rows of a to-many field: whose foreign key `.1` held `.2`. They stay true in the same way.
type Lists = quick_cache::sync::Cache<ListKey, Listed, BySize>;

type ListKey = (ResourceId, FieldId, Uuid, Position);

/// Those of one to-many field, in no order.
type Listed = Arc<[Arc<Row>]>;

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<Key, Option<Arc<Row>>> for BySize {
    fn weight(&self, _: &Key, row: &Option<Arc<Row>>) -> u64 {
        (size_of::<Key>() + row.as_ref().map_or(0, |row| row.size_bytes())) as u64
    }
}

impl Weighter<ListKey, Listed> for BySize {
    fn weight(&self, _: &ListKey, rows: &Listed) -> u64 {
        (size_of::<ListKey>() + rows.iter().map(|row| row.size_bytes()).sum::<usize>()) as u64
    }
}

/// Reads related rows as of a position. Cheap to clone; what it has read is shared.
#[derive(Clone)]
pub struct AsOf {
    database: Database,
    lineage: Arc<Lineage>,
    cache: Arc<Cache>,
    lists: Arc<Lists>,
}

/// The images of an event, with the related rows that somebody needs.
#[derive(Debug, Clone)]
pub struct EventImages {
    /// The row before, of an update or a delete.
    pub before: Option<Image>,
    /// The row after, of a create or an update.
    pub after: Option<Image>,
}

impl AsOf {
    /// Reads from this database.
    pub fn new(database: Database, lineage: Arc<Lineage>) -> Self {
        let cache = Arc::new(Cache::with_weighter(CACHED_ROWS, CACHE_SIZE_BYTES, BySize));
        let lists = Arc::new(Lists::with_weighter(CACHED_LISTS, CACHE_SIZE_BYTES, BySize));
        Self { database, lineage, cache, lists }
    }

    /// Both images of an event, each joined with the related rows as of the event's position.
    pub async fn images(&self, event: &Event, needs: &Needs) -> Result<EventImages, Error> {
        let image = async |row: &Option<Arc<Row>>| match row {
            Some(row) => self.image(event.resource, Arc::clone(row), event.position, needs).await.map(Some),
            None => Ok(None),
        };
        Ok(EventImages { before: image(&event.before).await?, after: image(&event.after).await? })
    }

    /// A row with the related rows that are needed, as of a position.
    pub async fn image(
        &self,
        resource: ResourceId,
        row: Arc<Row>,
        position: Position,
        needs: &Needs,
    ) -> Result<Image, Error> {
        if needs.related.is_empty() && needs.lists.is_empty() {
            return Ok(Image::alone(row));
        }
        let reading = Reading { as_of: self, position, listed: AtomicUsize::new(0) };
        reading.image(resource, row, needs).await
    }

    async fn row(&self, target: ResourceId, id: Uuid, position: Position) -> Result<Option<Arc<Row>>, Error> {
        let key = (target, id, position);
        Ok(self.cache.get_or_insert_async(&key, self.read(target, id, position)).await?)
    }

    async fn read(
        &self,
        target: ResourceId,
        id: Uuid,
        position: Position,
    ) -> Result<Option<Arc<Row>>, database::Error> {
        let resource = self.lineage.catalog().resource(target);
        // One statement, so one snapshot: an event cannot slip in between its two halves.
        let mut sql = Sql::text(
            self.database.dialect(),
            "SELECT position, type, before FROM (SELECT position, type, before FROM tandem_event",
        );
        sql.push(" WHERE ");
        push_in(&mut sql, "type", self.lineage.names(target));
        sql.push(" AND row_id=").bind(id);
        sql.push(" AND position>").bind(position.get()).push(" ORDER BY position LIMIT 1) AS later");
        sql.push(" UNION ALL SELECT CAST(0 AS bigint), '', ");
        rows::push_text(&mut sql, "t", resource);
        rows::push_from(&mut sql, "t", resource);
        sql.push(" WHERE ").column("t", &resource.field(Resource::ID).column).push("=").bind(id);
        let records = self.database.query(sql).await?;
        let mut current = None;
        for record in &records {
            let (position, text) = (record.need_int(0)?, record.text(2)?);
            if position > 0 {
                let read = |text: String| read::image_at(&self.lineage, position, &record.need_text(1)?, &text);
                return Ok(text.map(read).transpose()?.flatten());
            }
            current = text;
        }
        current.map(|text| rows::decode(resource, &text)).transpose()
    }

    /// The rows whose to-one field `via` pointed at `parent`.
    async fn list(&self, target: ResourceId, via: FieldId, parent: Uuid, position: Position) -> Result<Listed, Error> {
        let key = (target, via, parent, position);
        self.lists.get_or_insert_async(&key, self.read_list(target, via, parent, position)).await
    }

    async fn read_list(
        &self,
        target: ResourceId,
        via: FieldId,
        parent: Uuid,
        position: Position,
    ) -> Result<Listed, Error> {
        let resource = self.lineage.catalog().resource(target);
        let names = self.lineage.names(target);
        let records = self.database.query(self.list_statement(resource, names, via, parent, position)).await?;
        if records.len() > MAX_LISTED_ROWS {
            return Err(Error::TooManyRows);
        }
        let mut listed = Vec::with_capacity(records.len());
        for record in &records {
            let (at, text) = (record.need_int(0)?, record.need_text(2)?);
            if at == 0 {
                listed.push(rows::decode(resource, &text)?);
                continue;
            }
            let type_name = record.need_text(1)?;
            // Another resource may have had this name then, and its rows have other fields.
            if self.lineage.view(at, &type_name).is_none_or(|view| view.resource != target) {
                continue;
            }
            // It may have come to this parent, or gone from it, after the position.
            let row = read::image_at(&self.lineage, at, &type_name, &text)?;
            listed.extend(row.filter(|row| row.get(via).as_uuid() == Some(parent)));
        }
        Ok(listed.into())
    }

    /// Rows that nothing has happened to since, and images before of the others: of those that point at the parent now
    /// and of those that have stopped to. One statement, so one snapshot.
    fn list_statement(
        &self,
        resource: &Resource,
        names: &[String],
        via: FieldId,
        parent: Uuid,
        position: Position,
    ) -> Sql {
        let (id, foreign_key) = (&resource.field(Resource::ID).column, &resource.field(via).column);
        let position = position.get();
        let limit = MAX_LISTED_ROWS as i64 + 1;
        let mut sql = Sql::text(self.database.dialect(), "SELECT CAST(0 AS bigint), '', ");
        rows::push_text(&mut sql, "t", resource);
        rows::push_from(&mut sql, "t", resource);
        sql.push(" WHERE ").column("t", foreign_key).push("=").bind(parent);
        sql.push(" AND NOT EXISTS(SELECT 1 FROM tandem_event AS e WHERE ");
        push_in(&mut sql, "e.type", names);
        sql.push(" AND e.row_id=").column("t", id).push(" AND e.position>").bind(position);
        sql.push(") UNION ALL SELECT e.position, e.type, e.before FROM tandem_event AS e WHERE ");
        push_in(&mut sql, "e.type", names);
        sql.push(" AND e.position>").bind(position).push(" AND e.before IS NOT NULL");
        sql.push(" AND e.row_id IN (SELECT ").column("t", id);
        rows::push_from(&mut sql, "t", resource);
        sql.push(" WHERE ").column("t", foreign_key).push("=").bind(parent);
        sql.push(" UNION SELECT gone.row_id FROM tandem_departure AS d JOIN tandem_event AS gone");
        sql.push(" ON gone.position=d.position WHERE d.target_id=").bind(parent);
        sql.push(" AND d.position>").bind(position).push(" AND ");
        push_in(&mut sql, "gone.type", names);
        sql.push(") AND NOT EXISTS(SELECT 1 FROM tandem_event AS sooner WHERE ");
        push_in(&mut sql, "sooner.type", names);
        sql.push(" AND sooner.row_id=e.row_id AND sooner.position>").bind(position);
        sql.push(" AND sooner.position<e.position) LIMIT ").bind(limit);
        sql
    }
}

fn push_in(sql: &mut Sql, column: &str, names: &[String]) {
    sql.push(column).push(" IN (");
    sql.list(",", names, |sql, name| {
        sql.bind(name.clone());
    });
    sql.push(")");
}

/// One image in the making.
struct Reading<'a> {
    as_of: &'a AsOf,
    position: Position,
    /// Rows of to-many fields so far.
    listed: AtomicUsize,
}

impl Reading<'_> {
    fn image<'s>(
        &'s self,
        resource: ResourceId,
        row: Arc<Row>,
        needs: &'s Needs,
    ) -> BoxFuture<'s, Result<Image, Error>> {
        Box::pin(async move {
            let definition = self.as_of.lineage.catalog().resource(resource);
            let mut related = Vec::with_capacity(needs.related.len());
            for (field, needs) in &needs.related {
                let target = definition.field(*field).to_one().expect("needs name to-one fields");
                let image = match row.get(*field).as_uuid() {
                    Some(id) => match self.as_of.row(target, id, self.position).await? {
                        Some(row) => Some(Arc::new(self.image(target, row, needs).await?)),
                        None => None,
                    },
                    None => None,
                };
                related.push((*field, image));
            }
            let mut lists = Vec::with_capacity(needs.lists.len());
            for (field, needs) in &needs.lists {
                let (target, via) = definition.field(*field).to_many().expect("needs name lists of related rows");
                let rows = self.as_of.list(target, via, row.id(), self.position).await?;
                if self.listed.fetch_add(rows.len(), Ordering::Relaxed) + rows.len() > MAX_LISTED_ROWS {
                    return Err(Error::TooManyRows);
                }
                let mut images = Vec::with_capacity(rows.len());
                for row in rows.iter() {
                    images.push(Arc::new(self.image(target, Arc::clone(row), needs).await?));
                }
                lists.push((*field, images));
            }
            Ok(Image { row, related, lists })
        })
    }
}
