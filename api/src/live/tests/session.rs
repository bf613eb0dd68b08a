//! Who uses a socket that speaks graphql-transport-ws, for how long, and how fresh what they get is.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{Headers, PROTOCOL, connect, open, refused};
use crate::live::fake::{TestServer, soon};

#[tokio::test]
async fn a_newer_token_goes_on_with_its_rights() {
    let mut server = TestServer::start(&[]).await;
    let bearer = |token: &str| json!({"authorization": format!("Bearer {token}")});
    let short = server.token("ada", Duration::from_secs(3));
    let mut renewed = open(&server, &[PROTOCOL]).await.unwrap();
    renewed.init(bearer(&short)).await;
    renewed.subscribe("a", "subscription { wait }").await;
    let first = server.started().await;
    renewed.subscribe("q", "{ wait }").await;
    let query = server.started().await;
    first.next("{}", "c1").await;
    assert_eq!(renewed.message().await["id"], "a");

    let long = server.token("ada", Duration::from_secs(600));
    renewed.send(json!({"type": "ping", "payload": bearer(&long)})).await;
    let pong = renewed.message().await;
    assert_eq!(pong["type"], "pong");
    assert!(pong["payload"]["expiresAt"].as_str().is_some_and(|text| text.starts_with("20")), "{pong}");
    assert!(pong["payload"].get("authorization").is_none(), "a token is not sent back");
    first.dropped().await;
    let second = server.started().await;
    assert_eq!((second.sub.as_deref(), second.resume_after.as_deref()), (Some("ada"), Some("c1")));
    second.next("{}", "c2").await;
    assert_eq!(renewed.message().await["type"], "next");
    // A query that runs is not run again.
    query.next("{}", "").await;
    assert_eq!(renewed.message().await, json!({"id": "q", "type": "next", "payload": {}}));
    assert_eq!(renewed.message().await["type"], "complete");

    // The first token ends, and only who still has it is closed.
    let mut other = open(&server, &[PROTOCOL]).await.unwrap();
    other.init(bearer(&short)).await;
    assert_eq!(other.closed().await.0, 4403);
    renewed.nothing_more().await;
    let soon_over = server.token("ada", Duration::from_secs(1));
    renewed.send(json!({"type": "ping", "payload": bearer(&soon_over)})).await;
    assert_eq!(renewed.closed().await, (4403, "Forbidden: the token has expired".to_owned()));
}

#[tokio::test]
async fn a_token_that_is_not_newer_closes_the_socket() {
    let server = TestServer::start(&[]).await;
    let cases = [
        (server.bearer("bob"), "another subject"),
        ("Bearer x".to_owned(), "malformed"),
        ("nonsense".to_owned(), "Bearer"),
    ];
    for (authorization, reason) in cases {
        let mut client = open(&server, &[PROTOCOL]).await.unwrap();
        client.init(json!({"authorization": server.bearer("ada")})).await;
        client.send(json!({"type": "ping", "payload": {"authorization": authorization}})).await;
        let (code, said) = client.closed().await;
        assert!(code == 4403 && said.contains(reason), "{code} {said}");
    }
    // An anonymous connection does not become somebody's.
    let mut client = connect(&server).await;
    client.send(json!({"type": "ping", "payload": {"authorization": server.bearer("ada")}})).await;
    assert_eq!(client.closed().await.0, 4403);
}

#[tokio::test]
async fn a_principal_has_so_many_connections() {
    let server = TestServer::start(&["--live-max-connections-per-principal", "1"]).await;
    let bearer = server.bearer("ada");
    let named: Headers<'_> = &[PROTOCOL, ("authorization", &bearer)];
    let first = open(&server, named).await.unwrap();
    assert_eq!(refused(&server, named).await, 429);
    let mut second = open(&server, &[PROTOCOL]).await.unwrap();
    second.send(json!({"type": "connection_init", "payload": {"authorization": bearer}})).await;
    let (code, reason) = second.closed().await;
    assert_eq!((code, reason.starts_with("Try again later: ")), (1013, true), "{reason}");
    let (mut third, mut fourth) = (connect(&server).await, connect(&server).await);
    third.nothing_more().await;
    fourth.nothing_more().await;
    drop(first);
    soon(async { while open(&server, named).await.is_err() {} }).await;
}

#[tokio::test]
async fn clients_are_told_when_the_log_cannot_be_read() {
    let mut server = TestServer::start(&["--live-keepalive", "400ms"]).await;
    let stale = r#"{"type":"ping","payload":{"stale":true,"since":"1970-01-01T00:00:00.000000Z"}}"#;
    let mut client = connect(&server).await;
    client.subscribe("a", "subscription { wait }").await;
    let started = server.started().await;
    server.fake.stale_since.send_replace(Some(SystemTime::UNIX_EPOCH));
    // Again and again, for as long as it lasts.
    for _ in 0..3 {
        assert_eq!(client.text().await, stale);
    }
    let mut late = connect(&server).await;
    assert_eq!(late.text().await, stale);
    server.fake.stale_since.send_replace(None);
    let fresh = soon(async {
        loop {
            let text = client.text().await;
            if text != stale {
                break text;
            }
        }
    });
    assert_eq!(fresh.await, r#"{"type":"ping","payload":{"stale":false}}"#);
    started.next("{}", "c1").await;
    assert_eq!(client.message().await["type"], "next");
}
