//! Deliveries from the log to a real receiver, with crashes and failures in between.

use std::sync::Arc;

use entity::webhook::Status;

use crate::database::Dialect;
use crate::log::Hub;
use crate::webhook::registry::WebhookPatch;
use crate::webhook::testing::{Fixture, Received, Receiver, eventually, on_both_databases};

on_both_databases!(
    events_are_delivered_in_log_order_and_recorded,
    events_of_others_only_move_the_position,
    failures_are_retried_with_the_same_message,
    an_exhausted_schedule_keeps_the_message,
    gone_disables_and_enabling_resumes,
    a_kill_repeats_only_what_was_not_recorded,
    retries_survive_a_kill,
    stopping_finishes_what_is_in_flight,
    a_paused_webhook_keeps_its_events,
    changes_take_effect_while_requests_hang,
    a_slow_webhook_costs_only_itself_and_stays_within_its_limit,
    a_document_that_is_no_longer_valid_disables,
    a_webhook_that_the_log_has_left_behind_is_told,
    a_webhook_that_is_deleted_while_it_sends_leaves_nothing,
    one_node_sends_and_another_takes_over,
);

const QUICK: &str = "0s,10ms,10ms,10ms";
const NEVER_AGAIN: &str = "0s,30d";

fn positions(received: &[Received]) -> Vec<i64> {
    received.iter().map(Received::position).collect()
}

async fn events_are_delivered_in_log_order_and_recorded(fixture: &mut Fixture) {
    fixture.append(3).await;
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    let dispatching = fixture.dispatch(QUICK);
    fixture.append(5).await;
    let received = receiver.wait_for(5).await;
    assert_eq!(positions(&received), [4, 5, 6, 7, 8]);
    assert_eq!(received.iter().map(Received::sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let secret = standardwebhooks::Webhook::new(&fixture.signer(&webhook).secret.expose()).unwrap();
    for request in &received {
        secret.verify(&request.body, &request.headers).unwrap();
        assert_eq!(request.json()["type"], "product.updated");
        assert!(request.id().starts_with("evt_"));
        assert_eq!(request.json()["timestamp"], "2026-01-31T12:00:00.123456Z");
    }
    fixture.wait_for_progress(webhook.id, 8, 5).await;
    let expected: Vec<_> = (4..=8).map(|position| (position, "SUCCEEDED".to_owned(), 1, false)).collect();
    assert_eq!(fixture.deliveries().await, expected);
    assert_eq!(fixture.attempts().await, vec![(1, Some(200), None); 5]);
    assert_eq!(receiver.most_open(), 1);
    dispatching.stop().await;
}

async fn events_of_others_only_move_the_position(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "even", 4).await;
    let _dispatching = fixture.dispatch(QUICK);
    fixture.append(7).await;
    fixture.wait_for_progress(webhook.id, 7, 3).await;
    let mut received = receiver.received();
    received.sort_by_key(Received::position);
    assert_eq!(positions(&received), [2, 4, 6]);
    assert_eq!(received.iter().map(Received::sequence).collect::<Vec<_>>(), [1, 2, 3]);
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 8, 4).await;
}

async fn failures_are_retried_with_the_same_message(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500, 302]);
    let webhook = fixture.create(&receiver, "all", 4).await;
    let _dispatching = fixture.dispatch(QUICK);
    fixture.append(1).await;
    let received = receiver.wait_for(3).await;
    for request in &received {
        assert_eq!((request.id(), &request.body), (received[0].id(), &received[0].body));
    }
    eventually("success", async || {
        (fixture.deliveries().await == [(1, "SUCCEEDED".to_owned(), 3, false)]).then_some(())
    })
    .await;
    let error = |code: &str| Some(code.to_owned());
    let expected = [(1, Some(500), error("STATUS")), (2, Some(302), error("REDIRECT")), (3, Some(200), None)];
    assert_eq!(fixture.attempts().await, expected);
    fixture.append(1).await;
    assert_eq!(receiver.wait_for(4).await[3].sequence(), 2);
    fixture.wait_for_progress(webhook.id, 2, 2).await;
}

async fn an_exhausted_schedule_keeps_the_message(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500, 500, 200]);
    let webhook = fixture.create(&receiver, "all", 4).await;
    let _dispatching = fixture.dispatch("0s,10ms");
    fixture.append(1).await;
    eventually("failure", async || (fixture.deliveries().await == [(1, "FAILED".to_owned(), 2, true)]).then_some(()))
        .await;
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 2, 2).await;
    assert_eq!(positions(&receiver.received()), [1, 1, 2]);
}

