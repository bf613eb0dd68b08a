//! What became of the events of a webhook, for its owner to see.

use std::collections::HashMap;

use entity::delivery::Status;
use entity::{DeliveryId, EventId, Position, WebhookId};
use sea_orm::ActiveEnum;

use super::{Registry, push_ids, push_visible};
use crate::auth::Principal;
use crate::database::{Error, Record, Sql};
use crate::webhook::failure::AttemptError;
use crate::webhook::row::read_position;

/// One event for one webhook that has been sent at least once.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which one.
    pub id: DeliveryId,
    /// For whom.
    pub webhook: WebhookId,
    /// Of the event.
    pub position: Position,
    /// The event: the `webhook-id` of every attempt.
    pub message: EventId,
    /// `order_line.updated`
    pub event: String,
    /// Number of the event for the webhook.
    pub sequence: Option<i64>,
    /// How it stands.
    pub status: Status,
    /// When it is tried next, in microseconds since 1970.
    pub next_attempt_at: Option<i64>,
    /// What is sent, as long as it may be sent again.
    pub body: Option<String>,
    /// The requests made for it, the first one first.
    pub attempts: Vec<DeliveryAttempt>,
}

/// One request made for a [`Delivery`].
#[derive(Debug, Clone)]
pub struct DeliveryAttempt {
    /// 1 for the first.
    pub number: i64,
    /// When it began, in microseconds since 1970.
    pub started_at: i64,
    /// How long it took.
    pub duration_ms: i64,
    /// The status of the answer.
    pub status_code: Option<i64>,
    /// The address and port that it went to.
    pub address: Option<String>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// The beginning of the answer.
    pub response_body: Option<String>,
}

impl Delivery {
    /// The prefix of delivery ids in the API.
    pub const PREFIX: &'static str = "delivery";

    const COLUMNS: &'static str =
        "d.id, d.webhook_id, d.position, d.message_id, d.type, d.sequence, d.status, d.next_attempt_at, d.body";

    fn read(record: &Record) -> Result<Self, Error> {
        let unknown_status = |_| Error::Corrupt("column status of tandem_delivery cannot be read".to_owned());
        Ok(Self {
            id: DeliveryId(record.need_uuid(0)?),
            webhook: WebhookId(record.need_uuid(1)?),
            position: read_position(record, 2)?,
            message: EventId(record.need_uuid(3)?),
            event: record.need_text(4)?,
            sequence: record.int(5)?,
            status: Status::try_from_value(&record.need_text(6)?).map_err(unknown_status)?,
            next_attempt_at: record.int(7)?,
            body: record.text(8)?,
            attempts: Vec::new(),
        })
    }
}

impl Registry {
    /// The deliveries of a webhook that the caller may see, newest event first, at most `limit` of those before the event
    /// at `before`. None of a webhook that the caller may not see.
    pub async fn deliveries(
        &self,
        principal: &Principal,
        webhook: WebhookId,
        status: Option<Status>,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error> {
        let mut sql = self.select_deliveries(principal);
        sql.push(" AND d.webhook_id = ").bind(webhook.get());
        if let Some(status) = status {
            sql.push(" AND d.status = ").bind(status.to_value());
        }
        if let Some(before) = before {
            sql.push(" AND d.position < ").bind(before.get());
        }
        sql.push(" ORDER BY d.position DESC LIMIT ").bind(limit as i64);
        self.with_attempts(sql).await
    }

    /// One delivery; `None` if there is none that the caller may see.
    pub async fn delivery(&self, principal: &Principal, id: DeliveryId) -> Result<Option<Delivery>, Error> {
        let mut sql = self.select_deliveries(principal);
        sql.push(" AND d.id = ").bind(id.get());
        Ok(self.with_attempts(sql).await?.pop())
    }

    /// The deliveries with these ids that the caller may see, in any order. Without ids nothing is asked.
    pub async fn deliveries_by_ids(&self, principal: &Principal, ids: &[DeliveryId]) -> Result<Vec<Delivery>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = self.select_deliveries(principal);
        push_ids(&mut sql, "d.id", ids.iter().map(|id| id.get()));
        self.with_attempts(sql).await
    }

    fn select_deliveries(&self, principal: &Principal) -> Sql {
        let mut sql = self.sql("SELECT ");
        sql.push(Delivery::COLUMNS);
        sql.push(" FROM tandem_delivery AS d JOIN tandem_webhook AS w ON w.id = d.webhook_id WHERE ");
        push_visible(&mut sql, principal);
        sql
    }

    async fn with_attempts(&self, sql: Sql) -> Result<Vec<Delivery>, Error> {
        let records = self.database.query(sql).await?;
        let mut deliveries = records.iter().map(Delivery::read).collect::<Result<Vec<_>, _>>()?;
        if deliveries.is_empty() {
            return Ok(deliveries);
        }
        let mut sql = self.sql(
            "SELECT delivery_id, CAST(number AS bigint), started_at, CAST(duration_ms AS bigint), \
             CAST(status_code AS bigint), address, error_code, error_message, response_body FROM tandem_attempt \
             WHERE delivery_id IN (",
        );
        sql.list(", ", &deliveries, |sql, delivery| {
            sql.bind(delivery.id.get());
        });
        sql.push(") ORDER BY delivery_id, number");
        let mut attempts: HashMap<_, Vec<_>> = HashMap::new();
        for record in self.database.query(sql).await? {
            attempts.entry(record.need_uuid(0)?).or_default().push(read_attempt(&record)?);
        }
        for delivery in &mut deliveries {
            delivery.attempts = attempts.remove(&delivery.id.get()).unwrap_or_default();
        }
        Ok(deliveries)
    }
}

fn read_attempt(record: &Record) -> Result<DeliveryAttempt, Error> {
    let error = match record.text(6)? {
        Some(code) => {
            let unknown = |()| Error::Corrupt("column error_code of tandem_attempt cannot be read".to_owned());
            let message = record.text(7)?.unwrap_or_default();
            Some(AttemptError { code: code.parse().map_err(unknown)?, message })
        }
        None => None,
    };
    Ok(DeliveryAttempt {
        number: record.need_int(1)?,
        started_at: record.need_int(2)?,
        duration_ms: record.need_int(3)?,
        status_code: record.int(4)?,
        address: record.text(5)?,
        error,
        response_body: record.text(8)?,
    })
}
