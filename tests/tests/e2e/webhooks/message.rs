//! What is sent: signature, body, headers, and that its data is what a live client gets.

use serde_json::json;
use tandem_tests::client::text;
use tandem_tests::receiver::{Received, register};
use tandem_tests::shop::{self, DELETE_PRODUCT, UPDATE_PRODUCT, add_customer, add_order, add_product};
use tandem_tests::{Caller, Case, Receiver, on_both};

use super::QUERY;

on_both!(
    an_event_arrives_signed,
    data_is_what_a_live_client_gets,
    a_webhook_sees_what_its_owner_sees,
    headers_of_the_owner_are_sent,
);

async fn an_event_arrives_signed(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    assert!(webhook.starts_with("webhook_"), "{webhook}");
    assert!(secret.starts_with("whsec_"), "a secret of Standard Webhooks");
    let product = add_product(&admin, "SKU-1").await;
    admin.done(UPDATE_PRODUCT, json!({"id": product, "patch": {"stock": 1}})).await;
    admin.done(DELETE_PRODUCT, json!({"id": product})).await;
    let mut received = receiver.requests(3).await;
    receiver.assert_signed(&secret);
    received.sort_by_key(Received::sequence);
    let log = shop::log(&admin).await;
    for ((request, entry), sequence) in received.iter().zip(&log).zip(1..) {
        assert_eq!(request.id, entry.id, "the message is the event");
        assert_eq!(request.sequence(), sequence);
        assert_eq!(request.json["type"], json!(format!("product.{}", entry.kind.to_lowercase())));
        assert_eq!(request.json["cursor"], json!(entry.cursor));
        assert_eq!(request.json["data"]["productChanged"]["nodeId"], json!(product));
        assert!(request.json.get("errors").is_none());
        assert!(request.headers["content-type"].to_str().is_ok_and(|ty| ty.starts_with("application/json")));
        let timestamp = text(&request.json["timestamp"]);
        assert!(timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");
        let keys: Vec<&str> = request.json.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["type", "timestamp", "cursor", "sequence", "data"]);
    }
    let tampered = standardwebhooks_rejects(&received[0], &secret);
    assert!(tampered, "a changed body does not verify");
}

fn standardwebhooks_rejects(request: &Received, secret: &str) -> bool {
    let mut body = request.body.to_vec();
    let end = body.len() - 2;
    body[end] ^= 1;
    let webhook = standardwebhooks::Webhook::new(secret).expect("the secret is one of Standard Webhooks");
    webhook.verify(&body, &request.headers).is_err()
}

async fn data_is_what_a_live_client_gets(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let document = "subscription { changes { id kind type nodeId version changedFields occurredAt transition position by
        ... on ProductChange { after { id sku name price stock tags createdAt } before { sku stock } }
        ... on OrderChange { after { number status customer { id email customerName: name } } before { status customerId } }
        ... on OrderLineChange { after { quantity unitPrice order { number customer { email } } product { sku price } } }
        ... on CustomerChange { after { email customerName: name } } } }";
    let start = shop::now(&admin).await;
    let receivers = [Receiver::start().await, Receiver::start().await];
    let callers = [Caller::admin(), Caller::user("alice")];
    for (receiver, caller) in receivers.iter().zip(&callers) {
        register(&server.client(caller), json!({"url": receiver.url(), "query": document})).await;
    }
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    for status in ["PLACED", "PAID"] {
        alice.done(shop::UPDATE_ORDER, json!({"id": order, "patch": {"status": status}})).await;
    }
    alice.done(shop::UPDATE_CUSTOMER, json!({"id": customer, "patch": {"name": "Älice \"<\u{2028}"}})).await;
    alice.done(shop::DELETE_ORDER, json!({"id": order})).await;
    const EVENTS: usize = 9;
    for (receiver, caller) in receivers.iter().zip(&callers) {
        let mut received = receiver.requests(EVENTS).await;
        received.sort_by_key(Received::sequence);
        // Read afterwards, when all of it is history.
        let from_start = document
            .replace("changes {", "changes(after: $after) {")
            .replace("subscription {", "subscription($after: String) {");
        let mut live = server.live(caller).await.following(&from_start, json!({"after": start})).await;
        for request in received {
            let event = live.event().await;
            assert_eq!(text(&event.change["id"]), request.id);
            assert_eq!(event.raw, request.raw_data(), "byte for byte");
            assert_eq!(json!(event.cursor), request.json["cursor"]);
        }
    }
}

async fn a_webhook_sees_what_its_owner_sees(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let bob = server.client(&Caller::user("bob"));
    let receiver = Receiver::start().await;
    register(&alice, json!({"url": receiver.url(), "events": ["*"]})).await;
    let product = add_product(&admin, "SKU-1").await;
    for (client, email) in [(&bob, "bob@example.org"), (&alice, "alice@example.org")] {
        let customer = add_customer(client, email).await;
        add_order(client, &customer, &product).await;
    }
    add_product(&admin, "SKU-2").await;
    let mut received = receiver.requests(5).await;
    received.sort_by_key(Received::sequence);
    let types: Vec<String> = received.iter().map(|request| text(&request.json["type"])).collect();
    assert_eq!(
        types,
        ["product.created", "customer.created", "order.created", "order_line.created", "product.created"]
    );
    let everything = received.iter().map(|request| request.json.to_string()).collect::<String>();
    assert!(everything.contains("alice@example.org") && !everything.contains("bob@example.org"));
}

async fn headers_of_the_owner_are_sent(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let headers = json!([{"name": "X-Key", "value": "s3cret"}, {"name": "authorization", "value": "Basic eDp5"}]);
    register(&admin, json!({"url": receiver.url(), "query": QUERY, "headers": headers})).await;
    add_product(&admin, "SKU-1").await;
    let request = receiver.requests(1).await.remove(0);
    assert_eq!(request.headers["x-key"], "s3cret");
    assert_eq!(request.headers["authorization"], "Basic eDp5");
    assert!(request.headers["user-agent"].to_str().is_ok_and(|agent| agent.to_lowercase().contains("tandem")));
}
