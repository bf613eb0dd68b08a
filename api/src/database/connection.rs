//! The database at run time: its read side, and the connections of the writer.
//!
//! SQLite is driven over rusqlite by threads of its own ([`super::sqlite`]), PostgreSQL by a pool. Whoever reads goes
//! through [`Database::query`]; whoever writes goes through the writer, which alone opens a [`super::WriterConnection`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::lock::FileLock;
use super::look_up::LookUps;
use super::record::Record;
use super::session;
use super::sessions::Sessions;
use super::shared_reads::SharedReads;
use super::sql::{Dialect, Sql};
use super::sqlite::Readers;
use super::{Error, sqlite};

/// The read side of the database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    reads: Arc<Reads>,
    shared: Arc<SharedReads>,
    counter: Option<Arc<AtomicU64>>,
}

enum Reads {
    Sqlite { path: String, readers: Readers, _lock: FileLock },
    Postgres { sessions: Sessions, url: String, look_ups: LookUps },
}

/// How long the database works on one SELECT at most, so that none keeps a connection or a thread from others.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Up to this size it does not matter how a table is read.
const SMALL_BYTES: i64 = 256 * 1024;

impl Database {
    /// Opens an SQLite file that is already there, with some reader threads.
    pub fn open_sqlite(path: &str, lock: FileLock) -> Result<Self, Error> {
        sqlite::prepare(path)?;
        let readers = Readers::start(path, sqlite::reader_count(), READ_TIMEOUT)?;
        Ok(Self::new(Reads::Sqlite { path: path.to_owned(), readers, _lock: lock }))
    }

    /// Connects to PostgreSQL.
    pub async fn connect_postgres(url: &str) -> Result<Self, Error> {
        let timeout = [("statement_timeout", READ_TIMEOUT.as_millis().to_string())];
        let sessions = Sessions::open(session::options(url)?.options(timeout)).await?;
        Ok(Self::new(Reads::Postgres { look_ups: LookUps::new(sessions.clone()), sessions, url: url.to_owned() }))
    }

    fn new(reads: Reads) -> Self {
        Self { reads: Arc::new(reads), shared: Arc::default(), counter: None }
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match *self.reads {
            Reads::Sqlite { .. } => Dialect::Sqlite,
            Reads::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// The same database; statements that are run through this handle are counted.
    #[must_use]
    pub fn counted(&self, counter: Arc<AtomicU64>) -> Self {
        Self { counter: Some(counter), ..self.clone() }
    }

    /// Runs a SELECT statement.
    pub async fn query(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        self.count();
        self.reads.query(sql).await
    }

    /// Runs a SELECT statement that many may ask at the same moment: those of equal text and values that come while it runs
    /// wait, and run as one.
    pub async fn query_shared(&self, sql: Sql) -> Result<Arc<[Record]>, Error> {
        self.count();
        let reads = Arc::clone(&self.reads);
        let ask = move |sql| {
            let reads = Arc::clone(&reads);
            async move { reads.query(sql).await }
        };
        self.shared.run(sql, ask).await
    }

    /// Runs a SELECT statement that gives one row or none, and was made by [`Sql::for_each`] if this is PostgreSQL: there,
    /// what waits at the same moment for the same statement is looked up by one.
    pub async fn look_up(&self, sql: Sql) -> Result<Option<Record>, Error> {
        self.count();
        match &*self.reads {
            Reads::Sqlite { readers, .. } => Ok(readers.query(sql).await?.into_iter().next()),
            Reads::Postgres { look_ups, .. } => look_ups.run(sql).await,
        }
    }

    fn count(&self) {
        if let Some(counter) = &self.counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the writer connects to.
    pub(super) fn target(&self) -> Target<'_> {
        match &*self.reads {
            Reads::Sqlite { path, .. } => Target::Sqlite(path),
            Reads::Postgres { url, .. } => Target::Postgres(url),
        }
    }

    /// Tells PostgreSQL's planner about those of these tables that have become twice as large since it last looked at them,
    /// which also ends every kept plan in which they are. `known_bytes` remembers the sizes at which they were looked at.
    /// SQLite's planner does not look at sizes.
    pub async fn analyze_grown(&self, tables: &[String], known_bytes: &mut HashMap<String, i64>) -> Result<(), Error> {
        let Reads::Postgres { sessions, .. } = &*self.reads else { return Ok(()) };
        let sizes = "SELECT relname::text, pg_relation_size(oid), relpages::bigint * current_setting('block_size')::bigint \
                     FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";
        for record in self.query(Sql::text(Dialect::Postgres, sizes)).await? {
            let (name, bytes, analyzed_bytes) = (record.need_text(0)?, record.need_int(1)?, record.need_int(2)?);
            let known = known_bytes.get(&name).copied().unwrap_or_default().max(analyzed_bytes);
            if !tables.contains(&name) || bytes <= 2 * known + SMALL_BYTES {
                continue;
            }
            let mut sql = Sql::text(Dialect::Postgres, "ANALYZE ");
            sql.ident(&name);
            sessions.control(sql.as_str()).await?;
            known_bytes.insert(name, bytes);
        }
        Ok(())
    }

    /// A connection of its own that listens, where the database is PostgreSQL. It connects when it is first used.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn listener(&self) -> Result<Option<PgListener>, Error> {
        let Reads::Postgres { url, .. } = &*self.reads else { return Ok(None) };
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        Ok(Some(PgListener::connect_with(&pool.connect_lazy_with(session::options(url)?)).await?))
    }
}

impl Reads {
    async fn query(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        match self {
            Self::Sqlite { readers, .. } => readers.query(sql).await,
            Self::Postgres { sessions, .. } => sessions.query(&sql).await,
        }
    }
}

/// Where a connection goes.
pub(super) enum Target<'a> {
    Sqlite(&'a str),
    Postgres(&'a str),
}
