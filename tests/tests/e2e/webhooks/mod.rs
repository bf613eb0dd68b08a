//! Webhooks, from their registration to what their receivers get.

mod equality;
mod hostile;
mod keys;
mod kills;
mod lifecycle;
mod message;
mod operations;
mod registration;
mod retry;
mod roles;
mod sending;
mod takeover;
mod verification;
mod verify;

use serde_json::{Value, json};
use tandem_tests::{Client, wait};

pub const QUERY: &str = "subscription { productChanged { id kind transition nodeId after { id sku name } } }";
const DELIVERIES: &str = "query($id: ID!, $status: DeliveryStatus) { webhook(id: $id) { status statusReason cursor lag
    deliveries(status: $status, first: 100) { nodes { id messageId type sequence status nextAttemptAt body
        attempts { number startedAt durationMs statusCode address error { code message } responseBody } } } } }";

/// The first delivery of a webhook that gets this status.
pub async fn delivery(client: &Client, webhook: &str, status: &str) -> Value {
    wait::until(&format!("a delivery is {status}"), async || {
        let data = client.data(DELIVERIES, json!({"id": webhook, "status": status})).await;
        data["webhook"]["deliveries"]["nodes"].as_array()?.first().cloned()
    })
    .await
}

/// Waits until a webhook has a status, and returns it.
pub async fn webhook_is(client: &Client, webhook: &str, status: &str) -> Value {
    wait::until(&format!("the webhook is {status}"), async || {
        let data = client.data(DELIVERIES, json!({"id": webhook})).await;
        (data["webhook"]["status"] == json!(status)).then(|| data["webhook"].clone())
    })
    .await
}
