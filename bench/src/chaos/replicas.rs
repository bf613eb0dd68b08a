//! Snapshot plus follow, again and again under load: a client's copy of the rows that match a filter is what the query
//! shows, and what the table holds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::replica::Replica;
use super::writers::Writers;
use crate::place::Place;
use crate::served::{Client, Tandem};
use crate::table::{Table, thousands};

/// Replicas that follow at a time.
const AT_A_TIME: u64 = 50;
/// Writes while they do.
const WRITES: u64 = 150;
const PATIENCE: Duration = Duration::from_secs(60);
const CREATE: &str = "mutation($input: CreateProductInput!) { createProduct(input: $input) { userErrors { code } } }";

/// How much of it.
#[derive(Debug, Clone, Args)]
pub struct ReplicasArgs {
    /// How many replicas are made, in all.
    #[arg(long, default_value_t = 2_000)]
    pub replicas: u64,
    /// Writes per second.
    #[arg(long, default_value_t = 300)]
    pub rate: u64,
    /// The beginning of everything random [default: a random one]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Which rows: many of the writers' come and go, and the last row of each round matches.
pub fn filter() -> Value {
    json!({ "or": [{ "stock": { "gte": 50 } }, { "tags": { "has": "always" } }] })
}

/// The last write of a round.
pub fn last_sku(round: u64) -> String {
    format!("ROUND-{round}")
}

/// Runs it on a new server.
pub async fn run(binary: &Path, place: &Place, args: &ReplicasArgs) -> Result<Table> {
    let seed = args.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let tandem = Tandem::start(binary, place, &[]).await?;
    let authorization = Arc::<str>::from(tandem.authorization("root", &["admin"]).await?);
    let (_address, addresses) = watch::channel(Some(tandem.address));
    let database = tandem.database().await?;
    let mut dice = StdRng::seed_from_u64(seed);
    let mut writers = Some(Writers::new(&addresses, &authorization, args.rate, seed)?);
    let started = Instant::now();
    let (mut made, mut events) = (0, 0);
    for round in 0.. {
        let count = AT_A_TIME.min(args.replicas - made);
        if count == 0 {
            break;
        }
        let idle = writers.take().context("the writers are between two rounds")?;
        let stage =
            Round { address: tandem.address, authorization: &authorization, database: &database, number: round };
        let (idle, seen) =
            stage.run(idle, count, args.rate, &mut dice).await.with_context(|| format!("round {round}"))?;
        writers = Some(idle);
        made += count;
        events += seen;
    }
    let written = writers.as_ref().map_or(0, Writers::answered) as f64 / started.elapsed().as_secs_f64();
    drop(database);
    let complaints = tandem.server.complaints().lines();
    ensure!(complaints.is_empty(), "the server complained:\n{}", complaints.join("\n"));
    tandem.stop().await?;
    let title = format!("replicas, {}", place.name());
    let mut table = Table::new(&[&title, "events applied", "writes/s", "differences"]);
    table.row([thousands(made as f64), thousands(events as f64), thousands(written), "0".to_owned()]);
    Ok(table)
}

struct Round<'a> {
    address: SocketAddr,
    authorization: &'a Arc<str>,
    database: &'a DatabaseConnection,
    number: u64,
}

impl Round<'_> {
    /// How many events the replicas applied.
    async fn run(self, writers: Writers, count: u64, rate: u64, dice: &mut StdRng) -> Result<(Writers, u64)> {
        let load = Duration::from_secs(WRITES).div_f64(rate as f64);
        let (following, mut follows) = mpsc::channel(count as usize);
        let mut replicas = JoinSet::new();
        for number in 0..count {
            // Each begins somewhere else in the load.
            let (lead, following) = (load.mul_f64(dice.random()), following.clone());
            let (address, authorization, round) = (self.address, Arc::clone(self.authorization), self.number);
            replicas.spawn(async move {
                tokio::time::sleep(lead).await;
                let mut client = Client::open(address, Some(&authorization)).await?;
                let replica = Replica::snapshot(&mut client).await?;
                let is_socket = number % 2 == 0;
                replica.follow(address, &authorization, is_socket, &last_sku(round), following).await
            });
        }
        drop(following);
        let writers = writers.start(&CancellationToken::new(), Some(WRITES)).end().await?;
        // The last write comes after every replica's snapshot.
        let all = async {
            for _ in 0..count {
                follows.recv().await.context("a replica has given up")?;
            }
            anyhow::Ok(())
        };
        let all = tokio::time::timeout(PATIENCE, all).await.context("not every replica follows")?;
        if let Err(error) = all {
            while let Some(ended) = replicas.join_next().await {
                ended??;
            }
            return Err(error);
        }
        let mut client = Client::open(self.address, Some(self.authorization)).await?;
        let last = json!({ "sku": last_sku(self.number), "name": "The last", "price": "1.00", "tags": ["always"] });
        client.ask(CREATE, json!({ "input": last })).await?;

        let shown = Replica::snapshot(&mut client).await?;
        ensure!(versions(&shown)? == stored(self.database).await?, "the query does not show what the table holds");
        let mut events = 0;
        while let Some(replica) =
            tokio::time::timeout(PATIENCE, replicas.join_next()).await.context("a replica waits")?
        {
            let replica = replica??;
            events += replica.events;
            if replica.rows != shown.rows {
                bail!("a replica is not what the query shows: {:?}\n{:?}", replica.rows, shown.rows);
            }
        }
        Ok((writers, events))
    }
}

/// Stock and version of each row by SKU, as far as it matches.
type Versions = BTreeMap<String, (i64, i64)>;

fn versions(replica: &Replica) -> Result<Versions> {
    let of = |row: &Value| {
        let number = |name: &str| row[name].as_i64().with_context(|| format!("{name} is a number"));
        let sku = row["sku"].as_str().context("a SKU is a string")?;
        Ok((sku.to_owned(), (number("stock")?, number("version")?)))
    };
    replica.rows.values().map(of).collect()
}

/// The table, read past the server.
async fn stored(database: &DatabaseConnection) -> Result<Versions> {
    let query = "SELECT sku, stock, version FROM product WHERE stock >= 50 OR sku LIKE 'ROUND-%'";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), query)).await?;
    let of = |row: &sea_orm::QueryResult| {
        let number = |column| row.try_get::<i32>("", column).map(i64::from);
        Ok((row.try_get("", "sku")?, (number("stock")?, number("version")?)))
    };
    rows.iter().map(of).collect()
}
