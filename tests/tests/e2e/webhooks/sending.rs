//! How a webhook is sent, as its owner asks for it; and what an operator sees of it.

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::{CREATE_PRODUCT, CREATE_WEBHOOK, UPDATE_PRODUCT, add_product, product};
use tandem_tests::{Caller, Case, Receiver, on_both, wait};

use super::QUERY;

on_both!(
    what_is_asked_for_is_shown_and_checked,
    events_come_in_batches,
    a_failing_node_holds_only_its_own_events,
    metrics_say_how_webhooks_fare,
);

const SHOWN: &str = "ordering rateLimit retrySchedule timeoutMs batch { maxEvents maxWaitMs }";

async fn what_is_asked_for_is_shown_and_checked(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let full = json!({"ordering": "PER_NODE", "rateLimit": 50, "retrySchedule": [5, 300], "timeoutMs": 2500,
        "batch": {"maxEvents": 100, "maxWaitMs": 500}});
    let mut input = full.clone();
    input["url"] = json!(receiver.url());
    input["query"] = json!(QUERY);
    let (id, _) = register(&admin, input).await;
    let show = async || {
        let mut data =
            admin.data(&format!("query($id: ID!) {{ webhook(id: $id) {{ {SHOWN} }} }}"), json!({"id": id})).await;
        data["webhook"].take()
    };
    assert_eq!(show().await, full);
    let update = format!(
        "mutation($input: UpdateWebhookInput!) {{ updateWebhook(input: $input) {{ webhook {{ {SHOWN} }} userErrors {{ code message path }} }} }}"
    );
    let changed = admin.done(&update, json!({"id": id, "ordering": "STRICT", "batch": {"maxEvents": 7}})).await;
    let mut expected = full;
    expected["ordering"] = json!("STRICT");
    expected["batch"] = json!({"maxEvents": 7, "maxWaitMs": 1000});
    assert_eq!(changed["webhook"], expected);
    let none = json!({"id": id, "rateLimit": null, "retrySchedule": null, "timeoutMs": null, "batch": null});
    let cleared = admin.done(&update, none).await;
    let nothing =
        json!({"ordering": "STRICT", "rateLimit": null, "retrySchedule": null, "timeoutMs": null, "batch": null});
    assert_eq!((&cleared["webhook"], show().await), (&nothing, nothing.clone()));

    for (wrong, path) in [
        (json!({"rateLimit": 0}), "rateLimit"),
        (json!({"retrySchedule": [-1]}), "retrySchedule"),
        (json!({"retrySchedule": vec![1; 30]}), "retrySchedule"),
        (json!({"timeoutMs": 99}), "timeoutMs"),
        (json!({"batch": {"maxEvents": 1001}}), "batch.maxEvents"),
        (json!({"batch": {"maxEvents": 1, "maxWaitMs": 60001}}), "batch.maxWaitMs"),
    ] {
        let mut input = wrong;
        input["url"] = json!(receiver.url());
        input["query"] = json!(QUERY);
        let errors = admin.refused(CREATE_WEBHOOK, input).await;
        assert_eq!(errors, [("OUT_OF_RANGE".to_owned(), path.to_owned())]);
    }
}

async fn events_come_in_batches(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| if count == 0 { Answer::status(500) } else { Answer::OK }).await;
    let input =
        json!({"url": receiver.url(), "query": QUERY, "maxInFlight": 1, "batch": {"maxEvents": 4, "maxWaitMs": 100}});
    let (_, secret) = register(&admin, input).await;
    for number in 0..10 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    let ids = |received: &[tandem_tests::receiver::Received]| {
        let accepted = received.iter().filter(|request| request.succeeded());
        let events = accepted.flat_map(|request| request.json["events"].as_array().cloned().unwrap_or_default());
        events.map(|event| text(&event["id"])).collect::<std::collections::HashSet<_>>()
    };
    receiver.until("all events arrive", |received| ids(received).len() == 10).await;
    receiver.assert_signed(&secret);
    receiver.assert_stable();
    let received = receiver.received();
    assert!(
        received.iter().filter(|request| request.id == received[0].id).count() >= 2,
        "it was tried again as it was"
    );
    for request in &received {
        let events = request.json["events"].as_array().expect("a list");
        assert!((1..=4).contains(&events.len()));
        assert_eq!(
            (&request.json["type"], events[0]["type"].as_str()),
            (&json!("tandem.batch"), Some("product.created"))
        );
        assert_eq!(events[events.len() - 1]["cursor"], request.json["cursor"]);
    }
}

async fn a_failing_node_holds_only_its_own_events(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s,1d")).await;
    let admin = server.client(&Caller::admin());
    let (receiver, broken) = (Receiver::start().await, Receiver::behaving(|_| Answer::status(500)).await);
    let ordered = |receiver: &Receiver| json!({"url": receiver.url(), "query": QUERY, "ordering": "PER_NODE"});
    let (webhook, _) = register(&admin, ordered(&broken)).await;
    let (_, secret) = register(&admin, ordered(&receiver)).await;
    let made = admin.done(CREATE_PRODUCT, product("HELD")).await;
    broken.requests(1).await;
    let update = json!({"id": made["product"]["id"], "patch": {"stock": 7}});
    admin.done(UPDATE_PRODUCT, update).await;
    add_product(&admin, "FREE").await;
    broken.requests(2).await;
    assert_eq!(broken.received()[1].json["data"]["productChanged"]["after"]["sku"], json!("FREE"));
    let waiting = wait::until("the update waits", async || {
        let query = "query($id: ID!) { webhook(id: $id) { lag deliveries(status: PENDING) { nodes { type nextAttemptAt attempts { number } } } } }";
        let data = admin.data(query, json!({"id": webhook})).await;
        let nodes = data["webhook"]["deliveries"]["nodes"].as_array()?.clone();
        nodes.iter().find(|delivery| delivery["type"] == json!("product.updated")).cloned()
    })
    .await;
    assert_eq!((&waiting["nextAttemptAt"], &waiting["attempts"]), (&Value::Null, &json!([])));
    receiver.requests(3).await;
    receiver.assert_signed(&secret);
}

async fn metrics_say_how_webhooks_fare(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    receiver.requests(1).await;
    let text = wait::until("the delivery is counted", async || {
        let text = reqwest::get(server.url("/metrics")).await.ok()?.text().await.ok()?;
        let lag = format!("tandem_webhook_lag_events{{webhook=\"{webhook}\"}} 0");
        text.lines().any(|line| line.starts_with(&lag)).then_some(text)
    })
    .await;
    for line in [
        "tandem_webhook_attempts_total{outcome=\"succeeded\"} 1".to_owned(),
        format!("tandem_webhook_lag_seconds{{webhook=\"{webhook}\"}} 0"),
        format!("tandem_webhook_in_flight{{webhook=\"{webhook}\"}} 0"),
        format!("tandem_webhook_retry_queue{{webhook=\"{webhook}\"}} 0"),
        format!("tandem_webhook_breaker_state{{webhook=\"{webhook}\"}} 0"),
    ] {
        assert!(text.lines().any(|found| found.starts_with(&line)), "{line} in {text}");
    }
    assert!(text.ends_with("# EOF\n"), "the text of OpenMetrics ends like this");
}
