//! What changes of the resource file mean for older events.

use sea_orm_migration::prelude::*;

use crate::column::Columns;

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_02_lineage"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        let table = of
            .table("tandem_lineage")
            .col(of.int("id").primary_key())
            .col(of.big("position"))
            .col(of.text("document"))
            .col(of.big("applied_at"))
            .take();
        manager.create_table(table).await
    }
}
