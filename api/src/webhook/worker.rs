//! Sends the messages of one webhook.
//!
//! First attempts start in log order; nothing waits for what failed. Outcomes are committed in batches, one commit at a
//! time: what finishes in the meantime makes up the next batch. Invariants: the position moves only in the transaction
//! that records the outcomes before it; a worker writes under its lease alone; everything that it holds in memory is
//! bounded, and when a bound is reached it starts nothing new until something is done.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use entity::{DeliveryId, WebhookId};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ledger::{self, Batch, Claimed, Job, Lease, Ledger, Outcome};
use super::outcome::{Health, Verdict, judge};
use super::reader::{Fresh, Item, Reader};
use super::retry::Schedule;
use super::send::{Attempt, Sender};
use super::target::Target;
use super::window::{Progress, Window};
use crate::catalog::Catalog;
use crate::catalog::datum::now_micros;
use crate::log::Hub;
use crate::store::writer;

/// Outcomes in one commit.
const MAX_BATCH: usize = 256;
/// Outcomes that wait for a commit; with more, nothing is started.
const MAX_UNCOMMITTED: usize = 1024;
/// Events between the durable position and the newest one sent; with more, the log is not read on.
const MAX_WINDOW: usize = 16 * 1024;
/// Messages that the reader has ready.
const READ_AHEAD: usize = 32;
/// A position that has moved without any outcome is committed after this many events …
const FLUSH_EVENTS: i64 = 512;
/// … or this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// How long a worker waits after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// The clock may jump, and others may ask for retries, so no timer is longer than this.
const MAX_TIMER: Duration = Duration::from_secs(60);
const EXPIRED: &str = "the next events are no longer in the log; if it is enabled again, it goes on with what happens \
                       after it was disabled";

/// What all workers share.
pub(super) struct Shared {
    pub ledger: Ledger,
    pub hub: Hub,
    pub catalog: Arc<Catalog>,
    pub sender: Sender,
    pub schedule: Schedule,
    pub timeout: Duration,
    /// Requests of all webhooks at the same time, besides one for each webhook: that one is always free, so no webhook
    /// can keep another one from sending.
    pub permits: Arc<Semaphore>,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    lease: Lease,
    target: watch::Receiver<Arc<Target>>,
    stop: CancellationToken,
    /// Whether it only finishes what it has begun.
    is_stopping: bool,
    is_expired: bool,
    items: mpsc::Receiver<Item>,
    /// A message that was taken from the reader when there was no room to send it.
    held: Option<Job>,
    /// Retries that wait for room.
    due: VecDeque<Job>,
    /// When to look for retries again, in microseconds since 1970.
    next_due: i64,
    /// Retries from when they are taken from the table until their outcome is committed.
    busy: HashSet<DeliveryId>,
    /// Whether the last attempt was a retry: retries and new messages take turns.
    was_retry: bool,
    in_flight: JoinSet<(Job, Attempt)>,
    window: Window,
    health: Health,
    outcomes: VecDeque<Outcome>,
    commit: Option<BoxFuture<'static, (Batch, bool)>>,
    committed: Progress,
    flush_at: Option<Instant>,
}

/// The worker cannot go on; another one starts from what is committed.
struct Abandoned;

/// Sends for the webhook until it is told to stop, loses the lease or cannot go on. What is in flight then is finished
/// first, within the deadline of its requests.
pub(super) async fn run(
    shared: Arc<Shared>,
    id: WebhookId,
    target: watch::Receiver<Arc<Target>>,
    stop: CancellationToken,
) {
    if let Err(error) = claim_and_work(shared, id, target, stop).await {
        tracing::warn!(webhook.id = %id, %error, "a webhook cannot be sent for now; trying again");
    }
}

async fn claim_and_work(
    shared: Arc<Shared>,
    id: WebhookId,
    target: watch::Receiver<Arc<Target>>,
    stop: CancellationToken,
) -> Result<(), ledger::Error> {
    let Some(claimed) = shared.ledger.claim(id).await? else { return Ok(()) };
    let (items_in, items) = mpsc::channel(READ_AHEAD);
    let reader = Reader {
        hub: shared.hub.clone(),
        catalog: Arc::clone(&shared.catalog),
        target: target.clone(),
        start: claimed.progress,
        recorded: shared.ledger.recorded_after(id, claimed.progress.position).await?.into(),
        items: items_in,
    };
    let mut reading = JoinSet::new();
    reading.spawn(reader.run());
    let mut worker = Worker::new(shared, &claimed, target, stop, items);
    if let Err(Abandoned) = worker.work().await {
        return Ok(());
    }
    if worker.is_expired {
        tracing::warn!(webhook.id = %id, "a webhook is disabled: the log no longer holds its next events");
        worker.shared.ledger.expire(&claimed.lease, EXPIRED).await?;
    }
    worker.shared.ledger.release(&claimed.lease).await
}

