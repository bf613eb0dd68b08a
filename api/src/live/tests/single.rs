//! Server-Sent Events with one connection for several operations.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{EVENTS, Headers, JSON, Streamed, request};
use crate::live::fake::{TestServer, soon};

const PATH: &str = "/graphql/stream";
const TOKEN: &str = "x-graphql-event-stream-token";

async fn reserve(server: &TestServer, headers: Headers<'_>) -> String {
    let answer = request(server, Method::PUT, PATH, headers, None).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (201, "text/plain; charset=utf-8"));
    answer.text().await
}

async fn connect(server: &TestServer, token: &str) -> Streamed {
    let stream = request(server, Method::GET, PATH, &[EVENTS, (TOKEN, token)], None).await;
    assert_eq!((stream.status.as_u16(), stream.header("content-type")), (200, "text/event-stream; charset=utf-8"));
    stream
}

fn operation(id: &str, document: &str) -> Option<Value> {
    Some(json!({"query": document, "extensions": {"operationId": id}}))
}

async fn post(server: &TestServer, token: &str, headers: Headers<'_>, body: Option<Value>) -> Streamed {
    request(server, Method::POST, PATH, &[&[JSON, (TOKEN, token)], headers].concat(), body).await
}

async fn start(server: &TestServer, token: &str, id: &str, document: &str) {
    assert_eq!(post(server, token, &[], operation(id, document)).await.status, 202, "{document}");
}

async fn stop(server: &TestServer, token: &str, parameters: &str) -> u16 {
    let path = format!("{PATH}{parameters}");
    request(server, Method::DELETE, &path, &[(TOKEN, token)], None).await.status.as_u16()
}

