//! Operating webhooks: how they fare, replays, pages of deliveries by several filters, attempts in the order of their
//! commits; and what the removal of old rows needs.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, nullable};

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_06_operations"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        extend_webhooks(manager, of).await?;
        extend_deliveries(manager, of).await?;
        extend_attempts(manager, of).await?;
        make_replays(manager, of).await?;
        let turns = of
            .table("tandem_turn")
            .col(of.text("name").primary_key())
            .col(nullable(of.uuid("holder")))
            .col(of.big("until"))
            .take();
        manager.create_table(turns).await?;
        // Finds the entries of events that are removed.
        let index =
            Index::create().name("tandem_departure__position_idx").table("tandem_departure").col("position").take();
        manager.create_index(index).await
    }
}

/// SQLite adds one column at a time.
async fn add(manager: &SchemaManager<'_>, table: &'static str, columns: Vec<ColumnDef>) -> Result<(), DbErr> {
    for mut column in columns {
        manager.alter_table(Table::alter().table(table).add_column(&mut column).take()).await?;
    }
    Ok(())
}

async fn extend_webhooks(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    let columns = vec![
        nullable(of.big("last_success_at")),
        nullable(of.big("last_failure_at")),
        nullable(of.text("last_error_code")),
        nullable(of.text("last_error_message")),
        nullable(of.big("warned_at")),
        nullable(of.big("disabled_at")),
        of.big("attempts").default(0).take(),
        of.big("nudges").default(0).take(),
    ];
    add(manager, "tandem_webhook", columns).await
}

async fn extend_deliveries(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    add(manager, "tandem_delivery", vec![of.int("attempts_before").default(0).take()]).await?;
    let table = "tandem_delivery";
    let newest =
        Index::create().name("tandem_delivery__webhook_id__id_idx").table(table).col("webhook_id").col("id").take();
    manager.create_index(newest).await?;
    let by_type = Index::create()
        .name("tandem_delivery__webhook_id__type__id_idx")
        .table(table)
        .col("webhook_id")
        .col("type")
        .col("id")
        .take();
    manager.create_index(by_type).await?;
    // What is not delivered is rare, so that these cost the others nothing.
    for (name, status) in [("failed", "FAILED"), ("pending", "PENDING")] {
        let sql = format!(
            "CREATE INDEX tandem_delivery__{name}_idx ON tandem_delivery (webhook_id, id) WHERE status = '{status}'"
        );
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}

async fn extend_attempts(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    add(manager, "tandem_attempt", vec![nullable(of.uuid("webhook_id")), nullable(of.big("ordinal"))]).await?;
    // Follows the attempts of a webhook in the order of their commits.
    let index = Index::create()
        .name("tandem_attempt__webhook_id__ordinal_idx")
        .table("tandem_attempt")
        .col("webhook_id")
        .col("ordinal")
        .take();
    manager.create_index(index).await
}

async fn make_replays(manager: &SchemaManager<'_>, of: Columns) -> Result<(), DbErr> {
    let mut to_webhook = ForeignKey::create()
        .name("tandem_replay__webhook_id_fkey")
        .from("tandem_replay", "webhook_id")
        .to("tandem_webhook", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    let table = of
        .table("tandem_replay")
        .col(of.uuid("id").primary_key())
        .col(of.uuid("webhook_id"))
        .col(of.text("scope"))
        .col(of.text("status"))
        .col(nullable(of.text("reason")))
        .col(of.big("start"))
        .col(of.big("position"))
        .col(of.big("until"))
        .col(nullable(of.uuid("delivery_id")))
        .col(of.big("queued").default(0))
        .col(nullable(of.uuid("token")))
        .col(of.big("created_at"))
        .col(of.big("updated_at"))
        .foreign_key(&mut to_webhook)
        .take();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("tandem_replay__webhook_id__id_idx")
        .table("tandem_replay")
        .col("webhook_id")
        .col("id")
        .take();
    manager.create_index(index).await?;
    // One at a time for each webhook; also finds those that are to be worked on.
    let running =
        "CREATE UNIQUE INDEX tandem_replay__running_key ON tandem_replay (webhook_id) WHERE status = 'RUNNING'";
    manager.get_connection().execute_unprepared(running).await?;
    Ok(())
}
