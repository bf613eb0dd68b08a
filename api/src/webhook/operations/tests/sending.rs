//! Operations on webhooks that want their messages in an order, in batches, or within a time of their own.

use entity::webhook::Ordering;
use uuid::Uuid;

use super::*;
use crate::webhook::registry::DeliveryFilter;
use crate::webhook::sending::SendingInput;

on_both_databases!(
    a_ping_has_the_deadline_of_its_webhook,
    a_ping_has_all_signatures_of_now,
    what_waits_for_an_earlier_one_is_not_retried,
    what_is_sent_again_holds_nothing,
    a_batch_is_retried_as_a_whole,
    replays_fill_batches,
);

async fn delivery_of(fixture: &Fixture, webhook: &Webhook, position: i64) -> Delivery {
    let filter = DeliveryFilter::default();
    let all = fixture.registry.deliveries(&fixture.owner, webhook.id, &filter, None, 100).await.unwrap();
    all.into_iter().find(|delivery| delivery.position.get() == position).unwrap()
}

fn batches_of(max_events: i64, max_wait_ms: i64) -> SendingInput {
    SendingInput { batch: Some(Some((max_events, max_wait_ms))), ..SendingInput::default() }
}

fn per_node() -> SendingInput {
    SendingInput { ordering: Some(Ordering::PerNode), ..SendingInput::default() }
}

async fn a_ping_has_the_deadline_of_its_webhook(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    // Pings are at no position.
    receiver.hang(&[0]);
    let sending = SendingInput { timeout_ms: Some(Some(100)), ..SendingInput::default() };
    let webhook = fixture.create_sending(&receiver, "all", 1, sending).await;
    let operations = operations(fixture);
    let pinging = operations.ping(&fixture.owner, webhook.id, None);
    // The deadline of the server is a day.
    let pinged = tokio::time::timeout(Duration::from_secs(20), pinging).await.expect("it ends").unwrap();
    assert_eq!(pinged.attempt.error.unwrap().code.name(), "TIMEOUT");
}

async fn a_ping_has_all_signatures_of_now(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    fixture.registry.rotate(&fixture.owner, webhook.id, false, None).await.unwrap();
    operations(fixture).ping(&fixture.owner, webhook.id, None).await.unwrap();
    let received = receiver.wait_for(1).await.remove(0);
    let signatures = received.headers["webhook-signature"].to_str().unwrap();
    let count = |version: &str| signatures.split(' ').filter(|signature| signature.starts_with(version)).count();
    assert_eq!((count("v1,"), count("v1a,")), (2, 2), "{signatures}");
    for webhook in [&webhook, &fixture.webhook(webhook.id).await] {
        let secret = standardwebhooks::Webhook::new(&fixture.signer(webhook).secret.expose()).unwrap();
        secret.verify(&received.body, &received.headers).unwrap();
    }
}

async fn what_waits_for_an_earlier_one_is_not_retried(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500]);
    let webhook = fixture.create_sending(&receiver, "all", 4, per_node()).await;
    let _dispatching = fixture.dispatch("0s,30d");
    fixture.append(3).await;
    until(fixture, "two wait", &[(1, "PENDING", 1), (2, "PENDING", 0), (3, "PENDING", 0)]).await;
    let operations = operations(fixture);
    let second = delivery_of(fixture, &webhook, 2).await;
    let refused = operations.retry(&fixture.owner, second.id, None).await;
    assert!(matches!(refused, Err(Error::Refused(v)) if v[0].message.contains("earlier")));
    let first = delivery_of(fixture, &webhook, 1).await;
    operations.retry(&fixture.owner, first.id, None).await.unwrap();
    until(fixture, "all are accepted", &[(1, "SUCCEEDED", 2), (2, "SUCCEEDED", 1), (3, "SUCCEEDED", 1)]).await;
    let order: Vec<_> = receiver.received().iter().map(Received::position).collect();
    assert_eq!(order, [1, 1, 2, 3]);
}

