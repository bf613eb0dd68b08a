//! `tandem_sequence`: the counters of fields with `@default(sequence: true)`. Written in the transaction that uses the
//! number, so a rolled back create leaves no gap.

use sea_orm::entity::prelude::*;

/// One counter.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_sequence")]
pub struct Model {
    /// Resource and field, `Order.number`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name: String,
    /// The last number given out; 0 before the first.
    pub value: i64,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
