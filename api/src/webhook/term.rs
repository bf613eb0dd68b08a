//! Until when the leases of this process are good, by its own clock.
//!
//! A process that stood still for longer than its leases last does not know, when it goes on, that another one sends for its
//! webhooks by now. Its writes are fenced; this fences what it sends: nothing is started after the term. Whoever prolongs the
//! leases counts from before it asked, so the term ends here no later than in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The term of the leases of one process. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Term {
    start: Instant,
    /// Its end, in microseconds after the start.
    end: Arc<AtomicU64>,
}

impl Term {
    /// One that ends after so long.
    pub fn new(lasts: Duration) -> Self {
        let term = Self { start: Instant::now(), end: Arc::default() };
        term.prolong(term.start, lasts);
        term
    }

    /// One that never ends.
    pub fn endless() -> Self {
        Self { start: Instant::now(), end: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// It ends so long after this moment now.
    pub fn prolong(&self, from: Instant, lasts: Duration) {
        let end = (from + lasts).saturating_duration_since(self.start);
        self.end.store(u64::try_from(end.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.start).as_micros() >= u128::from(self.end.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_unless_it_is_prolonged() {
        let lasts = Duration::from_secs(4);
        let term = Term::new(lasts);
        let after = |ms| term.start + Duration::from_millis(ms);
        assert!(!term.is_over_at(after(3_999)) && term.is_over_at(after(4_000)));
        term.clone().prolong(after(1_500), lasts);
        assert!(!term.is_over_at(after(5_499)) && term.is_over_at(after(5_500)));
        assert!(!Term::endless().is_over_at(after(u64::MAX / 4_000_000)));
    }
}
