//! From nothing to the shipped store, and Tandem's own tables.

use entity::{
    DeliveryId, EventId, Position, TransactionId, WebhookId, attempt, delivery, event, head, sequence, webhook,
};
use sea_orm::{ActiveModelTrait, Database, EntityTrait, IntoActiveModel, PaginatorTrait};
use uuid::Uuid;

use super::super::{Dialect, Error, Plan, apply, plan, prepare};
use super::catalogs::shop;
use super::{assert_plan, on_both_databases};

const SQLITE: &str = r#"
4 steps:

1. create the table customer for Customer
     CREATE TABLE "customer" (
       "id" BLOB NOT NULL PRIMARY KEY,
       "user_id" TEXT NOT NULL,
       "email" TEXT NOT NULL,
       "name" TEXT,
       "created_at" INTEGER NOT NULL,
       "updated_at" INTEGER NOT NULL,
       "version" INTEGER NOT NULL
     ) STRICT;
     CREATE UNIQUE INDEX "customer__user_id_key" ON "customer" ("user_id");
     CREATE UNIQUE INDEX "customer__email_key" ON "customer" ("email");

2. create the table product for Product
     CREATE TABLE "product" (
       "id" BLOB NOT NULL PRIMARY KEY,
       "sku" TEXT NOT NULL,
       "name" TEXT NOT NULL,
       "price" INTEGER NOT NULL,
       "stock" INTEGER NOT NULL,
       "tags" TEXT NOT NULL,
       "cost" INTEGER,
       "created_at" INTEGER NOT NULL,
       "updated_at" INTEGER NOT NULL,
       "version" INTEGER NOT NULL
     ) STRICT;
     CREATE UNIQUE INDEX "product__sku_key" ON "product" ("sku");

3. create the table order for Order
     CREATE TABLE "order" (
       "id" BLOB NOT NULL PRIMARY KEY,
       "number" INTEGER NOT NULL,
       "status" TEXT NOT NULL,
       "note" TEXT,
       "customer_id" BLOB NOT NULL,
       "created_at" INTEGER NOT NULL,
       "updated_at" INTEGER NOT NULL,
       "version" INTEGER NOT NULL,
       CONSTRAINT "order__customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customer" ("id")
     ) STRICT;
     CREATE UNIQUE INDEX "order__number_key" ON "order" ("number");
     CREATE INDEX "order__customer_id__created_at_idx" ON "order" ("customer_id", "created_at");

4. create the table order_line for OrderLine
     CREATE TABLE "order_line" (
       "id" BLOB NOT NULL PRIMARY KEY,
       "order_id" BLOB NOT NULL,
       "product_id" BLOB NOT NULL,
       "quantity" INTEGER NOT NULL,
       "unit_price" INTEGER NOT NULL,
       "created_at" INTEGER NOT NULL,
       "updated_at" INTEGER NOT NULL,
       "version" INTEGER NOT NULL,
       CONSTRAINT "order_line__order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "order" ("id"),
       CONSTRAINT "order_line__product_id_fkey" FOREIGN KEY ("product_id") REFERENCES "product" ("id")
     ) STRICT;
     CREATE UNIQUE INDEX "order_line__order_id__product_id_key" ON "order_line" ("order_id", "product_id");
     CREATE INDEX "order_line__product_id_idx" ON "order_line" ("product_id");
"#;

const POSTGRES: &str = r#"
7 steps:

1. create the table customer for Customer
     CREATE TABLE "customer" (
       "id" uuid NOT NULL PRIMARY KEY,
       "user_id" text COLLATE "C" NOT NULL,
       "email" text COLLATE "C" NOT NULL,
       "name" text COLLATE "C",
       "created_at" timestamp with time zone NOT NULL,
       "updated_at" timestamp with time zone NOT NULL,
       "version" integer NOT NULL
     );
     CREATE UNIQUE INDEX "customer__user_id_key" ON "customer" ("user_id");
     CREATE UNIQUE INDEX "customer__email_key" ON "customer" ("email");

