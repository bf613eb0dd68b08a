//! The root fields about webhooks: they read and change the registry.

use std::collections::HashMap;
use std::sync::Arc;

use entity::webhook::{Ordering, Status};
use entity::{DeliveryId, WebhookId};
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::core::{Core, database_error, writer_error};
use super::deliveries::{connection, delivery_object};
use super::document::{ErrorCode, GraphqlError, Operation, Selected};
use super::input;
use super::plan::connection::page_size;
use super::plan::context::{Arguments, bad_input};
use super::plan::{Context, Output};
use super::tree;
use super::webhook_operations::health_object;
use crate::auth::Principal;
use crate::catalog::datum::{format_instant, now_micros};
use crate::catalog::type_id;
use crate::store::writer::{Key, Violation};
use crate::webhook::Operations;
use crate::webhook::health::Report;
use crate::webhook::registry::{self, Created, Delivery, Document, NewWebhook, Registry, Snapshot, WebhookPatch};
use crate::webhook::retry::Schedule;
use crate::webhook::row::Webhook;
use crate::webhook::sending::{Sending, SendingInput};

/// What the fields work with.
pub(crate) struct Webhooks<'a> {
    pub(crate) core: &'a Core,
    pub(crate) registry: &'a Registry,
    pub(crate) operations: &'a Operations,
    pub(crate) operation: &'a Operation<'a>,
    pub(crate) principal: &'a Arc<Principal>,
}

type Object = Map<String, Value>;

/// Counts the rows that a root field about webhooks asks for, before it runs.
///
/// # Errors
/// If the request then asks for too many.
pub(crate) fn charge(context: &Context<'_>, selected: &Selected<'_>) -> Result<(), GraphqlError> {
    let operation = context.operation;
    match selected.name {
        "webhook" | "node" => charge_deliveries(context, selected),
        "webhooks" => {
            let (limit, _) = page_size(&context.arguments(selected)?)?;
            context.within(limit, || {
                let nodes = node_selection(operation, selected, "WebhookConnection", "WebhookEdge");
                nodes.iter().try_for_each(|node| charge_deliveries(context, node))
            })
        }
        name => {
            let (first, rest) = name.split_at(1);
            let payload = format!("{}{rest}Payload", first.to_ascii_uppercase());
            let fields = operation.sub_fields(selected, &payload);
            fields
                .iter()
                .filter(|field| field.name == "webhook")
                .try_for_each(|field| charge_deliveries(context, field))
        }
    }
}

pub(crate) fn charge_deliveries(context: &Context<'_>, webhook: &Selected<'_>) -> Result<(), GraphqlError> {
    let fields = context.operation.sub_fields(webhook, "Webhook");
    fields.iter().filter(|field| field.name == "deliveries").try_for_each(|field| {
        let (limit, _) = page_size(&context.arguments(field)?)?;
        context.within(limit, || Ok(()))
    })
}

/// The selections of a connection's nodes, under `nodes` and `edges`.
fn node_selection<'s>(
    operation: &'s Operation<'s>,
    selected: &Selected<'s>,
    connection: &str,
    edge: &str,
) -> Vec<Selected<'s>> {
    let mut found = Vec::new();
    for field in operation.sub_fields(selected, connection) {
        match field.name {
            "nodes" => found.push(field),
            "edges" => {
                let fields = operation.sub_fields(&field, edge);
                found.extend(fields.into_iter().filter(|field| field.name == "node"));
            }
            _ => {}
        }
    }
    found
}

