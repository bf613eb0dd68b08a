//! What subscribers must agree on: every event once, in the order of the log, and with the same content for all.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::latency::Latencies;

/// Violations that are kept to be shown; all are counted.
const SHOWN: usize = 5;

/// What was received in all, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Results.
    pub deliveries: u64,
    /// Connections that were opened.
    pub connects: u64,
    /// Connections that the client has broken off.
    pub disconnects: u64,
    /// Connections that the server has ended: by code, 0 for those that ended without one.
    pub closed: HashMap<u16, u64>,
    /// Events that a subscriber should have received before another one.
    pub gaps: u64,
    /// Events that a subscriber had, or that came after a later one.
    pub duplicates: u64,
    /// Events that are not the same for two subscribers.
    pub differences: u64,
    /// Anything else: errors, answers that are not of the protocol.
    pub failures: u64,
    /// From the time in the event to its receipt, if it says one.
    pub latencies: Latencies,
    /// The first ones, for people.
    pub shown: Vec<String>,
}

impl Tally {
    /// Nothing was wrong.
    pub fn is_flawless(&self) -> bool {
        self.gaps + self.duplicates + self.differences + self.failures == 0
    }

    /// Counts a failure.
    pub fn fail(&mut self, what: impl FnOnce() -> String) {
        self.failures += 1;
        self.show(what);
    }

    fn show(&mut self, what: impl FnOnce() -> String) {
        if self.shown.len() < SHOWN {
            self.shown.push(what());
        }
    }
}

/// Shared by all subscribers of the same document and rights.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tally: Tally,
    /// A hash of the content at each position.
    contents: HashMap<i64, u64>,
}

/// What one subscriber has.
#[derive(Debug, Clone)]
pub struct Track {
    /// The last event that it has.
    pub position: i64,
    /// Whether it must get every event of the log.
    pub is_gapless: bool,
}

impl Ledger {
    /// Writes down what a subscriber received.
    pub fn record(&self, track: &mut Track, position: i64, content: &[u8], age: Option<Duration>) {
        let mut inner = self.lock();
        let Inner { tally, contents } = &mut *inner;
        tally.deliveries += 1;
        if let Some(age) = age {
            tally.latencies.record(age);
        }
        let last = track.position;
        if position <= last {
            tally.duplicates += 1;
            tally.show(|| format!("position {position} came after {last}"));
        } else if track.is_gapless && position != last + 1 {
            tally.gaps += 1;
            tally.show(|| format!("position {position} came directly after {last}"));
        }
        track.position = track.position.max(position);
        let hash = hash(content);
        if *contents.entry(position).or_insert(hash) != hash {
            tally.differences += 1;
            tally.show(|| format!("position {position} is also {}", String::from_utf8_lossy(content)));
        }
    }

    /// Holds an event of the log against what subscribers received. Whether any of them did.
    pub fn compare(&self, position: i64, content: &[u8]) -> bool {
        let mut inner = self.lock();
        let Inner { tally, contents } = &mut *inner;
        let Some(received) = contents.get(&position) else { return false };
        if *received != hash(content) {
            tally.differences += 1;
            tally.show(|| format!("the log has at position {position} {}", String::from_utf8_lossy(content)));
        }
        true
    }

    /// The tally, to be changed.
    pub fn tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.lock().tally)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counting cannot panic half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_wrong() {
        let ledger = Ledger::default();
        let mut first = Track { position: 0, is_gapless: true };
        for (position, content) in [(1, "a"), (2, "b"), (4, "d"), (4, "d"), (3, "c")] {
            ledger.record(&mut first, position, content.as_bytes(), None);
        }
        let mut second = Track { position: 0, is_gapless: false };
        ledger.record(&mut second, 2, b"b", None);
        ledger.record(&mut second, 4, b"D", None);
        assert!(!ledger.compare(9, b"i"));
        assert!(ledger.compare(1, b"a") && ledger.compare(3, b"C"));
        ledger.tally(|tally| {
            assert_eq!((tally.deliveries, tally.gaps, tally.duplicates, tally.differences), (7, 1, 2, 2));
            assert!(!tally.is_flawless());
            assert_eq!(tally.shown.len(), 5);
        });
    }
}
