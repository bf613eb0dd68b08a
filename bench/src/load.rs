//! Many connections, each of which asks again as soon as it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::latency::{Latencies, Millis};
use crate::table::{Table, thousands};
use crate::wire::{Connection, post_head};

/// What to ask, and how much of it.
#[derive(Debug, Clone)]
pub struct Load {
    address: SocketAddr,
    path: String,
    headers: Vec<(String, String)>,
    connections: usize,
    amount: Amount,
    accept: fn(&[u8]) -> bool,
}

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub enum Amount {
    /// After this time; what is asked during the warm-up does not count.
    Time {
        /// Before the measurement.
        warm_up: Duration,
        /// How long it takes.
        measured: Duration,
    },
    /// After so many requests on each connection.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests count requests, measurements take their time"))]
    Requests(u64),
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Answers that were accepted, in the time that counts.
    pub requests: u64,
    /// How long that was.
    pub elapsed: Duration,
    /// From the first byte sent to the last one received; half of the requests took no longer.
    pub p50: Millis,
    /// 99 of 100 requests took no longer.
    pub p99: Millis,
    /// Answers that were not accepted.
    pub failures: u64,
    /// The first of them.
    pub first_failure: String,
}

impl Outcome {
    /// Accepted answers per second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// An error if there was a failure: a figure with failures in it means nothing.
    pub fn flawless(self) -> Result<Self> {
        ensure!(self.failures == 0, "{} requests failed: {}", self.failures, self.first_failure);
        Ok(self)
    }
}

impl Load {
    /// POSTs to `path`. An answer is accepted if its status is 200 and it has no GraphQL errors.
    pub fn new(address: SocketAddr, path: &str, connections: usize, amount: Amount) -> Self {
        let accept = has_no_errors;
        Self { address, path: path.to_owned(), headers: Vec::new(), connections, amount, accept }
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, of another server.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Asks. `body` writes the body of the nth request of a connection, both counted from 0.
    ///
    /// An answer that is not accepted counts as a failure; a connection that breaks ends the run with an error.
    pub async fn run(&self, body: impl Fn(usize, u64, &mut Vec<u8>) + Send + Sync + 'static) -> Result<Outcome> {
        ensure!(self.connections > 0, "there must be at least one connection");
        let body = Arc::new(body);
        let mut open = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            open.push(Connection::open(self.address).await?);
        }
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for (index, connection) in open.into_iter().enumerate() {
            let (load, body) = (self.clone(), body.clone());
            clients.spawn(async move { load.client(connection, started, |nth, out| body(index, nth, out)).await });
        }
        let mut all = Counts::default();
        while let Some(counts) = clients.join_next().await {
            all.merge(counts??);
        }
        let elapsed = match self.amount {
            Amount::Time { measured, .. } => measured,
            Amount::Requests(_) => started.elapsed(),
        };
        let requests = all.latencies.len() as u64;
        let [p50, p99] = all.latencies.percentiles([0.5, 0.99]);
        let first_failure = all.first_failure.unwrap_or_default();
        Ok(Outcome { requests, elapsed, p50, p99, failures: all.failures, first_failure })
    }

    async fn client(
        &self,
        mut connection: Connection,
        started: Instant,
        write_body: impl Fn(u64, &mut Vec<u8>),
    ) -> Result<Counts> {
        let head = post_head(self.address, &self.path, &self.headers);
        let mut counts = Counts::default();
        let mut body = Vec::new();
        for nth in 0.. {
            let asked = Instant::now();
            let counted = match self.amount {
                Amount::Requests(limit) if nth >= limit => break,
                Amount::Time { warm_up, measured } if asked >= started + warm_up + measured => break,
                Amount::Requests(_) => true,
                Amount::Time { warm_up, .. } => asked >= started + warm_up,
            };
            body.clear();
            write_body(nth, &mut body);
            let answer = connection.ask(&head, &body).await?;
            if answer.status != 200 || !(self.accept)(answer.body) {
                counts.failures += 1;
                let text = || format!("{} {}", answer.status, String::from_utf8_lossy(answer.body));
                counts.first_failure.get_or_insert_with(text);
            } else if counted {
                counts.latencies.record(asked.elapsed());
            }
        }
        Ok(counts)
    }
}

#[derive(Debug, Default)]
struct Counts {
    latencies: Latencies,
    failures: u64,
    first_failure: Option<String>,
}

impl Counts {
    fn merge(&mut self, other: Self) {
        self.latencies.merge(other.latencies);
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// Neither request errors nor user errors, as compact JSON says it.
fn has_no_errors(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = find_errors(rest) {
        rest = &rest[at + ERRORS.len()..];
        if !rest.starts_with(b"[]") {
            return false;
        }
    }
    true
}

const ERRORS: &[u8] = b"rrors\":";

/// How far the search may go on after a byte under the last one of what is searched.
const STEPS: [u8; 256] = {
    let mut steps = [ERRORS.len() as u8; 256];
    let mut i = 0;
    while i + 1 < ERRORS.len() {
        steps[ERRORS[i] as usize] = (ERRORS.len() - 1 - i) as u8;
        i += 1;
    }
    steps
};

/// Horspool's search. The client has a processor in common with the server, so it looks at every seventh byte only.
fn find_errors(body: &[u8]) -> Option<usize> {
    let mut end = ERRORS.len();
    while end <= body.len() {
        if &body[end - ERRORS.len()..end] == ERRORS {
            return Some(end - ERRORS.len());
        }
        end += usize::from(STEPS[usize::from(body[end - 1])]);
    }
    None
}

/// One row per outcome.
pub fn table<'a>(outcomes: impl IntoIterator<Item = (&'a str, &'a Outcome)>) -> Table {
    let mut table = Table::new(&["case", "requests/s", "p50", "p99", "failed"]);
    for (name, outcome) in outcomes {
        let per_second = thousands(outcome.per_second());
        let cells = [per_second, outcome.p50.to_string(), outcome.p99.to_string(), outcome.failures.to_string()];
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_in_the_bytes() {
        assert!(has_no_errors(br#"{"data":{"createProduct":{"product":{"id":"x"},"userErrors":[]}}}"#));
        assert!(!has_no_errors(br#"{"data":{"createProduct":{"userErrors":[{"code":"REQUIRED"}]}}}"#));
        assert!(!has_no_errors(br#"{"errors":[{"message":"no"}]}"#));
        assert!(has_no_errors(b"{}"));
    }

    #[tokio::test]
    async fn asks_as_often_as_it_is_told() {
        let (address, server) = crate::bare::start("127.0.0.1:0".parse().unwrap(), 300).await.unwrap();
        let server = tokio::spawn(server);
        let load = Load::new(address, "/graphql", 4, Amount::Requests(25)).header("x-test", "1");
        let outcome = load.run(|connection, nth, out| out.extend(format!("{connection} {nth}").bytes())).await.unwrap();
        assert_eq!((outcome.requests, outcome.failures), (100, 0));
        server.abort();
    }
}
