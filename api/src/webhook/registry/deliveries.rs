//! What became of the events of a webhook, for its owner to see.

use std::collections::HashMap;

use entity::delivery::Status;
use entity::{DeliveryId, EventId, Position, WebhookId};
use sea_orm::ActiveEnum;
use uuid::Uuid;

use super::{Registry, push_ids, push_visible};
use crate::auth::Principal;
use crate::database::{Dialect, Error, Record, Sql};
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

/// Which deliveries of a webhook are wanted; what is `None` restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// How they stand.
    pub status: Option<Status>,
    /// The name of their event.
    pub event: Option<String>,
    /// They began at this time or after it, in microseconds since 1970, to the millisecond.
    pub since: Option<i64>,
    /// They began before this time.
    pub until: Option<i64>,
}

/// One attempt in the order of a webhook's attempts.
#[derive(Debug, Clone, Copy)]
pub struct Attempted {
    /// Its number among the attempts of the webhook; later commits have higher ones.
    pub ordinal: i64,
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Its number among those of the delivery.
    pub number: i64,
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

    const COLUMNS: &'static str = "d.id, d.webhook_id, d.position, d.message_id, d.type, d.sequence, d.status, \
        d.next_attempt_at, d.body, CAST(d.attempts AS bigint), CAST(1 AS bigint), d.first_started_at, \
        CAST(d.first_duration_ms AS bigint), CAST(d.first_status_code AS bigint), d.first_address, d.first_error_code, \
        d.first_error_message, d.first_response_body";

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
            attempts: match record.int(11)? {
                Some(_) => vec![read_attempt(record, 10)?],
                None => Vec::new(),
            },
        })
    }
}

