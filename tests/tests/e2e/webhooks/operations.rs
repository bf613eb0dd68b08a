//! What owners and operators do with webhooks, and what they see of them.

use serde_json::{Value, json};
use tandem_tests::client::{number, text};
use tandem_tests::receiver::{Answer, Received, register};
use tandem_tests::shop::{self, UPDATE_WEBHOOK, add_product};
use tandem_tests::{Caller, Case, Client, Receiver, on_both, wait};

use super::{QUERY, delivery, webhook_is};

on_both!(
    a_ping_tells_what_came_of_it,
    a_failed_delivery_is_sent_again,
    a_replay_sends_each_event_once,
    a_replay_is_cancelled,
    what_happened_while_it_was_disabled_is_delivered_once,
    a_webhook_without_success_is_given_up,
    deliveries_are_found_by_status_event_and_time,
    attempts_are_followed_and_resumed,
    changes_of_webhooks_are_followed,
);

const PING: &str = "mutation($input: PingWebhookInput!) { pingWebhook(input: $input) { webhook { id status } messageId
    attempt { number statusCode durationMs address error { code } responseBody } clientMutationId
    userErrors { code path } } }";
const RETRY: &str = "mutation($input: RetryDeliveryInput!) { retryDelivery(input: $input) {
    delivery { id status nextAttemptAt attempts { number } } userErrors { code path } } }";
const REPLAY: &str = "mutation($input: ReplayWebhookInput!) { replayWebhook(input: $input) { webhook { id }
    replay { id only status queued cursor until } count countedTo userErrors { code path } } }";
const CANCEL: &str = "mutation($input: CancelReplayInput!) { cancelReplay(input: $input) { webhook { id }
    replay { id status statusReason queued } clientMutationId userErrors { code path } } }";
const HEALTH: &str = "query($id: ID!) { webhook(id: $id) { status statusReason health { state failingSince
    consecutiveFailures lastSuccessAt lastFailureAt lastError { code } disablesAt disabledAt }
    replays { id only status statusReason queued } } }";
const PAGE: &str =
    "query($id: ID!, $status: DeliveryStatus, $event: String, $since: DateTime, $until: DateTime, $first: Int,
    $after: String) { webhook(id: $id) { deliveries(status: $status, event: $event, since: $since, until: $until,
        first: $first, after: $after) { nodes { id type sequence } pageInfo { hasNextPage endCursor } } } }";

async fn health(client: &Client, webhook: &str) -> Value {
    client.data(HEALTH, json!({"id": webhook})).await["webhook"].take()
}

async fn replay_is_done(client: &Client, webhook: &str) -> Value {
    wait::until("the replay is done", async || {
        let replay = health(client, webhook).await["replays"][0].take();
        (replay["status"] == json!("DONE")).then_some(replay)
    })
    .await
}

async fn a_ping_tells_what_came_of_it(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| Answer::status(if count == 0 { 200 } else { 503 })).await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    let input = json!({"id": webhook, "idempotencyKey": "p-1", "clientMutationId": "c"});
    let pinged = admin.done(PING, input.clone()).await;
    assert_eq!((&pinged["attempt"]["statusCode"], &pinged["attempt"]["error"]), (&json!(200), &Value::Null));
    assert_eq!((&pinged["webhook"]["id"], &pinged["clientMutationId"]), (&json!(webhook), &json!("c")));
    let received = receiver.requests(1).await.remove(0);
    assert_eq!(received.id, text(&pinged["messageId"]));
    assert_eq!((&received.json["type"], received.json.get("sequence")), (&json!("tandem.ping"), None));
    receiver.assert_signed(&secret);
    assert_eq!(admin.done(PING, input).await, pinged, "the same key gets the same answer");
    let failed = admin.done(PING, json!({"id": webhook})).await;
    assert_eq!(failed["attempt"]["error"]["code"], json!("STATUS"));
    assert_eq!(receiver.received().len(), 2);
    let health = health(&admin, &webhook).await;
    assert_eq!((&health["health"]["state"], &health["health"]["lastFailureAt"]), (&json!("HEALTHY"), &Value::Null));
}

