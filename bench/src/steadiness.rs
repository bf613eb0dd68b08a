//! Whether the machine itself runs steadily.
//!
//! A virtual machine has its processors only when its host gives them. There are moments at which every program in it runs at a
//! tenth of its speed, and nothing inside is to be seen of it: nobody waits, and what the host takes is counted as time of
//! whoever ran. A 99th percentile then says how often that happens, whatever is measured.
//!
//! So a thread does a little work, the same each time, and looks at how much processor time it took. That does not depend on
//! how busy the machine is, for time in which others run is not counted; if it took several times as long as usual, the
//! machine was slow. What was timed in such a moment is left out of the figures of the steady machine, which are printed
//! beside those of everything. On a machine that runs steadily they are the same.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustix::time::{ClockId, clock_gettime};

use crate::latency::Latencies;

/// How often the machine is looked at, by the way: it takes one or two percent of a processor.
const PAUSE: Duration = Duration::from_millis(2);
/// Some 20 µs.
const WORK: u64 = 20_000;
/// Times the usual at which the machine counts as slow.
const SLOW: f64 = 3.0;
/// What piles up while the machine is slow is gone so soon afterwards.
const AFTERMATH: Duration = Duration::from_millis(20);

/// Looks at the machine until it is asked what it saw.
pub struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, Duration)>>,
}

impl Watch {
    /// Begins.
    pub fn begin() -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let look = move || {
            let mut looks = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let (at, took) = (Instant::now(), work());
                looks.push((at, took));
                std::thread::sleep(PAUSE);
            }
            looks
        };
        let thread = std::thread::Builder::new().name("steadiness".to_owned()).spawn(look)?;
        Ok(Self { is_over, thread })
    }

    /// Ends, and tells when the machine was slow.
    pub fn end(self) -> Result<Steadiness> {
        self.is_over.store(true, Ordering::Relaxed);
        let looks = self.thread.join().map_err(|_| anyhow!("the thread that watches the machine has panicked"))?;
        Ok(Steadiness::of(&looks))
    }
}

/// Processor time that the work takes.
fn work() -> Duration {
    let begun = processor_time();
    for number in 0..WORK {
        black_box(number);
    }
    processor_time().saturating_sub(begun)
}

/// That this thread has used.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// When the machine was slow.
#[derive(Debug, Clone, Default)]
pub struct Steadiness {
    slow: Vec<Instant>,
}

impl Steadiness {
    fn of(looks: &[(Instant, Duration)]) -> Self {
        let mut sorted: Vec<Duration> = looks.iter().map(|(_, took)| *took).collect();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let slow = looks.iter().filter(|(_, took)| *took > usual.mul_f64(SLOW)).map(|(at, _)| *at);
        Self { slow: slow.collect() }
    }

    /// Whether the machine was steady for so long.
    fn holds(&self, span: Span) -> bool {
        let first = self.slow.partition_point(|at| *at + AFTERMATH < span.begun);
        self.slow.get(first).is_none_or(|at| *at > span.begun + span.took + PAUSE)
    }
}

/// When something began, and how long it took.
#[derive(Debug, Clone, Copy)]
struct Span {
    begun: Instant,
    took: Duration,
}

/// Many things that were timed.
#[derive(Debug, Clone, Default)]
pub struct Timed(Vec<Span>);

impl Timed {
    /// Adds one that began then and ends now.
    pub fn ends_now(&mut self, begun: Instant) {
        self.add(begun, begun.elapsed());
    }

    /// Adds one.
    pub fn add(&mut self, begun: Instant, took: Duration) {
        self.0.push(Span { begun, took });
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub fn all(&self) -> Latencies {
        latencies(self.0.iter())
    }

    /// Those while the machine was steady.
    pub fn steady(&self, steadiness: &Steadiness) -> Latencies {
        latencies(self.0.iter().filter(|span| steadiness.holds(**span)))
    }

    /// The share that is no part of [`Timed::steady`], for people.
    pub fn left_out(&self, steadiness: &Steadiness) -> String {
        let left_out = self.len() - self.steady(steadiness).len();
        format!("{:.0}%", left_out as f64 / self.len().max(1) as f64 * 100.0)
    }
}

fn latencies<'a>(spans: impl Iterator<Item = &'a Span>) -> Latencies {
    let mut latencies = Latencies::default();
    spans.for_each(|span| latencies.record(span.took));
    latencies
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn what_touches_a_slow_moment_is_left_out() {
        let start = Instant::now();
        let looks: Vec<_> =
            (0..100).map(|nth| (start + MILLI * 2 * nth, MILLI * if nth == 50 { 4 } else { 1 })).collect();
        let steadiness = Steadiness::of(&looks);
        assert_eq!(steadiness.slow, [start + MILLI * 100]);
        let mut timed = Timed::default();
        for (begun, took, is_steady) in [(0, 5, true), (90, 30, false), (99, 0, false), (115, 1, false), (121, 9, true)]
        {
            let span = Span { begun: start + MILLI * begun, took: MILLI * took };
            assert_eq!(steadiness.holds(span), is_steady, "from {begun} ms, {took} ms");
            timed.add(span.begun, span.took);
        }
        assert_eq!((timed.all().len(), timed.steady(&steadiness).len()), (5, 2));
        assert_eq!(timed.left_out(&steadiness), "60%");
        assert_eq!(Timed::default().left_out(&steadiness), "0%");
    }

    #[test]
    fn a_watch_ends_when_it_is_asked() {
        assert!(Watch::begin().unwrap().end().is_ok());
    }
}
