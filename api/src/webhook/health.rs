//! How webhooks fare, for their owners and operators to see.
//!
//! It follows from the webhook's row alone, which the commits of its worker keep: `ledger::commit` writes it, nobody else.

use std::collections::HashMap;

use entity::WebhookId;
use entity::webhook::Status;
use sea_orm::ActiveEnum;

use super::failure::AttemptError;
use super::outcome::Health;
use super::registry::{Registry, push_visible};
use crate::auth::Principal;
use crate::database::{Error, Record};

/// How a webhook fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In one word.
    pub state: State,
    /// Whether it is sent to.
    pub status: Status,
    /// Why it is disabled.
    pub status_reason: Option<String>,
    /// When the first attempt failed after the last success, in microseconds since 1970, as all times here.
    pub failing_since: Option<i64>,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// The last success.
    pub last_success_at: Option<i64>,
    /// The last failure.
    pub last_failure_at: Option<i64>,
    /// What went wrong then.
    pub last_error: Option<AttemptError>,
    /// When it will be disabled at the earliest if nothing succeeds.
    pub disables_at: Option<i64>,
    /// When it was disabled.
    pub disabled_at: Option<i64>,
}

/// How a webhook fares, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The last attempt succeeded, or there was none.
    Healthy,
    /// The last attempt failed.
    Failing,
    /// It has failed for so long that it will be disabled if nothing succeeds.
    AtRisk,
    /// The server gave it up.
    Disabled,
}

impl State {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Failing => "FAILING",
            Self::AtRisk => "AT_RISK",
            Self::Disabled => "DISABLED",
        }
    }
}

const COLUMNS: &str = "id, status, status_reason, first_failure_at, CAST(failures AS bigint), last_success_at, \
                       last_failure_at, last_error_code, last_error_message, warned_at, disabled_at";

impl Report {
    fn read(record: &Record) -> Result<(WebhookId, Self), Error> {
        let corrupt = |column: &str| Error::Corrupt(format!("column {column} of tandem_webhook cannot be read"));
        let status = Status::try_from_value(&record.need_text(1)?).map_err(|_| corrupt("status"))?;
        let failures = record.need_int(4)?;
        let health = Health { first_failure_at: record.int(3)?, failures: i32::try_from(failures).unwrap_or(i32::MAX) };
        let last_error = match record.text(7)? {
            Some(code) => {
                let code = code.parse().map_err(|()| corrupt("last_error_code"))?;
                Some(AttemptError { code, message: record.text(8)?.unwrap_or_default() })
            }
            None => None,
        };
        let state = match status {
            Status::Disabled => State::Disabled,
            Status::Enabled | Status::Unverified | Status::Paused if failures == 0 => State::Healthy,
            Status::Enabled | Status::Unverified | Status::Paused if record.int(9)?.is_some() => State::AtRisk,
            Status::Enabled | Status::Unverified | Status::Paused => State::Failing,
        };
        let report = Self {
            state,
            status,
            status_reason: record.text(2)?,
            failing_since: health.first_failure_at,
            consecutive_failures: failures,
            last_success_at: record.int(5)?,
            last_failure_at: record.int(6)?,
            last_error,
            disables_at: health.disabled_at_earliest().filter(|_| status == Status::Enabled),
            disabled_at: record.int(10)?,
        };
        Ok((WebhookId(record.need_uuid(0)?), report))
    }
}

impl Registry {
    /// How the webhooks that the caller may see fare: those with these ids, or all of them.
    pub async fn reports(
        &self,
        principal: &Principal,
        ids: Option<&[WebhookId]>,
    ) -> Result<HashMap<WebhookId, Report>, Error> {
        if ids.is_some_and(<[_]>::is_empty) {
            return Ok(HashMap::new());
        }
        let mut sql = self.sql("SELECT ");
        sql.push(COLUMNS).push(" FROM tandem_webhook WHERE ");
        push_visible(&mut sql, principal);
        if let Some(ids) = ids {
            sql.push(" AND id IN (");
            sql.list(", ", ids, |sql, id| {
                sql.bind(id.get());
            });
            sql.push(")");
        }
        self.database().query(sql).await?.iter().map(Report::read).collect()
    }
}
