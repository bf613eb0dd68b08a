//! Order, batches and pace, from the log to a real receiver, with failures and crashes in between.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entity::webhook::Ordering;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::catalog::datum::now_micros;
use crate::webhook::clock::Clock;
use crate::webhook::registry::WebhookPatch;
use crate::webhook::sending::SendingInput;
use crate::webhook::testing::{Fixture, Received, Receiver, eventually, on_both_databases};

on_both_databases!(
    a_failing_node_holds_only_its_own_events,
    strict_stands_still_until_what_failed_arrives,
    a_delivery_that_has_failed_for_good_holds_nothing,
    nothing_overtakes_per_node_through_failures_and_kills,
    nothing_overtakes_strictly_through_failures_and_kills,
    another_order_takes_over_what_waits,
    events_are_sent_together,
    a_batch_is_tried_again_as_it_was,
    batches_keep_the_order,
    a_broken_receiver_gets_probes_only,
    a_webhook_has_a_schedule_and_a_deadline_of_its_own,
    a_clock_that_jumps_changes_nothing,
    many_webhooks_share_the_requests_in_flight,
);

const QUICK: &str = "0s,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms";
const NEVER_AGAIN: &str = "0s,30d";

fn ordered(ordering: Ordering) -> SendingInput {
    SendingInput { ordering: Some(ordering), ..SendingInput::default() }
}

fn positions(received: &[Received]) -> Vec<i64> {
    received.iter().flat_map(Received::positions).collect()
}

/// Rows to change, by letters.
fn rows(letters: &str) -> Vec<Uuid> {
    letters.bytes().map(|letter| Uuid::from_u128(u128::from(letter))).collect()
}

async fn until_deliveries(fixture: &Fixture, expected: &[(i64, &str, i64)]) {
    let what = format!("{expected:?}");
    eventually(&what, async || {
        let found = fixture.deliveries().await;
        let found: Vec<_> = found.iter().map(|(position, status, n, _)| (*position, status.as_str(), *n)).collect();
        (found == expected).then_some(())
    })
    .await;
}

/// Waits as long as more and more succeed.
async fn until_all_succeeded(fixture: &Fixture, count: usize) {
    let succeeded = async || {
        let found = fixture.query("SELECT COUNT(*) FROM tandem_delivery WHERE status = 'SUCCEEDED'").await;
        found[0].need_int(0).unwrap() as usize
    };
    let mut before = succeeded().await;
    while before < count {
        before = eventually("more succeed", async || Some(succeeded().await).filter(|now| *now > before)).await;
    }
    assert_eq!(fixture.deliveries().await.len(), count);
}

/// What is pending is due now, as if its time had come while nothing was running.
async fn make_due(fixture: &Fixture) {
    fixture.run("UPDATE tandem_delivery SET next_attempt_at = 1 WHERE next_attempt_at IS NOT NULL").await;
}

async fn a_failing_node_holds_only_its_own_events(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.behave(|request| if request.position() == 1 { 500 } else { 200 });
    let webhook = fixture.create_sending(&receiver, "all", 4, ordered(Ordering::PerNode)).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append_about(&rows("abaab")).await;
    let waiting = [(1, "PENDING", 1), (2, "SUCCEEDED", 1), (3, "PENDING", 0), (4, "PENDING", 0), (5, "SUCCEEDED", 1)];
    until_deliveries(fixture, &waiting).await;
    fixture.wait_for_progress(webhook.id, 5, 5).await;
    let mut sent = positions(&receiver.received());
    sent.sort_unstable();
    assert_eq!(sent, [1, 2, 5]);
    let queue = eventually("the queue is shown", async || dispatching.metric("tandem_webhook_retry_queue")).await;
    assert_eq!(queue, 3.0);

    fixture.kill(dispatching).await;
    receiver.behave(|_| 200);
    make_due(fixture).await;
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    until_all_succeeded(fixture, 5).await;
    assert_eq!(positions(&receiver.received())[3..], [1, 3, 4]);
    fixture.append_about(&rows("a")).await;
    assert_eq!(receiver.wait_for(7).await[6].sequence(), 6);
}

