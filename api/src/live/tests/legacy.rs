//! Every rule of the older subprotocol graphql-ws.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, open};
use crate::live::fake::{TestServer, soon};
use crate::schema::Item;

const LEGACY: (&str, &str) = ("sec-websocket-protocol", "graphql-ws");

async fn connect(server: &TestServer, payload: Value) -> Client {
    let mut client = open(server, &[LEGACY]).await.unwrap();
    init(&mut client, payload).await;
    client
}

async fn init(client: &mut Client, payload: Value) {
    client.send(json!({"type": "connection_init", "payload": payload})).await;
    assert_eq!(client.text().await, r#"{"type":"connection_ack"}"#);
    assert_eq!(client.text().await, r#"{"type":"ka"}"#);
}

async fn start(client: &mut Client, id: &str, query: &str) {
    client.send(json!({"id": id, "type": "start", "payload": {"query": query}})).await;
}

/// Nothing more was sent before the answer to a message that cannot be read.
async fn nothing_more(client: &mut Client) {
    client.send(json!({"type": "nothing"})).await;
    assert_eq!(client.message().await["type"], "connection_error");
}

#[tokio::test]
async fn a_query_is_answered_and_completed() {
    let server = TestServer::start(&[]).await;
    let mut client = connect(&server, json!({"authorization": server.bearer("ada")})).await;
    for query in ["{ echo }", "mutation { echo }"] {
        start(&mut client, "1", query).await;
        assert_eq!(client.text().await, r#"{"id":"1","type":"data","payload":{"data":{"sub":"ada","variables":{}}}}"#);
        assert_eq!(client.text().await, r#"{"id":"1","type":"complete"}"#);
    }
    nothing_more(&mut client).await;
}

#[tokio::test]
async fn a_subscription_runs_until_either_end_completes_it() {
    let mut server = TestServer::start(&[]).await;
    let mut client = connect(&server, Value::Null).await;
    start(&mut client, "a", "subscription { wait }").await;
    let a = server.started().await;
    start(&mut client, "b", "subscription { wait }").await;
    let b = server.started().await;
    a.next(r#"{"data":1}"#, "c1").await;
    assert_eq!(client.text().await, r#"{"id":"a","type":"data","payload":{"data":1}}"#);
    // Here the server says `complete` to `stop`, but not to one for nothing.
    for id in ["a", "a", "unknown"] {
        client.send(json!({"id": id, "type": "stop"})).await;
    }
    assert_eq!(client.text().await, r#"{"id":"a","type":"complete"}"#);
    a.dropped().await;
    nothing_more(&mut client).await;
    drop(b);
    assert_eq!(client.text().await, r#"{"id":"b","type":"complete"}"#);

    start(&mut client, "a", "subscription { wait }").await;
    let again = server.started().await;
    client.send(json!({"type": "connection_terminate"})).await;
    assert_eq!(client.closed().await.0, 1000);
    again.dropped().await;
}

#[tokio::test]
async fn errors_are_objects_and_end_the_operation() {
    let mut server = TestServer::start(&[]).await;
    let mut client = connect(&server, json!({})).await;
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("subscription { refused }", "FORBIDDEN")] {
        start(&mut client, "e", query).await;
        let error = client.message().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("e")));
        assert_eq!(error["payload"]["extensions"]["code"], code);
    }
    start(&mut client, "e", "subscription { wait }").await;
    let started = server.started().await;
    soon(started.items.send(Item::Error(r#"[{"message":"gone"}]"#.into()))).await.unwrap();
    assert_eq!(client.text().await, r#"{"id":"e","type":"error","payload":{"message":"gone"}}"#);
    started.dropped().await;
    nothing_more(&mut client).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_told_and_ignored() {
    let server = TestServer::start(&[]).await;
    let mut client = open(&server, &[LEGACY]).await.unwrap();
    for text in ["hello", "[]", r#"{"type":"subscribe","id":"1"}"#, r#"{"type":"start","id":"1"}"#] {
        client.send_raw(Message::text(text)).await;
        let error = client.message().await;
        assert!(error["type"] == "connection_error" && error["payload"]["message"].is_string(), "{error}");
    }
    client.send_raw(Message::binary("{}")).await;
    assert_eq!(client.message().await["type"], "connection_error");
    init(&mut client, json!({})).await;
}

#[tokio::test]
async fn an_operation_needs_a_connection_and_takes_the_place_of_its_namesake() {
    let mut server = TestServer::start(&["--live-max-operations", "1"]).await;
    let mut client = open(&server, &[LEGACY]).await.unwrap();
    start(&mut client, "a", "{ echo }").await;
    let error = client.message().await;
    assert_eq!((&error["id"], &error["payload"]["extensions"]["code"]), (&json!("a"), &json!("UNAUTHENTICATED")));
    init(&mut client, json!({})).await;
    start(&mut client, "a", "subscription { wait }").await;
    let first = server.started().await;
    start(&mut client, "b", "{ echo }").await;
    assert_eq!(client.message().await["payload"]["extensions"]["code"], "RATE_LIMITED");
    start(&mut client, "a", "subscription { wait }").await;
    let second = server.started().await;
    first.dropped().await;
    second.next("{}", "c1").await;
    assert_eq!(client.message().await["type"], "data");
}

#[tokio::test]
async fn a_token_that_is_none_is_told_before_the_close() {
    let server = TestServer::start(&[]).await;
    let mut client = open(&server, &[LEGACY]).await.unwrap();
    client.send(json!({"type": "connection_init", "payload": {"authorization": "Bearer x"}})).await;
    assert_eq!(client.message().await["type"], "connection_error");
    assert_eq!(client.closed().await.0, 4403);

    let token = server.token("ada", Duration::from_secs(1));
    let mut client = connect(&server, json!({"Authorization": format!("Bearer {token}")})).await;
    let expired = json!({"type": "connection_error", "payload": {"message": "Forbidden: the token has expired"}});
    assert_eq!(client.message().await, expired);
    assert_eq!(client.closed().await.0, 4403);
}

#[tokio::test]
async fn a_second_init_brings_a_newer_token() {
    let mut server = TestServer::start(&[]).await;
    let mut client = connect(&server, json!({"authorization": server.bearer("ada")})).await;
    start(&mut client, "a", "subscription { wait }").await;
    let first = server.started().await;
    let newer = format!("Bearer {}", server.token("ada", Duration::from_secs(900)));
    init(&mut client, json!({"authorization": newer})).await;
    first.dropped().await;
    let second = server.started().await;
    assert_eq!(second.resume_after.as_deref(), Some("c0"));
    client.send(json!({"type": "connection_init", "payload": {"authorization": server.bearer("bob")}})).await;
    assert_eq!(client.message().await["type"], "connection_error");
    assert_eq!(client.closed().await.0, 4403);
    second.dropped().await;
}

#[tokio::test]
async fn the_connection_is_kept_alive_and_says_whether_it_is_stale() {
    let server = TestServer::start(&["--live-keepalive", "300ms"]).await;
    let mut client = connect(&server, json!({})).await;
    for _ in 0..3 {
        assert_eq!(client.message().await, json!({"type": "ka"}));
    }
    server.fake.stale_since.send_replace(Some(SystemTime::UNIX_EPOCH));
    let told = soon(async {
        loop {
            let message = client.message().await;
            if message.get("payload").is_some() {
                break message;
            }
        }
    });
    assert_eq!(told.await["payload"]["stale"], true);
}

#[tokio::test]
async fn the_close_codes_of_both_are_the_same() {
    let server = TestServer::start(&["--ws-init-timeout", "1s", "--ws-max-message-bytes", "1KiB"]).await;
    let mut unopened = open(&server, &[LEGACY]).await.unwrap();
    let mut opened = connect(&server, json!({})).await;
    let mut large = connect(&server, json!({})).await;
    large.send_raw(Message::text(" ".repeat(2000))).await;
    assert_eq!(large.closed().await.0, 1009);
    assert_eq!(unopened.closed().await.0, 4408);
    nothing_more(&mut opened).await;
    let stopping = TestServer::start(&["--drain-window", "10ms"]).await;
    let mut client = connect(&stopping, json!({})).await;
    stopping.shutdown.cancel();
    assert_eq!(client.closed().await.0, 1012);
}
