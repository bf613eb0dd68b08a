//! One request to a webhook's receiver that is about no event.

use bytes::Bytes;
use entity::WebhookId;
use entity::webhook::Status;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Operations;
use crate::auth::Principal;
use crate::catalog::datum::now_micros;
use crate::catalog::type_id;
use crate::database;
use crate::store::writer::{self, Code, Key};
use crate::webhook::failure::AttemptError;
use crate::webhook::message::Message;
use crate::webhook::registry::{DeliveryAttempt, Error, not_found, refused};
use crate::webhook::row::Webhook;
use crate::webhook::send::Attempt;

/// The name of the event that a ping is not.
const EVENT: &str = "tandem.ping";
/// The prefix of the `webhook-id` of pings.
const PREFIX: &str = "ping";

/// What came of a ping.
#[derive(Debug, Clone)]
pub struct Pinged {
    /// Which webhook.
    pub webhook: WebhookId,
    /// The `webhook-id` that was sent.
    pub message: String,
    /// The request.
    pub attempt: DeliveryAttempt,
}

impl Operations {
    /// Sends a ping, also to a webhook that is paused or disabled, and waits for the answer, as long as the webhook's
    /// deadline allows. It changes nothing about the
    /// webhook and its health.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such webhook for the caller, or its receiver has not confirmed it; [`writer::Error::Busy`] if too many pings are on
    /// their way.
    pub async fn ping(&self, principal: &Principal, id: WebhookId, key: Option<Key>) -> Result<Pinged, Error> {
        if let Some(row) = self.used(key.as_ref()).await? {
            return Pinged::from_json(&row);
        }
        let webhook = self.registry.get(principal, id).await?.ok_or_else(not_found)?;
        if webhook.status == Status::Unverified {
            let message = "its receiver has not confirmed yet that it wants anything from here";
            return Err(refused(&["id"], Code::Invalid, message));
        }
        let target = self.target(&webhook)?;
        let permit = self.pings.try_acquire().map_err(|_| Error::Writer(writer::Error::Busy))?;
        let message = type_id::format(PREFIX, Uuid::now_v7());
        let outbound = target.signed(&message, self.body(&webhook), target.timeout.unwrap_or(self.parts.timeout));
        let attempt = self.parts.sender.send(outbound).await;
        drop(permit);
        let pinged = Pinged { webhook: id, message, attempt: shown(attempt) };
        let Some(key) = key else { return Ok(pinged) };
        let mut sql = self.sql("UPDATE tandem_webhook SET id = id WHERE id = ");
        sql.bind(id.get()).push(" RETURNING CAST(").bind(pinged.to_json()).push(" AS text)");
        // Whoever used the key at the same time may have been faster; then theirs is the answer.
        let row = self.write(sql, Some(key)).await?.ok_or_else(not_found)?;
        Pinged::from_json(&row)
    }

    fn body(&self, webhook: &Webhook) -> Bytes {
        let data = json!({"webhookId": type_id::format(Webhook::PREFIX, webhook.id.get())}).to_string();
        let message = Message {
            event: EVENT,
            occurred_at: now_micros(),
            cursor: &self.parts.hub.cursor(webhook.position),
            sequence: None,
            data: data.as_bytes(),
            errors: None,
        };
        message.body()
    }
}

fn shown(attempt: Attempt) -> DeliveryAttempt {
    DeliveryAttempt {
        number: 1,
        started_at: attempt.started_at,
        duration_ms: attempt.duration_ms.into(),
        status_code: attempt.status_code.map(i64::from),
        address: attempt.address,
        error: attempt.error,
        response_body: attempt.response_body.map(String::from),
    }
}

impl Pinged {
    fn to_json(&self) -> String {
        let attempt = &self.attempt;
        let error = attempt.error.as_ref().map(|error| json!({"code": error.code.name(), "message": error.message}));
        json!({
            "webhook": self.webhook.get().to_string(),
            "message": self.message,
            "startedAt": attempt.started_at,
            "durationMs": attempt.duration_ms,
            "statusCode": attempt.status_code,
            "address": attempt.address,
            "error": error,
            "responseBody": attempt.response_body,
        })
        .to_string()
    }

    fn from_json(text: &str) -> Result<Self, Error> {
        let corrupt = || database::Error::Corrupt("the record of a ping's idempotency key cannot be read".to_owned());
        let parts: Map<String, Value> = serde_json::from_str(text).map_err(|_| corrupt())?;
        Self::from_parts(&parts).ok_or_else(|| corrupt().into())
    }

    fn from_parts(parts: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| parts.get(name).and_then(Value::as_str).map(str::to_owned);
        let int = |name: &str| parts.get(name).and_then(Value::as_i64);
        let error = match parts.get("error")? {
            Value::Null => None,
            error => Some(AttemptError {
                code: error.get("code")?.as_str()?.parse().ok()?,
                message: error.get("message")?.as_str()?.to_owned(),
            }),
        };
        Some(Self {
            webhook: WebhookId(Uuid::parse_str(&text("webhook")?).ok()?),
            message: text("message")?,
            attempt: DeliveryAttempt {
                number: 1,
                started_at: int("startedAt")?,
                duration_ms: int("durationMs")?,
                status_code: int("statusCode"),
                address: text("address"),
                error,
                response_body: text("responseBody"),
            },
        })
    }
}
