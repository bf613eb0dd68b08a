//! The one connection that writes, and its transactions.
//!
//! The same code drives both databases: on SQLite every future is ready at once, so the writer's thread may block on it.
//!
//! What a transaction costs on PostgreSQL is how often the two sides wait for each other. So it begins with the first
//! statement that locks or writes anything, and one that is a single statement needs neither BEGIN nor COMMIT.

use std::borrow::Borrow;
use std::cell::Cell;
use std::io;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, MutexGuard};

use super::checkpointer::Checkpointer;
use super::connection::Target;
use super::record::Record;
use super::session::{self, Session, is_broken};
use super::sql::{Dialect, Sql};
use super::{Database, Error, sqlite};

/// What the writer asks for it asks for by key, so one plan serves every call of a statement, and to make it anew each time
/// would take as long as to run it. A plan that is kept must be good for tables of any size: one that was made while a table
/// was empty would read all of it for ever.
const KEPT_PLANS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// A connection of its own for the writer. Not shared: one transaction at a time.
pub enum WriterConnection {
    /// SQLite, private to the writer's thread.
    Sqlite(Box<SqliteWriter>),
    /// PostgreSQL.
    Postgres(Box<PostgresWriter>),
}

/// The writer's connection to SQLite.
pub struct SqliteWriter {
    conn: rusqlite::Connection,
    checkpointer: Checkpointer,
}

/// The writer's connection to PostgreSQL. It is made anew when it is needed after it has broken.
pub struct PostgresWriter {
    options: PgConnectOptions,
    session: Mutex<Option<Session>>,
    /// Whether a transaction was begun and dropped: it is still to be rolled back.
    is_left_open: Cell<bool>,
}

impl WriterConnection {
    /// Connects to the database that `database` reads from.
    ///
    /// # Errors
    /// A PostgreSQL whose commits are not durable (`synchronous_commit` off) is refused: acknowledged means durable.
    pub async fn open(database: &Database) -> Result<Self, Error> {
        match database.target() {
            Target::Sqlite(path) => {
                let (conn, checkpointer) = (sqlite::open(path)?, Checkpointer::start(path)?);
                Ok(Self::Sqlite(Box::new(SqliteWriter { conn, checkpointer })))
            }
            Target::Postgres(url) => {
                let options = session::options(url)?.options(KEPT_PLANS);
                let mut session = Session::open(&options).await?;
                let rows = session.query(&Sql::text(Dialect::Postgres, "SHOW synchronous_commit")).await?;
                let setting = rows.first().map(|row| row.need_text(0)).transpose()?.unwrap_or_default();
                if setting == "off" {
                    return Err(Error::Other(
                        "synchronous_commit is off, so an acknowledged write could be lost; set it to on".to_owned(),
                    ));
                }
                let session = Mutex::new(Some(session));
                let is_left_open = Cell::new(false);
                Ok(Self::Postgres(Box::new(PostgresWriter { options, session, is_left_open })))
            }
        }
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Rolls a transaction back that was dropped without a commit, so that it holds no locks any longer. On SQLite that has
    /// happened.
    pub async fn settle(&self) {
        if let Self::Postgres(writer) = self {
            writer.settle().await;
        }
    }

    /// Opens a transaction. Dropped without a commit, it is rolled back with the next one, or by [`Self::settle`].
    pub async fn begin(&self) -> Result<Transaction<'_>, Error> {
        match self {
            Self::Sqlite(writer) => {
                let SqliteWriter { conn, checkpointer } = &**writer;
                sqlite::control(conn, "BEGIN IMMEDIATE")?;
                Ok(Transaction::Sqlite(SqliteTransaction { conn, checkpointer, open: true }))
            }
            Self::Postgres(writer) => {
                writer.settle().await;
                let (is_begun, is_alive) = (Cell::new(false), Cell::new(false));
                Ok(Transaction::Postgres(PostgresTransaction { writer, is_begun, is_alive }))
            }
        }
    }
}

impl PostgresWriter {
    async fn settle(&self) {
        if self.is_left_open.take() {
            let mut session = self.session.lock().await;
            if let Some(open) = &mut *session
                && open.control("ROLLBACK").await.is_err()
            {
                // The server rolls back what a connection leaves.
                *session = None;
            }
        }
    }
}

/// An open write transaction.
pub enum Transaction<'a> {
    /// SQLite.
    Sqlite(SqliteTransaction<'a>),
    /// PostgreSQL.
    Postgres(PostgresTransaction<'a>),
}

/// Begins when it has to.
pub struct PostgresTransaction<'a> {
    writer: &'a PostgresWriter,
    /// Whether it has begun and has not ended.
    is_begun: Cell<bool>,
    /// Whether the server has answered something. Of a connection that broke while nobody used it this must be known before
    /// a statement that commits by itself: later it would be in doubt whether it did.
    is_alive: Cell<bool>,
}

