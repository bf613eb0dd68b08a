//! SQLite at run time: connections over rusqlite, each of them private to one thread.
//!
//! Reads run on a few reader threads that share one bounded queue; when it is full, callers wait. Writes run on the
//! writer's thread. WAL lets them go on side by side.
//!
//! A read that takes too long, or that nobody waits for any more, is interrupted, so that it cannot keep a reader thread
//! from everybody else. What is written is never interrupted.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use sea_orm::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::float_sum::FloatSum;
use super::record::Record;
use super::sql::{Parameter, Sql};
use super::time_limit::TimeLimit;
use super::{Error, packed};

/// Reader threads: as many as there are processors, for reads are bound by these, but not fewer than two, so that a long
/// one does not hold up all others.
pub(super) fn reader_count() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 16))
}

/// Reads that may wait for a reader thread.
const QUEUE_LENGTH: usize = 1024;

/// Statements that a connection keeps prepared; the one that was not used for the longest time makes room. rusqlite keeps
/// 16, which is less than a writer that knows a few resources goes through in one transaction.
const PREPARED_STATEMENTS: usize = 128;

/// Makes the file one that is read and written side by side. It stays so; to be done once, before anything else opens it.
pub(super) fn prepare(path: &str) -> Result<(), Error> {
    let conn = open(path)?;
    Ok(conn.execute_batch("PRAGMA journal_mode = WAL")?)
}

/// Opens a connection with Tandem's settings: a commit is on the disk when it returns.
pub(super) fn open(path: &str) -> Result<Connection, Error> {
    open_and(path, |_| Ok(()))
}

fn open_and(path: &str, prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<Connection, Error> {
    let conn = Connection::open(path).map_err(|e| Error::Unavailable(e.to_string()))?;
    conn.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    add_functions(&conn).and_then(|()| prepare(&conn)).map_err(|e| Error::Unavailable(e.to_string()))?;
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA cache_size = -32000",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA wal_autocheckpoint = 4000",
    ] {
        conn.execute_batch(pragma)?;
    }
    Ok(conn)
}

/// Adds functions for what SQLite's own conversions between floats and texts do not do exactly: they give 15 digits by
/// themselves, and of 17 the last one may be wrong below 1e-80 and above 1e100, in both directions.
///
/// - `tandem_float(float)`: a text that is read as the same float again
/// - `tandem_has_float(list, float)`: whether a JSON list of numbers has this one
/// - `tandem_float_sum(float)`: the sum of many, as a text; see [`FloatSum`]
///
/// Of null, both give null.
fn add_functions(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("tandem_float", 1, flags, |arguments| {
        Ok(arguments.get::<Option<f64>>(0)?.map(|float| format!("{float:e}")))
    })?;
    conn.create_scalar_function("tandem_has_float", 2, flags, |arguments| {
        let (Some(list), float) = (arguments.get::<Option<String>>(0)?, arguments.get::<f64>(1)?) else {
            return Ok(None);
        };
        let items: Vec<f64> =
            serde_json::from_str(&list).map_err(|e| rusqlite::Error::UserFunctionError(Box::new(e)))?;
        Ok(Some(items.contains(&float)))
    })?;
    conn.create_aggregate_function("tandem_float_sum", 1, flags, FloatSum)?;
    packed::add_functions(conn)
}

/// Runs a statement and gives its rows. The statement stays prepared.
pub(super) fn query(conn: &Connection, sql: &Sql) -> Result<Vec<Record>, Error> {
    let mut statement = conn.prepare_cached(sql.as_str())?;
    for (i, parameter) in sql.parameters().iter().enumerate() {
        statement.raw_bind_parameter(i + 1, bound(parameter)?)?;
    }
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|i| row.get::<_, Owned>(i)).collect::<rusqlite::Result<_>>()?;
        records.push(Record::Sqlite(values));
    }
    Ok(records)
}

/// A value as SQLite takes it, not copied before.
fn bound(parameter: &Parameter) -> Result<ToSqlOutput<'_>, Error> {
    let int = |int: Option<i64>| int.map_or(ValueRef::Null, ValueRef::Integer);
    Ok(ToSqlOutput::Borrowed(match parameter {
        Parameter::Value(Value::Bool(value)) => int(value.map(i64::from)),
        Parameter::Value(Value::SmallInt(value)) => int(value.map(i64::from)),
        Parameter::Value(Value::Int(value)) => int(value.map(i64::from)),
        Parameter::Value(Value::BigInt(value)) => int(*value),
        Parameter::Value(Value::Double(value)) => value.map_or(ValueRef::Null, ValueRef::Real),
        Parameter::Value(Value::String(value)) => value.as_ref().map_or(ValueRef::Null, |text| text.as_str().into()),
        Parameter::Value(Value::Bytes(value)) => {
            value.as_ref().map_or(ValueRef::Null, |bytes| ValueRef::Blob(bytes.as_slice()))
        }
        Parameter::Value(Value::Uuid(value)) => {
            value.as_ref().map_or(ValueRef::Null, |id| ValueRef::Blob(id.as_bytes()))
        }
        other => return Err(Error::Other(format!("a value of this type cannot be bound: {other:?}"))),
    }))
}

