//! The start of a replay, and its early end: older events that are sent to a webhook again.
//!
//! A replay is a row that [`crate::webhook::replayer`] works on until everything is in line. There is no limit to it: what
//! is too much for now waits.

use std::time::Duration;

use entity::replay::{Scope, Status};
use entity::webhook::Status as WebhookStatus;
use entity::{Position, ReplayId, WebhookId};
use sea_orm::ActiveEnum;
use tokio::time::Instant;
use uuid::Uuid;

use super::Operations;
use crate::auth::Principal;
use crate::catalog::datum::now_micros;
use crate::database::{self, Record, Sql};
use crate::log;
use crate::store::writer::{Code, Key};
use crate::webhook::registry::deliveries::first_id;
use crate::webhook::registry::{Error, not_found, refused};
use crate::webhook::row::{Webhook, read_position};

/// Events that a dry run reads at a time.
const CHUNK: usize = 256;
/// How long a dry run counts; then it says how far it has come.
const COUNTING_TIME: Duration = Duration::from_secs(15);
/// Replays of a webhook that are shown.
const MAX_SHOWN: usize = 20;

/// Why a replay ended that was cancelled.
const CANCELLED: &str = "it was cancelled; what it had put in line is sent all the same";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ReplayRequest {
    /// Of which webhook.
    pub webhook: WebhookId,
    /// From where on.
    pub start: Start,
    /// Which events.
    pub scope: Scope,
    /// Whether it is only counted.
    pub is_dry_run: bool,
}

/// From where on events are replayed.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// After this position.
    After(Position),
    /// From this time on, in microseconds since 1970.
    Since(i64),
}

/// What came of the request.
#[derive(Debug)]
pub struct Started {
    /// The replay; `None` for a dry run.
    pub replay: Option<Replay>,
    /// How many events are sent again; `None` if that is not known before they are gone through.
    pub count: Option<i64>,
    /// Up to where they were counted, if the time did not suffice for all.
    pub counted_to: Option<Position>,
}

/// A replay, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Which one.
    pub id: ReplayId,
    /// Of which webhook.
    pub webhook: WebhookId,
    /// Which events.
    pub scope: Scope,
    /// How it stands.
    pub status: Status,
    /// Why it ended early.
    pub reason: Option<String>,
    /// How many deliveries it has put in line.
    pub queued: i64,
    /// How far it has come, if it goes through all events.
    pub position: Position,
    /// Its last event.
    pub until: Position,
    /// When it was asked for, in microseconds since 1970.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

impl Replay {
    /// The prefix of replay ids in the API.
    pub const PREFIX: &'static str = "replay";

    const COLUMNS: &'static str =
        "id, webhook_id, scope, status, reason, queued, position, until, created_at, updated_at";

    fn read(record: &Record) -> Result<Self, database::Error> {
        let corrupt =
            |column: &str| database::Error::Corrupt(format!("column {column} of tandem_replay cannot be read"));
        Ok(Self {
            id: ReplayId(record.need_uuid(0)?),
            webhook: WebhookId(record.need_uuid(1)?),
            scope: Scope::try_from_value(&record.need_text(2)?).map_err(|_| corrupt("scope"))?,
            status: Status::try_from_value(&record.need_text(3)?).map_err(|_| corrupt("status"))?,
            reason: record.text(4)?,
            queued: record.need_int(5)?,
            position: read_position(record, 6)?,
            until: read_position(record, 7)?,
            created_at: record.need_int(8)?,
            updated_at: record.need_int(9)?,
        })
    }
}

