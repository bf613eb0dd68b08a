//! The one connection that writes, and its transactions.
//!
//! The same code drives both databases: on SQLite every future is ready at once, so the writer's thread may block on it.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait};

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
            Self::Postgres(pool) => Ok(Transaction::Postgres(pool.begin().await?)),
        }
    }
}

/// An open write transaction.
pub enum Transaction<'a> {
    /// SQLite.
    Sqlite(SqliteTransaction<'a>),
    /// PostgreSQL, rolled back by sea-orm when it is dropped.
    Postgres(DatabaseTransaction),
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
            Self::Postgres(transaction) => query_postgres(transaction, sql).await,
        }
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub async fn run(&self, sql: Sql) -> Result<u64, Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::run(transaction.conn, sql),
            Self::Postgres(transaction) => Ok(transaction.execute_raw(postgres_statement(sql)).await?.rows_affected()),
        }
    }

    /// Runs a statement without values and without rows, such as SAVEPOINT.
    pub async fn control(&self, text: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::control(transaction.conn, text),
            Self::Postgres(transaction) => {
                transaction.execute_unprepared(text).await?;
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
            Self::Postgres(transaction) => Ok(transaction.commit().await?),
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