/// Runs a statement and gives the number of rows that it changed.
pub(super) fn run(conn: &Connection, sql: &Sql) -> Result<u64, Error> {
    query(conn, sql)?;
    Ok(conn.changes())
}

/// Runs a statement without values.
pub(super) fn control(conn: &Connection, text: &str) -> Result<(), Error> {
    conn.prepare_cached(text)?.raw_query().next()?;
    Ok(())
}

struct Read {
    sql: Sql,
    reply: oneshot::Sender<Result<Vec<Record>, Error>>,
    place: OwnedSemaphorePermit,
}

/// The reader threads. They end when the last clone of this is dropped.
#[derive(Clone)]
pub(super) struct Readers {
    queue: crossbeam_channel::Sender<Read>,
    /// One permit for each place in the queue, so that a full queue is awaited and does not block.
    places: Arc<Semaphore>,
}

impl Readers {
    /// Starts so many. A read may take as long as `limit`; then it is [`Error::TimedOut`].
    pub(super) fn start(path: &str, count: usize, limit: Duration) -> Result<Self, Error> {
        let (queue, reads) = crossbeam_channel::bounded::<Read>(QUEUE_LENGTH);
        let (opened, openings) = std::sync::mpsc::channel();
        for i in 0..count {
            let (path, reads, opened) = (path.to_owned(), reads.clone(), opened.clone());
            // A connection cannot leave the thread that opened it.
            let serve = move || {
                let time_limit = TimeLimit::new(limit);
                let conn = match open_and(&path, |conn| time_limit.watch(conn)) {
                    Ok(conn) => conn,
                    Err(error) => {
                        let _ = opened.send(Err(error));
                        return;
                    }
                };
                let _ = opened.send(Ok(()));
                for Read { sql, reply, place } in reads {
                    // A request that has timed out in the queue must not cost those behind it any more.
                    if reply.is_closed() {
                        continue;
                    }
                    let (reply, result) = time_limit.run(reply, || query(&conn, &sql));
                    // Whoever asked may have gone away; that is not this thread's business.
                    let _ = reply.send(result);
                    drop(place);
                }
            };
            std::thread::Builder::new()
                .name(format!("sqlite-reader-{i}"))
                .spawn(serve)
                .map_err(|e| Error::Other(format!("a reader thread cannot be started: {e}")))?;
        }
        for _ in 0..count {
            openings.recv().map_err(|_| Error::Other("a reader thread has ended".to_owned()))??;
        }
        Ok(Self { queue, places: Arc::new(Semaphore::new(QUEUE_LENGTH)) })
    }

    pub(super) async fn query(&self, sql: Sql) -> Result<Vec<Record>, Error> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::Unavailable("the reader threads have ended".to_owned());
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| gone())?;
        self.queue.send(Read { sql, reply, place }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Dialect;

    /// Does not end by itself.
    fn endless() -> Sql {
        let text = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        Sql::text(Dialect::Sqlite, text)
    }

    fn one_reader(limit: Duration) -> (tempfile::TempDir, Readers) {
        let directory = tempfile::tempdir().unwrap();
        let readers = Readers::start(directory.path().join("some.db").to_str().unwrap(), 1, limit).unwrap();
        (directory, readers)
    }

    async fn is_free(readers: &Readers) {
        let answer = readers.query(Sql::text(Dialect::Sqlite, "SELECT 1"));
        let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.expect("the reader is free again");
        assert_eq!(answer.unwrap()[0].need_int(0).unwrap(), 1);
    }

    #[tokio::test]
    async fn a_read_that_takes_too_long_ends() {
        let (_directory, readers) = one_reader(Duration::from_millis(50));
        let answer = readers.query(endless()).await;
        assert!(matches!(answer, Err(Error::TimedOut(_))));
        is_free(&readers).await;
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_ends() {
        let (_directory, readers) = one_reader(Duration::from_secs(3600));
        let asked = tokio::time::timeout(Duration::from_millis(50), readers.query(endless())).await;
        assert!(asked.is_err());
        is_free(&readers).await;
    }
}
