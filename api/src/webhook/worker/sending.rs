//! What a worker starts: new messages in log order as far as the order lets them, and retries whose time has come.

use std::sync::Arc;

use entity::DeliveryId;
use futures_util::future::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Worker;
use super::lanes::Request;
use crate::webhook::batch;
use crate::webhook::ledger::{Job, Outcome};
use crate::webhook::order::Admitted;
use crate::webhook::outcome::Verdict;
use crate::webhook::reader::{Fresh, Item};

/// Outcomes that wait for a commit; with more, nothing is started.
const MAX_UNCOMMITTED: usize = 512;
/// Events between the durable position and the newest one sent; with more, the log is not read on.
const MAX_WINDOW: usize = 16 * 1024;

/// What a request is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Messages that are sent for the first time.
    New,
    /// Messages that have a row.
    Retry,
}

impl Worker {
    /// Whether there is room for one more request.
    pub(super) fn may_start(&self) -> bool {
        let limit = if self.order.is_parallel() { self.target.borrow().max_in_flight } else { 1 };
        !self.is_stopping
            && !self.stop.is_cancelled()
            && !self.shared.term.is_over()
            && self.in_flight.len() < limit
            && self.outcomes.len() < MAX_UNCOMMITTED
    }

    /// Starts what can be started.
    pub(super) fn fill(&mut self) {
        self.paced_until = None;
        self.gather();
        while let Some(kind) = self.next_kind() {
            let now = Instant::now();
            match self.pace.opens_at(now) {
                Some(at) if at <= now => {}
                Some(at) => {
                    self.paced_until = Some(at);
                    break;
                }
                // The end of the probe wakes.
                None => break,
            }
            let permit = match self.in_flight.is_empty() {
                true => None,
                false => match self.next_permit() {
                    Some(permit) => Some(permit),
                    None => return,
                },
            };
            let jobs = match kind {
                Kind::New => self.take_ready(),
                Kind::Retry => self.due.pop_front().unwrap_or_default(),
            };
            self.start(kind, jobs, permit, now);
            self.gather();
        }
        // Nobody stands in line who needs nothing.
        (self.permit, self.permit_wait) = (None, None);
    }

    /// One of the requests that all webhooks may have in flight; `None`: this webhook stands in line for one.
    fn next_permit(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Some(permit) = self.permit.take() {
            return Some(permit);
        }
        if self.permit_wait.is_some() {
            return None;
        }
        let permit = Arc::clone(&self.shared.permits).try_acquire_owned().ok();
        if permit.is_none() {
            let permits = Arc::clone(&self.shared.permits);
            self.permit_wait = Some(async move { permits.acquire_owned().await.ok() }.boxed());
        }
        permit
    }

    fn next_kind(&self) -> Option<Kind> {
        if !self.may_start() {
            return None;
        }
        match (self.is_ready(), !self.due.is_empty()) {
            (false, false) => None,
            (true, false) => Some(Kind::New),
            (false, true) => Some(Kind::Retry),
            (true, true) => Some(if self.was_retry { Kind::New } else { Kind::Retry }),
        }
    }

    /// Whether new messages are to be sent now.
    fn is_ready(&self) -> bool {
        if self.ready.is_empty() || !self.order.may_send() {
            return false;
        }
        !self.has_room() || self.batch_at().is_none_or(|at| at <= Instant::now())
    }

    /// When a batch is sent, however small it is.
    pub(super) fn batch_at(&self) -> Option<Instant> {
        let batching = self.target.borrow().batching?;
        self.ready_since.filter(|_| self.order.may_send()).map(|since| since + batching.max_wait)
    }

    /// Whether the next request can take along one more message.
    fn has_room(&self) -> bool {
        self.ready.len() < self.target.borrow().max_events() && self.ready_bytes < batch::MAX_BYTES
    }

    /// Whether the next item of the reader can be taken.
    pub(super) fn may_take(&self) -> bool {
        !self.is_stopping
            && !self.stop.is_cancelled()
            && self.has_room()
            && self.order.has_room()
            && self.window.open() < MAX_WINDOW
            && self.outcomes.len() < MAX_UNCOMMITTED
    }

    /// Takes what there is for the next request.
    fn gather(&mut self) {
        while self.has_room()
            && let Some(job) = self.order.take_next()
        {
            self.make_ready(job);
        }
        while self.may_take()
            && let Ok(item) = self.items.try_recv()
        {
            self.take(item);
        }
    }

    pub(super) fn take(&mut self, item: Item) {
        match item {
            Item::Skipped(progress) => self.window.skip_to(progress),
            Item::Message(fresh) => {
                self.window.take(fresh.position, fresh.sequence);
                self.gauges.took(fresh.at);
                let job = first_attempt(fresh, self.order.is_ordered());
                match self.order.admit(job) {
                    Admitted::Ready(job) => self.make_ready(job),
                    Admitted::Waiting => {}
                    Admitted::Held(job) => self.hold(job),
                }
            }
            Item::Expired => {
                self.is_expired = true;
                self.is_stopping = true;
            }
        }
    }

    fn make_ready(&mut self, job: Job) {
        let node = job.node;
        self.push_ready(job);
        while self.has_room()
            && let Some(job) = self.order.joins(node)
        {
            self.push_ready(job);
        }
    }

    fn push_ready(&mut self, job: Job) {
        self.ready_since.get_or_insert_with(Instant::now);
        self.ready_bytes += job.body.len();
        self.ready.push_back(job);
    }

    /// The message becomes a row that waits.
    pub(super) fn hold(&mut self, job: Job) {
        self.gauges.pending(1);
        self.outcomes.push_back(Outcome { job, attempt: None, verdict: Verdict::Held });
    }

    fn take_ready(&mut self) -> Vec<Job> {
        // With batching turned off since, there may be more than one request can take along.
        let count = self.target.borrow().max_events().min(self.ready.len());
        let jobs: Vec<_> = self.ready.drain(..count).collect();
        self.ready_bytes -= jobs.iter().map(|job| job.body.len()).sum::<usize>();
        self.ready_since = (!self.ready.is_empty()).then(Instant::now);
        self.order.sent(&jobs);
        jobs
    }

    fn start(&mut self, kind: Kind, mut jobs: Vec<Job>, permit: Option<OwnedSemaphorePermit>, now: Instant) {
        self.was_retry = kind == Kind::Retry;
        let target = Arc::clone(&self.target.borrow());
        self.pace.started(target.rate_limit, now);
        if target.batching.is_some() {
            let id = batch::id(&jobs);
            jobs.iter_mut().for_each(|job| job.batch = Some(id));
        }
        self.in_flight.start(Request { jobs, target, timeout: self.shared.timeout, permit });
    }
}

fn first_attempt(fresh: Fresh, is_ordered: bool) -> Job {
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
        node: is_ordered.then_some(fresh.node),
        batch: None,
    }
}
