//! One delivery once more, at once.

use entity::DeliveryId;
use entity::delivery::Status;
use uuid::Uuid;

use super::{Gone, Operations, message_at};
use crate::auth::Principal;
use crate::catalog::datum::now_micros;
use crate::database;
use crate::database::Dialect;
use crate::store::writer::{Code, Key};
use crate::webhook::clock::push_now;
use crate::webhook::registry::{Delivery, Error, not_found, refused};
use crate::webhook::row::Webhook;

impl Operations {
    /// Makes a delivery due now, whatever has become of it so far: the next attempt has the same `webhook-id`, body and
    /// number. What waits in a batch is sent with it. If it fails, the schedule goes on where it was. While the webhook is not enabled, the attempt waits.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such delivery for the caller, if it waits for an earlier one, or if its body is no longer kept and cannot be made
    /// again.
    pub async fn retry(&self, principal: &Principal, id: DeliveryId, key: Option<Key>) -> Result<Delivery, Error> {
        if let Some(row) = self.used(key.as_ref()).await? {
            return self.retried(principal, &row).await;
        }
        let delivery = self.registry.delivery(principal, id).await?.ok_or_else(no_delivery)?;
        let webhook = self.registry.get(principal, delivery.webhook).await?.ok_or_else(not_found)?;
        if delivery.status == Status::Pending && delivery.next_attempt_at.is_none() {
            let message = "it waits for an earlier delivery, which the webhook's ordering has go first; retry that one";
            return Err(refused(&["id"], Code::Invalid, message));
        }
        let body = match delivery.body {
            Some(_) => None,
            None => Some(self.body_again(&webhook, &delivery).await?),
        };
        let now = now_micros();
        // What has ended holds nothing any more, and its batch has ended, too: it goes alone.
        let mut sql = self.sql("UPDATE tandem_delivery SET status = 'PENDING', ");
        sql.push("order_key = CASE WHEN status = 'PENDING' THEN order_key END, ");
        sql.push("batch_id = CASE WHEN status = 'PENDING' THEN batch_id END, next_attempt_at = CASE WHEN status = ");
        sql.push("'PENDING' AND next_attempt_at IS NULL THEN NULL ELSE ");
        push_now(&mut sql);
        sql.push(" END, updated_at = ").bind(now);
        if let Some(body) = body {
            sql.push(", body = ").bind(body);
        }
        sql.push(" WHERE id = ").bind(id.get()).push(" RETURNING ");
        sql.push(match self.parts.database.dialect() {
            Dialect::Sqlite => "lower(hex(id))",
            Dialect::Postgres => "CAST(id AS text)",
        });
        let row = self.write(sql, key).await?.ok_or_else(no_delivery)?;
        self.nudge(&webhook).await?;
        self.retried(principal, &row).await
    }

    async fn retried(&self, principal: &Principal, row: &str) -> Result<Delivery, Error> {
        let id =
            Uuid::parse_str(row).map_err(|_| database::Error::Corrupt("a delivery's id cannot be read".to_owned()))?;
        self.registry.delivery(principal, DeliveryId(id)).await?.ok_or_else(no_delivery)
    }

    /// The body of a delivery that was accepted, made again from the event: the same bytes, unless the webhook's document or
    /// its rights have changed since.
    async fn body_again(&self, webhook: &Webhook, delivery: &Delivery) -> Result<String, Error> {
        let target = self.target(webhook)?;
        match message_at(&self.parts, &target.group, delivery.position, delivery.sequence).await? {
            Ok(body) => Ok(String::from_utf8(body.to_vec()).expect("a body is JSON in UTF-8")),
            Err(Gone::Expired) => {
                let message = "its body is no longer kept, and the log no longer holds its event";
                Err(refused(&["id"], Code::Invalid, message))
            }
            Err(Gone::NotSelected) => {
                let message = "by the webhook's document and rights of now, the event is not for it";
                Err(refused(&["id"], Code::Invalid, message))
            }
        }
    }
}

fn no_delivery() -> Error {
    refused(&["id"], Code::NotFound, "there is no such delivery")
}
