//! Events that wait while a webhook is paused, then come at its capped rate; and then all of them again, by a replay. What
//! mutations notice of it is measured in turn with the webhook paused again.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::stage::Stage;
use super::{Report, WebhooksArgs, notice};
use crate::latency::{Latencies, Millis};
use crate::place::Place;
use crate::rounds::Rounds;
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
    paused: Rounds,
    sending: Rounds,
    /// Messages a second.
    rate: Rounds,
    all_paused: Latencies,
    all_sending: Latencies,
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
    let mut table = Table::new(&[&title, "messages/s", "paused", "meanwhile", "ratio", "longest paused", "meanwhile"]);
    let mut targets = Vec::new();
    for (name, measured) in [("catching up", caught_up), ("a replay", replayed)] {
        let ratio = measured.sending.median() / measured.paused.median();
        let millis = |rounds: &Rounds| Millis::from_f64(rounds.median()).to_string();
        let (paused, sending) = (millis(&measured.paused), millis(&measured.sending));
        let [longest_paused] = measured.all_paused.percentiles([1.0]);
        let [longest] = measured.all_sending.percentiles([1.0]);
        let cells =
            [name.to_owned(), thousands(measured.rate.median()), paused, sending.clone(), format!("{ratio:.2}")];
        table.row(cells.into_iter().chain([longest_paused.to_string(), longest.to_string()]));
        let what = format!("p99 of mutations beside {name}, {}", place.name());
        targets.push(Target::ratio_at_most(what, sending, ratio, MOST));
    }
    Ok(Report { tables: vec![table], targets })
}

/// Lets the webhook go on and pauses it, in turn, until so much has come.
async fn deliver(stage: &mut Stage, products: &[String], args: &WebhooksArgs, until: usize) -> Result<Measured> {
    let mut measured = Measured::default();
    loop {
        stage.update(&json!({ "status": "PAUSED" })).await?;
        let paused = notice::phase(stage, products, args.duration() / 2).await?;
        let begun = stage.receiver.count().await?.messages;
        stage.update(&json!({ "status": "ENABLED" })).await?;
        let sending = notice::phase(stage, products, args.duration() / 2).await?;
        let come = stage.receiver.count().await?.messages;
        let p99 = |latencies: &Latencies| latencies.clone().percentiles([0.99])[0].as_f64();
        // The last part is not full.
        if come < until as u64 || measured.rate.max() == 0.0 {
            measured.paused.push(p99(&paused));
            measured.sending.push(p99(&sending));
            measured.rate.push((come - begun) as f64 / (args.duration() / 2).as_secs_f64());
            measured.all_paused.merge(paused);
            measured.all_sending.merge(sending);
        }
        if come >= until as u64 {
            return Ok(measured);
        }
    }
}
