//! From nothing to the shipped store, and Tandem's own tables.

use entity::{
    DeliveryId, EventId, Position, TransactionId, WebhookId, attempt, delivery, event, head, sequence, webhook,
};
use sea_orm::{ActiveModelTrait, Database, EntityTrait, IntoActiveModel, PaginatorTrait};
use uuid::Uuid;

use super::super::{Allowed, Dialect, Error, Plan, apply, prepare};
use super::catalogs::shop;
use super::on_both_databases;

#[tokio::test]
async fn the_shipped_store_is_made_once() {
    on_both_databases(async |db| {
        let none = Allowed::default();
        let empty = db.dump().await;
        let planned = db.plan(&shop()).await;
        assert_eq!(db.dump().await, empty, "a plan changes nothing");
        assert_eq!(db.prepare(&shop()).await, planned);
        let tables = planned.steps.iter().filter(|step| step.title.starts_with("create the table"));
        assert_eq!(tables.count(), 4);
        let made = db.dump().await;
        assert_eq!(apply(&db.conn, &shop(), &none).await.unwrap(), Plan::default());
        assert_eq!(db.plan(&shop()).await.to_string(), "The tables are as the resource file says.\n");
        assert_eq!(db.dump().await, made);
    })
    .await;
}

#[tokio::test]
async fn foreign_keys_are_enforced_afterwards() {
    on_both_databases(async |db| {
        db.prepare(&shop()).await;
        let id = db.on("randomblob(16)", "gen_random_uuid()");
        let now = db.on("0", "now()");
        let orphan = format!("INSERT INTO \"order\" VALUES ({id}, 1, 'DRAFT', null, {id}, {now}, {now}, 1)");
        let error = sea_orm::ConnectionTrait::execute_unprepared(&db.conn, &orphan).await.unwrap_err();
        assert!(matches!(error.sql_err(), Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_))), "{error}");
    })
    .await;
}

#[tokio::test]
async fn processes_that_start_at_once_take_turns() {
    on_both_databases(async |db| {
        let (other, shop, none) = (db.connect_again().await, shop(), Allowed::default());
        let (first, second) = tokio::join!(prepare(&db.conn, &shop, &none), prepare(&other, &shop, &none));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.is_empty() != second.is_empty(), "one of them made the tables");
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_pool_of_sqlite_has_one_connection() {
    on_both_databases(async |db| {
        let mut options = db.options.clone();
        options.max_connections(2);
        let pool = Database::connect(options).await.unwrap();
        let made = prepare(&pool, &shop(), &Allowed::default()).await;
        assert_eq!(matches!(made, Err(Error::SharedConnection)), db.dialect == Dialect::Sqlite);
        pool.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn entities_fit_the_tables_of_the_migrations() {
    on_both_databases(async |db| {
        db.prepare(&shop()).await;
        let head = head::Entity::find().one(&db.conn).await.unwrap().unwrap();
        assert_eq!((head.id, head.position), (1, Position::START));

        let event = event::Model {
            position: Position::START.next(),
            id: EventId::new(),
            transaction_id: TransactionId::new(),
            r#type: "OrderLine".to_owned(),
            row_id: Uuid::now_v7(),
            version: 1,
            kind: event::Kind::Created,
            changed_fields: "[]".to_owned(),
            before: None,
            after: Some("{}".to_owned()),
            at: i64::MAX,
            by: None,
        };
        event.clone().into_active_model().insert(&db.conn).await.unwrap();
        assert_eq!(event::Entity::find().one(&db.conn).await.unwrap().as_ref(), Some(&event));

        let counter = sequence::Model { name: "Order.number".to_owned(), value: i64::MAX };
        counter.clone().into_active_model().insert(&db.conn).await.unwrap();
        assert_eq!(sequence::Entity::find_by_id("Order.number").one(&db.conn).await.unwrap(), Some(counter));

        let webhook = webhook_model();
        webhook.clone().into_active_model().insert(&db.conn).await.unwrap();
        assert!(webhook::Entity::find_by_id(webhook.id).one(&db.conn).await.unwrap() == Some(webhook.clone()));

        let delivery = delivery::Model {
            id: DeliveryId::new(),
            webhook_id: webhook.id,
            position: event.position,
            message_id: event.id,
            r#type: "order_line.created".to_owned(),
            sequence: Some(1),
            status: delivery::Status::Pending,
            next_attempt_at: None,
            attempts: 1,
            attempts_before: 0,
            order_key: None,
            batch_id: None,
            body: None,
            created_at: 1,
            updated_at: 2,
            first_started_at: Some(1),
            first_duration_ms: Some(2),
            first_status_code: Some(500),
            first_address: Some("203.0.113.7:443".to_owned()),
            first_error_code: Some("STATUS".to_owned()),
            first_error_message: Some("no".to_owned()),
            first_response_body: Some("x".to_owned()),
            first_ordinal: Some(1),
        };
        delivery.clone().into_active_model().insert(&db.conn).await.unwrap();
        assert_eq!(delivery::Entity::find().one(&db.conn).await.unwrap().as_ref(), Some(&delivery));

        let attempt = attempt::Model {
            delivery_id: delivery.id,
            number: 1,
            started_at: 1,
            duration_ms: 2,
            status_code: Some(500),
            address: Some("203.0.113.7:443".to_owned()),
            error_code: None,
            error_message: None,
            response_body: None,
            webhook_id: Some(delivery.webhook_id),
            ordinal: Some(1),
        };
        attempt.clone().into_active_model().insert(&db.conn).await.unwrap();
        assert_eq!(attempt::Entity::find().all(&db.conn).await.unwrap(), [attempt]);

        webhook::Entity::delete_by_id(webhook.id).exec(&db.conn).await.unwrap();
        assert_eq!(attempt::Entity::find().count(&db.conn).await.unwrap(), 0, "what belongs to it goes with it");
    })
    .await;
}

fn webhook_model() -> webhook::Model {
    webhook::Model {
        id: WebhookId::new(),
        url: "https://example.com".to_owned(),
        query: "subscription { changes { id } }".to_owned(),
        variables: None,
        events: None,
        description: None,
        headers: "[]".to_owned(),
        ordering: webhook::Ordering::PerNode,
        max_in_flight: 16,
        rate_limit: None,
        retry_schedule: None,
        timeout_ms: None,
        batch_max_events: None,
        batch_max_wait_ms: None,
        status: webhook::Status::Enabled,
        status_reason: None,
        owner: "ann".to_owned(),
        principal: "{}".to_owned(),
        keys: "[]".to_owned(),
        position: Position::START,
        sequence: 0,
        created_at: 1,
        updated_at: 2,
        lease_holder: Some(Uuid::now_v7()),
        lease_until: 3,
        lease_fence: 4,
        first_failure_at: None,
        failures: 0,
        last_success_at: None,
        last_failure_at: Some(3),
        last_error_code: Some("STATUS".to_owned()),
        last_error_message: Some("no".to_owned()),
        warned_at: None,
        disabled_at: None,
        attempts: 1,
        nudges: 0,
        verify_key: Some("key".to_owned()),
        verify_at: Some(5),
        verify_attempts: 1,
        verified_at: None,
    }
}
