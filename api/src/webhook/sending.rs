//! How the owner of a webhook wants it to be sent: order, pace, batches, attempts.

use std::time::Duration;

use entity::webhook::Ordering;
use sea_orm::ActiveEnum;
use serde_json::{Value, json};

use super::batch::{self, Batching};
use super::retry::{MAX_ATTEMPTS, MAX_DELAY, Schedule};
use crate::database::{Error, Record, Sql};
use crate::store::writer::{Code, Violation};

/// Requests per second that may be allowed.
pub const RATE_LIMIT: std::ops::RangeInclusive<i64> = 1..=10_000;
/// Milliseconds that one attempt may be given.
pub const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 100..=60_000;
/// Milliseconds that a batch may wait for more events.
pub const MAX_WAIT_MS: std::ops::RangeInclusive<i64> = 0..=60_000;

/// How a webhook is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// Which messages wait for which.
    pub ordering: Ordering,
    /// Most requests per second; `None` for no limit.
    pub rate_limit: Option<u32>,
    /// When attempts are made, if not as the server does.
    pub schedule: Option<Schedule>,
    /// The deadline of one attempt, if not the server's.
    pub timeout: Option<Duration>,
    /// Whether events are sent together.
    pub batching: Option<Batching>,
}

impl Default for Sending {
    fn default() -> Self {
        Self { ordering: Ordering::None, rate_limit: None, schedule: None, timeout: None, batching: None }
    }
}

/// What a client asks for. What is `None` stays as it is; `Some(None)` takes it away.
#[derive(Debug, Clone, Default)]
pub struct SendingInput {
    /// Which messages wait for which.
    pub ordering: Option<Ordering>,
    /// Requests per second.
    pub rate_limit: Option<Option<i64>>,
    /// Seconds from the end of one attempt to the next one.
    pub retry_schedule: Option<Option<Vec<i64>>>,
    /// Milliseconds of one attempt.
    pub timeout_ms: Option<Option<i64>>,
    /// Most events of a request, and the milliseconds that it waits for them.
    pub batch: Option<Option<(i64, i64)>>,
}

impl Sending {
    /// Reads its columns, which stand from `index` on as in `Webhook::COLUMNS`.
    pub(super) fn read(record: &Record, index: usize) -> Result<Self, Error> {
        let corrupt = |column: &str| Error::Corrupt(format!("column {column} of tandem_webhook cannot be read"));
        let ordering = Ordering::try_from_value(&record.need_text(index)?).map_err(|_| corrupt("ordering"))?;
        let schedule = match record.text(index + 2)? {
            Some(text) => Some(parse_schedule(&text).ok_or_else(|| corrupt("retry_schedule"))?),
            None => None,
        };
        let batching = match (record.int(index + 4)?, record.int(index + 5)?) {
            (Some(events), Some(wait)) => Some(batching(events, wait)),
            _ => None,
        };
        Ok(Self {
            ordering,
            rate_limit: record.int(index + 1)?.map(|rate| u32::try_from(rate).unwrap_or(u32::MAX)),
            schedule,
            timeout: record.int(index + 3)?.map(milliseconds),
            batching,
        })
    }

    /// Adds `ordering = …` and the others, all of them.
    pub(super) fn push_assignments(&self, sql: &mut Sql) {
        let values = self.clone();
        sql.push("ordering = ").bind(values.ordering.to_value());
        sql.push(", rate_limit = ").bind(values.rate_limit.map(|rate| rate as i32));
        sql.push(", retry_schedule = ").bind(values.schedule.map(|schedule| json!(schedule.waits_s()).to_string()));
        sql.push(", timeout_ms = ").bind(values.timeout.map(|timeout| timeout.as_millis() as i32));
        sql.push(", batch_max_events = ").bind(values.batching.map(|batching| batching.max_events as i32));
        sql.push(", batch_max_wait_ms = ").bind(values.batching.map(|batching| batching.max_wait.as_millis() as i32));
    }

    /// Adds the names of its columns, for an INSERT.
    pub(super) fn push_names(sql: &mut Sql) {
        sql.push("ordering, rate_limit, retry_schedule, timeout_ms, batch_max_events, batch_max_wait_ms");
    }

    /// Adds its values in the order of [`Sending::push_names`].
    pub(super) fn push_values(&self, sql: &mut Sql) {
        let values = self.clone();
        sql.bind(values.ordering.to_value()).push(", ").bind(values.rate_limit.map(|rate| rate as i32));
        sql.push(", ").bind(values.schedule.map(|schedule| json!(schedule.waits_s()).to_string()));
        sql.push(", ").bind(values.timeout.map(|timeout| timeout.as_millis() as i32));
        sql.push(", ").bind(values.batching.map(|batching| batching.max_events as i32));
        sql.push(", ").bind(values.batching.map(|batching| batching.max_wait.as_millis() as i32));
    }

