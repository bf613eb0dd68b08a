//! How fast the requests of one webhook may follow each other: its rate limit, and the breaker.
//!
//! The breaker opens after [`MAX_FAILURES`] failures in a row, and at once when the receiver says that it is overloaded
//! (429 or 503). Then nothing is sent for a pause, after which a single request, the probe, finds out how things are: if
//! it succeeds, everything goes on at once; if not, the next pause is twice as long. Pauses are counted by the monotonic
//! clock, and are never shorter than what the receiver asked for with `Retry-After`.

use std::time::Duration;

use tokio::time::Instant;

use super::send::Attempt;

/// Failures in a row that open the breaker.
pub const MAX_FAILURES: u32 = 10;
/// The first pause …
pub const MIN_PAUSE: Duration = Duration::from_millis(250);
/// … and the longest one, unless the receiver asks for more.
pub const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Pauses are longer by a random part of this share, so that many webhooks do not come back at the same moment.
const MAX_JITTER: f64 = 0.2;
/// By how much a request may come before its turn. Timers have a grain of a millisecond, and a rate of thousands a second
/// would not be reached without this.
const RATE_TOLERANCE: Duration = Duration::from_millis(10);
/// By these statuses a receiver says that it is overloaded.
const OVERLOADED: [u16; 2] = [429, 503];

/// When requests of one webhook may start.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    breaker: Breaker,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything is sent.
    Closed,
    /// A probe is on its way, and nothing else.
    HalfOpen,
    /// Nothing is sent.
    Open,
}

