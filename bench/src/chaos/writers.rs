//! Clients that create, change and remove products at a steady rate, and wait for the server while it is away.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::served::Client;

const WRITERS: usize = 16;
/// Rows that each keeps at most, so that what matches a filter fits on a page.
const MOST_ROWS: usize = 40;

const CREATE: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { code } } }";
const UPDATE: &str = "mutation($input: UpdateProductInput!) { updateProduct(input: $input) { userErrors { code } } }";
const DELETE: &str = "mutation($input: DeleteProductInput!) { deleteProduct(input: $input) { userErrors { code } } }";

/// Them all, between two runs.
pub struct Writers {
    writers: Vec<Writer>,
    per_second: u64,
}

/// One, who knows its own rows.
struct Writer {
    name: String,
    authorization: String,
    address: watch::Receiver<Option<SocketAddr>>,
    client: Option<(SocketAddr, Client)>,
    rows: Vec<String>,
    dice: StdRng,
    made: u64,
    answered: u64,
}

/// Them all, running.
pub struct Running {
    tasks: JoinSet<Result<Writer>>,
    per_second: u64,
}

impl Writers {
    /// Who write so many times a second together.
    pub fn new(
        address: &watch::Receiver<Option<SocketAddr>>,
        authorization: &str,
        per_second: u64,
        seed: u64,
    ) -> Result<Self> {
        ensure!(per_second > 0, "there must be something to write");
        let writers = (0..WRITERS).map(|number| Writer {
            name: format!("W{number}"),
            authorization: authorization.to_owned(),
            address: address.clone(),
            client: None,
            rows: Vec::new(),
            dice: StdRng::seed_from_u64(seed ^ (number as u64 + 1)),
            made: 0,
            answered: 0,
        });
        Ok(Self { writers: writers.collect(), per_second })
    }

    /// Writes until `stop`, or so many times.
    pub fn start(self, stop: &CancellationToken, times: Option<u64>) -> Running {
        let each = times.map(|times| times.div_ceil(WRITERS as u64));
        let pause = Duration::from_secs(WRITERS as u64).div_f64(self.per_second as f64);
        let mut tasks = JoinSet::new();
        for (number, writer) in self.writers.into_iter().enumerate() {
            let lead = pause.mul_f64(number as f64 / WRITERS as f64);
            tasks.spawn(writer.run(stop.clone(), each, lead, pause));
        }
        Running { tasks, per_second: self.per_second }
    }

    /// How many writes were answered in all.
    pub fn answered(&self) -> u64 {
        self.writers.iter().map(|writer| writer.answered).sum()
    }
}

impl Running {
    /// Waits until all have ended.
    pub async fn end(mut self) -> Result<Writers> {
        let mut writers = Vec::with_capacity(WRITERS);
        while let Some(writer) = self.tasks.join_next().await {
            writers.push(writer??);
        }
        Ok(Writers { writers, per_second: self.per_second })
    }

    /// An error if one has ended before its time.
    pub fn check(&mut self) -> Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.map(|_| ()).context("a writer has ended"),
        }
    }
}

impl Writer {
    async fn run(
        mut self,
        stop: CancellationToken,
        times: Option<u64>,
        lead: Duration,
        pause: Duration,
    ) -> Result<Self> {
        tokio::time::sleep(lead).await;
        let mut ticks = interval(pause);
        // What was not written while the server was away is not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut done = 0;
        while times.is_none_or(|times| done < times) {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let Some(address) = stop.run_until_cancelled(self.server()).await else { break };
            // Not given up when it is time to stop: somebody waits for what has begun.
            self.write(address?).await?;
            done += 1;
        }
        Ok(self)
    }

    /// Where the server is, once there is one.
    async fn server(&mut self) -> Result<SocketAddr> {
        let address = *self.address.wait_for(Option::is_some).await.context("the run is over")?;
        address.context("there is an address")
    }

    async fn write(&mut self, address: SocketAddr) -> Result<()> {
        self.made += 1;
        let stock = self.dice.random_range(0..100);
        let row = (!self.rows.is_empty()).then(|| self.dice.random_range(0..self.rows.len()));
        match (self.dice.random_range(0..10), row) {
            (0..5, Some(row)) => {
                let input = json!({ "id": self.rows[row], "patch": { "stock": stock } });
                self.ask(address, UPDATE, input).await?;
            }
            (draw, Some(row)) if draw == 5 || self.rows.len() >= MOST_ROWS => {
                let id = self.rows.swap_remove(row);
                self.ask(address, DELETE, json!({ "id": id })).await?;
            }
            (_, _) => {
                let sku = format!("{}-{}", self.name, self.made);
                let input = json!({ "sku": sku, "name": "Comes and goes", "price": "1.00", "stock": stock });
                if let Some(answer) = self.ask(address, CREATE, input).await? {
                    let id = answer["createProduct"]["product"]["id"].as_str().context("a product has an id")?;
                    self.rows.push(id.to_owned());
                }
            }
        }
        Ok(())
    }

    /// `None` if the server was killed over it, and nobody knows whether it has happened.
    async fn ask(&mut self, address: SocketAddr, mutation: &str, input: Value) -> Result<Option<Value>> {
        let outcome = self.exchange(address, mutation, input).await;
        match outcome {
            Ok(answer) => {
                self.answered += 1;
                Ok(Some(answer))
            }
            Err(_) if *self.address.borrow() != Some(address) => {
                self.client = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn exchange(&mut self, address: SocketAddr, mutation: &str, input: Value) -> Result<Value> {
        let client = match self.client.take() {
            Some((at, client)) if at == address => client,
            Some(_) | None => Client::open(address, Some(&self.authorization)).await?,
        };
        let (_, client) = self.client.insert((address, client));
        client.ask(mutation, json!({ "input": input })).await
    }
}
