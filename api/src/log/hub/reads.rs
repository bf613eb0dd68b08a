//! The events after a position: from the ring, or from the database for whoever has fallen off it.

use std::sync::{Arc, RwLockReadGuard};

use entity::Position;

use super::super::ring::{MAX_EVENTS, Ring};
use super::super::{ChangeKind, Error, Event, read};
use super::{Hub, Inner, READ_LIMIT};
use crate::catalog::ResourceId;
use crate::database;

/// Positions that one read for events of some kinds passes over.
const PASSED: i64 = 4_000;
/// Events that such a read gives at most. To read and decode more would keep a processor for milliseconds, and mutations wait
/// for it meanwhile.
pub(super) const AT_ONCE: usize = 64;

impl Hub {
    /// The events after a position, in order, at most `limit`; none if there are none yet.
    pub async fn after(&self, position: Position, limit: usize) -> Result<Vec<Arc<Event>>, Error> {
        if position >= self.tail() {
            return Ok(Vec::new());
        }
        if let Some(events) = self.in_ring(position, limit) {
            return Ok(events);
        }
        if self.reach_back(position).await?
            && let Some(events) = self.in_ring(position, limit)
        {
            return Ok(events);
        }
        read::after(&self.inner.database, &self.inner.lineage, position, (limit as u64).min(READ_LIMIT)).await
    }

    /// The events of some kinds after a position, in order, at most `limit`, and up to where there are no others of them;
    /// there may be some of other kinds among them. Nothing is read of others that are no longer in the ring, so whoever
    /// is far behind passes over them at little cost.
    pub async fn after_of(
        &self,
        kinds: &[(ResourceId, ChangeKind)],
        position: Position,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, Position), Error> {
        if self.is_recent(position) {
            let events = self.after(position, limit).await?;
            let end = events.last().map_or(position, |last| last.position);
            return Ok((events, end));
        }
        self.read_of(kinds, position, limit).await
    }

    /// The same from the database.
    pub(super) async fn read_of(
        &self,
        kinds: &[(ResourceId, ChangeKind)],
        position: Position,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, Position), Error> {
        let until = self.tail().get().min(position.get() + PASSED);
        let until = Position::new(until).map_err(database::Error::from)?;
        let Inner { database, lineage, .. } = &*self.inner;
        let limit = limit.min(AT_ONCE);
        let events = read::matching(database, lineage, kinds, position, until, limit as u64).await?;
        let is_all = events.len() < limit;
        let end = events.last().filter(|_| !is_all).map_or(until, |last| last.position);
        Ok((events, end))
    }

    /// Whether it is not further behind than the ring may reach.
    fn is_recent(&self, position: Position) -> bool {
        self.tail().get() - position.get() < MAX_EVENTS as i64
    }

    /// Reads what is missing between a recent position and the ring into the ring, so that those who come back together,
    /// as after a restart, do not all read it. Whether the position was recent.
    async fn reach_back(&self, position: Position) -> Result<bool, database::Error> {
        if !self.is_recent(position) {
            return Ok(false);
        }
        let _turn = self.inner.reaching.lock().await;
        while self.is_recent(position) {
            let first = match self.ring().first() {
                Some(first) if first <= position.next() => return Ok(true),
                Some(first) => first,
                None => self.tail().next(),
            };
            let events = read::before(&self.inner.database, &self.inner.lineage, first, READ_LIMIT).await?;
            let mut ring = self.inner.ring.write().expect("nobody panics while holding the ring");
            if events.is_empty() || !ring.reach_back(events, self.tail()) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.inner.ring.read().expect("nobody panics while holding the ring")
    }

    fn in_ring(&self, position: Position, limit: usize) -> Option<Vec<Arc<Event>>> {
        self.ring().after(position, limit)
    }

    /// The event at this position, if it is one of the newest.
    pub fn recent(&self, position: Position) -> Option<Arc<Event>> {
        let before = Position::new(position.get() - 1).ok()?;
        self.in_ring(before, 1)?.into_iter().next()
    }
}
