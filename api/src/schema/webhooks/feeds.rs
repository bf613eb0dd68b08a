//! Subscriptions that follow webhooks instead of the log: their attempts, and how they stand.
//!
//! Both look at the tables, so they show what any node does. `deliveryAttempted` follows the attempts of one webhook by
//! their ordinals, which are in the order of their commits: it misses none, and goes on after a cursor of its own. If
//! attempts after a cursor were removed by age, it says so and ends. `webhookStatusChanged` compares how webhooks stand now
//! with how they stood when it last looked, so it tells the present state and not each step on the way there; who resumes
//! it is first told the state of each, since what happened meanwhile is not kept.
//!
//! Nothing is queued: the tables are looked at when the transport asks for an item.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use entity::{DeliveryId, WebhookId};
use futures_util::stream::{self, BoxStream, StreamExt};
use sea_orm::ActiveEnum;
use serde_json::{Value, json};
use uuid::Uuid;

use super::charge::charge_deliveries;
use super::object::{attempt_object, delivery_object, webhook_id};
use super::scope::Webhooks;
use crate::auth::Principal;
use crate::catalog::type_id;
use crate::log::CursorText;
use crate::schema::core::{Core, database_error};
use crate::schema::document::{ErrorCode, GraphqlError, Operation, PathSegment, Selected, write_errors};
use crate::schema::follower::expired;
use crate::schema::plan::context::{Arguments, bad_input};
use crate::schema::plan::{Context, Key, Output, located};
use crate::schema::request::{Item, Payload, Request};
use crate::schema::{follower, tree};
use crate::webhook::Operations;
use crate::webhook::health::Report;
use crate::webhook::registry::deliveries::Attempted;
use crate::webhook::row::Webhook;

/// How often the tables are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Attempts that are read at a time.
const BATCH: usize = 100;
/// The first byte of a cursor of attempts; cursors of the log begin with another one.
const VERSION: u8 = 2;

pub(crate) const ATTEMPTED: &str = "deliveryAttempted";
pub(crate) const STATUS_CHANGED: &str = "webhookStatusChanged";

/// A subscription that follows webhooks.
pub(crate) struct Feed {
    core: Arc<Core>,
    operations: Operations,
    principal: Arc<Principal>,
    request: Request,
    source: Source,
    is_over: bool,
}

enum Source {
    Attempts { webhook: WebhookId, ordinal: i64, waiting: VecDeque<Attempted> },
    Statuses { webhook: Option<WebhookId>, known: HashMap<WebhookId, Report>, waiting: VecDeque<Changed> },
}

/// How a webhook stood and how it stands; `None` where there is none.
struct Changed {
    webhook: WebhookId,
    before: Option<Report>,
    now: Option<Report>,
}

type Errors = Vec<GraphqlError>;

impl Feed {
    /// The feed that a request asks for; `None` if it asks for something else, or is none that can be run.
    pub(crate) async fn open(
        core: &Arc<Core>,
        operations: &Operations,
        request: &Request,
        principal: &Arc<Principal>,
    ) -> Option<Result<Self, Errors>> {
        let prepared = core.documents.prepare(&request.query).ok()?;
        let operation = request.operation_name.as_deref();
        let operation = Operation::new(&core.documents, &prepared, operation, &request.variables).ok()?;
        let roots = operation.root_fields();
        let field = roots.first().filter(|field| matches!(field.name, ATTEMPTED | STATUS_CHANGED))?;
        let opened = Self::start(core, operations, request, principal, &operation, field).await;
        Some(opened.map_err(|error| vec![located(&operation, error, field)]))
    }

    async fn start(
        core: &Arc<Core>,
        operations: &Operations,
        request: &Request,
        principal: &Arc<Principal>,
        operation: &Operation<'_>,
        field: &Selected<'_>,
    ) -> Result<Self, GraphqlError> {
        let arguments = Arguments(operation.arguments(field)?);
        charge(core, operation, principal, field)?;
        let webhook = arguments.text("webhookId").map(|text| {
            let id = type_id::parse_prefixed(Webhook::PREFIX, text);
            id.map(WebhookId).ok_or_else(no_webhook)
        });
        let webhook = webhook.transpose()?;
        let registry = operations.registry();
        let source = match webhook {
            Some(webhook) if field.name == ATTEMPTED => {
                let counted = registry.attempt_count(principal, webhook).await;
                let (newest, oldest) = counted.map_err(|error| database_error(&error))?.ok_or_else(no_webhook)?;
                let after = request.resume_after.as_deref().or(arguments.text("after"));
                let ordinal = match after {
                    Some(cursor) => position(webhook, cursor, newest, oldest)?,
                    None => newest,
                };
                Source::Attempts { webhook, ordinal, waiting: VecDeque::new() }
            }
            webhook => {
                let only = webhook.map(|webhook| vec![webhook]);
                let known = registry.reports(principal, only.as_deref()).await;
                let known = known.map_err(|error| database_error(&error))?;
                if webhook.is_some_and(|webhook| !known.contains_key(&webhook)) {
                    return Err(no_webhook());
                }
                let is_resumed = request.resume_after.is_some() || arguments.text("after").is_some();
                let known = if is_resumed { HashMap::new() } else { known };
                Source::Statuses { webhook, known, waiting: VecDeque::new() }
            }
        };
        let (core, operations, principal) = (Arc::clone(core), operations.clone(), Arc::clone(principal));
        Ok(Self { core, operations, principal, request: request.clone(), source, is_over: false })
    }

