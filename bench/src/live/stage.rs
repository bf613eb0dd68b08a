//! A server to be watched, and the writes that are watched.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::follow::crowd::{Asking, Crowd, sku};
use crate::follow::socket::Dial;
use crate::place::Place;
use crate::served::{Client, Tandem};

/// What the subscribers ask for.
pub const SUBSCRIBE: &str = "subscription($after: String) { productChanged(after: $after) { kind cursor after { id sku \
                             name price stock version } } }";

const CREATE: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { code } } }";
const CREATE_MANY: &str = "mutation($input: CreateProductsInput!) { createProducts(input: $input) { products { id } \
                           userErrors { code } } }";
/// More than are ever busy, so that a slow answer does not hold the next request back.
const WRITERS: usize = 32;
/// So that the first write is not late.
const LEAD: Duration = Duration::from_millis(200);

/// A server, and somebody who may write.
pub struct Stage {
    /// The server.
    pub tandem: Tandem,
    authorization: String,
    client: Client,
    next: usize,
}

impl Stage {
    /// On a new database, with these flags besides.
    pub async fn start(binary: &Path, place: &Place, flags: &[&str]) -> Result<Self> {
        let tandem = Tandem::start(binary, place, flags).await?;
        let authorization = tandem.authorization("seller", &["catalog"]).await?;
        let client = tandem.client(&authorization).await?;
        Ok(Self { tandem, authorization, client, next: 0 })
    }

    /// The end of the log.
    pub async fn as_of(&mut self) -> Result<String> {
        let answer = self.client.ask("{ products(first: 1) { asOf } }", Value::Null).await?;
        Ok(answer["products"]["asOf"].as_str().context("a connection has an asOf")?.to_owned())
    }

    /// Subscribers of one group, who are anonymous and read from now on.
    pub async fn crowd(&mut self, size: usize, dial: Dial) -> Result<Crowd> {
        self.crowd_asking(SUBSCRIBE, size, dial).await
    }

    /// The same with a document of their own.
    pub async fn crowd_asking(&mut self, query: &'static str, size: usize, dial: Dial) -> Result<Crowd> {
        let asking = Asking { query, after: Some(self.as_of().await?) };
        Crowd::open(self.tandem.address, dial, Some(asking), size).await
    }

    /// Makes so many products in one transaction. Their ids.
    pub async fn burst(&mut self, count: usize) -> Result<Vec<String>> {
        let items = (self.next..self.next + count).map(|number| product(number, 0));
        let input = json!({ "items": items.collect::<Vec<_>>() });
        self.next += count;
        let answer = self.client.ask(CREATE_MANY, json!({ "input": input })).await?;
        let made = answer["createProducts"]["products"].as_array().into_iter().flatten();
        let ids: Vec<String> = made.filter_map(|product| product["id"].as_str().map(str::to_owned)).collect();
        ensure!(ids.len() == count, "{} products instead of {count}", ids.len());
        Ok(ids)
    }

    /// Another connection of the one who may write.
    pub async fn client(&self) -> Result<Client> {
        self.tandem.client(&self.authorization).await
    }

    /// Asks something of the API.
    pub async fn ask(&mut self, query: &str, variables: Value) -> Result<Value> {
        self.client.ask(query, variables).await
    }

    /// Makes products one by one at a steady rate, whatever becomes of those before, and says of each when it is sent.
    /// How many there were, and how many a second.
    pub async fn pace(&mut self, pace: Pace, sending: impl Fn(usize) + Clone + 'static) -> Result<(usize, f64)> {
        let count = (pace.per_second as f64 * pace.during.as_secs_f64()).ceil() as usize;
        let numbers = self.next..self.next + count;
        self.next += count;
        let start = Instant::now() + LEAD;
        let mut writers = JoinSet::new();
        for first in 0..WRITERS.min(count) {
            let mut client = self.tandem.client(&self.authorization).await?;
            let (since, sending) = (numbers.start, sending.clone());
            let numbers = numbers.clone().skip(first).step_by(WRITERS);
            writers.spawn_local(async move {
                for number in numbers {
                    let due = Duration::from_secs(1).mul_f64((number - since) as f64 / pace.per_second as f64);
                    tokio::time::sleep_until((start + due).into()).await;
                    sending(number);
                    client.ask(CREATE, json!({ "input": product(number, pace.padding_bytes) })).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(written) = writers.join_next().await {
            written??;
        }
        Ok((count, count as f64 / start.elapsed().as_secs_f64()))
    }

    /// Ends it and removes its database.
    pub async fn stop(self) -> Result<()> {
        self.tandem.stop().await
    }
}

/// How writes come.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many.
    pub per_second: u64,
    /// For how long.
    pub during: Duration,
    /// How much larger than usual each event is.
    pub padding_bytes: usize,
}

impl Pace {
    /// Events of the usual size.
    pub fn new(per_second: u64, during: Duration) -> Self {
        Self { per_second, during, padding_bytes: 0 }
    }
}

fn product(number: usize, padding_bytes: usize) -> Value {
    let mut product = json!({ "sku": sku(number), "name": "A thing that is watched", "price": "12.50" });
    if padding_bytes > 0 {
        product["tags"] = json!(["x".repeat(padding_bytes)]);
    }
    product
}