async fn a_failed_delivery_is_sent_again(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| if count == 0 { Answer::status(500) } else { Answer::OK }).await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    let failed = delivery(&admin, &webhook, "FAILED").await;
    let ill = health(&admin, &webhook).await["health"].take();
    assert_eq!((&ill["state"], &ill["consecutiveFailures"]), (&json!("FAILING"), &json!(1)));
    assert_eq!(ill["lastError"]["code"], json!("STATUS"));
    assert!(ill["failingSince"].is_string() && ill["disablesAt"].is_string() && ill["disabledAt"].is_null());
    let retried = admin.done(RETRY, json!({"id": failed["id"]})).await;
    assert_eq!(retried["delivery"]["id"], failed["id"]);
    receiver.requests(2).await;
    receiver.assert_stable();
    receiver.assert_signed(&secret);
    let done = delivery(&admin, &webhook, "SUCCEEDED").await;
    assert_eq!(done["attempts"].as_array().map(Vec::len), Some(2));
    let well = health(&admin, &webhook).await["health"].take();
    assert_eq!((&well["state"], &well["consecutiveFailures"]), (&json!("HEALTHY"), &json!(0)));
    assert!(well["lastSuccessAt"].is_string() && well["lastFailureAt"].is_string() && well["failingSince"].is_null());
    // One that was accepted is made again from the log.
    admin.done(RETRY, json!({"id": failed["id"]})).await;
    receiver.requests(3).await;
    receiver.assert_stable();
    let bob = server.client(&Caller::user("bob"));
    assert_eq!(bob.refused(RETRY, json!({"id": failed["id"]})).await, [("NOT_FOUND".to_owned(), "id".to_owned())]);
}

async fn a_replay_sends_each_event_once(case: &Case) {
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    for number in 0..3 {
        add_product(&admin, &format!("OLD-{number}")).await;
    }
    let receiver = Receiver::start().await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    for number in 0..40 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    receiver.requests(40).await;
    wait::until("all are recorded", async || {
        let data = admin.data("query($id: ID!) { webhook(id: $id) { lag } }", json!({"id": webhook})).await;
        (number(&data["webhook"]["lag"]) == 0).then_some(())
    })
    .await;
    let dry = admin.done(REPLAY, json!({"id": webhook, "after": start, "only": "ALL", "dryRun": true})).await;
    assert_eq!((&dry["count"], &dry["countedTo"], &dry["replay"]), (&json!(43), &Value::Null, &Value::Null));
    let failed = admin.done(REPLAY, json!({"id": webhook, "after": start, "dryRun": true})).await;
    assert_eq!(failed["count"], json!(0), "none has failed");
    // It goes on after a crash.
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "PAUSED"})).await;
    let input = json!({"id": webhook, "after": start, "only": "ALL", "idempotencyKey": "r-1"});
    let started = admin.done(REPLAY, input.clone()).await;
    assert_eq!(started["replay"]["status"], json!("RUNNING"));
    assert_eq!(admin.done(REPLAY, input).await["replay"]["id"], started["replay"]["id"]);
    let second = admin.refused(REPLAY, json!({"id": webhook, "after": start})).await;
    assert_eq!(second, [("INVALID".to_owned(), "id".to_owned())], "one at a time");
    server.kill9().await;
    server.restart().await;
    let admin = server.client(&Caller::admin());
    assert_eq!(receiver.count(), 40);
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    receiver.requests(83).await;
    assert_eq!(replay_is_done(&admin, &webhook).await["queued"], json!(43));
    let received = receiver.received();
    let mut again: Vec<&str> = received[40..].iter().map(|request| request.id.as_str()).collect();
    again.sort_unstable();
    again.dedup();
    assert_eq!((received.len(), again.len()), (83, 43), "once each");
    let (old, known): (Vec<_>, Vec<_>) =
        received[40..].iter().partition(|request| request.json.get("sequence").is_none());
    assert_eq!((old.len(), known.len()), (3, 40), "what is from before the webhook has no number");
    receiver.assert_stable();
    receiver.assert_signed(&secret);
    let wrong = [
        (json!({"id": webhook}), "REQUIRED"),
        (json!({"id": webhook, "after": start, "since": "2026-01-01T00:00:00Z"}), "INVALID"),
    ];
    for (input, code) in wrong {
        assert_eq!(admin.refused(REPLAY, input).await, [(code.to_owned(), "after".to_owned())]);
    }
}

