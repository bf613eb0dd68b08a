//! What the dispatcher keeps in the database: leases, positions, deliveries and attempts.
//!
//! Invariants: every write of a worker is fenced by its lease, so that a node that has lost one writes nothing;
//! outcomes and the position that follows from them commit together; repeating a commit changes nothing.
//!
//! - [`committer`], `commit`: the commits of all workers together
//! - [`waiting`]: deliveries that wait for their time or for their turn

mod commit;
pub mod committer;
pub mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::{DeliveryId, EventId, Position, WebhookId};
use uuid::Uuid;

use super::clock::push_now;
use super::order::Release;
use super::outcome::{Health, Verdict};
use super::row::{Webhook, read_position};
use super::send::Attempt;
use super::window::Progress;
use crate::catalog::datum::now_micros;
use crate::database::{self, Database, Dialect, Sql};
use crate::store::writer::{self, Writer};

/// How long a lease is good without being renewed: how long a webhook of a node that has died waits for another one.
pub const LEASE: Duration = Duration::from_secs(4);
/// Webhooks read in one statement.
const PAGE: usize = 1000;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The writer refused.
    #[error(transparent)]
    Writer(#[from] writer::Error),
}

/// The tables of webhooks, as one process sees them. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    database: Database,
    writer: Writer,
    /// Another one for each start of a process, so that a process never mistakes another one's lease for its own.
    holder: Uuid,
}

/// The right to send for a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Whose messages.
    pub webhook: WebhookId,
    holder: Uuid,
    fence: i64,
}

/// What a worker starts from.
#[derive(Debug)]
pub struct Claimed {
    /// Its right to send.
    pub lease: Lease,
    /// How far the webhook has come.
    pub progress: Progress,
    /// How it fares.
    pub health: Health,
}

/// An enabled webhook, for the dispatcher to see what is new.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// Which one.
    pub id: WebhookId,
    /// Differs whenever something about it has changed.
    pub updated_at: i64,
    /// Differs whenever somebody has made a delivery due.
    pub nudges: i64,
    /// Whether this process may claim it, or holds it already.
    pub is_free: bool,
    /// Whether this process holds it.
    pub is_mine: bool,
    /// How long the lease of another process goes on if that does not prolong it; zero if there is none.
    pub free_in: Duration,
}

/// One message that is to be sent, or being sent.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its delivery.
    pub delivery: DeliveryId,
    /// Whether the delivery has a row already; if not, this is the first attempt.
    pub is_recorded: bool,
    /// Of the event.
    pub position: Position,
    /// The event.
    pub message: EventId,
    /// `order_line.updated`
    pub event: Arc<str>,
    /// Number of the event for this webhook.
    pub sequence: Option<i64>,
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Attempts before the schedule began anew; they do not count in it.
    pub before: u32,
    /// What is sent: UTF-8.
    pub body: Bytes,
    /// The row that has changed, if the message takes part in an order.
    pub node: Option<Uuid>,
    /// The batch that it was last sent in.
    pub batch: Option<Uuid>,
}

impl Job {
    /// Which attempt of the present schedule it is, from 1.
    pub fn number_in_schedule(&self) -> u32 {
        self.number.saturating_sub(self.before)
    }
}

/// What came of a message and what follows from it.
#[derive(Debug)]
pub struct Outcome {
    /// What was sent.
    pub job: Job,
    /// The attempt, which the messages of a batch share; `None` if it waits for an earlier message and was not sent.
    pub attempt: Option<Arc<Attempt>>,
    /// What follows.
    pub verdict: Verdict,
}

impl Outcome {
    /// Whether the body is kept: as long as it may be sent again.
    fn keeps_body(&self) -> bool {
        self.verdict != Verdict::Succeeded
    }
}

/// What commits together.
#[derive(Debug)]
pub struct Batch {
    /// Attempts that are not recorded yet.
    pub outcomes: Vec<Outcome>,
    /// Rows that need not wait any more.
    pub released: Vec<Release>,
    /// From when on these are due, in microseconds since 1970.
    pub released_at: i64,
    /// How far the webhook has come with them.
    pub progress: Progress,
    /// How it fares after them.
    pub health: Health,
    /// Why the webhook is to be disabled, if it is.
    pub disable: Option<String>,
}

impl Ledger {
    /// For a process that has just started.
    pub fn new(database: Database, writer: Writer) -> Self {
        Self { database, writer, holder: Uuid::new_v4() }
    }

