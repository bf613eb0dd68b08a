//! Reads of a shop with 100,000 orders: over HTTP with ever other values, and the tree of three levels against what a
//! careful program without Tandem would do, in one process.
//!
//! - `seed`: the shop, put into the tables by SQL, since writing it by mutations takes minutes
//! - `cases`: what is asked over HTTP; `asked`: how
//! - `postgraphile`: the same asked of PostGraphile, beside Tandem
//! - `batched`: the same tree, loaded level by level by hand
//! - `loaders`: the same tree as an API by async-graphql over SeaORM; `entities`: its tables

mod asked;
mod batched;
mod cases;
mod entities;
mod loaders;
pub mod postgraphile;
mod seed;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde_json::Value;
use tandem::app::parts::{self, Options, Parts};
use tandem::auth::Secret;
use tandem::catalog;
use tandem::retention;
use tandem::store::tables::Allowed;
use tandem::store::writer::Settings;
use tandem::webhook::egress::AllowList;
use tandem::webhook::retry::Schedule;
use tandem::webhook::verification::Sending;
use tandem::webhook::{registry, vault};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::cases::Case;
use self::loaders::Loaders;
use self::postgraphile::{Installed, Pair};
use crate::load::{Amount, Load, Outcome};
use crate::place::{ENCRYPTION_KEY, NewDatabase, Place};
use crate::rounds::Rounds;
use crate::served::Tandem;
use crate::store::RESOURCES;
use crate::table::Table;

/// How reads are measured.
#[derive(Debug, Clone, Args)]
pub struct ReadsArgs {
    /// Connections, each with one request on its way.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Orders in the shop, with ten lines each.
    #[arg(long, default_value_t = 100_000)]
    pub orders: u64,
    /// Loads of the tree at the same time, in process.
    #[arg(long, default_value_t = 16)]
    pub tasks: usize,
    /// How often each case is measured.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long each round measures, in seconds.
    #[arg(long, default_value_t = 2)]
    pub seconds: u64,
    /// Only these cases; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<Part>,
    /// Measures this server in turn with Tandem, on PostgreSQL and in the cases that it can be asked.
    #[arg(long, value_enum, value_name = "SERVER")]
    pub beside: Option<Beside>,
    /// How long that server is asked before it is measured, in each case, in seconds: its compiler learns while it runs.
    #[arg(long, default_value_t = 20)]
    pub warm_up_seconds: u64,
}

/// A server that can be measured beside Tandem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Beside {
    /// PostGraphile 5, which npm installs.
    #[value(name = "postgraphile")]
    PostGraphile,
}

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The tree in process.
    InProcess,
    /// A case over HTTP.
    OverHttp(Case),
}

impl ValueEnum for Part {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self::InProcess,
                Self::OverHttp(Case::ById),
                Self::OverHttp(Case::List),
                Self::OverHttp(Case::Filtered),
                Self::OverHttp(Case::Tree),
                Self::OverHttp(Case::SameTree),
                Self::OverHttp(Case::Create),
                Self::OverHttp(Case::CreateNested),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::InProcess => Some(PossibleValue::new("in-process").help("The tree in process")),
            Self::OverHttp(case) => case.to_possible_value(),
        }
    }
}

impl ReadsArgs {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// The cases over HTTP that are wanted, reads first.
    fn cases(&self) -> impl Iterator<Item = Case> {
        Case::value_variants().iter().copied().filter(|case| self.wants(Part::OverHttp(*case)))
    }

    /// Requests to a server, for so long.
    fn load(&self, address: SocketAddr, seconds: u64) -> Load {
        let amount = Amount::Time { warm_up: Duration::from_secs(1), measured: Duration::from_secs(seconds) };
        Load::new(address, "/graphql", self.connections, amount)
    }