    /// Where it starts.
    pub(crate) fn cursor(&self) -> CursorText {
        match &self.source {
            Source::Attempts { webhook, ordinal, .. } => encode(*webhook, *ordinal),
            Source::Statuses { .. } => self.core.hub.cursor_text(self.core.hub.tail()),
        }
    }

    /// What it brings.
    pub(crate) fn items(self) -> BoxStream<'static, Item> {
        stream::unfold(self, |mut feed| async move {
            let item = feed.next().await?;
            Some((item, feed))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Item> {
        while !self.is_over {
            match self.take().await {
                Ok(Some(value)) => match self.render(value).await {
                    Ok(payload) => return Some(Item::Next(payload.into())),
                    Err(errors) => return Some(self.end(&errors)),
                },
                Ok(None) => tokio::time::sleep(POLL_INTERVAL).await,
                Err(Stop::Gone) => self.is_over = true,
                Err(Stop::Expired) => return Some(self.end(&[expired()])),
                Err(Stop::Database(error)) => {
                    tracing::warn!(%error, "a subscription waits for the database");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
        None
    }

    fn end(&mut self, errors: &[GraphqlError]) -> Item {
        self.is_over = true;
        let mut body = Vec::new();
        write_errors(errors, &mut body);
        Item::Error(body.into())
    }

    /// The next thing to tell; `None` if there is none yet.
    async fn take(&mut self) -> Result<Option<Told>, Stop> {
        let registry = self.operations.registry();
        match &mut self.source {
            Source::Attempts { webhook, ordinal, waiting } => {
                if waiting.is_empty() {
                    let counted = registry.attempt_count(&self.principal, *webhook).await?;
                    let Some((newest, oldest)) = counted else { return Err(Stop::Gone) };
                    if is_lost(*ordinal, newest, oldest) {
                        return Err(Stop::Expired);
                    }
                    if newest > *ordinal {
                        waiting.extend(registry.attempts_after(*webhook, *ordinal, BATCH).await?);
                    }
                }
                let Some(next) = waiting.pop_front() else { return Ok(None) };
                *ordinal = next.ordinal;
                Ok(Some(Told::Attempt(next.delivery, next.number)))
            }
            Source::Statuses { webhook, known, waiting } => {
                if waiting.is_empty() {
                    let only = webhook.map(|webhook| vec![webhook]);
                    let now = registry.reports(&self.principal, only.as_deref()).await?;
                    waiting.extend(differences(known, &now));
                    *known = now;
                }
                Ok(waiting.pop_front().map(|changed| Told::Status(Box::new(changed))))
            }
        }
    }

    /// The response that tells it.
    async fn render(&self, told: Told) -> Result<Payload, Errors> {
        let core = &self.core;
        let prepared = core.documents.prepare(&self.request.query)?;
        let name = self.request.operation_name.as_deref();
        let operation = Operation::new(&core.documents, &prepared, name, &self.request.variables)?;
        let roots = operation.root_fields();
        let Some(field) = roots.first() else { return Err(vec![bad_input("The subscription selects nothing.")]) };
        let mut out = Output::new(&core.catalog, &core.hub);
        out.path.push(PathSegment::Field(field.key.into()));
        let value =
            self.value(&operation, field, told).await.map_err(|error| vec![located(&operation, error, field)])?;
        let fields = [(Key::new(field.key), ())];
        out.object(&fields, |out, ()| tree::write(&operation, field, &value, out));
        let errors = (!out.errors.is_empty()).then(|| {
            let mut bytes = Vec::new();
            write_errors(&out.errors, &mut bytes);
            Bytes::from(bytes)
        });
        let (rendered, cursor) = (follower::Rendered { data: out.bytes.into(), errors }, self.cursor());
        Ok(Payload::of_subscription(follower::response_body(&rendered, &cursor), cursor))
    }

    async fn value(&self, operation: &Operation<'_>, field: &Selected<'_>, told: Told) -> Result<Value, GraphqlError> {
        let (registry, principal) = (self.operations.registry(), &self.principal);
        match told {
            Told::Attempt(id, number) => {
                let found = registry.delivery(principal, id).await.map_err(|error| database_error(&error))?;
                let attempt = found.as_ref().and_then(|d| d.attempts.iter().find(|attempt| attempt.number == number));
                Ok(json!({
                    "cursor": self.cursor().as_str(),
                    "delivery": found.as_ref().map(delivery_object),
                    "attempt": attempt.map(attempt_object),
                }))
            }
            Told::Status(changed) => {
                let webhooks =
                    Webhooks { core: &self.core, registry, operations: &self.operations, operation, principal };
                let mut object = serde_json::Map::new();
                for selected in operation.sub_fields(field, "WebhookStatusChange") {
                    if selected.name == "webhook" {
                        let mut found = webhooks.by_ids(&selected, &[changed.webhook]).await?;
                        object.insert(tree::slot(&selected), found.remove(&changed.webhook).unwrap_or_default());
                    }
                }
                let (before, now) = (changed.before.as_ref(), changed.now.as_ref());
                object.insert("webhookId".to_owned(), json!(webhook_id(changed.webhook)));
                object.insert("status".to_owned(), json!(now.map(|now| now.status.to_value())));
                object.insert("previousStatus".to_owned(), json!(before.map(|before| before.status.to_value())));
                object.insert("health".to_owned(), json!(now.map(|now| now.state.name())));
                object.insert("previousHealth".to_owned(), json!(before.map(|before| before.state.name())));
                object.insert("reason".to_owned(), json!(now.and_then(|now| now.status_reason.clone())));
                Ok(Value::Object(object))
            }
        }
    }
}

/// What one item is about.
enum Told {
    Attempt(DeliveryId, i64),
    Status(Box<Changed>),
}

/// Why there is nothing to tell.
#[derive(Debug)]
enum Stop {
    /// The webhook is gone.
    Gone,
    /// What comes next was removed by age.
    Expired,
    Database(crate::database::Error),
}

impl From<crate::database::Error> for Stop {
    fn from(error: crate::database::Error) -> Self {
        Self::Database(error)
    }
}

fn charge(
    core: &Core,
    operation: &Operation<'_>,
    principal: &Principal,
    field: &Selected<'_>,
) -> Result<(), GraphqlError> {
    let context = Context::new(&core.catalog, operation, principal);
    let fields = operation.sub_fields(field, "WebhookStatusChange");
    let webhooks = fields.iter().filter(|field| field.name == "webhook");
    webhooks.into_iter().try_for_each(|webhook| charge_deliveries(&context, webhook))
}

fn differences(known: &HashMap<WebhookId, Report>, now: &HashMap<WebhookId, Report>) -> Vec<Changed> {
    let is_same = |a: &Report, b: &Report| (a.status, a.state) == (b.status, b.state);
    let mut changed: Vec<_> = now
        .iter()
        .filter(|(id, report)| !known.get(id).is_some_and(|before| is_same(before, report)))
        .map(|(id, report)| Changed { webhook: *id, before: known.get(id).cloned(), now: Some(report.clone()) })
        .collect();
    let gone = known.iter().filter(|(id, _)| !now.contains_key(id));
    changed.extend(gone.map(|(id, report)| Changed { webhook: *id, before: Some(report.clone()), now: None }));
    changed.sort_by_key(|changed| changed.webhook);
    changed
}

/// Whether attempts after this ordinal are gone.
fn is_lost(ordinal: i64, newest: i64, oldest: Option<i64>) -> bool {
    match oldest {
        Some(oldest) => ordinal + 1 < oldest,
        None => ordinal < newest,
    }
}

fn position(webhook: WebhookId, cursor: &str, newest: i64, oldest: Option<i64>) -> Result<i64, GraphqlError> {
    let invalid =
        || GraphqlError::new(ErrorCode::CursorInvalid, "after is not a cursor of the attempts of this webhook.");
    let ordinal = decode(webhook, cursor).filter(|ordinal| *ordinal <= newest).ok_or_else(invalid)?;
    if is_lost(ordinal, newest, oldest) { Err(expired()) } else { Ok(ordinal) }
}

fn encode(webhook: WebhookId, ordinal: i64) -> CursorText {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(webhook.get().as_bytes());
    bytes.extend_from_slice(&ordinal.to_be_bytes());
    CursorText::from(&BASE64_URL_SAFE_NO_PAD.encode(bytes)).expect("it has 34 characters, as all cursors")
}

fn decode(webhook: WebhookId, cursor: &str) -> Option<i64> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (id, ordinal) = rest.split_at_checked(16)?;
    let ordinal = i64::from_be_bytes(ordinal.try_into().ok()?);
    let is_mine = *version == VERSION && Uuid::from_slice(id).ok()? == webhook.get();
    (is_mine && ordinal >= 0).then_some(ordinal)
}

fn no_webhook() -> GraphqlError {
    bad_input("There is no such webhook.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_webhook() {
        let (mine, other) = (WebhookId::new(), WebhookId::new());
        let cursor = encode(mine, 7);
        assert_eq!((decode(mine, &cursor), decode(other, &cursor)), (Some(7), None));
        for text in ["", "x", "AAAA", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(decode(mine, text), None, "{text}");
        }
    }

    #[test]
    fn attempts_that_are_gone_are_noticed() {
        for (ordinal, newest, oldest, lost) in [
            (0, 0, None, false),
            (0, 3, Some(1), false),
            (0, 3, Some(2), true),
            (1, 3, Some(2), false),
            (3, 3, None, false),
            (2, 3, None, true),
        ] {
            assert_eq!(is_lost(ordinal, newest, oldest), lost, "{ordinal} {newest} {oldest:?}");
        }
    }
}
