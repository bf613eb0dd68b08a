//! Which webhooks wait for their receiver to confirm that it wants the events, and what it said.
//!
//! A webhook with a `verify_key` sends nothing before `verified_at` is set; its status is UNVERIFIED until then. Another URL
//! is another receiver, which has to confirm anew, under another key: what an earlier one says late means nothing.
//!
//! Neighbours: `verification` asks the receivers, `http` takes their call.

use std::sync::Arc;

use aws_lc_rs::{constant_time, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use entity::WebhookId;
use entity::webhook::Status;
use sea_orm::ActiveEnum;
use tokio::sync::Notify;

use super::{Error, Registry};
use crate::catalog::datum::now_micros;
use crate::database::Sql;
use crate::webhook::row::Webhook;

const KEY_BYTES: usize = 24;

/// That a receiver is to be asked.
pub(super) struct Confirmation {
    /// Whoever knows it is the receiver: it is sent to nobody else.
    pub(super) key: String,
}

impl Confirmation {
    pub(super) fn new() -> Self {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key).expect("the operating system gives random bytes");
        Self { key: BASE64_URL.encode(key) }
    }
}

/// What of an update concerns the confirmation.
pub(super) struct Change {
    pub(super) now: i64,
    /// The URL becomes another one.
    pub(super) is_moved: bool,
    pub(super) verify: Option<bool>,
    pub(super) status: Option<Status>,
}

/// Adds what becomes of status and confirmation to an update of a webhook.
pub(super) fn push_change(sql: &mut Sql, current: &Webhook, change: Change) {
    let is_renewed =
        change.verify == Some(true) || (change.is_moved && change.verify.is_none() && current.verify_key.is_some());
    let is_dropped = change.verify == Some(false);
    let awaits = is_renewed || (!is_dropped && current.awaits_confirmation());
    if is_renewed {
        sql.push(", verified_at = NULL, verify_key = ").bind(Confirmation::new().key);
    }
    if is_dropped {
        sql.push(", verified_at = NULL, verify_key = NULL, verify_at = NULL");
    }
    let status = match (change.status, awaits, current.status) {
        (Some(Status::Enabled), true, _) => Some(Status::Unverified),
        (Some(status), ..) => Some(status),
        (None, true, Status::Enabled | Status::Unverified) if is_renewed => Some(Status::Unverified),
        (None, false, Status::Unverified) => Some(Status::Enabled),
        (None, ..) => None,
    };
    let Some(status) = status else { return };
    if status == Status::Unverified {
        sql.push(", verify_attempts = 0, verify_at = ").bind(change.now);
    }
    // A new beginning: what failed before does not count any more.
    sql.push(", status_reason = NULL, first_failure_at = NULL, failures = 0, warned_at = NULL, disabled_at = NULL");
    sql.push(", status = ").bind(status.to_value());
}

/// A receiver that is to be asked now, by this process.
#[derive(Debug)]
pub struct Asking {
    /// For what.
    pub webhook: Webhook,
    /// How often it will have been asked then.
    pub attempt: u32,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It wants the events, at most so many in a minute if it says so.
    Confirmed {
        /// The rate that it allows.
        per_minute: Option<u32>,
    },
    /// It did not say so. It is asked again at this time, in microseconds since 1970, or not at all any more.
    Unconfirmed {
        /// Why, for the owner.
        reason: String,
        /// When it is asked again.
        next_at: Option<i64>,
    },
}

