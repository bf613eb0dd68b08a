//! Events that wait while a webhook is paused, then come at its capped rate; and then all of them again, by a replay. What
//! mutations notice of it is measured in turn with the webhook paused again.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::stage::Stage;
use super::{Report, WebhooksArgs, notice};
use crate::place::Place;
use crate::rounds::Rounds;
use crate::steadiness::{Steadiness, Timed, Watch};
use crate::table::{Table, thousands};
use crate::target::Target;

const CURSOR: &str = "query($id: ID!) { webhook(id: $id) { cursor } }";
const REPLAY: &str =
    "mutation($input: ReplayWebhookInput!) { replayWebhook(input: $input) { userErrors { message } } }";
const EVENTS: usize = 50_000;
/// Requests a second that the webhook may get.
const RATE: u64 = 1_000;
/// Events of one mutation.
const TOGETHER: usize = 500;
/// Of what mutations take while nothing is sent.
const MOST: f64 = 1.2;

/// What was measured while so many messages came.
#[derive(Default)]
struct Measured {
    paused: Timed,
    sending: Timed,
    /// Messages a second.
    rate: Rounds,
    steadiness: Steadiness,
}

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &WebhooksArgs) -> Result<Report> {
    let mut stage = Stage::start(binary, place, 1, 64).await?;
    let products = stage.products(notice::CLIENTS).await?;
    let webhook = stage.webhooks[0].clone();
    stage.is_settled(1).await?;
    stage.update(&json!({ "rateLimit": RATE, "status": "PAUSED" })).await?;
    let cursor = stage.ask(CURSOR, json!({ "id": webhook })).await?["webhook"]["cursor"].take();
    let first = stage.written;
    while stage.written < first + args.scaled(EVENTS) {
        stage.write(TOGETHER.min(first + args.scaled(EVENTS) - stage.written)).await?;
    }
    let written = stage.written;
    let caught_up = deliver(&mut stage, &products, args, written).await?;
    stage.is_settled(1).await?;

    let input = json!({ "id": webhook, "after": cursor.as_str().context("a webhook has a cursor")?, "only": "ALL" });
    stage.ask(REPLAY, json!({ "input": input })).await?;
    let total = 2 * stage.written - first;
    let replayed = deliver(&mut stage, &products, args, total).await?;
    // What was sent before the pause is no part of the replay.
    stage.has_come_since(first, 2).await?;
    stage.stop().await?;

    let count = thousands(args.scaled(EVENTS) as f64);
    let title =
        format!("p99 of {}/s mutations beside {count} events at {RATE}/s, {}", notice::PER_SECOND, place.name());
    let mut table = Table::new(&[
        &title,
        "messages/s",
        "paused",
        "meanwhile",
        "steady paused",
        "meanwhile",
        "ratio",
        "longest paused",
        "meanwhile",
        "left out",
    ]);
    let mut targets = Vec::new();
    for (name, Measured { paused, sending, rate, steadiness }) in [("catching up", caught_up), ("a replay", replayed)] {
        let all = [&paused, &sending].map(|timed| timed.all().percentiles([0.99])[0]);
        let steady = [&paused, &sending].map(|timed| timed.steady(&steadiness).percentiles([0.99, 1.0]));
        let [[usual, longest_usual], [p99, longest]] = steady;
        let ratio = p99.as_f64() / usual.as_f64();
        let cells = [name.to_owned(), thousands(rate.median())];
        let cells = cells.into_iter().chain(all.into_iter().chain([usual, p99]).map(|figure| figure.to_string()));
        let longest = [longest_usual, longest].map(|figure| figure.to_string());
        let left_out = sending.left_out(&steadiness);
        table.row(cells.chain([format!("{ratio:.2}")]).chain(longest).chain([left_out]));
        let what = format!("p99 of mutations beside {name}, steady, {}", place.name());
        targets.push(Target::ratio_at_most(what, p99.to_string(), ratio, MOST));
    }
    Ok(Report { tables: vec![table], targets })
}

/// Lets the webhook go on and pauses it, in turn, until so much has come.
async fn deliver(stage: &mut Stage, products: &[String], args: &WebhooksArgs, until: usize) -> Result<Measured> {
    let (mut measured, watch) = (Measured::default(), Watch::begin()?);
    loop {
        stage.update(&json!({ "status": "PAUSED" })).await?;
        let paused = notice::phase(stage, products, args.duration() / 2).await?;
        let begun = stage.receiver.count().await?.messages;
        stage.update(&json!({ "status": "ENABLED" })).await?;
        let sending = notice::phase(stage, products, args.duration() / 2).await?;
        let come = stage.receiver.count().await?.messages;
        // The last part is not full.
        if come < until as u64 || measured.rate.max() == 0.0 {
            measured.paused.merge(paused);
            measured.sending.merge(sending);
            measured.rate.push((come - begun) as f64 / (args.duration() / 2).as_secs_f64());
        }
        if come >= until as u64 {
            measured.steadiness = watch.end()?;
            return Ok(measured);
        }
    }
}
