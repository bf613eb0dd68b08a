//! Sends the messages of one webhook.
//!
//! What may be sent when is for [`Order`] (which message waits for which) and [`Pace`] (how fast) to say. Outcomes are
//! committed in batches, one commit at a time: what finishes in the meantime makes up the next batch. Invariants: the
//! position moves only in the transaction that records the outcomes before it; a worker writes under its lease alone;
//! everything that it holds in memory is bounded, and when a bound is reached it starts nothing new until something is
//! done.
//!
//! - `sending`: what is started, and when
//! - `lanes`: the requests that are on their way
//! - `recording`: what comes of it, and its commit
//! - `retries`: what has failed before, when its time has come

mod lanes;
mod recording;
mod retries;
mod sending;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use entity::{DeliveryId, WebhookId};
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::lanes::Lanes;
use super::clock::Clock;
use super::gauges::{Counters, Gauges};
use super::ledger::committer::Committer;
use super::ledger::{self, Batch, Claimed, Job, Lease, Ledger, Outcome};
use super::order::{MAX_HELD, Order, Release};
use super::outcome::Health;
use super::pace::Pace;
use super::reader::{Item, Reader};
use super::retry::Schedule;
use super::send::Sender;
use super::target::Target;
use super::term::Term;
use super::window::{Progress, Window};
use crate::log::Hub;

/// Messages that the reader has ready.
const READ_AHEAD: usize = 32;
const EXPIRED: &str = "the next events are no longer in the log; if it is enabled again, it goes on with what happens \
                       after it was disabled";

/// What all workers share.
pub(super) struct Shared {
    /// When it is over, nothing is sent.
    pub term: Term,
    pub ledger: Ledger,
    pub committer: Committer,
    pub hub: Hub,
    pub sender: Sender,
    pub schedule: Schedule,
    pub timeout: Duration,
    pub clock: Clock,
    pub counters: Counters,
    /// Requests of all webhooks at the same time, besides one for each webhook: that one is always free. When there are
    /// none left, workers stand in line with one request each, so what gets free goes round.
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
    /// What the next request takes along: one message, or a batch.
    ready: VecDeque<Job>,
    ready_bytes: usize,
    /// Since when there is something ready.
    ready_since: Option<Instant>,
    order: Order,
    pace: Pace,
    /// When the pace allows the next request, if there is one.
    paced_until: Option<Instant>,
    /// A place in the line for a permit; and one that has come, for the next request.
    permit_wait: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
    permit: Option<OwnedSemaphorePermit>,
    /// Retries that wait for room; what goes out together.
    due: VecDeque<Vec<Job>>,
    /// When to look for retries again, by the clock of the database.
    next_due: i64,
    /// Retries from when they are taken from the table until their outcome is committed.
    busy: HashSet<DeliveryId>,
    /// Whether the last request was a retry: retries and new messages take turns.
    was_retry: bool,
    in_flight: Lanes,
    window: Window,
    health: Health,
    /// Why the webhook is to be disabled with the next commit.
    disable: Option<String>,
    outcomes: VecDeque<Outcome>,
    released: Vec<Release>,
    commit: Option<BoxFuture<'static, Option<Batch>>>,
    committed: Progress,
    flush_at: Option<Instant>,
    gauges: Arc<Gauges>,
    /// Others may have put deliveries in line since they were counted.
    must_count: bool,
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
    let order = order(&shared, &claimed, &target).await?;
    let gauges = shared.counters.webhook(id, shared.ledger.pending(id).await?, claimed.progress.position);
    let (items_in, items) = mpsc::channel(READ_AHEAD);
    let reader = Reader {
        hub: shared.hub.clone(),
        target: target.clone(),
        start: claimed.progress,
        recorded: shared.ledger.recorded_after(id, claimed.progress.position).await?.into(),
        items: items_in,
    };
    let mut reading = JoinSet::new();
    reading.spawn(reader.run());
    let mut worker = Worker::new(shared, &claimed, target, stop, items, order, gauges);
    if let Err(Abandoned) = worker.work().await {
        return Ok(());
    }
    if worker.is_expired {
        tracing::warn!(webhook.id = %id, "a webhook is disabled: the log no longer holds its next events");
        worker.shared.ledger.expire(&claimed.lease, EXPIRED).await?;
    }
    worker.shared.ledger.release(&claimed.lease).await
}

