//! Commits what the workers have done, of all webhooks together.
//!
//! One commit is under way at a time; what finishes meanwhile makes up the next one. So the more there is to do, the fewer
//! statements and commits a delivery costs. Commits keep a distance besides: mutations need the writer and the disk for
//! their own, and somebody waits for those.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Batch, Error, Lease, Ledger, Outcome};
use crate::store::writer;

/// Webhooks of one commit.
const MAX_WEBHOOKS: usize = 256;
/// Outcomes after which a commit takes in no further webhook: the writer is there for mutations, too.
const MAX_OUTCOMES: usize = 512;
/// Bytes of answers, and of bodies that are to be kept, after which it takes in no further webhook, either: they are copied
/// for the commit, more than once.
const MAX_BYTES: usize = 512 * 1024;
/// From the begin of one commit to that of the next one, unless it is full before. What is recorded later may be sent again
/// after a crash, so this is short against what is in flight in any case.
const DISTANCE: Duration = Duration::from_millis(20);
/// The same where a commit rides along with that of the next mutations, as long as there are only [`FEW`] outcomes in one:
/// then more of them cost little, and no mutation waits for many rows.
const SHORT_DISTANCE: Duration = Duration::from_millis(5);
const FEW: usize = 16;
/// How long is waited after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// The way to the committer. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<Entry>,
}

struct Entry {
    lease: Lease,
    batch: Batch,
    reply: oneshot::Sender<(Batch, bool)>,
}

impl Committer {
    /// A committer, and what is to be run for it. That ends when the last clone is dropped and everything is committed.
    pub fn new(ledger: Ledger) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, entries) = mpsc::channel(MAX_WEBHOOKS);
        (Self { queue }, run(ledger, entries))
    }

    /// Commits a batch, however long it takes: repeating it changes nothing, and leaving it out would send again what was
    /// accepted. `None`: the lease is lost, or the server ends.
    pub async fn commit(&self, lease: Lease, batch: Batch) -> Option<Batch> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Entry { lease, batch, reply }).await.ok()?;
        let (batch, is_held) = answer.await.ok()?;
        is_held.then_some(batch)
    }
}

async fn run(ledger: Ledger, mut entries: mpsc::Receiver<Entry>) {
    // What could not be committed with the others is tried alone, so that it cannot keep them from being committed.
    let mut alone = JoinSet::new();
    let mut next_at = Instant::now();
    while let Some(first) = entries.recv().await {
        let (mut outcomes, mut bytes) = (first.batch.outcomes.len(), kept_bytes(&first.batch));
        let mut some = vec![first];
        while some.len() < MAX_WEBHOOKS
            && outcomes < MAX_OUTCOMES
            && bytes < MAX_BYTES
            && let Ok(Some(entry)) = timeout_at(next_at, entries.recv()).await
        {
            outcomes += entry.batch.outcomes.len();
            bytes += kept_bytes(&entry.batch);
            some.push(entry);
        }
        next_at = Instant::now() + distance(ledger.rides_along(), outcomes);
        let parts: Vec<_> = some.iter().map(|entry| (&entry.lease, &entry.batch)).collect();
        match ledger.commit_all(&parts).await {
            Ok(held) => some.into_iter().zip(held).for_each(|(entry, is_held)| entry.answer(is_held)),
            Err(error) => {
                tracing::warn!(%error, "outcomes cannot be recorded; trying again");
                some.into_iter().for_each(|entry| drop(alone.spawn(commit_alone(ledger.clone(), entry))));
            }
        }
        while alone.try_join_next().is_some() {}
    }
    while alone.join_next().await.is_some() {}
}

/// How long after the begin of a commit with so many outcomes the next one begins.
fn distance(rides_along: bool, outcomes: usize) -> Duration {
    if rides_along && outcomes <= FEW { SHORT_DISTANCE } else { DISTANCE }
}

/// How much of what was sent and answered is to be kept.
fn kept_bytes(batch: &Batch) -> usize {
    let answer = |outcome: &Outcome| Some(outcome.attempt.as_ref()?.response_body.as_ref()?.len());
    let body = |outcome: &Outcome| if outcome.keeps_body() { outcome.job.body.len() } else { 0 };
    batch.outcomes.iter().map(|outcome| answer(outcome).unwrap_or(0) + body(outcome)).sum()
}

async fn commit_alone(ledger: Ledger, entry: Entry) {
    loop {
        match ledger.commit(&entry.lease, &entry.batch).await {
            Ok(is_held) => return entry.answer(is_held),
            Err(Error::Writer(writer::Error::Closed)) => return entry.answer(false),
            Err(error) => {
                tracing::warn!(webhook.id = %entry.lease.webhook, %error, "outcomes cannot be recorded; trying again");
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

impl Entry {
    fn answer(self, is_held: bool) {
        // A worker that is gone needs no answer.
        let _ = self.reply.send((self.batch, is_held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_outcomes_ride_along_more_often() {
        assert_eq!(distance(true, FEW), SHORT_DISTANCE);
        assert_eq!(distance(true, FEW + 1), DISTANCE);
        assert_eq!(distance(false, 1), DISTANCE);
    }
}