    /// What is measured beside Tandem, ready to be started: whatever is missing is found before anything is measured.
    pub async fn other(&self, places: &[Place]) -> Result<Option<Installed>> {
        let Some(Beside::PostGraphile) = self.beside else { return Ok(None) };
        let has_postgres = places.iter().any(|place| matches!(place, Place::Postgres { .. }));
        ensure!(has_postgres, "PostGraphile reads PostgreSQL only: name one with --postgres-url, and not SQLite alone");
        ensure!(self.cases().any(postgraphile::has), "PostGraphile can be asked none of the cases that are wanted");
        Installed::ensure().await.map(Some)
    }
}

/// What was measured on one kind of database.
pub struct Measured {
    /// Each case over HTTP that Tandem alone was asked.
    pub cases: Vec<(Case, Outcome)>,
    /// Those that another server was asked in turn.
    pub pairs: Vec<Pair>,
    /// Trees per second in process, unless only something else was wanted.
    pub trees: Option<Trees>,
}

/// Trees per second, in process.
pub struct Trees {
    /// By Tandem.
    pub tandem: Rounds,
    /// By async-graphql's `DataLoader` over SeaORM: one statement for each level.
    pub loaders: Rounds,
    /// By one statement for each level, by hand.
    pub batched: Rounds,
}

impl Trees {
    /// What Tandem is compared with.
    pub fn others(&self) -> [(&'static str, &Rounds); 2] {
        [
            ("batched IN, async-graphql's DataLoader over SeaORM", &self.loaders),
            ("batched IN by hand, no GraphQL, no rights", &self.batched),
        ]
    }

    /// How many times the rate of another one that of Tandem is.
    pub fn ratio(&self, theirs: &Rounds) -> f64 {
        self.tandem.median() / theirs.median()
    }

    /// All of them, for people.
    pub fn table(&self, place: &str) -> Table {
        let mut table = Table::new(&["the tree in process, loads/s", "median", "min", "max", "Tandem's ratio"]);
        for (name, theirs) in self.others() {
            let ratio = format!("{:.2}", self.ratio(theirs));
            table.row([format!("{place}, {name}")].into_iter().chain(theirs.cells()).chain([ratio]));
        }
        table.row([format!("{place}, Tandem")].into_iter().chain(self.tandem.cells()).chain([String::new()]));
        table
    }
}

/// Measures everything on one kind of database. The other server reads PostgreSQL only.
pub async fn run(binary: &Path, place: &Place, args: &ReadsArgs, other: Option<&Installed>) -> Result<Measured> {
    ensure!(args.orders >= 1000, "a shop with less than 1,000 orders says nothing");
    let other = other.filter(|_| matches!(place, Place::Postgres { .. }));
    let database = place.make().await?;
    let trees = in_process(&database, args).await?;
    if args.only == [Part::InProcess] {
        database.remove().await?;
        return Ok(Measured { cases: Vec::new(), pairs: Vec::new(), trees });
    }
    let tandem = Tandem::start_on(binary, database, &[]).await?;
    let measured = over_http(&tandem, args, other).await;
    tandem.stop().await?;
    let (cases, pairs) = measured?;
    Ok(Measured { cases, pairs, trees })
}

async fn over_http(
    tandem: &Tandem,
    args: &ReadsArgs,
    other: Option<&Installed>,
) -> Result<(Vec<(Case, Outcome)>, Vec<Pair>)> {
    let is_shared = |case: &Case| other.is_some() && postgraphile::has(*case);
    let pairs = match other {
        Some(other) => postgraphile::run(other, tandem, args.cases().filter(is_shared), args).await?,
        None => Vec::new(),
    };
    let cases = cases::run(tandem, args.cases().filter(|case| !is_shared(case)), args).await?;
    Ok((cases, pairs))
}

/// Fills the shop and compares the ways to load the tree. A runtime of its own has threads for them, which the load
/// client does without.
async fn in_process(database: &NewDatabase, args: &ReadsArgs) -> Result<Option<Trees>> {
    let (url, args) = (database.url.clone(), args.clone());
    let compare = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
            let parts = Arc::new(open(&url, &stop, &tasks).await?);
            seed::fill(&url, args.orders).await?;
            let figures = match args.wants(Part::InProcess) {
                true => compare(&parts, &url, &args).await.map(Some),
                false => Ok(None),
            };
            stop.cancel();
            tasks.close();
            drop(parts);
            tasks.wait().await;
            figures
        })
    };
    tokio::task::spawn_blocking(compare).await?
}

