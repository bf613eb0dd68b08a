//! The load tool and the comparisons.
//!
//! Figures mean something only as ratios of one run on one machine: `load` drives any server, `bare-server` is the
//! least that an HTTP server can do, for comparison. Build it in release.
//!
//! - `wire`: HTTP/1.1 as far as a load client needs it
//! - `writer`: group commit against one transaction per mutation, in process
//! - `load`: many connections that ask as fast as they are answered
//! - `latency`: percentiles
//! - `bare`: the constant answer
//! - `process`: servers in processes of their own
//! - `place`: new databases
//! - `rounds`: two cases in turn
//! - `store`: what is asked and written
//! - `table`: what people read

#![expect(clippy::print_stdout, reason = "this program's results go to standard output")]

mod bare;
mod latency;
mod load;
mod place;
mod process;
mod rounds;
mod store;
mod table;
mod wire;
mod writer;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::load::{Amount, Load};
use crate::place::Place;
use crate::rounds::Rounds;
use crate::table::Table;
use crate::writer::WriterArgs;

/// Measures Tandem against what it is built on.
#[derive(Debug, Parser)]
#[command(name = "tandem-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates through the writer, against the same with one mutation in each transaction.
    Writer {
        #[command(flatten)]
        databases: Databases,
        #[command(flatten)]
        args: WriterArgs,
    },
    /// Asks a server one question as often as it answers.
    Load(LoadArgs),
    /// Measures the bare server: what this machine and this client can do at most.
    Bare(BareArgs),
    /// Answers every request with a constant, until it is killed.
    BareServer(BareServerArgs),
}

#[derive(Debug, Args)]
struct Databases {
    /// Also on this PostgreSQL server, in databases that are made and removed. Its user must be allowed to do so.
    #[arg(long, env = "BENCH_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// Not on SQLite.
    #[arg(long, requires = "postgres_url")]
    no_sqlite: bool,
}

impl Databases {
    async fn places(&self) -> Result<Vec<Place>> {
        let sqlite = (!self.no_sqlite).then_some(Place::Sqlite);
        let postgres = self.postgres_url.clone().map(|url| Place::Postgres { url });
        let places: Vec<_> = sqlite.into_iter().chain(postgres).collect();
        for place in &places {
            place.check().await?;
        }
        Ok(places)
    }
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// The path that is asked.
    #[arg(long, default_value = "/graphql")]
    path: String,
    /// A GraphQL document, sent as the `query` of a JSON body.
    #[arg(long, default_value = "{ __typename }")]
    query: String,
    /// Sent as a bearer token.
    #[arg(long, env = "TANDEM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    pace: Pace,
}

#[derive(Debug, Args)]
struct BareArgs {
    /// Length of the answer's body.
    #[arg(long, default_value_t = 128)]
    size_bytes: usize,
    #[command(flatten)]
    pace: Pace,
}

#[derive(Debug, Args)]
struct BareServerArgs {
    /// Where to listen; the line on standard output says which port it became.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Length of the answer's body.
    #[arg(long, default_value_t = 128)]
    size_bytes: usize,
}

#[derive(Debug, Args)]
struct Pace {
    /// Connections, each with one request on its way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How long to run before, in seconds.
    #[arg(long, default_value_t = 1)]
    warm_up_seconds: u64,
}

impl Pace {
    fn amount(&self) -> Amount {
        let warm_up = Duration::from_secs(self.warm_up_seconds);
        Amount::Time { warm_up, measured: Duration::from_secs(self.seconds) }
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    // The client has one thread, so that the server has the rest of the machine; a server has as many as it wants.
    let client = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let server = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match cli.command {
        Command::Writer { databases, args } => server()?.block_on(run_writer(&databases, &args)),
        Command::Load(args) => client()?.block_on(run_load(args)),
        Command::Bare(args) => client()?.block_on(run_bare(args)),
        Command::BareServer(args) => server()?.block_on(bare::serve(args.listen, args.size_bytes)),
    }
}

async fn run_writer(databases: &Databases, args: &WriterArgs) -> Result<()> {
    let mut table = Table::new(&["creates/s", "median", "min", "max", "ratio"]);
    for place in databases.places().await? {
        let (batched, single) = writer::run(&place, args).await?;
        let ratio = format!("{:.1}", batched.median() / single.median());
        let mut row = |name: &str, rounds: &Rounds, ratio: String| {
            table.row([format!("{}, {name}", place.name())].into_iter().chain(rounds.cells()).chain([ratio]));
        };
        row("one transaction each", &single, String::new());
        row("the writer", &batched, ratio);
    }
    print!("{table}");
    Ok(())
}

async fn run_load(args: LoadArgs) -> Result<()> {
    let body = serde_json::json!({ "query": args.query }).to_string();
    let mut load = Load::new(args.address, &args.path, args.pace.connections, args.pace.amount());
    if let Some(token) = &args.token {
        load = load.header("authorization", &format!("Bearer {token}"));
    }
    let outcome = load.run(move |_, _, out| out.extend_from_slice(body.as_bytes())).await?;
    print!("{}", load::table([(args.path.as_str(), &outcome)]));
    ensure!(outcome.failures == 0, "{} requests failed: {}", outcome.failures, outcome.first_failure);
    Ok(())
}

async fn run_bare(args: BareArgs) -> Result<()> {
    let server = process::start_bare(args.size_bytes).await.context("the bare server did not start")?;
    let load = Load::new(server.address, "/", args.pace.connections, args.pace.amount());
    let outcome = load.run(|_, _, out| out.extend_from_slice(b"{}")).await?;
    print!("{}", load::table([("bare axum handler", &outcome)]));
    Ok(())
}
