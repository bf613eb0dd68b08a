//! A related row as it was at a position of the log.
//!
//! It is the current row, unless a later event about it is in the log: then that event's image before. So what is shown
//! of a change is a function of its position alone, however late it is rendered, and a line's order is there after the
//! order is gone.

use std::sync::Arc;

use entity::Position;
use futures_util::future::BoxFuture;
use quick_cache::Weighter;
use uuid::Uuid;

use super::rows;
use crate::catalog::{Image, Lineage, Needs, Resource, ResourceId, Row};
use crate::database::{Database, Error, Sql};
use crate::log::{Event, read};

/// About how much memory the rows may take that are kept for the followers that render the same event.
const CACHE_SIZE_BYTES: u64 = 64 << 20;

/// How many rows are expected in the cache, for its layout.
const CACHED_ROWS: usize = 20_000;

/// What a row was at a position stays true: the statement that read it saw the log at that position or later. Either no
/// later event was about the row, then every one that comes changes what was read, or the first of them said what was
/// before it.
type Cache = quick_cache::sync::Cache<Key, Option<Arc<Row>>, BySize>;

type Key = (ResourceId, Uuid, Position);

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<Key, Option<Arc<Row>>> for BySize {
    fn weight(&self, _: &Key, row: &Option<Arc<Row>>) -> u64 {
        (size_of::<Key>() + row.as_ref().map_or(0, |row| row.size_bytes())) as u64
    }
}

/// Reads related rows as of a position. Cheap to clone; what it has read is shared.
#[derive(Clone)]
pub struct AsOf {
    database: Database,
    lineage: Arc<Lineage>,
    cache: Arc<Cache>,
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
        let cache = Cache::with_weighter(CACHED_ROWS, CACHE_SIZE_BYTES, BySize);
        Self { database, lineage, cache: Arc::new(cache) }
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
    pub fn image<'a>(
        &'a self,
        resource: ResourceId,
        row: Arc<Row>,
        position: Position,
        needs: &'a Needs,
    ) -> BoxFuture<'a, Result<Image, Error>> {
        Box::pin(async move {
            let mut related = Vec::with_capacity(needs.related.len());
            for (field, needs) in &needs.related {
                let target =
                    self.lineage.catalog().resource(resource).field(*field).to_one().expect("needs name to-one fields");
                let image = match row.get(*field).as_uuid() {
                    Some(id) => match self.row(target, id, position).await? {
                        Some(row) => Some(Arc::new(self.image(target, row, position, needs).await?)),
                        None => None,
                    },
                    None => None,
                };
                related.push((*field, image));
            }
            Ok(Image { row, related })
        })
    }

    async fn row(&self, target: ResourceId, id: Uuid, position: Position) -> Result<Option<Arc<Row>>, Error> {
        self.cache.get_or_insert_async(&(target, id, position), self.read(target, id, position)).await
    }

    async fn read(&self, target: ResourceId, id: Uuid, position: Position) -> Result<Option<Arc<Row>>, Error> {
        let resource = self.lineage.catalog().resource(target);
        // One statement, so one snapshot: an event cannot slip in between its two halves.
        let mut sql = Sql::text(
            self.database.dialect(),
            "SELECT position, type, before FROM (SELECT position, type, before FROM tandem_event",
        );
        sql.push(" WHERE type IN (");
        sql.list(",", self.lineage.names(target), |sql, name| {
            sql.bind(name.clone());
        });
        sql.push(") AND row_id=").bind(id);
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
}
