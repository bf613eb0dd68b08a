//! A page of deliveries is read from an index in its order, however many there are and whatever is asked of them; and the
//! attempts of a webhook are found wherever they are kept.

use super::*;
use crate::webhook::testing::{Fixture, Receiver, on_both_databases};

on_both_databases!(pages_are_read_from_an_index, attempts_come_in_the_order_of_their_ordinals,);

/// Deliveries of two webhooks: a tenth has failed, and one event in a hundred is rare. The attempts are where all were kept
/// before the first of a delivery came into its row.
async fn fill(fixture: &Fixture) {
    let (numbers, id, analyze) = match fixture.database.dialect() {
        Dialect::Sqlite => (
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)",
            "unhex(printf('%032x', n))",
            "SELECT 1",
        ),
        Dialect::Postgres => (
            "WITH n(n) AS (SELECT generate_series(1, 10000))",
            "CAST(lpad(to_hex(n), 32, '0') AS uuid)",
            "ANALYZE tandem_delivery, tandem_attempt",
        ),
    };
    let deliveries = format!(
        "INSERT INTO tandem_delivery (id, webhook_id, position, message_id, type, status, attempts, created_at, \
         updated_at) SELECT {id}, w.id, n, {id}, \
         CASE WHEN n % 100 = 0 THEN 'product.deleted' ELSE 'product.updated' END, \
         CASE WHEN n % 10 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, 1, 0, 0 FROM ({numbers} SELECT n FROM n) AS n \
         JOIN (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS k FROM tandem_webhook) AS w ON w.k = n % 2 + 1"
    );
    let attempts = "INSERT INTO tandem_attempt (delivery_id, number, started_at, duration_ms, webhook_id, ordinal) \
                    SELECT id, 1, 0, 0, webhook_id, position FROM tandem_delivery";
    for text in [&deliveries, attempts] {
        assert_eq!(fixture.run(text).await, 10_000);
    }
    fixture.query(analyze).await;
}

async fn pages_are_read_from_an_index(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    fixture.create(&receiver, "all", 1).await;
    fill(fixture).await;
    let all = DeliveryFilter::default();
    let rare = DeliveryFilter { event: Some("product.deleted".to_owned()), ..all.clone() };
    let filters = [
        (all.clone(), "tandem_delivery__webhook_id__id__type_idx"),
        (rare.clone(), "tandem_delivery__webhook_id__id__type_idx"),
        (DeliveryFilter { status: Some(Status::Failed), ..all.clone() }, "tandem_delivery__failed_idx"),
        (DeliveryFilter { since: Some(0), until: Some(1_000_000), ..all }, "tandem_delivery__webhook_id__id__type_idx"),
    ];
    for (filter, index) in filters {
        for before in [None, Some(DeliveryId(Uuid::from_u128(700)))] {
            let sql = fixture.registry.select_page(&fixture.owner, webhook.id, &filter, before, 50);
            let plan = fixture.database.explain(sql).await;
            assert!(plan.contains(index), "{filter:?} {before:?}\n{plan}");
            let is_sorted = plan.contains("TEMP B-TREE") || plan.contains("Sort");
            let is_scanned = plan.contains("SCAN d") || plan.contains("Seq Scan on tandem_delivery");
            assert!(!is_sorted && !is_scanned, "{filter:?} {before:?}\n{plan}");
        }
    }
    let page = fixture.registry.deliveries(&fixture.owner, webhook.id, &rare, None, 3).await.unwrap();
    assert!(page.iter().all(|delivery| delivery.event == "product.deleted" && delivery.attempts.len() == 1));
}

async fn attempts_come_in_the_order_of_their_ordinals(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    fixture.create(&receiver, "all", 1).await;
    let owner = fixture.owner.clone();
    assert_eq!(fixture.registry.attempt_count(&owner, webhook.id).await.unwrap(), Some((0, None)));
    fill(fixture).await;
    // Of every fifth delivery, the second attempt is the one that has a row of its own.
    let to_first = "UPDATE tandem_delivery SET attempts = 2, first_started_at = 0, first_duration_ms = 0, \
                    first_ordinal = position - 1 WHERE position % 5 = 0";
    let to_second = "UPDATE tandem_attempt SET number = 2 WHERE ordinal % 5 = 0";
    for text in [to_first, to_second] {
        assert_eq!(fixture.run(text).await, 2_000);
    }
    let (registry, mut ordinal, mut all) = (&fixture.registry, 0, Vec::new());
    loop {
        let some = registry.attempts_after(webhook.id, ordinal, 700).await.unwrap();
        let Some(last) = some.last() else { break };
        (ordinal, all) = (last.ordinal, [all, some].concat());
    }
    assert!(all.is_sorted_by_key(|attempted| attempted.ordinal));
    assert!(registry.attempt_count(&owner, webhook.id).await.unwrap().unwrap().1.is_some_and(|oldest| oldest <= 2));
    let mut seconds = 0;
    for attempted in all.chunks(500) {
        let ids: Vec<_> = attempted.iter().map(|attempted| attempted.delivery).collect();
        let deliveries = registry.deliveries_by_ids(&owner, &ids).await.unwrap();
        for one in attempted {
            let delivery = deliveries.iter().find(|delivery| delivery.id == one.delivery).unwrap();
            let numbers: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.number).collect();
            assert!(numbers == [1] || numbers == [1, 2]);
            assert!(numbers.contains(&one.number));
            seconds += usize::from(one.number == 2);
        }
    }
    assert_eq!(seconds * 6, all.len(), "each is there once");
}
