//! Making, changing and finding webhooks.
//!
//! Invariants: whoever is no admin sees and changes only their own; anonymous callers have none; a webhook keeps the
//! rights of its creator, whoever changes it; everything in the table has passed the checks here.
//!
//! - [`input`]: what clients give
//! - [`events`]: event names → a document
//! - [`deliveries`]: what became of the events

pub mod deliveries;
pub mod events;
pub mod input;

use std::sync::Arc;

use entity::WebhookId;
use entity::webhook::Status;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::deliveries::{Delivery, DeliveryAttempt};
pub use self::input::{Document, NewWebhook, WebhookPatch};
use super::Wake;
use super::egress::Guard;
use super::message::CustomHeaders;
use super::render::Render;
use super::row::{Webhook, encode_principal};
use super::signature::Secret;
use crate::auth::Principal;
use crate::catalog::Catalog;
use crate::catalog::datum::now_micros;
use crate::database::{self, Database, Sql};
use crate::store::writer::{self, Writer};

/// Webhooks that one owner may have.
pub const MAX_WEBHOOKS_PER_OWNER: i64 = 100;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong, or names what the caller may not see: `userErrors`, at least one.
    #[error("the input was refused")]
    Refused(Vec<UserError>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The writer failed.
    #[error(transparent)]
    Writer(#[from] writer::Error),
}

/// Something that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    /// What kind of thing.
    pub code: Code,
    /// A sentence for the client.
    pub message: String,
    /// Where in the input.
    pub path: Vec<String>,
}

/// The kinds of [`UserError`]; in the API, values of `UserErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A value is missing.
    Required,
    /// A value is wrong.
    Invalid,
    /// Too many characters or items.
    TooLong,
    /// A number beyond its limits.
    OutOfRange,
    /// There is no such webhook, or the caller may not see it.
    NotFound,
    /// The caller may not do this.
    Forbidden,
    /// A limit is reached.
    TooMany,
}

impl Code {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::Invalid => "INVALID",
            Self::TooLong => "TOO_LONG",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::NotFound => "NOT_FOUND",
            Self::Forbidden => "FORBIDDEN",
            Self::TooMany => "TOO_MANY",
        }
    }
}

impl UserError {
    fn at(path: &[&str], code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: path.iter().map(|name| (*name).to_owned()).collect() }
    }
}

fn refused(path: &[&str], code: Code, message: &str) -> Error {
    Error::Refused(vec![UserError::at(path, code, message)])
}

fn not_found() -> Error {
    refused(&["id"], Code::NotFound, "there is no such webhook")
}

/// The webhooks of a server. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    database: Database,
    writer: Writer,
    catalog: Arc<Catalog>,
    render: Arc<dyn Render>,
    guard: Guard,
    wake: Wake,
}

/// A webhook that was just made. Only now its secret is told.
#[derive(Debug)]
pub struct Created {
    /// The webhook.
    pub webhook: Webhook,
    /// What its messages are signed with.
    pub secret: Secret,
}

/// A document that was checked.
struct Checked {
    query: String,
    variables: Option<Map<String, Value>>,
    events: Option<Vec<String>>,
}

impl Registry {
    /// A registry that tells the dispatcher of this process about changes by `wake`.
    pub fn new(
        database: Database,
        writer: Writer,
        catalog: Arc<Catalog>,
        render: Arc<dyn Render>,
        guard: Guard,
        wake: Wake,
    ) -> Self {
        Self { database, writer, catalog, render, guard, wake }
    }

    /// Makes a webhook that follows the log from now on.
    ///
    /// # Errors
    /// [`Error::Refused`] with all that is wrong.
    pub async fn create(&self, principal: &Arc<Principal>, new: NewWebhook) -> Result<Created, Error> {
        let Some(owner) = principal.sub.clone() else {
            return Err(refused(&[], Code::Forbidden, "only a caller with a token can have webhooks"));
        };
        let mut errors = Vec::new();
        let url = self.check_url(&new.url, &mut errors).await;
        let document = self.check_document(new.document, principal, &mut errors);
        let headers = input::check_headers(&new.headers, &mut errors);
        input::check_max_in_flight(new.max_in_flight, &mut errors);
        new.description.iter().for_each(|text| input::check_description(text, &mut errors));
        let (Some(url), Some(document), true) = (url, document, errors.is_empty()) else {
            return Err(Error::Refused(errors));
        };
        let id = WebhookId::new();
        let secret = Secret::generate();
        let mut sql = self.sql(
            "INSERT INTO tandem_webhook (id, url, query, variables, events, description, headers, ordering, \
             max_in_flight, status, owner, principal, secret, position, sequence, created_at, updated_at, lease_until, \
             lease_fence, failures) SELECT ",
        );
        let now = now_micros();
        sql.bind(id.get()).push(", ").bind(url).push(", ").bind(document.query);
        sql.push(", ").bind(document.variables.map(variables_text)).push(", ").bind(document.events.map(events_text));
        sql.push(", ").bind(new.description).push(", ").bind(headers.to_json()).push(", 'NONE', ");
        sql.bind(new.max_in_flight as i32).push(", 'ENABLED', ").bind(owner.clone());
        sql.push(", ").bind(encode_principal(principal)).push(", ").bind(secret.expose());
        sql.push(", h.position, 0, ").bind(now).push(", ").bind(now).push(", 0, 0, 0 FROM tandem_head AS h WHERE ");
        sql.push("(SELECT COUNT(*) FROM tandem_webhook WHERE owner = ").bind(owner);
        sql.push(") < ").bind(MAX_WEBHOOKS_PER_OWNER);
        if self.write(sql).await? == 0 {
            let message = format!("at most {MAX_WEBHOOKS_PER_OWNER} webhooks are allowed");
            return Err(refused(&[], Code::TooMany, &message));
        }
        self.wake.wake();
        tracing::info!(webhook.id = %id, "a webhook was made");
        // It can be gone already only if somebody deleted it at once.
        let webhook = self.get(principal, id).await?.ok_or_else(not_found)?;
        Ok(Created { webhook, secret })
    }

