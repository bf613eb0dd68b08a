//! What mutations notice of something that goes on beside them: clients that update products at a steady rate. Each request
//! is timed from the moment when it was due, so that one that is late because those before it were slow counts as slow. Clients
//! that ask as fast as they are answered would measure how busy the processors are, whatever it is that keeps them busy.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::stage::Stage;
use crate::steadiness::Timed;

const UPDATE: &str = "mutation($input: UpdateProductInput!) { updateProduct(input: $input) { userErrors { code } } }";
/// Each has a product of its own.
pub const CLIENTS: usize = 32;
/// Mutations a second, of all clients.
pub const PER_SECOND: usize = 1_000;

/// The mutations of a phase.
pub async fn phase(stage: &Stage, products: &[String], during: Duration) -> Result<Timed> {
    let pause = Duration::from_secs(1) / PER_SECOND as u32;
    let mut ready = Vec::new();
    for product in products {
        ready.push((stage.tandem.client(stage.authorization()).await?, product.clone()));
    }
    let (begin, count) = (Instant::now(), products.len() as u32);
    let mut clients = JoinSet::new();
    for (nth, (mut client, product)) in (0..).zip(ready) {
        clients.spawn_local(async move {
            let mut timed = Timed::default();
            for stock in 0.. {
                let due = begin + pause * (stock * count + nth);
                if due >= begin + during {
                    break;
                }
                sleep_until(due.into()).await;
                client.ask(UPDATE, json!({ "input": { "id": product, "patch": { "stock": stock } } })).await?;
                timed.ends_now(due);
            }
            anyhow::Ok(timed)
        });
    }
    let mut all = Timed::default();
    while let Some(timed) = clients.join_next().await {
        all.merge(timed??);
    }
    Ok(all)
}
