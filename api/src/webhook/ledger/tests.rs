//! Leases and their fences, on the real tables.

use std::collections::HashSet;

use bytes::Bytes;
use entity::{DeliveryId, EventId, Position};

use super::*;
use crate::webhook::failure::{AttemptError, ErrorCode};
use crate::webhook::testing::{Fixture, Receiver, on_both_databases};

on_both_databases!(
    a_lost_lease_writes_nothing,
    commits_can_be_repeated,
    a_pause_of_the_owner_outlives_a_disable,
    every_retry_is_due_now_or_later,
    outcomes_are_written_by_ids,
    batches_of_several_webhooks_commit_together,
    the_first_attempt_stands_in_the_row,
    a_change_of_the_order_arranges_what_waits,
);

fn outcome(position: i64, verdict: Verdict) -> Outcome {
    let is_success = verdict == Verdict::Succeeded;
    Outcome {
        job: Job {
            delivery: DeliveryId::new(),
            is_recorded: false,
            position: Position::new(position).unwrap(),
            message: EventId::new(),
            event: "product.updated".into(),
            sequence: Some(position),
            number: 1,
            before: 0,
            body: Bytes::from_static(b"{}"),
            node: None,
            batch: None,
        },
        attempt: Some(Arc::new(Attempt {
            started_at: 1,
            duration_ms: 2,
            status_code: is_success.then_some(200),
            address: None,
            error: (!is_success).then(|| AttemptError::new(ErrorCode::Connect, "refused")),
            response_body: None,
            retry_after: None,
        })),
        verdict,
    }
}

fn batch(outcomes: Vec<Outcome>, position: i64) -> Batch {
    let progress = Progress { position: Position::new(position).unwrap(), sequence: position };
    Batch { outcomes, released: Vec::new(), released_at: 0, progress, health: Health::default(), disable: None }
}

async fn claim(fixture: &Fixture) -> (Ledger, Claimed) {
    let ledger = Ledger::new(fixture.database.clone(), fixture.writer.clone());
    let [listed] = ledger.enabled().await.unwrap()[..] else { panic!("there is one webhook") };
    assert!(listed.is_free);
    let claimed = ledger.claim(listed.id).await.unwrap().expect("it is free");
    (ledger, claimed)
}

async fn due(ledger: &Ledger, id: WebhookId, now: i64, limit: usize) -> Vec<Job> {
    let due = ledger.due(id, now, limit, false, &HashSet::new()).await.unwrap();
    assert_eq!(due.is_all, due.requests.len() < limit);
    due.requests.into_iter().flatten().collect()
}

async fn a_lost_lease_writes_nothing(fixture: &mut Fixture) {
    fixture.create(&Receiver::start().await, "all", 1).await;
    let (first, old) = claim(fixture).await;
    assert!(first.enabled().await.unwrap()[0].is_mine);
    if fixture.database.dialect() == Dialect::Postgres {
        let other = Ledger::new(fixture.database.clone(), fixture.writer.clone());
        assert!(!other.enabled().await.unwrap()[0].is_free);
        assert!(other.claim(old.lease.webhook).await.unwrap().is_none());
        fixture.run("UPDATE tandem_webhook SET lease_until = 0").await;
    }
    let (second, new) = claim(fixture).await;
    assert!(!first.enabled().await.unwrap()[0].is_mine);

    let retry = Verdict::Pending { next_attempt_at: 1 };
    let mut recorded = outcome(1, retry);
    assert!(second.commit(&new.lease, &batch(vec![outcome(1, retry)], 1)).await.unwrap());
    recorded.job = due(&second, new.lease.webhook, 1, 10).await.remove(0);
    let stale = Batch {
        disable: Some("stale".to_owned()),
        ..batch(vec![outcome(2, Verdict::Succeeded), Outcome { verdict: Verdict::Failed, ..recorded }], 2)
    };
    assert!(!first.commit(&old.lease, &stale).await.unwrap());
    first.renew().await.unwrap();
    first.release(&old.lease).await.unwrap();
    first.expire(&old.lease, "stale").await.unwrap();
    let webhook = fixture.webhook(old.lease.webhook).await;
    assert_eq!((webhook.position.get(), webhook.status_reason), (1, None));
    assert_eq!(fixture.deliveries().await, [(1, "PENDING".to_owned(), 1, true)]);
    assert_eq!(fixture.attempts().await.len(), 1);
    assert!(second.enabled().await.unwrap()[0].is_mine);
}

