//! The registry's word to the dispatcher of the same process, and the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long a caller waits for the answer; then the dispatcher is busy, or cannot reach the database, and follows later.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);

/// Says that a webhook was made, changed or deleted. Cheap to clone. Losing a word costs latency only.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    notify: Notify,
    /// How often somebody has asked.
    asked: AtomicU64,
    /// Up to which of these the dispatcher has looked since; `None` while there is none.
    answered: watch::Sender<Option<u64>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { notify: Notify::new(), asked: AtomicU64::new(0), answered: watch::Sender::new(None) }
    }
}

impl Wake {
    /// Makes the dispatcher look soon.
    pub fn wake(&self) {
        self.0.asked.fetch_add(1, Ordering::AcqRel);
        self.0.notify.notify_one();
    }

    /// Makes the dispatcher look, and waits until it has, if one is running and answers soon.
    pub async fn wake_and_wait(&self) {
        let asked = self.0.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.0.notify.notify_one();
        let mut answered = self.0.answered.subscribe();
        let wait = answered.wait_for(|answered| answered.is_none_or(|answered| answered >= asked));
        if timeout(ANSWER_DEADLINE, wait).await.is_err() {
            tracing::warn!("a change of a webhook takes effect late: the dispatcher is busy");
        }
    }

    /// The dispatcher's side, for as long as it runs.
    pub(super) fn listen(&self) -> Waking<'_> {
        self.0.answered.send_replace(Some(0));
        Waking(&self.0)
    }
}

pub(super) struct Waking<'a>(&'a Inner);

impl Waking<'_> {
    /// Returns when somebody has asked.
    pub(super) async fn woken(&mut self) {
        self.0.notify.notified().await;
    }

    /// How often somebody has asked so far.
    pub(super) fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Says that a look has begun after this many questions, and has ended.
    pub(super) fn answer(&self, asked: u64) {
        self.0.answered.send_replace(Some(asked));
    }
}

impl Drop for Waking<'_> {
    fn drop(&mut self) {
        self.0.answered.send_replace(None);
    }
}
