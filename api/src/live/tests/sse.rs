//! Server-Sent Events with a connection for each operation.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};

use super::{EVENTS, Headers, JSON, Streamed, query, request};
use crate::live::fake::{TestServer, soon};
use crate::schema::Item;

const PATH: &str = "/graphql";

async fn post(server: &TestServer, document: &str) -> Streamed {
    request(server, Method::POST, PATH, &[JSON, EVENTS], query(document)).await
}

async fn follow(server: &TestServer, headers: Headers<'_>) -> Streamed {
    let headers = [&[JSON, EVENTS], headers].concat();
    let stream = request(server, Method::POST, PATH, &headers, query("subscription { wait }")).await;
    assert_eq!(stream.status, 200);
    stream
}

#[tokio::test]
async fn a_query_is_answered_and_completed() {
    let server = TestServer::start(&[]).await;
    for document in ["{ echo }", "mutation { echo }"] {
        let mut stream = post(&server, document).await;
        assert_eq!((stream.status.as_u16(), stream.header("content-type")), (200, "text/event-stream; charset=utf-8"));
        assert_eq!((stream.header("cache-control"), stream.header("x-accel-buffering")), ("no-store", "no"));
        assert_eq!(stream.until("\n\n").await.unwrap(), ":");
        let next = "event: next\ndata: {\"data\":{\"sub\":null,\"variables\":{}}}";
        assert_eq!(stream.event().await.unwrap(), next);
        assert_eq!(stream.event().await.unwrap(), "event: complete\ndata:");
        assert_eq!(stream.event().await, None);
    }
}

