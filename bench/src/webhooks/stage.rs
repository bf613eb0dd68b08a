//! A server with webhooks, their receiver, and somebody who writes.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::receiver::{Arrivals, Receiver, now_micros};
use crate::place::Place;
use crate::served::{Client, Tandem};

/// What the webhooks get: 1 KiB with what is around it.
const QUERY: &str =
    "subscription { productChanged(kinds: [CREATED]) { kind nodeId version after { sku name price tags } } }";
/// As many as make a body of 1 KiB.
const PADDING_BYTES: usize = 696;

const CREATE: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { change { id } userErrors { code } } }";
const CREATE_MANY: &str =
    "mutation($input: CreateProductsInput!) { createProducts(input: $input) { userErrors { code } } }";
const CREATE_KNOWN: &str = "mutation($input: CreateProductsInput!) { createProducts(input: $input) { products { id } \
                            userErrors { code } } }";
const REGISTER: &str =
    "mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id } userErrors { message } } }";
const UPDATE: &str =
    "mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { userErrors { message } } }";

/// How long it may take until everything has come, as long as something comes.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(2);
/// More than are ever busy, so that a slow answer does not hold the next request back.
const WRITERS: usize = 32;
/// So that the first write is not late.
const LEAD: Duration = Duration::from_millis(200);

/// The server, the receiver, the writer.
pub struct Stage {
    /// The server.
    pub tandem: Tandem,
    /// The receiver.
    pub receiver: Receiver,
    /// The ids of the webhooks; their numbers are their paths.
    pub webhooks: Vec<String>,
    authorization: String,
    client: Client,
    /// Products that were made.
    pub written: usize,
}

impl Stage {
    /// On a new database, with so many webhooks.
    pub async fn start(binary: &Path, place: &Place, webhooks: usize, in_flight: usize) -> Result<Self> {
        let receiver = Receiver::start().await?;
        let tandem = Tandem::start(binary, place, &[]).await?;
        let authorization = tandem.authorization("seller", &["catalog"]).await?;
        let client = tandem.client(&authorization).await?;
        let mut stage = Self { tandem, receiver, webhooks: Vec::new(), authorization, client, written: 0 };
        for _ in 0..webhooks {
            stage.register(in_flight).await?;
        }
        Ok(stage)
    }

    async fn register(&mut self, in_flight: usize) -> Result<()> {
        let url = format!("http://{}/{}", self.receiver.address(), self.webhooks.len());
        let input = json!({ "url": url, "query": QUERY, "maxInFlight": in_flight });
        let answer = self.client.ask(REGISTER, json!({ "input": input })).await?;
        let id = answer["createWebhook"]["webhook"]["id"].as_str().context("a webhook has an id")?;
        self.webhooks.push(id.to_owned());
        Ok(())
    }

    /// Changes all webhooks.
    pub async fn update(&mut self, change: &Value) -> Result<()> {
        for id in &self.webhooks {
            let mut input = change.clone();
            input["id"] = json!(id);
            self.client.ask(UPDATE, json!({ "input": input })).await?;
        }
        Ok(())
    }

    /// Asks something of the API.
    pub async fn ask(&mut self, query: &str, variables: Value) -> Result<Value> {
        self.client.ask(query, variables).await
    }

    /// Makes products and gives their ids.
    pub async fn products(&mut self, count: usize) -> Result<Vec<String>> {
        let items: Vec<_> = (self.written..self.written + count).map(product).collect();
        self.written += count;
        let answer = self.client.ask(CREATE_KNOWN, json!({ "input": { "items": items } })).await?;
        let made = answer["createProducts"]["products"].as_array().into_iter().flatten();
        Ok(made.filter_map(|product| product["id"].as_str().map(str::to_owned)).collect())
    }

    /// What writers send.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Makes so many products in one transaction.
    pub async fn write(&mut self, count: usize) -> Result<()> {
        let items: Vec<_> = (self.written..self.written + count).map(product).collect();
        self.written += count;
        self.client.ask(CREATE_MANY, json!({ "input": { "items": items } })).await?;
        Ok(())
    }

    /// Writes as much as keeps so many events in line, until a time. Then how many messages have come.
    pub async fn keep_busy(&mut self, backlog: usize, together: usize, until: Instant) -> Result<u64> {
        let webhooks = self.webhooks.len() as u64;
        loop {
            let messages = self.receiver.count().await?.messages;
            if Instant::now() >= until {
                return Ok(messages);
            }
            if self.written as u64 - messages / webhooks < backlog as u64 {
                self.write(together).await?;
            } else {
                sleep(LOOK).await;
            }
        }
    }

