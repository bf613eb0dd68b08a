//! The load tool and the comparisons.
//!
//! Figures mean something only as ratios of one run on one machine: `load` drives any server, `bare-server` is the
//! least that an HTTP server can do, for comparison. Build it in release.
//!
//! - `wire`: HTTP/1.1 as far as a load client needs it
//! - `writer`: group commit against one transaction per mutation, in process
//! - `http`: the server over HTTP, against itself without group commit and against the least
//! - `reads`: a large shop, over HTTP and against a loader that asks level by level
//! - `live`: live push: latency, deliveries, groups, idle subscriptions, reconnects, slow clients
//! - `webhooks`: durable push: deliveries, latency, mutations meanwhile
//! - `follow`: the load client for subscriptions
//! - `chaos`: what must hold whatever goes wrong
//! - `fuzz`: random garbage
//! - `hostile`: receivers of webhooks that mean harm, and what they cost
//! - `rivals`: what live push is compared with
//! - `by_hand`: single loads, on servers that are running or bare
//! - `load`: many connections that ask as fast as they are answered
//! - `latency`: percentiles
//! - `steadiness`: whether the machine itself runs steadily
//! - `bare`: the constant answer
//! - `process`: servers in processes of their own
//! - `served`: the `tandem` binary, on a new database
//! - `usage`: what a process costs
//! - `place`: new databases
//! - `rounds`: two cases in turn
//! - `store`: what is asked and written
//! - `target`: what was asked for, and whether it was reached
//! - `table`: what people read

#![expect(clippy::print_stdout, reason = "this program's results go to standard output")]

mod bare;
mod by_hand;
mod chaos;
mod follow;
mod fuzz;
mod hostile;
mod http;
mod latency;
mod live;
mod load;
mod place;
mod process;
mod reads;
mod rivals;
mod rounds;
mod served;
mod steadiness;
mod store;
mod table;
mod target;
mod usage;
mod webhooks;
mod wire;
mod writer;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::task::LocalSet;

use crate::by_hand::{BareArgs, BareServerArgs, LoadArgs};
use crate::chaos::{DisconnectsArgs, ReplicasArgs};
use crate::follow::command::FollowArgs;
use crate::fuzz::FuzzArgs;
use crate::hostile::{HostileArgs, ReceiversArgs};
use crate::http::HttpArgs;
use crate::live::LiveArgs;
use crate::place::Place;
use crate::reads::ReadsArgs;
use crate::reads::postgraphile::Pair;
use crate::rounds::Rounds;
use crate::served::Binary;
use crate::table::{Table, thousands};
use crate::target::Target;
use crate::webhooks::WebhooksArgs;
use crate::writer::WriterArgs;

/// That of the server: the client has a processor in common with it, and what one of them takes the other one lacks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Tandem against what it is built on.
#[derive(Debug, Parser)]
#[command(name = "tandem-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that there is a target for, and a summary.
    All {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        /// How often each case is measured.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each round measures, in seconds.
        #[arg(long, default_value_t = 2)]
        seconds: u64,
    },
    /// Creates through the writer, against the same with one mutation in each transaction.
    Writer {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        args: WriterArgs,
    },
    /// Creates and reads over HTTP, against the server without group commit and against a bare server.
    Http {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: HttpArgs,
    },
    /// A shop with 100,000 orders: single rows, lists and trees over HTTP, and the tree against a batched loader.
    Reads {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: ReadsArgs,
    },
    /// Live push: latency, deliveries a second, many groups, idle subscriptions, reconnects, slow clients.
    Live {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: LiveArgs,
    },
    /// Durable push: deliveries a second, latency, and mutations while deliveries go on.
    Webhooks {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: WebhooksArgs,
    },
    /// Breaks connections off and kills the server; finds gaps, duplicates and differences. An error is a finding.
    Disconnects {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: DisconnectsArgs,
    },
    /// Takes snapshots and follows them under load; finds what is not as in the database. An error is a finding.
    Replicas {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: ReplicasArgs,
    },
    /// 1,000 connections to hostile receivers of webhooks at once: memory, slots, and the latency of healthy receivers.
    Hostile {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: HostileArgs,
    },
    /// Sends documents, tokens, frames and cursors of random garbage. An error is a finding.
    Fuzz {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        binary: Binary,
        #[command(flatten)]
        args: FuzzArgs,
    },
    /// Follows a subscription of a running server over many connections, and checks what it brings.
    Follow(FollowArgs),
    /// Asks a server one question as often as it answers.
    Load(LoadArgs),
    /// Measures the bare server: what this machine and this client can do at most.
    Bare(BareArgs),
    /// Answers every request with a constant, until it is killed.
    BareServer(BareServerArgs),
    /// Receives webhooks and does harm, until it is killed.
    HostileReceivers(ReceiversArgs),
    /// Receives webhooks, and tells what has come, until it is killed.
    WebhookReceiver,
    /// Sends what it is told to all subscribers, until it is killed.
    RivalServer {
        /// Which one.
        #[arg(value_enum)]
        kind: rivals::Kind,
    },
}

