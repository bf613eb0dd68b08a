//! `tandem_departure`: one row for each foreign key that an event of the log takes away.

use sea_orm::entity::prelude::*;

use crate::Position;

/// A row that has stopped pointing at another one.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_departure")]
pub struct Model {
    /// The row that was pointed at.
    #[sea_orm(primary_key, auto_increment = false)]
    pub target_id: Uuid,
    /// The event that ended it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: Position,
}

/// There are none.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
