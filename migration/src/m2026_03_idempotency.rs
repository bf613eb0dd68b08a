//! The records of idempotency keys.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, nullable};

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_03_idempotency"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        let table = of
            .table("tandem_idempotency")
            .col(of.text("id").primary_key())
            .col(of.text("input"))
            .col(nullable(of.text("outcome")))
            .col(of.big("created_at"))
            .take();
        manager.create_table(table).await?;
        // Finds what is too old.
        let index = Index::create()
            .name("tandem_idempotency__created_at_idx")
            .table("tandem_idempotency")
            .col("created_at")
            .take();
        manager.create_index(index).await
    }
}