async fn a_replay_is_cancelled(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    let start = shop::now(&admin).await;
    for number in 0..3 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    receiver.requests(3).await;
    wait::until("all are recorded", async || {
        let data = admin.data("query($id: ID!) { webhook(id: $id) { lag } }", json!({"id": webhook})).await;
        (number(&data["webhook"]["lag"]) == 0).then_some(())
    })
    .await;
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "PAUSED"})).await;
    let replay = json!({"id": webhook, "after": start, "only": "ALL"});
    let started = admin.done(REPLAY, replay.clone()).await["replay"].take();
    let refused = |code: &str| [(code.to_owned(), "id".to_owned())];
    let bob = server.client(&Caller::user("bob"));
    assert_eq!(bob.refused(CANCEL, json!({"id": started["id"]})).await, refused("NOT_FOUND"));
    assert_eq!(admin.refused(CANCEL, json!({"id": webhook})).await, refused("NOT_FOUND"), "it is no replay");
    let input = json!({"id": started["id"], "idempotencyKey": "c-1", "clientMutationId": "c"});
    let cancelled = admin.done(CANCEL, input.clone()).await;
    assert_eq!((&cancelled["webhook"]["id"], &cancelled["clientMutationId"]), (&json!(webhook), &json!("c")));
    let replay_of = |payload: &Value| (payload["replay"]["status"].clone(), payload["replay"]["queued"].clone());
    assert_eq!(replay_of(&cancelled), (json!("CANCELLED"), json!(0)));
    assert!(cancelled["replay"]["statusReason"].is_string());
    assert_eq!(admin.done(CANCEL, input).await, cancelled, "the same key gets the same answer");
    assert_eq!(admin.refused(CANCEL, json!({"id": started["id"]})).await, refused("INVALID"), "it has ended");
    // It puts nothing in line when the webhook goes on, and another one may begin.
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    add_product(&admin, "SKU-3").await;
    receiver.requests(4).await;
    assert_eq!(health(&admin, &webhook).await["replays"][0]["status"], json!("CANCELLED"));
    assert_eq!(receiver.count(), 4);
    admin.done(REPLAY, replay).await;
    replay_is_done(&admin, &webhook).await;
    receiver.requests(7).await;
}

async fn what_happened_while_it_was_disabled_is_delivered_once(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| Answer::status(if count == 0 { 410 } else { 204 })).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    let start = shop::now(&admin).await;
    add_product(&admin, "SKU-0").await;
    webhook_is(&admin, &webhook, "DISABLED").await;
    for number in 1..30 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    let before = health(&admin, &webhook).await["health"].take();
    assert_eq!((&before["state"], before["disabledAt"].is_string()), (&json!("DISABLED"), true));
    // What is before its position is sent in any case, and so is no part of the replay.
    let replayed = admin.done(REPLAY, json!({"id": webhook, "after": start, "only": "ALL"})).await;
    assert!(replayed["userErrors"] == json!([]));
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    receiver.until("all are accepted", |all| all.iter().filter(|request| request.succeeded()).count() >= 30).await;
    replay_is_done(&admin, &webhook).await;
    let accepted: Vec<Received> = receiver.received().into_iter().filter(Received::succeeded).collect();
    let mut sequences: Vec<i64> = accepted.iter().map(Received::sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=30).collect::<Vec<_>>(), "once each");
}

