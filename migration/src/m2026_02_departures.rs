//! Which rows have stopped pointing at which, for the lists of related rows as of a position of the log.

use sea_orm_migration::prelude::*;

use crate::column::Columns;

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_02_departures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        let table = of
            .table("tandem_departure")
            .col(of.uuid("target_id"))
            .col(of.big("position"))
            .primary_key(Index::create().col("target_id").col("position"))
            .take();
        manager.create_table(table).await
    }
}
