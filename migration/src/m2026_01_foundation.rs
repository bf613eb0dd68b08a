//! The log, its head, sequences, the planner's memory, webhooks and their deliveries.
//!
//! Names are spelled out instead of taken from the entities: those go on to change, a migration does not.

use sea_orm_migration::prelude::*;
use uuid::Uuid;

use crate::column::{Columns, nullable};

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_01_foundation"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::new(manager);
        make_log(manager, columns).await?;
        make_webhooks(manager, columns).await?;
        make_deliveries(manager, columns).await?;
        let row = [1.into(), Uuid::new_v4().into(), 0.into()];
        let head =
            Query::insert().into_table("tandem_head").columns(["id", "epoch", "position"]).values_panic(row).take();
        manager.execute(head).await
    }
}

async fn make_log(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    let table = of
        .table("tandem_head")
        .col(of.small("id").primary_key().check(Expr::col("id").eq(1)))
        .col(of.uuid("epoch"))
        .col(of.big("position"))
        .take();
    manager.create_table(table).await?;

    let table = of
        .table("tandem_event")
        .col(of.big("position").primary_key())
        .col(of.uuid("id"))
        .col(of.uuid("transaction_id"))
        .col(of.text("type"))
        .col(of.uuid("row_id"))
        .col(of.big("version"))
        .col(of.text("kind"))
        .col(of.text("changed_fields"))
        .col(nullable(of.text("before")))
        .col(nullable(of.text("after")))
        .col(of.big("at"))
        .col(nullable(of.text("by")))
        .take();
    manager.create_table(table).await?;
    // Finds the events about one row after a position, for as-of rendering.
    let index = Index::create()
        .name("tandem_event__type__row_id__position_idx")
        .table("tandem_event")
        .col("type")
        .col("row_id")
        .col("position")
        .take();
    manager.create_index(index).await?;

    let table = of.table("tandem_sequence").col(of.text("name").primary_key()).col(of.big("value")).take();
    manager.create_table(table).await?;

    let table = of
        .table("tandem_catalog")
        .col(of.small("id").primary_key().check(Expr::col("id").eq(1)))
        .col(of.text("document"))
        .col(of.big("applied_at"))
        .take();
    manager.create_table(table).await
}

async fn make_webhooks(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    let table = of
        .table("tandem_webhook")
        .col(of.uuid("id").primary_key())
        .col(of.text("url"))
        .col(of.text("query"))
        .col(nullable(of.text("variables")))
        .col(nullable(of.text("events")))
        .col(nullable(of.text("description")))
        .col(of.text("headers"))
        .col(of.text("ordering"))
        .col(of.int("max_in_flight"))
        .col(nullable(of.int("rate_limit")))
        .col(of.text("status"))
        .col(nullable(of.text("status_reason")))
        .col(of.text("owner"))
        .col(of.text("principal"))
        .col(of.text("secret"))
        .col(of.big("position"))
        .col(of.big("sequence"))
        .col(of.big("created_at"))
        .col(of.big("updated_at"))
        .col(nullable(of.uuid("lease_holder")))
        .col(of.big("lease_until"))
        .col(of.big("lease_fence"))
        .col(nullable(of.big("first_failure_at")))
        .col(of.int("failures").default(0))
        .take();
    manager.create_table(table).await?;
    let index = Index::create().name("tandem_webhook__owner_idx").table("tandem_webhook").col("owner").take();
    manager.create_index(index).await
}

async fn make_deliveries(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    let mut to_webhook = ForeignKey::create()
        .name("tandem_delivery__webhook_id_fkey")
        .from("tandem_delivery", "webhook_id")
        .to("tandem_webhook", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    let table = of
        .table("tandem_delivery")
        .col(of.uuid("id").primary_key())
        .col(of.uuid("webhook_id"))
        .col(of.big("position"))
        .col(of.uuid("message_id"))
        .col(of.text("type"))
        .col(nullable(of.big("sequence")))
        .col(of.text("status"))
        .col(nullable(of.big("next_attempt_at")))
        .col(of.int("attempts"))
        .col(nullable(of.text("body")))
        .col(of.big("created_at"))
        .col(of.big("updated_at"))
        .foreign_key(&mut to_webhook)
        .take();
    manager.create_table(table).await?;
    let unique = Index::create()
        .name("tandem_delivery__webhook_id__position_key")
        .table("tandem_delivery")
        .col("webhook_id")
        .col("position")
        .unique()
        .take();
    manager.create_index(unique).await?;
    // Finds what is due.
    let index = Index::create()
        .name("tandem_delivery__webhook_id__status__next_attempt_at_idx")
        .table("tandem_delivery")
        .col("webhook_id")
        .col("status")
        .col("next_attempt_at")
        .take();
    manager.create_index(index).await?;

    let mut to_delivery = ForeignKey::create()
        .name("tandem_attempt__delivery_id_fkey")
        .from("tandem_attempt", "delivery_id")
        .to("tandem_delivery", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    let table = of
        .table("tandem_attempt")
        .col(of.uuid("delivery_id"))
        .col(of.int("number"))
        .col(of.big("started_at"))
        .col(of.int("duration_ms"))
        .col(nullable(of.int("status_code")))
        .col(nullable(of.text("address")))
        .col(nullable(of.text("error_code")))
        .col(nullable(of.text("error_message")))
        .col(nullable(of.text("response_body")))
        .primary_key(Index::create().col("delivery_id").col("number"))
        .foreign_key(&mut to_delivery)
        .take();
    manager.create_table(table).await
}