    /// With what a client asks for. What is wrong with that is added to `errors`, and is not in the result.
    #[must_use]
    pub(super) fn with(&self, input: &SendingInput, errors: &mut Vec<Violation>) -> Self {
        let mut sending = self.clone();
        if let Some(ordering) = input.ordering {
            sending.ordering = ordering;
        }
        if let Some(rate) = input.rate_limit {
            let rate = rate.filter(|rate| in_range(*rate, &RATE_LIMIT, &["rateLimit"], errors));
            sending.rate_limit = rate.map(|rate| rate as u32);
        }
        if let Some(timeout) = input.timeout_ms {
            let timeout = timeout.filter(|timeout| in_range(*timeout, &TIMEOUT_MS, &["timeoutMs"], errors));
            sending.timeout = timeout.map(milliseconds);
        }
        if let Some(waits) = &input.retry_schedule {
            sending.schedule = waits.as_ref().and_then(|waits| {
                let schedule = Schedule::of_waits(waits);
                if schedule.is_none() {
                    let (most, longest) = (MAX_ATTEMPTS - 1, MAX_DELAY.as_secs());
                    let message = format!("at most {most} waiting times from 0 to {longest} seconds are allowed");
                    errors.push(Violation::named(&["retrySchedule"], Code::OutOfRange, message));
                }
                schedule
            });
        }
        if let Some(batch) = input.batch {
            let events = 1..=batch::MAX_EVENTS as i64;
            sending.batching = batch
                .filter(|(max_events, max_wait_ms)| {
                    let is_good = in_range(*max_events, &events, &["batch", "maxEvents"], errors);
                    in_range(*max_wait_ms, &MAX_WAIT_MS, &["batch", "maxWaitMs"], errors) && is_good
                })
                .map(|(max_events, max_wait_ms)| batching(max_events, max_wait_ms));
        }
        sending
    }

    /// As JSON, for the record of an idempotency key.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "ordering": self.ordering.to_value(),
            "rateLimit": self.rate_limit,
            "retrySchedule": self.schedule.as_ref().map(Schedule::waits_s),
            "timeoutMs": self.timeout.map(|timeout| timeout.as_millis() as i64),
            "batch": self.batching.map(|b| json!({ "maxEvents": b.max_events, "maxWaitMs": b.max_wait.as_millis() as i64 })),
        })
    }

    /// Reads [`Sending::to_json`].
    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let schedule = match &json["retrySchedule"] {
            Value::Null => None,
            waits => Some(parse_schedule(&waits.to_string())?),
        };
        let batch = &json["batch"];
        Some(Self {
            ordering: Ordering::try_from_value(&json["ordering"].as_str()?.to_owned()).ok()?,
            rate_limit: json["rateLimit"].as_u64().map(|rate| rate as u32),
            schedule,
            timeout: json["timeoutMs"].as_i64().map(milliseconds),
            batching: batch["maxEvents"].as_i64().zip(batch["maxWaitMs"].as_i64()).map(|(e, w)| batching(e, w)),
        })
    }
}

fn in_range(value: i64, range: &std::ops::RangeInclusive<i64>, path: &[&str], errors: &mut Vec<Violation>) -> bool {
    let is_in = range.contains(&value);
    if !is_in {
        let message = format!("from {} to {} are allowed", range.start(), range.end());
        errors.push(Violation::named(path, Code::OutOfRange, message));
    }
    is_in
}

fn parse_schedule(json: &str) -> Option<Schedule> {
    Schedule::of_waits(&serde_json::from_str::<Vec<i64>>(json).ok()?)
}

fn milliseconds(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}

fn batching(max_events: i64, max_wait_ms: i64) -> Batching {
    Batching { max_events: usize::try_from(max_events).unwrap_or(1).max(1), max_wait: milliseconds(max_wait_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_checked_at_once() {
        let input = SendingInput {
            ordering: Some(Ordering::Strict),
            rate_limit: Some(Some(0)),
            retry_schedule: Some(Some(vec![-1])),
            timeout_ms: Some(Some(99)),
            batch: Some(Some((0, 60_001))),
        };
        let mut errors = Vec::new();
        let sending = Sending::default().with(&input, &mut errors);
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert_eq!(sending, Sending { ordering: Ordering::Strict, ..Sending::default() });
    }

    #[test]
    fn what_is_left_out_stays_and_null_takes_away() {
        let input = SendingInput {
            ordering: Some(Ordering::PerNode),
            rate_limit: Some(Some(50)),
            retry_schedule: Some(Some(vec![5, 300])),
            timeout_ms: Some(Some(2_500)),
            batch: Some(Some((100, 500))),
        };
        let mut errors = Vec::new();
        let sending = Sending::default().with(&input, &mut errors);
        assert_eq!(sending.with(&SendingInput::default(), &mut errors), sending);
        assert_eq!(Sending::from_json(&sending.to_json()), Some(sending.clone()));
        assert_eq!(Sending::from_json(&Sending::default().to_json()), Some(Sending::default()));
        let nothing = SendingInput {
            ordering: None,
            rate_limit: Some(None),
            retry_schedule: Some(None),
            timeout_ms: Some(None),
            batch: Some(None),
        };
        let ordered = Sending { ordering: Ordering::PerNode, ..Sending::default() };
        assert_eq!(sending.with(&nothing, &mut errors), ordered);
        assert!(errors.is_empty());
    }
}