async fn gone_disables_and_enabling_resumes(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[410]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let _dispatching = fixture.dispatch(QUICK);
    fixture.append(1).await;
    let disabled = eventually("disabled", async || {
        let webhook = fixture.webhook(webhook.id).await;
        (webhook.status == Status::Disabled).then_some(webhook)
    })
    .await;
    assert!(disabled.status_reason.unwrap().contains("410"));
    fixture.append(2).await;
    let enable = WebhookPatch { status: Some(Status::Enabled), ..WebhookPatch::default() };
    let enabled = fixture.registry.update(&fixture.owner, webhook.id, enable, None).await.unwrap();
    assert_eq!((enabled.status, enabled.status_reason), (Status::Enabled, None));
    fixture.wait_for_progress(webhook.id, 3, 3).await;
    eventually("all succeeded", async || {
        fixture.deliveries().await.iter().all(|(_, status, _, _)| status == "SUCCEEDED").then_some(())
    })
    .await;
    let mut received = positions(&receiver.received());
    received.sort_unstable();
    assert_eq!(received, [1, 1, 2, 3]);
}

async fn a_kill_repeats_only_what_was_not_recorded(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.hang(&[2, 4]);
    let webhook = fixture.create(&receiver, "all", 8).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(6).await;
    let first = receiver.wait_for(6).await;
    eventually("the others recorded", async || (fixture.deliveries().await.len() == 4).then_some(())).await;
    assert_eq!(fixture.webhook(webhook.id).await.position.get(), 1);
    fixture.kill(dispatching).await;
    assert_eq!(receiver.received().len(), 6);

    receiver.hang(&[]);
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 7, 7).await;
    let all = receiver.received();
    let mut again = positions(&all[6..]);
    again.sort_unstable();
    assert_eq!(again, [2, 4, 7]);
    for repeated in &all[6..] {
        assert_eq!(repeated.sequence(), repeated.position());
        if let Some(before) = first.iter().find(|r| r.position() == repeated.position()) {
            assert_eq!((repeated.id(), &repeated.body), (before.id(), &before.body));
        }
    }
}

async fn retries_survive_a_kill(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500]);
    let webhook = fixture.create(&receiver, "all", 8).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(1).await;
    eventually("recorded", async || (fixture.deliveries().await == [(1, "PENDING".to_owned(), 1, true)]).then_some(()))
        .await;
    fixture.kill(dispatching).await;
    assert_eq!(fixture.run("UPDATE tandem_delivery SET next_attempt_at = 1").await, 1);
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    eventually("success", async || {
        (fixture.deliveries().await == [(1, "SUCCEEDED".to_owned(), 2, false)]).then_some(())
    })
    .await;
    assert_eq!(fixture.webhook(webhook.id).await.sequence, 1);
}

async fn stopping_finishes_what_is_in_flight(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.hang(&[1]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(1).await;
    receiver.wait_for(1).await;
    let ((), ()) = tokio::join!(dispatching.stop(), async { receiver.hang(&[]) });
    // The answer may come before the worker hears that it must stop; then it sends the next one, and finishes that too.
    let sent = receiver.received().len() as i64;
    let expected: Vec<_> = (1..=sent).map(|position| (position, "SUCCEEDED".to_owned(), 1, false)).collect();
    assert_eq!(fixture.deliveries().await, expected);
    assert_eq!(fixture.webhook(webhook.id).await.position.get(), sent);
    assert_eq!(fixture.query("SELECT 1 FROM tandem_webhook WHERE lease_holder IS NULL").await.len(), 1);
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 2, 2).await;
    assert_eq!(positions(&receiver.received()), [1, 2]);
}

async fn a_paused_webhook_keeps_its_events(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 4).await;
    let _dispatching = fixture.dispatch(QUICK);
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 1, 1).await;
    let set = async |status| {
        let patch = WebhookPatch { status: Some(status), ..WebhookPatch::default() };
        fixture.registry.update(&fixture.owner, webhook.id, patch, None).await.unwrap()
    };
    set(Status::Paused).await;
    fixture.append(2).await;
    eventually("the worker has gone", async || {
        fixture.query("SELECT 1 FROM tandem_webhook WHERE lease_holder IS NULL").await.pop()
    })
    .await;
    assert_eq!(receiver.received().len(), 1);
    set(Status::Enabled).await;
    fixture.wait_for_progress(webhook.id, 3, 3).await;
    assert_eq!(receiver.received().len(), 3);
}

