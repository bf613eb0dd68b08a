//! The one reader of the log in a process, which feeds subscriptions and webhooks.
//!
//! It keeps the newest events in a bounded ring. A follower holds a position, not a queue: it takes what is after its
//! position, from the ring or, if it has fallen off the ring, from the database. So a slow follower costs nobody else
//! anything. A wake-up carries no data; losing one costs latency only, because the hub also looks on a timer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use entity::{Epoch, Position};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::neighbours::Neighbours;
use super::ring::{MAX_EVENTS, Ring};
use super::{ChangeKind, Cursor, CursorError, CursorText, Error, Event, read};
use crate::catalog::{Catalog, Lineage, ResourceId};
use crate::database::{self, Database};

/// Events read from the database in one statement.
const READ_LIMIT: u64 = 1000;

/// Positions that one read for events of some kinds passes over.
const PASSED: i64 = 4_000;

/// How long the hub waits at most before it looks for new events by itself.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// After this long without an answer of the database followers are told that what they have may be stale.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// The hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    lineage: Arc<Lineage>,
    epoch: Epoch,
    ring: RwLock<Ring>,
    /// The last position that the ring has taken.
    tail: watch::Sender<Position>,
    /// Since when the log cannot be read; `None` while it can.
    stale_since: watch::Sender<Option<SystemTime>>,
    wake: Notify,
    announce: Notify,
    /// Held by whoever lets the ring reach further back.
    reaching: Mutex<()>,
    head: HeadReads,
}

/// Reads of the head row: those who ask while one runs share the next one.
#[derive(Default)]
struct HeadReads {
    /// How many have begun.
    begun: AtomicU64,
    /// The number of the last one that is done, and what it gave.
    last: Mutex<(u64, Position)>,
}

impl Hub {
    /// Events that the hub has in memory, or reads once for all who ask for them.
    pub const RECENT: usize = MAX_EVENTS;

