//! The requests of a worker that are on their way.
//!
//! A lane is a task that makes requests, one after the other: a task for each would be made and thrown away thousands of
//! times a second. Invariants: there are as many lanes as requests were ever on their way since nothing was; when nothing is,
//! one is kept at most, so that webhooks without anything to do take little room.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
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

/// A lane that waits for its next request.
struct Lane(mpsc::Sender<(Request, Lane)>);

/// The lanes of one worker. They end with it.
pub(super) struct Lanes {
    sender: Sender,
    idle: Vec<Lane>,
    busy: usize,
    ended_in: mpsc::Sender<(Vec<Job>, Attempt, Lane)>,
    ended: mpsc::Receiver<(Vec<Job>, Attempt, Lane)>,
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
        let requests = lane.0.clone();
        let started = requests.try_send((request, lane));
        assert!(started.is_ok(), "a lane that is idle waits for a request");
    }

    fn open(&mut self) -> Lane {
        let (requests_in, mut requests) = mpsc::channel::<(Request, Lane)>(1);
        let (sender, ended) = (self.sender.clone(), self.ended_in.clone());
        self.tasks.spawn(async move {
            while let Some((Request { jobs, target, timeout, permit }, lane)) = requests.recv().await {
                let outbound = target.request(&jobs, timeout);
                drop(target);
                let attempt = sender.send(outbound).await;
                drop(permit);
                if ended.send((jobs, attempt, lane)).await.is_err() {
                    return;
                }
            }
        });
        Lane(requests_in)
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

    fn take(&mut self, (jobs, attempt, lane): (Vec<Job>, Attempt, Lane)) -> (Vec<Job>, Attempt) {
        self.busy -= 1;
        self.idle.push(lane);
        if self.busy == 0 {
            self.idle.truncate(KEPT);
        }
        (jobs, attempt)
    }
}