#[derive(Debug, Args)]
struct Databases {
    /// Also on this PostgreSQL server, in databases that are made and removed. Its user must be allowed to do so.
    #[arg(long, env = "BENCH_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// On this kind of database alone.
    #[arg(long, value_enum, requires_if("postgres", "postgres_url"))]
    database: Option<place::Kind>,
}

impl Databases {
    /// For measurements: a database that is not durable is refused.
    async fn places(&self) -> Result<Vec<Place>> {
        let places: Vec<_> = self.any_places().collect();
        for place in &places {
            place.check().await?;
        }
        Ok(places)
    }

    /// For what is not about speed.
    fn any_places(&self) -> impl Iterator<Item = Place> {
        let is_wanted = |kind| self.database.is_none_or(|only| only == kind);
        let sqlite = is_wanted(place::Kind::Sqlite).then_some(Place::Sqlite);
        let postgres = self.postgres_url.clone().filter(|_| is_wanted(place::Kind::Postgres));
        sqlite.into_iter().chain(postgres.map(|url| Place::Postgres { url }))
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    // Also for the servers, which inherit it.
    rlimit::increase_nofile_limit(u64::MAX).context("the number of open files cannot be raised")?;
    // The client has one thread, so that the server has the rest of the machine; a server has as many as it wants.
    let client = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let server = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let targets = match cli.command {
        Command::All { databases, binary, rounds, seconds } => {
            // A missing server is found before the writer is measured, not after.
            binary.path()?;
            let mut targets = server()?.block_on(run_writer(&databases, &WriterArgs { tasks: 64, rounds, seconds }))?;
            let http = HttpArgs { connections: 64, rounds, seconds };
            targets.extend(client()?.block_on(run_http(&databases, &binary, &http))?);
            let reads = ReadsArgs {
                connections: 64,
                orders: 100_000,
                tasks: 16,
                rounds,
                seconds,
                only: Vec::new(),
                beside: None,
                warm_up_seconds: 0,
            };
            targets.extend(client()?.block_on(run_reads(&databases, &binary, &reads))?);
            let live = LiveArgs {
                cases: Vec::new(),
                rounds: rounds.min(3),
                seconds: seconds.max(4),
                share: 1.0,
                subscribers: Vec::new(),
            };
            targets.extend(client()?.block_on(run_live(&databases, &binary, &live))?);
            let webhooks = WebhooksArgs { rounds: rounds.min(3), seconds: seconds.max(4), ..WebhooksArgs::default() };
            targets.extend(client()?.block_on(run_webhooks(&databases, &binary, &webhooks))?);
            targets
        }
        Command::Writer { databases, args } => server()?.block_on(run_writer(&databases, &args))?,
        Command::Http { databases, binary, args } => client()?.block_on(run_http(&databases, &binary, &args))?,
        Command::Reads { databases, binary, args } => client()?.block_on(run_reads(&databases, &binary, &args))?,
        Command::Live { databases, binary, args } => client()?.block_on(run_live(&databases, &binary, &args))?,
        Command::Hostile { databases, binary, args } => client()?.block_on(run_hostile(&databases, &binary, &args))?,
        Command::Webhooks { databases, binary, args } => {
            client()?.block_on(run_webhooks(&databases, &binary, &args))?
        }
        Command::Disconnects { databases, binary, args } => {
            return client()?.block_on(run_disconnects(&databases, &binary, &args));
        }
        Command::Replicas { databases, binary, args } => {
            return client()?.block_on(run_replicas(&databases, &binary, &args));
        }
        Command::Fuzz { databases, binary, args } => {
            return client()?.block_on(run_fuzz(&databases, &binary, &args));
        }
        Command::Follow(args) => return client()?.block_on(follow::command::run(args)),
        Command::HostileReceivers(args) => return client()?.block_on(hostile::serve(args)),
        Command::WebhookReceiver => {
            return client()?.block_on(LocalSet::new().run_until(webhooks::receiver::serve()));
        }
        Command::RivalServer { kind } => return server()?.block_on(rivals::serve(kind)),
        Command::Load(args) => return client()?.block_on(by_hand::load(args)),
        Command::Bare(args) => return client()?.block_on(by_hand::bare(args)),
        Command::BareServer(args) => return server()?.block_on(bare::serve(args.listen, args.size_bytes)),
    };
    print!("{}", target::table(&targets));
    Ok(())
}

/// Prints a comparison: the other case, then this one with its ratio to the other.
fn print_pair(title: &str, place: &Place, theirs: (&str, &Rounds), ours: (&str, &Rounds)) -> f64 {
    let ratio = ours.1.median() / theirs.1.median();
    let mut table = Table::new(&[title, "median", "min", "max", "ratio"]);
    for ((name, rounds), ratio) in [(theirs, String::new()), (ours, format!("{ratio:.2}"))] {
        table.row([format!("{}, {name}", place.name())].into_iter().chain(rounds.cells()).chain([ratio]));
    }
    println!("{table}");
    ratio
}

async fn run_writer(databases: &Databases, args: &WriterArgs) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for place in databases.places().await? {
        let (batched, single) = writer::run(&place, args).await?;
        let cases = (("one transaction each", &single), ("the writer", &batched));
        let ratio = print_pair("writer, creates/s", &place, cases.0, cases.1);
        let what = format!("writer, creates/s, {}", place.name());
        targets.push(Target::at_least(what, thousands(batched.median()), ratio, 8.0));
    }
    Ok(targets)
}