async fn changes_take_effect_while_requests_hang(fixture: &mut Fixture) {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    old.hang(&[1]);
    let webhook = fixture.create(&old, "all", 1).await;
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(2).await;
    old.wait_for(1).await;
    let patch = WebhookPatch { url: Some(new.url()), max_in_flight: Some(2), ..WebhookPatch::default() };
    fixture.registry.update(&fixture.owner, webhook.id, patch, None).await.unwrap();
    assert_eq!(positions(&new.wait_for(1).await), [2]);
    old.hang(&[]);
    fixture.wait_for_progress(webhook.id, 2, 2).await;
    assert_eq!(positions(&old.received()), [1]);
}

async fn a_slow_webhook_costs_only_itself_and_stays_within_its_limit(fixture: &mut Fixture) {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let all: Vec<i64> = (1..=20).collect();
    slow.hang(&all);
    let held = fixture.create(&slow, "all", 3).await;
    let free = fixture.create(&quick, "all", 3).await;
    let _dispatching = fixture.dispatch(NEVER_AGAIN);
    fixture.append(20).await;
    fixture.wait_for_progress(free.id, 20, 20).await;
    assert_eq!(slow.wait_for(3).await.len(), 3);
    slow.hang(&[]);
    fixture.wait_for_progress(held.id, 20, 20).await;
    assert_eq!(slow.most_open(), 3);
}

async fn a_document_that_is_no_longer_valid_disables(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    fixture.run("UPDATE tandem_webhook SET query = 'none'").await;
    let _dispatching = fixture.dispatch(QUICK);
    let disabled = eventually("disabled", async || {
        let webhook = fixture.webhook(webhook.id).await;
        (webhook.status == Status::Disabled).then_some(webhook)
    })
    .await;
    assert_eq!(disabled.status_reason.unwrap(), "the document is no longer valid: Syntax error");
}

async fn a_webhook_that_the_log_has_left_behind_is_told(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    fixture.append(3).await;
    fixture.run("DELETE FROM tandem_event WHERE position < 3").await;
    // The ring of the first hub still has what the table has lost.
    fixture.hub = Hub::open(fixture.database.clone(), Arc::clone(&fixture.catalog)).await.unwrap();
    let _dispatching = fixture.dispatch(QUICK);
    let disabled = eventually("disabled", async || {
        let webhook = fixture.webhook(webhook.id).await;
        (webhook.status == Status::Disabled).then_some(webhook)
    })
    .await;
    assert!(disabled.status_reason.unwrap().contains("no longer in the log"));
    assert_eq!(disabled.position.get(), 3);
    assert!(receiver.received().is_empty());
}

async fn a_webhook_that_is_deleted_while_it_sends_leaves_nothing(fixture: &mut Fixture) {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    receiver.hang(&[1]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let witness = fixture.create(&other, "all", 1).await;
    let dispatching = fixture.dispatch(QUICK);
    fixture.append(2).await;
    receiver.wait_for(1).await;
    fixture.registry.delete(&fixture.owner, webhook.id, None).await.unwrap();
    fixture.wait_for_progress(witness.id, 2, 2).await;
    receiver.hang(&[]);
    dispatching.stop().await;
    assert_eq!(fixture.deliveries().await.len(), 2);
    assert_eq!(fixture.attempts().await.len(), 2);
}

async fn one_node_sends_and_another_takes_over(fixture: &mut Fixture) {
    if fixture.database.dialect() == Dialect::Sqlite {
        // An SQLite file has one process.
        return;
    }
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 4).await;
    let first = fixture.dispatch(NEVER_AGAIN);
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 1, 1).await;
    let second = fixture.dispatch(NEVER_AGAIN);
    fixture.append(20).await;
    fixture.wait_for_progress(webhook.id, 21, 21).await;
    assert_eq!(receiver.received().len(), 21);

    fixture.kill(first).await;
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 22, 22).await;
    assert_eq!(receiver.received().len(), 22);

    second.stop().await;
    let third = fixture.dispatch(NEVER_AGAIN);
    fixture.append(1).await;
    fixture.wait_for_progress(webhook.id, 23, 23).await;
    third.stop().await;
}
