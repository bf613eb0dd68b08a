//! The life of a server: it serves, stops, and finishes what runs.

use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::*;
use crate::auth::{KeySource, Secret};
use crate::config::settings;
use crate::live::fake::{Fake, SECRET, Started, soon};

struct Running {
    address: std::net::SocketAddr,
    started: tokio::sync::mpsc::UnboundedReceiver<Started>,
    stop: oneshot::Sender<&'static str>,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
}

async fn start(flags: &[&str]) -> Running {
    let settings = settings(flags);
    let source = KeySource::Secret(Secret::new(SECRET));
    let authenticator = Arc::new(Authenticator::open(&settings.auth, &source).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (executor, started) = Fake::new();
    let extra = Router::new().route("/extra", axum::routing::get(|| async { "extra" }));
    let readiness: Readiness = Arc::new(|| async { Vec::new() }.boxed());
    let app = App { executor, readiness, resources: 1, metrics: Metrics::default(), routes: extra };
    let (stop, stopped) = oneshot::channel();
    let stopped = stopped.map(|signal| signal.unwrap_or("dropped"));
    let server = tokio::spawn(run(settings, Lifetime::default(), listener, authenticator, app, stopped));
    Running { address, started, stop, server }
}

#[tokio::test]
async fn what_runs_is_finished_and_sockets_are_told() {
    let mut running = start(&["--drain-window", "20ms"]).await;
    let extra = soon(reqwest::get(format!("http://{}/extra", running.address))).await.unwrap();
    assert_eq!(soon(extra.text()).await.unwrap(), "extra");

    let url = format!("http://{}/graphql", running.address);
    let request = reqwest::Client::new().post(&url).header("content-type", "application/json");
    let request = tokio::spawn(request.body(r#"{"query":"{ wait }"}"#).send());
    let waiting = soon(running.started.recv()).await.unwrap();
    let mut upgrade = format!("ws://{}/graphql", running.address).into_client_request().unwrap();
    upgrade.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = soon(tokio_tungstenite::connect_async(upgrade)).await.unwrap();

    running.stop.send("test").unwrap();
    match soon(socket.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1012),
        other => panic!("{other:?}"),
    }
    drop(socket);
    assert!(!running.server.is_finished());
    waiting.next(r#"{"data":{}}"#, "c").await;
    let answer = soon(request).await.unwrap().unwrap();
    assert_eq!(soon(answer.text()).await.unwrap(), r#"{"data":{}}"#);
    soon(running.server).await.unwrap().unwrap();
    assert!(soon(reqwest::get(&url)).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_is_dropped() {
    let mut running = start(&["--shutdown-timeout", "50ms"]).await;
    let url = format!("http://{}/graphql", running.address);
    let request = reqwest::Client::new().post(&url).header("content-type", "application/json");
    let request = tokio::spawn(request.body(r#"{"query":"{ wait }"}"#).timeout(Duration::from_secs(20)).send());
    let _waiting = soon(running.started.recv()).await.unwrap();
    running.stop.send("test").unwrap();
    soon(running.server).await.unwrap().unwrap();
    request.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_writer_is_written_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("tandem.db").display());
    let lifetime = Lifetime::default();
    let open = async |lifetime: &Lifetime| {
        let options = crate::testing::options(&url, "type Thing @resource { name: String }");
        parts::open(options, &lifetime.shutdown, &lifetime.tasks).await.unwrap()
    };
    let parts::Parts { engine, .. } = open(&lifetime).await;
    // Somebody else is writing, so the writer has to wait.
    let other = rusqlite::Connection::open(directory.path().join("tandem.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..3 {
        let query = "mutation { createThing(input: {}) { thing { id } } }";
        let request = crate::testing::request(query, serde_json::Map::new());
        // The client goes away once its mutation has begun.
        assert!(engine.execute(request, crate::testing::admin()).now_or_never().is_none());
    }
    drop(engine);
    lifetime.shutdown.cancel();
    lifetime.tasks.close();
    let stopped = tokio::time::timeout(Duration::from_millis(300), lifetime.tasks.wait()).await;
    assert!(stopped.is_err(), "the server ends although writes wait");
    other.execute_batch("ROLLBACK").unwrap();
    soon(lifetime.tasks.wait()).await;
    let parts::Parts { database, .. } = open(&Lifetime::default()).await;
    assert_eq!(crate::log::read::head(&database).await.unwrap().position.get(), 3);
}
