//! Receivers that mean harm: what they can cost is their own slots, until the deadline.
//!
//! `TANDEM_TEST_HOSTILE_CONNECTIONS` says how many of each kind there are at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_tests::client::number;
use tandem_tests::receiver::register;
use tandem_tests::shop::add_product;
use tandem_tests::{Caller, Case, Client, Receiver, on_both, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::{DELIVERIES, QUERY};

on_both!(hostile_receivers_cost_only_their_own_slots);

const CONNECTIONS: usize = 6;
/// How much memory all of them may cost.
const MAX_GROWTH_BYTES: u64 = 32 << 20;

fn connections() -> usize {
    std::env::var("TANDEM_TEST_HOSTILE_CONNECTIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(CONNECTIONS)
}

/// What a receiver does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// It reads, and says nothing.
    Hang,
    /// One byte of the head each second.
    SlowHead,
    /// 200, then one byte of the body each second.
    SlowBody,
    /// 200, then bytes for as long as they are taken.
    EndlessBody,
    /// 200, then what would be much more if it were decompressed.
    Bomb,
    /// It accepts a connection for TLS, and says nothing.
    TlsStall,
    /// 200, half of a body, and a reset.
    Reset,
    /// To where only the server can go.
    Redirect,
    /// 100 KiB of head.
    LongHead,
}

const ALL: [Harm; 9] = [
    Harm::Hang,
    Harm::SlowHead,
    Harm::SlowBody,
    Harm::EndlessBody,
    Harm::Bomb,
    Harm::TlsStall,
    Harm::Reset,
    Harm::Redirect,
    Harm::LongHead,
];

impl Harm {
    fn scheme(self) -> &'static str {
        if self == Self::TlsStall { "https" } else { "http" }
    }

    /// What becomes of a delivery: a 2xx status is success, whatever becomes of the body.
    fn outcome(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Hang | Self::SlowHead | Self::TlsStall => ("FAILED", Some("TIMEOUT")),
            Self::SlowBody | Self::EndlessBody | Self::Bomb | Self::Reset | Self::LongHead => ("SUCCEEDED", None),
            Self::Redirect => ("FAILED", Some("REDIRECT")),
        }
    }
}

/// A receiver that does harm.
struct Hostile {
    url: String,
    most_open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hostile {
    async fn start(harm: Harm, canary: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let most_open = Arc::new(AtomicUsize::new(0));
        let counted = most_open.clone();
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while open.try_join_next().is_some() {}
                let canary = canary.clone();
                open.spawn(async move { drop(serve(harm, stream, &canary).await) });
                counted.fetch_max(open.len(), Ordering::SeqCst);
            }
        });
        Self { url: format!("{}://127.0.0.1:{port}/", harm.scheme()), most_open, task }
    }
}

/// Does its harm to one connection, until the other side has enough.
async fn serve(harm: Harm, mut stream: TcpStream, canary: &str) -> std::io::Result<()> {
    if harm == Harm::TlsStall {
        return read_on(stream).await;
    }
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
    match harm {
        Harm::Hang | Harm::TlsStall => read_on(stream).await,
        Harm::SlowHead => drip(stream, b"HTTP/1.1 200 OK\r\nx-filler: ").await,
        Harm::SlowBody => {
            stream.write_all(OK).await?;
            drip(stream, b"one byte at a time").await
        }
        Harm::EndlessBody => {
            stream.write_all(OK).await?;
            loop {
                stream.write_all(&[b'x'; 16 * 1024]).await?;
            }
        }
        Harm::Bomb => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: gzip\r\n\r\n").await?;
            // The head of a gzip stream and one block that repeats: each of these bytes would be a thousand.
            stream.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).await?;
            stream.write_all(&[0; 65526]).await?;
            read_on(stream).await
        }
        Harm::Reset => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it").await?;
            stream.flush().await?;
            // What was not read makes the system send a reset.
            stream.set_zero_linger()
        }
        Harm::Redirect => {
            let head =
                format!("HTTP/1.1 302 Found\r\nlocation: {canary}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            read_on(stream).await
        }
        Harm::LongHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n").await?;
            for i in 0..90 {
                stream.write_all(format!("x-filler-{i}: {}\r\n", "x".repeat(1120)).as_bytes()).await?;
            }
            stream.write_all(b"\r\n").await?;
            read_on(stream).await
        }
    }
}

async fn read_on(mut stream: TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn drip(mut stream: TcpStream, text: &[u8]) -> std::io::Result<()> {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for byte in text.iter().cycle() {
        second.tick().await;
        stream.write_all(&[*byte]).await?;
    }
    Ok(())
}

async fn hostile_receivers_cost_only_their_own_slots(case: &Case) {
    let connections = connections();
    let settings = case.settings().with("--webhook-timeout", "2s").with("--webhook-retry-schedule", "0s");
    let server = case.start(settings).await;
    let admin = server.client(&Caller::admin());
    let (healthy, canary) = (Receiver::start().await, Receiver::start().await);
    register(&admin, json!({"url": healthy.url(), "query": QUERY})).await;
    let mut hostile = Vec::new();
    for harm in ALL {
        let receiver = Hostile::start(harm, canary.url()).await;
        let input = json!({"url": receiver.url, "query": QUERY, "maxInFlight": connections.min(256)});
        let (id, _) = register(&admin, input).await;
        hostile.push((harm, receiver, id));
    }
    add_product(&admin, "SKU-0").await;
    healthy.requests(1).await;
    let before = server.resident_bytes();

    for number in 1..=connections {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    // The healthy one has everything while the others still hold what they have got.
    healthy.requests(connections + 1).await;
    let growth = server.resident_bytes().saturating_sub(before);
    for (harm, receiver, id) in &hostile {
        until_done(&admin, *harm, id, connections + 1).await;
        let most_open = receiver.most_open.load(Ordering::SeqCst);
        assert!(most_open >= 1, "{harm:?} was connected to");
    }
    let growth = growth.max(server.resident_bytes().saturating_sub(before));
    assert!(growth <= MAX_GROWTH_BYTES, "they cost {growth} bytes");
    assert_eq!(canary.count(), 0, "nobody was sent where a receiver wanted");
    // Slots are free again: what comes now comes at once.
    add_product(&admin, "SKU-LAST").await;
    healthy.requests(connections + 2).await;
}

/// Waits until all deliveries have ended as they must.
async fn until_done(admin: &Client, harm: Harm, webhook: &str, count: usize) {
    let (status, code) = harm.outcome();
    // After ten failures in a row the breaker lets probes through alone.
    let (enough, may_lag) = if code.is_some() { (count.min(10), true) } else { (count.min(100), false) };
    let nodes = wait::until(&format!("{harm:?} has had {count} deliveries"), async || {
        let data = admin.data(DELIVERIES, json!({"id": webhook})).await;
        let nodes = data["webhook"]["deliveries"]["nodes"].as_array()?.clone();
        (nodes.len() >= enough && (may_lag || number(&data["webhook"]["lag"]) == 0)).then_some(nodes)
    })
    .await;
    for delivery in nodes {
        let attempt = &delivery["attempts"][0];
        assert_eq!(delivery["status"], json!(status), "{harm:?}: {attempt}");
        assert_eq!(attempt["error"]["code"].as_str(), code, "{harm:?}: {attempt}");
        let kept = attempt["responseBody"].as_str().unwrap_or_default().len();
        // What is no UTF-8 is kept as three bytes for each.
        assert!(kept <= 3 * 16 * 1024, "{harm:?}: {kept} bytes of the answer are kept");
        assert_ne!(attempt["address"], Value::String(String::new()));
    }
}
