//! A receiver of webhooks that keeps what it gets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::eventually;

/// One request that a [`Receiver`] got.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What it was answered with; 0 before.
    pub status: u16,
}

impl Received {
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn position(&self) -> i64 {
        self.positions()[0]
    }

    /// Of all events, if it is a batch.
    pub fn positions(&self) -> Vec<i64> {
        let json = self.json();
        let position = |event: &Value| event["data"]["position"].as_i64().unwrap();
        json["events"].as_array().map_or_else(|| vec![position(&json)], |events| events.iter().map(position).collect())
    }

    pub fn sequence(&self) -> i64 {
        self.json()["sequence"].as_i64().unwrap()
    }
}

/// An HTTP server that keeps what it gets.
pub struct Receiver {
    port: u16,
    inner: Arc<Inner>,
    _stop: DropGuard,
}

/// The answer to a request.
type Behaviour = Box<dyn FnMut(&Received) -> u16 + Send>;

#[derive(Default)]
struct Inner {
    received: Mutex<Vec<Received>>,
    /// Answers for the next requests …
    answers: Mutex<VecDeque<u16>>,
    /// … and for the others; without it 200.
    behaviour: Mutex<Option<Behaviour>>,
    /// Positions whose requests hang until they are released.
    hanging: Mutex<Vec<i64>>,
    released: Notify,
    open: Mutex<(usize, usize)>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                served = async { axum::serve(listener, router).await } => served.unwrap(),
                () = stopped => {}
            }
        });
        Self { port, inner, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What the next requests are answered with.
    pub fn answer_with(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap().extend(statuses);
    }

    /// What all requests are answered with from now on.
    pub fn behave(&self, behaviour: impl FnMut(&Received) -> u16 + Send + 'static) {
        *self.inner.behaviour.lock().unwrap() = Some(Box::new(behaviour));
    }

    /// Lets the requests about these events hang; none: all go on.
    pub fn hang(&self, positions: &[i64]) {
        *self.inner.hanging.lock().unwrap() = positions.to_vec();
        self.inner.released.notify_waiters();
    }

    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().unwrap().clone()
    }

    /// The most requests that were open at the same time.
    pub fn most_open(&self) -> usize {
        self.inner.open.lock().unwrap().1
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} requests"), async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

struct Open<'a>(&'a Inner);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().0 -= 1;
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let received = Received { headers, body, status: 0 };
    // A ping has none.
    let position = if received.json()["type"] == "tandem.ping" { 0 } else { received.position() };
    {
        let mut open = inner.open.lock().unwrap();
        open.0 += 1;
        open.1 = open.1.max(open.0);
    }
    let _open = Open(&inner);
    let index = {
        let mut all = inner.received.lock().unwrap();
        all.push(received.clone());
        all.len() - 1
    };
    loop {
        let released = inner.released.notified();
        if !inner.hanging.lock().unwrap().contains(&position) {
            break;
        }
        released.await;
    }
    let next = inner.answers.lock().unwrap().pop_front();
    let status =
        next.unwrap_or_else(|| inner.behaviour.lock().unwrap().as_mut().map_or(200, |behaviour| behaviour(&received)));
    inner.received.lock().unwrap()[index].status = status;
    StatusCode::from_u16(status).unwrap()
}