async fn commits_can_be_repeated(fixture: &mut Fixture) {
    let webhook = fixture.create(&Receiver::start().await, "all", 1).await;
    let (ledger, claimed) = claim(fixture).await;
    let count = 75;
    let batch = batch((1..=count).map(|position| outcome(position, Verdict::Failed)).collect(), count);
    for _ in 0..2 {
        assert!(ledger.commit(&claimed.lease, &batch).await.unwrap());
        let expected: Vec<_> = (1..=count).map(|position| (position, "FAILED".to_owned(), 1, true)).collect();
        assert_eq!(fixture.deliveries().await, expected);
    }
    let recorded = ledger.recorded_after(webhook.id, Position::new(count - 1).unwrap()).await.unwrap();
    assert_eq!(recorded, [Recorded { position: Position::new(count).unwrap(), sequence: Some(count) }]);
    assert!(due(&ledger, webhook.id, now_micros(), 10).await.is_empty());
    assert_eq!(ledger.next_due(webhook.id, 0).await.unwrap(), None);
}

async fn a_pause_of_the_owner_outlives_a_disable(fixture: &mut Fixture) {
    let webhook = fixture.create(&Receiver::start().await, "all", 1).await;
    let (ledger, claimed) = claim(fixture).await;
    fixture.run("UPDATE tandem_webhook SET status = 'PAUSED'").await;
    let disabling = Batch { disable: Some("gone".to_owned()), ..batch(Vec::new(), 0) };
    assert!(ledger.commit(&claimed.lease, &disabling).await.unwrap());
    ledger.disable(webhook.id, webhook.updated_at, "gone").await.unwrap();
    let webhook = fixture.webhook(webhook.id).await;
    assert_eq!((webhook.status, webhook.status_reason), (entity::webhook::Status::Paused, None));
    assert!(ledger.enabled().await.unwrap().is_empty());
    assert!(ledger.claim(webhook.id).await.unwrap().is_none());
}

async fn every_retry_is_due_now_or_later(fixture: &mut Fixture) {
    let webhook = fixture.create(&Receiver::start().await, "all", 1).await;
    let (ledger, claimed) = claim(fixture).await;
    let retry = |position, next_attempt_at| outcome(position, Verdict::Pending { next_attempt_at });
    let outcomes = vec![retry(1, 30), retry(2, 10), retry(3, 20), outcome(4, Verdict::Failed), retry(5, 20)];
    assert!(ledger.commit(&claimed.lease, &batch(outcomes, 5)).await.unwrap());
    for (now, limit, expected, next) in [
        (9, 9, vec![], Some(10)),
        (10, 9, vec![2], Some(20)),
        (20, 9, vec![2, 3, 5], Some(30)),
        (20, 2, vec![2, 3], Some(30)),
        (30, 9, vec![2, 3, 5, 1], None),
    ] {
        let jobs = due(&ledger, webhook.id, now, limit).await;
        assert_eq!(jobs.iter().map(|job| job.position.get()).collect::<Vec<_>>(), expected, "{now}");
        assert!(jobs.iter().all(|job| job.is_recorded && job.number == 2 && job.body == "{}"));
        assert_eq!(ledger.next_due(webhook.id, now).await.unwrap(), next, "{now}");
    }
}

async fn batches_of_several_webhooks_commit_together(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let mut claims = Vec::new();
    let ledger = Ledger::new(fixture.database.clone(), fixture.writer.clone());
    for _ in 0..11 {
        let webhook = fixture.create(&receiver, "all", 1).await;
        claims.push(ledger.claim(webhook.id).await.unwrap().expect("it is free"));
    }
    let lost = claims[3].lease;
    ledger.claim(lost.webhook).await.unwrap().expect("a process may claim what it has");
    let done = |position| batch(vec![outcome(position, Verdict::Succeeded), outcome(7, Verdict::Failed)], 7);
    let batches: Vec<_> = claims.iter().map(|claimed| (claimed.lease, done(5))).collect();
    let parts: Vec<_> = batches.iter().map(|(lease, batch)| (lease, batch)).collect();
    for _ in 0..2 {
        let held = ledger.commit_all(&parts).await.unwrap();
        assert_eq!(held, (0..11).map(|i| i != 3).collect::<Vec<_>>());
        assert_eq!(fixture.deliveries().await.len(), 20);
        assert_eq!(fixture.attempts().await.len(), 20);
        for claimed in &claims {
            let webhook = fixture.webhook(claimed.lease.webhook).await;
            let expected = if claimed.lease == lost { (0, 0) } else { (7, 7) };
            assert_eq!((webhook.position.get(), webhook.sequence), expected);
        }
    }
}

