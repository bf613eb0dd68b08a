//! What group commit is worth: the writer as it is, against the same writer with one mutation in each transaction.
//!
//! In process, without HTTP and GraphQL, but with everything else that a server has: rules, unique keys, events, the hub
//! that reads the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, json};
use tandem::app::parts::{self, Options};
use tandem::auth::{Principal, Secret};
use tandem::catalog::{self, Catalog, Datum, FieldId, ResourceId};
use tandem::retention;
use tandem::store::Writer;
use tandem::store::tables::Allowed;
use tandem::store::writer::{Command, Create, Mutation, Outcome, Settings};
use tandem::webhook::egress::AllowList;
use tandem::webhook::retry::Schedule;
use tandem::webhook::verification::Sending;
use tandem::webhook::{registry, vault};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::place::{ENCRYPTION_KEY, Place};
use crate::rounds::{Rounds, alternate};
use crate::store::RESOURCES;

/// How the writer is measured.
#[derive(Debug, Clone, Args)]
pub struct WriterArgs {
    /// Tasks, each with one mutation on its way.
    #[arg(long, default_value_t = 64)]
    pub tasks: usize,
    /// How often each case is measured.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long each round measures, in seconds.
    #[arg(long, default_value_t = 2)]
    pub seconds: u64,
}

/// Creates per second: the writer as it is, and with one mutation in each transaction.
pub async fn run(place: &Place, args: &WriterArgs) -> Result<(Rounds, Rounds)> {
    let batched = Settings::default();
    let single = Settings { max_batch: 1, ..batched };
    alternate(args.rounds, async || measure(place, args, batched).await, async || measure(place, args, single).await)
        .await
}

/// One round, on a database of its own: both cases begin with empty tables.
async fn measure(place: &Place, args: &WriterArgs, settings: Settings) -> Result<f64> {
    let database = place.make().await?;
    let catalog = Arc::new(catalog::parse("resources.graphql", RESOURCES).context("the store that ships is sound")?);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let options = Options {
        database_url: database.url.clone(),
        catalog: Arc::clone(&catalog),
        allowed: Allowed::default(),
        writer: settings,
        webhook_allow: AllowList::none(),
        webhook_schedule: Schedule::default(),
        webhook_timeout: Duration::from_secs(15),
        retention: retention::Settings::default(),
        webhooks: registry::Settings::default(),
        sending: Sending::default(),
        encryption: vault::Source::Given(Secret::new(ENCRYPTION_KEY)),
        debug_extensions: false,
    };
    let parts = parts::open(options, &stop, &tasks).await?;
    let figure = creates_per_second(&parts.writer, &catalog, args).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    drop(parts);
    database.remove().await?;
    figure
}

async fn creates_per_second(writer: &Writer, catalog: &Catalog, args: &WriterArgs) -> Result<f64> {
    let product = Arc::new(Product::of(catalog)?);
    // Unique keys ascend, as numbers do that somebody hands out.
    let numbers = Arc::new(AtomicU64::new(1));
    let seller = Arc::new(seller());
    let start = Instant::now() + Duration::from_millis(500);
    let end = start + Duration::from_secs(args.seconds);
    let mut clients = JoinSet::new();
    for _ in 0..args.tasks {
        let (writer, product, seller) = (writer.clone(), Arc::clone(&product), Arc::clone(&seller));
        let numbers = Arc::clone(&numbers);
        clients.spawn(async move {
            let mut counted = 0_u64;
            loop {
                let command = product.create(&format!("SKU-{:08}", numbers.fetch_add(1, Ordering::Relaxed)));
                let mutation = Mutation { principal: Arc::clone(&seller), command, violations: Vec::new(), key: None };
                match writer.mutate(mutation).await? {
                    Outcome::Done { .. } | Outcome::Replayed(_) => {}
                    Outcome::Refused { violations, .. } => bail!("a create was refused: {violations:?}"),
                }
                let now = Instant::now();
                if now >= end {
                    break;
                }
                counted += u64::from(now >= start);
            }
            Ok(counted)
        });
    }
    let mut all = 0;
    while let Some(counted) = clients.join_next().await {
        all += counted??;
    }
    Ok(all as f64 / args.seconds as f64)
}

/// Somebody of the catalogue team: the rules are checked, which an administrator would skip.
fn seller() -> Principal {
    let claims = Map::from_iter([("sub".to_owned(), json!("seller"))]);
    Principal { sub: Some("seller".to_owned()), roles: vec!["catalog".to_owned()], claims, ..Principal::default() }
}

/// The fields of a product that a client gives.
struct Product {
    resource: ResourceId,
    sku: FieldId,
    name: FieldId,
    price: FieldId,
}

impl Product {
    fn of(catalog: &Catalog) -> Result<Self> {
        let resource = catalog.find("Product").context("the store has products")?;
        let field = |name| catalog.resource(resource).find(name).with_context(|| format!("a product has a {name}"));
        Ok(Self { resource, sku: field("sku")?, name: field("name")?, price: field("price")? })
    }

    fn create(&self, sku: &str) -> Command {
        let values = vec![
            (self.sku, Datum::Text(sku.to_owned())),
            (self.name, Datum::Text("A thing that is sold a lot".to_owned())),
            (self.price, Datum::Decimal(12_50)),
        ];
        Command::Create(Create {
            resource: self.resource,
            values,
            children: Vec::new(),
            path: Vec::new(),
            violations: Vec::new(),
        })
    }
}
