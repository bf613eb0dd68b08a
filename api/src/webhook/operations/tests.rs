//! Pings, retries and replays, with a real dispatcher and receiver.

mod sending;

use entity::replay::{Scope, Status};
use entity::webhook::Status as WebhookStatus;
use entity::{DeliveryId, ReplayId};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::auth::Principal;
use crate::webhook::egress::{AllowList, Guard};
use crate::webhook::registry::{Delivery, WebhookPatch};
use crate::webhook::replayer::{self, Replayer};
use crate::webhook::testing::{Fixture, Received, Receiver, eventually, on_both_databases, principal};

on_both_databases!(
    a_ping_is_signed_and_tells_what_came_of_it,
    a_ping_with_a_key_is_sent_once,
    a_delivery_is_sent_again_at_once,
    what_was_accepted_is_sent_again_with_the_same_bytes,
    failed_deliveries_are_replayed_with_a_new_schedule,
    all_events_are_replayed_once_each,
    a_replay_waits_for_its_webhook_and_for_room,
    two_nodes_take_each_step_once,
    a_cancelled_replay_puts_nothing_more_in_line,
    a_dry_run_counts_and_sends_nothing,
    others_can_do_nothing,
);

fn operations(fixture: &Fixture) -> Operations {
    let parts = Parts {
        database: fixture.database.clone(),
        writer: fixture.writer.clone(),
        hub: fixture.hub.clone(),
        targets: fixture.targets(),
        sender: Sender::new(Guard::new(AllowList::loopback())).unwrap(),
        timeout: Duration::from_secs(24 * 3600),
        wake: fixture.wake.clone(),
        replays: Arc::default(),
    };
    Operations::new(fixture.registry.clone(), parts)
}

fn replayer(fixture: &Fixture, operations: &Operations) -> Replayer {
    Replayer::new(replayer::Parts {
        database: fixture.database.clone(),
        writer: fixture.writer.clone(),
        hub: fixture.hub.clone(),
        targets: fixture.targets(),
        wake: fixture.wake.clone(),
        replays: Arc::clone(&operations.parts.replays),
    })
}

/// Runs a replayer beside the test.
async fn with_replayer<T>(fixture: &Fixture, operations: &Operations, test: impl Future<Output = T>) -> T {
    beside(replayer(fixture, operations), test).await
}

async fn beside<T>(replayer: Replayer, test: impl Future<Output = T>) -> T {
    let running = replayer.run(CancellationToken::new());
    tokio::select! {
        result = test => result,
        () = running => panic!("a replayer runs until it is stopped"),
    }
}

fn replay(webhook: &Webhook, after: i64, scope: Scope) -> ReplayRequest {
    let start = Start::After(Position::new(after).unwrap());
    ReplayRequest { webhook: webhook.id, start, scope, is_dry_run: false }
}

async fn only_delivery(fixture: &Fixture, webhook: &Webhook) -> Delivery {
    let filter = crate::webhook::registry::DeliveryFilter::default();
    fixture.registry.deliveries(&fixture.owner, webhook.id, &filter, None, 10).await.unwrap().remove(0)
}

async fn until(fixture: &Fixture, what: &str, expected: &[(i64, &str, i64)]) {
    eventually(what, async || {
        let found = fixture.deliveries().await;
        let found: Vec<_> = found.iter().map(|(position, status, n, _)| (*position, status.as_str(), *n)).collect();
        (found == expected).then_some(())
    })
    .await;
}

async fn done(operations: &Operations, webhook: &Webhook) -> Replay {
    eventually("the replay is done", async || {
        operations.replays(webhook.id).await.unwrap().into_iter().next().filter(|replay| replay.status == Status::Done)
    })
    .await
}

fn key(fixture: &Fixture, text: &str) -> Option<Key> {
    Some(Key::new(&fixture.owner, text, "mutation", &serde_json::Map::new()))
}

async fn set_status(fixture: &Fixture, webhook: &Webhook, status: WebhookStatus) {
    let patch = WebhookPatch { status: Some(status), ..WebhookPatch::default() };
    fixture.registry.update(&fixture.owner, webhook.id, patch, None).await.unwrap();
}