    /// Makes products one by one at a steady rate, whatever becomes of those before. Of each event, when its request was
    /// sent, in microseconds since 1970.
    pub async fn pace(&mut self, per_second: f64, during: Duration) -> Result<HashMap<String, i64>> {
        let count = (per_second * during.as_secs_f64()).ceil() as usize;
        let numbers = self.written..self.written + count;
        self.written += count;
        let start = Instant::now() + LEAD;
        let mut writers = JoinSet::new();
        for first in 0..WRITERS.min(count) {
            let mut client = self.tandem.client(&self.authorization).await?;
            let since = numbers.start;
            let numbers = numbers.clone().skip(first).step_by(WRITERS);
            writers.spawn_local(async move {
                let mut sent = Vec::new();
                for number in numbers {
                    let due = Duration::from_secs(1).mul_f64((number - since) as f64 / per_second);
                    sleep_until((start + due).into()).await;
                    let at = now_micros();
                    let answer = client.ask(CREATE, json!({ "input": product(number) })).await?;
                    let id = answer["createProduct"]["change"]["id"].as_str().context("a change has an id")?;
                    sent.push((id.to_owned(), at));
                }
                anyhow::Ok(sent)
            });
        }
        let mut all = HashMap::with_capacity(count);
        while let Some(sent) = writers.join_next().await {
            all.extend(sent??);
        }
        Ok(all)
    }

    /// Waits until everything has come `times` to each webhook, and is recorded.
    pub async fn is_settled(&mut self, times: usize) -> Result<()> {
        self.is_settled_since(0, times).await
    }

    /// The same, but that the first so many events have come once.
    async fn is_settled_since(&mut self, first: usize, times: usize) -> Result<()> {
        let expected = (first + (self.written - first) * times) * self.webhooks.len();
        let mut last = (0, Instant::now());
        loop {
            let messages = self.receiver.count().await?.messages;
            if messages >= expected as u64 {
                break;
            }
            if messages != last.0 {
                last = (messages, Instant::now());
            }
            ensure!(last.1.elapsed() < PATIENCE, "{messages} of {expected} messages have come, and no more");
            sleep(LOOK).await;
        }
        let (database, since) = (self.tandem.database().await?, Instant::now());
        while recorded(&database).await? != (self.written * self.webhooks.len(), expected) {
            ensure!(since.elapsed() < PATIENCE, "not everything is recorded: {:?}", recorded(&database).await?);
            sleep(LOOK * 10).await;
        }
        Ok(database.close().await?)
    }

    /// Waits until everything has come to each webhook, and makes sure that nothing has come once more.
    pub async fn everything_has_come(&mut self) -> Result<Arrivals> {
        self.has_come_since(self.written, 1).await
    }

    /// The same, but that all except the first so many events have come `times`.
    pub async fn has_come_since(&mut self, first: usize, times: usize) -> Result<Arrivals> {
        self.is_settled_since(first, times).await?;
        let arrivals = self.receiver.arrivals().await?;
        let mut counts = vec![0_usize; self.webhooks.len()];
        let mut several = 0;
        for (id, arrivals) in &arrivals {
            counts.fill(0);
            arrivals.iter().for_each(|arrival| counts[arrival.hook as usize] += 1);
            let expected = counts[0];
            several += usize::from(expected == times);
            if let Some(hook) = counts.iter().position(|count| *count != expected) {
                bail!(
                    "message {id} has come {} times to webhook {hook}, and {expected} times to another",
                    counts[hook]
                );
            }
            ensure!(expected == times || expected == 1, "message {id} has come {expected} times");
        }
        ensure!(arrivals.len() == self.written, "{} messages instead of {}", arrivals.len(), self.written);
        let expected = if times == 1 { self.written } else { self.written - first };
        ensure!(several == expected, "{several} messages instead of {expected} have come {times} times");
        Ok(arrivals)
    }

    /// Deliveries that are kept.
    pub async fn deliveries(&self) -> Result<usize> {
        let database = self.tandem.database().await?;
        let (succeeded, _) = recorded(&database).await?;
        database.close().await?;
        Ok(succeeded)
    }

    /// Ends everything.
    pub async fn stop(self) -> Result<()> {
        self.tandem.stop().await?;
        self.receiver.stop().await
    }
}

/// Deliveries that have succeeded, and attempts.
async fn recorded(database: &DatabaseConnection) -> Result<(usize, usize)> {
    let sql = "SELECT (SELECT COUNT(*) FROM tandem_delivery WHERE status = 'SUCCEEDED'), \
               (SELECT CAST(COALESCE(SUM(attempts), 0) AS bigint) FROM tandem_delivery)";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await?.context("counts are a row")?;
    let count = |index| anyhow::Ok(usize::try_from(row.try_get_by_index::<i64>(index)?)?);
    Ok((count(0)?, count(1)?))
}

/// With a body of 1 KiB.
pub fn product(number: usize) -> Value {
    json!({ "sku": format!("HOOK-{number:08}"), "name": "A thing that is sold a lot", "price": "12.50",
        "tags": ["x".repeat(PADDING_BYTES)] })
}