async fn run_http(databases: &Databases, binary: &Binary, args: &HttpArgs) -> Result<Vec<Target>> {
    let binary = binary.path()?;
    let mut targets = Vec::new();
    for place in databases.places().await? {
        let measured = http::run(&binary, &place, args).await?;
        let cases = (("one transaction each", &measured.single), ("the server", &measured.batched));
        let ratio = print_pair("HTTP, creates/s", &place, cases.0, cases.1);
        let what = format!("HTTP, creates/s, {}", place.name());
        targets.push(Target::at_least(what, thousands(measured.batched.median()), ratio, 5.0));

        let bare = format!("a constant of {} bytes", measured.size_bytes);
        let cases = ((bare.as_str(), &measured.bare), ("by id", &measured.by_id));
        let ratio = print_pair("HTTP, reads/s", &place, cases.0, cases.1);
        if matches!(place, Place::Sqlite) {
            let what = "HTTP, reads by id/s, SQLite".to_owned();
            targets.push(Target::at_least(what, thousands(measured.by_id.median()), ratio, 0.5));
        }
        let name = format!("{}, 20 orders, customer, 10 lines, product", place.name());
        println!("{}", load::table([(name.as_str(), &measured.three_levels)]));
    }
    Ok(targets)
}

async fn run_reads(databases: &Databases, binary: &Binary, args: &ReadsArgs) -> Result<Vec<Target>> {
    let binary = binary.path()?;
    let mut targets = Vec::new();
    let places = databases.places().await?;
    let other = args.other(&places).await?;
    for place in places {
        let measured = reads::run(&binary, &place, args, other.as_ref()).await?;
        println!("{}: {} orders, {} connections", place.name(), thousands(args.orders as f64), args.connections);
        if !measured.cases.is_empty() {
            println!("{}", load::table(measured.cases.iter().map(|(case, outcome)| (case.name(), outcome))));
        }
        if !measured.pairs.is_empty() {
            println!("{}", reads::postgraphile::table(&measured.pairs));
            targets.extend(measured.pairs.iter().filter_map(Pair::target));
        } else if other.is_some() {
            println!("Tandem alone: PostGraphile reads PostgreSQL only.\n");
        }
        if let Some(trees) = &measured.trees {
            println!("{}", trees.table(place.name()));
            for (name, theirs) in trees.others() {
                let what = format!("the tree in process, loads/s, {}, to {name}", place.name());
                let (figure, ratio) = (thousands(trees.tandem.median()), trees.ratio(theirs));
                targets.push(Target::at_least(what, figure, ratio, 1.5));
            }
        }
        if matches!(place, Place::Postgres { .. }) {
            for (case, outcome) in &measured.cases {
                let Some((theirs, least)) = case.orientation() else { continue };
                let (what, figure) = (format!("{} (of PostGraphile's)", case.name()), outcome.per_second());
                targets.push(Target::at_least(what, thousands(figure), figure / theirs, least));
            }
        }
    }
    Ok(targets)
}