    /// Changes a webhook. What this process sends from now on is sent as it is then; another node follows within a second.
    ///
    /// # Errors
    /// [`Error::Refused`] with all that is wrong.
    pub async fn update(&self, principal: &Principal, id: WebhookId, patch: WebhookPatch) -> Result<Webhook, Error> {
        let current = self.get(principal, id).await?.ok_or_else(not_found)?;
        let mut errors = Vec::new();
        let url = match &patch.url {
            Some(url) => self.check_url(url, &mut errors).await,
            None => None,
        };
        let document = self.check_new_document(&current, patch.document, &mut errors);
        let headers = patch.headers.map(|headers| input::check_headers(&headers, &mut errors));
        patch.max_in_flight.iter().for_each(|count| input::check_max_in_flight(*count, &mut errors));
        patch.description.iter().flatten().for_each(|text| input::check_description(text, &mut errors));
        if patch.status == Some(Status::Disabled) {
            errors.push(UserError::at(&["status"], Code::Invalid, "a webhook can be PAUSED or ENABLED"));
        }
        if !errors.is_empty() {
            return Err(Error::Refused(errors));
        }
        // A change within one microsecond of the last one must be seen as one, too.
        let mut sql = self.sql("UPDATE tandem_webhook SET updated_at = ");
        sql.bind(now_micros().max(current.updated_at + 1));
        if let Some(url) = url {
            sql.push(", url = ").bind(url);
        }
        if let Some(document) = document {
            sql.push(", query = ").bind(document.query);
            sql.push(", variables = ").bind(document.variables.map(variables_text));
            sql.push(", events = ").bind(document.events.map(events_text));
        }
        if let Some(description) = patch.description {
            sql.push(", description = ").bind(description);
        }
        if let Some(headers) = headers {
            sql.push(", headers = ").bind(CustomHeaders::to_json(&headers));
        }
        if let Some(max_in_flight) = patch.max_in_flight {
            sql.push(", max_in_flight = ").bind(max_in_flight as i32);
        }
        if let Some(status) = patch.status {
            // A new beginning: what failed before does not count any more.
            sql.push(", status_reason = NULL, first_failure_at = NULL, failures = 0, status = ")
                .bind(status.to_value());
        }
        sql.push(" WHERE id = ").bind(id.get());
        if self.write(sql).await? == 0 {
            return Err(not_found());
        }
        self.wake.wake_and_wait().await;
        self.get(principal, id).await?.ok_or_else(not_found)
    }

    /// Deletes a webhook and its deliveries.
    ///
    /// # Errors
    /// [`Error::Refused`] with NOT_FOUND.
    pub async fn delete(&self, principal: &Principal, id: WebhookId) -> Result<(), Error> {
        self.get(principal, id).await?.ok_or_else(not_found)?;
        let mut sql = self.sql("DELETE FROM tandem_webhook WHERE id = ");
        sql.bind(id.get());
        if self.write(sql).await? == 0 {
            return Err(not_found());
        }
        self.wake.wake_and_wait().await;
        tracing::info!(webhook.id = %id, "a webhook was deleted");
        Ok(())
    }

    /// One webhook; `None` if there is none that the caller may see.
    pub async fn get(&self, principal: &Principal, id: WebhookId) -> Result<Option<Webhook>, database::Error> {
        let mut sql = self.sql("SELECT ");
        sql.push(Webhook::COLUMNS).push(" FROM tandem_webhook WHERE id = ").bind(id.get()).push(" AND ");
        push_visible(&mut sql, principal);
        self.database.query(sql).await?.first().map(Webhook::read).transpose()
    }

