//! Making, changing and finding webhooks.
//!
//! Invariants: whoever is no admin sees and changes only their own; anonymous callers have none; a webhook keeps the
//! rights of its creator, whoever changes it; everything in the table has passed the checks here.
//!
//! A mutation with an idempotency key is looked up before its input is checked, for what was right then may be wrong now:
//! the webhook that it deleted is gone. It is looked up again when it is refused, for somebody else may have used the key in
//! between. What it writes and the record of its key are one statement's row and one transaction (`store::writer`).
//!
//! - [`input`]: what clients give; `check`: whether its URL and its document are good
//! - [`snapshot`]: what the API shows of a webhook
//! - [`events`]: event names → a document
//! - [`deliveries`]: what became of the events

mod check;
pub mod deliveries;
pub mod events;
pub mod input;
pub mod snapshot;

use std::sync::Arc;

use entity::WebhookId;
use entity::webhook::Status;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::deliveries::{Delivery, DeliveryAttempt, DeliveryFilter};
pub use self::input::{Document, NewWebhook, WebhookPatch};
pub use self::snapshot::Snapshot;
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
use crate::store::writer::idempotency::{Key, KeyReused, find_row};
use crate::store::writer::{self, Code, RowOutcome, RowWrite, Violation, Writer};

/// Webhooks that one owner may have.
pub const MAX_WEBHOOKS_PER_OWNER: i64 = 100;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong, or names what the caller may not see: `userErrors`, at least one.
    #[error("the input was refused")]
    Refused(Vec<Violation>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The writer failed.
    #[error(transparent)]
    Writer(#[from] writer::Error),
}

pub(super) fn refused(path: &[&str], code: Code, message: &str) -> Error {
    Error::Refused(vec![Violation::named(path, code, message)])
}

pub(super) fn key_reused(reused: KeyReused) -> Error {
    Error::Refused(vec![reused.violation()])
}

pub(super) fn not_found() -> Error {
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
    pub webhook: Snapshot,
    /// What its messages are signed with. To whoever sends the mutation again with its key it is told again, as long as the
    /// webhook is there and has it.
    pub secret: Option<Secret>,
}

/// What a write made: the row's snapshot, and whether it did so now.
struct Written {
    snapshot: Snapshot,
    is_new: bool,
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
    pub async fn create(
        &self,
        principal: &Arc<Principal>,
        new: NewWebhook,
        key: Option<Key>,
    ) -> Result<Created, Error> {
        let written = self.once(key.as_ref(), async || self.insert(principal, new, key.clone()).await).await?;
        let webhook = written.snapshot;
        if written.is_new {
            self.wake.wake();
            tracing::info!(webhook.id = %webhook.id, "a webhook was made");
        }
        let current = self.get(principal, webhook.id).await?.map(|current| current.secret);
        let secret = current.filter(|secret| webhook.has_secret(secret));
        Ok(Created { webhook, secret })
    }

    async fn insert(&self, principal: &Arc<Principal>, new: NewWebhook, key: Option<Key>) -> Result<Written, Error> {
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
        let (id, secret) = (WebhookId::new(), Secret::generate());
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
        let written = self.write(sql, key).await?;
        written.ok_or_else(|| {
            let message = format!("at most {MAX_WEBHOOKS_PER_OWNER} webhooks are allowed");
            refused(&[], Code::TooMany, &message)
        })
    }

    /// Changes a webhook. What this process sends from now on is sent as it is then; another node follows within a second.
    ///
    /// # Errors
    /// [`Error::Refused`] with all that is wrong.
    pub async fn update(
        &self,
        principal: &Principal,
        id: WebhookId,
        patch: WebhookPatch,
        key: Option<Key>,
    ) -> Result<Snapshot, Error> {
        let written = self.once(key.as_ref(), async || self.change(principal, id, patch, key.clone()).await).await?;
        if written.is_new {
            self.wake.wake_and_wait().await;
        }
        Ok(written.snapshot)
    }

    async fn change(
        &self,
        principal: &Principal,
        id: WebhookId,
        patch: WebhookPatch,
        key: Option<Key>,
    ) -> Result<Written, Error> {
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
            errors.push(Violation::named(&["status"], Code::Invalid, "a webhook can be PAUSED or ENABLED"));
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
            sql.push(
                ", status_reason = NULL, first_failure_at = NULL, failures = 0, warned_at = NULL, disabled_at = NULL",
            );
            sql.push(", status = ").bind(status.to_value());
        }
        sql.push(" WHERE id = ").bind(id.get());
        self.write(sql, key).await?.ok_or_else(not_found)
    }

    /// Deletes a webhook and its deliveries.
    ///
    /// # Errors
    /// [`Error::Refused`] with NOT_FOUND.
    pub async fn delete(&self, principal: &Principal, id: WebhookId, key: Option<Key>) -> Result<(), Error> {
        let remove = async || {
            self.get(principal, id).await?.ok_or_else(not_found)?;
            let mut sql = self.sql("DELETE FROM tandem_webhook WHERE id = ");
            sql.bind(id.get());
            self.write(sql, key.clone()).await?.ok_or_else(not_found)
        };
        let written = self.once(key.as_ref(), remove).await?;
        if written.is_new {
            self.wake.wake_and_wait().await;
            tracing::info!(webhook.id = %id, "a webhook was deleted");
        }
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

    /// Runs a mutation, unless its key was used before.
    async fn once(
        &self,
        key: Option<&Key>,
        run: impl AsyncFnOnce() -> Result<Written, Error>,
    ) -> Result<Written, Error> {
        let Some(key) = key else { return run().await };
        if let Some(written) = self.used(key).await? {
            return Ok(written);
        }
        match run().await {
            // Whatever it was refused for may be what the first use of its key has done.
            Err(Error::Refused(violations)) => self.used(key).await?.ok_or(Error::Refused(violations)),
            result => result,
        }
    }

    /// What was written with this key.
    async fn used(&self, key: &Key) -> Result<Option<Written>, Error> {
        match find_row(&self.database, key).await? {
            Some(Ok(row)) => Ok(Some(Written { snapshot: Snapshot::from_json(&row)?, is_new: false })),
            Some(Err(reused)) => Err(key_reused(reused)),
            None => Ok(None),
        }
    }

    /// Runs the statement, which is about one row; `None` if it wrote nothing.
    async fn write(&self, mut sql: Sql, key: Option<Key>) -> Result<Option<Written>, Error> {
        sql.push(" RETURNING ").push(Webhook::COLUMNS).push(", (SELECT position FROM tandem_head)");
        let written = |row: &str, is_new| Ok(Some(Written { snapshot: Snapshot::from_json(row)?, is_new }));
        match self.writer.row(RowWrite { sql, encode: Snapshot::encode, key }).await? {
            RowOutcome::Done(row) => written(&row, true),
            RowOutcome::Replayed(row) => written(&row, false),
            RowOutcome::Nothing => Ok(None),
            RowOutcome::Reused(reused) => Err(key_reused(reused)),
        }
    }

    pub(super) fn sql(&self, text: &str) -> Sql {
        Sql::text(self.database.dialect(), text)
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }
}

/// Adds the condition that the caller may see a webhook.
pub(super) fn push_visible(sql: &mut Sql, principal: &Principal) {
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