async fn a_webhook_without_success_is_given_up(case: &Case) {
    let mut server = case.start(case.settings().with("--webhook-retry-schedule", "0s")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|_| Answer::status(500)).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-0").await;
    delivery(&admin, &webhook, "FAILED").await;
    let ages = [(3, 4, "AT_RISK", "ENABLED"), (6, 9, "DISABLED", "DISABLED")];
    for (days, failures, state, status) in ages {
        server.stop().await;
        let ago = i64::from(days) * 24 * 3600 * 1_000_000;
        let sql =
            format!("UPDATE tandem_webhook SET first_failure_at = last_failure_at - {ago}, failures = {failures}");
        case.execute(&sql).await;
        server.restart().await;
        let admin = server.client(&Caller::admin());
        add_product(&admin, &format!("SKU-{days}")).await;
        let shown = wait::until(&format!("it is {state}"), async || {
            let shown = health(&admin, &webhook).await;
            (shown["health"]["state"] == json!(state)).then_some(shown)
        })
        .await;
        assert_eq!((&shown["status"], &shown["health"]["consecutiveFailures"]), (&json!(status), &json!(failures + 1)));
        assert_eq!(shown["statusReason"].is_string(), state == "DISABLED");
    }
    // Enabling is a new beginning.
    let admin = server.client(&Caller::admin());
    receiver.behave(|_| Answer::OK);
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "ENABLED"})).await;
    let shown = health(&admin, &webhook).await["health"].take();
    assert_eq!((&shown["state"], &shown["disabledAt"]), (&json!("HEALTHY"), &Value::Null));
}

async fn deliveries_are_found_by_status_event_and_time(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s")).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| Answer::status(if count == 1 { 500 } else { 200 })).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY, "maxInFlight": 1})).await;
    let mut last = String::new();
    for number in 0..5 {
        last = add_product(&admin, &format!("SKU-{number}")).await;
    }
    admin.done(shop::DELETE_PRODUCT, json!({"id": last})).await;
    receiver.requests(6).await;
    let page = async |mut variables: Value| {
        variables["id"] = json!(webhook);
        let mut data = admin.data(PAGE, variables).await;
        let mut page = data["webhook"]["deliveries"].take();
        let Value::Array(nodes) = page["nodes"].take() else { panic!("no list: {page}") };
        let sequences: Vec<i64> = nodes.iter().map(|node| number(&node["sequence"])).collect();
        (sequences, page["pageInfo"].take())
    };
    wait::until("all are recorded", async || (page(json!({})).await.0.len() == 6).then_some(())).await;
    assert_eq!(page(json!({})).await.0, [6, 5, 4, 3, 2, 1], "newest first");
    assert_eq!(page(json!({"status": "FAILED"})).await.0, [2]);
    assert_eq!(page(json!({"status": "SUCCEEDED"})).await.0, [6, 5, 4, 3, 1]);
    assert_eq!(page(json!({"event": "product.deleted"})).await.0, [6]);
    assert_eq!(page(json!({"event": "product.created", "status": "FAILED"})).await.0, [2]);
    assert!(page(json!({"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"})).await.0.is_empty());
    assert_eq!(page(json!({"since": "2020-01-01T00:00:00Z", "first": 2})).await.0, [6, 5]);
    let (mut after, mut found) = (Value::Null, Vec::new());
    loop {
        let (sequences, info) = page(json!({"first": 4, "after": after})).await;
        found.extend(sequences);
        after = info["endCursor"].clone();
        if info["hasNextPage"] != json!(true) {
            break;
        }
    }
    assert_eq!(found, [6, 5, 4, 3, 2, 1], "page by page");
}

const ATTEMPTED: &str = "subscription($id: ID!, $after: String) { deliveryAttempted(webhookId: $id, after: $after) {
    cursor delivery { id sequence status } attempt { number statusCode } } }";

