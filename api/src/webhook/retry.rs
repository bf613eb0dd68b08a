//! When the next attempt of a delivery is made.
//!
//! A [`Schedule`] lists the attempts; each entry is the time since the end of the attempt before, and its first is zero:
//! an event is sent at once. Waiting times get up to 20% of jitter, so that the retries of an outage spread out, and are
//! never shorter than what the receiver asked for with `Retry-After`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Most attempts that a schedule may list.
pub const MAX_ATTEMPTS: usize = 30;
/// Longest waiting time between two attempts.
pub const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);
/// A receiver cannot put a delivery off for longer than this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
const MAX_JITTER: f64 = 0.2;
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The attempts of a delivery: at once, then after each of these times. Written `0s,5s,5m,30m,2h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// Why a text is no [`Schedule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// An entry is no time.
    #[error("`{0}` is no duration; write a whole number and a unit: ms, s, m, h or d, such as 30m")]
    NotADuration(String),
    /// An entry is too long.
    #[error("`{0}` is too long; at most 30d are allowed between two attempts")]
    TooLong(String),
    /// The first entry is not zero.
    #[error("the first attempt is made at once, so the schedule must start with 0s")]
    FirstIsNotZero,
    /// There are too many entries.
    #[error("the schedule has {0} attempts; at most {MAX_ATTEMPTS} are allowed")]
    TooMany(usize),
}

impl Schedule {
    /// An attempt at once, and one after each of these times, in seconds. `None` if there are too many or one is too long.
    pub fn of_waits(waits_s: &[i64]) -> Option<Self> {
        if waits_s.len() >= MAX_ATTEMPTS {
            return None;
        }
        let wait = |s: &i64| u64::try_from(*s).ok().map(Duration::from_secs).filter(|delay| *delay <= MAX_DELAY);
        let waits = waits_s.iter().map(wait).collect::<Option<Vec<_>>>()?;
        Some(Self([Duration::ZERO].into_iter().chain(waits).collect()))
    }

    /// The times between attempts, in whole seconds.
    pub fn waits_s(&self) -> Vec<i64> {
        self.0.iter().skip(1).map(|delay| delay.as_secs() as i64).collect()
    }

    /// How many attempts there are at most.
    pub fn attempts(&self) -> u32 {
        self.0.len() as u32
    }

    /// How long to wait after the end of attempt number `after_attempt` (the first is 1); `None` if it was the last one.
    /// `jitter` is a random number from 0 to 1.
    pub fn next_attempt(&self, after_attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
        let delay = *self.0.get(after_attempt as usize)?;
        let delay = delay.mul_f64(1.0 + MAX_JITTER * jitter.clamp(0.0, 1.0));
        Some(delay.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)))
    }
}

impl Default for Schedule {
    /// Ten attempts over a little more than three days.
    fn default() -> Self {
        "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h".parse().expect("the default schedule is valid")
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let delays = text.split(',').map(|entry| parse_duration(entry.trim())).collect::<Result<Vec<_>, _>>()?;
        if delays.len() > MAX_ATTEMPTS {
            return Err(ScheduleError::TooMany(delays.len()));
        }
        if delays.first() != Some(&Duration::ZERO) {
            return Err(ScheduleError::FirstIsNotZero);
        }
        Ok(Self(delays))
    }
}

fn parse_duration(entry: &str) -> Result<Duration, ScheduleError> {
    let wrong = || ScheduleError::NotADuration(entry.to_owned());
    let digits = entry.len() - entry.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = entry.split_at(digits);
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    if count.is_empty() {
        return Err(wrong());
    }
    let too_long = || ScheduleError::TooLong(entry.to_owned());
    let count: u64 = count.parse().map_err(|_| too_long())?;
    let delay = count.checked_mul(*unit_ms).map(Duration::from_millis).ok_or_else(too_long)?;
    if delay <= MAX_DELAY { Ok(delay) } else { Err(too_long()) }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, delay) in self.0.iter().enumerate() {
            let delay_ms = delay.as_millis() as u64;
            let (unit, unit_ms) =
                match UNITS.iter().find(|(_, unit_ms)| delay_ms > 0 && delay_ms.is_multiple_of(*unit_ms)) {
                    Some(unit) => *unit,
                    None => ("s", 1000),
                };
            write!(f, "{}{}{unit}", if i > 0 { "," } else { "" }, delay_ms / unit_ms)?;
        }
        Ok(())
    }
}