impl Registry {
    /// The deliveries of a webhook that the caller may see, newest first, at most `limit` of those before `before`. None of a
    /// webhook that the caller may not see.
    pub async fn deliveries(
        &self,
        principal: &Principal,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error> {
        self.with_attempts(self.select_page(principal, webhook, filter, before, limit)).await
    }

    fn select_page(
        &self,
        principal: &Principal,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Sql {
        let first = filter.since.map_or(Uuid::nil(), first_id);
        let ends = [filter.until.map(first_id), before.map(DeliveryId::get)];
        let end = ends.into_iter().flatten().min().unwrap_or(Uuid::max());
        // As text: a database takes an index of some rows only for a condition that it knows when it plans.
        let status = filter.status.map(|status| match status {
            Status::Pending => "'PENDING'",
            Status::Succeeded => "'SUCCEEDED'",
            Status::Failed => "'FAILED'",
        });
        // No join: SQLite would begin with the webhook, and sort what it leads to.
        let mut sql = self.sql("SELECT ");
        sql.push(Delivery::COLUMNS)
            .push(" FROM tandem_delivery AS d")
            .push(" WHERE EXISTS (SELECT 1 FROM tandem_webhook WHERE id = ");
        sql.bind(webhook.get()).push(" AND ");
        push_visible(&mut sql, principal);
        sql.push(" LIMIT 1)");
        status.iter().for_each(|status| {
            sql.push(" AND d.status = ").push(status);
        });
        filter.event.iter().for_each(|event| {
            sql.push(" AND d.type = ").bind(event.clone());
        });
        if self.database.dialect() == Dialect::Sqlite {
            sql.push(" AND d.webhook_id = ").bind(webhook.get());
            sql.push(" AND d.id >= ").bind(first).push(" AND d.id < ").bind(end);
            sql.push(" ORDER BY d.id DESC LIMIT ").push(&limit.to_string());
            return sql;
        }
        // The columns of an index, compared together and in its order: PostgreSQL would else go through the deliveries of
        // all webhooks by their ids, in the belief that those of this one are among the newest.
        for (test, id) in [(">=", first), ("<", end)] {
            sql.push(" AND (d.webhook_id, d.id) ").push(test).push(" (").bind(webhook.get());
            sql.push(", ").bind(id).push(")");
        }
        sql.push(" ORDER BY d.webhook_id DESC, d.id DESC LIMIT ").push(&limit.to_string());
        sql
    }

    /// How many attempts were ever recorded for a webhook, and the ordinal of the oldest one that is kept; `None` if there
    /// is no such webhook for the caller.
    pub async fn attempt_count(
        &self,
        principal: &Principal,
        webhook: WebhookId,
    ) -> Result<Option<(i64, Option<i64>)>, Error> {
        let mut sql = self.sql("SELECT attempts, (SELECT MIN(o.ordinal) FROM (SELECT MIN(first_ordinal) AS ordinal ");
        sql.push("FROM tandem_delivery WHERE webhook_id = ").bind(webhook.get());
        sql.push(" UNION ALL SELECT MIN(ordinal) FROM tandem_attempt WHERE webhook_id = ").bind(webhook.get());
        sql.push(") AS o) FROM tandem_webhook WHERE id = ").bind(webhook.get()).push(" AND ");
        push_visible(&mut sql, principal);
        let records = self.database.query(sql).await?;
        records.first().map(|record| Ok((record.need_int(0)?, record.int(1)?))).transpose()
    }

    /// The attempts of a webhook after an ordinal, in the order of their commits.
    pub async fn attempts_after(
        &self,
        webhook: WebhookId,
        ordinal: i64,
        limit: usize,
    ) -> Result<Vec<Attempted>, Error> {
        let mut sql = self.sql("");
        let of_each = [
            ("first_ordinal", "SELECT first_ordinal AS ordinal, id, CAST(1 AS bigint) FROM tandem_delivery"),
            ("ordinal", "SELECT ordinal, delivery_id, CAST(number AS bigint) FROM tandem_attempt"),
        ];
        // Each with a limit of its own, so that neither reads more than is wanted.
        sql.list(" UNION ALL ", of_each, |sql, (column, select)| {
            sql.push("SELECT * FROM (").push(select).push(" WHERE webhook_id = ").bind(webhook.get());
            sql.push(" AND ").push(column).push(" > ").bind(ordinal);
            sql.push(" ORDER BY ").push(column).push(" LIMIT ").push(&limit.to_string()).push(") AS attempts");
        });
        sql.push(" ORDER BY ordinal LIMIT ").push(&limit.to_string());
        let read = |record: &Record| {
            let delivery = DeliveryId(record.need_uuid(1)?);
            Ok(Attempted { ordinal: record.need_int(0)?, delivery, number: record.need_int(2)? })
        };
        self.database.query(sql).await?.iter().map(read).collect()
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
        let mut have_more = Vec::new();
        for (delivery, record) in deliveries.iter().zip(&records) {
            if record.need_int(9)? > delivery.attempts.len() as i64 {
                have_more.push(delivery.id);
            }
        }
        if have_more.is_empty() {
            return Ok(deliveries);
        }
        let mut sql = self.sql(
            "SELECT delivery_id, CAST(number AS bigint), started_at, CAST(duration_ms AS bigint), \
             CAST(status_code AS bigint), address, error_code, error_message, response_body FROM tandem_attempt \
             WHERE delivery_id IN (",
        );
        sql.list(", ", have_more, |sql, delivery| {
            sql.bind(delivery.get());
        });
        sql.push(") ORDER BY delivery_id, number");
        let mut attempts: HashMap<_, Vec<_>> = HashMap::new();
        for record in self.database.query(sql).await? {
            attempts.entry(record.need_uuid(0)?).or_default().push(read_attempt(&record, 1)?);
        }
        for delivery in &mut deliveries {
            delivery.attempts.extend(attempts.remove(&delivery.id.get()).unwrap_or_default());
        }
        Ok(deliveries)
    }
}

/// The smallest id that a delivery of this time or later can have: ids begin with the milliseconds of their making.
pub fn first_id(at: i64) -> Uuid {
    let at_ms = u128::try_from(at.max(0) / 1000).expect("it is not negative");
    Uuid::from_u128(at_ms << 80)
}

/// The attempt in the columns from this one on.
fn read_attempt(record: &Record, column: usize) -> Result<DeliveryAttempt, Error> {
    let error = match record.text(column + 5)? {
        Some(code) => {
            let unknown = |()| Error::Corrupt("the code of an attempt's error cannot be read".to_owned());
            let message = record.text(column + 6)?.unwrap_or_default();
            Some(AttemptError { code: code.parse().map_err(unknown)?, message })
        }
        None => None,
    };
    Ok(DeliveryAttempt {
        number: record.need_int(column)?,
        started_at: record.need_int(column + 1)?,
        duration_ms: record.need_int(column + 2)?,
        status_code: record.int(column + 3)?,
        address: record.text(column + 4)?,
        error,
        response_body: record.text(column + 7)?,
    })
}

#[cfg(test)]
mod tests;
