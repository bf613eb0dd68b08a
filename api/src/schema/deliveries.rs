//! Deliveries of webhooks, as the API shows them.

use std::collections::HashMap;

use entity::delivery::Status;
use entity::{DeliveryId, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::core::database_error;
use super::document::{ErrorCode, GraphqlError, Selected};
use super::plan::connection::page_size;
use super::plan::context::{Arguments, bad_input};
use super::webhooks::{Webhooks, into_object};
use crate::catalog::datum::{format_instant, parse_instant};
use crate::catalog::type_id;
use crate::log::Event;
use crate::webhook::failure::AttemptError;
use crate::webhook::registry::{Delivery, DeliveryAttempt, DeliveryFilter};

impl Webhooks<'_> {
    /// A page of the deliveries of a webhook, newest first.
    pub(super) async fn deliveries(&self, field: &Selected<'_>, webhook: WebhookId) -> Result<Value, GraphqlError> {
        let arguments = Arguments(self.operation.arguments(field)?);
        let (limit, _) = page_size(&arguments)?;
        let filter = DeliveryFilter {
            status: arguments.text("status").and_then(|name| Status::try_from_value(&name.to_owned()).ok()),
            event: arguments.text("event").map(str::to_owned),
            since: instant(&arguments, "since")?,
            until: instant(&arguments, "until")?,
        };
        let before = arguments.text("after").map(cursor).transpose()?;
        let found = self.registry.deliveries(self.principal, webhook, &filter, before, limit as usize + 1).await;
        let mut found = found.map_err(|error| database_error(&error))?;
        let has_next = found.len() > limit as usize;
        found.truncate(limit as usize);
        let rows = found.iter().map(|delivery| (delivery_id(delivery.id), delivery_object(delivery))).collect();
        Ok(connection(rows, has_next, before.is_some()))
    }

    /// The deliveries with these ids that the caller may see.
    pub(crate) async fn deliveries_by_ids(
        &self,
        ids: &[DeliveryId],
    ) -> Result<HashMap<DeliveryId, Value>, GraphqlError> {
        let found = self.registry.deliveries_by_ids(self.principal, ids).await;
        let found = found.map_err(|error| database_error(&error))?;
        Ok(found.iter().map(|delivery| (delivery.id, Value::Object(delivery_object(delivery)))).collect())
    }
}

/// The id in the API.
pub(super) fn delivery_id(id: DeliveryId) -> String {
    type_id::format(Delivery::PREFIX, id.get())
}

fn cursor(text: &str) -> Result<DeliveryId, GraphqlError> {
    let refused = || GraphqlError::new(ErrorCode::CursorInvalid, "after is not a cursor of a list of deliveries.");
    type_id::parse_prefixed(Delivery::PREFIX, text).map(DeliveryId).ok_or_else(refused)
}

/// An argument of the type `DateTime`, in microseconds since 1970.
pub(super) fn instant(arguments: &Arguments, name: &str) -> Result<Option<i64>, GraphqlError> {
    let read = |text: &str| parse_instant(text).ok_or_else(|| bad_input(format!("{name} is no DateTime.")));
    arguments.text(name).map(read).transpose()
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
