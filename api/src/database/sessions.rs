//! Connections to PostgreSQL for reads.
//!
//! At most as many as there may be are open, and a read waits for a free one. The one that was used last is used next, so
//! that few stay in use when there is little to do.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::record::Record;
use super::session::{Session, is_broken};
use super::{Error, Sql};

/// How many there are at most.
const MOST: usize = 16;

/// How long a read waits for a free one.
const WAIT: Duration = Duration::from_secs(10);

/// A connection is closed when it is as old as this, so that what a server keeps for each of them does not grow forever,
/// and when nobody has needed it for so long.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);
const MAX_IDLE: Duration = Duration::from_secs(10 * 60);

/// The connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sessions {
    shared: Arc<Shared>,
}

struct Shared {
    options: PgConnectOptions,
    /// The one that was used last is at the end.
    idle: Mutex<Vec<Idle>>,
    free: Arc<Semaphore>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    session: Session,
    opened_at: Instant,
}

impl Connection {
    async fn open(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        Ok(Self { session: Session::open(options).await?, opened_at: Instant::now() })
    }
}

impl Sessions {
    /// Connects once, so that a server that cannot be reached is found now.
    pub(super) async fn open(options: PgConnectOptions) -> Result<Self, Error> {
        let connection = Connection::open(&options).await?;
        let shared = Shared { options, idle: Mutex::default(), free: Arc::new(Semaphore::new(MOST)) };
        shared.put_back(connection);
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs a SELECT statement, which stays prepared, and gives its rows.
    pub(super) async fn query(&self, sql: &Sql) -> Result<Vec<Record>, Error> {
        let mut lease = self.lease().await?;
        if let Some(connection) = self.shared.take_idle() {
            match lease.ask(connection, async |session| session.query(sql).await).await {
                // It has broken while nobody used it, or breaks now; a SELECT may be asked again.
                Err(error) if is_broken(&error) => {}
                result => return Ok(result?),
            }
        }
        let connection = Connection::open(&self.shared.options).await?;
        Ok(lease.ask(connection, async |session| session.query(sql).await).await?)
    }

    /// Runs a statement without values and without rows, once.
    pub(super) async fn control(&self, text: &str) -> Result<(), Error> {
        let mut lease = self.lease().await?;
        let connection = match self.shared.take_idle() {
            Some(connection) => connection,
            None => Connection::open(&self.shared.options).await?,
        };
        Ok(lease.ask(connection, async |session| session.control(text).await).await?)
    }

    async fn lease(&self) -> Result<Lease<'_>, Error> {
        let waiting = tokio::time::timeout(WAIT, Arc::clone(&self.shared.free).acquire_owned());
        let permit = waiting.await.ok().and_then(Result::ok);
        let permit = permit.ok_or_else(|| Error::Unavailable("all connections are busy".to_owned()))?;
        Ok(Lease { shared: &self.shared, permit: Some(permit), connection: None, is_asked: false })
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().expect("nobody panics while holding the connections")
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().pop().map(|idle| idle.connection)
    }

    fn put_back(&self, connection: Connection) {
        let now = Instant::now();
        if now - connection.opened_at > MAX_AGE {
            return;
        }
        let mut idle = self.idle();
        if idle.first().is_some_and(|first| now - first.since > MAX_IDLE) {
            idle.remove(0);
        }
        idle.push(Idle { connection, since: now });
    }
}

/// The right to use a connection, and the one that is used.
struct Lease<'s> {
    shared: &'s Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
    connection: Option<Connection>,
    /// Whether it has been asked something and has not answered.
    is_asked: bool,
}

impl Lease<'_> {
    async fn ask<T>(
        &mut self,
        connection: Connection,
        ask: impl AsyncFnOnce(&mut Session) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        self.is_asked = true;
        let result = ask(&mut self.connection.insert(connection).session).await;
        self.is_asked = false;
        if result.as_ref().is_err_and(is_broken) {
            self.connection = None;
        }
        result
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if !self.is_asked {
            return self.shared.put_back(connection);
        }
        // Whoever asked has gone away. The connection can be used when the answer is there; until then it counts.
        let (shared, permit) = (Arc::clone(self.shared), self.permit.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if connection.session.settle().await.is_ok() {
                    shared.put_back(connection);
                }
                drop(permit);
            });
        }
    }
}
