//! Reads of a shop with 100,000 orders: over HTTP with ever other values, and the tree of three levels against what a
//! careful program without Tandem would do, in one process.
//!
//! - `seed`: the shop, put into the tables by SQL, since writing it by mutations takes minutes
//! - `cases`: what is asked over HTTP
//! - `batched`: the same tree, loaded level by level

mod batched;
mod cases;
mod seed;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
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

use crate::load::Outcome;
use crate::place::{ENCRYPTION_KEY, NewDatabase, Place};
use crate::rounds::{Rounds, alternate};
use crate::served::Tandem;
use crate::store::RESOURCES;

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
}

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The tree in process.
    InProcess,
    /// A case over HTTP.
    OverHttp(cases::Case),
}

impl ValueEnum for Part {
    fn value_variants<'a>() -> &'a [Self] {
        use cases::Case;
        const {
            &[
                Self::InProcess,
                Self::OverHttp(Case::ById),
                Self::OverHttp(Case::List),
                Self::OverHttp(Case::Filtered),
                Self::OverHttp(Case::Tree),
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
}

/// What was measured on one kind of database.
pub struct Measured {
    /// Each case over HTTP, by name.
    pub cases: Vec<(cases::Case, Outcome)>,
    /// Trees per second in process, unless only something else was wanted.
    pub trees: Option<Trees>,
}

/// Trees per second, in process.
pub struct Trees {
    /// By Tandem.
    pub tandem: Rounds,
    /// By one statement for each level.
    pub batched: Rounds,
}

/// Measures everything on one kind of database.
pub async fn run(binary: &Path, place: &Place, args: &ReadsArgs) -> Result<Measured> {
    ensure!(args.orders >= 1000, "a shop with less than 1,000 orders says nothing");
    let database = place.make().await?;
    let trees = in_process(&database, args).await?;
    if args.only == [Part::InProcess] {
        database.remove().await?;
        return Ok(Measured { cases: Vec::new(), trees });
    }
    let tandem = Tandem::start_on(binary, database, &[]).await?;
    let cases = cases::run(&tandem, args).await;
    tandem.stop().await?;
    Ok(Measured { cases: cases?, trees })
}

/// Fills the shop and compares the two ways to load the tree. A runtime of its own has threads for them, which the load
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
                true => compare(&parts, &args).await.map(|(tandem, batched)| Some(Trees { tandem, batched })),
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

async fn compare(parts: &Arc<Parts>, args: &ReadsArgs) -> Result<(Rounds, Rounds)> {
    let cursors =
        batched::cursors("orders", args.orders, async |query, variables| batched::ask(parts, query, variables).await);
    let cursors: Arc<[String]> = cursors.await?.into();
    for nth in [0, args.orders / 2] {
        let ours = batched::by_tandem(parts, &cursors[nth as usize]).await?;
        let theirs = batched::by_level(&parts.database, nth).await?;
        if ours != theirs {
            bail!("not the same tree:\n{}\n{}", String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        }
    }
    let trees = args.orders - batched::ORDERS;
    alternate(
        args.rounds,
        async || {
            let (parts, cursors) = (Arc::clone(parts), Arc::clone(&cursors));
            per_second(args, trees, move |nth| {
                let (parts, cursors) = (Arc::clone(&parts), Arc::clone(&cursors));
                async move { batched::by_tandem(&parts, &cursors[nth as usize]).await }
            })
            .await
        },
        async || {
            let database = parts.database.clone();
            per_second(args, trees, move |nth| {
                let database = database.clone();
                async move { batched::by_level(&database, nth).await }
            })
            .await
        },
    )
    .await
}

/// Loads trees from anywhere in the shop, as many at the same time as there are tasks.
async fn per_second<F>(args: &ReadsArgs, trees: u64, load: impl Fn(u64) -> F + Clone + Send + 'static) -> Result<f64>
where
    F: Future<Output = Result<Vec<u8>>> + Send,
{
    let start = Instant::now() + Duration::from_millis(300);
    let end = start + Duration::from_secs(args.seconds);
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
