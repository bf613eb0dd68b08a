//! Subscribers that lose their connection again and again, over WebSocket and Server-Sent Events, while the server is
//! killed now and then: each must see every event of the log once, in order, and as the query `changes` tells it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::writers::Writers;
use crate::follow::command;
use crate::follow::follower::{Follower, Plan, Transport};
use crate::follow::ledger::Ledger;
use crate::follow::message;
use crate::follow::socket::Dial;
use crate::place::Place;
use crate::served::Tandem;
use crate::table::{Table, thousands};

const SELECTION: &str = "position id cursor kind type nodeId version changedFields ... on ProductChange { after { id sku \
                         name stock price tags } before { id sku stock } }";
/// How long it may take until the next disconnect, and until everybody has everything.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// How much of it.
#[derive(Debug, Clone, Args)]
pub struct DisconnectsArgs {
    /// How often connections are broken off, in all.
    #[arg(long, default_value_t = 1_000)]
    pub disconnects: u64,
    /// How often the server is killed (SIGKILL) and started again meanwhile.
    #[arg(long, default_value_t = 20)]
    pub kills: u64,
    /// Writes per second.
    #[arg(long, default_value_t = 500)]
    pub rate: u64,
    /// Subscribers, every other one over Server-Sent Events.
    #[arg(long, default_value_t = 16)]
    pub followers: usize,
    /// The beginning of everything random [default: a random one]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs it on a new server.
pub async fn run(binary: &Path, place: &Place, args: &DisconnectsArgs) -> Result<Table> {
    ensure!(args.followers > 0, "there must be subscribers");
    let seed = args.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let mut tandem = Tandem::start(binary, place, &[]).await?;
    let table = watch_server(&mut tandem, place, args, seed).await?;
    let complaints = tandem.server.complaints().lines();
    ensure!(complaints.is_empty(), "the server complained:\n{}", complaints.join("\n"));
    tandem.stop().await?;
    Ok(table)
}

async fn watch_server(tandem: &mut Tandem, place: &Place, args: &DisconnectsArgs, seed: u64) -> Result<Table> {
    let authorization = tandem.authorization("root", &["admin"]).await?;
    let as_of = tandem.client(&authorization).await?.ask("{ products(first: 1) { asOf } }", Value::Null).await?;
    let start = as_of["products"]["asOf"].as_str().context("a connection has an asOf")?.to_owned();
    let (address, addresses) = watch::channel(Some(tandem.address));
    let (goal, goals) = watch::channel(None);
    let ledger = Arc::new(Ledger::default());
    let plan = Arc::new(Plan {
        dial: Dial { authorization: Some(authorization.clone()), ..Dial::default() },
        query: format!("subscription($after: String) {{ changes(after: $after) {{ {SELECTION} }} }}"),
        variables: Map::new(),
        address: addresses.clone(),
        goal: goals,
        lifetime: Some((args.rate / 2).max(1)),
        stall: None,
        ledger: Arc::clone(&ledger),
    });
    let mut followers = JoinSet::new();
    for number in 0..args.followers {
        let transport = [Transport::WebSocket, Transport::Events][number % 2];
        let dice = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        followers.spawn(Follower::new(Arc::clone(&plan), transport, 1, &start, true, dice)?.run());
    }
    let started = Instant::now();
    let stop = CancellationToken::new();
    let mut writers = Writers::new(&addresses, &authorization, args.rate, seed)?.start(&stop, None);
    for kill in 1..=args.kills {
        let disconnects = args.disconnects * kill / (args.kills + 1);
        until(&ledger, disconnects, || writers.check()).await?;
        address.send_replace(None);
        tandem.kill().await?;
        tandem.start_again().await?;
        address.send_replace(Some(tandem.address));
    }
    until(&ledger, args.disconnects, || writers.check()).await?;
    stop.cancel();
    let writers = writers.end().await?;
    let elapsed = started.elapsed();

    let log = read_log(tandem, &authorization, &start).await?;
    let (last, _) = log.last().context("something was written")?;
    goal.send_replace(Some(*last));
    let everybody = async {
        while let Some(ended) = followers.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    let everybody = tokio::time::timeout(PATIENCE, everybody).await;
    ledger.tally(|tally| command::check(tally))?;
    everybody.context("somebody does not get everything")??;
    for (position, content) in &log {
        ensure!(ledger.compare(*position, content.as_bytes()), "nobody got position {position}");
    }
    let tally = ledger.tally(std::mem::take);
    command::check(&tally)?;
    let expected = args.followers as u64 * (last - message::position(&start)?) as u64;
    ensure!(tally.deliveries == expected, "{} deliveries instead of {expected}", tally.deliveries);

    let title = format!("disconnects, {}", place.name());
    let mut table = Table::new(&[&title, "kills", "events", "writes/s", "deliveries", "gaps", "duplicates"]);
    let written = thousands(writers.answered() as f64 / elapsed.as_secs_f64());
    let counts = [args.kills, log.len() as u64].map(|count| thousands(count as f64));
    let results = [tally.deliveries, tally.gaps, tally.duplicates].map(|count| thousands(count as f64));
    let cells = counts.into_iter().chain([written]).chain(results);
    table.row([thousands(tally.disconnects as f64)].into_iter().chain(cells));
    Ok(table)
}

async fn until(ledger: &Ledger, disconnects: u64, mut check: impl FnMut() -> Result<()>) -> Result<()> {
    let wait = async {
        while ledger.tally(|tally| tally.disconnects) < disconnects {
            check()?;
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.with_context(|| ledger.tally(|tally| format!("the connections do not break off: {tally:?}")))?
}

/// Every event after a cursor: its position, and what a result about it has to be.
async fn read_log(tandem: &Tandem, authorization: &str, start: &str) -> Result<Vec<(i64, String)>> {
    let query = format!(
        "query($after: String) {{ changes(first: 1000, after: $after) {{ nodes {{ {SELECTION} }}
         pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let mut client = tandem.client(authorization).await?;
    let (mut log, mut after) = (Vec::new(), json!(start));
    loop {
        let answer = client.ask(&query, json!({ "after": after })).await?;
        let page = &answer["changes"];
        for node in page["nodes"].as_array().context("a page has nodes")? {
            let position = node["position"].as_str().context("an admin sees positions")?.parse()?;
            log.push((position, format!(r#"{{"data":{{"changes":{node}}}"#)));
        }
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            return Ok(log);
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}