impl Registry {
    /// Woken when there may be receivers to ask.
    pub fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// Receivers that are due to be asked, the longest due first. Until `leased_until` no other process gets them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due_confirmations(&self, now: i64, leased_until: i64, limit: usize) -> Result<Vec<Asking>, Error> {
        let mut sql = self.sql("SELECT ");
        sql.push(Webhook::COLUMNS).push(", verify_at, CAST(verify_attempts AS bigint) FROM tandem_webhook");
        sql.push(" WHERE status = 'UNVERIFIED' AND verify_at <= ").bind(now);
        sql.push(" ORDER BY verify_at LIMIT ").bind(limit as i64);
        let mut due = Vec::new();
        for record in self.database.query(sql).await? {
            let webhook = Webhook::read(&record)?;
            let attempts = record.need_int(Webhook::COLUMN_COUNT + 1)?;
            let mut claim = self.sql("UPDATE tandem_webhook SET verify_attempts = verify_attempts + 1, verify_at = ");
            claim.bind(leased_until).push(" WHERE id = ").bind(webhook.id.get());
            claim.push(" AND status = 'UNVERIFIED' AND verify_at = ").bind(record.need_int(Webhook::COLUMN_COUNT)?);
            if self.writer.statements(vec![claim]).await?.first() == Some(&1) {
                due.push(Asking { webhook, attempt: u32::try_from(attempts + 1).unwrap_or(u32::MAX) });
            }
        }
        Ok(due)
    }

    /// Records what a receiver said, unless it is another one's turn by now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn answer_confirmation(&self, webhook: &Webhook, answer: &Answer) -> Result<(), Error> {
        let Some(key) = &webhook.verify_key else { return Ok(()) };
        let mut sql = self.sql("UPDATE tandem_webhook SET ");
        match answer {
            Answer::Confirmed { per_minute } => push_confirmed(&mut sql, *per_minute),
            Answer::Unconfirmed { reason, next_at: Some(next_at) } => {
                sql.push("status_reason = ").bind(reason.as_str()).push(", verify_at = ").bind(*next_at);
            }
            Answer::Unconfirmed { reason, next_at: None } => {
                sql.push("status = 'DISABLED', verify_at = NULL, status_reason = ").bind(reason.as_str());
                let now = now_micros();
                sql.push(", disabled_at = ").bind(now).push(", updated_at = ").bind(now);
            }
        }
        sql.push(" WHERE id = ").bind(webhook.id.get()).push(" AND status = 'UNVERIFIED' AND verify_key = ");
        sql.bind(key.expose());
        self.writer.statements(vec![sql]).await?;
        self.wake.wake();
        Ok(())
    }

    /// A receiver calls back by itself. Whether the key is that of the webhook; to say so again changes nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn confirm(&self, id: WebhookId, key: &str, per_minute: Option<u32>) -> Result<bool, Error> {
        let mut sql = self.sql("SELECT verify_key FROM tandem_webhook WHERE id = ");
        sql.bind(id.get());
        let found = self.database.query(sql).await?.first().map(|record| record.text(0)).transpose()?.flatten();
        let is_right =
            |found: &String| constant_time::verify_slices_are_equal(found.as_bytes(), key.as_bytes()).is_ok();
        let Some(found) = found.filter(is_right) else { return Ok(false) };
        let mut sql = self.sql("UPDATE tandem_webhook SET ");
        push_confirmed(&mut sql, per_minute);
        sql.push(" WHERE id = ").bind(id.get()).push(" AND verified_at IS NULL AND verify_key = ").bind(found);
        self.writer.statements(vec![sql]).await?;
        self.wake.wake_and_wait().await;
        tracing::info!(webhook.id = %id, "a webhook was confirmed by its receiver's call");
        Ok(true)
    }
}

/// A webhook that is paused or disabled stays so; what is slower than once a second is counted as that, the slowest limit there is.
fn push_confirmed(sql: &mut Sql, per_minute: Option<u32>) {
    let now = now_micros();
    sql.push("verified_at = ").bind(now).push(", updated_at = ").bind(now);
    sql.push(", verify_at = NULL, status_reason = NULL, status = ");
    sql.push("CASE WHEN status = 'UNVERIFIED' THEN 'ENABLED' ELSE status END");
    if let Some(per_minute) = per_minute {
        let per_second = i32::try_from(per_minute / 60).unwrap_or(i32::MAX).max(1);
        sql.push(", rate_limit = CASE WHEN rate_limit < ").bind(per_second);
        sql.push(" THEN rate_limit ELSE ").bind(per_second).push(" END");
    }
}