async fn attempts_are_followed_and_resumed(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::behaving(|count| Answer::status(if count == 0 { 500 } else { 200 })).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY, "maxInFlight": 1})).await;
    // A stream is answered when its subscription has begun.
    let mut stream = server.events(&Caller::admin(), ATTEMPTED, json!({"id": webhook}), None).await;
    add_product(&admin, "SKU-1").await;
    let events = [stream.event().await, stream.event().await];
    let told = |value: &Value| (value["attempt"]["number"].clone(), value["attempt"]["statusCode"].clone());
    assert_eq!(told(&events[0].change), (json!(1), json!(500)));
    assert_eq!(told(&events[1].change), (json!(2), json!(200)));
    assert_eq!(events[1].change["delivery"]["status"], json!("SUCCEEDED"));
    assert_eq!(events[0].cursor, text(&events[0].change["cursor"]));
    let variables = json!({"id": webhook, "after": events[0].cursor});
    let mut again = server.live(&Caller::admin()).await.following(ATTEMPTED, variables).await;
    assert_eq!(told(&again.event().await.change), (json!(2), json!(200)), "after a cursor nothing is missed");
    for (caller, variables, code) in [
        (Caller::user("bob"), json!({"id": webhook}), "BAD_USER_INPUT"),
        (Caller::admin(), json!({"id": webhook, "after": "nonsense"}), "CURSOR_INVALID"),
        (Caller::admin(), json!({"id": webhook, "after": shop::now(&admin).await}), "CURSOR_INVALID"),
    ] {
        let mut refused = server.live(&caller).await.following(ATTEMPTED, variables).await;
        assert_eq!(refused.error_codes().await, [code]);
    }
}

const CHANGED: &str =
    "subscription($after: String) { webhookStatusChanged(after: $after) { webhookId status previousStatus
    health previousHealth reason webhook { id url } } }";

async fn changes_of_webhooks_are_followed(case: &Case) {
    let server = case.start(case.settings().with("--webhook-retry-schedule", "0s")).await;
    let (alice, bob) = (server.client(&Caller::user("alice")), server.client(&Caller::user("bob")));
    let admin = server.client(&Caller::admin());
    let mut live = server.events(&Caller::user("alice"), CHANGED, json!({}), None).await;
    let receiver = Receiver::behaving(|count| Answer::status(if count == 0 { 500 } else { 410 })).await;
    register(&bob, json!({"url": receiver.url(), "events": ["order.created"]})).await;
    let (webhook, _) = register(&alice, json!({"url": receiver.url(), "query": QUERY})).await;
    let made = live.event().await.change;
    assert_eq!((&made["webhookId"], &made["webhook"]["id"]), (&json!(webhook), &json!(webhook)), "no others are told");
    assert_eq!((&made["status"], &made["previousStatus"]), (&json!("ENABLED"), &Value::Null));
    add_product(&admin, "SKU-1").await;
    let failing = live.event().await.change;
    assert_eq!((&failing["health"], &failing["previousHealth"]), (&json!("FAILING"), &json!("HEALTHY")));
    add_product(&admin, "SKU-2").await;
    let disabled = live.event().await;
    assert_eq!(
        (&disabled.change["status"], &disabled.change["previousStatus"]),
        (&json!("DISABLED"), &json!("ENABLED"))
    );
    assert!(text(&disabled.change["reason"]).contains("410"));
    let after = json!({"after": disabled.cursor});
    let mut again = server.live(&Caller::user("alice")).await.following(CHANGED, after).await;
    assert_eq!(again.event().await.change["status"], json!("DISABLED"), "who comes back is told how it stands");
    alice.done(shop::DELETE_WEBHOOK, json!({"id": webhook})).await;
    let deleted = live.event().await.change;
    assert_eq!(
        (&deleted["webhookId"], &deleted["webhook"], &deleted["status"]),
        (&json!(webhook), &Value::Null, &Value::Null)
    );
}
