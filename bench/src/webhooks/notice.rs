//! What mutations notice of something that goes on beside them: clients that update products as fast as they are answered,
//! and time each request.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;

use super::stage::Stage;
use crate::latency::Latencies;

const UPDATE: &str = "mutation($input: UpdateProductInput!) { updateProduct(input: $input) { userErrors { code } } }";
/// Each has a product of its own.
pub const CLIENTS: usize = 32;

/// How long each mutation of a phase took.
pub async fn phase(stage: &Stage, products: &[String], during: Duration) -> Result<Latencies> {
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for product in products {
        let mut client = stage.tandem.client(stage.authorization()).await?;
        let product = product.clone();
        clients.spawn_local(async move {
            let mut latencies = Latencies::default();
            for stock in 0.. {
                let sent = Instant::now();
                if sent >= begin + during {
                    break;
                }
                client.ask(UPDATE, json!({ "input": { "id": product, "patch": { "stock": stock } } })).await?;
                latencies.record(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(latencies) = clients.join_next().await {
        all.merge(latencies??);
    }
    Ok(all)
}
