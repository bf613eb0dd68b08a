//! Every rule and every close code of graphql-transport-ws.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, Headers, PROTOCOL, connect, open, open_named, refused};
use crate::live::fake::{Started, TestServer, soon};
use crate::schema::Item;

#[tokio::test]
async fn messages_that_close_the_socket() {
    let server = TestServer::start(&[]).await;
    let subscribe = json!({"id": "1", "type": "subscribe", "payload": {"query": "{ echo }"}}).to_string();
    let cases = [
        (false, Message::text("hello"), 4400, "JSON object"),
        (false, Message::text(r#"{"type":"start"}"#), 4400, "type"),
        (false, Message::binary(r#"{"type":"ping"}"#), 4400, "text frames"),
        (true, Message::binary(r#"{"type":"ping"}"#), 4400, "text frames"),
        (true, Message::text(r#"{"id":"1","type":"subscribe","payload":{}}"#), 4400, "query"),
        (false, Message::text(subscribe), 4401, "Unauthorized"),
        (true, Message::text(r#"{"type":"connection_init"}"#), 4429, "Too many initialisation requests"),
        (
            false,
            Message::text(r#"{"type":"connection_init","payload":{"authorization":"Bearer x"}}"#),
            4403,
            "malformed",
        ),
        (false, Message::text(r#"{"type":"connection_init","payload":{"authorization":7}}"#), 4403, "Forbidden"),
        (false, Message::text(r#"{"type":"connection_init","payload":7}"#), 4400, "payload"),
    ];
    for (acknowledged, message, code, reason) in cases {
        let mut client = open(&server, &[PROTOCOL]).await.unwrap();
        if acknowledged {
            client.init(json!({})).await;
        }
        client.send_raw(message.clone()).await;
        let closed = client.closed().await;
        assert_eq!(closed.0, code, "{message}");
        assert!(closed.1.contains(reason), "{message}: {}", closed.1);
    }
}

#[tokio::test]
async fn upgrades_that_are_refused() {
    let server = TestServer::start(&["--cors-origin", "https://app.example"]).await;
    assert_eq!(refused(&server, &[PROTOCOL, ("origin", "https://evil.example")]).await, 403);
    assert_eq!(refused(&server, &[PROTOCOL, ("authorization", "Bearer x")]).await, 401);
    assert_eq!(refused(&server, &[PROTOCOL, ("sec-websocket-version", "12")]).await, 400);
    let same = format!("http://{}", server.address);
    for origin in [same.as_str(), "https://app.example"] {
        assert!(open(&server, &[PROTOCOL, ("origin", origin)]).await.is_ok(), "{origin}");
    }
    server.shutdown.cancel();
    assert_eq!(refused(&server, &[PROTOCOL]).await, 503);

    let small = TestServer::start(&["--live-max-connections", "1"]).await;
    let first = open(&small, &[PROTOCOL]).await.unwrap();
    assert_eq!(refused(&small, &[PROTOCOL]).await, 503);
    drop(first);
    soon(async { while open(&small, &[PROTOCOL]).await.is_err() {} }).await;
}

#[tokio::test]
async fn the_subprotocol_that_is_said_is_the_one_that_is_spoken() {
    let server = TestServer::start(&[]).await;
    let mut none = open(&server, &[]).await.unwrap();
    assert_eq!(none.closed().await, (4406, "Subprotocol not acceptable".to_owned()));
    // The client's library refuses an upgrade that does not answer with one of its subprotocols.
    assert!(open(&server, &[("sec-websocket-protocol", "soap, GraphQL-WS")]).await.is_err());
    let cases = [
        ("graphql-transport-ws", "graphql-transport-ws"),
        ("graphql-ws", "graphql-ws"),
        ("graphql-ws, graphql-transport-ws", "graphql-transport-ws"),
        ("graphql-transport-ws, graphql-ws", "graphql-transport-ws"),
        ("soap,graphql-ws", "graphql-ws"),
    ];
    for (offered, chosen) in cases {
        let (mut client, said) = open_named(&server, &[("sec-websocket-protocol", offered)]).await.unwrap();
        assert_eq!(said, chosen, "{offered:?}");
        client.send(json!({"type": "no such type"})).await;
        if chosen == "graphql-ws" {
            assert_eq!(client.message().await["type"], "connection_error");
        } else {
            assert_eq!(client.closed().await.0, 4400);
        }
    }
}

#[tokio::test]
async fn who_calls() {
    let server = TestServer::start(&[]).await;
    let (ada, bob) = (server.bearer("ada"), server.bearer("bob"));
    let cases: [(Headers<'_>, Value, Value); 6] = [
        (&[PROTOCOL], json!({}), Value::Null),
        (&[PROTOCOL], json!({"authorization": ada}), json!("ada")),
        (&[PROTOCOL], json!({"Authorization": ada}), json!("ada")),
        (&[PROTOCOL], json!({"headers": {"Authorization": ada}}), json!("ada")),
        (&[PROTOCOL, ("authorization", &ada)], json!({"authorization": null}), json!("ada")),
        (&[PROTOCOL, ("authorization", &ada)], json!({"authorization": bob}), json!("bob")),
    ];
    for (headers, payload, sub) in cases {
        let mut client = open(&server, headers).await.unwrap();
        client.init(payload.clone()).await;
        client.subscribe("1", "{ echo }").await;
        assert_eq!(client.message().await["payload"]["data"]["sub"], sub, "{payload}");
    }
}

#[tokio::test]
async fn a_connection_must_be_opened_in_time() {
    let server = TestServer::start(&["--ws-init-timeout", "1s"]).await;
    let mut opened = connect(&server).await;
    let mut client = open(&server, &[PROTOCOL]).await.unwrap();
    assert_eq!(client.closed().await, (4408, "Connection initialisation timeout".to_owned()));
    // One that was opened in time, and before it, goes on.
    opened.nothing_more().await;
}

#[tokio::test]
async fn a_token_that_ends_closes_the_socket() {
    let mut server = TestServer::start(&[]).await;
    let token = server.token("ada", Duration::from_secs(3));
    let mut client = open(&server, &[PROTOCOL]).await.unwrap();
    client.init(json!({"authorization": format!("Bearer {token}")})).await;
    client.subscribe("1", "subscription { wait }").await;
    let started = server.started().await;
    assert_eq!(client.closed().await, (4403, "Forbidden: the token has expired".to_owned()));
    started.dropped().await;
}

#[tokio::test]
async fn pings_are_answered() {
    let server = TestServer::start(&[]).await;
    let mut client = open(&server, &[PROTOCOL]).await.unwrap();
    client.send(json!({"type": "ping"})).await;
    assert_eq!(client.text().await, r#"{"type":"pong"}"#);
    client.send(json!({"type": "pong"})).await;
    client.send(json!({"type": "pong", "payload": {"x": 1}})).await;
    client.nothing_more().await;
    client.send_raw(Message::Ping(Bytes::from_static(b"x"))).await;
    assert!(matches!(soon(client.socket.next()).await, Some(Ok(Message::Pong(bytes))) if bytes == b"x"[..]));
}

#[tokio::test]
async fn a_query_is_answered_and_completed() {
    let mut server = TestServer::start(&[]).await;
    let mut client = connect(&server).await;
    for query in ["{ echo }", "mutation { echo }"] {
        let payload = json!({"query": query, "variables": {"x": 1}});
        client.send(json!({"id": "q", "type": "subscribe", "payload": payload})).await;
        let next = r#"{"id":"q","type":"next","payload":{"data":{"sub":null,"variables":{"x":1}}}}"#;
        assert_eq!(client.text().await, next);
        assert_eq!(client.text().await, r#"{"id":"q","type":"complete"}"#);
    }
    // Given up before it is answered, and its id used again.
    client.subscribe("q", "{ wait }").await;
    let waiting = server.started().await;
    client.send(json!({"id": "q", "type": "complete"})).await;
    client.subscribe("q", "{ echo }").await;
    assert_eq!(client.message().await["type"], "next");
    assert_eq!(client.message().await["type"], "complete");
    waiting.dropped().await;
    client.nothing_more().await;
}

#[tokio::test]
async fn errors_are_lists_and_end_the_operation() {
    let mut server = TestServer::start(&["--request-timeout", "50ms"]).await;
    let mut client = connect(&server).await;
    let cases = [("{", "GRAPHQL_PARSE_FAILED"), ("subscription { refused }", "FORBIDDEN"), ("{ wait }", "TIMEOUT")];
    for (query, code) in cases {
        client.subscribe("e", query).await;
        let message = client.message().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("e"), &json!("error")), "{query}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}");
    }
    server.started().await;

    client.subscribe("e", "subscription { wait }").await;
    let started = server.started().await;
    started.next(r#"{"data":1}"#, "c1").await;
    soon(started.items.send(Item::Error(Bytes::from_static(br#"[{"message":"gone"}]"#)))).await.unwrap();
    assert_eq!(client.text().await, r#"{"id":"e","type":"next","payload":{"data":1}}"#);
    assert_eq!(client.text().await, r#"{"id":"e","type":"error","payload":[{"message":"gone"}]}"#);
    started.dropped().await;
    client.nothing_more().await;
}

#[tokio::test]
async fn subscriptions_run_side_by_side_until_either_end_completes_them() {
    let mut server = TestServer::start(&[]).await;
    let mut client = connect(&server).await;
    let mut start = async |client: &mut Client, id: &str| -> Started {
        client.subscribe(id, "subscription { wait }").await;
        server.started().await
    };
    let (a, b) = (start(&mut client, "a").await, start(&mut client, "b").await);
    b.next(r#"{"data": 1.0}"#, "c1").await;
    assert_eq!(client.text().await, r#"{"id":"b","type":"next","payload":{"data": 1.0}}"#);
    a.next("{}", "c2").await;
    assert_eq!(client.text().await, r#"{"id":"a","type":"next","payload":{}}"#);

    // The client ends one: no echo, and its id is free.
    client.send(json!({"id": "a", "type": "complete"})).await;
    a.dropped().await;
    client.nothing_more().await;
    let again = start(&mut client, "a").await;
    again.next("{}", "c3").await;
    assert_eq!(client.text().await, r#"{"id":"a","type":"next","payload":{}}"#);

    // The server ends the other; a late or unknown complete of the client is ignored.
    drop(b);
    assert_eq!(client.text().await, r#"{"id":"b","type":"complete"}"#);
    for id in ["b", "unknown"] {
        client.send(json!({"id": id, "type": "complete"})).await;
    }
    client.nothing_more().await;

    // When the client leaves, everything is dropped.
    soon(client.socket.close(None)).await.unwrap();
    again.dropped().await;
}

#[tokio::test]
async fn an_id_is_one_operations_alone() {
    let mut server = TestServer::start(&[]).await;
    let long = "x".repeat(200);
    for (id, reason) in
        [("a", "Subscriber for a already exists".to_owned()), (&long, format!("Subscriber for {}", &long[..108]))]
    {
        let mut client = connect(&server).await;
        client.subscribe(id, "subscription { wait }").await;
        let started = server.started().await;
        client.subscribe(id, "{ echo }").await;
        assert_eq!(client.closed().await, (4409, reason));
        started.dropped().await;
    }
}

#[tokio::test]
async fn operations_are_limited() {
    let mut server = TestServer::start(&["--live-max-operations", "1"]).await;
    let mut client = connect(&server).await;
    client.subscribe("a", "subscription { wait }").await;
    let started = server.started().await;
    client.subscribe("b", "{ echo }").await;
    let message = client.message().await;
    assert_eq!((&message["id"], &message["type"]), (&json!("b"), &json!("error")));
    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    drop(started);
    assert_eq!(client.message().await["type"], "complete");
    client.subscribe("b", "{ echo }").await;
    assert_eq!(client.message().await["type"], "next");
}

#[tokio::test]
async fn messages_are_limited() {
    let server = TestServer::start(&["--ws-max-message-bytes", "1KiB"]).await;
    let mut client = connect(&server).await;
    let padded = |length: usize| Message::text(format!("{:>length$}", r#"{"type":"ping"}"#));
    client.send_raw(padded(1024)).await;
    assert_eq!(client.text().await, r#"{"type":"pong"}"#);
    client.send_raw(padded(1025)).await;
    assert_eq!(client.closed().await, (1009, "Message too big".to_owned()));
}

#[tokio::test]
async fn a_client_that_answers_no_pings_is_dropped() {
    let server = TestServer::start(&["--live-keepalive", "400ms"]).await;
    let mut client = connect(&server).await;
    // Pongs are sent by the library whenever it is polled, so this one stays.
    for _ in 0..3 {
        assert!(matches!(soon(client.socket.next()).await, Some(Ok(Message::Ping(_)))));
    }
    client.nothing_more().await;
    // This one is not polled: its library answers nothing.
    let silent = connect(&server).await;
    drop(client);
    server.tasks.close();
    soon(server.tasks.wait()).await;
    drop(silent);
}

#[tokio::test]
async fn sockets_are_closed_when_the_server_stops() {
    let mut server = TestServer::start(&["--drain-window", "50ms"]).await;
    let mut client = connect(&server).await;
    let mut unopened = open(&server, &[PROTOCOL]).await.unwrap();
    client.subscribe("a", "subscription { wait }").await;
    let started = server.started().await;
    server.shutdown.cancel();
    assert_eq!(client.closed().await, (1012, "Service restart".to_owned()));
    assert_eq!(unopened.closed().await.0, 1012);
    started.dropped().await;
    server.tasks.close();
    soon(server.tasks.wait()).await;
}

#[tokio::test]
async fn a_slow_client_costs_only_itself_and_is_closed() {
    let mut server = TestServer::start(&["--live-write-timeout", "200ms"]).await;
    let mut slow = connect(&server).await;
    slow.subscribe("a", "subscription { endless }").await;
    let endless = server.started().await;
    let mut other = connect(&server).await;
    other.subscribe("b", "subscription { wait }").await;
    let started = server.started().await;
    started.next("{}", "c1").await;
    assert_eq!(other.message().await["type"], "next");

    // The slow client reads nothing until the server has given it up.
    endless.dropped().await;
    let pulled = server.fake.pulled.load(Ordering::SeqCst);
    let bytes = pulled * (16 << 10);
    assert!(bytes < 64 << 20, "{bytes} bytes were taken for a client that reads nothing");
    let mut received = 0;
    let (code, reason) = loop {
        match soon(slow.socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => break (u16::from(frame.code), frame.reason.to_string()),
            Some(Ok(Message::Text(_))) => received += 1,
            other => panic!("{other:?}"),
        }
    };
    // The cursor is that of the last message on the way, so nothing is lost and nothing comes twice.
    assert_eq!((code, reason), (1013, format!("Too slow; continue after c{received}")));

    started.next("{}", "c2").await;
    assert_eq!(other.message().await["type"], "next");
}

#[tokio::test]
async fn ready_messages_of_many_operations_all_arrive() {
    let mut server = TestServer::start(&[]).await;
    let mut client = connect(&server).await;
    let mut started = Vec::new();
    for id in 0..100 {
        client.subscribe(&id.to_string(), "subscription { wait }").await;
        started.push(server.started().await);
    }
    for round in 0..3 {
        for operation in &started {
            operation.next(&format!(r#"{{"data":{round}}}"#), "c").await;
        }
    }
    let mut received = vec![Vec::new(); started.len()];
    for _ in 0..300 {
        let message = client.message().await;
        let id: usize = message["id"].as_str().unwrap().parse().unwrap();
        received[id].push(message["payload"]["data"].as_u64().unwrap());
    }
    assert!(received.iter().all(|rounds| *rounds == [0, 1, 2]));
    client.nothing_more().await;
}
