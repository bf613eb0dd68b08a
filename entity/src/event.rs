//! `tandem_event`: the log. One row per committed create, update or delete of one row of a resource; never updated.

use sea_orm::entity::prelude::*;

use crate::{EventId, Position, TransactionId};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_event")]
pub struct Model {
    /// Its number, given out by `tandem_head` in the transaction that commits it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: Position,
    /// Its public id, without the prefix.
    pub id: EventId,
    /// What the events of one mutation share.
    pub transaction_id: TransactionId,
    /// Type name of the resource, `OrderLine`.
    #[sea_orm(column_name = "type", column_type = "Text")]
    pub r#type: String,
    /// Id of the row that changed.
    pub row_id: Uuid,
    /// Version of the row after the change; of a deleted row, one more than its last.
    pub version: i64,
    /// What happened to the row.
    pub kind: Kind,
    /// JSON array of the names of the fields that differ between `before` and `after`.
    #[sea_orm(column_type = "Text")]
    pub changed_fields: String,
    /// JSON image of the row before the change; null for a created row.
    #[sea_orm(column_type = "Text", nullable)]
    pub before: Option<String>,
    /// JSON image of the row after the change; null for a deleted row.
    #[sea_orm(column_type = "Text", nullable)]
    pub after: Option<String>,
    /// Time of the change.
    pub at: i64,
    /// `sub` of who did it; null for an anonymous caller.
    #[sea_orm(column_type = "Text", nullable)]
    pub by: Option<String>,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    /// It is new.
    #[sea_orm(string_value = "CREATED")]
    Created,
    /// It has other values.
    #[sea_orm(string_value = "UPDATED")]
    Updated,
    /// It is gone.
    #[sea_orm(string_value = "DELETED")]
    Deleted,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