impl Operations {
    /// Starts a replay of what the webhook has behind it, or counts what there is to replay. What is still before it will be
    /// sent in any case.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such webhook for the caller, if a replay of it is running, or if the log no longer
    /// holds the first of all its events.
    pub async fn replay(
        &self,
        principal: &Principal,
        request: ReplayRequest,
        key: Option<Key>,
    ) -> Result<Started, Error> {
        if let Some(row) = self.used(key.as_ref()).await? {
            return self.started(&row).await;
        }
        let webhook = self.registry.get(principal, request.webhook).await?.ok_or_else(not_found)?;
        let (start, first_delivery) = self.start(request).await?;
        if request.is_dry_run {
            return self.count(&webhook, request.scope, start, first_delivery).await;
        }
        self.refuse_second(&webhook).await?;
        let (id, now) = (ReplayId::new(), now_micros());
        let status = if start < webhook.position { Status::Running } else { Status::Done };
        let mut sql = self.sql(
            "INSERT INTO tandem_replay (id, webhook_id, scope, status, start, position, until, delivery_id, queued, \
             created_at, updated_at) VALUES (",
        );
        sql.bind(id.get()).push(", ").bind(webhook.id.get()).push(", ").bind(request.scope.to_value());
        sql.push(", ").bind(status.to_value()).push(", ").bind(start.get()).push(", ").bind(start.get());
        sql.push(", ").bind(webhook.position.get()).push(", ").bind(first_delivery);
        sql.push(", 0, ").bind(now).push(", ").bind(now).push(") ON CONFLICT DO NOTHING RETURNING CAST(");
        sql.bind(id.get().to_string()).push(" AS text)");
        // Somebody may have started one since it was looked for.
        let row = self.write(sql, key).await?.ok_or_else(running)?;
        self.parts.replays.notify_one();
        tracing::info!(webhook.id = %webhook.id, "a replay was started");
        self.started(&row).await
    }

    async fn started(&self, row: &str) -> Result<Started, Error> {
        let corrupt = |_| database::Error::Corrupt("a replay's id cannot be read".to_owned());
        let id = ReplayId(Uuid::parse_str(row).map_err(corrupt)?);
        Ok(Started { replay: self.one(id).await?, count: None, counted_to: None })
    }

    /// Ends a replay that runs. What it has put in line is sent all the same.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such replay for the caller, or if it has ended.
    pub async fn cancel_replay(&self, principal: &Principal, id: ReplayId, key: Option<Key>) -> Result<Replay, Error> {
        let replay = self.one(id).await?.ok_or_else(no_replay)?;
        self.registry.get(principal, replay.webhook).await?.ok_or_else(no_replay)?;
        if self.used(key.as_ref()).await?.is_some() {
            return Ok(replay);
        }
        // A step that is being taken is waited for: it ends before this or changes nothing after it.
        let mut sql = self.sql("UPDATE tandem_replay SET status = 'CANCELLED', reason = ");
        sql.bind(CANCELLED).push(", updated_at = ").bind(now_micros()).push(" WHERE id = ").bind(id.get());
        sql.push(" AND status = 'RUNNING' RETURNING CAST(").bind(id.get().to_string()).push(" AS text)");
        self.write(sql, key).await?.ok_or_else(|| refused(&["id"], Code::Invalid, "this replay has ended"))?;
        tracing::info!(webhook.id = %replay.webhook, "a replay was cancelled");
        self.one(id).await?.ok_or_else(no_replay)
    }

    async fn one(&self, id: ReplayId) -> Result<Option<Replay>, database::Error> {
        let mut sql = self.select();
        sql.push("id = ").bind(id.get());
        self.parts.database.query(sql).await?.first().map(Replay::read).transpose()
    }

    /// The newest replays of these webhooks, which the caller has seen. Newest first.
    pub async fn replays(&self, webhook: WebhookId) -> Result<Vec<Replay>, database::Error> {
        let mut sql = self.select();
        sql.push("webhook_id = ").bind(webhook.get()).push(" ORDER BY id DESC LIMIT ").push(&MAX_SHOWN.to_string());
        self.parts.database.query(sql).await?.iter().map(Replay::read).collect()
    }

