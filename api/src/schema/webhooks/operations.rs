//! Ping, retry, replay, and the end of one.

use entity::replay::Scope;
use sea_orm::ActiveEnum;
use serde_json::{Value, json};

use super::object::{Object, attempt_object, delivery_object, into_object};
use super::scope::{Webhooks, id, instant, not_found, refused};
use crate::catalog::type_id;
use crate::schema::core::position_error;
use crate::schema::document::{GraphqlError, Selected};
use crate::schema::plan::context::Arguments;
use crate::store::writer::{Code, Key, Violation};
use crate::webhook::operations::replay;
use crate::webhook::operations::{Replay, ReplayRequest, Start};
use crate::webhook::registry::{self, Delivery};

impl Webhooks<'_> {
    pub(super) async fn ping(
        &self,
        field: &Selected<'_>,
        input: &Arguments,
        key: Option<Key>,
    ) -> Result<Object, GraphqlError> {
        let Some(id) = id(input) else { return Ok(not_found()) };
        match self.operations.ping(self.principal, id, key).await {
            Ok(pinged) => {
                let webhook = self.payload_webhook(field, "PingWebhookPayload", pinged.webhook).await?;
                let attempt = attempt_object(&pinged.attempt);
                let payload =
                    json!({"webhook": webhook, "messageId": pinged.message, "attempt": attempt, "userErrors": []});
                Ok(into_object(payload))
            }
            Err(error) => refused(error),
        }
    }

    pub(super) async fn retry(&self, input: &Arguments, key: Option<Key>) -> Result<Object, GraphqlError> {
        let id = input.text("id").and_then(|text| type_id::parse_prefixed(Delivery::PREFIX, text));
        let Some(id) = id.map(entity::DeliveryId) else {
            let violation = Violation::named(&["id"], Code::NotFound, "there is no such delivery");
            return refused(registry::Error::Refused(vec![violation]));
        };
        match self.operations.retry(self.principal, id, key).await {
            Ok(delivery) => Ok(into_object(json!({"delivery": delivery_object(&delivery), "userErrors": []}))),
            Err(error) => refused(error),
        }
    }

    pub(super) async fn replay(
        &self,
        field: &Selected<'_>,
        input: &Arguments,
        key: Option<Key>,
    ) -> Result<Object, GraphqlError> {
        let Some(webhook) = id(input) else { return Ok(not_found()) };
        let start = match (input.text("after"), instant(input, "since")?) {
            (Some(cursor), None) => {
                let position = self.core.hub.position(cursor).await;
                Start::After(position.map_err(|error| position_error(&error))?)
            }
            (None, Some(since)) => Start::Since(since),
            (after, _) => {
                let code = if after.is_some() { Code::Invalid } else { Code::Required };
                let violation = Violation::named(&["after"], code, "give either after or since");
                return refused(registry::Error::Refused(vec![violation]));
            }
        };
        let scope = input.text("only").and_then(|name| Scope::try_from_value(&name.to_owned()).ok());
        let request = ReplayRequest {
            webhook,
            start,
            scope: scope.unwrap_or(Scope::Failed),
            is_dry_run: input.get("dryRun") == Some(&Value::Bool(true)),
        };
        match self.operations.replay(self.principal, request, key).await {
            Ok(started) => Ok(into_object(json!({
                "webhook": self.payload_webhook(field, "ReplayWebhookPayload", webhook).await?,
                "replay": started.replay.as_ref().map(|replay| self.replay_object(replay)),
                "count": started.count,
                "countedTo": started.counted_to.map(|position| self.core.hub.cursor(position)),
                "userErrors": [],
            }))),
            Err(error) => refused(error),
        }
    }

    pub(super) async fn cancel_replay(
        &self,
        field: &Selected<'_>,
        input: &Arguments,
        key: Option<Key>,
    ) -> Result<Object, GraphqlError> {
        let id = input.text("id").and_then(|text| type_id::parse_prefixed(Replay::PREFIX, text));
        let outcome = match id.map(entity::ReplayId) {
            Some(id) => self.operations.cancel_replay(self.principal, id, key).await,
            None => Err(replay::no_replay()),
        };
        match outcome {
            Ok(replay) => Ok(into_object(json!({
                "webhook": self.payload_webhook(field, "CancelReplayPayload", replay.webhook).await?,
                "replay": self.replay_object(&replay),
                "userErrors": [],
            }))),
            Err(error) => refused(error),
        }
    }
}
