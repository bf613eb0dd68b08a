//! What time it is for deliveries that wait.
//!
//! Due times are kept in the database, so that they outlive the process and mean the same on every node: they are counted
//! by the clock of the database. It is read once; from then on only the monotonic clock of this machine counts. So a jump
//! of either clock neither makes deliveries due too early nor holds them back. Deadlines and pauses never leave the
//! process, and use the monotonic clock alone.

use std::time::Duration;

use tokio::time::Instant;

use crate::database::{self, Database, Dialect, Sql};

/// The time of the database, from when it was read on. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    read_at: Instant,
    /// What the database said then, in microseconds since 1970.
    base: i64,
}

impl Clock {
    /// Reads the clock of the database.
    pub async fn read(database: &Database) -> Result<Self, database::Error> {
        let mut sql = Sql::text(database.dialect(), "SELECT ");
        push_now(&mut sql);
        let records = database.query(sql).await?;
        let now = records.first().map(|record| record.need_int(0)).transpose()?;
        Ok(Self::starting_at(now.ok_or_else(|| database::Error::Corrupt("the database has no time".to_owned()))?))
    }

    /// A clock that shows this time now, in microseconds since 1970.
    pub fn starting_at(now: i64) -> Self {
        Self { read_at: Instant::now(), base: now }
    }

    /// Microseconds since 1970.
    pub fn now(&self) -> i64 {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> i64 {
        self.base.saturating_add(micros(instant.saturating_duration_since(self.read_at)))
    }

    /// How long it is until then.
    pub fn until(&self, time: i64) -> Duration {
        Duration::from_micros(time.saturating_sub(self.now()).max(0).unsigned_abs())
    }
}

/// As the database counts time.
pub fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Adds the present time of the database, in microseconds since 1970: the clock that all nodes share.
pub fn push_now(sql: &mut Sql) {
    sql.push(match sql.dialect() {
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passing_of_time_moves_it() {
        let clock = Clock::starting_at(1_000);
        assert_eq!(clock.at(clock.read_at), 1_000);
        assert_eq!(clock.at(clock.read_at + Duration::from_secs(3600)), 3_600_001_000);
        assert_eq!(clock.until(5), Duration::ZERO);
        assert!(clock.until(i64::MAX) > Duration::from_secs(1 << 40));
    }
}
