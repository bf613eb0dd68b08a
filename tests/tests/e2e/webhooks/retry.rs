//! What becomes of deliveries that do not succeed at once.

use serde_json::{Value, json};
use tandem_tests::client::{number, text};
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::add_product;
use tandem_tests::{Caller, Case, Receiver, on_both, wait};

use super::{DELIVERIES, QUERY, delivery, webhook_is};

on_both!(
    a_failed_delivery_is_tried_again_with_the_same_id,
    a_delivery_that_never_succeeds_fails,
    a_receiver_that_is_not_there_is_a_failure,
    a_redirect_is_not_followed,
    a_late_answer_is_a_failure,
    a_body_that_stalls_is_none,
    a_slow_receiver_costs_only_itself,
);

async fn a_failed_delivery_is_tried_again_with_the_same_id(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| Answer::status(if count < 3 { 500 + count as u16 } else { 200 })).await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let received = receiver.requests(4).await;
    assert!(received.iter().all(|request| request.id == received[0].id));
    receiver.assert_stable();
    receiver.assert_signed(&secret);
    let delivery = delivery(&admin, &webhook, "SUCCEEDED").await;
    assert_eq!(delivery["messageId"], json!(received[0].id));
    assert_eq!((&delivery["type"], number(&delivery["sequence"])), (&json!("product.created"), 1));
    assert_eq!(delivery["body"], Value::Null, "a body is kept only for as long as it may be sent again");
    let attempts = delivery["attempts"].as_array().expect("a list");
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["statusCode"]).collect();
    assert_eq!(statuses, [&json!(500), &json!(501), &json!(502), &json!(200)]);
    let numbers: Vec<&Value> = attempts.iter().map(|attempt| &attempt["number"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2), &json!(3), &json!(4)]);
    assert_eq!(attempts[0]["error"]["code"], json!("STATUS"));
    assert_eq!(attempts[3]["error"], Value::Null);
    assert!(text(&attempts[0]["address"]).starts_with("127.0.0.1"), "{}", attempts[0]);
}

async fn a_delivery_that_never_succeeds_fails(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s,50ms,50ms")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| if count < 3 { Answer::status(503) } else { Answer::OK }).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let failed = delivery(&admin, &webhook, "FAILED").await;
    assert_eq!(failed["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(failed["nextAttemptAt"], Value::Null);
    let sent = receiver.received().remove(0).body;
    assert_eq!(failed["body"].as_str().map(str::as_bytes), Some(&sent[..]), "it is kept, to be sent again on demand");
    // The webhook goes on with the next event.
    add_product(&admin, "SKU-2").await;
    assert_eq!(receiver.requests(4).await[3].sequence(), 2);
    webhook_is(&admin, &webhook, "ENABLED").await;
}

async fn a_receiver_that_is_not_there_is_a_failure(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s")).await;
    let admin = server.client(&Caller::admin());
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}/", listener.local_addr().expect("a bound socket has an address"));
    drop(listener);
    let (webhook, _) = register(&admin, json!({"url": url, "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let failed = delivery(&admin, &webhook, "FAILED").await;
    assert_eq!(failed["attempts"][0]["error"]["code"], json!("CONNECT"));
    assert_eq!(failed["attempts"][0]["statusCode"], Value::Null);
}

async fn a_redirect_is_not_followed(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|_| Answer::status(302)).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let failed = delivery(&admin, &webhook, "FAILED").await;
    assert_eq!(failed["attempts"][0]["error"]["code"], json!("REDIRECT"));
    assert_eq!(receiver.received().len(), 1);
}

async fn a_late_answer_is_a_failure(case: &Case) {
    let server = case.start(case.settings().with("--webhook-timeout", "300ms")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| if count == 0 { Answer::OK.after_ms(60_000) } else { Answer::OK }).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let delivery = delivery(&admin, &webhook, "SUCCEEDED").await;
    assert_eq!(delivery["attempts"][0]["error"]["code"], json!("TIMEOUT"));
    assert_eq!(delivery["attempts"][1]["error"], Value::Null);
}

async fn a_body_that_stalls_is_none(case: &Case) {
    let settings = case.settings().with("--webhook-timeout", "300ms").with("--webhook-retry-schedule", "0s,10ms");
    let server = case.start(settings).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|_| Answer::status(200).with_endless_body()).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    receiver.requests(1).await;
    wait::until("the webhook has caught up", async || {
        let data = admin.data(DELIVERIES, json!({"id": webhook})).await;
        (number(&data["webhook"]["lag"]) == 0).then_some(())
    })
    .await;
    for status in ["FAILED", "PENDING"] {
        let data = admin.data(DELIVERIES, json!({"id": webhook, "status": status})).await;
        assert_eq!(data["webhook"]["deliveries"]["nodes"], json!([]), "{status}");
    }
    assert_eq!(receiver.received().len(), 1, "a 2xx status is success");
}

async fn a_slow_receiver_costs_only_itself(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let (stuck, quick) = (Receiver::behaving(|_| Answer::OK.after_ms(60_000)).await, Receiver::start().await);
    register(&admin, json!({"url": stuck.url(), "query": QUERY, "maxInFlight": 2})).await;
    register(&admin, json!({"url": quick.url(), "query": QUERY})).await;
    for number in 0..50 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    quick.requests(50).await;
    assert_eq!(stuck.received().len(), 2, "no more than two at a time, and the others did not wait for them");
}