#[tokio::test]
async fn a_subscription_has_ids_and_completes() {
    let mut server = TestServer::start(&[]).await;
    for method in [Method::POST, Method::GET] {
        let mut stream = match method {
            Method::GET => {
                request(&server, method, "/graphql?query=subscription%20%7B%20wait%20%7D", &[EVENTS], None).await
            }
            _ => follow(&server, &[]).await,
        };
        let started = server.started().await;
        assert_eq!(started.resume_after, None);
        assert_eq!(stream.event().await.unwrap(), "id: c0");
        started.next(r#"{"data": 1.0}"#, "c1").await;
        assert_eq!(stream.event().await.unwrap(), "event: next\nid: c1\ndata: {\"data\": 1.0}");
        drop(started);
        assert_eq!(stream.event().await.unwrap(), "event: complete\ndata:");
        assert_eq!(stream.event().await, None);
    }
}

#[tokio::test]
async fn a_client_goes_on_after_the_last_event_that_it_has() {
    let mut server = TestServer::start(&[]).await;
    let stream = follow(&server, &[("last-event-id", "c7")]).await;
    let started = server.started().await;
    assert_eq!(started.resume_after.as_deref(), Some("c7"));
    drop(stream);
    started.dropped().await;
    let path = "/graphql?query=subscription%20%7B%20wait%20%7D";
    let mut stream = request(&server, Method::GET, path, &[EVENTS, ("last-event-id", "c8")], None).await;
    assert_eq!(server.started().await.resume_after.as_deref(), Some("c8"));
    assert_eq!(stream.event().await.unwrap(), "id: c8");
}

#[tokio::test]
async fn what_is_wrong_with_an_operation_is_an_event() {
    let mut server = TestServer::start(&["--request-timeout", "300ms"]).await;
    let cases = [("{", "GRAPHQL_PARSE_FAILED"), ("subscription { refused }", "FORBIDDEN"), ("{ wait }", "TIMEOUT")];
    for (document, code) in cases {
        let mut stream = post(&server, document).await;
        assert_eq!(stream.status, 200);
        let event = stream.event().await.unwrap();
        let data: Value = serde_json::from_str(event.strip_prefix("event: next\ndata: ").unwrap()).unwrap();
        assert_eq!(data["errors"][0]["extensions"]["code"], code);
        assert_eq!(stream.event().await.unwrap(), "event: complete\ndata:");
        assert_eq!(stream.event().await, None);
    }
    server.started().await;
    let mut stream = follow(&server, &[]).await;
    let started = server.started().await;
    soon(started.items.send(Item::Error(r#"[{"message":"gone"}]"#.into()))).await.unwrap();
    assert_eq!(stream.event().await.unwrap(), "id: c0");
    assert_eq!(stream.event().await.unwrap(), "event: next\ndata: {\"errors\":[{\"message\":\"gone\"}]}");
    assert_eq!(stream.event().await.unwrap(), "event: complete\ndata:");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_status() {
    let server = TestServer::start(&[]).await;
    let good = query("subscription { wait }");
    let cases: [(Method, &str, Headers<'_>, Option<Value>, u16); 7] = [
        (Method::POST, PATH, &[EVENTS], good.clone(), 415),
        (Method::POST, PATH, &[EVENTS, ("content-type", "text/plain")], good.clone(), 415),
        (Method::POST, PATH, &[EVENTS, JSON], Some(json!([])), 400),
        (Method::POST, PATH, &[EVENTS, JSON], Some(json!({})), 400),
        (Method::POST, PATH, &[EVENTS, JSON, ("authorization", "Bearer x")], good.clone(), 401),
        (Method::GET, "/graphql?query=mutation%20%7B%20echo%20%7D", &[EVENTS], None, 405),
        (Method::PUT, PATH, &[EVENTS], None, 405),
    ];
    for (method, path, headers, body, status) in cases {
        let answer = request(&server, method, path, headers, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, "application/json; charset=utf-8")
        );
        assert!(answer.json().await["errors"].is_array());
    }
    // Who asks for no stream gets none.
    let answer = request(&server, Method::POST, PATH, &[JSON, ("accept", "*/*")], good).await;
    assert!(answer.json().await["errors"][0]["message"].as_str().unwrap().contains("text/event-stream"));
}

#[tokio::test]
async fn a_stream_is_kept_alive_and_says_whether_it_is_stale() {
    let mut server = TestServer::start(&["--live-keepalive", "200ms"]).await;
    let mut stream = follow(&server, &[]).await;
    let started = server.started().await;
    assert_eq!(stream.until("\n\n").await.unwrap(), ":");
    assert_eq!(stream.until("\n\n").await.unwrap(), "id: c0");
    for _ in 0..3 {
        assert_eq!(stream.until("\n\n").await.unwrap(), ":");
    }
    server.fake.stale_since.send_replace(Some(SystemTime::UNIX_EPOCH));
    for _ in 0..3 {
        assert_eq!(stream.event().await.unwrap(), ": stale since 1970-01-01T00:00:00.000000Z");
    }
    server.fake.stale_since.send_replace(None);
    while stream.event().await.unwrap() != ": not stale" {}
    started.next("{}", "c1").await;
    assert!(stream.event().await.unwrap().starts_with("event: next"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_not_complete() {
    let mut server = TestServer::start(&["--drain-window", "50ms"]).await;
    let token = format!("Bearer {}", server.token("ada", Duration::from_secs(1)));
    let mut expiring = follow(&server, &[("authorization", &token)]).await;
    let started = server.started().await;
    assert_eq!(started.sub.as_deref(), Some("ada"));
    assert_eq!(expiring.event().await.unwrap(), "id: c0");
    assert_eq!(expiring.event().await.unwrap(), ": the token has expired");
    assert_eq!(expiring.event().await, None);
    started.dropped().await;

    let mut stream = follow(&server, &[]).await;
    let started = server.started().await;
    started.next("{}", "c1").await;
    server.shutdown.cancel();
    assert_eq!(stream.event().await.unwrap(), "id: c0");
    assert_eq!(stream.event().await.unwrap(), "event: next\nid: c1\ndata: {}");
    assert_eq!(stream.event().await.unwrap(), ": the server is stopping; connect again");
    assert_eq!(stream.event().await, None);
    started.dropped().await;
    assert_eq!(post(&server, "{ echo }").await.status, 503);
    server.tasks.close();
    soon(server.tasks.wait()).await;
}

#[tokio::test]
async fn connections_are_limited() {
    let mut server =
        TestServer::start(&["--live-max-connections", "2", "--live-max-connections-per-principal", "1"]).await;
    let bearer = server.bearer("ada");
    let named: Headers<'_> = &[JSON, EVENTS, ("authorization", &bearer)];
    let first = follow(&server, &[("authorization", &bearer)]).await;
    let started = server.started().await;
    let answer = request(&server, Method::POST, PATH, named, query("subscription { wait }")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json().await["errors"][0]["extensions"]["code"], "RATE_LIMITED");
    let second = follow(&server, &[]).await;
    assert_eq!(post(&server, "subscription { wait }").await.status, 503);
    drop(first);
    started.dropped().await;
    soon(async { while request(&server, Method::POST, PATH, named, query("{ echo }")).await.status != 200 {} }).await;
    drop(second);
}

#[tokio::test]
async fn a_slow_client_costs_only_itself() {
    let mut server = TestServer::start(&["--live-write-timeout", "200ms"]).await;
    let slow = post(&server, "subscription { endless }").await;
    let endless = server.started().await;
    let mut other = follow(&server, &[]).await;
    let started = server.started().await;
    assert_eq!(other.event().await.unwrap(), "id: c0");
    // The slow client reads nothing until the server has given it up.
    endless.dropped().await;
    let bytes = server.fake.pulled.load(Ordering::SeqCst) * (16 << 10);
    assert!(bytes < 64 << 20, "{bytes} bytes were taken for a client that reads nothing");
    // What it finds then is whole events with their ids, in order, and no end of the operation.
    let read = slow.rest().await;
    let ids = read.lines().filter_map(|line| line.strip_prefix("id: "));
    let ids: Vec<_> = ids.map(|id| id[1..].parse::<usize>().unwrap()).collect();
    assert!(ids.iter().copied().eq(0..ids.len()), "{ids:?}");
    assert!(!ids.is_empty() && !read.contains("event: complete"));
    started.next("{}", "c1").await;
    assert_eq!(other.event().await.unwrap(), "event: next\nid: c1\ndata: {}");
}