async fn open(url: &str, stop: &CancellationToken, tasks: &TaskTracker) -> Result<Parts> {
    let options = Options {
        database_url: url.to_owned(),
        catalog: Arc::new(catalog::parse("resources.graphql", RESOURCES).context("the store that ships is sound")?),
        allowed: Allowed::default(),
        writer: Settings::default(),
        webhook_allow: AllowList::none(),
        webhook_schedule: Schedule::default(),
        webhook_timeout: Duration::from_secs(15),
        retention: retention::Settings::default(),
        webhooks: registry::Settings::default(),
        sending: Sending::default(),
        encryption: vault::Source::Given(Secret::new(ENCRYPTION_KEY)),
        debug_extensions: false,
    };
    Ok(parts::open(options, stop, tasks).await?)
}

async fn compare(parts: &Arc<Parts>, url: &str, args: &ReadsArgs) -> Result<Trees> {
    let query = batched::cursor_query("orders");
    let ask = async |query: &str, variables| batched::ask(parts, query, variables).await;
    let cursors = batched::cursors("orders", &query, args.orders, ask);
    let cursors: Arc<[String]> = cursors.await?.into();
    let loaders = Arc::new(Loaders::connect(url).await?);
    for nth in [0, args.orders / 2] {
        let ours = batched::by_tandem(parts, &cursors[nth as usize]).await?;
        for theirs in [batched::by_level(&parts.database, nth).await?, loaders.tree(nth).await?] {
            if serde_json::from_slice::<Value>(&ours)? != serde_json::from_slice::<Value>(&theirs)? {
                bail!("not the same tree:\n{}\n{}", String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
            }
        }
    }
    let mut trees = Trees { tandem: Rounds::default(), loaders: Rounds::default(), batched: Rounds::default() };
    // In turn, so that whatever else the machine does hits all of them.
    for _ in 0..args.rounds {
        let (of, cursors) = (Arc::clone(parts), Arc::clone(&cursors));
        let load = move |nth| {
            let (parts, cursors) = (Arc::clone(&of), Arc::clone(&cursors));
            async move { batched::by_tandem(&parts, &cursors[nth as usize]).await }
        };
        trees.tandem.push(per_second(args, load).await?);
        let of = Arc::clone(&loaders);
        let load = move |nth| {
            let loaders = Arc::clone(&of);
            async move { loaders.tree(nth).await }
        };
        trees.loaders.push(per_second(args, load).await?);
        let of = parts.database.clone();
        let load = move |nth| {
            let database = of.clone();
            async move { batched::by_level(&database, nth).await }
        };
        trees.batched.push(per_second(args, load).await?);
    }
    Ok(trees)
}

/// Loads trees from anywhere in the shop, as many at the same time as there are tasks.
async fn per_second<F>(args: &ReadsArgs, load: impl Fn(u64) -> F + Clone + Send + 'static) -> Result<f64>
where
    F: Future<Output = Result<Vec<u8>>> + Send,
{
    let start = Instant::now() + Duration::from_millis(300);
    let end = start + Duration::from_secs(args.seconds);
    let trees = args.orders - batched::ORDERS;
    let mut tasks = JoinSet::new();
    for task in 0..args.tasks as u64 {
        let load = load.clone();
        tasks.spawn(async move {
            let mut counted = 0_u64;
            for nth in 0_u64.. {
                load(cases::scatter(task << 32 | nth) % trees).await?;
                let now = Instant::now();
                if now >= end {
                    break;
                }
                counted += u64::from(now >= start);
            }
            anyhow::Ok(counted)
        });
    }
    let mut all = 0;
    while let Some(counted) = tasks.join_next().await {
        all += counted??;
    }
    Ok(all as f64 / args.seconds as f64)
}
