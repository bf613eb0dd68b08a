//! Single loads by hand: on a server that is running, and on the least that a server can do.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::load::{self, Amount, Load};
use crate::process;

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub struct LoadArgs {
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

/// How the bare server is measured.
#[derive(Debug, Args)]
pub struct BareArgs {
    /// Length of the answer's body.
    #[arg(long, default_value_t = 128)]
    size_bytes: usize,
    #[command(flatten)]
    pace: Pace,
}

/// What the bare server does.
#[derive(Debug, Args)]
pub struct BareServerArgs {
    /// Where to listen; the line on standard output says which port it became.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Length of the answer's body.
    #[arg(long, default_value_t = 128)]
    pub size_bytes: usize,
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

/// Asks a server one question as often as it answers.
pub async fn load(args: LoadArgs) -> Result<()> {
    let body = serde_json::json!({ "query": args.query }).to_string();
    let mut load = Load::new(args.address, &args.path, args.pace.connections, args.pace.amount());
    if let Some(token) = &args.token {
        load = load.header("authorization", &format!("Bearer {token}"));
    }
    let outcome = load.run(move |_, _, out| out.extend_from_slice(body.as_bytes())).await?;
    print!("{}", load::table([(args.path.as_str(), &outcome)]));
    outcome.flawless().map(|_| ())
}

/// Measures the bare server.
pub async fn bare(args: BareArgs) -> Result<()> {
    let server = process::start_bare(args.size_bytes).await.context("the bare server did not start")?;
    let load = Load::new(server.address, "/", args.pace.connections, args.pace.amount());
    let outcome = load.run(|_, _, out| out.extend_from_slice(b"{}")).await?;
    print!("{}", load::table([("bare axum handler", &outcome)]));
    Ok(())
}
