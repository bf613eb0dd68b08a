//! Pages of deliveries.

use std::collections::HashMap;

use entity::delivery::Status;
use entity::{DeliveryId, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::Value;

use super::object::{connection, delivery_id, delivery_object};
use super::scope::{Webhooks, instant};
use crate::catalog::type_id;
use crate::schema::core::database_error;
use crate::schema::document::{ErrorCode, GraphqlError, Selected};
use crate::schema::plan::connection::page_size;
use crate::schema::plan::context::Arguments;
use crate::webhook::registry::{Delivery, DeliveryFilter};

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

fn cursor(text: &str) -> Result<DeliveryId, GraphqlError> {
    let refused = || GraphqlError::new(ErrorCode::CursorInvalid, "after is not a cursor of a list of deliveries.");
    type_id::parse_prefixed(Delivery::PREFIX, text).map(DeliveryId).ok_or_else(refused)
}
