//! How webhooks are sent: batches, schedules and deadlines of their own, and what waits for what.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, nullable};

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_05_sending"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        let of_webhooks = vec![
            of.text("retry_schedule"),
            of.int("timeout_ms"),
            of.int("batch_max_events"),
            of.int("batch_max_wait_ms"),
        ];
        let of_deliveries = vec![of.uuid("order_key"), of.uuid("batch_id")];
        // SQLite adds one column at a time.
        for (table, columns) in [("tandem_webhook", of_webhooks), ("tandem_delivery", of_deliveries)] {
            for column in columns {
                let mut column = nullable(column);
                manager.alter_table(Table::alter().table(table).add_column(&mut column).take()).await?;
            }
        }
        // Deliveries that wait are few. The indexes that find them cost the others nothing.
        let indexes = "
            DROP INDEX tandem_delivery__webhook_id__status__next_attempt_at_idx;
            CREATE INDEX tandem_delivery__due_idx ON tandem_delivery (webhook_id, next_attempt_at, position)
                WHERE status = 'PENDING';
            CREATE INDEX tandem_delivery__order_idx ON tandem_delivery (webhook_id, order_key, position)
                WHERE status = 'PENDING' AND order_key IS NOT NULL;
            CREATE INDEX tandem_delivery__batch_idx ON tandem_delivery (webhook_id, batch_id, position)
                WHERE status = 'PENDING' AND batch_id IS NOT NULL;";
        manager.get_connection().execute_unprepared(indexes).await?;
        Ok(())
    }
}
