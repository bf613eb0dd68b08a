//! A thousand connections to receivers that mean harm, all at once, and what they cost: memory, slots, and the patience of
//! healthy receivers.
//!
//! - `harm`: what receivers do instead of answering
//! - `receivers`: those that do, on a thread of their own
//! - `healthy`: those that answer at once
//!
//! Each round measures the healthy ones before and during, on the same server, for the same time; webhooks of hostile
//! receivers are made anew for each round, for those of the round before have been found out. A server that has just started
//! grows by itself, as what it has read and written fills its caches: so it has written enough to fill them, and what it grew
//! by before is not counted as harm.

mod harm;
mod healthy;
mod receivers;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub use self::harm::Harm;
use self::healthy::Healthy;
use self::receivers::Receivers;
pub use self::receivers::{ReceiversArgs, serve};
use crate::latency::Millis;
use crate::live::stage::{Pace, Stage};
use crate::place::Place;
use crate::rounds::Rounds;
use crate::served::Client;
use crate::steadiness::{Steadiness, Timed, Watch};
use crate::table::{Table, thousands};
use crate::target::Target;

const CREATE_WEBHOOK: &str = "mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id }
    userErrors { code message path } } }";
const DELETE_WEBHOOK: &str = "mutation($input: DeleteWebhookInput!) { deleteWebhook(input: $input) { deletedWebhookId
    userErrors { code message path } } }";
const CREATE_MANY: &str =
    "mutation($input: CreateProductsInput!) { createProducts(input: $input) { userErrors { code } } }";
/// What is for hostile receivers has this much in stock, everything else has none.
const HOSTILE_STOCK: u32 = 1;
/// Where redirects lead: the metadata of a machine in a cloud.
const METADATA: &str = "http://169.254.169.254/latest/meta-data/";
/// A slot is free so soon after the deadline of its request.
const SLACK: Duration = Duration::from_secs(1);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What is written at first, in mutations of so many: the caches of SQLite hold as much.
const WRITTEN: usize = 24_000;
const TOGETHER: usize = 500;
/// That nobody waits for.
const OTHER_STOCK: u32 = 2;
const WARM_UP: Duration = Duration::from_secs(2);
/// Of what it was.
const MOST_SLOWER: f64 = 1.5;
const MOST_GROWTH_MEBIBYTES: f64 = 32.0;

/// How much of it.
#[derive(Debug, Clone, Args)]
pub struct HostileArgs {
    /// Connections to hostile receivers that are open at once.
    #[arg(long, default_value_t = 1_000)]
    pub connections: usize,
    /// Only these kinds of harm; may be repeated [default: nine kinds]
    #[arg(long = "only", value_enum)]
    pub only: Vec<Harm>,
    /// Healthy webhooks.
    #[arg(long, default_value_t = 10)]
    pub healthy: usize,
    /// Products that are made in a second, each of which goes to all healthy webhooks.
    #[arg(long, default_value_t = 50)]
    pub rate: u64,
    /// The deadline of a request, in seconds.
    #[arg(long, default_value_t = 15)]
    pub timeout: u64,
    /// How often it is measured.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
}