#[tokio::test]
async fn one_stream_carries_several_operations() {
    let mut server = TestServer::start(&[]).await;
    let token = reserve(&server, &[]).await;
    assert!(token.len() >= 43, "{token}");
    // An operation may start before the stream is connected.
    start(&server, &token, "q", "{ echo }").await;
    let mut stream = connect(&server, &token).await;
    let next = r#"data: {"id":"q","payload":{"data":{"sub":null,"variables":{}}}}"#;
    assert_eq!(stream.event().await.unwrap(), format!("event: next\n{next}"));
    assert_eq!(stream.event().await.unwrap(), "event: complete\ndata: {\"id\":\"q\"}");

    start(&server, &token, "a", "subscription { wait }").await;
    let a = server.started().await;
    start(&server, &token, "b", "subscription { wait }").await;
    let b = server.started().await;
    b.next(r#"{"data":1}"#, "c1").await;
    let next = |id: &str, data: u8| format!(r#"data: {{"id":"{id}","payload":{{"data":{data}}}}}"#);
    assert_eq!(stream.event().await.unwrap(), format!("event: next\nid: c1\n{}", next("b", 1)));
    a.next(r#"{"data":2}"#, "c2").await;
    assert_eq!(stream.event().await.unwrap(), format!("event: next\nid: c2\n{}", next("a", 2)));

    assert_eq!(stop(&server, &token, "?operationId=a").await, 200);
    a.dropped().await;
    // One that is over, or never was, is nothing to complain about.
    assert_eq!(stop(&server, &token, "?operationId=a").await, 200);
    drop(b);
    assert_eq!(stream.event().await.unwrap(), "event: complete\ndata: {\"id\":\"b\"}");

    // The stream goes with its connection, and the operations with the stream.
    start(&server, &token, "a", "subscription { wait }").await;
    let again = server.started().await;
    drop(stream);
    again.dropped().await;
    soon(async { while post(&server, &token, &[], operation("x", "{ echo }")).await.status != 404 {} }).await;
}

#[tokio::test]
async fn what_is_wrong_is_a_status() {
    let mut server = TestServer::start(&["--live-max-operations", "2"]).await;
    let token = reserve(&server, &[]).await;
    let stream = connect(&server, &token).await;
    let with_token = format!("{PATH}?token={token}");
    let echo = || operation("x", "{ echo }");
    start(&server, &token, "a", "subscription { wait }").await;
    let running = server.started().await;
    let known: Headers<'_> = &[JSON, (TOKEN, &token)];
    let cases: [(Method, &str, Headers<'_>, Option<Value>, u16); 18] = [
        (Method::PUT, PATH, &[("accept", "application/json")], None, 406),
        (Method::PUT, PATH, &[("authorization", "Bearer x")], None, 401),
        (Method::GET, PATH, &[EVENTS], None, 404),
        (Method::GET, PATH, &[EVENTS, (TOKEN, "x")], None, 404),
        (Method::GET, &with_token, &[], None, 406),
        (Method::GET, &with_token, &[("accept", "application/json")], None, 406),
        (Method::GET, &with_token, &[EVENTS], None, 409),
        (Method::POST, PATH, &[JSON], echo(), 404),
        (Method::POST, PATH, &[(TOKEN, &token)], echo(), 415),
        (Method::POST, PATH, known, Some(json!({"query": "{ echo }"})), 400),
        (Method::POST, PATH, known, operation("", "{ echo }"), 400),
        (Method::POST, PATH, known, operation(&"x".repeat(300), "{ echo }"), 400),
        (Method::POST, PATH, known, Some(json!([])), 400),
        (Method::POST, PATH, known, operation("x", "{"), 400),
        (Method::POST, PATH, known, operation("x", "subscription { refused }"), 400),
        (Method::POST, PATH, known, operation("a", "{ echo }"), 409),
        (Method::DELETE, PATH, &[(TOKEN, "x")], None, 404),
        (Method::PATCH, PATH, known, echo(), 405),
    ];
    for (method, path, headers, body, status) in cases {
        let case = format!("{method} {headers:?} {body:?}");
        let answer = request(&server, method, path, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{case}");
        assert!(answer.json().await["errors"].is_array(), "{case}");
    }
    assert_eq!(stop(&server, &token, "").await, 400);
    // What was refused holds no place: there is room for one more, and for no third.
    assert_eq!(
        request(&server, Method::POST, &with_token, &[JSON], operation("b", "subscription { wait }")).await.status,
        202
    );
    assert_eq!(post(&server, &token, &[], echo()).await.status, 429);
    drop((running, stream));
}

#[tokio::test]
async fn a_stream_belongs_to_its_subject() {
    let mut server = TestServer::start(&[]).await;
    let (ada, bob) = (server.bearer("ada"), server.bearer("bob"));
    let token = reserve(&server, &[("authorization", &ada)]).await;
    let foreign = request(&server, Method::GET, PATH, &[EVENTS, (TOKEN, &token), ("authorization", &bob)], None).await;
    assert_eq!(foreign.status, 403);
    // A browser connects with the token alone; everything else says who is calling.
    let mut stream = connect(&server, &token).await;
    let echo = || operation("x", "{ echo }");
    assert_eq!(post(&server, &token, &[], echo()).await.status, 403);
    assert_eq!(post(&server, &token, &[("authorization", &bob)], echo()).await.status, 403);
    assert_eq!(stop(&server, &token, "?operationId=x").await, 403);
    assert_eq!(post(&server, &token, &[("authorization", &ada)], echo()).await.status, 202);
    assert!(stream.event().await.unwrap().contains(r#""sub":"ada""#));
    assert_eq!(stream.event().await.unwrap(), "event: complete\ndata: {\"id\":\"x\"}");

    let wait = operation("w", "subscription { wait }");
    assert_eq!(post(&server, &token, &[("authorization", &ada), ("last-event-id", "c3")], wait).await.status, 202);
    let first = server.started().await;
    assert_eq!(first.resume_after.as_deref(), Some("c3"));
    // Another token of the same subject: all go on with its rights, and end with it.
    let newer = format!("Bearer {}", server.token("ada", Duration::from_secs(2)));
    first.next("{}", "c4").await;
    assert!(stream.event().await.unwrap().contains("id: c4"));
    assert_eq!(post(&server, &token, &[("authorization", &newer)], echo()).await.status, 202);
    first.dropped().await;
    assert_eq!(server.started().await.resume_after.as_deref(), Some("c4"));
    while stream.event().await.unwrap() != ": the token has expired" {}
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn reservations_are_few_and_short() {
    let flags = ["--sse-reservation-timeout", "300ms", "--sse-max-reservations", "1", "--live-max-connections", "1"];
    let server = TestServer::start(&flags).await;
    let token = reserve(&server, &[]).await;
    let refused = request(&server, Method::PUT, PATH, &[], None).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json().await["errors"][0]["extensions"]["code"].as_str()),
        (503, Some("RATE_LIMITED"))
    );
    soon(async { while stop(&server, &token, "?operationId=x").await != 404 {} }).await;
    // A stream that is connected is no reservation any more, and stays.
    let token = reserve(&server, &[]).await;
    let mut stream = connect(&server, &token).await;
    let waiting = reserve(&server, &[]).await;
    let full = request(&server, Method::GET, PATH, &[EVENTS, (TOKEN, &waiting)], None).await;
    assert_eq!(full.status, 503);
    soon(async { while stop(&server, &waiting, "?operationId=x").await != 404 {} }).await;
    start(&server, &token, "q", "{ echo }").await;
    assert!(stream.event().await.unwrap().starts_with("event: next"));

    server.shutdown.cancel();
    assert_eq!(request(&server, Method::PUT, PATH, &[], None).await.status, 503);
}

#[tokio::test]
async fn a_stopping_server_ends_the_stream() {
    let mut server = TestServer::start(&["--drain-window", "50ms"]).await;
    let token = reserve(&server, &[]).await;
    let waiting = reserve(&server, &[]).await;
    let mut stream = connect(&server, &token).await;
    start(&server, &token, "a", "subscription { wait }").await;
    let started = server.started().await;
    server.shutdown.cancel();
    assert_eq!(stream.event().await.unwrap(), ": the server is stopping; connect again");
    assert_eq!(stream.event().await, None);
    started.dropped().await;
    server.tasks.close();
    soon(server.tasks.wait()).await;
    assert_eq!(stop(&server, &waiting, "?operationId=x").await, 404);
}
