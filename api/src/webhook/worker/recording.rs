//! What comes of the requests of a worker, and how that becomes durable.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::{Abandoned, Worker};
use crate::catalog::datum::now_micros;
use crate::webhook::ledger::{Batch, Job, Outcome};
use crate::webhook::outcome::{Verdict, judge};
use crate::webhook::send::Attempt;
use crate::webhook::window::Progress;

/// A position that has moved without any outcome is committed after this many events …
const FLUSH_EVENTS: i64 = 8 * 1024;
/// … or this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// How much of the answer to a batch is kept with each of its events.
const MAX_BATCH_RESPONSE_BYTES: usize = 1024;

impl Worker {
    pub(super) fn survived<T>(&self, ended: Result<T, JoinError>) -> Result<T, Abandoned> {
        ended.map_err(|error| {
            tracing::error!(webhook.id = %self.lease.webhook, %error, "sending a message has panicked");
            Abandoned
        })
    }

    pub(super) fn finished(&mut self, jobs: Vec<Job>, attempt: Attempt) {
        let Some(first) = jobs.first() else { return };
        // What goes out together has the same attempts behind it.
        let target = Arc::clone(&self.target.borrow());
        let schedule = target.schedule.as_ref().unwrap_or(&self.shared.schedule);
        let verdict = judge(schedule, first.number_in_schedule(), &attempt, rand::random(), self.shared.clock.now());
        tracing::debug!(
            webhook.id = %self.lease.webhook,
            event.position = %first.position,
            events = jobs.len(),
            attempt = first.number,
            status_code = attempt.status_code,
            error.code = attempt.error.as_ref().map(|error| error.code.name()),
            duration_ms = attempt.duration_ms,
            "sent a message"
        );
        self.shared.counters.attempted(&attempt);
        self.pace.ended(&attempt, Instant::now(), rand::random());
        let (now, before) = (now_micros(), self.health);
        self.health = before.after(&attempt);
        if self.health.is_at_risk(now) && !before.is_at_risk(now) {
            let failures = self.health.failures;
            tracing::warn!(webhook.id = %self.lease.webhook, failures, "a webhook will be disabled if nothing succeeds");
        }
        self.disable = self.disable.take().or_else(|| self.health.verdict(&attempt));
        let ended = self.order.ended(&jobs, matches!(verdict, Verdict::Pending { .. }));
        let attempt = Arc::new(shared_by(attempt, jobs.len()));
        for job in jobs {
            self.count(&job, verdict);
            self.outcomes.push_back(Outcome { job, attempt: Some(Arc::clone(&attempt)), verdict });
        }
        ended.held.into_iter().for_each(|job| self.hold(job));
        self.released.extend(ended.released);
    }

    fn count(&self, job: &Job, verdict: Verdict) {
        match (verdict, job.is_recorded) {
            (Verdict::Pending { .. } | Verdict::Held, false) => self.gauges.pending(1),
            (Verdict::Succeeded | Verdict::Failed, true) => self.gauges.pending(-1),
            (Verdict::Pending { .. } | Verdict::Held, true) | (Verdict::Succeeded | Verdict::Failed, false) => {}
        }
    }

    /// Begins to commit what there is, unless a commit is going on. Always all of it: what is released by an outcome must
    /// not be committed before it.
    pub(super) fn begin_commit(&mut self) {
        if self.commit.is_some() {
            return;
        }
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.job.is_recorded) {
            self.window.handled(outcome.job.position);
        }
        let progress = self.window.progress();
        if self.outcomes.is_empty() && !self.must_flush(progress) {
            return;
        }
        self.flush_at = None;
        let batch = Batch {
            outcomes: self.outcomes.drain(..).collect(),
            released: std::mem::take(&mut self.released),
            released_at: self.shared.clock.now(),
            progress,
            health: self.health,
            disable: self.disable.take(),
        };
        let (committer, lease) = (self.shared.committer.clone(), self.lease);
        self.commit = Some(async move { committer.commit(lease, batch).await }.boxed());
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

    pub(super) fn committed(&mut self, batch: Option<Batch>) -> Result<(), Abandoned> {
        self.commit = None;
        let Some(batch) = batch else {
            tracing::info!(webhook.id = %self.lease.webhook, "the lease of a webhook is lost, or the webhook is gone");
            return Err(Abandoned);
        };
        self.committed = batch.progress;
        self.gauges.handled(batch.progress.position);
        for outcome in &batch.outcomes {
            // A new row may have been taken from the table already, before this was heard of: then it is busy.
            if outcome.job.is_recorded {
                self.busy.remove(&outcome.job.delivery);
            }
            if let Verdict::Pending { next_attempt_at } = outcome.verdict {
                self.next_due = self.next_due.min(next_attempt_at);
            }
        }
        if !batch.released.is_empty() {
            self.next_due = self.next_due.min(batch.released_at);
        }
        if let Some(reason) = &batch.disable {
            tracing::warn!(webhook.id = %self.lease.webhook, reason, "a webhook is disabled");
            self.is_stopping = true;
        }
        // The dispatcher starts another worker, which reads what is held.
        self.is_stopping |= self.order.must_begin_anew();
        Ok(())
    }
}

/// The attempt as each of so many messages keeps it.
fn shared_by(mut attempt: Attempt, messages: usize) -> Attempt {
    if messages > 1
        && let Some(body) = &mut attempt.response_body
    {
        body.truncate(MAX_BATCH_RESPONSE_BYTES);
    }
    attempt
}
