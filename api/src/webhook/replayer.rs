//! Works on replays: puts older events in line as deliveries that are due, a few at a time.
//!
//! Invariants: a step writes its deliveries and how far it has come in one transaction, and only if nobody has taken the
//! same step before; so an event is put in line once, through crashes and on several nodes. At most `MAX_WAITING` of them
//! wait for a webhook, so a replay of any length takes little room; its worker sends them in turns with new events. What
//! waits for a retry stays as it is, and so does what was accepted since the replay was asked for.
//!
//! A webhook that is not enabled keeps its replay where it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use entity::replay::Scope;
use entity::{DeliveryId, EventId, Position, ReplayId, WebhookId};
use sea_orm::ActiveEnum;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{self, Batching};
use super::clock::push_now;
use super::operations::replay::goes_on;
use super::reader::message_body;
use super::row::{Webhook, read_position};
use super::target::{TargetError, Targets};
use super::{Wake, ledger};
use crate::catalog::datum::now_micros;
use crate::database::Element::{BigInt, Text, Uuid as Id};
use crate::database::{self, Cell, Database, Record, Sql};
use crate::log::{self, Hub};
use crate::store::turn::Turn;
use crate::store::writer::Writer;

/// Deliveries that one step puts in line. A mutation waits for one step at most; but a step waits for reads and a commit of
/// its own, so with fewer a replay would not keep up with the rate of its webhook while much is written.
const STEP: usize = 64;
/// Events that one step looks at, of which its webhook's document may select few.
const MAX_EVENTS: usize = 256;
/// Deliveries that one replay puts in line before it is the turn of the next one.
const TURN: usize = 128;
/// Deliveries of a webhook that are due and wait; with more, its replay waits.
const MAX_WAITING: usize = 256;
/// With fewer of them, whoever sends for the webhook is woken: it may have taken all that there were.
const FEW_WAITING: usize = 128;
/// How often it looks for what other nodes have started, and for what was put off.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long it leaves writers and workers alone while a line is full.
const PAUSE: Duration = Duration::from_millis(50);

/// What the replayer works with.
pub struct Parts {
    /// To read from.
    pub database: Database,
    /// To write with.
    pub writer: Writer,
    /// The log.
    pub hub: Hub,
    /// What is sent for each webhook.
    pub targets: Targets,
    /// Tells the dispatcher that something is due.
    pub wake: Wake,
    /// Says that a replay was started here.
    pub replays: Arc<Notify>,
}

/// The replayer of one process.
pub struct Replayer {
    parts: Parts,
    turn: Turn,
}

/// A replay that is running.
pub(super) struct Job {
    id: ReplayId,
    webhook: WebhookId,
    scope: Scope,
    position: Position,
    until: Position,
    delivery: Option<Uuid>,
    asked_at: i64,
}

/// What the turn of a replay came to.
enum Step {
    /// There may be more to do at once.
    Taken,
    /// The line is full.
    Full,
    /// There is nothing to do for now.
    Idle,
}

/// Where a step leaves a replay.
pub(super) struct Progress {
    position: Position,
    delivery: Option<Uuid>,
    is_done: bool,
    queued: usize,
}

impl Replayer {
    /// A replayer that does nothing yet.
    pub fn new(parts: Parts) -> Self {
        let turn = Turn::new("replay", parts.database.clone(), parts.writer.clone());
        Self { parts, turn }
    }

