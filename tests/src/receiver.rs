//! A receiver of webhooks that remembers every request.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use standardwebhooks::Webhook;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use crate::client::{number, text};
use crate::wait::in_time;

/// How to answer a request, given how many came before it.
pub type Behaviour = Box<dyn Fn(usize) -> Answer + Send + Sync>;

/// An answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long to think about it.
    pub delay: Duration,
    /// Whether the body begins and never ends.
    pub has_endless_body: bool,
}

impl Answer {
    /// 204, at once.
    pub const OK: Self = Self::status(204);

    /// A status, at once.
    pub const fn status(status: u16) -> Self {
        Self { status, delay: Duration::ZERO, has_endless_body: false }
    }

    /// The same answer, later.
    #[must_use]
    pub const fn after_ms(self, delay_ms: u64) -> Self {
        Self { delay: Duration::from_millis(delay_ms), ..self }
    }

    /// The same answer, with a body that begins and never ends.
    #[must_use]
    pub const fn with_endless_body(self) -> Self {
        Self { has_endless_body: true, ..self }
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The header `webhook-id`.
    pub id: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
    /// The body, read.
    pub json: Value,
    /// The status that it was answered with.
    pub status: u16,
}

impl Received {
    /// Whether it was answered with success.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The number of the event among those of its webhook.
    pub fn sequence(&self) -> i64 {
        number(&self.json["sequence"])
    }

    /// Fails unless it is signed with this secret, as the official library sees it. That wants to be asked within five minutes.
    pub fn assert_signed(&self, secret: &str) {
        let webhook = Webhook::new(secret).expect("the secret is one of Standard Webhooks");
        let verified = webhook.verify(&self.body, &self.headers);
        assert!(verified.is_ok(), "{}: {:?}", self.id, verified);
    }

    /// The bytes of `data` in the body.
    pub fn raw_data(&self) -> String {
        #[derive(Deserialize)]
        struct Body {
            data: Box<RawValue>,
        }
        let body: Body = serde_json::from_slice(&self.body).expect("the body holds data");
        body.data.get().to_owned()
    }
}

/// A running receiver. Dropping it stops it.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
    arrived: Notify,
    open: watch::Sender<usize>,
}

impl Receiver {
    /// Answers everything with success.
    pub async fn start() -> Self {
        Self::behaving(|_| Answer::OK).await
    }

