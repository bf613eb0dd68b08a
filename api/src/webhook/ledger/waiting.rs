//! Deliveries that wait: for their time, or for their turn.
//!
//! A pending row with a time is due then. One without waits for an earlier one (`webhook::order`). Rows that were sent in
//! one batch are sent in one batch again, so that its `webhook-id` names the same events.

use std::collections::HashSet;

use entity::webhook::Ordering;
use entity::{DeliveryId, EventId, WebhookId};
use uuid::Uuid;

use super::{Error, Job, Lease, Ledger};
use crate::database::{Record, Sql};
use crate::webhook::row::read_position;

/// Batches that are read at a time. Each may hold many events.
const MAX_BATCHES: usize = 8;

/// What is due.
#[derive(Debug, Default)]
pub struct Due {
    /// What goes out together, the longest due first.
    pub requests: Vec<Vec<Job>>,
    /// Whether there is no more.
    pub is_all: bool,
}

const COLUMNS: &str = "SELECT id, position, message_id, type, sequence, CAST(attempts AS bigint), body, order_key, \
                       batch_id, CAST(attempts_before AS bigint) FROM tandem_delivery WHERE webhook_id = ";

impl Ledger {
    /// Deliveries whose next attempt is due at `now` and that are not busy; at most `limit`, or some more to complete a
    /// batch.
    pub async fn due(
        &self,
        id: WebhookId,
        now: i64,
        limit: usize,
        is_batched: bool,
        busy: &HashSet<DeliveryId>,
    ) -> Result<Due, Error> {
        let mut sql = self.sql(COLUMNS);
        sql.bind(id.get()).push(" AND status = 'PENDING' AND body IS NOT NULL AND next_attempt_at <= ").bind(now);
        sql.push(" ORDER BY next_attempt_at, position LIMIT ").bind(limit as i64);
        let mut jobs = self.jobs(sql).await?;
        let mut is_all = jobs.len() < limit;
        jobs.retain(|job| !busy.contains(&job.delivery));
        if !is_batched {
            let alone = |job: Job| vec![Job { batch: None, ..job }];
            return Ok(Due { requests: jobs.into_iter().map(alone).collect(), is_all });
        }
        let (mut requests, mut batches) = (Vec::new(), HashSet::new());
        for job in jobs {
            match job.batch {
                None => requests.push(vec![job]),
                Some(batch) if batches.contains(&batch) => {}
                Some(_) if batches.len() == MAX_BATCHES => is_all = false,
                Some(batch) => {
                    batches.insert(batch);
                    requests.push(self.batch(id, batch).await?);
                }
            }
        }
        requests.retain(|jobs| !jobs.is_empty());
        Ok(Due { requests, is_all })
    }

    async fn batch(&self, id: WebhookId, batch: Uuid) -> Result<Vec<Job>, Error> {
        let mut sql = self.sql(COLUMNS);
        sql.bind(id.get()).push(" AND status = 'PENDING' AND body IS NOT NULL AND batch_id = ").bind(batch);
        sql.push(" ORDER BY position");
        self.jobs(sql).await
    }

    async fn jobs(&self, sql: Sql) -> Result<Vec<Job>, Error> {
        let read = |record: &Record| {
            Ok(Job {
                delivery: DeliveryId(record.need_uuid(0)?),
                is_recorded: true,
                position: read_position(record, 1)?,
                message: EventId(record.need_uuid(2)?),
                event: record.need_text(3)?.into(),
                sequence: record.int(4)?,
                number: u32::try_from(record.need_int(5)?).unwrap_or(u32::MAX).saturating_add(1),
                body: record.need_text(6)?.into(),
                node: record.uuid(7)?,
                batch: record.uuid(8)?,
                before: u32::try_from(record.need_int(9)?).unwrap_or(u32::MAX),
            })
        };
        self.database.query(sql).await?.iter().map(read).collect()
    }

    /// When the next attempt after `now` is due, in microseconds since 1970. Together with [`Ledger::due`] at the same
    /// time it misses none.
    pub async fn next_due(&self, id: WebhookId, now: i64) -> Result<Option<i64>, Error> {
        let mut sql = self.sql("SELECT next_attempt_at FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(id.get()).push(" AND status = 'PENDING' AND body IS NOT NULL AND next_attempt_at > ");
        sql.bind(now).push(" ORDER BY next_attempt_at LIMIT 1");
        let records = self.database.query(sql).await?;
        Ok(records.first().map(|record| record.need_int(0)).transpose()?)
    }

    /// How many deliveries are pending.
    pub async fn pending(&self, id: WebhookId) -> Result<i64, Error> {
        let mut sql = self.sql("SELECT COUNT(*) FROM tandem_delivery WHERE status = 'PENDING' AND webhook_id = ");
        sql.bind(id.get());
        let records = self.database.query(sql).await?;
        Ok(records.first().map(|record| record.need_int(0)).transpose()?.unwrap_or(0))
    }

    /// The nodes that have pending rows, with their numbers; at most `limit`.
    pub async fn held(&self, id: WebhookId, limit: usize) -> Result<Vec<(Uuid, u32)>, Error> {
        let mut sql = self.sql("SELECT order_key, COUNT(*) FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(id.get()).push(" AND status = 'PENDING' AND order_key IS NOT NULL GROUP BY order_key LIMIT ");
        sql.bind(limit as i64);
        let read = |record: &Record| Ok((record.need_uuid(0)?, u32::try_from(record.need_int(1)?).unwrap_or(u32::MAX)));
        self.database.query(sql).await?.iter().map(read).collect()
    }

    /// Makes the rows that hold something wait for each other as this ordering wants it, whatever it was before: those
    /// that come first are due, the others wait. `is_batched`: what was sent together is sent together again.
    pub async fn arrange(&self, lease: &Lease, ordering: Ordering, is_batched: bool, now: i64) -> Result<(), Error> {
        let waits = |sql: &mut Sql| push_waits(sql, ordering, is_batched);
        let mut release = self.sql("UPDATE tandem_delivery AS d SET next_attempt_at = ");
        release.bind(now).push(" WHERE d.next_attempt_at IS NULL AND NOT ");
        waits(&mut release);
        let mut hold =
            self.sql("UPDATE tandem_delivery AS d SET next_attempt_at = NULL WHERE d.next_attempt_at IS NOT NULL AND ");
        waits(&mut hold);
        for sql in [&mut release, &mut hold] {
            sql.push(" AND d.status = 'PENDING' AND d.order_key IS NOT NULL AND d.webhook_id = ")
                .bind(lease.webhook.get());
            sql.push(" AND EXISTS (SELECT 1 FROM tandem_webhook WHERE ");
            lease.push_held(sql);
            sql.push(")");
        }
        self.writer.statements(vec![release, hold]).await?;
        Ok(())
    }
}

/// Adds the condition that row `d` has an earlier one that it waits for.
fn push_waits(sql: &mut Sql, ordering: Ordering, is_batched: bool) {
    let of = match ordering {
        Ordering::None => {
            sql.push("FALSE");
            return;
        }
        Ordering::PerNode => " AND e.order_key = d.order_key",
        Ordering::Strict => " AND e.order_key IS NOT NULL",
    };
    sql.push("EXISTS (SELECT 1 FROM tandem_delivery AS e WHERE e.webhook_id = d.webhook_id AND e.status = 'PENDING'");
    sql.push(of).push(" AND e.position < d.position");
    if is_batched {
        sql.push(" AND (e.batch_id IS NULL OR d.batch_id IS NULL OR e.batch_id <> d.batch_id)");
    }
    sql.push(")");
}