/// Also of a row that was there before it, as one that waited for another, or that a replay has made.
async fn the_first_attempt_stands_in_the_row(fixture: &mut Fixture) {
    fixture.create(&Receiver::start().await, "all", 1).await;
    let (ledger, claimed) = claim(fixture).await;
    let attempted = |job: &Job, number, verdict| {
        let job = Job { is_recorded: true, number, ..job.clone() };
        Outcome { job, ..outcome(1, verdict) }
    };
    let held = Outcome { attempt: None, ..outcome(1, Verdict::Held) };
    let job = held.job.clone();
    assert!(ledger.commit(&claimed.lease, &batch(vec![held], 1)).await.unwrap());
    assert_eq!(fixture.attempts().await, []);
    let failure = (1, None, Some("CONNECT".to_owned()));
    let first = batch(vec![attempted(&job, 1, Verdict::Pending { next_attempt_at: 5 })], 1);
    let second = batch(vec![attempted(&job, 2, Verdict::Succeeded)], 1);
    let rows = "SELECT number FROM tandem_attempt";
    for (commit, attempts, rows_of_their_own) in
        [(&first, vec![failure.clone()], 0), (&second, vec![failure, (2, Some(200), None)], 1)]
    {
        for _ in 0..2 {
            assert!(ledger.commit(&claimed.lease, commit).await.unwrap());
            assert_eq!(fixture.attempts().await, attempts);
            assert_eq!(fixture.query(rows).await.len(), rows_of_their_own);
        }
    }
    assert_eq!(fixture.deliveries().await, [(1, "SUCCEEDED".to_owned(), 2, false)]);
}

/// Which positions are due, as rows that wait are arranged for an ordering.
async fn a_change_of_the_order_arranges_what_waits(fixture: &mut Fixture) {
    use entity::webhook::Ordering;
    let webhook = fixture.create(&Receiver::start().await, "all", 1).await;
    let (ledger, claimed) = claim(fixture).await;
    let (one, other, sent_together) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let row = |position, verdict, node: Option<Uuid>, batch: Option<Uuid>| {
        let outcome = outcome(position, verdict);
        Outcome { job: Job { node, batch, ..outcome.job }, ..outcome }
    };
    let later = Verdict::Pending { next_attempt_at: 50 };
    let rows = vec![
        row(1, later, None, None),
        row(2, later, Some(one), Some(sent_together)),
        row(3, later, Some(one), Some(sent_together)),
        row(4, Verdict::Held, Some(one), None),
        row(5, later, Some(other), None),
        row(6, Verdict::Held, Some(other), None),
        row(7, Verdict::Held, Some(other), None),
    ];
    assert!(ledger.commit(&claimed.lease, &batch(rows, 7)).await.unwrap());
    let mut held = ledger.held(webhook.id, 10).await.unwrap();
    held.sort_unstable_by_key(|(_, rows)| (*rows, Uuid::nil()));
    assert_eq!(held.iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [3, 3]);
    for (ordering, is_batched, expected) in [
        (Ordering::PerNode, true, vec![1, 2, 3, 5]),
        (Ordering::Strict, true, vec![1, 2, 3]),
        (Ordering::Strict, false, vec![1, 2]),
        (Ordering::PerNode, false, vec![1, 2, 5]),
        (Ordering::PerNode, true, vec![1, 2, 3, 5]),
        (Ordering::None, true, vec![1, 2, 3, 4, 5, 6, 7]),
        (Ordering::Strict, true, vec![1, 2, 3]),
    ] {
        ledger.arrange(&claimed.lease, ordering, is_batched, 60).await.unwrap();
        let mut positions: Vec<_> = due(&ledger, webhook.id, 60, 10).await.iter().map(|j| j.position.get()).collect();
        positions.sort_unstable();
        assert_eq!(positions, expected, "{ordering:?}");
    }
    // What was sent together comes together, and counts once.
    let due = ledger.due(webhook.id, 60, 10, true, &HashSet::new()).await.unwrap();
    let mut together: Vec<Vec<i64>> =
        due.requests.iter().map(|jobs| jobs.iter().map(|job| job.position.get()).collect()).collect();
    together.sort_unstable();
    assert_eq!((together, due.is_all), (vec![vec![1], vec![2, 3]], true));
}

/// However many webhooks and deliveries there are, none of the statements of a commit goes through all of them. PostgreSQL
/// knows how large its tables are, and here they are small, so of that only the statements are tried.
async fn outcomes_are_written_by_ids(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    fixture.create(&receiver, "all", 1).await;
    let (_, claimed) = claim(fixture).await;
    let mut outcomes: Vec<_> = (1..=20).map(|position| outcome(position, Verdict::Succeeded)).collect();
    outcomes.iter_mut().skip(10).for_each(|outcome| outcome.job.is_recorded = true);
    outcomes.iter_mut().skip(15).for_each(|outcome| outcome.job.number = 2);
    let batch = batch(outcomes, 20);
    let dialect = fixture.database.dialect();
    let (statements, _) = commit::statements(dialect, &[(&claimed.lease, &batch)], 0);
    for kind in
        ["UPDATE tandem_webhook", "INSERT INTO tandem_delivery", "UPDATE tandem_delivery", "INSERT INTO tandem_attempt"]
    {
        assert!(statements.iter().any(|sql| sql.as_str().starts_with(kind)), "{kind}");
    }
    for sql in statements {
        let text = sql.as_str().to_owned();
        let plan = fixture.database.explain(sql).await;
        for step in ["SCAN w", "SCAN d", "AUTOMATIC"] {
            assert!(dialect == Dialect::Postgres || !plan.contains(step), "{text}\n{plan}");
        }
    }
}
