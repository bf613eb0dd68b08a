//! `verify: true`: nothing is sent before the receiver has said that it wants it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::shop::{CREATE_WEBHOOK, UPDATE_WEBHOOK, add_product};
use tandem_tests::{Caller, Case, Client, on_both, wait};
use tokio::net::TcpListener;

use super::{QUERY, webhook_is};

on_both!(
    an_echoed_challenge_opens_the_way,
    the_handshake_of_cloudevents_opens_the_way,
    a_receiver_may_call_back_later,
    who_never_confirms_gets_nothing,
    another_url_has_to_confirm_anew,
);

/// How a receiver answers questions.
#[derive(Debug, Clone, PartialEq)]
enum Manner {
    /// With the challenge as text.
    Echo,
    /// With the challenge in an object.
    EchoJson,
    /// With another challenge.
    Wrong,
    /// To OPTIONS, with what it allows.
    Options(&'static str, Option<&'static str>),
    /// 204 to everything.
    Silent,
}

#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    json: Value,
}

#[derive(Clone)]
struct Receiver {
    url: String,
    manner: Arc<Mutex<Manner>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/", listener.local_addr().expect("a bound socket has an address"));
        let receiver = Self { url, manner: Arc::new(Mutex::new(manner)), seen: Arc::default() };
        let router = Router::new().fallback(answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nothing panics with this lock held").clone()
    }

    fn be(&self, manner: Manner) {
        *self.manner.lock().expect("nothing panics with this lock held") = manner;
    }

    /// The events that came, once there is one.
    async fn events(&self) -> Vec<Seen> {
        wait::until("an event arrives", async || {
            let events: Vec<_> = self.seen().into_iter().filter(Seen::is_event).collect();
            (!events.is_empty()).then_some(events)
        })
        .await
    }

    async fn asked(&self, times: usize) {
        wait::until("the receiver is asked", async || (self.seen().len() >= times).then_some(())).await;
    }
}

impl Seen {
    fn is_event(&self) -> bool {
        self.json["type"] == "product.created"
    }
}