async fn a_ping_is_signed_and_tells_what_came_of_it(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[200, 500]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let operations = operations(fixture);
    let pinged = operations.ping(&fixture.owner, webhook.id, None).await.unwrap();
    assert_eq!((pinged.attempt.status_code, &pinged.attempt.error), (Some(200), &None));
    let received = receiver.wait_for(1).await.remove(0);
    let secret = standardwebhooks::Webhook::new(&fixture.signer(&webhook).secret.expose()).unwrap();
    secret.verify(&received.body, &received.headers).unwrap();
    assert_eq!(received.id(), pinged.message);
    let body = received.json();
    assert_eq!((&body["type"], body.get("sequence")), (&json!("tandem.ping"), None));
    assert!(body["timestamp"].is_string() && body["cursor"].is_string() && body["data"]["webhookId"].is_string());
    set_status(fixture, &webhook, WebhookStatus::Paused).await;
    let pinged = operations.ping(&fixture.owner, webhook.id, None).await.unwrap();
    assert_eq!(pinged.attempt.error.unwrap().code.name(), "STATUS");
    assert!(fixture.deliveries().await.is_empty(), "a ping is no delivery");
    let report = fixture.registry.reports(&fixture.owner, None).await.unwrap().remove(&webhook.id).unwrap();
    assert_eq!((report.state, report.last_failure_at), (crate::webhook::health::State::Healthy, None));
}

async fn a_ping_with_a_key_is_sent_once(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[418]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let operations = operations(fixture);
    let first = operations.ping(&fixture.owner, webhook.id, key(fixture, "k")).await.unwrap();
    let again = operations.ping(&fixture.owner, webhook.id, key(fixture, "k")).await.unwrap();
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    assert_eq!(first.attempt.status_code, Some(418));
    assert_eq!(receiver.received().len(), 1);
}

async fn a_delivery_is_sent_again_at_once(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let _dispatching = fixture.dispatch("0s,30d");
    fixture.append(1).await;
    until(fixture, "it waits for a month", &[(1, "PENDING", 1)]).await;
    let operations = operations(fixture);
    let waiting = only_delivery(fixture, &webhook).await;
    let retried = operations.retry(&fixture.owner, waiting.id, key(fixture, "k")).await.unwrap();
    assert_eq!(retried.id, waiting.id);
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    until(fixture, "it is accepted", &[(1, "SUCCEEDED", 2)]).await;
    // The mutation is sent again by its client.
    operations.retry(&fixture.owner, waiting.id, key(fixture, "k")).await.unwrap();
    fixture.append(1).await;
    until(fixture, "the next one", &[(1, "SUCCEEDED", 2), (2, "SUCCEEDED", 1)]).await;
    assert_eq!(receiver.received().len(), 3);
}

async fn what_was_accepted_is_sent_again_with_the_same_bytes(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    let _dispatching = fixture.dispatch("0s,30d");
    fixture.append(1).await;
    until(fixture, "it is accepted", &[(1, "SUCCEEDED", 1)]).await;
    let operations = operations(fixture);
    let accepted = only_delivery(fixture, &webhook).await;
    assert_eq!(accepted.body, None);
    operations.retry(&fixture.owner, accepted.id, None).await.unwrap();
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    until(fixture, "it is accepted again", &[(1, "SUCCEEDED", 2)]).await;
    assert_eq!(fixture.webhook(webhook.id).await.sequence, 1, "it does not count again");
}

async fn failed_deliveries_are_replayed_with_a_new_schedule(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500; 6]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let _dispatching = fixture.dispatch("0s,10ms");
    fixture.append(3).await;
    until(fixture, "all have failed", &[(1, "FAILED", 2), (2, "FAILED", 2), (3, "FAILED", 2)]).await;
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 4, 4).await;
    receiver.answer_with(&[500]);
    let operations = operations(fixture);
    with_replayer(fixture, &operations, async {
        let started = operations.replay(&fixture.owner, replay(&webhook, 1, Scope::Failed), None).await.unwrap();
        assert_eq!(started.replay.unwrap().scope, Scope::Failed);
        eventually("two of them are sent again, one twice", async || {
            let found = fixture.deliveries().await;
            let mut attempts: Vec<_> = found.iter().map(|(p, status, n, _)| (*p, status.as_str(), *n)).collect();
            attempts.sort_by_key(|attempt| attempt.2);
            let mut counts: Vec<_> = attempts.iter().map(|(_, status, n)| (*status, *n)).collect();
            counts.sort_unstable();
            (counts == [("FAILED", 2), ("SUCCEEDED", 1), ("SUCCEEDED", 3), ("SUCCEEDED", 4)]).then_some(())
        })
        .await;
        assert_eq!(done(&operations, &webhook).await.queued, 2);
    })
    .await;
    let mut sequences: Vec<_> = receiver.received()[7..].iter().map(Received::sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences, [2, 3]);
}

