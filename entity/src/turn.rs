//! `tandem_turn`: which node does a job that one node does at a time.

use sea_orm::entity::prelude::*;

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_turn")]
pub struct Model {
    /// What is done.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name: String,
    /// The process whose turn it is; null if it has given it up.
    pub holder: Option<Uuid>,
    /// Until when, if it does not say that it goes on.
    pub until: i64,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