    /// Answers as told.
    pub async fn behaving(behaviour: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Box::new(behaviour)),
            received: Mutex::default(),
            arrived: Notify::new(),
            open: watch::Sender::default(),
        });
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let listener = Counting { listener, shared: shared.clone() };
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("axum serves until it is stopped");
        });
        Self { address, shared, task }
    }

    /// From now on answers as told.
    pub fn behave(&self, behaviour: impl Fn(usize) -> Answer + Send + Sync + 'static) {
        *self.shared.behaviour.lock().expect("behaviours do not panic") = Box::new(behaviour);
    }

    /// Where webhooks for it go.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Everything that came, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("nothing panics with this lock held").clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.shared.received.lock().expect("nothing panics with this lock held").len()
    }

    /// Waits until what came satisfies a condition.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&[Received]) -> bool) {
        let satisfied = async {
            loop {
                let arrived = self.shared.arrived.notified();
                if holds(&self.shared.received.lock().expect("conditions do not panic")) {
                    return;
                }
                arrived.await;
            }
        };
        in_time(what, satisfied).await;
    }

    /// Waits until this many requests came, and returns them.
    pub async fn requests(&self, count: usize) -> Vec<Received> {
        self.until(&format!("{count} requests arrive"), |received| received.len() >= count).await;
        self.received()
    }

    /// Everything that came after so many requests.
    pub fn since(&self, count: usize) -> Vec<Received> {
        self.shared.received.lock().expect("nothing panics with this lock held")[count..].to_vec()
    }

    /// Waits until this many requests came, but not for longer than that. Whether they came.
    pub async fn requests_before(&self, count: usize, end: tokio::time::Instant) -> bool {
        let came = async {
            loop {
                let arrived = self.shared.arrived.notified();
                if self.count() >= count {
                    return;
                }
                arrived.await;
            }
        };
        timeout_at(end, came).await.is_ok()
    }

    /// Waits until nobody is connected any more: what a server that was killed has sent is all here then.
    pub async fn deserted(&self) {
        let mut open = self.shared.open.subscribe();
        in_time("all connections end", open.wait_for(|open| *open == 0)).await.expect("the receiver runs");
    }

    /// The ids of the messages that were answered with success.
    pub fn accepted(&self) -> HashSet<String> {
        let received = self.received();
        received.into_iter().filter(Received::succeeded).map(|request| request.id).collect()
    }

    /// Fails unless every request that came is signed with this secret, as the official library sees it.
    pub fn assert_signed(&self, secret: &str) {
        self.received().iter().for_each(|request| request.assert_signed(secret));
    }

    /// Fails unless all attempts of a message have the same body.
    pub fn assert_stable(&self) {
        let mut bodies: HashMap<String, Bytes> = HashMap::new();
        for request in self.received() {
            let first = bodies.entry(request.id.clone()).or_insert_with(|| request.body.clone());
            assert_eq!(*first, request.body, "two attempts of {} differ", request.id);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections, and knows how many are open.
struct Counting {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl axum::serve::Listener for Counting {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        self.shared.open.send_modify(|open| *open += 1);
        (Counted { stream, shared: self.shared.clone() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// An open connection.
struct Counted {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.open.send_modify(|open| *open -= 1);
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = {
        let mut received = shared.received.lock().expect("nothing panics with this lock held");
        let answer = shared.behaviour.lock().expect("behaviours do not panic")(received.len());
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        received.push(Received { id, headers, body, json, status: answer.status });
        answer
    };
    shared.arrived.notify_waiters();
    tokio::time::sleep(answer.delay).await;
    let body = if answer.has_endless_body {
        let beginning = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"wait for it"))]);
        Body::from_stream(beginning.chain(stream::pending()))
    } else {
        Body::empty()
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("behaviours give valid statuses");
    if response.status().is_redirection() {
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/elsewhere"));
    }
    response
}

/// Registers a webhook and returns its id and its secret.
pub async fn register(client: &crate::Client, input: Value) -> (String, String) {
    let payload = client
        .done("mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id } secret userErrors { code message path } } }", input)
        .await;
    (text(&payload["webhook"]["id"]), text(&payload["secret"]))
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    async fn post(receiver: &Receiver, id: &str, body: &'static str, signed: &str) -> u16 {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let signature = Webhook::new(SECRET).unwrap().sign(id, time, signed.as_bytes()).unwrap();
        let request = reqwest::Client::new().post(receiver.url()).body(body).header("webhook-id", id);
        let request = request.header("webhook-timestamp", time).header("webhook-signature", signature);
        request.send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn remembers_what_came_and_answers_as_told() {
        let receiver = Receiver::behaving(|count| Answer::status(if count == 0 { 500 } else { 200 })).await;
        let body = r#"{"sequence":1,"data":{"a": 1}}"#;
        assert_eq!((post(&receiver, "m-1", body, body).await, post(&receiver, "m-1", body, body).await), (500, 200));
        let received = receiver.requests(2).await;
        assert_eq!((received[1].sequence(), received[1].raw_data().as_str()), (1, r#"{"a": 1}"#));
        assert_eq!((received[0].succeeded(), received[1].succeeded()), (false, true));
        assert_eq!(receiver.accepted(), HashSet::from(["m-1".to_owned()]));
        receiver.assert_signed(SECRET);
        receiver.assert_stable();
    }

    #[tokio::test]
    #[should_panic(expected = "InvalidSignature")]
    async fn a_wrong_signature_fails() {
        let receiver = Receiver::start().await;
        post(&receiver, "m-1", "{}", "{ }").await;
        receiver.assert_signed(SECRET);
    }

    #[tokio::test]
    #[should_panic(expected = "two attempts of m-1 differ")]
    async fn another_body_under_the_same_id_fails() {
        let receiver = Receiver::start().await;
        post(&receiver, "m-1", "{}", "{}").await;
        post(&receiver, "m-1", "{ }", "{ }").await;
        receiver.assert_stable();
    }
}
