//! `tandem_catalog`: what the planner of the resource tables has to remember because the database cannot tell it. One
//! row at most, none before the first plan is applied.

use sea_orm::entity::prelude::*;

/// The one row.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_catalog")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i16,
    /// JSON, written and read by `tandem::store::tables` alone: which tables are Tandem's, the types of their columns,
    /// the values of enums.
    #[sea_orm(column_type = "Text")]
    pub document: String,
    /// When it was written.
    pub applied_at: i64,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
