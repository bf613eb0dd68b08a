//! What mutations notice of something that goes on beside them: products are updated at a steady rate, and each request is
//! timed.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::stage::Stage;
use crate::latency::Latencies;

const UPDATE: &str = "mutation($input: UpdateProductInput!) { updateProduct(input: $input) { userErrors { code } } }";
const PER_SECOND: u32 = 200;
/// Each has a product of its own.
pub const CLIENTS: usize = 16;

/// How long each mutation of a phase took.
pub async fn phase(stage: &Stage, products: &[String], during: Duration) -> Result<Latencies> {
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for (nth, product) in products.iter().enumerate() {
        let mut client = stage.tandem.client(stage.authorization()).await?;
        let (product, step) = (product.clone(), Duration::from_secs(1) * products.len() as u32 / PER_SECOND);
        let mut due = begin + step * nth as u32 / products.len() as u32;
        clients.spawn_local(async move {
            let mut latencies = Latencies::default();
            for stock in 0.. {
                sleep_until(due.into()).await;
                due += step;
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
