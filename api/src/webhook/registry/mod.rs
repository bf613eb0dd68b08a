//! Making, changing and finding webhooks.
//!
//! Invariants: whoever is no admin sees and changes only their own; anonymous callers have none; a webhook keeps the
//! rights of its creator, whoever changes it, until an admin gives it other roles; everything in the table has passed the
//! checks here.
//!
//! A mutation with an idempotency key is looked up before its input is checked, for what was right then may be wrong now:
//! the webhook that it deleted is gone. It is looked up again when it is refused, for somebody else may have used the key in
//! between. What it writes and the record of its key are one statement's row and one transaction (`store::writer`).
//!
//! - [`input`]: what clients give; `check`: whether its URL and its document are good
//! - [`snapshot`]: what the API shows of a webhook
//! - [`events`]: event names → a document
//! - [`deliveries`]: what became of the events
//! - `rotation`: new secrets, and the public keys of all; [`confirmation`]: whether receivers want the events

mod check;
pub mod confirmation;
pub mod deliveries;
pub mod events;
pub mod input;
mod rotation;
pub mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use entity::WebhookId;
use entity::webhook::Status;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use uuid::Uuid;

use self::confirmation::Confirmation;
pub use self::deliveries::{Delivery, DeliveryAttempt, DeliveryFilter};
pub use self::input::{Document, NewWebhook, WebhookPatch};
pub use self::rotation::KeySetError;
pub use self::snapshot::Snapshot;
use super::Wake;
use super::egress::Guard;
use super::keys::{SealedHeaders, SealedKeys, Signer};
use super::render::Render;
use super::row::{Webhook, encode_principal};
use super::sending::Sending;
use super::signature::Secret;
use super::vault::Vault;
use crate::auth::{Principal, RoleNames};
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
    vault: Vault,
    settings: Arc<Settings>,
    /// Told whenever a receiver is to be asked.
    asked: Arc<Notify>,
}

/// What a [`Registry`] works with.
pub struct Parts {
    /// To read from.
    pub database: Database,
    /// To write with.
    pub writer: Writer,
    /// Names the resources.
    pub catalog: Arc<Catalog>,
    /// Checks the documents.
    pub render: Arc<dyn Render>,
    /// Checks the URLs.
    pub guard: Guard,
    /// Tells the dispatcher of this process about changes.
    pub wake: Wake,
    /// Seals the secrets.
    pub vault: Vault,
    /// What may be set.
    pub settings: Settings,
}

/// What may be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a secret still signs after it was rotated.
    pub secret_overlap: Duration,
    /// What roles are called.
    pub roles: RoleNames,
}

impl Default for Settings {
    fn default() -> Self {
        let roles = RoleNames { claim: "roles".to_owned(), admin: "admin".to_owned() };
        Self { secret_overlap: Duration::from_secs(24 * 60 * 60), roles }
    }
}

/// A webhook that was just made, or whose secret was. Only now its secret is told.
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
    /// A registry of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { database, writer, catalog, render, guard, wake, vault, settings } = parts;
        let (settings, asked) = (Arc::new(settings), Arc::default());
        Self { database, writer, catalog, render, guard, wake, vault, settings, asked }
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
            self.asked.notify_one();
            tracing::info!(webhook.id = %webhook.id, "a webhook was made");
        }
        self.with_secret(principal, webhook).await
    }

    /// Adds the secret, if the webhook still has the one that it had at the time of the snapshot.
    async fn with_secret(&self, principal: &Principal, webhook: Snapshot) -> Result<Created, Error> {
        let current = self.get(principal, webhook.id).await?;
        let keys = current.map(|current| current.keys).filter(|keys| keys.public_key() == webhook.public_key);
        let opened = keys.and_then(|keys| keys.open(&self.vault, webhook.id).ok());
        Ok(Created { webhook, secret: opened.map(|keys| keys.current().secret.clone()) })
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
        let sending = Sending::default().with(&new.sending, &mut errors);
        new.description.iter().for_each(|text| input::check_description(text, &mut errors));
        let (Some(url), Some(document), true) = (url, document, errors.is_empty()) else {
            return Err(Error::Refused(errors));
        };
        let id = WebhookId::new();
        let keys = SealedKeys::new(&Signer::generate(), &self.vault, id);
        let headers = SealedHeaders::new(&headers, &self.vault, id);
        let confirmation = new.verify.then(Confirmation::new);
        let status = if new.verify { Status::Unverified } else { Status::Enabled };
        let mut sql = self.sql(
            "INSERT INTO tandem_webhook (id, url, query, variables, events, description, headers, max_in_flight, \
             status, owner, principal, keys, verify_key, verify_at, position, sequence, created_at, updated_at, \
             lease_until, lease_fence, failures, ",
        );
        Sending::push_names(&mut sql);
        sql.push(") SELECT ");
        let now = now_micros();
        sql.bind(id.get()).push(", ").bind(url).push(", ").bind(document.query);
        sql.push(", ").bind(document.variables.map(variables_text)).push(", ").bind(document.events.map(events_text));
        sql.push(", ").bind(new.description).push(", ").bind(headers.to_json());
        sql.push(", ").bind(new.max_in_flight as i32).push(", ").bind(status.to_value());
        sql.push(", ").bind(owner.clone()).push(", ").bind(encode_principal(principal)).push(", ").bind(keys.to_json());
        sql.push(", ").bind(confirmation.map(|new| new.key)).push(", ").bind(new.verify.then_some(now));
        sql.push(", h.position, 0, ").bind(now).push(", ").bind(now).push(", 0, 0, 0, ");
        sending.push_values(&mut sql);
        sql.push(" FROM tandem_head AS h WHERE ");
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
            self.asked.notify_one();
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
        let owner = self.check_roles(principal, &current, patch.roles, &mut errors);
        let document = self.check_new_document(&current, owner.as_ref(), patch.document, &mut errors);
        let headers = patch.headers.map(|headers| input::check_headers(&headers, &mut errors));
        let sending = current.sending.with(&patch.sending, &mut errors);
        patch.max_in_flight.iter().for_each(|count| input::check_max_in_flight(*count, &mut errors));
        patch.description.iter().flatten().for_each(|text| input::check_description(text, &mut errors));
        if matches!(patch.status, Some(Status::Disabled | Status::Unverified)) {
            errors.push(Violation::named(&["status"], Code::Invalid, "a webhook can be PAUSED or ENABLED"));
        }
        if !errors.is_empty() {
            return Err(Error::Refused(errors));
        }
        // A change within one microsecond of the last one must be seen as one, too.
        let now = now_micros().max(current.updated_at + 1);
        let mut sql = self.sql("UPDATE tandem_webhook SET updated_at = ");
        sql.bind(now);
        let is_moved = url.as_ref().is_some_and(|url| *url != current.url);
        confirmation::push_change(
            &mut sql,
            &current,
            confirmation::Change { now, is_moved, verify: patch.verify, status: patch.status },
        );
        if let Some(url) = url {
            sql.push(", url = ").bind(url);
        }
        if let Some(owner) = owner {
            sql.push(", principal = ").bind(encode_principal(&owner));
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
            sql.push(", headers = ").bind(SealedHeaders::new(&headers, &self.vault, id).to_json());
        }
        if sending != current.sending {
            sql.push(", ");
            sending.push_assignments(&mut sql);
        }
        if let Some(max_in_flight) = patch.max_in_flight {
            sql.push(", max_in_flight = ").bind(max_in_flight as i32);
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