impl Webhooks<'_> {
    /// Runs a root field about webhooks and writes its value. `__typename` is none of them.
    pub(crate) async fn run(&self, field: &Selected<'_>, out: &mut Output<'_>) -> Result<(), GraphqlError> {
        let arguments = Arguments(self.operation.arguments(field)?);
        let value = match field.name {
            "webhook" => self.webhook(field, arguments.text("id").unwrap_or_default()).await?,
            "node" => self.node(field, arguments.text("id").unwrap_or_default()).await?,
            "webhooks" => self.webhooks(field, &arguments).await?,
            name => {
                let input = Arguments(arguments.get("input").and_then(Value::as_object).cloned().unwrap_or_default());
                let mut payload = match (input::key(self.principal, name, &input.0), name) {
                    (Err(violation), _) => refused(registry::Error::Refused(vec![violation]))?,
                    (Ok(key), "createWebhook") => self.create(field, &input, key).await?,
                    (Ok(key), "updateWebhook") => self.update(field, &input, key).await?,
                    (Ok(key), "rotateWebhookSecret") => self.rotate(field, &input, key).await?,
                    (Ok(key), "pingWebhook") => self.ping(field, &input, key).await?,
                    (Ok(key), "retryDelivery") => self.retry(&input, key).await?,
                    (Ok(key), "replayWebhook") => self.replay(field, &input, key).await?,
                    (Ok(key), _) => self.delete(&input, key).await?,
                };
                payload.insert("clientMutationId".to_owned(), json!(input.text("clientMutationId")));
                Value::Object(payload)
            }
        };
        tree::write(self.operation, field, &value, out);
        Ok(())
    }

    async fn webhook(&self, selected: &Selected<'_>, id: &str) -> Result<Value, GraphqlError> {
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

    async fn node(&self, selected: &Selected<'_>, id: &str) -> Result<Value, GraphqlError> {
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

    async fn webhooks(&self, selected: &Selected<'_>, arguments: &Arguments) -> Result<Value, GraphqlError> {
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
    pub(super) async fn object(&self, selected: &Selected<'_>, webhook: &Snapshot) -> Result<Object, GraphqlError> {
        let reports = self.reports(std::slice::from_ref(selected), [webhook.id].into_iter()).await?;
        self.object_with(selected, webhook, &reports).await
    }

    async fn object_with(
        &self,
        selected: &Selected<'_>,
        webhook: &Snapshot,
        reports: &HashMap<WebhookId, Report>,
    ) -> Result<Object, GraphqlError> {
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
            "cursor": self.core.hub.cursor(webhook.position),
            "lag": webhook.lag,
            "publicKey": webhook.public_key.to_string(),
            "previousSecretUntil": webhook.previous_until.filter(|until| *until > now_micros()).map(format_instant),
            "roles": webhook.roles,
            "verifiedAt": webhook.verified_at.map(format_instant),
            "createdAt": format_instant(webhook.created_at),
            "updatedAt": format_instant(webhook.updated_at),
        }));
        object.extend(sending_object(&webhook.sending));
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

    async fn create(&self, field: &Selected<'_>, input: &Arguments, key: Option<Key>) -> Result<Object, GraphqlError> {
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

    async fn rotate(&self, field: &Selected<'_>, input: &Arguments, key: Option<Key>) -> Result<Object, GraphqlError> {
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

    async fn update(&self, field: &Selected<'_>, input: &Arguments, key: Option<Key>) -> Result<Object, GraphqlError> {
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

    async fn delete(&self, input: &Arguments, key: Option<Key>) -> Result<Object, GraphqlError> {
        let Some(id) = id(input) else { return Ok(not_found()) };
        match self.registry.delete(self.principal, id, key).await {
            Ok(()) => Ok(into_object(json!({"deletedWebhookId": input.text("id"), "userErrors": []}))),
            Err(error) => refused(error),
        }
    }
}

pub(super) fn id(input: &Arguments) -> Option<WebhookId> {
    type_id::parse_prefixed(Webhook::PREFIX, input.text("id")?).map(WebhookId)
}

pub(super) fn webhook_id(webhook: WebhookId) -> String {
    type_id::format(Webhook::PREFIX, webhook.get())
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

fn headers(input: &Arguments) -> Option<Vec<(String, String)>> {
    let header = |header: &Value| {
        let text = |name| header.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("name"), text("value"))
    };
    Some(input.get("headers")?.as_array()?.iter().map(header).collect())
}

pub(super) fn refused(error: registry::Error) -> Result<Object, GraphqlError> {
    match error {
        registry::Error::Refused(errors) => {
            let errors: Vec<_> = errors.iter().map(user_error).collect();
            Ok(into_object(json!({"userErrors": errors})))
        }
        registry::Error::Database(error) => Err(database_error(&error)),
        registry::Error::Writer(error) => Err(writer_error(&error)),
    }
}

fn user_error(error: &Violation) -> Value {
    json!({"code": error.code.name(), "message": error.message, "path": error.path})
}

pub(super) fn not_found() -> Object {
    let error = json!({"code": "NOT_FOUND", "message": "There is no such webhook.", "path": ["id"]});
    into_object(json!({"userErrors": [error]}))
}

pub(super) fn into_object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}