async fn strict_stands_still_until_what_failed_arrives(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.behave(|request| if request.position() == 2 { 500 } else { 200 });
    let webhook = fixture.create_sending(&receiver, "all", 16, ordered(Ordering::Strict)).await;
    let witness = Receiver::start().await;
    let other = fixture.create(&witness, "all", 16).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append_about(&rows("abcde")).await;
    fixture.wait_for_progress(other.id, 5, 5).await;
    fixture.wait_for_progress(webhook.id, 2, 2).await;
    assert_eq!(positions(&receiver.received()), [1, 2]);

    fixture.kill(dispatching).await;
    receiver.behave(|_| 200);
    make_due(fixture).await;
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.wait_for_progress(webhook.id, 5, 5).await;
    assert_eq!(positions(&receiver.received()), [1, 2, 2, 3, 4, 5]);
    assert_eq!(receiver.most_open(), 1);
}

async fn a_delivery_that_has_failed_for_good_holds_nothing(fixture: &mut Fixture) {
    for ordering in [Ordering::PerNode, Ordering::Strict] {
        let receiver = Receiver::start().await;
        let webhook = fixture.create_sending(&receiver, "all", 4, ordered(ordering)).await;
        let (begin, number) = (webhook.position.get(), webhook.sequence);
        receiver.behave(move |request| if request.position() == begin + 1 { 500 } else { 200 });
        let dispatching = fixture.dispatch("0s,10ms");
        fixture.append_about(&rows("aaba")).await;
        fixture.wait_for_progress(webhook.id, begin + 4, number + 4).await;
        eventually("all have arrived", async || {
            let sent: HashSet<i64> = positions(&receiver.received()).into_iter().collect();
            (sent.len() == 4).then_some(())
        })
        .await;
        let of_a: Vec<_> = positions(&receiver.received()).into_iter().filter(|p| *p != begin + 3).collect();
        assert_eq!(of_a, [begin + 1, begin + 1, begin + 2, begin + 4], "{ordering:?}");
        dispatching.stop().await;
        fixture.registry.delete(&fixture.owner, webhook.id, None).await.unwrap();
    }
}

async fn nothing_overtakes_per_node_through_failures_and_kills(fixture: &mut Fixture) {
    nothing_overtakes(fixture, Ordering::PerNode, None).await;
}

async fn nothing_overtakes_strictly_through_failures_and_kills(fixture: &mut Fixture) {
    nothing_overtakes(fixture, Ordering::Strict, None).await;
}

async fn batches_keep_the_order(fixture: &mut Fixture) {
    nothing_overtakes(fixture, Ordering::PerNode, Some((7, 5))).await;
}

