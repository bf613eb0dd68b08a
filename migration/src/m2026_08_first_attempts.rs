//! The first attempt of a delivery stands in its row. Nearly all succeed at once, and a row of its own for each of those
//! attempts doubles what there is to write. Attempts from before stay where they are.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, nullable};

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_08_first_attempts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        let columns = [
            of.big("first_started_at"),
            of.int("first_duration_ms"),
            of.int("first_status_code"),
            of.text("first_address"),
            of.text("first_error_code"),
            of.text("first_error_message"),
            of.text("first_response_body"),
            of.big("first_ordinal"),
        ];
        // SQLite adds one column at a time.
        for column in columns {
            let mut column = nullable(column);
            manager.alter_table(Table::alter().table("tandem_delivery").add_column(&mut column).take()).await?;
        }
        // Follows the attempts of a webhook in the order of their commits, as does that of `tandem_attempt`.
        let index = Index::create()
            .name("tandem_delivery__webhook_id__first_ordinal_idx")
            .table("tandem_delivery")
            .col("webhook_id")
            .col("first_ordinal")
            .take();
        manager.create_index(index).await
    }
}
