//! Removes what is old: deliveries of webhooks with their attempts, events of the log, records of idempotency keys.
//!
//! Invariants: it goes through the writer in pieces that are as small as a mutation of many rows, with pauses between
//! them, so that no writer waits for more than one piece; on several nodes one does it at a time. Of the log it removes
//! the oldest events only, so what is left is without gaps, and it leaves the newest one, by which followers see that they
//! are behind. It keeps what idempotency keys tell their payloads from, and what an enabled webhook or a replay of one has
//! still to send. A webhook that is paused or disabled does not hold the log back for ever: it is told what it has lost.

#[cfg(test)]
mod tests;

use std::time::Duration;

use entity::Position;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::catalog::datum::now_micros;
use crate::database::{self, Database, Sql};
use crate::log::read;
use crate::store::turn::Turn;
use crate::store::writer::{self, Writer, idempotency};
use crate::webhook::registry::deliveries::first_id;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How long it leaves the writer to others after each piece.
const PAUSE: Duration = Duration::from_millis(5);
/// Deliveries of one piece; each has its attempts.
const DELIVERIES: usize = 16;
/// Events of one piece.
const EVENTS: i64 = 64;

/// What is kept for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Age of the events of the log; `None` for ever.
    pub log_age: Option<Duration>,
    /// How many events the log keeps beside those of the last day; `None` for all.
    pub log_events: Option<u64>,
    /// Age of deliveries; `None` for ever.
    pub delivery_age: Option<Duration>,
}

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The writer refused.
    #[error(transparent)]
    Writer(#[from] writer::Error),
}

/// How much was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Deliveries, with their attempts.
    pub deliveries: u64,
    /// Events of the log.
    pub events: u64,
}

/// The job of one process.
pub struct Retention {
    database: Database,
    writer: Writer,
    settings: Settings,
    turn: Turn,
    stop: CancellationToken,
}

impl Retention {
    /// A job that has done nothing yet, and ends when it is told to.
    pub fn new(database: Database, writer: Writer, settings: Settings, stop: CancellationToken) -> Self {
        let turn = Turn::new("retention", database.clone(), writer.clone());
        Self { database, writer, settings, turn, stop }
    }