impl Worker {
    fn new(
        shared: Arc<Shared>,
        claimed: &Claimed,
        target: watch::Receiver<Arc<Target>>,
        stop: CancellationToken,
        items: mpsc::Receiver<Item>,
    ) -> Self {
        Self {
            shared,
            lease: claimed.lease,
            target,
            stop,
            is_stopping: false,
            is_expired: false,
            items,
            held: None,
            due: VecDeque::new(),
            next_due: 0,
            busy: HashSet::new(),
            was_retry: false,
            in_flight: JoinSet::new(),
            window: Window::new(claimed.progress),
            health: claimed.health,
            outcomes: VecDeque::new(),
            commit: None,
            committed: claimed.progress,
            flush_at: None,
        }
    }

    async fn work(&mut self) -> Result<(), Abandoned> {
        loop {
            self.fill();
            self.begin_commit();
            if self.is_done() {
                return Ok(());
            }
            let may_take = self.may_take();
            let due_at = self.due_timer();
            let flush_at = self.flush_at;
            // Every arm is cancel-safe: each awaits one channel, set, timer or a future that is kept.
            tokio::select! {
                () = self.stop.cancelled(), if !self.is_stopping => self.is_stopping = true,
                Some(finished) = self.in_flight.join_next() => self.finished(finished)?,
                (batch, is_held) = pending_or(&mut self.commit) => self.committed(&batch, is_held)?,
                item = self.items.recv(), if may_take => self.take(item.ok_or(Abandoned)?),
                () = sleep_until(due_at.unwrap_or_else(Instant::now)), if due_at.is_some() => self.load_due().await,
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => self.flush_at = None,
                // The webhook has changed, or somebody has made a delivery due.
                Ok(()) = self.target.changed() => self.next_due = 0,
            }
        }
    }

    fn is_done(&self) -> bool {
        self.is_stopping
            && self.in_flight.is_empty()
            && self.commit.is_none()
            && self.outcomes.is_empty()
            && self.window.progress() == self.committed
    }

    /// Whether there is room for one more attempt.
    fn may_start(&self) -> bool {
        !self.is_stopping
            && !self.stop.is_cancelled()
            && self.in_flight.len() < self.target.borrow().max_in_flight
            && self.outcomes.len() < MAX_UNCOMMITTED
    }

    /// Whether the next item of the reader can be taken.
    fn may_take(&self) -> bool {
        self.held.is_none() && self.window.open() < MAX_WINDOW && self.may_start()
    }

