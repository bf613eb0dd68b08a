//! `tandem_idempotency`: mutations that were given an idempotency key, so that a retry gets the first payload again.
//!
//! A record is written in the transaction of its mutation. It is kept for a day.

use sea_orm::entity::prelude::*;

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_idempotency")]
pub struct Model {
    /// SHA-256 of the caller and the key, in base64.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// SHA-256 of the mutation's name and its input, in base64.
    #[sea_orm(column_type = "Text")]
    pub input: String,
    /// JSON of what the payload is written from; null only inside the transaction that is about to write it.
    #[sea_orm(column_type = "Text", nullable)]
    pub outcome: Option<String>,
    /// When the key was used first.
    pub created_at: i64,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