    /// The position before the first event, and the smallest id of a failed delivery.
    async fn start(&self, request: ReplayRequest) -> Result<(Position, Option<Uuid>), Error> {
        match (request.scope, request.start) {
            (Scope::Failed, Start::After(position)) => Ok((position, None)),
            // A delivery may be kept for longer than its event.
            (Scope::Failed, Start::Since(at)) => Ok((Position::START, Some(first_id(at)))),
            (Scope::All, Start::After(position)) => match self.parts.hub.after(position, 1).await {
                Ok(_) => Ok((position, None)),
                Err(log::Error::Expired) => {
                    let message = "what follows this cursor is no longer in the log; give a later one, or `since`";
                    Err(refused(&["after"], Code::OutOfRange, message))
                }
                Err(log::Error::Database(error)) => Err(error.into()),
            },
            (Scope::All, Start::Since(at)) => Ok((log::read::position_before(&self.parts.database, at).await?, None)),
        }
    }

    async fn refuse_second(&self, webhook: &Webhook) -> Result<(), Error> {
        let mut sql = self.select();
        sql.push("webhook_id = ").bind(webhook.id.get()).push(" AND status = 'RUNNING'");
        if self.parts.database.query(sql).await?.is_empty() { Ok(()) } else { Err(running()) }
    }

    async fn count(
        &self,
        webhook: &Webhook,
        scope: Scope,
        start: Position,
        first_delivery: Option<Uuid>,
    ) -> Result<Started, Error> {
        match scope {
            Scope::Failed => {
                let mut sql = self.sql("SELECT COUNT(*) FROM tandem_delivery WHERE webhook_id = ");
                sql.bind(webhook.id.get()).push(" AND status = 'FAILED' AND position > ").bind(start.get());
                sql.push(" AND position <= ").bind(webhook.position.get());
                if let Some(first) = first_delivery {
                    sql.push(" AND id >= ").bind(first);
                }
                let records = self.parts.database.query(sql).await?;
                let count = records.first().map(|record| record.need_int(0)).transpose()?;
                Ok(Started { replay: None, count, counted_to: None })
            }
            Scope::All => self.count_events(webhook, start).await,
        }
    }

    /// Which events are for a webhook is known only to its document and rights, so all of them are looked at.
    async fn count_events(&self, webhook: &Webhook, start: Position) -> Result<Started, Error> {
        let target = self.target(webhook)?;
        let (mut position, mut count) = (start, 0);
        let deadline = Instant::now() + COUNTING_TIME;
        while position < webhook.position {
            if Instant::now() >= deadline {
                return Ok(Started { replay: None, count: Some(count), counted_to: Some(position) });
            }
            let events = match self.parts.hub.after(position, CHUNK).await {
                Ok(events) => events,
                Err(log::Error::Expired) => {
                    let message = "its first events have just left the log; try again";
                    return Err(refused(&["after"], Code::OutOfRange, message));
                }
                Err(log::Error::Database(error)) => return Err(error.into()),
            };
            for event in events.iter().take_while(|event| event.position <= webhook.position) {
                let rendered = target.group.render(event).await;
                let rendered = rendered.map_err(|error| database::Error::Other(error.to_string()))?;
                count += i64::from(rendered.is_some());
                position = event.position;
            }
            if events.is_empty() {
                // The hub has not read yet what another node has delivered.
                self.parts.hub.changed(position).await;
            }
        }
        Ok(Started { replay: None, count: Some(count), counted_to: None })
    }

    fn select(&self) -> Sql {
        let mut sql = self.sql("SELECT ");
        sql.push(Replay::COLUMNS).push(" FROM tandem_replay WHERE ");
        sql
    }
}

/// What a caller is told who names a replay that is not there for them.
pub fn no_replay() -> Error {
    refused(&["id"], Code::NotFound, "there is no such replay")
}

fn running() -> Error {
    refused(&["id"], Code::Invalid, "a replay of this webhook is running; see its replays")
}

/// Whether a replay of a webhook in this status goes on.
pub(in crate::webhook) fn goes_on(status: WebhookStatus) -> bool {
    match status {
        WebhookStatus::Enabled => true,
        WebhookStatus::Unverified | WebhookStatus::Paused | WebhookStatus::Disabled => false,
    }
}
