//! What follows from an attempt: for its delivery, and for the webhook's health.

use std::time::Duration;

use super::clock::micros;
use super::retry::Schedule;
use super::send::Attempt;

/// A webhook without a success is disabled after this long …
pub const MAX_UNHEALTHY: Duration = Duration::from_secs(5 * 24 * 3600);
/// … and this many failures.
pub const MAX_FAILURES: i32 = 10;
/// Its owner is warned after half of both.
const WARNED_AFTER: (Duration, i32) = (Duration::from_secs(60 * 3600), 5);
/// The status by which a receiver says that it wants no more messages.
const GONE: u16 = 410;

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Succeeded,
    /// It is tried again at this time, in microseconds since 1970.
    Pending {
        /// When.
        next_attempt_at: i64,
    },
    /// It was not sent: an earlier message of its node, or of its webhook, is tried again.
    Held,
    /// The schedule has no more attempts.
    Failed,
}

/// The verdict after attempt number `number`, the first being 1, which has ended at `now`. `jitter` is a random number from
/// 0 to 1.
pub fn judge(schedule: &Schedule, number: u32, attempt: &Attempt, jitter: f64, now: i64) -> Verdict {
    if attempt.is_success() {
        return Verdict::Succeeded;
    }
    match schedule.next_attempt(number, attempt.retry_after, jitter) {
        Some(delay) => Verdict::Pending { next_attempt_at: now.saturating_add(micros(delay)) },
        None => Verdict::Failed,
    }
}

/// How a webhook has fared since its last success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The first failure since then, in microseconds since 1970; `None` if there was none.
    pub first_failure_at: Option<i64>,
    /// How many failures there were since then.
    pub failures: i32,
}

impl Health {
    /// With one more attempt.
    #[must_use]
    pub fn after(self, attempt: &Attempt) -> Self {
        if attempt.is_success() {
            return Self::default();
        }
        Self {
            first_failure_at: self.first_failure_at.or(Some(attempt.ended_at())),
            failures: self.failures.saturating_add(1),
        }
    }

    /// Whether the webhook will be disabled if nothing succeeds, and its owner is to be warned.
    pub fn is_at_risk(&self, now: i64) -> bool {
        let (after, failures) = WARNED_AFTER;
        let unhealthy_for = self.first_failure_at.map_or(0, |first| now.saturating_sub(first));
        self.failures >= failures && unhealthy_for >= after.as_micros() as i64
    }

    /// When the webhook is disabled at the earliest if nothing succeeds; `None` while nothing fails.
    pub fn disabled_at_earliest(&self) -> Option<i64> {
        Some(self.first_failure_at?.saturating_add(MAX_UNHEALTHY.as_micros() as i64))
    }

    /// Why the webhook is to be disabled after this attempt, in words for its owner; `None` if it goes on.
    pub fn verdict(&self, attempt: &Attempt) -> Option<String> {
        if attempt.status_code == Some(GONE) {
            return Some("the receiver answered with status 410: it wants no more messages".to_owned());
        }
        let first = self.first_failure_at?;
        let unhealthy_for = attempt.ended_at().saturating_sub(first);
        if self.failures < MAX_FAILURES || unhealthy_for < MAX_UNHEALTHY.as_micros() as i64 {
            return None;
        }
        Some(format!("no message was accepted for 5 days, {} attempts failed", self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::failure::{AttemptError, ErrorCode};

    const SECOND: i64 = 1_000_000;

    fn attempt(started_at: i64, status_code: Option<u16>) -> Attempt {
        let is_success = status_code.is_some_and(|code| (200..300).contains(&code));
        Attempt {
            started_at,
            duration_ms: 500,
            status_code,
            address: None,
            error: (!is_success).then(|| AttemptError::new(ErrorCode::Status, "no")),
            response_body: None,
            retry_after: None,
        }
    }

    #[test]
    fn verdicts() {
        let schedule: Schedule = "0s,5s,5m".parse().unwrap();
        let next_attempt_at = |at| Verdict::Pending { next_attempt_at: at };
        let slow = Attempt { retry_after: Some(Duration::from_secs(60)), ..attempt(0, Some(503)) };
        for (number, attempt, jitter, expected) in [
            (1, attempt(0, Some(204)), 0.0, Verdict::Succeeded),
            (1, attempt(SECOND, Some(500)), 0.0, next_attempt_at(6 * SECOND + SECOND / 2)),
            (1, attempt(SECOND, None), 1.0, next_attempt_at(7 * SECOND + SECOND / 2)),
            (1, slow.clone(), 0.0, next_attempt_at(60 * SECOND + SECOND / 2)),
            (2, attempt(0, Some(410)), 0.0, next_attempt_at(300 * SECOND + SECOND / 2)),
            (3, attempt(0, Some(500)), 0.0, Verdict::Failed),
            (3, slow, 0.0, Verdict::Failed),
            (4, attempt(0, Some(200)), 0.0, Verdict::Succeeded),
        ] {
            let verdict = judge(&schedule, number, &attempt, jitter, attempt.ended_at());
            assert_eq!(verdict, expected, "{number} {attempt:?}");
        }
    }

    #[test]
    fn a_webhook_without_success_is_given_up() {
        let day = 24 * 3600 * SECOND;
        let mut health = Health::default();
        for i in 0..9 {
            let failure = attempt(i * day, Some(500));
            health = health.after(&failure);
            assert_eq!(health.verdict(&failure), None, "{i}");
            assert_eq!(health.is_at_risk(failure.ended_at()), i >= 4, "{i}");
        }
        let success = attempt(9 * day, Some(200));
        assert_eq!(health.after(&success), Health::default());
        let tenth = attempt(9 * day, None);
        assert!(health.after(&tenth).verdict(&tenth).is_some_and(|reason| reason.contains("10 attempts")));

        let mut health = Health::default();
        let burst = attempt(0, Some(500));
        for _ in 0..1000 {
            health = health.after(&burst);
            assert_eq!(health.verdict(&burst), None);
            assert!(!health.is_at_risk(burst.ended_at()));
        }
        assert!(Health::default().verdict(&attempt(0, Some(410))).is_some());
    }
}
