//! What the API shows of a webhook: as it is now, or as a mutation left it.
//!
//! The record of an idempotency key holds the latter as JSON, so it has no secrets: of headers only the names, and of the
//! signing keys the public one, which tells whether the webhook still has the secret that belongs to it.

use entity::webhook::Status;
use entity::{Position, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::database::{Error, Record};
use crate::webhook::row::{Webhook, read_position};
use crate::webhook::sending::Sending;
use crate::webhook::signature::PublicKey;

/// A webhook at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which one.
    pub id: WebhookId,
    /// Where messages are sent to.
    pub url: String,
    /// The subscription document.
    pub query: String,
    /// The document's variables.
    pub variables: Map<String, Value>,
    /// The event names that the document was written from.
    pub events: Option<Vec<String>>,
    /// For people.
    pub description: Option<String>,
    /// The names of the headers that are sent along.
    pub headers: Vec<String>,
    /// Most requests at the same time.
    pub max_in_flight: u16,
    /// Order, pace, batches and attempts.
    pub sending: Sending,
    /// Whether it is sent to.
    pub status: Status,
    /// Why it is disabled.
    pub status_reason: Option<String>,
    /// The `sub` of its creator.
    pub owner: String,
    /// Every event up to here is handled.
    pub position: Position,
    /// How many events of the log it is behind.
    pub lag: i64,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
    /// When its owner or the server last changed it, in microseconds since 1970.
    pub updated_at: i64,
    /// What receivers verify `v1a` signatures with.
    pub public_key: PublicKey,
    /// Until when a secret from before the last rotation signs as well, in microseconds since 1970.
    pub previous_until: Option<i64>,
    /// The roles that it acts with.
    pub roles: Vec<String>,
    /// When its receiver confirmed it, in microseconds since 1970.
    pub verified_at: Option<i64>,
}

impl Snapshot {
    /// Of a webhook as it is, when the log ends at `head`.
    pub fn of(webhook: &Webhook, head: Position) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url.clone(),
            query: webhook.query.clone(),
            variables: webhook.variables.clone(),
            events: webhook.events.clone(),
            description: webhook.description.clone(),
            headers: webhook.headers.names().map(str::to_owned).collect(),
            max_in_flight: webhook.max_in_flight,
            sending: webhook.sending.clone(),
            status: webhook.status,
            status_reason: webhook.status_reason.clone(),
            owner: webhook.owner.clone(),
            position: webhook.position,
            lag: (head.get() - webhook.position.get()).max(0),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            public_key: webhook.keys.public_key(),
            previous_until: webhook.keys.previous_until(),
            roles: webhook.principal.roles.clone(),
            verified_at: webhook.verified_at,
        }
    }

    /// The JSON of a row of [`Webhook::COLUMNS`] and the position of the log's head.
    pub(super) fn encode(record: &Record) -> Result<String, Error> {
        let shown = Self::of(&Webhook::read(record)?, read_position(record, Webhook::COLUMN_COUNT)?);
        let json = json!({
            "id": shown.id.get().to_string(),
            "url": shown.url,
            "query": shown.query,
            "variables": shown.variables,
            "events": shown.events,
            "description": shown.description,
            "headers": shown.headers,
            "maxInFlight": shown.max_in_flight,
            "sending": shown.sending.to_json(),
            "status": shown.status.to_value(),
            "statusReason": shown.status_reason,
            "owner": shown.owner,
            "position": shown.position.get(),
            "lag": shown.lag,
            "createdAt": shown.created_at,
            "updatedAt": shown.updated_at,
            "publicKey": shown.public_key.to_string(),
            "previousUntil": shown.previous_until,
            "roles": shown.roles,
            "verifiedAt": shown.verified_at,
        });
        Ok(json.to_string())
    }

    /// Reads what [`Snapshot::encode`] wrote.
    pub(super) fn from_json(text: &str) -> Result<Self, Error> {
        let corrupt = || Error::Corrupt("the record of a webhook's idempotency key cannot be read".to_owned());
        let mut parts: Map<String, Value> = serde_json::from_str(text).map_err(|_| corrupt())?;
        Self::from_parts(&mut parts).ok_or_else(corrupt)
    }

    fn from_parts(parts: &mut Map<String, Value>) -> Option<Self> {
        fn take<T: serde::de::DeserializeOwned>(parts: &mut Map<String, Value>, name: &str) -> Option<T> {
            serde_json::from_value(parts.remove(name)?).ok()
        }
        Some(Self {
            id: WebhookId(Uuid::parse_str(&take::<String>(parts, "id")?).ok()?),
            url: take(parts, "url")?,
            query: take(parts, "query")?,
            variables: take(parts, "variables")?,
            events: take(parts, "events")?,
            description: take(parts, "description")?,
            headers: take(parts, "headers")?,
            max_in_flight: take(parts, "maxInFlight")?,
            sending: Sending::from_json(&parts.remove("sending")?)?,
            status: Status::try_from_value(&take(parts, "status")?).ok()?,
            status_reason: take(parts, "statusReason")?,
            owner: take(parts, "owner")?,
            position: Position::new(take(parts, "position")?).ok()?,
            lag: take(parts, "lag")?,
            created_at: take(parts, "createdAt")?,
            updated_at: take(parts, "updatedAt")?,
            public_key: PublicKey::parse(&take::<String>(parts, "publicKey")?).ok()?,
            previous_until: take(parts, "previousUntil")?,
            roles: take(parts, "roles")?,
            verified_at: take(parts, "verifiedAt")?,
        })
    }
}