    /// A hub that starts at the end of the log.
    pub async fn open(database: Database, catalog: Arc<Catalog>) -> Result<Self, database::Error> {
        let head = read::head(&database).await?;
        let lineage = Arc::new(read::lineage(&database, catalog).await?);
        let inner = Inner {
            database,
            lineage,
            epoch: head.epoch,
            ring: RwLock::default(),
            tail: watch::Sender::new(head.position),
            stale_since: watch::Sender::new(None),
            wake: Notify::new(),
            announce: Notify::new(),
            reaching: Mutex::default(),
            head: HeadReads::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads the log until it is told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            self.refresh().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.inner.wake.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    /// On PostgreSQL, wakes the hub when another node says that it has written, and tells the others what [`Hub::written`]
    /// says.
    pub async fn meet_neighbours(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let exchange = tokio::select! {
                () = stop.cancelled() => return,
                exchange = self.exchange_news() => exchange,
            };
            match exchange {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "until LISTEN works again, news between nodes come by polling");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Ends where there can be no other nodes.
    async fn exchange_news(&self) -> Result<(), database::Error> {
        let Some(mut neighbours) = Neighbours::meet(&self.inner.database).await? else { return Ok(()) };
        loop {
            tokio::select! {
                news = neighbours.news() => {
                    news?;
                    self.wake();
                }
                () = self.inner.announce.notified() => neighbours.tell().await?,
            }
        }
    }

    /// Says that this process has appended these events to the log, all of one commit. If they are the next ones they need
    /// not be read.
    pub fn written(&self, events: &[Arc<Event>]) {
        let is_next = events.first().is_some_and(|first| first.position == self.tail().next());
        if !is_next || !self.take(events.to_vec()) {
            self.wake();
        }
        self.inner.announce.notify_one();
    }

    /// Says that the log may have grown.
    fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Reads what is new. While that fails, or has no answer, the hub says that it is stale.
    async fn refresh(&self) {
        let reading = self.read_new();
        tokio::pin!(reading);
        let outcome = match tokio::time::timeout(STALE_AFTER, &mut reading).await {
            Ok(outcome) => outcome,
            Err(_) => {
                tracing::warn!("the database does not answer; what followers have may be stale");
                self.say_stale(true);
                reading.await
            }
        };
        if let Err(error) = &outcome {
            tracing::warn!(%error, "the log cannot be read; trying again");
        }
        self.say_stale(outcome.is_err());
    }

    fn say_stale(&self, is_stale: bool) {
        self.inner.stale_since.send_if_modified(|since| {
            let is_news = since.is_some() != is_stale;
            if is_news {
                *since = is_stale.then(SystemTime::now);
            }
            is_news
        });
    }

    /// Since when the log could not be read; `None` while it can. Followers stay where they are meanwhile.
    pub fn stale_since(&self) -> watch::Receiver<Option<SystemTime>> {
        self.inner.stale_since.subscribe()
    }

    async fn read_new(&self) -> Result<(), Error> {
        loop {
            let tail = self.tail();
            let events = read::after(&self.inner.database, &self.inner.lineage, tail, READ_LIMIT).await?;
            if events.is_empty() {
                return Ok(());
            }
            let is_all = (events.len() as u64) < READ_LIMIT;
            self.take(events);
            if is_all {
                return Ok(());
            }
        }
    }

    /// Moves the tail over events without a gap, of which the ring may have some already. Whether they are the next ones.
    fn take(&self, mut events: Vec<Arc<Event>>) -> bool {
        let mut ring = self.inner.ring.write().expect("nobody panics while holding the ring");
        let tail = self.tail();
        events.retain(|event| event.position > tail);
        let (Some(first), Some(last)) = (events.first(), events.last().map(|last| last.position)) else { return true };
        if first.position != tail.next() {
            return false;
        }
        ring.extend(events);
        self.inner.tail.send_replace(last);
        true
    }

    /// The end of the log: at least the position of all that anybody has been told to be committed. However many ask, one
    /// read at a time goes to the database.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn head(&self) -> Result<Position, database::Error> {
        let HeadReads { begun, last } = &self.inner.head;
        // One that has begun before may have seen less than the caller knows.
        let wanted = begun.load(Ordering::SeqCst) + 1;
        let mut last = last.lock().await;
        if last.0 < wanted {
            let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
            *last = (number, read::head(&self.inner.database).await?.position);
        }
        Ok(last.1)
    }

    /// The last position that the hub has read.
    pub fn tail(&self) -> Position {
        *self.inner.tail.borrow()
    }

    /// How events are read that are older than the resource file.
    pub fn lineage(&self) -> &Arc<Lineage> {
        &self.inner.lineage
    }

    /// Which history of the log this is.
    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// The opaque form of a position.
    pub fn cursor(&self, position: Position) -> String {
        Cursor { epoch: self.inner.epoch, position }.encode()
    }

    /// The same, as deliveries have it.
    pub fn cursor_text(&self, position: Position) -> CursorText {
        Cursor { epoch: self.inner.epoch, position }.text()
    }

    /// The position of a cursor that a client gave.
    ///
    /// # Errors
    /// [`CursorError::Expired`] for a cursor of another history, [`CursorError::Invalid`] for what is no cursor or is
    /// ahead of the log.
    pub async fn position(&self, cursor: &str) -> Result<Position, PositionError> {
        let cursor = Cursor::decode(cursor)?;
        if cursor.epoch != self.inner.epoch {
            return Err(CursorError::Expired.into());
        }
        // A cursor may come from a statement that saw more than the hub has read so far.
        if cursor.position > self.tail() && cursor.position > self.head().await? {
            return Err(CursorError::Invalid.into());
        }
        Ok(cursor.position)
    }

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
    async fn read_of(
        &self,
        kinds: &[(ResourceId, ChangeKind)],
        position: Position,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, Position), Error> {
        let until = self.tail().get().min(position.get() + PASSED);
        let until = Position::new(until).map_err(database::Error::from)?;
        let Inner { database, lineage, .. } = &*self.inner;
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

    /// Returns once the hub has read beyond this position.
    pub async fn changed(&self, position: Position) {
        let mut tail = self.inner.tail.subscribe();
        // The sender lives as long as the hub, which is borrowed here.
        let _ = tail.wait_for(|tail| *tail > position).await;
    }
}

/// Why a cursor has no position here.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// The cursor is refused.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use serde_json::json;

    use super::*;
    use crate::database::Sql;
    use crate::testing::{STORE, admin, on_both};

    #[tokio::test(flavor = "multi_thread")]
    async fn those_who_come_together_read_once() {
        on_both(STORE, async |app| {
            for number in 1..=20 {
                let create = format!(
                    "mutation {{ createProduct(input: {{sku: \"SKU-{number}\", name: \"x\", price: \"1\"}}) {{ userErrors {{ message }} }} }}"
                );
                app.run(&admin(), &create, json!({})).await;
            }
            let statements = Arc::new(AtomicU64::new(0));
            let database = app.parts.database.counted(Arc::clone(&statements));
            let catalog = Arc::clone(app.parts.hub.lineage().catalog());
            let hub = Hub::open(database, catalog).await.unwrap();
            let taken = || statements.swap(0, Ordering::SeqCst);
            taken();
            // As after a restart: nothing is in the ring yet, and all come back from somewhere.
            let position = |number: i64| Position::new(number % 20).unwrap();
            let cursors = (0..25).map(async |number| {
                let position = hub.position(&hub.cursor(position(number))).await.unwrap();
                hub.after(position, 1).await.unwrap()[0].position.get()
            });
            let expected: Vec<_> = (0..25).map(|number| position(number).next().get()).collect();
            assert_eq!(join_all(cursors).await, expected);
            assert_eq!(taken(), 1);
            // All that wait share a read that has begun after they came. Whoever comes later may know more, and reads again.
            let reading = hub.inner.head.last.lock().await;
            let heads = join_all((0..25).map(async |_| hub.head().await.unwrap().get()));
            let (heads, ()) = tokio::join!(biased; heads, async { drop(reading) });
            assert_eq!((heads, taken()), (vec![20; 25], 1));
            assert_eq!((hub.head().await.unwrap().get(), taken()), (20, 1));
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_far_behind_passes_over_what_is_not_for_it() {
        on_both(STORE, async |app| {
            for number in 1..=6 {
                let create = format!(
                    "mutation {{ createProduct(input: {{sku: \"SKU-{number}\", name: \"x\", price: \"1\"}}) {{ userErrors {{ message }} }} }}"
                );
                app.run(&admin(), &create, json!({})).await;
            }
            let hub = &app.parts.hub;
            let product = hub.lineage().catalog().find("Product").unwrap();
            let positions = async |kind, after, limit| {
                let after = Position::new(after).unwrap();
                let (events, end) = hub.read_of(&[(product, kind)], after, limit).await.unwrap();
                (events.iter().map(|event| event.position.get()).collect::<Vec<_>>(), end.get())
            };
            assert_eq!(positions(ChangeKind::Created, 0, 4).await, (vec![1, 2, 3, 4], 4), "there may be more");
            assert_eq!(positions(ChangeKind::Created, 4, 4).await, (vec![5, 6], 6));
            assert_eq!(positions(ChangeKind::Updated, 0, 4).await, (vec![], 6));
            assert_eq!(positions(ChangeKind::Updated, 6, 4).await, (vec![], 6));
            let delete = Sql::text(app.parts.database.dialect(), "DELETE FROM tandem_event WHERE position <= 2");
            app.parts.writer.statements(vec![delete]).await.unwrap();
            let expired = hub.read_of(&[(product, ChangeKind::Updated)], Position::START, 4).await;
            assert!(matches!(expired, Err(Error::Expired)), "it must not pass over what it cannot know");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_this_process_writes_is_not_read_again() {
        on_both(STORE, async |app| {
            let before = app.parts.hub.tail();
            let create =
                "mutation { createProduct(input: {sku: \"SKU-1\", name: \"x\", price: \"1\"}) { change { id } userErrors { message } } }";
            let made = app.run(&admin(), create, json!({})).await;
            // Whoever has an answer finds the event in the hub already.
            assert_eq!(app.parts.hub.tail(), before.next(), "{made}");
            let own = app.parts.hub.after(before, 1).await.unwrap();
            let read = read::after(&app.parts.database, app.parts.hub.lineage(), before, 1).await.unwrap();
            assert_eq!(format!("{own:?}"), format!("{read:?}"));
            // What is not next is read.
            assert!(!app.parts.hub.take(vec![Arc::new(Event { position: before.next().next().next(), ..(*own[0]).clone() })]));
            assert!(app.parts.hub.take(own), "what it has already is passed over");
            assert_eq!(app.parts.hub.tail(), before.next());
        })
        .await;
    }
}
