//! What an owner or an operator does with a webhook beside changing it: ping it, send an event again, replay many.
//!
//! Invariants: whoever is no admin does so only with their own; an event that is sent again keeps its `webhook-id` and its
//! number, and goes through the table of deliveries like any retry, so that it obeys the webhook's limits, is signed
//! anew, and survives a crash. A ping is no event: it is sent at once and recorded nowhere.
//!
//! - `ping`: one request without an event
//! - `retry`: one delivery once more
//! - [`replay`]: the start of a replay; [`super::replayer`] goes on with it

mod ping;
pub mod replay;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::Position;
use tokio::sync::{Notify, Semaphore};

use super::Wake;
use super::group::Group;
use super::reader::message_body;
use super::registry::{Error, Registry, key_reused, refused};
use super::row::Webhook;
use super::send::Sender;
use super::target::{Target, TargetError, Targets};
use crate::database::{self, Database, Sql};
use crate::log::{self, Hub};
use crate::store::writer::idempotency::{Key, find_row};
use crate::store::writer::{self, Code, RowOutcome, RowWrite, Writer};

pub use ping::Pinged;
pub use replay::{Replay, ReplayRequest, Start, Started};

/// Pings that may be on their way at the same time, of all webhooks.
const MAX_PINGS: usize = 64;

/// What operations work with.
pub struct Parts {
    /// To read from.
    pub database: Database,
    /// To write with.
    pub writer: Writer,
    /// The log.
    pub hub: Hub,
    /// What is sent for each webhook.
    pub targets: Targets,
    /// Sends pings.
    pub sender: Sender,
    /// The deadline of one request.
    pub timeout: Duration,
    /// Tells the dispatcher that something is due.
    pub wake: Wake,
    /// Tells the replayer that there is something to do.
    pub replays: Arc<Notify>,
}

/// The operations on webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    registry: Registry,
    parts: Arc<Parts>,
    pings: Arc<Semaphore>,
}

impl Operations {
    /// Operations on the webhooks of this registry.
    pub fn new(registry: Registry, parts: Parts) -> Self {
        Self { registry, parts: Arc::new(parts), pings: Arc::new(Semaphore::new(MAX_PINGS)) }
    }

    /// The webhooks.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What was answered to a mutation with this key.
    async fn used(&self, key: Option<&Key>) -> Result<Option<String>, Error> {
        let Some(key) = key else { return Ok(None) };
        match find_row(&self.parts.database, key).await? {
            None => Ok(None),
            Some(Ok(row)) => Ok(Some(row)),
            Some(Err(reused)) => Err(key_reused(reused)),
        }
    }

    /// Runs a statement that gives one row of one text, which is the outcome; `None` if it wrote nothing.
    async fn write(&self, sql: Sql, key: Option<Key>) -> Result<Option<String>, Error> {
        match self.parts.writer.row(RowWrite { sql, encode: |record| record.need_text(0), key }).await? {
            RowOutcome::Done(row) | RowOutcome::Replayed(row) => Ok(Some(row)),
            RowOutcome::Nothing => Ok(None),
            RowOutcome::Reused(reused) => Err(key_reused(reused)),
        }
    }

    /// Has whoever sends for a webhook look for what is due.
    async fn nudge(&self, webhook: &Webhook) -> Result<(), writer::Error> {
        let mut sql = self.sql("UPDATE tandem_webhook SET nudges = nudges + 1 WHERE id = ");
        sql.bind(webhook.id.get());
        self.parts.writer.statements(vec![sql]).await?;
        self.parts.wake.wake();
        Ok(())
    }

    fn target(&self, webhook: &Webhook) -> Result<Target, Error> {
        self.parts.targets.of(webhook).map_err(|error| match error {
            TargetError::Invalid(reason) => refused(&["id"], Code::Invalid, &reason),
            TargetError::Sealed(_) => database::Error::Other(error.to_string()).into(),
        })
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.parts.database.dialect(), text)
    }
}

/// Why an event of the past has no message any more.
#[derive(Debug)]
pub(super) enum Gone {
    /// The log no longer holds it.
    Expired,
    /// By its document and rights of now the event is not for the webhook.
    NotSelected,
}

/// The event at a position, as a message of this webhook.
async fn message_at(
    parts: &Parts,
    group: &Group,
    position: Position,
    sequence: Option<i64>,
) -> Result<Result<Bytes, Gone>, Error> {
    let before = Position::new(position.get() - 1).map_err(database::Error::from)?;
    let event = match parts.hub.after(before, 1).await {
        Ok(events) => events.into_iter().next().filter(|event| event.position == position),
        Err(log::Error::Expired) => None,
        Err(log::Error::Database(error)) => return Err(error.into()),
    };
    let Some(event) = event else { return Ok(Err(Gone::Expired)) };
    let rendered = group.render(&event).await.map_err(|error| database::Error::Other(error.to_string()))?;
    let Some(rendered) = rendered else { return Ok(Err(Gone::NotSelected)) };
    Ok(Ok(message_body(&event, sequence, &rendered)))
}

#[cfg(test)]
mod tests;
