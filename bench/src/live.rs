//! How long a change takes to those who watch: many subscribers, and writes at a steady rate.
//!
//! A client sees no commit; it sees the request before it and the answer after it. From the request to the subscriber is
//! therefore more than what the commit's way to the subscriber takes, and that is what the target is held against.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::latency::{Latencies, Millis};
use crate::place::Place;
use crate::served::Tandem;

/// More than are ever busy, so that a slow answer does not hold the next request back.
const WRITERS: usize = 32;
/// Writes of the first seconds are not counted.
const WARM_UP_SECONDS: u64 = 2;
/// For the subscriptions to begin, before the first write.
const SETTLE: Duration = Duration::from_millis(500);
/// How long after the last write a subscriber may still wait for something.
const PATIENCE: Duration = Duration::from_secs(15);

const CREATE: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { code } } }";
const SUBSCRIBE: &str = "subscription($after: String) { productChanged(after: $after) { kind cursor after { id sku name \
                         price stock version } } }";
const SKU: &str = "LIVE-";
const SKU_DIGITS: usize = 8;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How the way to subscribers is measured.
#[derive(Debug, Clone, Args)]
pub struct LiveArgs {
    /// Sockets, each with one subscription.
    #[arg(long, default_value_t = 100)]
    pub subscribers: usize,
    /// Writes per second.
    #[arg(long, default_value_t = 200)]
    pub rate: u64,
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
}

/// What was measured.
pub struct Measured {
    /// Writes per second that the server really took.
    pub writes_per_second: f64,
    /// How many events subscribers received.
    pub events: usize,
    /// From the request to a subscriber: median, 99 of 100, all.
    pub from_request: [Millis; 3],
    /// From the answer to a subscriber; zero if the subscriber was first.
    pub from_answer: [Millis; 3],
}

/// When a write was sent and when it was answered.
#[derive(Clone, Copy)]
struct Write {
    sent: Instant,
    answered: Instant,
}

/// One run on a new server. Every subscriber must receive every write once.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Measured> {
    ensure!(args.rate > 0 && args.seconds > 0, "there must be something to measure");
    let tandem = Tandem::start(binary, place, &[]).await?;
    let measured = measure(&tandem, args).await;
    tandem.stop().await?;
    measured
}

async fn measure(tandem: &Tandem, args: &LiveArgs) -> Result<Measured> {
    let seller = tandem.authorization("seller", &["catalog"]).await?;
    let answer = tandem.client(&seller).await?.ask("{ products(first: 1) { asOf } }", Value::Null).await?;
    let as_of = answer["products"]["asOf"].as_str().context("a connection has an asOf")?;
    let warm_up = (WARM_UP_SECONDS * args.rate) as usize;
    let count = warm_up + (args.seconds * args.rate) as usize;

    let mut subscribers = JoinSet::new();
    for _ in 0..args.subscribers {
        let socket = subscribe(tandem.address, &seller, as_of).await?;
        subscribers.spawn(receive(socket, count));
    }
    let start = Instant::now() + SETTLE;
    let interval = Duration::from_secs(1).div_f64(args.rate as f64);
    let mut writers = JoinSet::new();
    for first in 0..WRITERS {
        let client = tandem.client(&seller).await?;
        let numbers = (first..count).step_by(WRITERS);
        writers.spawn(write(client, numbers, start, interval));
    }
    let mut writes = vec![None; count];
    while let Some(written) = writers.join_next().await {
        for (number, write) in written?? {
            writes[number] = Some(write);
        }
    }
    let writes: Vec<Write> = writes.into_iter().collect::<Option<_>>().context("every write was made")?;
    let (mut from_request, mut from_answer) = (Latencies::default(), Latencies::default());
    let receive_all = async {
        while let Some(received) = subscribers.join_next().await {
            for (write, at) in writes.iter().zip(received??).skip(warm_up) {
                from_request.record(at.saturating_duration_since(write.sent));
                from_answer.record(at.saturating_duration_since(write.answered));
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, receive_all).await.context("a subscriber misses events")??;

    let counted = &writes[warm_up..];
    let first = counted.iter().map(|write| write.sent).min().context("there are writes")?;
    let last = counted.iter().map(|write| write.answered).max().context("there are writes")?;
    let shares = [0.5, 0.99, 1.0];
    Ok(Measured {
        writes_per_second: counted.len() as f64 / (last - first).as_secs_f64(),
        events: from_request.len(),
        from_request: from_request.percentiles(shares),
        from_answer: from_answer.percentiles(shares),
    })
}

/// Each at its time, whatever became of the one before.
async fn write(
    mut client: crate::served::Client,
    numbers: impl Iterator<Item = usize>,
    start: Instant,
    interval: Duration,
) -> Result<Vec<(usize, Write)>> {
    let mut written = Vec::new();
    for number in numbers {
        tokio::time::sleep_until((start + interval.mul_f64(number as f64)).into()).await;
        let sku = format!("{SKU}{number:0SKU_DIGITS$}");
        let input = json!({ "sku": sku, "name": "A thing that is watched", "price": "12.50" });
        let sent = Instant::now();
        client.ask(CREATE, json!({ "input": input })).await?;
        written.push((number, Write { sent, answered: Instant::now() }));
    }
    Ok(written)
}

/// Opens a socket and follows products from a state on, so that no write can be missed.
async fn subscribe(address: SocketAddr, authorization: &str, after: &str) -> Result<Socket> {
    let mut request = format!("ws://{address}/graphql").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await.context("no WebSocket")?;
    let init = json!({ "type": "connection_init", "payload": { "authorization": authorization } });
    socket.send(Message::text(init.to_string())).await?;
    loop {
        let message = socket.next().await.context("the socket closed")??;
        if let Message::Text(text) = message {
            ensure!(text.contains("connection_ack"), "no acknowledgement: {text}");
            break;
        }
    }
    let payload = json!({ "query": SUBSCRIBE, "variables": { "after": after } });
    let message = json!({ "type": "subscribe", "id": "1", "payload": payload });
    socket.send(Message::text(message.to_string())).await?;
    Ok(socket)
}

/// When each write arrived, by its number.
async fn receive(mut socket: Socket, count: usize) -> Result<Vec<Instant>> {
    let mut arrived = vec![None; count];
    for _ in 0..count {
        let number = loop {
            match socket.next().await.context("the socket closed")?? {
                Message::Text(text) if text.contains(r#""ping""#) && !text.contains(SKU) => {
                    socket.send(Message::text(r#"{"type":"pong"}"#)).await?;
                }
                Message::Text(text) => break number_in(&text).with_context(|| format!("no event: {text}"))?,
                Message::Close(close) => bail!("the server closed a socket: {close:?}"),
                _ => {}
            }
        };
        let slot = arrived.get_mut(number).context("an event of nobody's write")?;
        ensure!(slot.replace(Instant::now()).is_none(), "write {number} arrived twice");
    }
    arrived.into_iter().collect::<Option<_>>().context("every write arrives once")
}

/// The number in the product's SKU.
fn number_in(event: &str) -> Option<usize> {
    let (_, rest) = event.split_once(SKU)?;
    rest.get(..SKU_DIGITS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_skus() {
        assert_eq!(number_in(r#"{"sku":"LIVE-00000042","name":"x"}"#), Some(42));
        assert_eq!(number_in(r#"{"sku":"LIVE-42"}"#), None);
        assert_eq!(number_in(r#"{"type":"complete"}"#), None);
    }
}
