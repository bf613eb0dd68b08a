//! Carries what is in SQLite's write-ahead log over into the database file, beside the writer.
//!
//! SQLite by itself has a commit do it when the log is long, and whoever waits for that commit, or stands behind it, waits
//! for some 2,000 pages and two syncs more. Here a thread with a connection of its own does it after a few commits, without
//! making anybody wait (PASSIVE), and the next transaction begins the log anew. What is committed is durable by the log, so
//! nothing depends on when this happens, or whether it does: a log that grows long is still cut by a commit.
//!
//! Invariant: the thread ends with the writer's connection.

use std::cell::Cell;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::{Error, sqlite};

/// Commits between two times.
const COMMITS: u32 = 64;
/// How often it is tried to come to the end of the log, which goes on meanwhile: only then is the file synced, and the log
/// begun anew.
const TRIES: usize = 8;

/// The way to the thread. For the writer alone.
pub struct Checkpointer {
    commits: Cell<u32>,
    ask: SyncSender<()>,
}

impl Checkpointer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there is no connection or no thread.
    pub(super) fn start(path: &str) -> Result<Self, Error> {
        let conn = sqlite::open(path)?;
        // One that is asked while it works need not be told twice.
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("checkpointer".to_owned()).spawn(move || run(&conn, &asked));
        thread.map_err(|error: io::Error| Error::Unavailable(error.to_string()))?;
        Ok(Self { commits: Cell::new(0), ask })
    }

    /// Something was committed.
    pub(super) fn committed(&self) {
        let commits = self.commits.get() + 1;
        self.commits.set(commits % COMMITS);
        if commits == COMMITS {
            let _ = self.ask.try_send(());
        }
    }
}

fn run(conn: &Connection, asked: &Receiver<()>) {
    while asked.recv().is_ok() {
        for _ in 0..TRIES {
            match checkpoint(conn) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the write-ahead log is not carried over; a commit will do it");
                    break;
                }
            }
        }
    }
}

/// Whether everything in the log is in the file.
fn checkpoint(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| {
        let (in_log, carried_over): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(in_log == carried_over)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_log_is_carried_over_after_some_commits() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.db").display().to_string();
        sqlite::prepare(&path).unwrap();
        let writer = sqlite::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        let checkpointer = Checkpointer::start(&path).unwrap();
        let file_bytes = || std::fs::metadata(&path).unwrap().len();
        let before = file_bytes();
        for i in 1..=COMMITS {
            assert_eq!(file_bytes(), before, "commit {i}");
            writer.execute("INSERT INTO t VALUES (zeroblob(5000))", ()).unwrap();
            checkpointer.committed();
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while file_bytes() < u64::from(COMMITS) * 5000 {
            assert!(Instant::now() < deadline, "the file has {} bytes", file_bytes());
            std::thread::yield_now();
        }
        // Once the end is reached the log is begun anew, so it does not grow with the next commit.
        let log = directory.path().join("t.db-wal");
        let log_bytes = || std::fs::metadata(&log).unwrap().len();
        loop {
            let whole = log_bytes();
            writer.execute("INSERT INTO t VALUES (zeroblob(5000))", ()).unwrap();
            if log_bytes() == whole {
                break;
            }
            checkpointer.committed();
            assert!(Instant::now() < deadline, "the log has {whole} bytes");
        }
    }
}
