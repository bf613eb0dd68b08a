//! Whose turn it is to do a job that one node does at a time: a lease by name.
//!
//! It keeps nodes from doing the same work beside each other; it is no lock. What is done in a turn must be right even if
//! two nodes do it at once, for a node that stands still for a while does not know that its turn is over.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::writer::{self, Writer};
use crate::database::{Database, Dialect, Sql};

/// How long a turn lasts without being taken again.
const LASTS: Duration = Duration::from_secs(10);

/// The turn of one process at one job.
pub struct Turn {
    name: &'static str,
    holder: Uuid,
    database: Database,
    writer: Writer,
    taken_at: Mutex<Option<Instant>>,
}

impl Turn {
    /// For a process that has just started.
    pub fn new(name: &'static str, database: Database, writer: Writer) -> Self {
        Self { name, holder: Uuid::new_v4(), database, writer, taken_at: Mutex::default() }
    }

    /// Takes the turn, or keeps it for another while. `false`: another node has it. An SQLite file has one process, which
    /// asks nobody.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn take(&self) -> Result<bool, writer::Error> {
        let begun_at = Instant::now();
        let is_fresh = |taken_at: Instant| begun_at.duration_since(taken_at) < LASTS / 3;
        if self.database.dialect() == Dialect::Sqlite || self.taken_at().is_some_and(is_fresh) {
            return Ok(true);
        }
        const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)";
        let mut sql = Sql::text(Dialect::Postgres, "INSERT INTO tandem_turn AS t (name, holder, until) VALUES (");
        sql.bind(self.name)
            .push(", ")
            .bind(self.holder)
            .push(", ")
            .push(NOW)
            .push(" + ")
            .bind(LASTS.as_micros() as i64);
        sql.push(
            ") ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE t.holder = ",
        );
        sql.bind(self.holder).push(" OR t.holder IS NULL OR t.until < ").push(NOW);
        let is_mine = self.writer.statements(vec![sql]).await?.first().is_some_and(|rows| *rows > 0);
        *self.taken_at() = is_mine.then_some(begun_at);
        Ok(is_mine)
    }

    fn taken_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.taken_at.lock().expect("nobody panics while holding it")
    }

    /// Gives the turn up, so that another node need not wait for its end.
    pub async fn give_up(&self) {
        if self.database.dialect() == Dialect::Sqlite {
            return;
        }
        let mut sql = Sql::text(Dialect::Postgres, "UPDATE tandem_turn SET holder = NULL WHERE name = ");
        sql.bind(self.name).push(" AND holder = ").bind(self.holder);
        *self.taken_at() = None;
        if let Err(error) = self.writer.statements(vec![sql]).await {
            tracing::debug!(%error, job = self.name, "a turn ends by itself");
        }
    }
}
