//! What deliveries are compared with: the same HTTP client in a loop, with the same bodies to the same receiver, and nothing
//! else. No database, no log, no signatures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use reqwest::{Client, Url, header};
use tokio::task::JoinSet;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// To whom.
    pub address: SocketAddr,
    /// Requests on their way at the same time.
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
        for hook in 0..self.in_flight {
            let url: Url = format!("http://{}/{hook}", self.address).parse()?;
            let (client, body) = (client.clone(), body.clone());
            senders.spawn(async move {
                let mut counted = 0_u64;
                loop {
                    let request = client.post(url.clone()).header(header::CONTENT_TYPE, "application/json");
                    let response = request.body(body.clone()).send().await?;
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
