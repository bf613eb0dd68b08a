//! `tandem_head`: how far the log goes. One row, which the migration inserts and every commit that has events updates.

use sea_orm::entity::prelude::*;

use crate::{Epoch, Position};

/// The one row.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i16,
    /// Changes when the history does: on restore or rewind.
    pub epoch: Epoch,
    /// Of the last committed event; a snapshot read of it is the `asOf` of that snapshot.
    pub position: Position,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
