//! What the next transaction of a connection is made of.
//!
//! Mutations come first: nothing in the background is begun before one that waits. What is done in the background rides
//! along with them, one piece for each transaction, so that it has their commit and makes each of them a little longer
//! instead of letting one wait for a commit of its own. It goes alone when no mutation has come for [`QUIET`]. So a piece
//! waits for as many transactions as there are pieces before it, or for that time: it does not starve, however much is
//! written.

use std::time::Duration;

use async_channel::Receiver;
use tokio::time::sleep;

use super::Job;

/// When the work of a batch looks at this many rows or more, nothing is added to it, so that small mutations do not wait
/// for many large ones.
const BATCH_ROWS: usize = 1_000;

/// How long after the last mutation nothing goes alone. While many clients write, the next mutation comes sooner.
const QUIET: Duration = Duration::from_millis(5);

/// Where the work of a connection comes from.
pub(super) struct Intake {
    mutations: Option<Receiver<Job>>,
    background: Option<Receiver<Job>>,
    max_batch: usize,
    /// Whether there was a mutation in the last transaction.
    is_busy: bool,
}

impl Intake {
    /// Of what there is for this connection: mutations, work in the background, or both. Most pieces of work for one
    /// transaction are `max_batch`, besides the one that rides along.
    pub(super) fn new(mutations: Option<Receiver<Job>>, background: Option<Receiver<Job>>, max_batch: usize) -> Self {
        Self { mutations, background, max_batch, is_busy: false }
    }

    /// What is to be done next, as soon as there is anything; `None` if nothing comes any more.
    pub(super) async fn next(&mut self) -> Option<Vec<Job>> {
        let pause = if std::mem::take(&mut self.is_busy) { QUIET } else { Duration::ZERO };
        // Both arms are cancel-safe: what is received is returned.
        tokio::select! {
            biased;
            Some(mutation) = receive(self.mutations.as_ref(), Duration::ZERO) => {
                self.is_busy = true;
                let mut jobs = self.together(mutation);
                jobs.extend(self.background.as_ref().and_then(waiting));
                Some(jobs)
            }
            Some(first) = receive(self.background.as_ref(), pause) => {
                let mut jobs = vec![first];
                while jobs.len() < self.max_batch && let Some(job) = self.background.as_ref().and_then(waiting) {
                    jobs.push(job);
                }
                Some(jobs)
            }
            else => None,
        }
    }

    /// A mutation with those that wait behind it.
    fn together(&self, first: Job) -> Vec<Job> {
        let mut rows = first.rows();
        let mut jobs = vec![first];
        while jobs.len() < self.max_batch
            && rows < BATCH_ROWS
            && let Some(job) = self.mutations.as_ref().and_then(waiting)
        {
            rows += job.rows();
            jobs.push(job);
        }
        jobs
    }
}

/// The next piece of work after a pause; `None` if none ever comes.
async fn receive(queue: Option<&Receiver<Job>>, pause: Duration) -> Option<Job> {
    let queue = queue?;
    if !pause.is_zero() {
        sleep(pause).await;
    }
    queue.recv().await.ok()
}

/// The next piece of work, if one waits.
fn waiting(queue: &Receiver<Job>) -> Option<Job> {
    queue.try_recv().ok()
}
