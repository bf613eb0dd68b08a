//! `tandem_lineage`: what changes of the resource file mean for the events before them. One row for each applied plan
//! that renamed, dropped or filled something; never updated.

use sea_orm::entity::prelude::*;

use crate::Position;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_lineage")]
pub struct Model {
    /// 1, 2, 3 … in the order of the changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The last event that was written before it.
    pub position: Position,
    /// JSON of a `tandem::catalog::lineage::Era`.
    #[sea_orm(column_type = "Text")]
    pub document: String,
    /// When it was applied.
    pub applied_at: i64,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