/// `TANDEM_TEST_ORDER_EVENTS` makes it as long as one wants.
fn event_count() -> usize {
    std::env::var("TANDEM_TEST_ORDER_EVENTS").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

async fn nothing_overtakes(fixture: &mut Fixture, ordering: Ordering, batch: Option<(i64, i64)>) {
    const NODES: usize = 12;
    let mut dice = StdRng::seed_from_u64(7);
    let receiver = Receiver::start().await;
    let answers = Arc::new(Mutex::new(StdRng::seed_from_u64(8)));
    receiver.behave(move |_| if answers.lock().unwrap().random_bool(0.25) { 500 } else { 200 });
    let sending = SendingInput { batch: batch.map(Some), ..ordered(ordering) };
    fixture.create_sending(&receiver, "all", 8, sending).await;
    let nodes: Vec<usize> = (0..event_count()).map(|_| dice.random_range(0..NODES)).collect();
    for part in nodes.chunks(event_count() / 8) {
        let dispatching = fixture.dispatch(QUICK);
        let about: Vec<_> = part.iter().map(|node| Uuid::from_u128(*node as u128 + 1)).collect();
        fixture.append_about(&about).await;
        let seen = receiver.received().len();
        receiver.wait_for(seen + dice.random_range(1..10)).await;
        fixture.kill(dispatching).await;
    }
    let dispatching = fixture.dispatch(QUICK);
    until_all_succeeded(fixture, nodes.len()).await;
    dispatching.stop().await;

    let (mut accepted, mut last, mut tries) = (HashSet::new(), HashMap::new(), HashMap::<String, Received>::new());
    for request in receiver.received() {
        let before = tries.entry(request.id()).or_insert_with(|| request.clone());
        assert_eq!(before.body, request.body, "what has one id is one message");
        if request.status != 200 {
            continue;
        }
        for position in request.positions().into_iter().filter(|position| accepted.insert(*position)) {
            let node = if ordering == Ordering::Strict { 0 } else { nodes[position as usize - 1] };
            let before = last.insert(node, position);
            assert!(before.is_none_or(|before| before < position), "{position} arrived after {before:?}");
        }
    }
    assert_eq!(accepted.len(), nodes.len());
}

async fn another_order_takes_over_what_waits(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.behave(|request| if request.position() == 1 { 500 } else { 200 });
    let webhook = fixture.create_sending(&receiver, "all", 4, ordered(Ordering::PerNode)).await;
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append_about(&rows("aa")).await;
    until_deliveries(fixture, &[(1, "PENDING", 1), (2, "PENDING", 0)]).await;
    let patch = WebhookPatch { sending: ordered(Ordering::None), ..WebhookPatch::default() };
    fixture.registry.update(&fixture.owner, webhook.id, patch, None).await.unwrap();
    until_deliveries(fixture, &[(1, "PENDING", 1), (2, "SUCCEEDED", 1)]).await;
}

fn together(max_events: i64, max_wait_ms: i64) -> SendingInput {
    SendingInput { batch: Some(Some((max_events, max_wait_ms))), ..SendingInput::default() }
}

async fn events_are_sent_together(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create_sending(&receiver, "all", 1, together(10, 50)).await;
    fixture.append(25).await;
    let _dispatching = fixture.dispatch(QUICK);
    fixture.wait_for_progress(webhook.id, 25, 25).await;
    let received = receiver.received();
    assert_eq!(received.iter().map(|request| request.positions().len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(positions(&received), (1..=25).collect::<Vec<_>>());
    let secret = standardwebhooks::Webhook::new(&fixture.signer(&webhook).secret.expose()).unwrap();
    for request in &received {
        secret.verify(&request.body, &request.headers).unwrap();
        let json = request.json();
        let last = json["events"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&json["type"], &json["cursor"]), (&"tandem.batch".into(), &last["cursor"]));
        assert!(request.id().starts_with("batch_") && last["id"].as_str().unwrap().starts_with("evt_"));
        assert_eq!(last["type"], "product.updated");
    }
    let expected: Vec<_> = (1..=25).map(|position| (position, "SUCCEEDED", 1)).collect();
    until_deliveries(fixture, &expected).await;
    // One that is alone goes alone, and looks like the others.
    fixture.append(1).await;
    assert_eq!(receiver.wait_for(4).await[3].positions(), [26]);
}

async fn a_batch_is_tried_again_as_it_was(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500, 503, 200]);
    let webhook = fixture.create_sending(&receiver, "all", 1, together(4, 20)).await;
    fixture.append(6).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.wait_for_progress(webhook.id, 6, 6).await;
    fixture.kill(dispatching).await;
    make_due(fixture).await;
    let _dispatching = fixture.dispatch(QUICK);
    until_all_succeeded(fixture, 6).await;
    let received = receiver.received();
    let mut attempts: HashMap<String, Vec<&Received>> = HashMap::new();
    received.iter().for_each(|request| attempts.entry(request.id()).or_default().push(request));
    assert_eq!(attempts.len(), 2, "each batch keeps its id");
    for requests in attempts.values() {
        assert!(requests.iter().all(|request| request.body == requests[0].body));
    }
    let recorded = fixture.attempts().await.len();
    assert_eq!(recorded, received.iter().map(|request| request.positions().len()).sum::<usize>());
    assert_eq!(fixture.webhook(webhook.id).await.sequence, 6);
}