async fn what_is_sent_again_holds_nothing(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500, 500]);
    let webhook = fixture.create_sending(&receiver, "all", 4, per_node()).await;
    let dispatching = fixture.dispatch("0s,1ms,30d");
    let row = Uuid::now_v7();
    fixture.append_about(&[row]).await;
    until(fixture, "it waits", &[(1, "PENDING", 2)]).await;
    let operations = operations(fixture);
    let delivery = delivery_of(fixture, &webhook, 1).await;
    operations.retry(&fixture.owner, delivery.id, None).await.unwrap();
    until(fixture, "it is accepted", &[(1, "SUCCEEDED", 3)]).await;
    receiver.answer_with(&[500, 500]);
    let replayed = replay(&webhook, 0, Scope::All);
    with_replayer(fixture, &operations, async {
        operations.replay(&fixture.owner, replayed, None).await.unwrap();
        until(fixture, "it is tried again", &[(1, "PENDING", 5)]).await;
    })
    .await;
    fixture.append_about(&[row]).await;
    until(fixture, "the next one of its row goes", &[(1, "PENDING", 5), (2, "SUCCEEDED", 1)]).await;
    eventually("it is counted among those that wait", async || {
        (dispatching.metric("tandem_webhook_retry_queue")? == 1.0).then_some(())
    })
    .await;
}

async fn a_batch_is_retried_as_a_whole(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500]);
    let webhook = fixture.create_sending(&receiver, "all", 1, batches_of(3, 60_000)).await;
    let _dispatching = fixture.dispatch("0s,30d");
    fixture.append(3).await;
    until(fixture, "they wait", &[(1, "PENDING", 1), (2, "PENDING", 1), (3, "PENDING", 1)]).await;
    let operations = operations(fixture);
    let second = delivery_of(fixture, &webhook, 2).await;
    operations.retry(&fixture.owner, second.id, None).await.unwrap();
    until(fixture, "all are accepted", &[(1, "SUCCEEDED", 2), (2, "SUCCEEDED", 2), (3, "SUCCEEDED", 2)]).await;
    let received = receiver.received();
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    // What has ended goes alone, as a batch of one.
    operations.retry(&fixture.owner, second.id, None).await.unwrap();
    until(fixture, "it is accepted again", &[(1, "SUCCEEDED", 2), (2, "SUCCEEDED", 3), (3, "SUCCEEDED", 2)]).await;
    let last = receiver.received().pop().unwrap();
    assert_eq!((&last.json()["type"], last.positions()), (&json!("tandem.batch"), vec![2]));
}

async fn replays_fill_batches(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create_sending(&receiver, "all", 1, batches_of(10, 0)).await;
    fixture.append(25).await;
    fixture.run("UPDATE tandem_webhook SET position = 25, sequence = 25").await;
    let operations = operations(fixture);
    let _dispatching = fixture.dispatch("0s");
    receiver.answer_with(&[500; 3]);
    with_replayer(fixture, &operations, async {
        operations.replay(&fixture.owner, replay(&webhook, 0, Scope::All), None).await.unwrap();
        let failed: Vec<_> = (1..=25).map(|position| (position, "FAILED", 1)).collect();
        until(fixture, "all have failed", &failed).await;
        done(&operations, &webhook).await;
        operations.replay(&fixture.owner, replay(&webhook, 0, Scope::Failed), None).await.unwrap();
        let accepted: Vec<_> = (1..=25).map(|position| (position, "SUCCEEDED", 2)).collect();
        until(fixture, "all are accepted", &accepted).await;
    })
    .await;
    let received = receiver.received();
    let batches: Vec<_> = received.iter().map(|batch| batch.positions()).collect();
    assert_eq!(batches[..3], [(1..=10).collect::<Vec<_>>(), (11..=20).collect(), (21..=25).collect()]);
    let ids: Vec<_> = received.iter().map(Received::id).collect();
    assert_eq!((&ids[..3], batches[..3].to_vec()), (&ids[3..], batches[3..].to_vec()), "the same batches");
}
