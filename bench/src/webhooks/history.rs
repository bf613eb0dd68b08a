//! A webhook with 100,000 attempts behind it: how long its owner waits for the newest of them, and what mutations notice when
//! they are removed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::sleep;

use super::stage::Stage;
use super::{Report, WebhooksArgs, notice};
use crate::latency::{Latencies, Millis};
use crate::place::Place;
use crate::steadiness::{Timed, Watch};
use crate::table::{Table, thousands};
use crate::target::Target;

const PAGE: &str = "query($id: ID!, $event: String, $status: DeliveryStatus) { webhook(id: $id) { \
                    deliveries(first: 50, event: $event, status: $status) { nodes { id messageId type sequence status \
                    attempts { number startedAt durationMs statusCode address responseBody } } } } }";
const ATTEMPTS: usize = 100_000;
const PAGES: usize = 100;
const PAGE_LIMIT: Duration = Duration::from_millis(50);
/// Events of one mutation, and events that are always in line.
const TOGETHER: usize = 250;
const BACKLOG: usize = 2_000;
/// Everything that has ended is older than this when the server starts again.
const KEPT: &str = "1s";
/// Of what mutations take while nothing is removed.
const MOST: f64 = 1.2;

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &WebhooksArgs) -> Result<Report> {
    let mut stage = Stage::start(binary, place, 1, 64).await?;
    let products = stage.products(notice::CLIENTS).await?;
    while stage.written < args.scaled(ATTEMPTS) {
        stage.keep_busy(BACKLOG, TOGETHER, Instant::now() + Duration::from_millis(500)).await?;
    }
    stage.is_settled(1).await?;
    let attempts = thousands(stage.written as f64);
    let title = format!("the newest 50 of {attempts} deliveries, {}", place.name());
    let mut pages = Table::new(&[&title, "p50", "p99", "max"]);
    let mut targets = Vec::new();
    for (name, event, status) in [
        ("all", None, None),
        ("of an event", Some("product.created"), None),
        ("of an event that never was", Some("product.deleted"), None),
        ("failed ones, of which there are none", None, Some("FAILED")),
    ] {
        let mut latencies = Latencies::default();
        for _ in 0..PAGES {
            let (sent, variables) =
                (Instant::now(), json!({ "id": stage.webhooks[0], "event": event, "status": status }));
            let answer = stage.ask(PAGE, variables).await?;
            latencies.record(sent.elapsed());
            let found = answer["webhook"]["deliveries"]["nodes"].as_array().map_or(0, Vec::len);
            let expected = if name == "all" || name == "of an event" { 50 } else { 0 };
            ensure!(found == expected, "{found} deliveries instead of {expected}");
        }
        let [p50, p99, max] = latencies.percentiles([0.5, 0.99, 1.0]);
        pages.row([name.to_owned()].into_iter().chain([p50, p99, max].map(|figure| figure.to_string())));
        let what = format!("a page of {attempts} attempts, {name}, p99, {}", place.name());
        targets.push(Target::under(what, p99, PAGE_LIMIT));
    }

    let watch = Watch::begin()?;
    let (removing, during, removed) = remove(&mut stage, &products).await?;
    let mut after = Timed::default();
    while after.len() < during.len() {
        after.merge(notice::phase(&stage, &products, args.duration()).await?);
    }
    let steadiness = watch.end()?;
    stage.stop().await?;
    let title = format!("{}/s mutations while {attempts} attempts are removed, {}", notice::PER_SECOND, place.name());
    let mut table = Table::new(&[&title, "p50", "p99", "max", "steady p50", "p99", "max", "left out", "removed/s"]);
    let mut p99s = [Millis::default(); 2];
    for (nth, (name, timed)) in [("afterwards", after), ("meanwhile", during)].into_iter().enumerate() {
        let all = timed.all().percentiles([0.5, 0.99, 1.0]);
        let [p50, p99, max] = timed.steady(&steadiness).percentiles([0.5, 0.99, 1.0]);
        p99s[nth] = p99;
        let figures = all.into_iter().chain([p50, p99, max]).map(|figure| figure.to_string());
        let figures = figures.chain([timed.left_out(&steadiness)]);
        let rate = if nth == 1 { thousands(removed as f64 / removing.as_secs_f64()) } else { String::new() };
        table.row([name.to_owned()].into_iter().chain(figures).chain([rate]));
    }
    let [usual, meanwhile] = p99s;
    let what = format!("p99 of mutations while attempts are removed, steady, {}", place.name());
    targets.push(Target::ratio_at_most(what, meanwhile.to_string(), meanwhile.as_f64() / usual.as_f64(), MOST));
    Ok(Report { tables: vec![pages, table], targets })
}

/// Starts the server again with a retention under which everything is old, and times mutations until all is gone. How long
/// that took, what they took, and how many deliveries are gone.
async fn remove(stage: &mut Stage, products: &[String]) -> Result<(Duration, Timed, usize)> {
    sleep(Duration::from_secs(2)).await;
    stage.tandem.kill().await?;
    stage.tandem.start_again_with(&["--webhook-retention", KEPT]).await?;
    let (begun, before) = (Instant::now(), stage.deliveries().await?);
    let (mut timed, mut left) = (Timed::default(), before);
    while left > 0 {
        timed.merge(notice::phase(stage, products, Duration::from_secs(1)).await?);
        let now = stage.deliveries().await?;
        ensure!(now < left || now == 0, "{now} deliveries are left, and nothing is removed");
        left = now;
    }
    Ok((begun.elapsed(), timed, before))
}