/// What holds what, as the last worker has left it, or as the webhook's ordering wants it now.
async fn order(
    shared: &Shared,
    claimed: &Claimed,
    target: &watch::Receiver<Arc<Target>>,
) -> Result<Order, ledger::Error> {
    let (lease, ordering, is_batched) = {
        let target = target.borrow();
        (&claimed.lease, target.ordering, target.batching.is_some())
    };
    let held = shared.ledger.held(lease.webhook, MAX_HELD + 1).await?;
    if !held.is_empty() {
        shared.ledger.arrange(lease, ordering, is_batched, shared.clock.now()).await?;
    }
    Ok(Order::new(ordering, held))
}

impl Worker {
    fn new(
        shared: Arc<Shared>,
        claimed: &Claimed,
        target: watch::Receiver<Arc<Target>>,
        stop: CancellationToken,
        items: mpsc::Receiver<Item>,
        order: Order,
        gauges: Arc<Gauges>,
    ) -> Self {
        let in_flight = Lanes::new(shared.sender.clone());
        Self {
            shared,
            lease: claimed.lease,
            target,
            stop,
            is_stopping: false,
            is_expired: false,
            items,
            ready: VecDeque::new(),
            ready_bytes: 0,
            ready_since: None,
            order,
            pace: Pace::new(claimed.health.failures.unsigned_abs(), Instant::now()),
            paced_until: None,
            permit_wait: None,
            permit: None,
            due: VecDeque::new(),
            next_due: 0,
            busy: HashSet::new(),
            was_retry: false,
            in_flight,
            window: Window::new(claimed.progress),
            health: claimed.health,
            disable: None,
            outcomes: VecDeque::new(),
            released: Vec::new(),
            commit: None,
            committed: claimed.progress,
            flush_at: None,
            gauges,
            must_count: false,
        }
    }

    async fn work(&mut self) -> Result<(), Abandoned> {
        loop {
            self.fill();
            self.begin_commit();
            self.show();
            if self.is_done() {
                return Ok(());
            }
            let (may_take, wake_at) = (self.may_take(), self.wake_at());
            // Every arm is cancel-safe: each awaits one channel, set, timer or a future that is kept.
            tokio::select! {
                () = self.stop.cancelled(), if !self.is_stopping => self.is_stopping = true,
                ended = self.in_flight.ended(), if !self.in_flight.is_empty() => {
                    let (jobs, attempt) = self.survived(ended)?;
                    self.finished(jobs, attempt);
                    while let Some((jobs, attempt)) = self.in_flight.try_ended() {
                        self.finished(jobs, attempt);
                    }
                }
                batch = pending_or(&mut self.commit) => self.committed(batch)?,
                permit = pending_or(&mut self.permit_wait) => {
                    self.permit_wait = None;
                    self.permit = permit;
                }
                item = self.items.recv(), if may_take => self.take(item.ok_or(Abandoned)?),
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    if self.due_at().is_some_and(|at| at <= Instant::now()) {
                        self.load_due().await;
                    }
                }
                // The webhook has changed, or somebody has made a delivery due.
                Ok(()) = self.target.changed() => {
                    self.next_due = 0;
                    self.must_count = true;
                }
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

    /// When there is something to do even if nothing happens.
    fn wake_at(&self) -> Option<Instant> {
        // One that is over waits for something else.
        let batch_at = self.batch_at().filter(|at| self.may_start() && *at > Instant::now());
        [self.due_at(), self.flush_at, self.paced_until, batch_at].into_iter().flatten().min()
    }

    fn show(&self) {
        self.gauges.show(self.in_flight.len(), self.pace.state());
    }
}

/// Waits for the future if there is one, and forever if not.
async fn pending_or<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
