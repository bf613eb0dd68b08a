//! Percentiles of many durations.

use std::fmt;
use std::time::Duration;

/// Durations, in microseconds. Four bytes each: a run of a million requests takes 4 MB.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    /// Adds one. What is longer than an hour counts as an hour.
    pub fn record(&mut self, duration: Duration) {
        self.micros.push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// The least duration that this share of all does not exceed (nearest rank); zero if there are none.
    pub fn percentiles<const N: usize>(mut self, shares: [f64; N]) -> [Millis; N] {
        self.micros.sort_unstable();
        shares.map(|share| {
            let rank = (share * self.micros.len() as f64).ceil() as usize;
            Millis(self.micros.get(rank.saturating_sub(1)).copied().unwrap_or_default())
        })
    }
}

/// A duration that people read as milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(u32);

impl Millis {
    /// Of so many milliseconds.
    pub fn from_f64(millis: f64) -> Self {
        Self((millis * 1000.0) as u32)
    }

    /// How many milliseconds.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// Whether it is shorter.
    pub fn is_under(self, limit: Duration) -> bool {
        Duration::from_micros(self.0.into()) < limit
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ms", self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut latencies = Latencies::default();
        for millis in (1..=100).rev() {
            latencies.record(Duration::from_millis(millis));
        }
        let [p50, p99, max] = latencies.percentiles([0.5, 0.99, 1.0]);
        assert_eq!([p50, p99, max].map(|p| p.to_string()), ["50.00 ms", "99.00 ms", "100.00 ms"]);
        assert_eq!(Latencies::default().percentiles([0.5]), [Millis(0)]);
    }
}
