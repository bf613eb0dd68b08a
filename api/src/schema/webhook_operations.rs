//! The root fields that operate webhooks: ping, retry, replay; and what the API shows of their health.

use entity::WebhookId;
use entity::replay::Scope;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::core::{database_error, position_error};
use super::deliveries::{attempt_object, delivery_object, error_object, instant};
use super::document::{GraphqlError, Selected};
use super::plan::context::Arguments;
use super::webhooks::{Webhooks, id, into_object, not_found, refused};
use crate::catalog::datum::format_instant;
use crate::catalog::type_id;
use crate::store::writer::{Code, Key, Violation};
use crate::webhook::health::Report;
use crate::webhook::operations::{Replay, ReplayRequest, Start};
use crate::webhook::registry::{self, Delivery};

type Object = Map<String, Value>;

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

    async fn payload_webhook(
        &self,
        field: &Selected<'_>,
        payload: &str,
        id: WebhookId,
    ) -> Result<Option<Object>, GraphqlError> {
        let found = self.registry.get(self.principal, id).await.map_err(|error| database_error(&error))?;
        match found {
            Some(webhook) => Ok(Some(self.payload_object(field, payload, &self.now(&webhook)).await?)),
            None => Ok(None),
        }
    }

    pub(super) async fn replays(&self, webhook: WebhookId) -> Result<Value, GraphqlError> {
        let found = self.operations.replays(webhook).await.map_err(|error| database_error(&error))?;
        Ok(found.iter().map(|replay| self.replay_object(replay)).collect())
    }

    fn replay_object(&self, replay: &Replay) -> Value {
        let position = match replay.scope {
            Scope::All => Some(self.core.hub.cursor(replay.position)),
            Scope::Failed => None,
        };
        json!({
            "id": type_id::format(Replay::PREFIX, replay.id.get()),
            "only": replay.scope.to_value(),
            "status": replay.status.to_value(),
            "statusReason": replay.reason,
            "queued": replay.queued,
            "cursor": position,
            "until": self.core.hub.cursor(replay.until),
            "createdAt": format_instant(replay.created_at),
            "updatedAt": format_instant(replay.updated_at),
        })
    }

    /// How webhooks fare, if that is selected of them.
    pub(super) async fn reports(
        &self,
        selected: &[Selected<'_>],
        ids: impl Iterator<Item = WebhookId>,
    ) -> Result<std::collections::HashMap<WebhookId, Report>, GraphqlError> {
        let is_health = |webhook: &Selected<'_>| {
            self.operation.sub_fields(webhook, "Webhook").iter().any(|field| field.name == "health")
        };
        let ids: Vec<_> = if selected.iter().any(is_health) { ids.collect() } else { Vec::new() };
        let reports = self.registry.reports(self.principal, Some(&ids)).await;
        reports.map_err(|error| database_error(&error))
    }
}

/// What is shown of a webhook's health; null of one that has gone since it was read.
pub(super) fn health_object(report: Option<&Report>) -> Value {
    let Some(report) = report else { return Value::Null };
    json!({
        "state": report.state.name(),
        "failingSince": report.failing_since.map(format_instant),
        "consecutiveFailures": report.consecutive_failures,
        "lastSuccessAt": report.last_success_at.map(format_instant),
        "lastFailureAt": report.last_failure_at.map(format_instant),
        "lastError": report.last_error.as_ref().map(error_object),
        "disablesAt": report.disables_at.map(format_instant),
        "disabledAt": report.disabled_at.map(format_instant),
    })
}
