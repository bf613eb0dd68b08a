//! Subscriptions over HTTP, and that they say what the others say.

use serde_json::{Value, json};
use tandem_tests::client::number;
use tandem_tests::shop::{self, UPDATE_PRODUCT, add_product};
use tandem_tests::{Caller, Case, Server, on_both};

const CHANGES: &str = "subscription($after: String) { changes(after: $after) { id kind nodeId version position } }";

on_both!(
    data_is_the_same_bytes_over_sockets_and_streams,
    a_stream_resumes_with_the_last_event_id,
    a_bad_last_event_id_is_refused,
    a_stopping_server_ends_streams,
);

async fn data_is_the_same_bytes_over_sockets_and_streams(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let variables = json!({"after": shop::now(&admin).await});
    let mut socket = server.live(&Caller::admin()).await.following(CHANGES, variables.clone()).await;
    let mut stream = server.events(&Caller::admin(), CHANGES, variables.clone(), None).await;
    let mut plain = parts(&server, &variables).await;
    let id = add_product(&admin, "SKU-1").await;
    for stock in 0..5 {
        admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"stock": stock}})).await;
    }
    for _ in 0..6 {
        let (over_socket, over_stream) = (socket.event().await, stream.event().await);
        assert_eq!(over_socket.raw, over_stream.raw);
        assert_eq!(over_socket.cursor, over_stream.cursor);
        assert_eq!(stream.last_id.as_ref(), Some(&over_stream.cursor));
        let part = part(&mut plain).await;
        assert!(part.starts_with(&format!("{{\"payload\":{{\"data\":{}", over_socket.raw)), "{part}");
    }
}

async fn parts(server: &Server, variables: &Value) -> (reqwest::Response, String) {
    let request = reqwest::Client::new().post(server.url("/graphql"));
    let request = request.header("accept", "multipart/mixed;subscriptionSpec=1.0, application/json");
    let request = request.bearer_auth(Caller::admin().token().expect("an admin has a token"));
    let response = request.json(&json!({"query": CHANGES, "variables": variables})).send().await;
    (response.expect("the server answers"), String::new())
}

/// The body of the next part that is no heartbeat.
async fn part((response, read): &mut (reqwest::Response, String)) -> String {
    loop {
        while let Some((part, rest)) = read.split_once("\r\n--graphql") {
            let body = part.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
            *read = rest.to_owned();
            if let Some(body) = body.filter(|body| body != "{}") {
                return body;
            }
        }
        let chunk = tandem_tests::wait::in_time("a part comes", response.chunk()).await;
        let chunk = chunk.expect("the connection holds").expect("the stream goes on");
        read.push_str(std::str::from_utf8(&chunk).expect("the text is UTF-8"));
    }
}

/// The connection breaks again and again, also with the server; a client that never had an event misses none either.
async fn a_stream_resumes_with_the_last_event_id(case: &Case) {
    let mut server = case.server().await;
    let mut seen = 0;
    let mut last_id = None;
    for round in 0..12 {
        let admin = server.client(&Caller::admin());
        let mut stream = server.events(&Caller::admin(), CHANGES, json!({}), last_id.as_deref()).await;
        if round == 0 {
            // The position of the start comes before any event.
            while stream.last_id.is_none() {
                let block = stream.block().await.expect("the stream goes on");
                stream.last_id = block.strip_prefix("id: ").map(str::to_owned);
            }
            last_id = stream.last_id.clone();
            drop(stream);
            for number in 0..60 {
                add_product(&admin, &format!("SKU-{number}")).await;
            }
            continue;
        }
        for _ in 0..round % 4 {
            let event = stream.event().await;
            seen += 1;
            assert_eq!(number(&event.change["position"]), seen, "exactly once and in order");
        }
        last_id = stream.last_id.clone();
        if round % 5 == 0 {
            server.kill9().await;
            server.restart().await;
        }
    }
    assert!(seen > 10);
}

async fn a_bad_last_event_id_is_refused(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let after = shop::now(&admin).await;
    // It is what counts, whatever the document says.
    let mut stream = server.events(&Caller::admin(), CHANGES, json!({"after": after}), Some("nonsense")).await;
    let refused = loop {
        let block = stream.block().await.expect("the stream goes on");
        if block.starts_with("event: next") {
            break block;
        }
    };
    assert!(refused.contains("CURSOR_INVALID"), "{refused}");
    assert_eq!(stream.block().await.as_deref(), Some("event: complete\ndata:"));
    assert_eq!(stream.block().await, None);
}

async fn a_stopping_server_ends_streams(case: &Case) {
    let mut server = case.start(case.settings().with("--drain-window", "200ms")).await;
    let mut stream = server.events(&Caller::admin(), CHANGES, json!({}), None).await;
    let told = async {
        assert_eq!(stream.comment().await, "the server is stopping; connect again");
        assert_eq!(stream.block().await, None);
    };
    let (status, ()) = tokio::join!(server.stop(), told);
    assert!(status.success());
}