    /// Removes what is old, again and again.
    pub async fn run(self) {
        while !self.stop.is_cancelled() {
            match self.once(now_micros()).await {
                Ok(removed) if removed == Removed::default() => {}
                Ok(removed) => {
                    tracing::info!(deliveries = removed.deliveries, events = removed.events, "removed what is old");
                }
                Err(error) => tracing::warn!(%error, "what is old could not be removed; trying again later"),
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Removes what is old at this time, in microseconds since 1970, unless another node does.
    ///
    /// # Errors
    /// If the database fails. What was removed before stays removed.
    pub async fn once(&self, now: i64) -> Result<Removed, Error> {
        if !self.turn.take().await? {
            return Ok(Removed::default());
        }
        let removed = self.remove(now).await;
        self.turn.give_up().await;
        removed
    }

    async fn remove(&self, now: i64) -> Result<Removed, Error> {
        idempotency::clean_once(&self.database, &self.writer, now).await?;
        let deliveries = match self.settings.delivery_age {
            Some(age) => self.remove_deliveries(before(now, age)).await?,
            None => 0,
        };
        Ok(Removed { deliveries, events: self.remove_events(now).await? })
    }

    /// Whether there is time for another piece: it waits a little, and keeps its turn.
    async fn goes_on(&self) -> Result<bool, Error> {
        tokio::select! {
            () = self.stop.cancelled() => Ok(false),
            () = tokio::time::sleep(PAUSE) => Ok(self.turn.take().await?),
        }
    }

    /// Removes deliveries that began before a time and have not changed since, and ended replays. What waits for an attempt
    /// stays.
    async fn remove_deliveries(&self, until: i64) -> Result<u64, Error> {
        let (mut removed, mut last) = (0, Uuid::nil());
        loop {
            // Looked for outside the writer: there may be many that stay.
            let mut sql = self.sql("SELECT id FROM tandem_delivery WHERE id > ");
            sql.bind(last).push(" AND id < ").bind(first_id(until)).push(" AND updated_at < ").bind(until);
            sql.push(" AND status <> 'PENDING' ORDER BY id LIMIT ").push(&DELIVERIES.to_string());
            let records = self.database.query(sql).await?;
            let ids = records.iter().map(|record| record.need_uuid(0)).collect::<Result<Vec<_>, _>>()?;
            let Some(newest) = ids.last() else { break };
            last = *newest;
            let mut sql = self.sql("DELETE FROM tandem_delivery WHERE id IN (");
            sql.list(", ", ids, |sql, id| {
                sql.bind(id);
            });
            sql.push(") AND updated_at < ").bind(until).push(" AND status <> 'PENDING'");
            removed += self.write(vec![sql]).await?;
            if !self.goes_on().await? {
                return Ok(removed);
            }
        }
        let mut sql = self.sql("DELETE FROM tandem_replay WHERE status <> 'RUNNING' AND updated_at < ");
        sql.bind(until);
        self.write(vec![sql]).await?;
        Ok(removed)
    }

    /// Removes the oldest events, with the entries that belong to them.
    async fn remove_events(&self, now: i64) -> Result<u64, Error> {
        let Some((first, horizon)) = self.horizon(now).await? else { return Ok(0) };
        self.tell_webhooks(horizon).await?;
        let (mut removed, mut next) = (0, first.get());
        while next <= horizon.get() {
            let last = (next + EVENTS - 1).min(horizon.get());
            let statement = |text| {
                let mut sql = self.sql(text);
                sql.bind(last);
                sql
            };
            removed += self
                .write(vec![
                    statement("DELETE FROM tandem_event WHERE position <= "),
                    statement("DELETE FROM tandem_departure WHERE position <= "),
                ])
                .await?;
            next = last + 1;
            if !self.goes_on().await? {
                break;
            }
        }
        Ok(removed)
    }

    /// The first event that there is, and the last one to be removed; `None` if none is.
    async fn horizon(&self, now: i64) -> Result<Option<(Position, Position)>, Error> {
        let Some((first, last)) = read::bounds(&self.database).await? else { return Ok(None) };
        let mut horizon = 0;
        if let Some(age) = self.settings.log_age {
            horizon = read::position_before(&self.database, before(now, age)).await?.get();
        }
        if let Some(events) = self.settings.log_events {
            horizon = horizon.max(last.get().saturating_sub(i64::try_from(events).unwrap_or(i64::MAX)));
        }
        if horizon < first.get() {
            return Ok(None);
        }
        let needed_for_keys = read::position_before(&self.database, before(now, idempotency::KEPT)).await?;
        horizon = horizon.min(needed_for_keys.get()).min(last.get() - 1);
        if let Some(position) = self.needed_by_webhooks().await? {
            horizon = horizon.min(position);
        }
        Ok((horizon >= first.get()).then_some((first, Position::new(horizon).map_err(database::Error::from)?)))
    }

    /// The position that the slowest enabled webhook has reached, or a replay of one.
    async fn needed_by_webhooks(&self) -> Result<Option<i64>, Error> {
        let sql = "SELECT MIN(position) FROM (SELECT position FROM tandem_webhook WHERE status = 'ENABLED' UNION ALL \
                   SELECT r.position FROM tandem_replay AS r JOIN tandem_webhook AS w ON w.id = r.webhook_id \
                   WHERE r.status = 'RUNNING' AND r.scope = 'ALL' AND w.status = 'ENABLED') AS needed";
        let records = self.database.query(self.sql(sql)).await?;
        Ok(records.first().map(|record| record.int(0)).transpose()?.flatten())
    }

    /// Moves webhooks that are not enabled to where the log will begin, and says so.
    async fn tell_webhooks(&self, horizon: Position) -> Result<(), Error> {
        let now = now_micros();
        let lost = "events that it had not got were removed from the log, which keeps them for a time only; if it is \
                    enabled, it goes on with what is left";
        let mut sql = self.sql("UPDATE tandem_webhook SET status = 'DISABLED', status_reason = ");
        sql.bind(lost).push(", disabled_at = COALESCE(disabled_at, ").bind(now).push("), updated_at = ").bind(now);
        sql.push(", position = ").bind(horizon.get()).push(" WHERE status <> 'ENABLED' AND position < ");
        sql.bind(horizon.get());
        let told = self.write(vec![sql]).await?;
        if told > 0 {
            tracing::warn!(webhooks = told, "webhooks that are not enabled have lost events that were too old");
        }
        Ok(())
    }

    /// Runs statements and gives how many rows the first of them changed.
    async fn write(&self, statements: Vec<Sql>) -> Result<u64, Error> {
        Ok(self.writer.statements(statements).await?.first().copied().unwrap_or(0))
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.database.dialect(), text)
    }
}

fn before(now: i64, age: Duration) -> i64 {
    now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}
