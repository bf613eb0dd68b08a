//! Making, changing, rotating and deleting webhooks.

use entity::webhook::{Ordering, Status};
use sea_orm::ActiveEnum;
use serde_json::{Value, json};

use super::object::{Object, into_object};
use super::scope::{Webhooks, id, not_found, refused};
use crate::schema::document::{GraphqlError, Selected};
use crate::schema::plan::context::{Arguments, bad_input};
use crate::store::writer::Key;
use crate::webhook::registry::{self, Created, Document, NewWebhook, WebhookPatch};
use crate::webhook::sending::SendingInput;

impl Webhooks<'_> {
    pub(super) async fn create(
        &self,
        field: &Selected<'_>,
        input: &Arguments,
        key: Option<Key>,
    ) -> Result<Object, GraphqlError> {
        let new = NewWebhook {
            url: input.text("url").unwrap_or_default().to_owned(),
            document: document(input)?,
            description: input.text("description").map(str::to_owned),
            headers: headers(input).unwrap_or_default(),
            max_in_flight: input.int("maxInFlight").unwrap_or_default(),
            sending: sending(input),
            verify: input.get("verify").and_then(Value::as_bool).unwrap_or_default(),
        };
        let created = self.registry.create(self.principal, new, key).await;
        self.with_secret(field, "CreateWebhookPayload", created).await
    }

    pub(super) async fn rotate(
        &self,
        field: &Selected<'_>,
        input: &Arguments,
        key: Option<Key>,
    ) -> Result<Object, GraphqlError> {
        let Some(id) = id(input) else { return Ok(not_found()) };
        let is_revoking = input.get("revokePrevious").and_then(Value::as_bool).unwrap_or_default();
        let rotated = self.registry.rotate(self.principal, id, is_revoking, key).await;
        self.with_secret(field, "RotateWebhookSecretPayload", rotated).await
    }

    async fn with_secret(
        &self,
        field: &Selected<'_>,
        payload: &str,
        made: Result<Created, registry::Error>,
    ) -> Result<Object, GraphqlError> {
        match made {
            Ok(made) => {
                let webhook = self.payload_object(field, payload, &made.webhook).await?;
                let secret = made.secret.map(|secret| secret.expose());
                Ok(into_object(json!({"webhook": webhook, "secret": secret, "userErrors": []})))
            }
            Err(error) => refused(error),
        }
    }

    pub(super) async fn update(
        &self,
        field: &Selected<'_>,
        input: &Arguments,
        key: Option<Key>,
    ) -> Result<Object, GraphqlError> {
        let Some(id) = id(input) else { return Ok(not_found()) };
        let patch = WebhookPatch {
            url: input.text("url").map(str::to_owned),
            document: document(input)?,
            description: input.0.get("description").map(|text| text.as_str().map(str::to_owned)),
            headers: headers(input),
            max_in_flight: input.int("maxInFlight"),
            sending: sending(input),
            status: input.text("status").and_then(|name| Status::try_from_value(&name.to_owned()).ok()),
            verify: input.get("verify").and_then(Value::as_bool),
            roles: input.texts("roles").map(|roles| roles.into_iter().map(str::to_owned).collect()),
        };
        match self.registry.update(self.principal, id, patch, key).await {
            Ok(webhook) => {
                let webhook = self.payload_object(field, "UpdateWebhookPayload", &webhook).await?;
                Ok(into_object(json!({"webhook": webhook, "userErrors": []})))
            }
            Err(error) => refused(error),
        }
    }

    pub(super) async fn delete(&self, input: &Arguments, key: Option<Key>) -> Result<Object, GraphqlError> {
        let Some(id) = id(input) else { return Ok(not_found()) };
        match self.registry.delete(self.principal, id, key).await {
            Ok(()) => Ok(into_object(json!({"deletedWebhookId": input.text("id"), "userErrors": []}))),
            Err(error) => refused(error),
        }
    }
}

fn document(input: &Arguments) -> Result<Document, GraphqlError> {
    let variables = match input.get("variables") {
        None => None,
        Some(Value::Object(variables)) => Some(variables.clone()),
        Some(_) => return Err(bad_input("variables must be an object.")),
    };
    let events = input.texts("events").map(|names| names.into_iter().map(str::to_owned).collect());
    Ok(Document { query: input.text("query").map(str::to_owned), variables, events })
}

fn sending(input: &Arguments) -> SendingInput {
    // What is given as null is taken away.
    let given = |name: &str| input.0.get(name);
    let waits = |value: &Value| value.as_array().map(|waits| waits.iter().filter_map(Value::as_i64).collect());
    let batch = |value: &Value| value["maxEvents"].as_i64().zip(value["maxWaitMs"].as_i64());
    SendingInput {
        ordering: input.text("ordering").and_then(|name| Ordering::try_from_value(&name.to_owned()).ok()),
        rate_limit: given("rateLimit").map(Value::as_i64),
        retry_schedule: given("retrySchedule").map(waits),
        timeout_ms: given("timeoutMs").map(Value::as_i64),
        batch: given("batch").map(batch),
    }
}

fn headers(input: &Arguments) -> Option<Vec<(String, String)>> {
    let header = |header: &Value| {
        let text = |name| header.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("name"), text("value"))
    };
    Some(input.get("headers")?.as_array()?.iter().map(header).collect())
}