    /// Every enabled webhook.
    pub async fn enabled(&self) -> Result<Vec<Listed>, Error> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let mut sql = self.sql("SELECT id, updated_at, CAST(CASE WHEN ");
            self.push_free(&mut sql);
            sql.push(" THEN 1 ELSE 0 END AS bigint), CAST(CASE WHEN lease_holder = ").bind(self.holder);
            sql.push(" THEN 1 ELSE 0 END AS bigint), nudges, lease_until - ");
            push_now(&mut sql);
            sql.push(" FROM tandem_webhook WHERE status = 'ENABLED'");
            if let Some(last) = all.last() {
                sql.push(" AND id > ").bind(last.id.get());
            }
            sql.push(" ORDER BY id LIMIT ").bind(PAGE as i64);
            let records = self.database.query(sql).await?;
            for record in &records {
                let (is_free, is_mine) = (record.need_int(2)? != 0, record.need_int(3)? != 0);
                let rest = if is_free || is_mine { 0 } else { record.need_int(5)?.max(0).unsigned_abs() };
                all.push(Listed {
                    id: WebhookId(record.need_uuid(0)?),
                    updated_at: record.need_int(1)?,
                    is_free,
                    is_mine,
                    nudges: record.need_int(4)?,
                    free_in: Duration::from_micros(rest),
                });
            }
            if records.len() < PAGE {
                return Ok(all);
            }
        }
    }

    /// One webhook; `None` if it is gone.
    pub async fn load(&self, id: WebhookId) -> Result<Option<Webhook>, Error> {
        let mut sql = self.sql("SELECT ");
        sql.push(Webhook::COLUMNS).push(" FROM tandem_webhook WHERE id = ").bind(id.get());
        let records = self.database.query(sql).await?;
        Ok(records.first().map(Webhook::read).transpose()?)
    }

    /// Takes the lease of an enabled webhook, if no other process holds it.
    pub async fn claim(&self, id: WebhookId) -> Result<Option<Claimed>, Error> {
        let mut sql = self.sql("UPDATE tandem_webhook SET lease_fence = lease_fence + 1, lease_holder = ");
        sql.bind(self.holder).push(", lease_until = ");
        push_now(&mut sql);
        sql.push(" + ").bind(LEASE.as_micros() as i64).push(" WHERE id = ").bind(id.get());
        sql.push(" AND status = 'ENABLED' AND ");
        self.push_free(&mut sql);
        if self.write(sql).await? == 0 {
            return Ok(None);
        }
        let mut sql = self.sql("SELECT lease_fence, position, sequence, first_failure_at, CAST(failures AS bigint)");
        sql.push(" FROM tandem_webhook WHERE id = ").bind(id.get()).push(" AND lease_holder = ").bind(self.holder);
        let records = self.database.query(sql).await?;
        let Some(record) = records.first() else { return Ok(None) };
        Ok(Some(Claimed {
            lease: Lease { webhook: id, holder: self.holder, fence: record.need_int(0)? },
            progress: Progress { position: read_position(record, 1)?, sequence: record.need_int(2)? },
            health: Health {
                first_failure_at: record.int(3)?,
                failures: i32::try_from(record.need_int(4)?).unwrap_or(i32::MAX),
            },
        }))
    }

    /// Whether leases run out. An SQLite file has one process, which holds them for as long as it runs.
    pub fn has_terms(&self) -> bool {
        self.database.dialect() == Dialect::Postgres
    }

    /// Whether what is recorded shares the commits of mutations. A server commits it by itself, on another connection.
    pub fn rides_along(&self) -> bool {
        self.database.dialect() == Dialect::Sqlite
    }

    /// Prolongs all leases of this process.
    pub async fn renew(&self) -> Result<(), Error> {
        let mut sql = self.sql("UPDATE tandem_webhook SET lease_until = ");
        push_now(&mut sql);
        sql.push(" + ").bind(LEASE.as_micros() as i64).push(" WHERE lease_holder = ").bind(self.holder);
        self.write(sql).await?;
        Ok(())
    }

    /// Gives a lease back.
    pub async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let mut sql = self.sql("UPDATE tandem_webhook SET lease_holder = NULL, lease_until = 0 WHERE ");
        lease.push_held(&mut sql);
        self.write(sql).await?;
        Ok(())
    }

    /// Disables a webhook that cannot be sent for, unless it has changed since it was read.
    pub async fn disable(&self, id: WebhookId, updated_at: i64, reason: &str) -> Result<(), Error> {
        let mut sql = self.sql("");
        push_disable(&mut sql, reason);
        sql.push(" WHERE id = ").bind(id.get()).push(" AND updated_at = ").bind(updated_at);
        sql.push(" AND status = 'ENABLED'");
        self.write(sql).await?;
        Ok(())
    }

    /// Gives a webhook that was made of event names the document that they are short for now.
    pub async fn rewrite(&self, id: WebhookId, updated_at: i64, query: &str) -> Result<(), Error> {
        let mut sql = self.sql("UPDATE tandem_webhook SET query = ");
        sql.bind(query.to_owned()).push(" WHERE id = ").bind(id.get()).push(" AND updated_at = ").bind(updated_at);
        self.write(sql).await?;
        Ok(())
    }

    /// Disables a webhook whose next events are no longer in the log, and puts it at the present end of the log, where
    /// it will go on if it is enabled again.
    pub async fn expire(&self, lease: &Lease, reason: &str) -> Result<(), Error> {
        let mut sql = self.sql("");
        push_disable(&mut sql, reason);
        sql.push(", position = (SELECT h.position FROM tandem_head AS h) WHERE ");
        lease.push_held(&mut sql);
        self.write(sql).await?;
        Ok(())
    }

    /// The events after a position that have a delivery already, with their numbers, in log order.
    pub async fn recorded_after(&self, id: WebhookId, position: Position) -> Result<Vec<Recorded>, Error> {
        let mut sql = self.sql("SELECT position, sequence FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(id.get()).push(" AND position > ").bind(position.get()).push(" ORDER BY position");
        let records = self.database.query(sql).await?;
        let read = |record| Ok(Recorded { position: read_position(record, 0)?, sequence: record.int(1)? });
        records.iter().map(read).collect()
    }

    /// Records a batch. `false`: the lease is lost, or the webhook is gone, and nothing was written.
    pub async fn commit(&self, lease: &Lease, batch: &Batch) -> Result<bool, Error> {
        Ok(self.commit_all(&[(lease, batch)]).await?.first().copied().unwrap_or(false))
    }

    /// Records the batches of several leases of this process in one transaction, and says of each whether its lease was
    /// held. If not, nothing was written for it.
    pub async fn commit_all(&self, batches: &[(&Lease, &Batch)]) -> Result<Vec<bool>, Error> {
        let (statements, positions) = commit::statements(self.database.dialect(), batches, now_micros());
        let affected = self.writer.statements(statements).await?;
        if affected.iter().take(positions).sum::<u64>() == batches.len() as u64 {
            return Ok(vec![true; batches.len()]);
        }
        // Fences only grow: a lease that is held now was held then.
        let mut sql = self.sql("SELECT id, lease_fence FROM tandem_webhook WHERE lease_holder = ");
        sql.bind(self.holder).push(" AND id IN (");
        sql.list(", ", batches, |sql, (lease, _)| {
            sql.bind(lease.webhook.get());
        });
        sql.push(")");
        let mut held = Vec::new();
        for record in self.database.query(sql).await? {
            held.push((WebhookId(record.need_uuid(0)?), record.need_int(1)?));
        }
        Ok(batches.iter().map(|(lease, _)| held.contains(&(lease.webhook, lease.fence))).collect())
    }

    async fn write(&self, sql: Sql) -> Result<u64, Error> {
        Ok(self.writer.statements(vec![sql]).await?.first().copied().unwrap_or(0))
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.database.dialect(), text)
    }

    /// Whether this process may hold the lease. An SQLite file has one process: whoever held it before is gone, and its
    /// messages need not wait for the end of its lease. One that ends later than any that is given now was given before
    /// the clock of the database was put back.
    fn push_free(&self, sql: &mut Sql) {
        match self.database.dialect() {
            Dialect::Sqlite => {
                sql.push("TRUE");
            }
            Dialect::Postgres => {
                sql.push("(lease_holder IS NULL OR lease_holder = ").bind(self.holder).push(" OR lease_until < ");
                push_now(sql);
                sql.push(" OR lease_until > ").bind(2 * LEASE.as_micros() as i64).push(" + ");
                push_now(sql);
                sql.push(")");
            }
        }
    }
}

/// An event that has a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Of the event.
    pub position: Position,
    /// Its number for the webhook.
    pub sequence: Option<i64>,
}

impl Lease {
    /// Adds the condition that the lease is held still, on a row of `tandem_webhook`.
    fn push_held(&self, sql: &mut Sql) {
        sql.push("id = ").bind(self.webhook.get()).push(" AND lease_holder = ").bind(self.holder);
        sql.push(" AND lease_fence = ").bind(self.fence);
    }
}

fn push_disable(sql: &mut Sql, reason: &str) {
    let now = now_micros();
    sql.push("UPDATE tandem_webhook SET status = 'DISABLED', status_reason = ").bind(reason);
    sql.push(", disabled_at = ").bind(now).push(", updated_at = ").bind(now);
}

#[cfg(test)]
mod tests;
