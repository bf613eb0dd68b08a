//! The load client by itself: `tandem-bench follow`, against any Tandem.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::follower::{Follower, Plan, Transport};
use super::ledger::{Ledger, Tally};
use super::socket::Dial;
use crate::served::Client;
use crate::table::{Table, thousands};
use crate::usage::Usage;

/// Of the store that ships.
const NOW: &str = "{ products(first: 1) { asOf } }";
const SUBSCRIBE: &str =
    "subscription($after: String) { changes(after: $after) { id kind type nodeId version occurredAt } }";

/// What is followed, and how.
#[derive(Debug, Args)]
pub struct FollowArgs {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// A subscription with one root field and the variable `after`. Select `occurredAt`, and latencies are counted from it.
    #[arg(long, default_value = SUBSCRIBE)]
    query: String,
    /// Its other variables, as JSON.
    #[arg(long, default_value = "{}", value_parser = object)]
    variables: Map<String, Value>,
    /// Sent as a bearer token.
    #[arg(long, env = "TANDEM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Begin after this cursor [default: the end of the log, if the server has the store that ships]
    #[arg(long)]
    after: Option<String>,
    /// Over what.
    #[arg(long, value_enum, default_value_t = Over::Websocket)]
    transport: Over,
    /// Connections.
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// Subscriptions of each socket.
    #[arg(long, default_value_t = 1)]
    subscriptions: usize,
    /// How long, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Break each connection off after a random number of events up to this, and resume from the cursor.
    #[arg(long)]
    lifetime: Option<u64>,
    /// So many of the connections are slow: they pause before each read.
    #[arg(long, default_value_t = 0)]
    slow: usize,
    /// How long such a pause is, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    pause_ms: u64,
    /// The subscription gives every event of the log to this caller, so every position has to come.
    #[arg(long)]
    gapless: bool,
    /// The beginning of everything random [default: a random one]
    #[arg(long)]
    seed: Option<u64>,
    /// The server's process on this machine, whose memory is told.
    #[arg(long)]
    process: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Over {
    Websocket,
    Sse,
    /// In turn.
    Both,
}

fn object(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(text)
}

/// Follows, prints what came, and fails if anything was wrong with it.
pub async fn run(args: FollowArgs) -> Result<()> {
    let authorization = args.token.as_ref().map(|token| format!("Bearer {token}"));
    let after = match &args.after {
        Some(after) => after.clone(),
        None => {
            let mut client = Client::open(args.address, authorization.as_deref()).await?;
            let answer = client.ask(NOW, Value::Null).await?;
            answer["products"]["asOf"].as_str().context("a connection has an asOf")?.to_owned()
        }
    };
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let (_address, address) = watch::channel(Some(args.address));
    let (_goal, goal) = watch::channel(None);
    let ledger = Arc::new(Ledger::default());
    let plan = Arc::new(Plan {
        dial: Dial { authorization, ..Dial::default() },
        query: args.query.clone(),
        variables: args.variables.clone(),
        address,
        goal,
        lifetime: args.lifetime,
        stall: Some(Duration::from_millis(args.pause_ms)),
        ledger: Arc::clone(&ledger),
    });
    let mut followers = JoinSet::new();
    for number in 0..args.connections {
        let transport = match args.transport {
            Over::Sse => Transport::Events,
            Over::Both if number % 2 == 1 => Transport::Events,
            Over::Websocket | Over::Both => Transport::WebSocket,
        };
        let subscriptions = if transport == Transport::Events { 1 } else { args.subscriptions };
        let dice = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        let follower = Follower::new(Arc::clone(&plan), transport, subscriptions, &after, args.gapless, dice)?;
        followers.spawn(follower.slow(number < args.slow).run());
    }
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    followers.shutdown().await;
    let elapsed = started.elapsed();
    let tally = ledger.tally(std::mem::take);
    print!("{}", table(&tally, elapsed));
    if let Some(process) = args.process {
        let usage = Usage::of(process)?;
        let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        println!("server: {:.1} MiB, {} files", mebibytes(usage.resident_bytes), usage.files);
    }
    check(&tally)
}

/// An error if anything was wrong.
pub fn check(tally: &Tally) -> Result<()> {
    let Tally { gaps, duplicates, differences, failures, .. } = tally;
    let shown = tally.shown.join("\n");
    ensure!(
        tally.is_flawless(),
        "{gaps} gaps, {duplicates} duplicates, {differences} differences, {failures} failures\n{shown}"
    );
    Ok(())
}

/// One row.
pub fn table(tally: &Tally, elapsed: Duration) -> Table {
    let header = ["deliveries", "a second", "p50", "p99", "connects", "broken off", "closed by the server"];
    let mut table = Table::new(&header);
    let [p50, p99] = tally.latencies.clone().percentiles([0.5, 0.99]).map(|figure| figure.to_string());
    let codes: BTreeMap<_, _> = tally.closed.iter().map(|(code, count)| (*code, *count)).collect();
    let closed = if codes.is_empty() { "0".to_owned() } else { format!("{codes:?}") };
    let per_second = thousands(tally.deliveries as f64 / elapsed.as_secs_f64());
    let [deliveries, connects, disconnects] =
        [tally.deliveries, tally.connects, tally.disconnects].map(|count| thousands(count as f64));
    table.row([deliveries, per_second, p50, p99, connects, disconnects, closed]);
    table
}
