//! A server around an executor whose every step the test decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::stream::unfold;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::operation::Output;
use super::{Executor, Live};
use crate::auth::{Authenticator, NewToken, Principal, issue};
use crate::auth::{KeySource, Secret};
use crate::config::{Settings, settings};
use crate::http::{Gateway, NotReady, PersistedQueries, drop_stalled, router};
use crate::log::CursorText;
use crate::schema::{Item, OperationKind, Payload, Payloads, Request, Response, Subscribed};

/// As the server's, but short.
const STALL_GRACE: Duration = Duration::from_millis(500);
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// No test waits longer than this for anything.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it did not happen in time")
}

fn text(cursor: &str) -> CursorText {
    CursorText::from(cursor).expect("it is short")
}

fn payload(body: &str, cursor: &str) -> Payloads {
    Payload::of_subscription(body.into(), text(cursor)).into()
}

/// A result of a subscription.
pub fn next_output(body: &str, cursor: &str) -> Output {
    Output::Next(payload(body, cursor))
}

/// An operation that waits for what the test makes of it.
pub struct Started {
    /// Who runs it.
    pub sub: Option<String>,
    /// Where it continues.
    pub resume_after: Option<String>,
    /// Gives the operation its items; closed when the operation is dropped.
    pub items: mpsc::Sender<Item>,
}

impl Started {
    pub async fn next(&self, body: &str, cursor: &str) {
        soon(self.items.send(Item::Next(payload(body, cursor)))).await.expect("the operation is running");
    }

    pub async fn dropped(&self) {
        soon(self.items.closed()).await;
    }
}

/// Which document does what:
/// `{ echo }` and `mutation { echo }` answer with the caller and the variables; `{ wait }` and `subscription { wait }`
/// get their items from the test; `subscription { endless }` always has one more; `subscription { refused }` and
/// everything that is no such document is a request error.
#[derive(Clone)]
pub struct Fake {
    started: mpsc::UnboundedSender<Started>,
    /// Items taken from endless subscriptions.
    pub pulled: Arc<AtomicUsize>,
    /// Since when the log cannot be read.
    pub stale_since: Arc<watch::Sender<Option<SystemTime>>>,
}

fn request_error(code: &str) -> Response {
    let body = json!({"errors": [{"message": "no", "extensions": {"code": code}}], "extensions": {"cost": 1}});
    Response { body: body.to_string().into(), is_request_error: true }
}

impl Fake {
    /// An executor, and the operations that it starts.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Started>) {
        let (sender, started) = mpsc::unbounded_channel();
        (Self { started: sender, pulled: Arc::default(), stale_since: Arc::default() }, started)
    }

    fn start(&self, request: &Request, principal: &Principal) -> mpsc::Receiver<Item> {
        let (items, receiver) = mpsc::channel(1);
        let (sub, resume_after) = (principal.sub.clone(), request.resume_after.clone());
        self.started.send(Started { sub, resume_after, items }).expect("the test goes on");
        receiver
    }
}

impl Executor for Fake {
    fn operation_kind(&self, request: &Request) -> Result<OperationKind, Response> {
        match request.query.as_str() {
            "{ echo }" | "{ wait }" => Ok(OperationKind::Query),
            "mutation { echo }" => Ok(OperationKind::Mutation),
            "subscription { wait }" | "subscription { endless }" | "subscription { refused }" => {
                Ok(OperationKind::Subscription)
            }
            _ => Err(request_error("GRAPHQL_PARSE_FAILED")),
        }
    }

    async fn execute(&self, request: Request, principal: Arc<Principal>) -> Response {
        let body = if request.query == "{ wait }" {
            match self.start(&request, &principal).recv().await {
                Some(Item::Next(payloads)) => payloads.as_slice()[0].body().to_owned().into(),
                _ => return request_error("BAD_USER_INPUT"),
            }
        } else {
            json!({"data": {"sub": principal.sub, "variables": request.variables}}).to_string().into()
        };
        Response { body, is_request_error: false }
    }

    async fn subscribe(&self, request: Request, principal: Arc<Principal>) -> Result<Subscribed, Response> {
        let items = match request.query.as_str() {
            "subscription { refused }" => return Err(request_error("FORBIDDEN")),
            "subscription { endless }" => {
                let body = json!({"data": "x".repeat(16 << 10)}).to_string();
                let (pulled, running) = (self.pulled.clone(), self.start(&request, &principal));
                futures_util::stream::repeat_with(move || {
                    let _ = &running;
                    let count = pulled.fetch_add(1, Ordering::SeqCst) + 1;
                    Item::Next(payload(&body, &format!("c{count}")))
                })
                .boxed()
            }
            _ => {
                let items = self.start(&request, &principal);
                unfold(items, |mut items| async { items.recv().await.map(|item| (item, items)) }).boxed()
            }
        };
        Ok(Subscribed { cursor: text(request.resume_after.as_deref().unwrap_or("c0")), items })
    }

    fn stale_since(&self) -> watch::Receiver<Option<SystemTime>> {
        self.stale_since.subscribe()
    }
}

/// A running server; it stops when it is dropped.
pub struct TestServer {
    pub address: SocketAddr,
    pub fake: Fake,
    pub started: mpsc::UnboundedReceiver<Started>,
    pub shutdown: CancellationToken,
    pub tasks: TaskTracker,
    settings: Settings,
    _stop: DropGuard,
}

impl TestServer {
    /// With these flags.
    pub async fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, Vec::new()).await
    }

    /// With these flags, and reasons not to be ready.
    pub async fn start_with(flags: &[&str], reasons: Vec<NotReady>) -> Self {
        let settings = settings(flags);
        let source = KeySource::Secret(Secret::new(SECRET));
        let authenticator = Authenticator::open(&settings.auth, &source).await.expect("a secret is a key");
        let (fake, started) = Fake::new();
        let (shutdown, tasks, stop) = (CancellationToken::new(), TaskTracker::new(), CancellationToken::new());
        let live = Live::new(fake.clone(), Arc::new(authenticator), &settings, shutdown.clone(), tasks.clone());
        let readiness = Arc::new(move || {
            let reasons = reasons.clone();
            async move { reasons }.boxed()
        });
        let persisted = PersistedQueries::new(settings.http.persisted_queries_bytes);
        let router = router(Gateway {
            live: Arc::new(live),
            settings: settings.http.clone(),
            persisted,
            readiness,
            metrics: crate::metrics::Metrics::default(),
            are_metrics_open: settings.server.is_loopback(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let listener = drop_stalled(listener, settings.live.live_write_timeout + STALL_GRACE);
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                result = axum::serve(listener, router).into_future() => result,
                () = stopped => Ok(()),
            }
        });
        Self { address, fake, started, shutdown, tasks, settings, _stop: stop.drop_guard() }
    }

    /// The operation that was started next.
    pub async fn started(&mut self) -> Started {
        soon(self.started.recv()).await.expect("the server is running")
    }

    /// A token of this subject.
    pub fn token(&self, sub: &str, ttl: Duration) -> String {
        let token = NewToken { sub: sub.to_owned(), ttl, ..NewToken::default() };
        issue(&Secret::new(SECRET), &self.settings.auth, &token).expect("a secret can sign")
    }

    /// The value of an `Authorization` header.
    pub fn bearer(&self, sub: &str) -> String {
        format!("Bearer {}", self.token(sub, Duration::from_secs(600)))
    }
}
