//! Mutations a second while everything that they write is delivered, against the same with all webhooks paused.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::stage::{self, Stage};
use super::{Report, WebhooksArgs};
use crate::load::{Amount, Load};
use crate::place::Place;
use crate::rounds::Rounds;
use crate::served::request;
use crate::table::Table;
use crate::target::Target;

const CREATE: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { code } } }";
const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);
/// What is left of Svix's intake while it delivers.
const LEAST_SHARE: f64 = 1.0 / 8.0;

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &WebhooksArgs) -> Result<Report> {
    let mut stage = Stage::start(binary, place, args.webhooks, args.in_flight).await?;
    let (mut before, mut during, mut deliveries) = (Rounds::default(), Rounds::default(), Rounds::default());
    let numbers = Arc::new(AtomicUsize::new(0));
    for _ in 0..args.rounds {
        for (status, rounds) in [("PAUSED", &mut before), ("ENABLED", &mut during)] {
            stage.update(&json!({ "status": status })).await?;
            let (since, begun) = (Instant::now(), stage.receiver.count().await?.messages);
            rounds.push(creates_per_second(&stage, &numbers, args.duration()).await?);
            if status == "ENABLED" {
                let delivered = stage.receiver.count().await?.messages - begun;
                deliveries.push(delivered as f64 / since.elapsed().as_secs_f64());
            }
        }
    }
    stage.stop().await?;
    let ratio = during.median() / before.median();
    let title = format!("mutations/s beside {} webhooks, {}", args.webhooks, place.name());
    let mut table = Table::new(&[&title, "median", "min", "max", "ratio"]);
    table.row(["all of them paused".to_owned()].into_iter().chain(before.cells()));
    let cells = during.cells().into_iter().chain([format!("{ratio:.2}")]);
    table.row(["while they are delivered to".to_owned()].into_iter().chain(cells));
    table.row(["deliveries/s meanwhile".to_owned()].into_iter().chain(deliveries.cells()));
    let what = format!("mutations/s while {} webhooks are delivered to, {}", args.webhooks, place.name());
    let figure = during.cells()[0].clone();
    Ok(Report { tables: vec![table], targets: vec![Target::at_least(what, figure, ratio, LEAST_SHARE)] })
}

async fn creates_per_second(stage: &Stage, numbers: &Arc<AtomicUsize>, measured: Duration) -> Result<f64> {
    let amount = Amount::Time { warm_up: WARM_UP, measured };
    let load = Load::new(stage.tandem.address, "/graphql", CONNECTIONS, amount);
    let numbers = Arc::clone(numbers);
    let write = move |_, _, out: &mut Vec<u8>| {
        let product = stage::product(numbers.fetch_add(1, Ordering::Relaxed));
        out.extend(request(CREATE, &json!({ "input": product })));
    };
    let outcome = load.header("authorization", stage.authorization()).run(write).await?;
    Ok(outcome.flawless()?.per_second())
}
