//! SeaORM migrations of the tables that Tandem itself owns. Append-only: one that has been released is never edited.
//!
//! They run on SQLite and PostgreSQL, inside the transaction of the caller (`tandem::store::tables::prepare`), which
//! also keeps two processes that start at once from running them twice. Tables of resources are not made here: they
//! follow the resource file.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod column;
mod m2026_01_foundation;
mod m2026_02_departures;
mod m2026_02_lineage;
mod m2026_03_idempotency;
mod m2026_04_webhook_keys;
mod m2026_05_sending;
mod m2026_06_operations;
mod m2026_07_event_statistics;
mod m2026_08_first_attempts;
mod m2026_09_delivery_index;

/// Brings Tandem's own tables up to date.
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m2026_01_foundation::Migration),
            Box::new(m2026_02_lineage::Migration),
            Box::new(m2026_02_departures::Migration),
            Box::new(m2026_03_idempotency::Migration),
            Box::new(m2026_04_webhook_keys::Migration),
            Box::new(m2026_05_sending::Migration),
            Box::new(m2026_06_operations::Migration),
            Box::new(m2026_07_event_statistics::Migration),
            Box::new(m2026_08_first_attempts::Migration),
            Box::new(m2026_09_delivery_index::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        Alias::new("tandem_migration").into_iden()
    }
}
