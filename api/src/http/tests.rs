//! The table of statuses, over a real connection.

use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::NotReady;
use crate::live::fake::{TestServer, soon};

const NEW: &str = "application/graphql-response+json";
const OLD: &str = "application/json";
const JSON: Headers<'_> = &[("content-type", "application/json")];

type Headers<'a> = &'a [(&'static str, &'a str)];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(server: &TestServer, method: Method, path: &str, headers: Headers<'_>, body: String) -> Answer {
    let url = format!("http://{}{path}", server.address);
    let mut request = Client::new().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_empty() {
        request = request.body(body);
    }
    let response = soon(request.send()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = soon(response.bytes()).await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

fn query(document: &str) -> String {
    json!({ "query": document }).to_string()
}

async fn post(server: &TestServer, accept: &str, body: String) -> Answer {
    send(server, Method::POST, "/graphql", &[JSON[0], ("accept", accept)], body).await
}

/// The SHA-256 of `{ echo }`.
const HASH: &str = "9057f46fb6a1fba9d1618d155917d315f16cdb587814fe910f4a2b70d6cfc7c1";

fn persisted(query: Option<&str>, version: u32, hash: &str) -> String {
    let mut body = json!({"extensions": {"persistedQuery": {"version": version, "sha256Hash": hash}}});
    if let Some(query) = query {
        body["query"] = query.into();
    }
    body.to_string()
}

#[tokio::test]
async fn statuses_of_post() {
    let server = TestServer::start(&[]).await;
    let wrong = |parameter: &str, value: Value| {
        let mut body = json!({"query": "{ echo }"});
        body[parameter] = value;
        body.to_string()
    };
    // The body, then the status and the code with each media type.
    let cases = [
        (query("{ echo }"), (200, 200), ""),
        (query("mutation { echo }"), (200, 200), ""),
        (wrong("variables", Value::Null), (200, 200), ""),
        (wrong("unknown", json!(1)), (200, 200), ""),
        (query("{"), (400, 200), "GRAPHQL_PARSE_FAILED"),
        (query("subscription { wait }"), (400, 200), "BAD_USER_INPUT"),
        (wrong("query", json!(["x"])), (400, 400), "BAD_USER_INPUT"),
        (wrong("operationName", json!(1)), (400, 400), "BAD_USER_INPUT"),
        (wrong("variables", json!([])), (400, 400), "BAD_USER_INPUT"),
        (wrong("extensions", json!("x")), (400, 400), "BAD_USER_INPUT"),
        ("{ \"not JSON".to_owned(), (400, 400), "BAD_USER_INPUT"),
        (format!("[{}]", query("{ echo }")), (400, 400), "BAD_USER_INPUT"),
        (String::new(), (400, 400), "BAD_USER_INPUT"),
        ("{}".to_owned(), (400, 400), "BAD_USER_INPUT"),
        (persisted(None, 1, HASH), (400, 200), "PERSISTED_QUERY_NOT_FOUND"),
        (persisted(None, 2, HASH), (400, 200), "PERSISTED_QUERY_NOT_SUPPORTED"),
        (persisted(None, 1, "x"), (400, 400), "BAD_USER_INPUT"),
        (persisted(Some("{ wait }"), 1, HASH), (400, 400), "BAD_USER_INPUT"),
    ];
    for (body, (new, old), code) in cases {
        for (accept, status) in [(NEW, new), (OLD, old)] {
            let answer = post(&server, accept, body.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{accept}: {body}");
            assert_eq!(answer.header("content-type"), format!("{accept}; charset=utf-8"));
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.body.get("data").is_some(), code.is_empty(), "{accept}: {body}");
        }
    }
}

#[tokio::test]
async fn statuses_of_get() {
    let server = TestServer::start(&[]).await;
    let cases = [
        ("?query=%7B%20echo%20%7D&variables=%7B%22x%22%3A1%7D", (200, 200), ""),
        ("?query=%7B", (400, 200), "GRAPHQL_PARSE_FAILED"),
        ("?query=mutation%20%7B%20echo%20%7D", (405, 405), "BAD_USER_INPUT"),
        ("?query=subscription%20%7B%20wait%20%7D", (400, 200), "BAD_USER_INPUT"),
        ("?query=%7B%20echo%20%7D&variables=%5B%5D", (400, 400), "BAD_USER_INPUT"),
        ("", (400, 400), "BAD_USER_INPUT"),
    ];
    for (parameters, (new, old), code) in cases {
        for (accept, status) in [(NEW, new), (OLD, old)] {
            let path = format!("/graphql{parameters}");
            let answer = send(&server, Method::GET, &path, &[("accept", accept)], String::new()).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{accept}: {path}");
            assert_eq!(answer.header("allow"), if status == 405 { "POST" } else { "" });
        }
    }
    let answer =
        send(&server, Method::GET, "/graphql?query=%7B%20echo%20%7D&variables=%7B%22x%22%3A1%7D", &[], String::new());
    assert_eq!(answer.await.body["data"]["variables"], json!({"x": 1}));
}

#[tokio::test]
async fn a_persisted_query_is_sent_once() {
    let server = TestServer::start(&[]).await;
    let by_hash = persisted(None, 1, HASH);
    assert_eq!(post(&server, NEW, by_hash.clone()).await.code(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(post(&server, NEW, persisted(Some("{ echo }"), 1, HASH)).await.status, StatusCode::OK);
    assert_eq!(post(&server, NEW, by_hash).await.body["data"]["sub"], Value::Null);
    let path = format!(
        "/graphql?variables=%7B%22x%22:1%7D&extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{HASH}%22%7D%7D"
    );
    let answer = send(&server, Method::GET, &path, &[], String::new()).await;
    assert_eq!(answer.body["data"]["variables"], json!({"x": 1}));
    // What is not valid is not kept.
    let (invalid, hash) = ("{ no }", "1fa480d0f3491699e387da284fe95ce000f2f516c7c88c4a2332b19451ea6c7e");
    assert_eq!(post(&server, NEW, persisted(Some(invalid), 1, hash)).await.code(), "GRAPHQL_PARSE_FAILED");
    assert_eq!(post(&server, NEW, persisted(None, 1, hash)).await.code(), "PERSISTED_QUERY_NOT_FOUND");

    let off = TestServer::start(&["--persisted-queries-bytes", "0"]).await;
    assert_eq!(post(&off, OLD, persisted(None, 1, HASH)).await.code(), "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(post(&off, OLD, persisted(Some("{ echo }"), 1, HASH)).await.code(), "");
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let server = TestServer::start(&["--max-batch", "6", "--request-timeout", "2s"]).await;
    let requests = [
        json!({"query": "{ echo }", "variables": {"n": 1}}),
        json!({"query": "{"}),
        json!({"variables": {}}),
        json!({"query": "subscription { wait }"}),
        json!({"query": "mutation { echo }", "variables": {"n": 2}}),
        json!({"query": "{ wait }"}),
    ];
    let answer = post(&server, NEW, json!(requests).to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = |answer: &Value| match &answer["data"]["variables"]["n"] {
        Value::Null => answer["errors"][0]["extensions"]["code"].clone(),
        n => n.clone(),
    };
    let seen: Vec<_> = answer.body.as_array().unwrap().iter().map(seen).collect();
    let expected = ["GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT", "BAD_USER_INPUT", "TIMEOUT"].map(Value::from);
    assert_eq!((&seen[1..4], &seen[5]), (&expected[..3], &expected[3]));
    assert_eq!((&seen[0], &seen[4]), (&json!(1), &json!(2)));

    for (body, status) in [(json!([]), 400), (json!([requests[0], 7]), 400), (json!(vec![&requests[0]; 7]), 400)] {
        let answer = post(&server, OLD, body.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, "BAD_USER_INPUT"), "{body}");
    }
}

#[tokio::test]
async fn methods_media_types_and_paths() {
    let server = TestServer::start(&[]).await;
    let cases: [(Method, &str, Headers<'_>, u16); 14] = [
        (Method::POST, "/graphql", &[], 415),
        (Method::POST, "/graphql", &[("content-type", "text/plain")], 415),
        (Method::POST, "/graphql", &[("content-type", "application/x-www-form-urlencoded")], 415),
        (Method::POST, "/graphql", &[("content-type", "application/json; charset=latin1")], 415),
        (Method::POST, "/graphql", &[JSON[0], ("accept", "text/html")], 406),
        (Method::POST, "/graphql", &[JSON[0], ("accept", "text/html, */*;q=0.1")], 200),
        (Method::PUT, "/graphql", JSON, 405),
        (Method::DELETE, "/graphql", &[], 405),
        (Method::OPTIONS, "/graphql", &[], 405),
        (Method::POST, "/healthz", &[], 405),
        (Method::GET, "/healthz", &[], 200),
        (Method::GET, "/readyz", &[], 200),
        (Method::GET, "/", &[], 200),
        (Method::GET, "/nothing", &[], 404),
    ];
    for (method, path, headers, status) in cases {
        let body = if method == Method::POST { query("{ echo }") } else { String::new() };
        let answer = send(&server, method.clone(), path, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {headers:?}");
        if status == 405 {
            let expected = if path == "/graphql" { "GET, POST" } else { "GET,HEAD" };
            assert_eq!(answer.header("allow"), expected, "{method} {path}");
        }
        assert!(path == "/" || answer.body.is_object(), "{method} {path}");
    }
}

#[tokio::test]
async fn a_bad_token_is_never_anonymous() {
    let server = TestServer::start(&[]).await;
    let expired = format!("Bearer {}", server.token("ada", Duration::ZERO));
    for (token, status, sub) in [
        (server.bearer("ada"), 200, json!("ada")),
        ("Bearer nonsense".to_owned(), 401, Value::Null),
        ("Basic YTpi".to_owned(), 401, Value::Null),
        (format!("{expired}x"), 401, Value::Null),
    ] {
        let headers = [JSON[0], ("authorization", token.as_str())];
        let answer = send(&server, Method::POST, "/graphql", &headers, query("{ echo }")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["data"]["sub"]), (status, &sub), "{token}");
        if status == 401 {
            assert_eq!(answer.code(), "UNAUTHENTICATED");
            assert!(
                answer.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", error_description=\"")
            );
        }
    }
    assert_eq!(post(&server, OLD, query("{ echo }")).await.body["data"]["sub"], Value::Null);
}

#[tokio::test]
async fn bodies_are_limited() {
    let server = TestServer::start(&["--max-body-bytes", "1KiB"]).await;
    let fits = format!("{:>1024}", query("{ echo }"));
    assert_eq!(post(&server, NEW, fits.clone()).await.status, StatusCode::OK);
    let too_large = post(&server, NEW, fits + " ").await;
    assert_eq!((too_large.status, too_large.header("connection")), (StatusCode::PAYLOAD_TOO_LARGE, "close"));

    // Without an announced length, and in pieces.
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..3 {
        socket.write_all(format!("200\r\n{:512}\r\n", "").as_bytes()).await.unwrap();
    }
    let mut status = [0; 12];
    soon(socket.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_body_in_pieces_is_read_as_one() {
    let server = TestServer::start(&[]).await;
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let body = query("{ echo }");
    let (first, second) = body.split_at(9);
    let text = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#"{"data":{"sub":null,"variables":{}}}"#), "{answer}");
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_to_the_next_one() {
    let server = TestServer::start(&[]).await;
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let post = |headers: &str, length: usize| {
        format!("POST /graphql HTTP/1.1\r\nhost: x\r\n{headers}\r\ncontent-length: {length}\r\n\r\n")
    };
    for (headers, status) in [
        ("content-type: text/plain", "415"),
        ("content-type: application/json\r\naccept: text/html", "406"),
        ("content-type: application/json\r\nauthorization: Bearer x", "401"),
    ] {
        socket.write_all(post(headers, 50_000).as_bytes()).await.unwrap();
        // The body comes later, and in parts.
        for _ in 0..5 {
            tokio::task::yield_now().await;
            socket.write_all(&[b' '; 10_000]).await.unwrap();
        }
        assert!(read_answer(&mut socket).await.starts_with(&format!("HTTP/1.1 {status}")));
    }
    let body = query("{ echo }");
    let last = post("content-type: application/json\r\nconnection: close", body.len()) + &body;
    socket.write_all(last.as_bytes()).await.unwrap();
    assert!(read_answer(&mut socket).await.starts_with("HTTP/1.1 200"));
}

/// The head of the next answer on a connection. Its body is read, too.
async fn read_answer(socket: &mut tokio::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(socket.read_u8()).await.expect("the connection is open"));
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    soon(socket.read_exact(&mut body)).await.unwrap();
    head
}

#[tokio::test]
async fn time_is_limited() {
    let mut server = TestServer::start(&["--request-timeout", "50ms"]).await;
    let answer = post(&server, NEW, query("{ wait }")).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::GATEWAY_TIMEOUT, "TIMEOUT"));
    server.started().await.dropped().await;

    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon(socket.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[tokio::test]
async fn other_origins_are_allowed_only_if_they_are_named() {
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let closed = TestServer::start(&[]).await;
    let answer = send(&closed, Method::OPTIONS, "/graphql", &preflight, String::new()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");

    let open = TestServer::start(&["--cors-origin", "https://app.example"]).await;
    let answer = send(&open, Method::OPTIONS, "/graphql", &preflight, String::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type");
    let headers = [JSON[0], ("origin", "https://evil.example")];
    let answer = send(&open, Method::POST, "/graphql", &headers, query("{ echo }")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn readiness_has_reasons() {
    let ready = TestServer::start(&[]).await;
    let get = async |server: &TestServer| send(server, Method::GET, "/readyz", &[], String::new()).await;
    assert_eq!(get(&ready).await.body, json!({"status": "ready"}));
    ready.shutdown.cancel();
    let answer = get(&ready).await;
    assert_eq!((answer.status.as_u16(), &answer.body["reasons"][0]["part"]), (503, &json!("server")));

    let reason = NotReady { part: "database", reason: "it does not answer".to_owned() };
    let answer = get(&TestServer::start_with(&[], vec![reason]).await).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let reasons = json!([{"part": "database", "reason": "it does not answer"}]);
    assert_eq!(answer.body, json!({"status": "unavailable", "reasons": reasons}));

    let stale = TestServer::start(&[]).await;
    stale.fake.stale_since.send_replace(Some(std::time::SystemTime::UNIX_EPOCH));
    let answer = get(&stale).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body["reasons"][0]["reason"].as_str().unwrap().contains("since 1970-01-01T"), "{}", answer.body);
}

#[tokio::test]
async fn the_page_has_a_policy() {
    let server = TestServer::start(&[]).await;
    let answer = send(&server, Method::GET, "/", &[], String::new()).await;
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(answer.header("x-frame-options"), "DENY");
}