2. create the table product for Product
     CREATE TABLE "product" (
       "id" uuid NOT NULL PRIMARY KEY,
       "sku" text COLLATE "C" NOT NULL,
       "name" text COLLATE "C" NOT NULL,
       "price" numeric(12,2) NOT NULL,
       "stock" integer NOT NULL,
       "tags" jsonb NOT NULL,
       "cost" numeric(12,2),
       "created_at" timestamp with time zone NOT NULL,
       "updated_at" timestamp with time zone NOT NULL,
       "version" integer NOT NULL
     );
     CREATE UNIQUE INDEX "product__sku_key" ON "product" ("sku");

3. create the table order for Order
     CREATE TABLE "order" (
       "id" uuid NOT NULL PRIMARY KEY,
       "number" bigint NOT NULL,
       "status" text COLLATE "C" NOT NULL,
       "note" text COLLATE "C",
       "customer_id" uuid NOT NULL,
       "created_at" timestamp with time zone NOT NULL,
       "updated_at" timestamp with time zone NOT NULL,
       "version" integer NOT NULL
     );
     CREATE UNIQUE INDEX "order__number_key" ON "order" ("number");
     CREATE INDEX "order__customer_id__created_at_idx" ON "order" ("customer_id", "created_at");

4. create the table order_line for OrderLine
     CREATE TABLE "order_line" (
       "id" uuid NOT NULL PRIMARY KEY,
       "order_id" uuid NOT NULL,
       "product_id" uuid NOT NULL,
       "quantity" integer NOT NULL,
       "unit_price" numeric(12,2) NOT NULL,
       "created_at" timestamp with time zone NOT NULL,
       "updated_at" timestamp with time zone NOT NULL,
       "version" integer NOT NULL
     );
     CREATE UNIQUE INDEX "order_line__order_id__product_id_key" ON "order_line" ("order_id", "product_id");
     CREATE INDEX "order_line__product_id_idx" ON "order_line" ("product_id");

5. let customer_id of order point at customer
     ALTER TABLE "order" ADD CONSTRAINT "order__customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customer" ("id");

6. let order_id of order_line point at order
     ALTER TABLE "order_line" ADD CONSTRAINT "order_line__order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "order" ("id");

7. let product_id of order_line point at product
     ALTER TABLE "order_line" ADD CONSTRAINT "order_line__product_id_fkey" FOREIGN KEY ("product_id") REFERENCES "product" ("id");
"#;

#[tokio::test]
async fn the_shipped_store_is_made_once() {
    on_both_databases(async |db| {
        let empty = db.dump().await;
        assert_plan(&plan(&db.conn, &shop()).await.unwrap(), db.on(SQLITE, POSTGRES));
        assert_eq!(db.dump().await, empty, "a plan changes nothing");
        db.check(&shop(), db.on(SQLITE, POSTGRES)).await;
        let made = db.dump().await;
        assert_eq!(apply(&db.conn, &shop()).await.unwrap(), Plan::default());
        assert_plan(&plan(&db.conn, &shop()).await.unwrap(), "The tables are as the resource file says.");
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
        let (other, shop) = (db.connect_again().await, shop());
        let (first, second) = tokio::join!(prepare(&db.conn, &shop), prepare(&other, &shop));
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
        let made = prepare(&pool, &shop()).await;
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
            body: None,
            created_at: 1,
            updated_at: 2,
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
        status: webhook::Status::Enabled,
        status_reason: None,
        owner: "ann".to_owned(),
        principal: "{}".to_owned(),
        secret: "whsec_".to_owned(),
        position: Position::START,
        sequence: 0,
        created_at: 1,
        updated_at: 2,
        lease_holder: Some(Uuid::now_v7()),
        lease_until: 3,
        lease_fence: 4,
        first_failure_at: None,
        failures: 0,
    }
}
