//! Finding webhooks, and what is selected of them.

use std::collections::HashMap;

use entity::replay::Scope;
use entity::{DeliveryId, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::{Value, json};

use super::charge::node_selection;
use super::object::{Object, connection, delivery_object, health_object, webhook_id, webhook_object};
use super::scope::Webhooks;
use crate::catalog::datum::format_instant;
use crate::catalog::type_id;
use crate::schema::core::database_error;
use crate::schema::document::{ErrorCode, GraphqlError, Selected};
use crate::schema::plan::connection::page_size;
use crate::schema::plan::context::Arguments;
use crate::schema::tree;
use crate::webhook::health::Report;
use crate::webhook::operations::Replay;
use crate::webhook::registry::{Delivery, Snapshot};
use crate::webhook::row::Webhook;

impl Webhooks<'_> {
    pub(super) async fn webhook(&self, selected: &Selected<'_>, id: &str) -> Result<Value, GraphqlError> {
        let Some(id) = type_id::parse_prefixed(Webhook::PREFIX, id) else { return Ok(Value::Null) };
        let found = self.registry.get(self.principal, WebhookId(id)).await;
        match found.map_err(|error| database_error(&error))? {
            Some(webhook) => {
                let reports = self.reports(std::slice::from_ref(selected), [webhook.id].into_iter()).await?;
                let object = self.object_with(selected, &self.reported(&webhook, &reports), &reports).await?;
                Ok(Value::Object(object))
            }
            None => Ok(Value::Null),
        }
    }

    pub(super) async fn node(&self, selected: &Selected<'_>, id: &str) -> Result<Value, GraphqlError> {
        match type_id::parse_prefixed(Delivery::PREFIX, id) {
            Some(id) => {
                let found = self.registry.delivery(self.principal, DeliveryId(id)).await;
                let found = found.map_err(|error| database_error(&error))?;
                Ok(found.map_or(Value::Null, |delivery| Value::Object(delivery_object(&delivery))))
            }
            None => self.webhook(selected, id).await,
        }
    }

    /// The webhooks with these ids that the caller may see.
    pub(crate) async fn by_ids(
        &self,
        selected: &Selected<'_>,
        ids: &[WebhookId],
    ) -> Result<HashMap<WebhookId, Value>, GraphqlError> {
        let found = self.registry.by_ids(self.principal, ids).await.map_err(|error| database_error(&error))?;
        let reports = self.reports(std::slice::from_ref(selected), found.iter().map(|webhook| webhook.id)).await?;
        let mut objects = HashMap::with_capacity(found.len());
        for webhook in &found {
            let object = self.object_with(selected, &self.reported(webhook, &reports), &reports).await?;
            objects.insert(webhook.id, Value::Object(object));
        }
        Ok(objects)
    }

    pub(super) async fn webhooks(&self, selected: &Selected<'_>, arguments: &Arguments) -> Result<Value, GraphqlError> {
        let (limit, _) = page_size(arguments)?;
        let after = match arguments.text("after") {
            Some(text) => Some(type_id::parse_prefixed(Webhook::PREFIX, text).ok_or_else(|| {
                let message = "after is not a cursor of the list of webhooks.";
                GraphqlError::new(ErrorCode::CursorInvalid, message)
            })?),
            None => None,
        };
        let found = self.registry.list(self.principal, after.map(WebhookId), limit as usize + 1).await;
        let mut found = found.map_err(|error| database_error(&error))?;
        let has_next = found.len() > limit as usize;
        found.truncate(limit as usize);
        let nodes = node_selection(self.operation, selected, "WebhookConnection", "WebhookEdge");
        let reports = self.reports(&nodes, found.iter().map(|webhook| webhook.id)).await?;
        let mut rows = Vec::with_capacity(found.len());
        for webhook in &found {
            let mut object = Object::new();
            for selected in &nodes {
                object.extend(self.object_with(selected, &self.reported(webhook, &reports), &reports).await?);
            }
            rows.push((webhook_id(webhook.id), object));
        }
        Ok(connection(rows, has_next, after.is_some()))
    }

    pub(super) fn now(&self, webhook: &Webhook) -> Snapshot {
        Snapshot::of(webhook, self.core.hub.tail())
    }

    /// The same. Reports are read after the rows, so what both of them say is taken from the report.
    fn reported(&self, webhook: &Webhook, reports: &HashMap<WebhookId, Report>) -> Snapshot {
        let mut snapshot = self.now(webhook);
        if let Some(report) = reports.get(&webhook.id) {
            (snapshot.status, snapshot.status_reason) = (report.status, report.status_reason.clone());
        }
        snapshot
    }

    /// What is selected of a webhook.
    async fn object(&self, selected: &Selected<'_>, webhook: &Snapshot) -> Result<Object, GraphqlError> {
        let reports = self.reports(std::slice::from_ref(selected), [webhook.id].into_iter()).await?;
        self.object_with(selected, webhook, &reports).await
    }

    async fn object_with(
        &self,
        selected: &Selected<'_>,
        webhook: &Snapshot,
        reports: &HashMap<WebhookId, Report>,
    ) -> Result<Object, GraphqlError> {
        let mut object = webhook_object(webhook, &self.core.hub.cursor(webhook.position));
        for field in self.operation.sub_fields(selected, "Webhook") {
            match field.name {
                "deliveries" => object.insert(tree::slot(&field), self.deliveries(&field, webhook.id).await?),
                "replays" => object.insert("replays".to_owned(), self.replays(webhook.id).await?),
                "health" => object.insert("health".to_owned(), health_object(reports.get(&webhook.id))),
                _ => None,
            };
        }
        Ok(object)
    }

    pub(super) async fn payload_object(
        &self,
        field: &Selected<'_>,
        payload: &str,
        webhook: &Snapshot,
    ) -> Result<Object, GraphqlError> {
        let mut object = Object::new();
        for selected in self.operation.sub_fields(field, payload) {
            if selected.name == "webhook" {
                object.extend(self.object(&selected, webhook).await?);
            }
        }
        Ok(object)
    }

    pub(super) async fn payload_webhook(
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

    pub(super) fn replay_object(&self, replay: &Replay) -> Value {
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
    ) -> Result<HashMap<WebhookId, Report>, GraphqlError> {
        let is_health = |webhook: &Selected<'_>| {
            self.operation.sub_fields(webhook, "Webhook").iter().any(|field| field.name == "health")
        };
        let ids: Vec<_> = if selected.iter().any(is_health) { ids.collect() } else { Vec::new() };
        let reports = self.registry.reports(self.principal, Some(&ids)).await;
        reports.map_err(|error| database_error(&error))
    }
}
