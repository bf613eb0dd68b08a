//! Signing keys that are encrypted at rest, and the confirmation of a webhook by its receiver.
//!
//! What is in the column `secret` as plain text is encrypted at the next start (`tandem::webhook::vault`): a migration has
//! no key.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, nullable};

#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m2026_04_webhook_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of = Columns::new(manager);
        let rename = Table::alter().table("tandem_webhook").rename_column("secret", "keys").take();
        manager.alter_table(rename).await?;
        let added = [
            nullable(of.text("verify_key")),
            nullable(of.big("verify_at")),
            of.int("verify_attempts").default(0).take(),
            nullable(of.big("verified_at")),
        ];
        // SQLite adds one column in a statement.
        for mut column in added {
            manager.alter_table(Table::alter().table("tandem_webhook").add_column(&mut column).take()).await?;
        }
        let table = of
            .table("tandem_vault")
            .col(of.small("id").primary_key().check(Expr::col("id").eq(1)))
            .col(of.text("sealed"))
            .take();
        manager.create_table(table).await
    }
}
