//! The one connection that writes, and its transactions.
//!
//! The same code drives both databases: on SQLite every future is ready at once, so the writer's thread may block on it.
//!
//! What a transaction costs on PostgreSQL is how often the two sides wait for each other. So it begins with the first
//! statement that locks or writes anything, and one that is a single statement needs neither BEGIN nor COMMIT.

use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, TransactionTrait};
use tokio::sync::OnceCell;

use super::connection::{Target, Use, connect, postgres_statement, query_postgres};
use super::record::Record;
use super::sql::{Dialect, Sql};
use super::{Database, Error, sqlite};

/// A connection of its own for the writer. Not shared: one transaction at a time.
pub enum WriterConnection {
    /// SQLite, private to the writer's thread.
    Sqlite(sea_orm_blocking::DatabaseConnection),
    /// PostgreSQL, a pool of one.
    Postgres(DatabaseConnection),
}

impl WriterConnection {
    /// Connects to the database that `database` reads from.
    ///
    /// # Errors
    /// A PostgreSQL whose commits are not durable (`synchronous_commit` off) is refused: acknowledged means durable.
    pub async fn open(database: &Database) -> Result<Self, Error> {
        match database.target() {
            Target::Sqlite(path) => Ok(Self::Sqlite(sqlite::open(path)?)),
            Target::Postgres(url) => {
                let pool = connect(url, Use::Writes).await?;
                let rows = query_postgres(&pool, Sql::text(Dialect::Postgres, "SHOW synchronous_commit")).await?;
                let setting = rows.first().map(|row| row.need_text(0)).transpose()?.unwrap_or_default();
                if setting == "off" {
                    return Err(Error::Other(
                        "synchronous_commit is off, so an acknowledged write could be lost; set it to on".to_owned(),
                    ));
                }
                Ok(Self::Postgres(pool))
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

    /// Opens a transaction. Dropped without a commit, it is rolled back.
    pub async fn begin(&self) -> Result<Transaction<'_>, Error> {
        match self {
            Self::Sqlite(conn) => {
                sqlite::control(conn, "BEGIN IMMEDIATE")?;
                Ok(Transaction::Sqlite(SqliteTransaction { conn, open: true }))
            }
            Self::Postgres(pool) => Ok(Transaction::Postgres(PostgresTransaction {
                pool,
                begun: OnceCell::new(),
                is_alive: AtomicBool::new(false),
            })),
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

/// Begins when it has to. Rolled back by sea-orm when it is dropped.
pub struct PostgresTransaction<'a> {
    pool: &'a DatabaseConnection,
    begun: OnceCell<DatabaseTransaction>,
    /// Whether the server has answered something. Of a connection that broke while nobody used it this must be known before
    /// a statement that commits by itself: later it would be in doubt whether it did.
    is_alive: AtomicBool,
}

impl PostgresTransaction<'_> {
    async fn begun(&self) -> Result<&DatabaseTransaction, Error> {
        Ok(self.begun.get_or_try_init(|| self.pool.begin()).await?)
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
    fn of_single(error: DbErr) -> Self {
        let is_refusal = match &error {
            DbErr::Query(RuntimeErr::SqlxError(e)) | DbErr::Exec(RuntimeErr::SqlxError(e)) => {
                matches!(&**e, sqlx::Error::Database(_))
            }
            // Nothing has been sent.
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => return Self::Refused(error.into()),
            _ => false,
        };
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
    conn: &'a sea_orm_blocking::DatabaseConnection,
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
    pub async fn query(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::query(transaction.conn, sql),
            Self::Postgres(transaction) => query_postgres(transaction.begun().await?, sql).await,
        }
    }

    /// Runs a SELECT that locks nothing. It sees what the transaction has written; if that is nothing, it does not begin it.
    pub async fn peek(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        match self {
            Self::Postgres(PostgresTransaction { pool, begun, is_alive }) if !begun.initialized() => {
                let records = query_postgres(*pool, sql).await?;
                is_alive.store(true, Ordering::Relaxed);
                Ok(records)
            }
            Self::Sqlite(_) | Self::Postgres(_) => self.query(sql).await,
        }
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub async fn run(&self, sql: Sql) -> Result<u64, Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::run(transaction.conn, sql),
            Self::Postgres(transaction) => {
                Ok(transaction.begun().await?.execute_raw(postgres_statement(sql)).await?.rows_affected())
            }
        }
    }

    /// Runs a statement without values and without rows, such as SAVEPOINT.
    pub async fn control(&self, text: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::control(transaction.conn, text),
            Self::Postgres(transaction) => {
                transaction.begun().await?.execute_unprepared(text).await?;
                Ok(())
            }
        }
    }

    /// Commits. When this returns, everything in the transaction is durable.
    pub async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(mut transaction) => {
                sqlite::control(transaction.conn, "COMMIT")?;
                transaction.open = false;
                Ok(())
            }
            Self::Postgres(transaction) => match transaction.begun.into_inner() {
                Some(transaction) => Ok(transaction.commit().await?),
                None => Ok(()),
            },
        }
    }

    /// Runs the last statement, gives its rows, and commits. When this returns, everything in the transaction is durable.
    ///
    /// # Errors
    /// They say whether it may be committed all the same.
    pub async fn commit_with(self, sql: Sql) -> Result<Vec<Record>, NotCommitted> {
        match self {
            Self::Postgres(PostgresTransaction { pool, begun, is_alive })
                if !begun.initialized() && is_alive.load(Ordering::Relaxed) =>
            {
                let rows = pool.query_all_raw(postgres_statement(sql)).await.map_err(NotCommitted::of_single)?;
                Ok(rows.into_iter().map(Record::Postgres).collect())
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
