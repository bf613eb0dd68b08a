//! On PostgreSQL, less to look at when the log is analysed: the planner asks of its events only where they stand, of which
//! type they are and which row they are about, while most of the time went into sorting images.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_07_event_statistics"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let looked_at = ["position", "type", "row_id"].map(|column| (column, 10));
        let others = ["id", "transaction_id", "version", "kind", "changed_fields", "before", "after", "at", "by"];
        for (column, target) in looked_at.into_iter().chain(others.map(|column| (column, 0))) {
            let sql = format!("ALTER TABLE tandem_event ALTER COLUMN {column} SET STATISTICS {target}");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }
}