    /// Works until it is told to stop. What is not finished goes on after the next start.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pause = match self.pass(&stop).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "replays cannot go on; trying again");
                    POLL_INTERVAL
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.parts.replays.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.turn.give_up().await;
    }

    /// The turn of each replay. Gives how long nothing is to be done.
    pub(super) async fn pass(&self, stop: &CancellationToken) -> Result<Duration, ledger::Error> {
        let jobs = self.jobs().await?;
        if jobs.is_empty() || !self.turn.take().await? {
            return Ok(POLL_INTERVAL);
        }
        let mut pause = POLL_INTERVAL;
        for job in jobs {
            if stop.is_cancelled() {
                break;
            }
            match self.turn_of(job).await? {
                Step::Taken => pause = Duration::ZERO,
                Step::Full => pause = pause.min(PAUSE),
                Step::Idle => {}
            }
        }
        Ok(pause)
    }

    pub(super) async fn jobs(&self) -> Result<Vec<Job>, ledger::Error> {
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

    /// As many steps of a replay as there is room for. What waits is counted once for all of them.
    async fn turn_of(&self, mut job: Job) -> Result<Step, ledger::Error> {
        let Some(webhook) = self.webhook(job.webhook).await? else { return Ok(Step::Idle) };
        if !goes_on(webhook.status) {
            return Ok(Step::Idle);
        }
        let waiting = self.waiting(job.webhook).await?;
        if waiting >= MAX_WAITING {
            return Ok(Step::Full);
        }
        let room = TURN.min(MAX_WAITING - waiting);
        let mut queued = 0;
        while queued < room {
            let Some(progress) = self.step(&job, &webhook).await? else { break };
            queued += progress.queued.max(1);
            if waiting < FEW_WAITING {
                self.parts.wake.wake();
            }
            if progress.is_done {
                break;
            }
            (job.position, job.delivery) = (progress.position, progress.delivery);
        }
        Ok(match queued {
            0 => Step::Idle,
            _ if queued + waiting >= MAX_WAITING => Step::Full,
            _ => Step::Taken,
        })
    }

    /// A step; where it leaves the replay, or `None` if there is nothing to do for now, or somebody has taken it before.
    pub(super) async fn step(&self, job: &Job, webhook: &Webhook) -> Result<Option<Progress>, ledger::Error> {
        match job.scope {
            Scope::Failed => self.step_failed(job).await,
            Scope::All => self.step_all(job, webhook).await,
        }
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, database::Error> {
        let mut sql = self.sql("SELECT ");
        sql.push(Webhook::COLUMNS).push(" FROM tandem_webhook WHERE id = ").bind(id.get());
        self.parts.database.query(sql).await?.first().map(Webhook::read).transpose()
    }

    /// How many deliveries are due, as far as it matters.
    async fn waiting(&self, webhook: WebhookId) -> Result<usize, database::Error> {
        let mut sql = self.sql("SELECT COUNT(*) FROM (SELECT 1 FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(webhook.get()).push(" AND status = 'PENDING' AND next_attempt_at <= ");
        push_now(&mut sql);
        sql.push(" LIMIT ").push(&MAX_WAITING.to_string()).push(") AS w");
        let count = self.parts.database.query(sql).await?.first().map_or(Ok(0), |record| record.need_int(0))?;
        Ok(usize::try_from(count).unwrap_or(MAX_WAITING))
    }

    /// Makes failed deliveries due. Their bodies are kept.
    async fn step_failed(&self, job: &Job) -> Result<Option<Progress>, ledger::Error> {
        let mut sql = self.sql("SELECT id FROM tandem_delivery WHERE webhook_id = ");
        sql.bind(job.webhook.get()).push(" AND status = 'FAILED' AND position > ").bind(job.position.get());
        sql.push(" AND position <= ").bind(job.until.get());
        if let Some(last) = job.delivery {
            sql.push(" AND id > ").bind(last);
        }
        sql.push(" ORDER BY id LIMIT ").push(&STEP.to_string());
        let records = self.parts.database.query(sql).await?;
        let ids = records.iter().map(|record| record.need_uuid(0)).collect::<Result<Vec<_>, _>>()?;
        let progress = Progress {
            position: job.position,
            delivery: ids.last().copied().or(job.delivery),
            is_done: ids.len() < STEP,
            queued: ids.len(),
        };
        let token = Uuid::new_v4();
        let mut statements = vec![self.advance(job, &progress, token)];
        if !ids.is_empty() {
            // They hold nothing any more. What was sent together goes together again.
            let mut sql = self.sql("UPDATE tandem_delivery SET status = 'PENDING', attempts_before = attempts, ");
            sql.push("order_key = NULL, next_attempt_at = ");
            push_now(&mut sql);
            sql.push(", updated_at = ").bind(now_micros()).push(" WHERE id IN (");
            sql.list(", ", ids, |sql, id| {
                sql.bind(id);
            });
            sql.push(") AND status = 'FAILED' AND ");
            push_mine(&mut sql, job, token);
            statements.push(sql);
        }
        Ok(self.commit(job, statements).await?.then_some(progress))
    }

    /// Renders the next events and makes their deliveries due.
    async fn step_all(&self, job: &Job, webhook: &Webhook) -> Result<Option<Progress>, ledger::Error> {
        let target = match self.parts.targets.of(webhook) {
            Ok(target) => target,
            Err(TargetError::Invalid(reason)) => return self.stop(job, &reason).await,
            // Whoever sends for it says so.
            Err(TargetError::Sealed(_)) => return Ok(None),
        };
        let (mut last, mut looked_at) = (job.position, 0);
        let (mut rows, mut batches) = (Vec::new(), Batches::new(target.batching));
        while rows.len() < STEP && looked_at < MAX_EVENTS && last < job.until {
            // Where few are selected more are read at a time.
            let count = (STEP - rows.len()).max(looked_at);
            let mut events = match self.parts.hub.after(last, count).await {
                Ok(events) => events,
                Err(log::Error::Expired) => {
                    return self.stop(job, "its next events are no longer in the log").await;
                }
                Err(log::Error::Database(error)) => return Err(error.into()),
            };
            events.retain(|event| event.position <= job.until);
            // The hub may not have read yet what another node has delivered.
            let Some(end) = events.last().map(|event| event.position) else { break };
            looked_at += events.len();
            let kept = self.kept(job, last, end).await?;
            for event in &events {
                last = event.position;
                let known = kept.get(&event.position);
                if known.is_some_and(|known| known.stays) {
                    continue;
                }
                let rendered = target.group.render(event).await;
                let rendered = rendered.map_err(|error| database::Error::Other(error.to_string()))?;
                let Some(rendered) = rendered else { continue };
                let sequence = known.and_then(|known| known.sequence);
                let body = message_body(event, sequence, &rendered);
                let body = String::from_utf8(body.to_vec()).expect("a body is JSON in UTF-8");
                let event_name = Arc::clone(&rendered.event);
                let batch = batches.next(body.len());
                rows.push(Row {
                    position: event.position,
                    message: event.id,
                    event: event_name,
                    sequence,
                    body,
                    batch,
                });
                if rows.len() == STEP {
                    break;
                }
            }
        }
        if last == job.position {
            return Ok(None);
        }
        let progress = Progress { position: last, delivery: None, is_done: last >= job.until, queued: rows.len() };
        let token = Uuid::new_v4();
        let mut statements = vec![self.advance(job, &progress, token)];
        if !rows.is_empty() {
            statements.push(self.insert(job, rows, token));
        }
        Ok(self.commit(job, statements).await?.then_some(progress))
    }

    /// The deliveries that there are of the events between two positions.
    async fn kept(
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
    fn advance(&self, job: &Job, progress: &Progress, token: Uuid) -> Sql {
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

    fn insert(&self, job: &Job, rows: Vec<Row>, token: Uuid) -> Sql {
        let now = now_micros();
        let mut sql = self.sql(
            "INSERT INTO tandem_delivery AS d (id, webhook_id, position, message_id, type, sequence, body, batch_id, status, \
             next_attempt_at, attempts, created_at, updated_at) SELECT v.column1, ",
        );
        sql.bind(job.webhook.get())
            .push(", v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, 'PENDING', ");
        push_now(&mut sql);
        sql.push(", 0, ").bind(now).push(", ").bind(now).push(" FROM ");
        let row = |row: Row| -> [Cell; 7] {
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
    async fn commit(&self, job: &Job, mut statements: Vec<Sql>) -> Result<bool, ledger::Error> {
        if statements.len() > 1 {
            let mut sql = self.sql("UPDATE tandem_webhook SET nudges = nudges + 1 WHERE id = ");
            sql.bind(job.webhook.get());
            statements.push(sql);
        }
        let changed = self.parts.writer.statements(statements).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    async fn stop(&self, job: &Job, reason: &str) -> Result<Option<Progress>, ledger::Error> {
        tracing::warn!(webhook.id = %job.webhook, reason, "a replay has stopped");
        let mut sql = self.sql("UPDATE tandem_replay SET status = 'STOPPED', reason = ");
        sql.bind(reason).push(", updated_at = ").bind(now_micros()).push(" WHERE id = ").bind(job.id.get());
        sql.push(" AND status = 'RUNNING'");
        self.parts.writer.statements(vec![sql]).await?;
        Ok(None)
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.parts.database.dialect(), text)
    }
}

/// A delivery that is to be put in line.
struct Row {
    position: Position,
    message: EventId,
    event: Arc<str>,
    sequence: Option<i64>,
    body: String,
    batch: Option<Uuid>,
}

/// Groups what a step puts in line as its webhook wants several events in one request.
struct Batches {
    batching: Option<Batching>,
    id: Uuid,
    events: usize,
    bytes: usize,
}

impl Batches {
    fn new(batching: Option<Batching>) -> Self {
        Self { batching, id: Uuid::new_v4(), events: 0, bytes: 0 }
    }

    /// The batch of the next message, which has so many bytes; `None` if it goes alone.
    fn next(&mut self, bytes: usize) -> Option<Uuid> {
        let batching = self.batching?;
        if self.events >= batching.max_events || self.bytes >= batch::MAX_BYTES {
            *self = Self::new(self.batching);
        }
        self.events += 1;
        self.bytes += bytes;
        Some(self.id)
    }
}

/// What there is of an event already.
struct Kept {
    sequence: Option<i64>,
    /// It waits for an attempt, or it was accepted since the replay was asked for.
    stays: bool,
}

/// Adds the condition that the step of this token was taken.
fn push_mine(sql: &mut Sql, job: &Job, token: Uuid) {
    sql.push("EXISTS (SELECT 1 FROM tandem_replay WHERE id = ").bind(job.id.get());
    sql.push(" AND token = ").bind(token).push(")");
}