impl State {
    /// Its number among the metrics.
    pub fn number(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// Requests per second, as the "generic cell rate algorithm": each has its turn, and the next turn follows from it.
#[derive(Debug)]
struct Rate {
    next_turn: Option<Instant>,
}

#[derive(Debug)]
struct Breaker {
    /// In a row.
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

impl Pace {
    /// For a webhook that has failed this often in a row. If that is too often, the first request is a probe.
    pub fn new(failures: u32, now: Instant) -> Self {
        let phase = if failures < MAX_FAILURES { Phase::Closed } else { Phase::Open { until: now } };
        Self { rate: Rate { next_turn: None }, breaker: Breaker { failures, pauses: 0, phase } }
    }

    /// From when on a request may start; `None`: not before the probe has ended.
    pub fn opens_at(&self, now: Instant) -> Option<Instant> {
        let turn = self.rate.next_turn.and_then(|turn| turn.checked_sub(RATE_TOLERANCE)).unwrap_or(now).max(now);
        match self.breaker.phase {
            Phase::Closed => Some(turn),
            Phase::Open { until } => Some(turn.max(until)),
            Phase::Probing => None,
        }
    }

    /// A request starts.
    pub fn started(&mut self, rate_limit: Option<u32>, now: Instant) {
        self.rate.next_turn = rate_limit.map(|per_second| {
            let turn = self.rate.next_turn.unwrap_or(now).max(now);
            turn + Duration::from_secs(1) / per_second.max(1)
        });
        if let Phase::Open { .. } = self.breaker.phase {
            self.breaker.phase = Phase::Probing;
        }
    }

    /// A request has ended. `jitter` is a random number from 0 to 1.
    pub fn ended(&mut self, attempt: &Attempt, now: Instant, jitter: f64) {
        self.breaker.ended(attempt, now, jitter);
    }

    /// How the breaker stands.
    pub fn state(&self) -> State {
        match self.breaker.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::Probing => State::HalfOpen,
        }
    }
}

impl Breaker {
    fn ended(&mut self, attempt: &Attempt, now: Instant, jitter: f64) {
        if attempt.is_success() {
            *self = Self { failures: 0, pauses: 0, phase: Phase::Closed };
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let is_overloaded = attempt.status_code.is_some_and(|status| OVERLOADED.contains(&status));
        let asked = attempt.retry_after.filter(|_| is_overloaded).unwrap_or_default();
        match self.phase {
            // What was sent before it opened comes back. The pause stands, unless the receiver asks for a longer one.
            Phase::Open { until } => self.phase = Phase::Open { until: until.max(now + asked) },
            Phase::Closed if self.failures < MAX_FAILURES && !is_overloaded => {}
            Phase::Closed | Phase::Probing => {
                let pause = MIN_PAUSE.saturating_mul(1 << self.pauses.min(16)).min(MAX_PAUSE);
                let pause = pause.mul_f64(1.0 + MAX_JITTER * jitter.clamp(0.0, 1.0));
                self.pauses = self.pauses.saturating_add(1);
                self.phase = Phase::Open { until: now + pause.max(asked) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::failure::{AttemptError, ErrorCode};

    fn attempt(status: u16, retry_after_s: Option<u64>) -> Attempt {
        Attempt {
            started_at: 0,
            duration_ms: 0,
            status_code: Some(status),
            address: None,
            error: (status >= 300).then(|| AttemptError::new(ErrorCode::Status, "no")),
            response_body: None,
            retry_after: retry_after_s.map(Duration::from_secs),
        }
    }

    fn wait(pace: &Pace, now: Instant) -> Option<Duration> {
        pace.opens_at(now).map(|at| at - now)
    }

    #[test]
    fn failures_open_it_and_one_success_closes_it() {
        let mut now = Instant::now();
        let mut pace = Pace::new(0, now);
        for _ in 1..MAX_FAILURES {
            pace.started(None, now);
            pace.ended(&attempt(500, None), now, 0.0);
            assert_eq!((pace.state(), wait(&pace, now)), (State::Closed, Some(Duration::ZERO)));
        }
        let mut pause = MIN_PAUSE;
        for _ in 0..20 {
            pace.started(None, now);
            pace.ended(&attempt(500, None), now, 0.0);
            assert_eq!((pace.state(), wait(&pace, now)), (State::Open, Some(pause)));
            // One that comes back late changes nothing.
            pace.ended(&attempt(500, None), now, 0.0);
            assert_eq!(wait(&pace, now), Some(pause));
            now += pause;
            assert_eq!(wait(&pace, now), Some(Duration::ZERO));
            pace.started(None, now);
            assert_eq!((pace.state(), wait(&pace, now)), (State::HalfOpen, None));
            pause = (pause * 2).min(MAX_PAUSE);
        }
        pace.ended(&attempt(204, None), now, 0.0);
        assert_eq!((pace.state(), wait(&pace, now)), (State::Closed, Some(Duration::ZERO)));
        pace.ended(&attempt(500, None), now, 0.0);
        assert_eq!(pace.state(), State::Closed);
    }

    #[test]
    fn an_overloaded_receiver_is_left_alone_at_once() {
        let now = Instant::now();
        for (status, retry_after_s, jitter, pause) in [
            (429, None, 0.0, Some(MIN_PAUSE)),
            (503, None, 1.0, Some(MIN_PAUSE.mul_f64(1.2))),
            (503, Some(120), 1.0, Some(Duration::from_secs(120))),
            (500, Some(120), 0.0, None),
        ] {
            let mut pace = Pace::new(0, now);
            pace.started(None, now);
            pace.ended(&attempt(status, retry_after_s), now, jitter);
            assert_eq!(wait(&pace, now), Some(pause.unwrap_or_default()), "{status} {retry_after_s:?}");
            pace.ended(&attempt(429, Some(300)), now, 0.0);
            assert_eq!(wait(&pace, now), Some(Duration::from_secs(300)));
        }
    }

    #[test]
    fn a_webhook_that_failed_before_the_restart_begins_with_a_probe() {
        let now = Instant::now();
        let mut pace = Pace::new(MAX_FAILURES, now);
        assert_eq!(wait(&pace, now), Some(Duration::ZERO));
        pace.started(None, now);
        assert_eq!(pace.state(), State::HalfOpen);
    }

    #[test]
    fn the_rate_holds_in_any_second() {
        for rate in [1, 7, 100, 5000] {
            let begin = Instant::now();
            let (mut now, mut pace, mut sent) = (begin, Pace::new(0, begin), Vec::new());
            while now < begin + Duration::from_secs(3) {
                while pace.opens_at(now) == Some(now) {
                    pace.started(Some(rate), now);
                    sent.push(now);
                }
                now += Duration::from_millis(1);
            }
            let allowed = rate as usize + (RATE_TOLERANCE * rate).as_secs() as usize + rate as usize / 100 + 1;
            for (i, first) in sent.iter().enumerate() {
                let in_a_second = sent[i..].iter().take_while(|at| **at < *first + Duration::from_secs(1)).count();
                assert!(in_a_second <= allowed, "{rate}: {in_a_second}");
            }
            assert!(sent.len() >= 3 * rate as usize, "{rate}: {}", sent.len());
            // Idle time is not saved up.
            now += Duration::from_secs(60);
            let burst = std::iter::from_fn(|| (pace.opens_at(now) == Some(now)).then(|| pace.started(Some(rate), now)));
            assert!(burst.count() <= 2 + rate as usize / 100, "{rate}");
        }
    }
}
