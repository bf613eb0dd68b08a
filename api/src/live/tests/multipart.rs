//! Subscriptions in multipart responses.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Headers, JSON, Streamed, query, request};
use crate::live::fake::{TestServer, soon};
use crate::schema::Item;

/// As Apollo Client sends it.
const APOLLO: (&str, &str) = (
    "accept",
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9",
);
const PLAIN: (&str, &str) = ("accept", "multipart/mixed");
const PART: &str = "\r\ncontent-type: application/json\r\n\r\n";

async fn post(server: &TestServer, headers: Headers<'_>, document: &str) -> Streamed {
    request(server, Method::POST, "/graphql", &[&[JSON], headers].concat(), query(document)).await
}

/// The next part; the last thing in the body is no part.
async fn part(stream: &mut Streamed) -> String {
    let part = stream.until("\r\n--graphql").await.unwrap();
    part.strip_prefix(PART).map_or(part.clone(), str::to_owned)
}

async fn end(stream: &mut Streamed) {
    assert_eq!(stream.until("--\r\n").await.as_deref(), Some(""));
    assert_eq!(stream.until("\r\n").await, None);
}

#[tokio::test]
async fn a_subscription_is_a_part_for_each_result() {
    let mut server = TestServer::start(&[]).await;
    for (accept, content_type) in [
        (APOLLO, "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0"),
        (PLAIN, "multipart/mixed;boundary=\"graphql\""),
    ] {
        let mut stream = post(&server, &[accept], "subscription { wait }").await;
        assert_eq!((stream.status.as_u16(), stream.header("content-type")), (200, content_type));
        assert_eq!(part(&mut stream).await, "");
        let started = server.started().await;
        started.next(r#"{"data": 1.0}"#, "c1").await;
        assert_eq!(part(&mut stream).await, r#"{"payload":{"data": 1.0}}"#);
        started.next(r#"{"data":2}"#, "c2").await;
        assert_eq!(part(&mut stream).await, r#"{"payload":{"data":2}}"#);
        drop(started);
        end(&mut stream).await;
    }
}

#[tokio::test]
async fn heartbeats_are_what_the_client_leaves_out() {
    let mut server = TestServer::start(&["--live-keepalive", "200ms"]).await;
    let mut stream = post(&server, &[APOLLO], "subscription { wait }").await;
    let _started = server.started().await;
    assert_eq!(part(&mut stream).await, "");
    for _ in 0..3 {
        assert_eq!(part(&mut stream).await, "{}");
    }
    let mut stream = post(&server, &[PLAIN], "subscription { wait }").await;
    let started = server.started().await;
    assert_eq!(part(&mut stream).await, "");
    for _ in 0..3 {
        assert_eq!(stream.until(" ").await.as_deref(), Some(""));
    }
    started.next("{}", "c1").await;
    let next = stream.until("\r\n--graphql").await.unwrap();
    assert_eq!(next.trim_start_matches(' '), format!("{PART}{{\"payload\":{{}}}}"));
}

#[tokio::test]
async fn what_is_wrong_before_it_starts_is_a_response() {
    let server = TestServer::start(&[]).await;
    for (document, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("subscription { refused }", "FORBIDDEN")] {
        let answer = post(&server, &[APOLLO], document).await;
        let content_type = "application/graphql-response+json; charset=utf-8";
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (400, content_type));
        assert_eq!(answer.json().await["errors"][0]["extensions"]["code"], code);
        // Who takes nothing else is told in a part.
        let mut stream = post(&server, &[PLAIN], document).await;
        assert_eq!(stream.status, 200);
        assert_eq!(part(&mut stream).await, "");
        let told: Value = serde_json::from_str(&part(&mut stream).await).unwrap();
        assert_eq!((&told["payload"], &told["errors"][0]["extensions"]["code"]), (&Value::Null, &json!(code)));
        end(&mut stream).await;
    }
    assert_eq!(post(&server, &[APOLLO, ("authorization", "Bearer x")], "{ echo }").await.status, 401);
}

#[tokio::test]
async fn queries_are_answered_as_ever() {
    let server = TestServer::start(&[]).await;
    let answer = post(&server, &[APOLLO], "{ echo }").await;
    assert_eq!(answer.header("content-type"), "application/graphql-response+json; charset=utf-8");
    assert!(answer.json().await["data"].is_object());
    let mut stream = post(&server, &[PLAIN], "{ echo }").await;
    assert_eq!(part(&mut stream).await, "");
    assert_eq!(part(&mut stream).await, r#"{"payload":{"data":{"sub":null,"variables":{}}}}"#);
    end(&mut stream).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_why_and_where_to_go_on() {
    let mut server = TestServer::start(&["--drain-window", "50ms"]).await;
    let told = async |stream: &mut Streamed| -> Value {
        let told: Value = serde_json::from_str(&part(stream).await).unwrap();
        assert_eq!(told["payload"], Value::Null);
        end(stream).await;
        told["errors"][0].clone()
    };
    let mut stream = post(&server, &[APOLLO], "subscription { wait }").await;
    let started = server.started().await;
    assert_eq!(part(&mut stream).await, "");
    soon(started.items.send(Item::Error(r#"[{"message":"gone"}]"#.into()))).await.unwrap();
    assert_eq!(told(&mut stream).await, json!({"message": "gone"}));

    let bearer = format!("Bearer {}", server.token("ada", Duration::from_secs(1)));
    let mut stream = post(&server, &[APOLLO, ("authorization", &bearer)], "subscription { wait }").await;
    let _started = server.started().await;
    assert_eq!(part(&mut stream).await, "");
    let extensions = json!({"code": "UNAUTHENTICATED", "cursor": "c0"});
    assert_eq!(told(&mut stream).await["extensions"], extensions);

    let mut stream = post(&server, &[APOLLO], "subscription { wait }").await;
    let started = server.started().await;
    assert_eq!(part(&mut stream).await, "");
    started.next("{}", "c5").await;
    assert_eq!(part(&mut stream).await, r#"{"payload":{}}"#);
    server.shutdown.cancel();
    assert_eq!(told(&mut stream).await["extensions"], json!({"code": "RATE_LIMITED", "cursor": "c5"}));
    started.dropped().await;
}