async fn all_events_are_replayed_once_each(fixture: &mut Fixture) {
    fixture.append(5).await;
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 8).await;
    let _dispatching = fixture.dispatch("0s,30d");
    fixture.append(200).await;
    fixture.wait_for_progress(webhook.id, 205, 200).await;
    let first = receiver.received();
    let operations = operations(fixture);
    with_replayer(fixture, &operations, async {
        let started = operations.replay(&fixture.owner, replay(&webhook, 2, Scope::All), None).await.unwrap();
        assert_eq!(started.replay.unwrap().until.get(), 205);
        // What is new is delivered beside it.
        fixture.append(1).await;
        let all = receiver.wait_for(200 + 203 + 1).await;
        assert_eq!(done(&operations, &webhook).await.queued, 203);
        let mut again: Vec<_> = all[200..].iter().map(Received::position).collect();
        again.sort_unstable();
        assert_eq!(again, (3..=206).collect::<Vec<_>>());
        for received in &all[200..] {
            match received.position() {
                3..=5 => assert!(received.json().get("sequence").is_none(), "it is from before the webhook"),
                206 => assert_eq!(received.sequence(), 201),
                position => {
                    let before = first.iter().find(|r| r.position() == position).unwrap();
                    assert_eq!((received.id(), &received.body), (before.id(), &before.body));
                }
            }
        }
    })
    .await;
}

async fn a_replay_waits_for_its_webhook_and_for_room(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 16).await;
    fixture.append(700).await;
    fixture.run("UPDATE tandem_webhook SET position = 700, sequence = 700, status = 'PAUSED'").await;
    let operations = operations(fixture);
    let started = operations.replay(&fixture.owner, replay(&webhook, 0, Scope::All), None).await.unwrap();
    let second = operations.replay(&fixture.owner, replay(&webhook, 0, Scope::All), None).await;
    assert!(matches!(second, Err(Error::Refused(_))), "one at a time");
    let replayer = replayer(fixture, &operations);
    let stop = CancellationToken::new();
    replayer.pass(&stop).await.unwrap();
    assert!(fixture.deliveries().await.is_empty(), "it is paused");
    fixture.run("UPDATE tandem_webhook SET status = 'ENABLED'").await;
    for _ in 0..20 {
        replayer.pass(&stop).await.unwrap();
    }
    assert_eq!(fixture.deliveries().await.len(), 256, "nothing is sent, so the line is full");
    let _dispatching = fixture.dispatch("0s,30d");
    beside(replayer, async {
        receiver.wait_for(700).await;
        assert_eq!(done(&operations, &webhook).await.id, started.replay.unwrap().id);
    })
    .await;
    assert_eq!(receiver.received().len(), 700, "once each");
}