    /// The webhooks with these ids that the caller may see, in any order. Without ids nothing is asked.
    pub async fn by_ids(&self, principal: &Principal, ids: &[WebhookId]) -> Result<Vec<Webhook>, database::Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = self.sql("SELECT ");
        sql.push(Webhook::COLUMNS).push(" FROM tandem_webhook WHERE ");
        push_visible(&mut sql, principal);
        push_ids(&mut sql, "id", ids.iter().map(|id| id.get()));
        self.database.query(sql).await?.iter().map(Webhook::read).collect()
    }

    /// The webhooks that the caller may see, oldest first, at most `limit` of those after `after`.
    pub async fn list(
        &self,
        principal: &Principal,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<Vec<Webhook>, database::Error> {
        let mut sql = self.sql("SELECT ");
        sql.push(Webhook::COLUMNS).push(" FROM tandem_webhook WHERE ");
        push_visible(&mut sql, principal);
        if let Some(after) = after {
            sql.push(" AND id > ").bind(after.get());
        }
        sql.push(" ORDER BY id LIMIT ").bind(limit as i64);
        self.database.query(sql).await?.iter().map(Webhook::read).collect()
    }

    async fn check_url(&self, url: &str, errors: &mut Vec<UserError>) -> Option<String> {
        match self.guard.check_url(url).await {
            Ok(url) => Some(url.into()),
            Err(error) => {
                errors.push(UserError::at(&["url"], Code::Invalid, error.to_string()));
                None
            }
        }
    }

    /// The document after an update; `None` if it stays, or if there are errors.
    fn check_new_document(
        &self,
        current: &Webhook,
        mut document: Document,
        errors: &mut Vec<UserError>,
    ) -> Option<Checked> {
        if document.is_empty() {
            return None;
        }
        if document.query.is_none() && document.events.is_none() {
            if current.events.is_some() {
                let message = "a webhook that was made of events has no variables";
                errors.push(UserError::at(&["variables"], Code::Invalid, message));
                return None;
            }
            document.query = Some(current.query.clone());
        }
        self.check_document(document, &current.principal, errors)
    }

    fn check_document(
        &self,
        document: Document,
        owner: &Arc<Principal>,
        errors: &mut Vec<UserError>,
    ) -> Option<Checked> {
        let count = errors.len();
        let (checked, path) = match (document.query, document.events) {
            (Some(query), None) => {
                input::check_query(&query, errors);
                document.variables.iter().for_each(|variables| input::check_variables(variables, errors));
                (Checked { query, variables: document.variables, events: None }, "query")
            }
            (None, Some(names)) => {
                if document.variables.is_some() {
                    errors.push(UserError::at(&["variables"], Code::Invalid, "variables need a query"));
                }
                (self.check_events(names, owner, errors)?, "events")
            }
            (Some(_), Some(_)) => {
                errors.push(UserError::at(&["query"], Code::Invalid, "give query or events, not both"));
                return None;
            }
            (None, None) => {
                errors.push(UserError::at(&["query"], Code::Required, "give query or events"));
                return None;
            }
        };
        if errors.len() > count {
            return None;
        }
        let variables = checked.variables.clone().unwrap_or_default();
        if let Err(refusals) = self.render.prepare(&checked.query, &variables, Arc::clone(owner)) {
            errors.extend(refusals.into_iter().map(|refusal| {
                let code = if refusal.is_forbidden { Code::Forbidden } else { Code::Invalid };
                UserError::at(&[path], code, refusal.message)
            }));
            return None;
        }
        Some(checked)
    }

    fn check_events(&self, names: Vec<String>, owner: &Principal, errors: &mut Vec<UserError>) -> Option<Checked> {
        if names.is_empty() {
            errors.push(UserError::at(&["events"], Code::Required, "name at least one event"));
            return None;
        }
        if names.len() > events::MAX_EVENTS {
            let message = format!("at most {} events are allowed", events::MAX_EVENTS);
            errors.push(UserError::at(&["events"], Code::TooLong, message));
            return None;
        }
        match events::resources(&self.catalog, &names) {
            Ok(selected) => {
                let query = events::document(&self.catalog, &names, &selected, owner);
                Some(Checked { query, variables: None, events: Some(names) })
            }
            Err(wrong) => {
                let error =
                    |(i, message): (usize, String)| UserError::at(&["events", &i.to_string()], Code::Invalid, message);
                errors.extend(wrong.into_iter().map(error));
                None
            }
        }
    }

    async fn write(&self, sql: Sql) -> Result<u64, writer::Error> {
        Ok(self.writer.statements(vec![sql]).await?.first().copied().unwrap_or(0))
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.database.dialect(), text)
    }
}

fn push_visible(sql: &mut Sql, principal: &Principal) {
    match &principal.sub {
        _ if principal.is_admin => sql.push("TRUE"),
        Some(sub) => sql.push("owner = ").bind(sub.clone()),
        None => sql.push("FALSE"),
    };
}

fn push_ids(sql: &mut Sql, column: &str, ids: impl Iterator<Item = Uuid>) {
    sql.push(" AND ").push(column).push(" IN (");
    sql.list(", ", ids, |sql, id| {
        sql.bind(id);
    });
    sql.push(")");
}

fn variables_text(variables: Map<String, Value>) -> String {
    Value::Object(variables).to_string()
}

fn events_text(events: Vec<String>) -> String {
    Value::from(events).to_string()
}

#[cfg(test)]
mod tests;
