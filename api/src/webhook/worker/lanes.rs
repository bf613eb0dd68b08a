//! The requests of a worker that are on their way.
//!
//! A lane is a task that makes requests, one after the other: a task for each would be made and thrown away thousands of
//! times a second. Invariants: there are as many lanes as requests were ever on their way since nothing was; when nothing is,
//! one is kept at most, so that webhooks without anything to do take little room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinSet};

use crate::webhook::ledger::Job;
use crate::webhook::send::{Attempt, Sender};
use crate::webhook::target::Target;

/// Lanes that are kept while nothing is on its way.
const KEPT: usize = 1;
/// Ended requests that wait for the worker; with more, their lanes wait. As many as one webhook may have in flight.
const MAX_ENDED: usize = 256;

/// What a request is made of.
pub(super) struct Request {
    pub jobs: Vec<Job>,
    pub target: Arc<Target>,
    /// The deadline, if the target has none of its own.
    pub timeout: Duration,
    /// Given back at its end.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What a lane does next. A channel would do as well, but for the room: it takes some 3 KiB of each request that only waits.
#[derive(Default)]
struct Lane {
    next: Mutex<Next>,
    told: Notify,
}

#[derive(Default)]
enum Next {
    #[default]
    Wait,
    Make(Request),
    End,
}

impl Lane {
    fn tell(&self, next: Next) {
        *self.next() = next;
        self.told.notify_one();
    }

    /// The next request; `None` if there will be none.
    async fn request(&self) -> Option<Request> {
        loop {
            match std::mem::take(&mut *self.next()) {
                Next::Wait => {}
                Next::Make(request) => return Some(request),
                Next::End => return None,
            }
            self.told.notified().await;
        }
    }

    /// Nobody panics with it.
    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a request, and the lane that waits for another one.
type Ended = (Vec<Job>, Attempt, Arc<Lane>);

/// The lanes of one worker. They end with it.
pub(super) struct Lanes {
    sender: Sender,
    idle: Vec<Arc<Lane>>,
    busy: usize,
    ended_in: mpsc::Sender<Ended>,
    ended: mpsc::Receiver<Ended>,
    tasks: JoinSet<()>,
}

impl Lanes {
    /// Without any.
    pub fn new(sender: Sender) -> Self {
        let (ended_in, ended) = mpsc::channel(MAX_ENDED);
        Self { sender, idle: Vec::new(), busy: 0, ended_in, ended, tasks: JoinSet::new() }
    }

    /// Requests that are on their way.
    pub fn len(&self) -> usize {
        self.busy
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.busy == 0
    }

    /// Makes a request.
    pub fn start(&mut self, request: Request) {
        self.busy += 1;
        let lane = self.idle.pop().unwrap_or_else(|| self.open());
        lane.tell(Next::Make(request));
    }

    fn open(&mut self) -> Arc<Lane> {
        let lane = Arc::new(Lane::default());
        let (sender, ended, own) = (self.sender.clone(), self.ended_in.clone(), Arc::clone(&lane));
        self.tasks.spawn(async move {
            while let Some(Request { jobs, target, timeout, permit }) = own.request().await {
                let outbound = target.request(&jobs, timeout);
                drop(target);
                let attempt = sender.send(outbound).await;
                drop(permit);
                if ended.send((jobs, attempt, Arc::clone(&own))).await.is_err() {
                    return;
                }
            }
        });
        lane
    }

    /// The next request that ends; waits for ever if none is on its way. Cancel-safe.
    ///
    /// # Errors
    /// If it has panicked.
    pub async fn ended(&mut self) -> Result<(Vec<Job>, Attempt), JoinError> {
        loop {
            tokio::select! {
                Some(ended) = self.ended.recv() => return Ok(self.take(ended)),
                Some(ended) = self.tasks.join_next() => ended?,
            }
        }
    }

    /// The next one, if it has ended already.
    pub fn try_ended(&mut self) -> Option<(Vec<Job>, Attempt)> {
        self.ended.try_recv().ok().map(|ended| self.take(ended))
    }

    fn take(&mut self, (jobs, attempt, lane): Ended) -> (Vec<Job>, Attempt) {
        self.busy -= 1;
        self.idle.push(lane);
        if self.busy == 0 {
            self.idle.drain(KEPT.min(self.idle.len())..).for_each(|lane| lane.tell(Next::End));
        }
        (jobs, attempt)
    }
}