impl HostileArgs {
    fn harms(&self) -> Vec<Harm> {
        if self.only.is_empty() { Harm::USUAL.to_vec() } else { self.only.clone() }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Runs it on a new server. To be used inside a `LocalSet`.
pub async fn run(binary: &Path, place: &Place, args: &HostileArgs) -> Result<(Table, Vec<Target>)> {
    ensure!(args.rounds > 0 && args.rate > 0 && args.healthy > 0, "there must be something to measure");
    let timeout = format!("{}s", args.timeout);
    let mut stage = Stage::start(binary, place, &["--webhook-timeout", &timeout]).await?;
    let mut client = stage.client().await?;
    for _ in 0..WRITTEN / TOGETHER {
        write(&mut client, TOGETHER, OTHER_STOCK).await?;
    }
    let healthy = Healthy::start(args.healthy).await?;
    for url in &healthy.urls {
        register(&mut stage, url, 0, 16).await?;
    }
    let mut watched = Watched { stage, healthy, sent: 0 };
    watched.pace(args.rate, WARM_UP).await?;
    let mut figures = Figures::default();
    for _ in 0..args.rounds {
        round(&mut watched, args, &mut figures).await?;
    }
    let complaints = watched.stage.tandem.server.complaints().lines();
    ensure!(complaints.is_empty(), "the server complained:\n{}", complaints.join("\n"));
    watched.stage.stop().await?;
    Ok(figures.report(place, args))
}

/// A server and its healthy receivers.
struct Watched {
    stage: Stage,
    healthy: Healthy,
    sent: usize,
}

impl Watched {
    /// Makes products for so long. The times until the healthy ones have them.
    async fn pace(&mut self, rate: u64, during: Duration) -> Result<Times> {
        let watch = Watch::begin()?;
        let (count, _) = self.stage.pace(Pace::new(rate, during), self.healthy.sender()).await?;
        self.sent += count;
        let timed = self.healthy.everybody_has(self.sent).await?;
        Ok(Times { timed, steadiness: watch.end()? })
    }
}

/// How long messages took to the healthy ones.
struct Times {
    timed: Timed,
    steadiness: Steadiness,
}

impl Times {
    /// The 99th percentile of all; and of those while the machine was steady, the 50th and the 99th.
    fn figures(&self) -> [Millis; 3] {
        let [all] = self.timed.all().percentiles([0.99]);
        let [p50, p99] = self.timed.steady(&self.steadiness).percentiles([0.5, 0.99]);
        [all, p50, p99]
    }
}

#[derive(Default)]
struct Figures {
    /// See [`Times::figures`].
    before: [Rounds; 3],
    during: [Rounds; 3],
    left_out: [String; 2],
    /// Of the round in which it was most beside what is usual.
    growth_mebibytes: f64,
    usual_mebibytes: f64,
    open: usize,
    longest: Duration,
}

async fn round(watched: &mut Watched, args: &HostileArgs, figures: &mut Figures) -> Result<()> {
    let harms = args.harms();
    let each = args.connections.div_ceil(harms.len());
    // Until every one of them has come to its deadline.
    let during = args.timeout() + SLACK;
    let grown = Growth::begin(watched)?;
    let before = watched.pace(args.rate, during).await?;
    let usual_mebibytes = grown.mebibytes(watched.stage.tandem.server.usage()?.resident_bytes);
    let receivers = Receivers::start(&harms, METADATA, each * harms.len())?;
    let mut ids = Vec::new();
    for (_, url) in &receivers.urls {
        ids.push(register(&mut watched.stage, url, HOSTILE_STOCK, each.min(256)).await?);
    }

    let grown = Growth::begin(watched)?;
    let most = Rc::new(Cell::new(0));
    let mut looking = JoinSet::new();
    let (pid, seen) = (watched.stage.tandem.server.id()?, Rc::clone(&most));
    looking.spawn_local(async move {
        while let Ok(usage) = crate::usage::Usage::of(pid) {
            seen.set(usage.resident_bytes.max(seen.get()));
            tokio::time::sleep(LOOK).await;
        }
    });
    let mut volley = watched.stage.client().await?;
    let mut firing = JoinSet::new();
    // So many events for each hostile receiver.
    firing.spawn_local(async move { write(&mut volley, each, HOSTILE_STOCK).await });
    let at = watched.pace(args.rate, during).await?;
    firing.join_next().await.context("a volley was fired")???;
    all_closed(&receivers).await?;
    looking.shutdown().await;

    figures.left_out = [&before, &at].map(|times| times.timed.left_out(&times.steadiness));
    for (i, (before, during)) in before.figures().into_iter().zip(at.figures()).enumerate() {
        figures.before[i].push(before.as_f64());
        figures.during[i].push(during.as_f64());
    }
    let growth = grown.mebibytes(most.get());
    if growth - usual_mebibytes > figures.growth_mebibytes - figures.usual_mebibytes {
        (figures.growth_mebibytes, figures.usual_mebibytes) = (growth, usual_mebibytes);
    }
    figures.open = receivers.most_open();
    figures.longest = figures.longest.max(receivers.longest());
    for id in ids {
        watched.stage.ask(DELETE_WEBHOOK, json!({"input": {"id": id}})).await?;
    }
    Ok(())
}

/// How much memory the server has taken since.
struct Growth {
    resident_bytes: u64,
}

impl Growth {
    fn begin(watched: &Watched) -> Result<Self> {
        Ok(Self { resident_bytes: watched.stage.tandem.server.usage()?.resident_bytes })
    }

    fn mebibytes(&self, resident_bytes: u64) -> f64 {
        resident_bytes.saturating_sub(self.resident_bytes) as f64 / f64::from(1 << 20)
    }
}

/// Makes so many products in one transaction.
async fn write(client: &mut Client, count: usize, stock: u32) -> Result<()> {
    let volley: u64 = rand::random();
    let product = |number: usize| {
        let sku = format!("VOLLEY-{volley:016X}-{number}");
        json!({"sku": sku, "name": "A thing for bad customers", "price": "12.50", "stock": stock})
    };
    let items: Vec<Value> = (0..count).map(product).collect();
    client.ask(CREATE_MANY, json!({"input": {"items": items}})).await?;
    Ok(())
}

/// Makes a webhook for products of which there is this much in stock. Its id.
async fn register(stage: &mut Stage, url: &str, stock: u32, max_in_flight: usize) -> Result<String> {
    let query = format!(
        "subscription {{ productChanged(filter: {{stock: {{eq: {stock}}}}}, kinds: [CREATED]) {{ kind after {{ id sku name price }} }} }}"
    );
    let input = json!({"url": url, "query": query, "maxInFlight": max_in_flight});
    let made = stage.ask(CREATE_WEBHOOK, json!({ "input": input })).await?;
    Ok(made["createWebhook"]["webhook"]["id"].as_str().context("a webhook has an id")?.to_owned())
}

/// Waits until the server holds no connection to a hostile receiver any more.
async fn all_closed(receivers: &Receivers) -> Result<()> {
    let begun = Instant::now();
    while receivers.open() > 0 {
        ensure!(begun.elapsed() < Duration::from_secs(30), "{} connections are held", receivers.open());
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

impl Figures {
    fn report(&self, place: &Place, args: &HostileArgs) -> (Table, Vec<Target>) {
        let name = place.name();
        let title = format!("hostile receivers, {name}");
        let mut table =
            Table::new(&[&title, "p99", "steady p50", "p99", "worst round", "ratio", "left out", "MiB more"]);
        let millis = |figure: f64| Millis::from_f64(figure).to_string();
        let ratio = self.during[2].median() / self.before[2].median();
        let rows = [("before", &self.before), ("meanwhile", &self.during)];
        for ((when, [all, p50, p99]), left_out) in rows.into_iter().zip(&self.left_out) {
            let is_during = when == "meanwhile";
            let figures = [all.median(), p50.median(), p99.median(), p99.max()].map(millis);
            let cells = [when.to_owned()].into_iter().chain(figures);
            let (ratio, grown) = match is_during {
                true => (format!("{ratio:.2}"), self.growth_mebibytes),
                false => (String::new(), self.usual_mebibytes),
            };
            table.row(cells.chain([ratio, left_out.clone(), format!("{grown:.1}")]));
        }
        let open = self.open;
        let over = self.longest.saturating_sub(args.timeout());
        let harm_mebibytes = (self.growth_mebibytes - self.usual_mebibytes).max(0.0);
        let targets = vec![
            Target::ratio_at_most(
                format!("p99 of healthy receivers beside {open} hostile connections, steady, {name}"),
                millis(self.during[2].median()),
                ratio,
                MOST_SLOWER,
            ),
            Target::at_most(
                format!("MiB that the server grows by beside what is usual, {name}"),
                format!("{harm_mebibytes:.1}"),
                harm_mebibytes,
                MOST_GROWTH_MEBIBYTES,
            ),
            Target::at_least(
                format!("hostile connections at once, {name}"),
                thousands(open as f64),
                open as f64 / args.connections as f64,
                1.0,
            ),
            Target::under_seconds(format!("a slot is held after its deadline, {name}"), over, SLACK),
        ];
        (table, targets)
    }
}
