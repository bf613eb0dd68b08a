//! `tandem_vault`: one text, encrypted, by which a process tells whether its key is that of this database.

use sea_orm::entity::prelude::*;

/// The one row.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_vault")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i16,
    /// A known text, encrypted with the key of this database.
    #[sea_orm(column_type = "Text")]
    pub sealed: String,
}

/// It has no relations.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