async fn run_live(databases: &Databases, binary: &Binary, args: &LiveArgs) -> Result<Vec<Target>> {
    let binary = binary.path()?;
    let mut targets = Vec::new();
    for place in databases.places().await? {
        // Its subscribers share what they know without locks, on this thread.
        let measured = live::run(&binary, &place, args, |table| println!("{table}"));
        targets.extend(LocalSet::new().run_until(measured).await?);
    }
    Ok(targets)
}

async fn run_hostile(databases: &Databases, binary: &Binary, args: &HostileArgs) -> Result<Vec<Target>> {
    let binary = binary.path()?;
    let mut targets = Vec::new();
    for place in databases.places().await? {
        let (table, reached) = LocalSet::new().run_until(hostile::run(&binary, &place, args)).await?;
        println!("{table}");
        targets.extend(reached);
    }
    Ok(targets)
}

async fn run_webhooks(databases: &Databases, binary: &Binary, args: &WebhooksArgs) -> Result<Vec<Target>> {
    let binary = binary.path()?;
    let mut targets = Vec::new();
    for place in databases.places().await? {
        let measured = webhooks::run(&binary, &place, args, |table| println!("{table}"));
        targets.extend(LocalSet::new().run_until(measured).await?);
    }
    Ok(targets)
}

async fn run_disconnects(databases: &Databases, binary: &Binary, args: &DisconnectsArgs) -> Result<()> {
    let binary = binary.path()?;
    for place in databases.any_places() {
        println!("{}", chaos::disconnects(&binary, &place, args).await?);
    }
    Ok(())
}

async fn run_replicas(databases: &Databases, binary: &Binary, args: &ReplicasArgs) -> Result<()> {
    let binary = binary.path()?;
    for place in databases.any_places() {
        println!("{}", chaos::replicas(&binary, &place, args).await?);
    }
    Ok(())
}

async fn run_fuzz(databases: &Databases, binary: &Binary, args: &FuzzArgs) -> Result<()> {
    let binary = binary.path()?;
    for place in databases.any_places() {
        println!("{}", fuzz::run(&binary, &place, args).await?);
    }
    Ok(())
}
