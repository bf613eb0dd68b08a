//! What the API shows of webhooks, their deliveries and their health, as JSON.

use entity::{DeliveryId, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use crate::catalog::datum::{format_instant, now_micros};
use crate::catalog::type_id;
use crate::log::Event;
use crate::webhook::failure::AttemptError;
use crate::webhook::health::Report;
use crate::webhook::registry::{Delivery, DeliveryAttempt, Snapshot};
use crate::webhook::retry::Schedule;
use crate::webhook::row::Webhook;
use crate::webhook::sending::Sending;

pub(super) type Object = Map<String, Value>;

/// What is shown of a webhook without asking for more; `cursor` is its position.
pub(super) fn webhook_object(webhook: &Snapshot, cursor: &str) -> Object {
    let headers: Vec<_> = webhook.headers.iter().map(|name| json!({"name": name, "value": "(redacted)"})).collect();
    let variables = (!webhook.variables.is_empty()).then(|| webhook.variables.clone());
    let mut object = into_object(json!({
        "__typename": "Webhook",
        "id": webhook_id(webhook.id),
        "url": webhook.url,
        "query": webhook.query,
        "variables": variables,
        "events": webhook.events,
        "description": webhook.description,
        "headers": headers,
        "maxInFlight": webhook.max_in_flight,
        "status": webhook.status.to_value(),
        "statusReason": webhook.status_reason,
        "owner": webhook.owner,
        "cursor": cursor,
        "lag": webhook.lag,
        "publicKey": webhook.public_key.to_string(),
        "previousSecretUntil": webhook.previous_until.filter(|until| *until > now_micros()).map(format_instant),
        "roles": webhook.roles,
        "verifiedAt": webhook.verified_at.map(format_instant),
        "createdAt": format_instant(webhook.created_at),
        "updatedAt": format_instant(webhook.updated_at),
    }));
    object.extend(sending_object(&webhook.sending));
    object
}

fn sending_object(sending: &Sending) -> Object {
    into_object(json!({
        "ordering": sending.ordering.to_value(),
        "rateLimit": sending.rate_limit,
        "retrySchedule": sending.schedule.as_ref().map(Schedule::waits_s),
        "timeoutMs": sending.timeout.map(|timeout| timeout.as_millis() as i64),
        "batch": sending.batching.map(|batching| json!({
            "__typename": "WebhookBatch",
            "maxEvents": batching.max_events,
            "maxWaitMs": batching.max_wait.as_millis() as i64,
        })),
    }))
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

/// The id in the API.
pub(super) fn delivery_id(id: DeliveryId) -> String {
    type_id::format(Delivery::PREFIX, id.get())
}

pub(super) fn delivery_object(delivery: &Delivery) -> Map<String, Value> {
    let attempts: Vec<_> = delivery.attempts.iter().map(attempt_object).collect();
    into_object(json!({
        "__typename": "Delivery",
        "id": delivery_id(delivery.id),
        "messageId": type_id::format(Event::PREFIX, delivery.message.get()),
        "type": delivery.event,
        "sequence": delivery.sequence.map(|number| number.to_string()),
        "status": delivery.status.to_value(),
        "nextAttemptAt": delivery.next_attempt_at.map(format_instant),
        "body": delivery.body,
        "attempts": attempts,
    }))
}

pub(super) fn attempt_object(attempt: &DeliveryAttempt) -> Value {
    json!({
        "number": attempt.number,
        "startedAt": format_instant(attempt.started_at),
        "durationMs": attempt.duration_ms,
        "statusCode": attempt.status_code,
        "address": attempt.address,
        "error": attempt.error.as_ref().map(error_object),
        "responseBody": attempt.response_body,
    })
}

pub(super) fn error_object(error: &AttemptError) -> Value {
    json!({"code": error.code.name(), "message": error.message})
}

pub(super) fn webhook_id(webhook: WebhookId) -> String {
    type_id::format(Webhook::PREFIX, webhook.get())
}

/// A page of anything that is read in one direction.
pub(super) fn connection(rows: Vec<(String, Map<String, Value>)>, has_next: bool, has_previous: bool) -> Value {
    let (start, end) = (rows.first().map(|row| row.0.clone()), rows.last().map(|row| row.0.clone()));
    let edges: Vec<_> = rows.iter().map(|(cursor, node)| json!({"cursor": cursor, "node": node})).collect();
    let nodes: Vec<_> = rows.into_iter().map(|(_, node)| node).collect();
    json!({
        "edges": edges,
        "nodes": nodes,
        "pageInfo": {
            "hasNextPage": has_next, "hasPreviousPage": has_previous, "startCursor": start, "endCursor": end
        },
    })
}

pub(super) fn into_object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}
