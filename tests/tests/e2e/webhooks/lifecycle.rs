//! Pausing, disabling, deleting, and starting again.

use serde_json::{Value, json};
use tandem_tests::client::{number, text};
use tandem_tests::receiver::{Answer, Received, register};
use tandem_tests::shop::{self, DELETE_WEBHOOK, UPDATE_WEBHOOK, add_product};
use tandem_tests::{Caller, Case, Receiver, on_both, wait};

use super::{DELIVERIES, QUERY, webhook_is};

on_both!(
    gone_disables,
    pausing_keeps_events_and_resuming_sends_them,
    a_deleted_webhook_gets_nothing_more,
    a_restart_resumes,
);

async fn gone_disables(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|_| Answer::status(410)).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let disabled = webhook_is(&admin, &webhook, "DISABLED").await;
    assert!(disabled["statusReason"].is_string(), "it says why: {disabled}");
    add_product(&admin, "SKU-2").await;
    receiver.behave(|_| Answer::OK);
    let enabled = admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    assert_eq!((&enabled["webhook"]["status"], &enabled["webhook"]["statusReason"]), (&json!("ENABLED"), &Value::Null));
    let log = shop::log(&admin).await;
    receiver.until("what came meanwhile arrives", |received| received.iter().any(|r| r.id == log[1].id)).await;
    let before: Vec<String> = receiver.received().into_iter().take(1).map(|request| request.id).collect();
    assert_eq!(before, [log[0].id.clone()], "nothing was sent to a disabled webhook");
}

async fn pausing_keeps_events_and_resuming_sends_them(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let (paused, witness) = (Receiver::start().await, Receiver::start().await);
    let (webhook, secret) = register(&admin, json!({"url": paused.url(), "query": QUERY})).await;
    register(&admin, json!({"url": witness.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-0").await;
    paused.requests(1).await;
    let answer = admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "PAUSED"})).await;
    assert_eq!(answer["webhook"]["status"], json!("PAUSED"));
    for number in 1..=3 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    witness.requests(4).await;
    assert_eq!(paused.received().len(), 1, "a paused webhook is left alone");
    // What came of the first one is recorded a moment after it was accepted.
    wait::until("the first one is behind it, and the others are not", async || {
        let data = admin.data(DELIVERIES, json!({"id": webhook})).await;
        (number(&data["webhook"]["lag"]) == 3).then_some(())
    })
    .await;
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    let mut received = paused.requests(4).await;
    received.sort_by_key(Received::sequence);
    let skus: Vec<String> = received.iter().map(|r| text(&r.json["data"]["productChanged"]["after"]["sku"])).collect();
    assert_eq!(skus, ["SKU-0", "SKU-1", "SKU-2", "SKU-3"]);
    paused.assert_signed(&secret);
}

async fn a_deleted_webhook_gets_nothing_more(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let (deleted, witness) = (Receiver::start().await, Receiver::start().await);
    let (webhook, _) = register(&admin, json!({"url": deleted.url(), "query": QUERY})).await;
    register(&admin, json!({"url": witness.url(), "query": QUERY})).await;
    let answer = admin.done(DELETE_WEBHOOK, json!({"id": webhook})).await;
    assert_eq!(answer["deletedWebhookId"], json!(webhook));
    add_product(&admin, "SKU-1").await;
    witness.requests(1).await;
    assert!(deleted.received().is_empty());
    let data = admin.data("query($id: ID!) { webhook(id: $id) { id } }", json!({"id": webhook})).await;
    assert_eq!(data["webhook"], Value::Null);
    let errors = admin.refused(DELETE_WEBHOOK, json!({"id": webhook})).await;
    assert_eq!(errors, [("NOT_FOUND".to_owned(), "id".to_owned())]);
}

async fn a_restart_resumes(case: &Case) {
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|_| Answer::status(500)).await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    for number in 0..5 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    receiver.requests(5).await;
    let stopped = server.stop().await;
    assert!(stopped.success());
    receiver.behave(|_| Answer::OK);
    server.restart().await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "SKU-5").await;
    let log = shop::log(&admin).await;
    let all = log.iter().map(|entry| entry.id.clone()).collect::<std::collections::HashSet<_>>();
    receiver
        .until("all six arrive", |received| {
            let accepted = received.iter().filter(|request| request.succeeded());
            accepted.map(|request| &request.id).collect::<std::collections::HashSet<_>>().len() == 6
        })
        .await;
    assert_eq!(receiver.accepted(), all);
    receiver.assert_signed(&secret);
    receiver.assert_stable();
    for request in receiver.received() {
        let entry = log.iter().find(|entry| entry.id == request.id).expect("it is in the log");
        assert_eq!(request.sequence(), entry.position, "a retry keeps its number");
    }
    webhook_is(&admin, &webhook, "ENABLED").await;
}
