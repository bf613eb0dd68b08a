//! What deliveries are compared with: reqwest in a loop, which sends messages of the same size, head and body, to such a
//! receiver, and does nothing else. No database, no log; where the signatures stand there are as many letters.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use tokio::task::JoinSet;

/// As long as the signatures of a message.
const SIGNATURES: &str = concat!(
    "v1,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ",
    "v1a,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// To whom.
    pub address: SocketAddr,
    /// Of how many webhooks, each of which gets every message.
    pub webhooks: usize,
    /// Requests of each that are on their way at the same time.
    pub in_flight: usize,
    /// Bytes of each body.
    pub body_bytes: usize,
    /// Before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub measured: Duration,
}

impl Bare {
    /// Requests a second. A runtime of its own has a thread for each processor, as a server has.
    pub async fn per_second(self) -> Result<f64> {
        let run = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(self.run())
        };
        tokio::task::spawn_blocking(run).await?
    }

    async fn run(self) -> Result<f64> {
        let client = Client::builder().http1_only().no_proxy().tcp_nodelay(true).build()?;
        let start = Instant::now() + self.warm_up;
        let end = start + self.measured;
        let body = Bytes::from("x".repeat(self.body_bytes));
        let mut senders = JoinSet::new();
        for sender in 0..self.webhooks * self.in_flight {
            let (hook, lane) = (sender % self.webhooks, sender / self.webhooks);
            let url: Url = format!("http://{}/{hook}", self.address).parse()?;
            let (client, body) = (client.clone(), body.clone());
            senders.spawn(async move {
                let (mut sent, mut counted) = (0_u64, 0_u64);
                loop {
                    let request = client.post(url.clone()).headers(head(lane, sent)?);
                    let response = request.body(body.clone()).send().await?;
                    sent += 1;
                    ensure!(response.status().is_success(), "the receiver answers with {}", response.status());
                    response.bytes().await?;
                    let now = Instant::now();
                    if now >= end {
                        return Ok(counted);
                    }
                    counted += u64::from(now >= start);
                }
            });
        }
        let mut all = 0;
        while let Some(counted) = senders.join_next().await {
            all += counted??;
        }
        Ok(all as f64 / self.measured.as_secs_f64())
    }
}

/// The head of a message, as long as that of a real one.
fn head(lane: usize, number: u64) -> Result<HeaderMap> {
    let id = format!("evt_{lane:013}{number:013}");
    let mut head = HeaderMap::with_capacity(8);
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(HeaderName::from_static("webhook-id"), id.parse()?);
    head.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from_static("1764633600"));
    head.insert(HeaderName::from_static("webhook-signature"), HeaderValue::from_static(SIGNATURES));
    Ok(head)
}
