//! What the replayer reads and writes.

use std::collections::HashMap;
use std::sync::Arc;

use entity::replay::Scope;
use entity::{DeliveryId, EventId, Position, ReplayId, WebhookId};
use sea_orm::ActiveEnum;
use uuid::Uuid;

use super::{Job, MAX_WAITING, Progress, Replayer, STEP};
use crate::catalog::datum::now_micros;
use crate::database::Element::{BigInt, Text, Uuid as Id};
use crate::database::{self, Cell, Record, Sql};
use crate::webhook::clock::push_now;
use crate::webhook::ledger;
use crate::webhook::row::read_position;

/// A delivery that is to be put in line.
pub(super) struct Row {
    pub position: Position,
    pub message: EventId,
    pub event: Arc<str>,
    pub sequence: Option<i64>,
    pub body: String,
    pub batch: Option<Uuid>,
}

/// What there is of an event already.
pub(super) struct Kept {
    pub sequence: Option<i64>,
    /// It waits for an attempt, or it was accepted since the replay was asked for.
    pub stays: bool,
}

impl Replayer {
    /// The replays that are running, the oldest first.
    pub(in super::super) async fn jobs(&self) -> Result<Vec<Job>, ledger::Error> {
        let sql = "SELECT id, webhook_id, scope, position, until, delivery_id, created_at \
                   FROM tandem_replay WHERE status = 'RUNNING' ORDER BY id";
        let read = |record: &Record| {
            let unknown = |_| database::Error::Corrupt("column scope of tandem_replay cannot be read".to_owned());
            Ok(Job {
                id: ReplayId(record.need_uuid(0)?),
                webhook: WebhookId(record.need_uuid(1)?),
                scope: Scope::try_from_value(&record.need_text(2)?).map_err(unknown)?,
                position: read_position(record, 3)?,
                until: read_position(record, 4)?,
                delivery: record.uuid(5)?,
                asked_at: record.need_int(6)?,
            })
        };
        self.parts.database.query(self.sql(sql)).await?.iter().map(read).collect()
    }

