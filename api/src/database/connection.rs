//! The database at run time: its read side, and the connections of the writer.
//!
//! SQLite is driven over rusqlite by threads of its own ([`super::sqlite`]), PostgreSQL by a pool. Whoever reads goes
//! through [`Database::query`]; whoever writes goes through the writer, which alone opens a [`super::WriterConnection`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::lock::FileLock;
use super::record::Record;
use super::sql::{Dialect, Sql};
use super::sqlite::Readers;
use super::{Error, sqlite};

/// The read side of the database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    reads: Arc<Reads>,
    counter: Option<Arc<AtomicU64>>,
}

enum Reads {
    Sqlite { path: String, readers: Readers, _lock: FileLock },
    Postgres { pool: DatabaseConnection, url: String },
}

/// How many connections the read side of PostgreSQL holds at most; a query waits for a free one.
const POSTGRES_READ_CONNECTIONS: u32 = 16;

/// How long PostgreSQL works on one SELECT at most, so that a client that has long gone does not keep a connection busy.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl Database {
    /// Opens an SQLite file that is already there, with some reader threads.
    pub fn open_sqlite(path: &str, lock: FileLock) -> Result<Self, Error> {
        sqlite::prepare(path)?;
        let readers = Readers::start(path, sqlite::reader_count())?;
        Ok(Self::new(Reads::Sqlite { path: path.to_owned(), readers, _lock: lock }))
    }

    /// Connects to PostgreSQL.
    pub async fn connect_postgres(url: &str) -> Result<Self, Error> {
        let pool = connect(url, POSTGRES_READ_CONNECTIONS, Some(READ_TIMEOUT)).await?;
        Ok(Self::new(Reads::Postgres { pool, url: url.to_owned() }))
    }

    fn new(reads: Reads) -> Self {
        Self { reads: Arc::new(reads), counter: None }
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
        Self { reads: Arc::clone(&self.reads), counter: Some(counter) }
    }

    /// Runs a SELECT statement.
    pub async fn query(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        if let Some(counter) = &self.counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match &*self.reads {
            Reads::Sqlite { readers, .. } => readers.query(sql).await,
            Reads::Postgres { pool, .. } => query_postgres(pool, sql).await,
        }
    }

    /// Where the writer connects to.
    pub(super) fn target(&self) -> Target<'_> {
        match &*self.reads {
            Reads::Sqlite { path, .. } => Target::Sqlite(path),
            Reads::Postgres { url, .. } => Target::Postgres(url),
        }
    }

    /// The pool, where the database is PostgreSQL: for its LISTEN connection.
    pub fn postgres_pool(&self) -> Option<&sqlx::PgPool> {
        match &*self.reads {
            Reads::Sqlite { .. } => None,
            Reads::Postgres { pool, .. } => Some(pool.get_postgres_connection_pool()),
        }
    }
}

/// Where a connection goes.
pub(super) enum Target<'a> {
    Sqlite(&'a str),
    Postgres(&'a str),
}

/// A PostgreSQL pool with Tandem's options.
pub(super) async fn connect(
    url: &str,
    max_connections: u32,
    statement_timeout: Option<Duration>,
) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .min_connections(1)
        .sqlx_logging(false)
        .test_before_acquire(false)
        .set_application_name("tandem")
        .acquire_timeout(Duration::from_secs(10));
    if let Some(timeout) = statement_timeout {
        options.statement_timeout(timeout);
    }
    // A plan that was kept while a table was still empty would scan it, however large it becomes, until its statistics
    // are renewed; and to compile a plan takes longer than these statements do.
    options
        .map_sqlx_postgres_opts(|options| options.options([("plan_cache_mode", "force_custom_plan"), ("jit", "off")]));
    Ok(sea_orm::Database::connect(options).await?)
}

pub(super) fn postgres_statement(sql: Sql) -> Statement {
    let (text, values) = sql.into_parts();
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}

pub(super) async fn query_postgres(conn: &impl ConnectionTrait, sql: Sql) -> Result<Vec<Record>, Error> {
    let rows = conn.query_all_raw(postgres_statement(sql)).await?;
    Ok(rows.into_iter().map(Record::Postgres).collect())
}
