//! One index of deliveries by webhook and age serves those of one type, too: types are compared in it, and no row is read
//! that is not asked for. Each index is written at another place for each webhook, so with one less there is less to write
//! for every delivery.

use sea_orm_migration::prelude::*;

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_09_delivery_index"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("tandem_delivery__webhook_id__id__type_idx")
            .table("tandem_delivery")
            .col("webhook_id")
            .col("id")
            .col("type")
            .take();
        manager.create_index(index).await?;
        for name in ["tandem_delivery__webhook_id__id_idx", "tandem_delivery__webhook_id__type__id_idx"] {
            manager.drop_index(Index::drop().name(name).table("tandem_delivery").to_owned()).await?;
        }
        Ok(())
    }
}
