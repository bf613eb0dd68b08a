//! One connection to PostgreSQL, driven by sqlx alone.
//!
//! A pool of sqlx asks the server whether it is still there whenever a connection comes back, which takes as long as a
//! small statement does; and what has no single value, a [`Column`](super::Column), cannot be bound through SeaORM.

use std::io;
use std::time::Duration;

use sea_orm::Value;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgSeverity};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::time::Instant;

use super::record::Record;
use super::sql::{Parameter, Sql};

/// How long a connection may take to be made, in which a server that is just starting may come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a parameter takes besides the bytes of a text or of a column.
const SHORT_BYTES: usize = 48;

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// An open connection.
pub(super) struct Session(PgConnection);

impl Session {
    /// Connects. A server that is not up yet is tried again for a while.
    ///
    /// # Errors
    /// If there is no connection in time, or the server refuses it.
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let mut pause = Duration::from_millis(10);
        loop {
            let connecting = PgConnection::connect_with(options);
            let outcome = tokio::time::timeout_at(deadline, connecting).await;
            match outcome.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))? {
                Ok(connection) => return Ok(Self(connection)),
                Err(error) if is_starting(&error) && Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a statement, which stays prepared, and gives its rows.
    pub(super) async fn query(&mut self, sql: &Sql) -> Result<Vec<Record>, sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(sql.as_str()), arguments(sql)?);
        let rows = query.fetch_all(&mut self.0).await?;
        Ok(rows.into_iter().map(Record::Postgres).collect())
    }

    /// Runs a statement, which stays prepared, and gives the number of rows that it changed.
    pub(super) async fn run(&mut self, sql: &Sql) -> Result<u64, sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(sql.as_str()), arguments(sql)?);
        Ok(query.execute(&mut self.0).await?.rows_affected())
    }

    /// Runs a statement without values and without rows, such as BEGIN.
    pub(super) async fn control(&mut self, text: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.0).await?;
        Ok(())
    }

    /// Waits for the end of a statement whose answer nobody has read, and asks whether the server is still there.
    pub(super) async fn settle(&mut self) -> Result<(), sqlx::Error> {
        self.0.ping().await
    }
}

/// The options of a URL, with a name for the server's lists and without logging of statements.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    // Plans are kept where that is no worse. To compile one takes longer than these statements do.
    let options = options.application_name("tandem").options([("plan_cache_mode", "auto"), ("jit", "off")]);
    Ok(options.disable_statement_logging())
}

/// Whether a connection cannot be used any more after this error.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        // Nothing has been sent.
        sqlx::Error::Encode(_) => false,
        _ => true,
    }
}

/// Whether a server is there and will take connections in a moment, or may be.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        // too_many_connections, cannot_connect_now
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("53300" | "57P03")),
        _ => false,
    }
}

fn arguments(sql: &Sql) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    // Once, for all that may be long: a buffer that grows takes twice the room.
    let long = sql.parameters().iter().map(|parameter| match parameter {
        Parameter::Column(column) => column.len_bytes(),
        Parameter::Value(Value::String(Some(text))) => text.len(),
        Parameter::Value(_) => 0,
    });
    arguments.reserve(sql.parameters().len(), long.sum::<usize>() + SHORT_BYTES * sql.parameters().len());
    for parameter in sql.parameters() {
        let added = match parameter {
            Parameter::Column(column) => arguments.add(column),
            Parameter::Value(value) => match value {
                Value::Bool(value) => arguments.add(value),
                Value::SmallInt(value) => arguments.add(value),
                Value::Int(value) => arguments.add(value),
                Value::BigInt(value) => arguments.add(value),
                Value::Double(value) => arguments.add(value),
                Value::String(value) => arguments.add(value.as_deref()),
                Value::Bytes(value) => arguments.add(value.as_deref()),
                Value::Uuid(value) => arguments.add(value),
                other => Err(format!("a value of this type cannot be bound: {other:?}").into()),
            },
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
