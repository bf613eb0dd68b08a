//! Works on replays: puts older events in line as deliveries that are due, a few at a time.
//!
//! Invariants: a step writes its deliveries and how far it has come in one transaction, and only if nobody has taken the
//! same step before; so an event is put in line once, through crashes and on several nodes. At most `MAX_WAITING` of them
//! wait for a webhook, so a replay of any length takes little room; its worker sends them in turns with new events. What
//! waits for a retry stays as it is, and so does what was accepted since the replay was asked for.
//!
//! A webhook that is not enabled keeps its replay where it is.
//!
//! - `statements`: what it reads and writes

mod statements;

use std::sync::Arc;
use std::time::Duration;

use entity::replay::Scope;
use entity::{Position, ReplayId, WebhookId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::statements::Row;
use super::batch::{self, Batching};
use super::operations::replay::goes_on;
use super::reader::message_body;
use super::row::Webhook;
use super::target::{TargetError, Targets};
use super::{Wake, ledger};
use crate::database::{self, Database};
use crate::log::{self, Hub};
use crate::store::turn::Turn;
use crate::store::writer::Writer;

/// Deliveries that one step puts in line; it makes batches full. A mutation waits for one step at most; but a step waits for
/// reads and a commit of its own, so with a few only a replay would not keep up with the rate of its webhook while much is
/// written.
const STEP: usize = 32;
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

    /// Makes failed deliveries due. Their bodies are kept.
    async fn step_failed(&self, job: &Job) -> Result<Option<Progress>, ledger::Error> {
        let ids = self.failed(job).await?;
        let progress = Progress {
            position: job.position,
            delivery: ids.last().copied().or(job.delivery),
            is_done: ids.len() < STEP,
            queued: ids.len(),
        };
        let token = Uuid::new_v4();
        let mut statements = vec![self.advance(job, &progress, token)];
        if !ids.is_empty() {
            statements.push(self.make_due(job, ids, token));
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
        let most = deliveries_of_a_step(target.batching);
        while rows.len() < most && looked_at < MAX_EVENTS && last < job.until {
            // Where few are selected more are read at a time.
            let count = (most - rows.len()).max(looked_at);
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
                if rows.len() == most {
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
}

/// How many deliveries a step puts in line: some batches, if its webhook wants several events in one request.
fn deliveries_of_a_step(batching: Option<Batching>) -> usize {
    let batch = batching.map_or(1, |batching| batching.max_events);
    batch * (STEP / batch).max(1)
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