impl PostgresTransaction<'_> {
    /// Asks within the transaction, which begins here if it has not.
    async fn ask<T>(&self, ask: impl AsyncFnOnce(&mut Session) -> Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let mut session = self.session().await?;
        if !self.is_begun.get() {
            self.ask_on(&mut session, async |session| session.control("BEGIN").await).await?;
            self.is_begun.set(true);
        }
        self.ask_on(&mut session, ask).await
    }

    /// Asks outside of a transaction.
    async fn ask_alone<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Session) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut session = self.session().await?;
        self.ask_on(&mut session, ask).await
    }

    /// The connection, which is made if there is none.
    async fn session(&self) -> Result<MutexGuard<'_, Option<Session>>, sqlx::Error> {
        let mut session = self.writer.session.lock().await;
        if session.is_none() {
            if self.is_begun.get() || self.is_alive.get() {
                // What this transaction has done is gone with the connection.
                let message = "the connection broke in the middle of a transaction";
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message).into());
            }
            *session = Some(Session::open(&self.writer.options).await?);
        }
        Ok(session)
    }

    async fn ask_on<T>(
        &self,
        session: &mut Option<Session>,
        ask: impl AsyncFnOnce(&mut Session) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let open = session.as_mut().expect("the connection was made before");
        let result = ask(open).await;
        match &result {
            Err(error) if is_broken(error) => *session = None,
            Ok(_) | Err(_) => self.is_alive.set(true),
        }
        result
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        if self.is_begun.get() {
            self.writer.is_left_open.set(true);
        }
    }
}

/// Why a transaction was not committed.
#[derive(Debug)]
pub enum NotCommitted {
    /// The last statement failed, so nothing was committed.
    Refused(Error),
    /// It is not known whether it was committed.
    InDoubt(Error),
}

impl NotCommitted {
    /// Of a statement that is a transaction by itself. What PostgreSQL says of it before the commit is an error of its own;
    /// a connection that breaks, or is ended, may do so after the commit.
    fn of_single(error: sqlx::Error) -> Self {
        let is_refusal = matches!(error, sqlx::Error::Database(_) | sqlx::Error::Encode(_));
        match Error::from(error) {
            // A server that is told to stop may have committed.
            error @ Error::Unavailable(_) => Self::InDoubt(error),
            error if is_refusal => Self::Refused(error),
            error => Self::InDoubt(error),
        }
    }
}

/// Rolls back when it is dropped while it is open.
pub struct SqliteTransaction<'a> {
    conn: &'a rusqlite::Connection,
    checkpointer: &'a Checkpointer,
    open: bool,
}

impl Transaction<'_> {
    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and gives its rows.
    pub async fn query(&self, sql: impl Borrow<Sql>) -> Result<Vec<Record>, Error> {
        let sql = sql.borrow();
        match self {
            Self::Sqlite(transaction) => sqlite::query(transaction.conn, sql),
            Self::Postgres(transaction) => Ok(transaction.ask(async |session| session.query(sql).await).await?),
        }
    }

    /// Runs a SELECT that locks nothing. It sees what the transaction has written; if that is nothing, it does not begin it.
    pub async fn peek(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        match self {
            Self::Postgres(transaction) if !transaction.is_begun.get() => {
                Ok(transaction.ask_alone(async |session| session.query(&sql).await).await?)
            }
            Self::Sqlite(_) | Self::Postgres(_) => self.query(sql).await,
        }
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub async fn run(&self, sql: impl Borrow<Sql>) -> Result<u64, Error> {
        let sql = sql.borrow();
        match self {
            Self::Sqlite(transaction) => sqlite::run(transaction.conn, sql),
            Self::Postgres(transaction) => Ok(transaction.ask(async |session| session.run(sql).await).await?),
        }
    }

    /// Runs a statement without values and without rows, such as SAVEPOINT.
    pub async fn control(&self, text: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::control(transaction.conn, text),
            Self::Postgres(transaction) => Ok(transaction.ask(async |session| session.control(text).await).await?),
        }
    }

    /// Commits. When this returns, everything in the transaction is durable.
    pub async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(mut transaction) => {
                sqlite::control(transaction.conn, "COMMIT")?;
                transaction.open = false;
                transaction.checkpointer.committed();
                Ok(())
            }
            Self::Postgres(transaction) => {
                if transaction.is_begun.get() {
                    transaction.ask(async |session| session.control("COMMIT").await).await?;
                    transaction.is_begun.set(false);
                }
                Ok(())
            }
        }
    }

    /// Runs the last statement, gives its rows, and commits. When this returns, everything in the transaction is durable.
    ///
    /// # Errors
    /// They say whether it may be committed all the same.
    pub async fn commit_with(self, sql: Sql) -> Result<Vec<Record>, NotCommitted> {
        match self {
            Self::Postgres(transaction) if !transaction.is_begun.get() && transaction.is_alive.get() => {
                transaction.ask_alone(async |session| session.query(&sql).await).await.map_err(NotCommitted::of_single)
            }
            Self::Sqlite(_) | Self::Postgres(_) => {
                let records = self.query(sql).await.map_err(NotCommitted::Refused)?;
                self.commit().await.map_err(NotCommitted::InDoubt)?;
                Ok(records)
            }
        }
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = sqlite::control(self.conn, "ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}