async fn two_nodes_take_each_step_once(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "even", 4).await;
    fixture.append(300).await;
    fixture.run("UPDATE tandem_webhook SET position = 300, sequence = 150").await;
    let operations = operations(fixture);
    operations.replay(&fixture.owner, replay(&webhook, 0, Scope::All), None).await.unwrap();
    let (one, two) = (replayer(fixture, &operations), replayer(fixture, &operations));
    let jobs = one.jobs().await.unwrap();
    for _ in 0..3 {
        // Both know the replay as it was before either took a step.
        let (first, second) = tokio::join!(one.step(&jobs[0], &webhook), two.step(&jobs[0], &webhook));
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(fixture.deliveries().await.len(), 32);
    let stop = CancellationToken::new();
    for _ in 0..10 {
        let (first, second) = tokio::join!(one.pass(&stop), two.pass(&stop));
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(done(&operations, &webhook).await.queued, 150);
    assert_eq!(fixture.deliveries().await.len(), 150);
}

async fn a_cancelled_replay_puts_nothing_more_in_line(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 4).await;
    fixture.append(100).await;
    fixture.run("UPDATE tandem_webhook SET position = 100, sequence = 100").await;
    let operations = operations(fixture);
    let started = operations.replay(&fixture.owner, replay(&webhook, 0, Scope::All), None).await.unwrap();
    let id = started.replay.unwrap().id;
    let replayer = replayer(fixture, &operations);
    let jobs = replayer.jobs().await.unwrap();
    replayer.step(&jobs[0], &webhook).await.unwrap();
    let in_line = fixture.deliveries().await.len();
    let cancel = async |key| operations.cancel_replay(&fixture.owner, id, key).await;
    let cancelled = cancel(key(fixture, "k")).await.unwrap();
    assert_eq!((cancelled.status, cancelled.queued), (Status::Cancelled, in_line as i64));
    assert!(cancelled.reason.is_some());
    assert_eq!(cancel(key(fixture, "k")).await.unwrap(), cancelled, "the same key gets the same answer");
    assert!(matches!(cancel(None).await, Err(Error::Refused(v)) if v[0].code.name() == "INVALID"));
    // A node that has not heard of it takes no step, and a restart begins none.
    replayer.step(&jobs[0], &webhook).await.unwrap();
    assert!(replayer.jobs().await.unwrap().is_empty());
    assert_eq!(fixture.deliveries().await.len(), in_line);
    let _dispatching = fixture.dispatch("0s");
    receiver.wait_for(in_line).await;
    // Another one may run now.
    with_replayer(fixture, &operations, async {
        operations.replay(&fixture.owner, replay(&webhook, 90, Scope::All), None).await.unwrap();
        receiver.wait_for(in_line + 10).await;
        assert_eq!(done(&operations, &webhook).await.queued, 10);
    })
    .await;
    assert_eq!(receiver.received().len(), in_line + 10);
}

async fn a_dry_run_counts_and_sends_nothing(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "even", 1).await;
    fixture.append(600).await;
    fixture.run("UPDATE tandem_webhook SET position = 590, sequence = 295").await;
    let operations = operations(fixture);
    let count = async |scope, start| {
        let request = ReplayRequest { webhook: webhook.id, start, scope, is_dry_run: true };
        let started = operations.replay(&fixture.owner, request, None).await.unwrap();
        assert!(started.replay.is_none() && started.counted_to.is_none());
        started.count
    };
    let after = |position| Start::After(Position::new(position).unwrap());
    assert_eq!(count(Scope::All, after(10)).await, Some(290));
    assert_eq!(count(Scope::All, after(590)).await, Some(0));
    assert_eq!(count(Scope::All, Start::Since(0)).await, Some(295));
    assert_eq!(count(Scope::All, Start::Since(crate::catalog::datum::now_micros())).await, Some(0));
    assert_eq!(count(Scope::Failed, after(0)).await, Some(0));
    assert!(operations.replays(webhook.id).await.unwrap().is_empty() && receiver.received().is_empty());
}

async fn others_can_do_nothing(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let dispatching = fixture.dispatch("0s,30d");
    fixture.append(1).await;
    until(fixture, "it waits", &[(1, "PENDING", 1)]).await;
    dispatching.stop().await;
    let delivery = only_delivery(fixture, &webhook).await;
    fixture.run("UPDATE tandem_webhook SET status = 'PAUSED'").await;
    let operations = operations(fixture);
    let started = operations.replay(&fixture.owner, replay(&webhook, 0, Scope::All), None).await.unwrap();
    let running = started.replay.unwrap().id;
    let is_refused =
        |result: Result<(), Error>| matches!(result, Err(Error::Refused(v)) if v[0].code.name() == "NOT_FOUND");
    for other in [principal("bob", false), Principal::default()] {
        assert!(is_refused(operations.ping(&other, webhook.id, None).await.map(drop)));
        assert!(is_refused(operations.retry(&other, delivery.id, None).await.map(drop)));
        assert!(is_refused(operations.replay(&other, replay(&webhook, 0, Scope::All), None).await.map(drop)));
        assert!(is_refused(operations.cancel_replay(&other, running, None).await.map(drop)));
    }
    assert!(is_refused(operations.cancel_replay(&fixture.owner, ReplayId::new(), None).await.map(drop)));
    operations.cancel_replay(&principal("root", true), running, None).await.unwrap();
    assert!(is_refused(operations.retry(&fixture.owner, DeliveryId::new(), None).await.map(drop)));
    operations.retry(&principal("root", true), delivery.id, None).await.unwrap();
}
