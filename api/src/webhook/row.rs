//! One webhook as its row in `tandem_webhook` holds it.

use std::sync::Arc;

use entity::webhook::Status;
use entity::{Position, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::keys::{SealedHeaders, SealedKeys};
use super::sending::Sending;
use crate::auth::{self, Principal};
use crate::database::{Error, Record};

/// A registered webhook. Its secrets and the values of its headers are as the database has them: sealed.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Which one.
    pub id: WebhookId,
    /// Where messages are sent to.
    pub url: String,
    /// The subscription document.
    pub query: String,
    /// The document's variables.
    pub variables: Map<String, Value>,
    /// The event names that the document was written from; `None` if it was given.
    pub events: Option<Vec<String>>,
    /// For people.
    pub description: Option<String>,
    /// Sent along with every message.
    pub headers: SealedHeaders,
    /// Most requests at the same time, at least 1.
    pub max_in_flight: u16,
    /// Order, pace, batches and attempts.
    pub sending: Sending,
    /// Whether it is sent to.
    pub status: Status,
    /// Why it is disabled.
    pub status_reason: Option<String>,
    /// The `sub` of its creator.
    pub owner: String,
    /// Whose rights it has.
    pub principal: Arc<Principal>,
    /// What its messages are signed with.
    pub keys: SealedKeys,
    /// Every event up to here is handled.
    pub position: Position,
    /// The number of the last event that was for this webhook; 0 before the first.
    pub sequence: i64,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
    /// When its owner or the server last changed it, in microseconds since 1970.
    pub updated_at: i64,
    /// By which its receiver may confirm that it wants the events; `None` if it does not have to.
    pub verify_key: Option<auth::Secret>,
    /// When its receiver confirmed it, in microseconds since 1970.
    pub verified_at: Option<i64>,
}

impl Webhook {
    /// The prefix of webhook ids in the API.
    pub const PREFIX: &'static str = "webhook";

    /// The columns that [`Webhook::read`] expects, in order.
    pub(super) const COLUMNS: &'static str = "id, url, query, variables, events, description, headers, \
         CAST(max_in_flight AS bigint), status, status_reason, owner, principal, keys, position, sequence, created_at, \
         updated_at, verify_key, verified_at, ordering, CAST(rate_limit AS bigint), retry_schedule, \
         CAST(timeout_ms AS bigint), CAST(batch_max_events AS bigint), CAST(batch_max_wait_ms AS bigint)";

    /// How many there are: what a statement gives beside them stands from here on.
    pub(super) const COLUMN_COUNT: usize = 25;

    pub(super) fn read(record: &Record) -> Result<Self, Error> {
        Ok(Self {
            id: WebhookId(record.need_uuid(0)?),
            url: record.need_text(1)?,
            query: record.need_text(2)?,
            variables: record.text(3)?.map(|text| from_json(&text, "variables")).transpose()?.unwrap_or_default(),
            events: record.text(4)?.map(|text| from_json(&text, "events")).transpose()?,
            description: record.text(5)?,
            headers: SealedHeaders::from_json(&record.need_text(6)?).ok_or_else(|| corrupt("headers"))?,
            max_in_flight: u16::try_from(record.need_int(7)?).map_err(|_| corrupt("max_in_flight"))?.max(1),
            status: Status::try_from_value(&record.need_text(8)?).map_err(|_| corrupt("status"))?,
            status_reason: record.text(9)?,
            owner: record.need_text(10)?,
            principal: Arc::new(decode_principal(&record.need_text(11)?).ok_or_else(|| corrupt("principal"))?),
            keys: SealedKeys::from_json(&record.need_text(12)?).ok_or_else(|| corrupt("keys"))?,
            position: read_position(record, 13)?,
            sequence: record.need_int(14)?,
            created_at: record.need_int(15)?,
            updated_at: record.need_int(16)?,
            verify_key: record.text(17)?.map(auth::Secret::new),
            verified_at: record.int(18)?,
            sending: Sending::read(record, 19)?,
        })
    }

    /// Whether its receiver has to confirm it before anything is sent.
    pub fn awaits_confirmation(&self) -> bool {
        self.verify_key.is_some() && self.verified_at.is_none()
    }
}

/// The position in a column that is never null.
pub(super) fn read_position(record: &Record, index: usize) -> Result<Position, Error> {
    Position::new(record.need_int(index)?).map_err(|_| corrupt("position"))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| corrupt(column))
}

fn corrupt(column: &str) -> Error {
    Error::Corrupt(format!("column {column} of tandem_webhook cannot be read"))
}

/// The form of the database. A webhook outlives the token that it was made with, so the token's end is left out.
pub(super) fn encode_principal(principal: &Principal) -> String {
    json!({
        "sub": principal.sub,
        "roles": principal.roles,
        "claims": principal.claims,
        "isAdmin": principal.is_admin,
    })
    .to_string()
}

fn decode_principal(text: &str) -> Option<Principal> {
    let mut parts: Map<String, Value> = serde_json::from_str(text).ok()?;
    Some(Principal {
        sub: serde_json::from_value(parts.remove("sub")?).ok()?,
        roles: serde_json::from_value(parts.remove("roles")?).ok()?,
        claims: serde_json::from_value(parts.remove("claims")?).ok()?,
        is_admin: parts.remove("isAdmin")?.as_bool()?,
        expires_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_survive_the_database() {
        let principal = Principal {
            sub: Some("ada".to_owned()),
            roles: vec!["support".to_owned()],
            claims: json!({"sub": "ada", "team": {"id": 7}}).as_object().unwrap().clone(),
            is_admin: true,
            expires_at: None,
        };
        assert_eq!(decode_principal(&encode_principal(&principal)), Some(principal.clone()));
        let expiring = Principal { expires_at: Some(std::time::SystemTime::now()), ..principal.clone() };
        assert_eq!(decode_principal(&encode_principal(&expiring)), Some(principal));
        assert_eq!(decode_principal("{}"), None);
    }
}
