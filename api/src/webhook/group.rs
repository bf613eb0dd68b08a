//! Webhooks with the same document, variables and rights: an event is rendered once for all of them.
//!
//! What a document yields is a function of document, rights and event, so the webhooks of a group share it. Workers of a
//! group are about at the same place in the log; what one of them rendered is kept for a while for the others, and those
//! that want it while it is being rendered wait for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use entity::Position;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::render::{Follow, Refusal, Render, RenderError};
use super::row::{Webhook, encode_principal};
use crate::catalog::{Catalog, ResourceId};
use crate::log::{ChangeKind, Event, Hub};

/// About how much memory what was rendered may take, of all groups.
const CACHE_SIZE_BYTES: u64 = 32 << 20;
/// How many renderings are expected in the cache, for its layout.
const CACHED_RENDERINGS: usize = 16_000;

/// What a group makes of an event, but for what differs between its webhooks.
#[derive(Debug)]
pub struct Rendering {
    /// `order_line.updated`
    pub event: Arc<str>,
    /// Where to continue after the event.
    pub cursor: String,
    /// The JSON of `data`.
    pub data: Bytes,
    /// The JSON of `errors`, if there are any.
    pub errors: Option<Bytes>,
}

type Key = (u64, Position);
type Renderings = Cache<Key, Option<Arc<Rendering>>, BySize>;

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<Key, Option<Arc<Rendering>>> for BySize {
    fn weight(&self, _: &Key, rendering: &Option<Arc<Rendering>>) -> u64 {
        let size = |rendering: &Arc<Rendering>| {
            rendering.data.len() + rendering.errors.as_ref().map_or(0, Bytes::len) + rendering.cursor.len()
        };
        (128 + rendering.as_ref().map_or(0, size)) as u64
    }
}

/// All groups of a process.
pub struct Groups {
    render: Arc<dyn Render>,
    hub: Hub,
    catalog: Arc<Catalog>,
    renderings: Arc<Renderings>,
    /// By what their webhooks have in common. A group ends with its last webhook.
    known: Mutex<HashMap<String, Weak<Group>>>,
    next_id: AtomicU64,
}

/// One group.
pub struct Group {
    id: u64,
    follower: Arc<dyn Follow>,
    hub: Hub,
    catalog: Arc<Catalog>,
    renderings: Arc<Renderings>,
}

impl Groups {
    /// No groups yet.
    pub fn new(render: Arc<dyn Render>, hub: Hub, catalog: Arc<Catalog>) -> Self {
        let renderings = Arc::new(Cache::with_weighter(CACHED_RENDERINGS, CACHE_SIZE_BYTES, BySize));
        Self { render, hub, catalog, renderings, known: Mutex::default(), next_id: AtomicU64::new(0) }
    }

    /// The group of a webhook.
    ///
    /// # Errors
    /// What is wrong with its document.
    pub fn of(&self, webhook: &Webhook) -> Result<Arc<Group>, Vec<Refusal>> {
        let key = Value::from(vec![
            webhook.query.clone(),
            Value::Object(webhook.variables.clone()).to_string(),
            encode_principal(&webhook.principal),
        ]);
        let mut known = self.known.lock().expect("nobody panics while holding the groups");
        if let Some(group) = known.get(&key.to_string()).and_then(Weak::upgrade) {
            return Ok(group);
        }
        let follower = self.render.prepare(&webhook.query, &webhook.variables, Arc::clone(&webhook.principal))?;
        let group = Arc::new(Group {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            follower,
            hub: self.hub.clone(),
            catalog: Arc::clone(&self.catalog),
            renderings: Arc::clone(&self.renderings),
        });
        known.retain(|_, group| group.strong_count() > 0);
        known.insert(key.to_string(), Arc::downgrade(&group));
        Ok(group)
    }
}

impl Group {
    /// Which events may be for the webhooks of the group.
    pub fn kinds(&self) -> &[(ResourceId, ChangeKind)] {
        self.follower.kinds()
    }

    /// What the webhooks of the group get for an event; `None` if it is not for them.
    ///
    /// # Errors
    /// The database failed: the same event may succeed later.
    pub async fn render(&self, event: &Event) -> Result<Option<Arc<Rendering>>, RenderError> {
        if !self.kinds().contains(&(event.resource, event.kind)) {
            return Ok(None);
        }
        self.renderings.get_or_insert_async(&(self.id, event.position), self.render_now(event)).await
    }

    async fn render_now(&self, event: &Event) -> Result<Option<Arc<Rendering>>, RenderError> {
        let Some(rendered) = self.follower.render(event).await? else { return Ok(None) };
        let event_name = format!("{}.{}", self.catalog.resource(event.resource).prefix, event.kind.verb());
        Ok(Some(Arc::new(Rendering {
            event: event_name.into(),
            cursor: self.hub.cursor(event.position),
            data: rendered.data,
            errors: rendered.errors,
        })))
    }
}