async fn answer(State(receiver): State<Receiver>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let manner = receiver.manner.lock().expect("nothing panics with this lock held").clone();
    let seen = Seen { method: method.clone(), headers, json: json.clone() };
    receiver.seen.lock().expect("nothing panics with this lock held").push(seen);
    let challenge = json["data"]["challenge"].as_str().unwrap_or_default().to_owned();
    let is_challenge = json["type"] == "tandem.challenge";
    match manner {
        Manner::Echo if is_challenge => format!("{challenge}\n").into_response(),
        Manner::EchoJson if is_challenge => json!({"challenge": challenge}).to_string().into_response(),
        Manner::Wrong if is_challenge => challenge.to_lowercase().repeat(2).into_response(),
        Manner::Options(origin, rate) if method == Method::OPTIONS => {
            let mut headers = HeaderMap::new();
            headers.insert("webhook-allowed-origin", origin.parse().expect("it is a header"));
            if let Some(rate) = rate {
                headers.insert("webhook-allowed-rate", rate.parse().expect("it is a header"));
            }
            (StatusCode::OK, headers).into_response()
        }
        Manner::Echo | Manner::EchoJson | Manner::Wrong | Manner::Options(..) | Manner::Silent => {
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn register(client: &Client, receiver: &Receiver) -> (String, String) {
    let payload = client.done(CREATE_WEBHOOK, json!({"url": receiver.url, "query": QUERY, "verify": true})).await;
    assert_eq!(payload["webhook"]["status"], "UNVERIFIED");
    (text(&payload["webhook"]["id"]), text(&payload["secret"]))
}

async fn verified_at(client: &Client, webhook: &str) -> Value {
    client.data("query($id: ID!) { webhook(id: $id) { verifiedAt } }", json!({"id": webhook})).await["webhook"]
        ["verifiedAt"]
        .take()
}

async fn an_echoed_challenge_opens_the_way(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    for (manner, sku) in [(Manner::Echo, "SKU-1"), (Manner::EchoJson, "SKU-2")] {
        let receiver = Receiver::start(Manner::Silent).await;
        let (webhook, secret) = register(&admin, &receiver).await;
        add_product(&admin, sku).await;
        assert_eq!(verified_at(&admin, &webhook).await, Value::Null);
        receiver.be(manner);
        webhook_is(&admin, &webhook, "ENABLED").await;
        assert!(verified_at(&admin, &webhook).await.is_string());
        let events = receiver.events().await;
        assert_eq!(events[0].json["data"]["productChanged"]["after"]["sku"], sku, "what happened meanwhile is sent");
        assert_eq!(events[0].json["sequence"], 1);
        assert_eq!(events[0].headers["webhook-request-origin"], "localhost");
        let seen = receiver.seen();
        let challenge = seen.iter().find(|seen| seen.json["type"] == "tandem.challenge").expect("it was asked");
        let body = challenge.json.to_string();
        let verifier = standardwebhooks::Webhook::new(&secret).expect("a secret of Standard Webhooks");
        verifier.verify(body.as_bytes(), &challenge.headers).expect("the challenge is signed like any message");
        assert!(challenge.headers["webhook-id"].to_str().is_ok_and(|id| id.starts_with("challenge_")));
    }
}

async fn the_handshake_of_cloudevents_opens_the_way(case: &Case) {
    let server = case.start(case.settings().with("--public-url", "https://tandem.example.com/base/")).await;
    let admin = server.client(&Caller::admin());
    for (origin, sku) in [("*", "SKU-1"), ("tandem.example.com", "SKU-2")] {
        let receiver = Receiver::start(Manner::Options(origin, Some("120"))).await;
        let (webhook, _) = register(&admin, &receiver).await;
        webhook_is(&admin, &webhook, "ENABLED").await;
        add_product(&admin, sku).await;
        let event = receiver.events().await.remove(0);
        assert_eq!(event.headers["webhook-request-origin"], "tandem.example.com");
        let asked = receiver.seen().remove(0);
        assert_eq!(
            (asked.method, &asked.headers["webhook-request-origin"]),
            (Method::OPTIONS, &event.headers["webhook-request-origin"])
        );
        let callback = asked.headers["webhook-request-callback"].to_str().expect("it is a URL").to_owned();
        let expected = format!("https://tandem.example.com/base/webhooks/{webhook}/confirm?key=");
        assert!(callback.starts_with(&expected) && callback.len() > expected.len() + 30, "{callback}");
        assert!(receiver.seen().iter().all(|seen| seen.json["type"] != "tandem.challenge"), "once is enough");
    }
    // Another origin, or an answer that is merely friendly, is no permission.
    let receiver = Receiver::start(Manner::Options("other.example.com", None)).await;
    let (webhook, _) = register(&admin, &receiver).await;
    receiver.asked(3).await;
    let shown = webhook_is(&admin, &webhook, "UNVERIFIED").await;
    assert!(text(&shown["statusReason"]).contains("OPTIONS (200) does not allow it"), "{shown}");
}

async fn a_receiver_may_call_back_later(case: &Case) {
    let schedule = case.settings().with("--webhook-retry-schedule", "0s,1d");
    let server = case.start(schedule.with("--public-url", "https://tandem.example.com")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start(Manner::Silent).await;
    let (webhook, _) = register(&admin, &receiver).await;
    add_product(&admin, "SKU-1").await;
    receiver.asked(2).await;
    let callback = receiver.seen()[0].headers["webhook-request-callback"].to_str().expect("it is a URL").to_owned();
    let path = callback.strip_prefix("https://tandem.example.com").expect("it is this server").to_owned();
    let get = async |path: &str| reqwest::get(server.url(path)).await.expect("it answers").status().as_u16();
    let (wrong_key, wrong_id) = (format!("{path}x"), path.replace("/webhook_", "/product_"));
    let no_key = path.split('?').next().expect("it has a path");
    for wrong in [wrong_key.as_str(), wrong_id.as_str(), no_key] {
        assert_eq!(get(wrong).await, 404, "{wrong}");
    }
    webhook_is(&admin, &webhook, "UNVERIFIED").await;
    assert!(!receiver.seen().iter().any(Seen::is_event));
    assert_eq!(get(&path).await, 200);
    webhook_is(&admin, &webhook, "ENABLED").await;
    receiver.events().await;
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "PAUSED"})).await;
    assert_eq!(get(&path).await, 200, "to say it again");
    webhook_is(&admin, &webhook, "PAUSED").await;
    let shown =
        admin.data("query($id: ID!) { webhook(id: $id) { __typename url headers { value } } }", json!({"id": webhook}));
    assert!(
        !shown.await.to_string().contains(path.rsplit('=').next().expect("the key is last")),
        "the key is shown to nobody"
    );
}

async fn who_never_confirms_gets_nothing(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start(Manner::Wrong).await;
    let (webhook, _) = register(&admin, &receiver).await;
    add_product(&admin, "SKU-1").await;
    let shown = webhook_is(&admin, &webhook, "DISABLED").await;
    assert!(text(&shown["statusReason"]).contains("does not repeat it"), "{shown}");
    // 21 attempts of the schedule, two requests each.
    assert_eq!(receiver.seen().len(), 42);
    // To enable it is to ask again, and no way around.
    let enabled = admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    assert_eq!(enabled["webhook"]["status"], "UNVERIFIED");
    let refused = admin.refused(UPDATE_WEBHOOK, json!({"id": webhook, "status": "UNVERIFIED"})).await;
    assert_eq!(refused, [("INVALID".to_owned(), "status".to_owned())]);
    receiver.be(Manner::Echo);
    webhook_is(&admin, &webhook, "ENABLED").await;
    receiver.events().await;
}

async fn another_url_has_to_confirm_anew(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let (first, second) = (Receiver::start(Manner::Echo).await, Receiver::start(Manner::Silent).await);
    let (webhook, _) = register(&admin, &first).await;
    webhook_is(&admin, &webhook, "ENABLED").await;
    let moved = admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "url": second.url})).await;
    assert_eq!(moved["webhook"]["status"], "UNVERIFIED");
    add_product(&admin, "SKU-1").await;
    second.asked(4).await;
    assert!(!second.seen().iter().any(Seen::is_event) && !first.seen().iter().any(Seen::is_event));
    // Its owner may do without.
    let freed = admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "verify": false})).await;
    assert_eq!(freed["webhook"]["status"], "ENABLED");
    second.events().await;
    let asked = admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "verify": true})).await;
    assert_eq!(asked["webhook"]["status"], "UNVERIFIED");
    second.be(Manner::Echo);
    webhook_is(&admin, &webhook, "ENABLED").await;
}
