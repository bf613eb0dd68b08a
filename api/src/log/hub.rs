//! The one reader of the log in a process, which feeds subscriptions and webhooks.
//!
//! It keeps the newest events in a bounded ring. A follower holds a position, not a queue: it takes what is after its
//! position, from the ring or, if it has fallen off the ring, from the database. So a slow follower costs nobody else
//! anything. A wake-up carries no data; losing one costs latency only, because the hub also looks on a timer.
//!
//! - `reads`: the events after a position

mod reads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use entity::{Epoch, Position};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::neighbours::Neighbours;
use super::ring::{MAX_EVENTS, Ring};
use super::{Cursor, CursorError, CursorText, Error, Event, read};
use crate::catalog::{Catalog, Lineage};
use crate::database::{self, Database};

/// Events read from the database in one statement.
const READ_LIMIT: u64 = 1000;

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
mod tests;