    /// Starts what can be started.
    fn fill(&mut self) {
        while self.may_start() {
            let permit = match self.in_flight.is_empty() {
                true => None,
                false => match Arc::clone(&self.shared.permits).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    // Tried again when one of this webhook's own attempts has ended.
                    Err(_) => return,
                },
            };
            let Some(job) = self.next_job() else { return };
            self.start(job, permit);
        }
    }

    fn next_job(&mut self) -> Option<Job> {
        if self.was_retry {
            self.next_fresh().or_else(|| self.due.pop_front())
        } else {
            self.due.pop_front().or_else(|| self.next_fresh())
        }
    }

    fn next_fresh(&mut self) -> Option<Job> {
        while self.may_take()
            && let Ok(item) = self.items.try_recv()
        {
            self.take(item);
        }
        self.held.take()
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Skipped(progress) => self.window.skip_to(progress),
            Item::Message(fresh) => {
                self.window.take(fresh.position, fresh.sequence);
                self.held = Some(first_attempt(fresh));
            }
            Item::Expired => {
                self.is_expired = true;
                self.is_stopping = true;
            }
        }
    }

    fn start(&mut self, job: Job, permit: Option<OwnedSemaphorePermit>) {
        self.was_retry = job.is_recorded;
        let outbound = self.target.borrow().outbound(job.message, &job.body, self.shared.timeout);
        let sender = self.shared.sender.clone();
        self.in_flight.spawn(async move {
            let attempt = sender.send(outbound).await;
            drop(permit);
            (job, attempt)
        });
    }

    fn finished(&mut self, finished: Result<(Job, Attempt), JoinError>) -> Result<(), Abandoned> {
        let (job, attempt) = finished.map_err(|error| {
            tracing::error!(webhook.id = %self.lease.webhook, %error, "sending a message has panicked");
            Abandoned
        })?;
        let verdict = judge(&self.shared.schedule, job.number.saturating_sub(job.before), &attempt, rand::random());
        tracing::debug!(
            webhook.id = %self.lease.webhook,
            event.position = %job.position,
            attempt = job.number,
            status_code = attempt.status_code,
            error.code = attempt.error.as_ref().map(|error| error.code.name()),
            duration_ms = attempt.duration_ms,
            "sent a message"
        );
        self.outcomes.push_back(Outcome { job, attempt, verdict });
        Ok(())
    }

    /// Begins to commit what there is, unless a commit is going on.
    fn begin_commit(&mut self) {
        if self.commit.is_some() {
            return;
        }
        let count = self.outcomes.len().min(MAX_BATCH);
        let outcomes: Vec<_> = self.outcomes.drain(..count).collect();
        let (mut disable, was_at_risk) = (None, self.health.is_at_risk(now_micros()));
        for outcome in &outcomes {
            if !outcome.job.is_recorded {
                self.window.handled(outcome.job.position);
            }
            self.health = self.health.after(&outcome.attempt);
            disable = disable.or_else(|| self.health.verdict(&outcome.attempt));
        }
        if !was_at_risk && self.health.is_at_risk(now_micros()) && disable.is_none() {
            let failures = self.health.failures;
            tracing::warn!(webhook.id = %self.lease.webhook, failures, "a webhook will be disabled if nothing succeeds");
        }
        let progress = self.window.progress();
        if outcomes.is_empty() && !self.must_flush(progress) {
            return;
        }
        self.flush_at = None;
        let batch = Batch { outcomes, progress, health: self.health, disable };
        self.commit = Some(commit(Arc::clone(&self.shared), self.lease, batch).boxed());
    }

    /// Whether a position that moved without any outcome is to be committed now. Sets the time of the commit if not.
    fn must_flush(&mut self, progress: Progress) -> bool {
        let events = progress.position.get() - self.committed.position.get();
        if events == 0 {
            self.flush_at = None;
            return false;
        }
        if events >= FLUSH_EVENTS || self.is_stopping {
            return true;
        }
        let flush_at = *self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
        flush_at <= Instant::now()
    }

    fn committed(&mut self, batch: &Batch, is_held: bool) -> Result<(), Abandoned> {
        self.commit = None;
        if !is_held {
            tracing::info!(webhook.id = %self.lease.webhook, "the lease of a webhook is lost, or the webhook is gone");
            return Err(Abandoned);
        }
        self.committed = batch.progress;
        for outcome in &batch.outcomes {
            // A first attempt is not busy, but its retry may be by now: its row was there before its commit was known here.
            if outcome.job.is_recorded {
                self.busy.remove(&outcome.job.delivery);
            }
            if let Verdict::Pending { next_attempt_at } = outcome.verdict {
                self.next_due = self.next_due.min(next_attempt_at);
            }
        }
        if let Some(reason) = &batch.disable {
            tracing::warn!(webhook.id = %self.lease.webhook, reason, "a webhook is disabled");
            self.is_stopping = true;
        }
        Ok(())
    }

    /// When retries are to be loaded; `None` while there is no room for any.
    fn due_timer(&self) -> Option<Instant> {
        if !self.due.is_empty() || !self.may_start() {
            return None;
        }
        let wait_us = self.next_due.saturating_sub(now_micros()).max(0);
        Some(Instant::now() + Duration::from_micros(wait_us as u64).min(MAX_TIMER))
    }

    async fn load_due(&mut self) {
        // Rows of busy deliveries still look due, so as many more are read.
        let limit = self.target.borrow().max_in_flight + self.busy.len();
        let (id, now) = (self.lease.webhook, now_micros());
        let loaded = async {
            let jobs = self.shared.ledger.due(id, now, limit).await?;
            let next_due = match jobs.len() < limit {
                true => self.shared.ledger.next_due(id, now).await?,
                false => Some(now),
            };
            Ok::<_, ledger::Error>((jobs, next_due))
        };
        match loaded.await {
            Ok((jobs, next_due)) => {
                self.due.extend(jobs.into_iter().filter(|job| !self.busy.contains(&job.delivery)));
                self.busy.extend(self.due.iter().map(|job| job.delivery));
                let look_again_at = now + MAX_TIMER.as_micros() as i64;
                self.next_due = next_due.map_or(look_again_at, |at| at.min(look_again_at));
            }
            Err(error) => {
                tracing::warn!(webhook.id = %self.lease.webhook, %error, "retries cannot be read; trying again");
                self.next_due = now + PAUSE_AFTER_ERROR.as_micros() as i64;
            }
        }
    }
}

fn first_attempt(fresh: Fresh) -> Job {
    Job {
        delivery: DeliveryId::new(),
        is_recorded: false,
        position: fresh.position,
        message: fresh.message,
        event: fresh.event,
        sequence: Some(fresh.sequence),
        number: 1,
        before: 0,
        body: fresh.body,
    }
}

/// Commits a batch, however long it takes: repeating it changes nothing, and leaving it out would send again what was
/// accepted. `false`: the lease is lost, or the server ends.
async fn commit(shared: Arc<Shared>, lease: Lease, batch: Batch) -> (Batch, bool) {
    loop {
        match shared.ledger.commit(&lease, &batch).await {
            Ok(is_held) => return (batch, is_held),
            Err(ledger::Error::Writer(writer::Error::Closed)) => return (batch, false),
            Err(error) => {
                tracing::warn!(webhook.id = %lease.webhook, %error, "outcomes cannot be recorded; trying again");
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// Waits for the future if there is one, and forever if not.
async fn pending_or<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
