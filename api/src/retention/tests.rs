//! What is removed, and what stays.

use entity::DeliveryId;
use uuid::Uuid;

use super::*;
use crate::catalog::Datum;
use crate::database::Dialect;
use crate::store::writer::{Command, Create, Mutation};
use crate::testing::{TestApp, admin, on_both};

const THINGS: &str = "type Thing @resource { name: String }";
const DAY: i64 = 24 * 3600 * 1_000_000;

async fn add_things(app: &TestApp, count: usize) {
    let catalog = crate::catalog::parse("resources.graphql", THINGS).unwrap();
    let resource = catalog.find("Thing").unwrap();
    let name = catalog.resource(resource).find("name").unwrap();
    for _ in 0..count {
        let create = Create {
            resource,
            values: vec![(name, Datum::Text("x".to_owned()))],
            children: Vec::new(),
            path: Vec::new(),
            violations: Vec::new(),
        };
        let command = Command::Create(create);
        let mutation = Mutation { principal: admin(), command, violations: Vec::new(), key: None };
        app.parts.writer.mutate(mutation).await.unwrap();
    }
}

async fn run(app: &TestApp, text: &str) -> u64 {
    let sql = Sql::text(app.parts.database.dialect(), text);
    app.parts.writer.statements(vec![sql]).await.unwrap()[0]
}

async fn ints(app: &TestApp, text: &str) -> Vec<i64> {
    let sql = Sql::text(app.parts.database.dialect(), text);
    app.parts.database.query(sql).await.unwrap().iter().map(|record| record.need_int(0).unwrap()).collect()
}

/// A job beside the one of the server, after that one has had its turn.
async fn retention(app: &TestApp, settings: Settings) -> Retention {
    while app.parts.database.dialect() == Dialect::Postgres
        && ints(app, "SELECT until FROM tandem_turn WHERE name = 'retention' AND holder IS NULL").await.is_empty()
    {
        tokio::task::yield_now().await;
    }
    let (database, writer) = (app.parts.database.clone(), app.parts.writer.clone());
    Retention::new(database, writer, settings, CancellationToken::new())
}

fn days(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * 24 * 3600))
}

async fn add_webhook(app: &TestApp) {
    let query = "mutation { createWebhook(input: {url: \"http://127.0.0.1:9/\", events: [\"thing.deleted\"]}) \
                 { userErrors { code } } }";
    let response = app.run(&admin(), query, serde_json::json!({})).await;
    assert_eq!(response["data"]["createWebhook"]["userErrors"], serde_json::json!([]), "{response}");
}

async fn add_delivery(app: &TestApp, at: i64, position: i64, status: &str, updated_at: i64) {
    let mut sql = Sql::text(
        app.parts.database.dialect(),
        "INSERT INTO tandem_delivery (id, webhook_id, position, message_id, type, status, attempts, created_at, updated_at) \
         SELECT ",
    );
    let id = Uuid::from_u128(first_id(at).as_u128() | u128::try_from(position).unwrap());
    sql.bind(id).push(", id, ").bind(position).push(", ").bind(DeliveryId::new().get()).push(", 'thing.created', ");
    sql.bind(status.to_owned()).push(", ").bind(1_i64).push(", ").bind(at).push(", ").bind(updated_at);
    sql.push(" FROM tandem_webhook");
    let mut attempt = Sql::text(
        app.parts.database.dialect(),
        "INSERT INTO tandem_attempt (delivery_id, number, started_at, duration_ms) VALUES (",
    );
    attempt.bind(id).push(", 1, 0, 1)");
    app.parts.writer.statements(vec![sql, attempt]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_deliveries_go_with_their_attempts() {
    on_both(THINGS, async |app| {
        add_webhook(app).await;
        let now = now_micros();
        let old = now - 15 * DAY;
        for position in 1..=250 {
            add_delivery(app, old, position, "SUCCEEDED", old).await;
        }
        add_delivery(app, old, 301, "PENDING", old).await;
        add_delivery(app, old, 302, "FAILED", now - 13 * DAY).await;
        add_delivery(app, now - 13 * DAY, 303, "SUCCEEDED", now - 13 * DAY).await;
        let job = retention(app, Settings { delivery_age: days(14), ..Settings::default() }).await;
        assert_eq!(job.once(now).await.unwrap(), Removed { deliveries: 250, events: 0 });
        assert_eq!(ints(app, "SELECT position FROM tandem_delivery ORDER BY position").await, [301, 302, 303]);
        assert_eq!(ints(app, "SELECT started_at FROM tandem_attempt").await.len(), 3);
        assert_eq!(job.once(now).await.unwrap(), Removed::default());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_goes_by_age_and_by_count_but_for_a_day() {
    on_both(THINGS, async |app| {
        add_things(app, 12).await;
        let now = now_micros();
        let job = retention(app, Settings { log_age: days(30), log_events: Some(3), ..Settings::default() }).await;
        assert_eq!(job.once(now).await.unwrap().events, 0, "all are of the last day");
        run(app, &format!("UPDATE tandem_event SET at = at - {} WHERE position <= 4", 31 * DAY)).await;
        run(app, &format!("UPDATE tandem_event SET at = at - {} WHERE position BETWEEN 5 AND 8", 2 * DAY)).await;
        run(app, "INSERT INTO tandem_departure (target_id, position) SELECT id, position FROM tandem_event").await;
        let by_age = retention(app, Settings { log_age: days(30), ..Settings::default() }).await;
        assert_eq!(by_age.once(now).await.unwrap().events, 4);
        assert_eq!(job.once(now).await.unwrap().events, 4, "three are to be kept, but four are of the last day");
        for table in ["tandem_event", "tandem_departure"] {
            let left = ints(app, &format!("SELECT position FROM {table} ORDER BY position")).await;
            assert_eq!(left, [9, 10, 11, 12], "{table}");
        }
        // However old it is, the newest stays: followers see by it that they are behind.
        let all = by_age.once(now + 100 * DAY).await.unwrap();
        assert_eq!((all.events, ints(app, "SELECT position FROM tandem_event").await), (3, vec![12]));
        let old = app.parts.hub.cursor(Position::new(5).unwrap());
        let variables = serde_json::json!({"after": old});
        let query = "query($after: String) { changes(after: $after) { nodes { id } } }";
        let response = app.run(&admin(), query, variables).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{response}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_keep_the_log_or_are_told() {
    on_both(THINGS, async |app| {
        add_webhook(app).await;
        add_things(app, 10).await;
        run(app, &format!("UPDATE tandem_event SET at = at - {}", 40 * DAY)).await;
        let now = now_micros();
        let job = retention(app, Settings { log_age: days(30), ..Settings::default() }).await;
        // As if its worker stood still; the dispatcher of the test would move it.
        let set = async |status: &str, position: i64| {
            let sql = format!(
                "UPDATE tandem_webhook SET status = '{status}', position = {position}, lease_fence = lease_fence + 1"
            );
            run(app, &sql).await;
        };
        set("ENABLED", 4).await;
        let needed = job.needed_by_webhooks().await.unwrap();
        assert!(needed.is_some_and(|position| position >= 4), "{needed:?}");
        set("PAUSED", 6).await;
        assert_eq!(job.needed_by_webhooks().await.unwrap(), None);
        assert_eq!(job.once(now).await.unwrap().events, 9);
        let told = "SELECT position FROM tandem_webhook WHERE status = 'DISABLED' AND status_reason LIKE '%removed%'";
        assert_eq!(ints(app, told).await, [9]);
    })
    .await;
}