/// Reads the header `Retry-After` (RFC 9110, 10.2.3): seconds or a date. What is neither is ignored, a date in the past
/// is zero, and the result is at most [`MAX_RETRY_AFTER`].
pub fn parse_retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // Digits that do not fit are a very long time.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let at = httpdate::parse_http_date(header).ok()?;
    Some(at.duration_since(now).unwrap_or_default().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn schedules_are_read_and_shown() {
        for (text, shown) in [
            ("0s", "0s"),
            ("0s,5s,5m,30m,2h,5h,10h,14h,20h,24h", "0s,5s,5m,30m,2h,5h,10h,14h,20h,1d"),
            (" 0ms , 100ms,90s, 2d", "0s,100ms,90s,2d"),
        ] {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.to_string(), shown);
            assert_eq!(shown.parse::<Schedule>().unwrap(), schedule);
        }
        assert_eq!(Schedule::default().attempts(), 10);
    }

    #[test]
    fn waits_are_what_comes_after_the_first_attempt() {
        assert_eq!(Schedule::of_waits(&[]).unwrap().to_string(), "0s");
        let schedule = Schedule::of_waits(&[5, 0, 300]).unwrap();
        assert_eq!((schedule.to_string().as_str(), schedule.waits_s()), ("0s,5s,0s,5m", vec![5, 0, 300]));
        let month = MAX_DELAY.as_secs() as i64;
        assert_eq!(Schedule::of_waits(&vec![month; MAX_ATTEMPTS - 1]).unwrap().attempts(), MAX_ATTEMPTS as u32);
        for refused in [vec![1; MAX_ATTEMPTS], vec![-1], vec![month + 1], vec![i64::MAX]] {
            assert_eq!(Schedule::of_waits(&refused), None);
        }
    }

    #[test]
    fn errors_name_the_entry() {
        let too_many = vec!["0s"; 31].join(",");
        for (text, message) in [
            ("", "`` is no duration"),
            ("0s,", "`` is no duration"),
            ("0s,5", "`5` is no duration"),
            ("0s,m", "`m` is no duration"),
            ("0s,1.5h", "`1.5h` is no duration"),
            ("0s,-5s", "`-5s` is no duration"),
            ("0s,5 s", "`5 s` is no duration"),
            ("0s,31d", "`31d` is too long"),
            ("0s,99999999999999999999s", "`99999999999999999999s` is too long"),
            ("0s,18446744073709551615d", "`18446744073709551615d` is too long"),
            ("5s,10s", "must start with 0s"),
            (&too_many, "has 31 attempts"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn waiting_times() {
        let schedule: Schedule = "0s,5s,5m".parse().unwrap();
        for (after, retry_after, jitter, expected) in [
            (0, None, 0.0, Some(s(0))),
            (0, None, 1.0, Some(s(0))),
            (1, None, 0.0, Some(s(5))),
            (1, None, 1.0, Some(s(6))),
            (1, None, 0.5, Some(Duration::from_millis(5500))),
            (1, None, 99.0, Some(s(6))),
            (1, Some(s(2)), 0.0, Some(s(5))),
            (1, Some(s(60)), 1.0, Some(s(60))),
            (1, Some(s(1_000_000)), 0.0, Some(MAX_RETRY_AFTER)),
            (2, None, 0.0, Some(s(300))),
            (3, Some(s(60)), 0.0, None),
            (u32::MAX, None, 0.0, None),
        ] {
            let next = schedule.next_attempt(after, retry_after, jitter);
            assert_eq!(next, expected, "{after} {retry_after:?} {jitter}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + s(784_111_777);
        for (header, expected) in [
            ("0", Some(s(0))),
            ("120", Some(s(120))),
            (" 7 ", Some(s(7))),
            ("86401", Some(MAX_RETRY_AFTER)),
            ("99999999999999999999999", Some(MAX_RETRY_AFTER)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(s(10))),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(s(10))),
            ("Sun Nov  6 08:49:47 1994", Some(s(10))),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(s(0))),
            ("Sun, 06 Nov 2044 08:49:07 GMT", Some(MAX_RETRY_AFTER)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("+5", None),
        ] {
            assert_eq!(parse_retry_after(header, now), expected, "{header:?}");
        }
    }
}
