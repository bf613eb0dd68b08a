//! A page of deliveries is read from an index in its order, however many there are and whatever is asked of them.

use super::*;
use crate::webhook::testing::{Fixture, Receiver, on_both_databases};

on_both_databases!(pages_are_read_from_an_index,);

/// Deliveries of two webhooks: a tenth has failed, and one event in a hundred is rare.
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

/// How the database runs a statement, a step on each line.
async fn explain(fixture: &Fixture, sql: Sql) -> String {
    let dialect = fixture.database.dialect();
    let (text, values) = sql.into_parts();
    let (mark, column, explain) = match dialect {
        Dialect::Sqlite => ("?", 3, "EXPLAIN QUERY PLAN "),
        Dialect::Postgres => ("$", 0, "EXPLAIN "),
    };
    let mut sql = Sql::text(dialect, explain);
    let mut parts = text.split(mark);
    sql.push(parts.next().unwrap());
    for (part, value) in parts.zip(values) {
        sql.bind(value).push(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    let records = fixture.database.query(sql).await.unwrap();
    records.iter().map(|record| record.need_text(column).unwrap() + "\n").collect()
}

async fn pages_are_read_from_an_index(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let webhook = fixture.create(&receiver, "all", 1).await;
    fixture.create(&receiver, "all", 1).await;
    fill(fixture).await;
    let all = DeliveryFilter::default();
    let rare = DeliveryFilter { event: Some("product.deleted".to_owned()), ..all.clone() };
    let filters = [
        (all.clone(), "tandem_delivery__webhook_id__id_idx"),
        (rare.clone(), "tandem_delivery__webhook_id__type__id_idx"),
        (DeliveryFilter { status: Some(Status::Failed), ..all.clone() }, "tandem_delivery__failed_idx"),
        (DeliveryFilter { since: Some(0), until: Some(1_000_000), ..all }, "tandem_delivery__webhook_id__id_idx"),
    ];
    for (filter, index) in filters {
        for before in [None, Some(DeliveryId(Uuid::from_u128(700)))] {
            let sql = fixture.registry.select_page(&fixture.owner, webhook.id, &filter, before, 50);
            let plan = explain(fixture, sql).await;
            assert!(plan.contains(index), "{filter:?} {before:?}\n{plan}");
            let is_sorted = plan.contains("TEMP B-TREE") || plan.contains("Sort");
            let is_scanned = plan.contains("SCAN d") || plan.contains("Seq Scan on tandem_delivery");
            assert!(!is_sorted && !is_scanned, "{filter:?} {before:?}\n{plan}");
        }
    }
    let page = fixture.registry.deliveries(&fixture.owner, webhook.id, &rare, None, 3).await.unwrap();
    assert!(page.iter().all(|delivery| delivery.event == "product.deleted" && delivery.attempts.len() == 1));
}