    /// How many deliveries are due, as far as it matters.
    pub(super) async fn waiting(&self, webhook: WebhookId) -> Result<usize, database::Error> {
        let mut sql = self.sql("SELECT COUNT(*) FROM (SELECT 1 FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(webhook.get()).push(" AND status = 'PENDING' AND next_attempt_at <= ");
        push_now(&mut sql);
        sql.push(" LIMIT ").push(&MAX_WAITING.to_string()).push(") AS w");
        let count = self.parts.database.query(sql).await?.first().map_or(Ok(0), |record| record.need_int(0))?;
        Ok(usize::try_from(count).unwrap_or(MAX_WAITING))
    }

    /// The next failed deliveries of a replay, at most as many as one step takes.
    pub(super) async fn failed(&self, job: &Job) -> Result<Vec<Uuid>, database::Error> {
        let mut sql = self.sql("SELECT id FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(job.webhook.get()).push(" AND status = 'FAILED' AND position > ").bind(job.position.get());
        sql.push(" AND position <= ").bind(job.until.get());
        if let Some(last) = job.delivery {
            sql.push(" AND id > ").bind(last);
        }
        sql.push(" ORDER BY id LIMIT ").push(&STEP.to_string());
        let records = self.parts.database.query(sql).await?;
        records.iter().map(|record| record.need_uuid(0)).collect()
    }

    /// The deliveries that there are of the events between two positions.
    pub(super) async fn kept(
        &self,
        job: &Job,
        after: Position,
        last: Position,
    ) -> Result<HashMap<Position, Kept>, database::Error> {
        let mut sql =
            self.sql("SELECT position, sequence, status, updated_at FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(job.webhook.get()).push(" AND position > ").bind(after.get());
        sql.push(" AND position <= ").bind(last.get());
        let read = |record: &Record| {
            let status = record.need_text(2)?;
            let is_accepted_since = status == "SUCCEEDED" && record.need_int(3)? >= job.asked_at;
            let stays = status == "PENDING" || is_accepted_since;
            Ok((read_position(record, 0)?, Kept { sequence: record.int(1)?, stays }))
        };
        self.parts.database.query(sql).await?.iter().map(read).collect()
    }

    /// The first statement of a step. It changes nothing if somebody has taken the step before, and then the others, which
    /// look for its token, change nothing either. On PostgreSQL it also locks the replay's row.
    pub(super) fn advance(&self, job: &Job, progress: &Progress, token: Uuid) -> Sql {
        let mut sql = self.sql("UPDATE tandem_replay SET position = ");
        sql.bind(progress.position.get()).push(", delivery_id = ").bind(progress.delivery);
        sql.push(", queued = queued + ").bind(progress.queued as i64).push(", token = ").bind(token);
        sql.push(", updated_at = ").bind(now_micros());
        if progress.is_done {
            sql.push(", status = 'DONE'");
        }
        sql.push(" WHERE id = ").bind(job.id.get()).push(" AND status = 'RUNNING' AND position = ");
        sql.bind(job.position.get()).push(" AND ");
        match job.delivery {
            Some(last) => sql.push("delivery_id = ").bind(last),
            None => sql.push("delivery_id IS NULL"),
        };
        sql
    }

    /// Makes failed deliveries due again. They hold nothing any more, and what was sent together goes together again.
    pub(super) fn make_due(&self, job: &Job, ids: Vec<Uuid>, token: Uuid) -> Sql {
        let mut sql = self.sql("UPDATE tandem_delivery SET status = 'PENDING', attempts_before = attempts, ");
        sql.push("order_key = NULL, next_attempt_at = ");
        push_now(&mut sql);
        sql.push(", updated_at = ").bind(now_micros()).push(" WHERE id IN (");
        sql.list(", ", ids, |sql, id| {
            sql.bind(id);
        });
        sql.push(") AND status = 'FAILED' AND ");
        push_mine(&mut sql, job, token);
        sql
    }

    pub(super) fn insert(&self, job: &Job, rows: Vec<Row>, token: Uuid) -> Sql {
        let now = now_micros();
        let mut sql = self.sql(
            "INSERT INTO tandem_delivery AS d (id, webhook_id, position, message_id, type, sequence, body, batch_id, status, \
             next_attempt_at, attempts, created_at, updated_at) SELECT v.column1, ",
        );
        sql.bind(job.webhook.get())
            .push(", v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, 'PENDING', ");
        push_now(&mut sql);
        sql.push(", 0, ").bind(now).push(", ").bind(now).push(" FROM ");
        let row = |row: Row| -> [Cell<'static>; 7] {
            [
                DeliveryId::new().get().into(),
                row.position.get().into(),
                row.message.get().into(),
                row.event.to_string().into(),
                row.sequence.into(),
                row.body.into(),
                row.batch.into(),
            ]
        };
        sql.push_table([Id, BigInt, Id, Text, BigInt, Text, Id], rows.into_iter().map(row));
        sql.push(" WHERE ");
        push_mine(&mut sql, job, token);
        sql.push(
            " ON CONFLICT (webhook_id, position) DO UPDATE SET status = 'PENDING', attempts_before = d.attempts, \
             order_key = NULL, batch_id = excluded.batch_id, next_attempt_at = excluded.next_attempt_at, updated_at = excluded.updated_at, \
             body = COALESCE(d.body, excluded.body) WHERE d.status <> 'PENDING' AND \
             (d.status <> 'SUCCEEDED' OR d.updated_at < ",
        );
        sql.bind(job.asked_at).push(")");
        sql
    }

    /// Runs the statements of a step, and has whoever sends for the webhook look at them.
    pub(super) async fn commit(&self, job: &Job, mut statements: Vec<Sql>) -> Result<bool, ledger::Error> {
        if statements.len() > 1 {
            let mut sql = self.sql("UPDATE tandem_webhook SET nudges = nudges + 1 WHERE id = ");
            sql.bind(job.webhook.get());
            statements.push(sql);
        }
        let changed = self.parts.writer.statements(statements).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    pub(super) async fn stop(&self, job: &Job, reason: &str) -> Result<Option<Progress>, ledger::Error> {
        tracing::warn!(webhook.id = %job.webhook, reason, "a replay has stopped");
        let mut sql = self.sql("UPDATE tandem_replay SET status = 'STOPPED', reason = ");
        sql.bind(reason).push(", updated_at = ").bind(now_micros()).push(" WHERE id = ").bind(job.id.get());
        sql.push(" AND status = 'RUNNING'");
        self.parts.writer.statements(vec![sql]).await?;
        Ok(None)
    }

    pub(super) fn sql(&self, text: &str) -> Sql {
        Sql::text(self.parts.database.dialect(), text)
    }
}

/// Adds the condition that the step of this token was taken.
fn push_mine(sql: &mut Sql, job: &Job, token: Uuid) {
    sql.push("EXISTS (SELECT 1 FROM tandem_replay WHERE id = ").bind(job.id.get());
    sql.push(" AND token = ").bind(token).push(")");
}