async fn a_broken_receiver_gets_probes_only(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.behave(|_| 500);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(200).await;
    eventually("the breaker opens", async || {
        (dispatching.metric("tandem_webhook_breaker_state")? >= 1.0).then_some(())
    })
    .await;
    assert!(fixture.webhook(webhook.id).await.position.get() < 200, "the log is not read on");
    let lag = dispatching.metric("tandem_webhook_lag_events").unwrap();
    assert!(lag > 0.0 && dispatching.metric("tandem_webhook_lag_seconds").unwrap() > 0.0);
    let failed = dispatching.metric("tandem_webhook_attempts_total{outcome=\"status\"}").unwrap();
    assert!(failed >= 10.0);
    receiver.behave(|_| 200);
    fixture.wait_for_progress(webhook.id, 200, 200).await;
    // The worker hears of a commit a moment later than those who look at the table.
    for metric in ["tandem_webhook_breaker_state", "tandem_webhook_lag_seconds"] {
        eventually(metric, async || (dispatching.metric(metric)? == 0.0).then_some(())).await;
    }
    let rejected = receiver.received().iter().filter(|request| request.status == 500).count();
    assert!(rejected < 40, "{rejected} requests to a receiver that is broken");
}

async fn a_webhook_has_a_schedule_and_a_deadline_of_its_own(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.hang(&[1]);
    let sending =
        SendingInput { retry_schedule: Some(Some(vec![0, 0])), timeout_ms: Some(Some(100)), ..SendingInput::default() };
    fixture.create_sending(&receiver, "all", 1, sending).await;
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(2).await;
    until_deliveries(fixture, &[(1, "FAILED", 3), (2, "SUCCEEDED", 1)]).await;
    let is_late = |code: &Option<String>| code.as_deref() == Some("TIMEOUT");
    assert_eq!(fixture.attempts().await.iter().filter(|(_, _, code)| is_late(code)).count(), 3);
    receiver.hang(&[]);
}

async fn a_clock_that_jumps_changes_nothing(fixture: &mut Fixture) {
    const HOUR: i64 = 3_600_000_000;
    for jump in [-24 * HOUR, -HOUR, HOUR, 24 * HOUR] {
        let receiver = Receiver::start().await;
        let webhook = fixture.create(&receiver, "all", 1).await;
        let (begin, number) = (webhook.position.get(), webhook.sequence);
        receiver.behave(move |request| if request.position() == begin + 1 { 500 } else { 200 });
        // To this process the clock of the machine now looks as if it had jumped the other way.
        let clock = Clock::starting_at(now_micros() + jump);
        let dispatching = fixture.dispatch_by("0s,10ms,30d", clock);
        fixture.append(3).await;
        fixture.wait_for_progress(webhook.id, begin + 3, number + 3).await;
        eventually("the second attempt is not held back", async || (receiver.received().len() == 4).then_some(()))
            .await;
        let due = eventually("the third one waits", async || {
            let found = fixture.query("SELECT next_attempt_at FROM tandem_delivery WHERE attempts = 2").await;
            found.first().map(|record| record.need_int(0).unwrap())
        })
        .await;
        let wait = clock.until(due);
        let month = Duration::from_secs(30 * 24 * 3600);
        assert!(wait > month - Duration::from_secs(60) && wait <= month.mul_f64(1.2), "{wait:?} after {jump}");
        dispatching.stop().await;
        assert_eq!(receiver.received().len(), 4, "nor does the third one come early");
        fixture.registry.delete(&fixture.owner, webhook.id, None).await.unwrap();
    }
}

async fn many_webhooks_share_the_requests_in_flight(fixture: &mut Fixture) {
    let (noisy, quiet) = (Receiver::start().await, Receiver::start().await);
    let stuck: Vec<i64> = (1..=60).collect();
    noisy.hang(&stuck);
    for _ in 0..3 {
        fixture.create(&noisy, "all", 16).await;
    }
    let webhook = fixture.create(&quiet, "all", 16).await;
    let _dispatching = fixture.dispatch_with(NEVER_AGAIN, 6);
    fixture.append(30).await;
    fixture.wait_for_progress(webhook.id, 30, 30).await;
    // Each may have one request in any case, and all together six more.
    noisy.wait_for(3 + 6).await;
    assert!(noisy.received().len() <= 3 + 6);
    fixture.append(30).await;
    fixture.wait_for_progress(webhook.id, 60, 60).await;
    noisy.hang(&[]);
    noisy.wait_for(3 * 60).await;
}
