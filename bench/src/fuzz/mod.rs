//! Random garbage, for as long as one likes: documents, tokens, frames and cursors.
//!
//! - `garbage`: what is sent, from noise to what is nearly right
//! - `attempt`: over HTTP
//! - `frames`: over WebSocket and Server-Sent Events
//!
//! A finding is a code that is not the right one, an answer that does not come, a line in the server's log that says it
//! panicked or failed, and memory or connections that are still held when all clients have left.

mod attempt;
mod frames;
mod garbage;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::attempt::Victim;
use self::garbage::Garbage;
use crate::place::Place;
use crate::served::Tandem;
use crate::table::{Table, thousands};
use crate::usage::Usage;

/// Clients that send garbage side by side.
const CLIENTS: u64 = 4;
/// Of the time, before the memory is looked at for the first time: caches fill.
const WARM_UP_SHARE: u32 = 4;
/// What caches may still grow by afterwards, see "Limits" in ARCHITECTURE.md.
const MOST_GROWTH_BYTES: u64 = 64 << 20;
/// Connections to the database may be more than at the start.
const MOST_FILES_MORE: usize = 24;
const PATIENCE: Duration = Duration::from_secs(60);
const KINDS: [&str; 7] = ["documents", "tokens", "cursors", "noise", "messages", "frames", "subscriptions"];

/// How much of it.
#[derive(Debug, Clone, Args)]
pub struct FuzzArgs {
    /// For how long, in seconds.
    #[arg(long, default_value_t = 300)]
    pub seconds: u64,
    /// The beginning of everything random [default: a random one]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs it on a new server.
pub async fn run(binary: &Path, place: &Place, args: &FuzzArgs) -> Result<Table> {
    let seed = args.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let tandem = Tandem::start(binary, place, &[]).await?;
    let authorization = tandem.authorization("root", &["admin"]).await?;
    let as_of = tandem.client(&authorization).await?.ask("{ products(first: 1) { asOf } }", Value::Null).await?;
    let cursor = as_of["products"]["asOf"].as_str().context("a connection has an asOf")?.to_owned();
    let token = authorization.trim_start_matches("Bearer ").to_owned();
    let victim = Victim { address: tandem.address, token, cursor };
    let start = tandem.server.usage()?;
    let time = Duration::from_secs(args.seconds);
    let mut counts = [0; KINDS.len()];
    add(&mut counts, send(&victim, time / WARM_UP_SHARE, seed).await?);
    let warm = rest(&tandem, start).await?;
    add(&mut counts, send(&victim, time - time / WARM_UP_SHARE, !seed).await?);
    let end = rest(&tandem, start).await?;

    let growth = end.resident_bytes.saturating_sub(warm.resident_bytes);
    ensure!(growth <= MOST_GROWTH_BYTES, "the server has grown by {growth} bytes");
    let complaints = tandem.server.complaints().lines();
    ensure!(complaints.is_empty(), "the server complained:\n{}", complaints.join("\n"));
    is_well(&tandem, &authorization).await.context("the server is not well afterwards")?;
    tandem.stop().await?;

    let title = format!("garbage, {}", place.name());
    let mut table = Table::new(&[&title, "sent", "findings"]);
    for (kind, count) in KINDS.iter().zip(counts) {
        table.row([(*kind).to_owned(), thousands(count as f64), "0".to_owned()]);
    }
    let mebibytes = |usage: Usage| format!("{:.1} MiB", usage.resident_bytes as f64 / 1024.0 / 1024.0);
    table.row(["memory when warm, at the end".to_owned(), mebibytes(warm), mebibytes(end)]);
    table.row(["open files at the start, at the end".to_owned(), start.files.to_string(), end.files.to_string()]);
    Ok(table)
}

type Counts = [u64; KINDS.len()];

fn add(counts: &mut Counts, more: Counts) {
    counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
}

/// Sends garbage for so long. How often of each kind.
async fn send(victim: &Victim, time: Duration, seed: u64) -> Result<Counts> {
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        // Runs with neighbouring seeds have nothing in common.
        let (victim, seed) = (victim.clone(), (seed ^ (client << 48)).rotate_left(7));
        clients.spawn(async move {
            let mut garbage = Garbage::new(seed);
            let mut counts = Counts::default();
            while Instant::now() < end {
                let kind = garbage.below(KINDS.len());
                let outcome = match kind {
                    0 => victim.document(&mut garbage).await,
                    1 => victim.token(&mut garbage).await,
                    2 => victim.cursor(&mut garbage).await,
                    3 => victim.noise(&mut garbage).await,
                    4 => victim.message(&mut garbage).await,
                    5 => victim.frames(&mut garbage).await,
                    _ => victim.subscription(&mut garbage).await,
                };
                outcome.with_context(|| format!("found among {}", KINDS[kind]))?;
                counts[kind] += 1;
            }
            anyhow::Ok(counts)
        });
    }
    let mut all = Counts::default();
    while let Some(counts) = clients.join_next().await {
        add(&mut all, counts??);
    }
    Ok(all)
}

/// Waits until all connections are gone that clients have left. What the server costs then.
async fn rest(tandem: &Tandem, start: Usage) -> Result<Usage> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let usage = tandem.server.usage()?;
        if usage.files <= start.files + MOST_FILES_MORE {
            return Ok(usage);
        }
        ensure!(Instant::now() < deadline, "{} open files, {} at the start", usage.files, start.files);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// It still does what it is for.
async fn is_well(tandem: &Tandem, authorization: &str) -> Result<()> {
    const CREATE: &str = "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { \
                          code message } } }";
    let mut client = tandem.client(authorization).await?;
    let input = json!({ "sku": "AFTER-ALL", "name": "Still here", "price": "1.00" });
    let made = client.ask(CREATE, json!({ "input": input })).await?;
    let id = &made["createProduct"]["product"]["id"];
    let found = client.ask("query($id: ID!) { product(by: { id: $id }) { sku } }", json!({ "id": id })).await?;
    ensure!(found["product"]["sku"] == json!("AFTER-ALL"), "{found}");
    Ok(())
}
