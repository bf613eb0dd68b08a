//! What the planner remembers of the tables that it made, in `tandem_catalog`: the database cannot tell a Decimal from
//! a DateTime on SQLite, which values an enum has, or whose table one is.

use std::collections::{BTreeMap, BTreeSet};

use entity::catalog;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use serde::{Deserialize, Serialize};

use super::column::ColumnType;
use super::schema::{Fill, Schema, Table};
use super::search::Search;
use super::{Dialect, Error, introspect};
use crate::catalog::datum::now_micros;

const FORMAT: u32 = 1;

/// What the last applied plan left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    format: u32,
    /// By name.
    pub tables: BTreeMap<String, TableMemory>,
    /// Values by name of the enum.
    pub enums: BTreeMap<String, BTreeSet<String>>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableMemory {
    /// Type name of its resource.
    pub resource: String,
    /// By name.
    pub columns: BTreeMap<String, ColumnMemory>,
    /// Names of unique keys and indexes.
    pub indexes: BTreeSet<String>,
    /// How it can be searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnMemory {
    /// Name of its field.
    pub field: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// Whether it had a counter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { format: FORMAT, tables: BTreeMap::new(), enums: BTreeMap::new() }
    }
}

impl Memory {
    /// What there will be to remember once the tables are as wanted.
    pub fn of(schema: &Schema) -> Self {
        let tables = schema.tables.iter().map(|table| (table.name.clone(), TableMemory::of(table)));
        let enums = schema.enums.iter().map(|(name, e)| (name.clone(), e.values.clone()));
        Self { format: FORMAT, tables: tables.collect(), enums: enums.collect() }
    }

    /// Nothing if the migrations have not run yet.
    pub async fn read(conn: &impl ConnectionTrait, dialect: Dialect) -> Result<Self, Error> {
        if introspect::kind_of(conn, dialect, "tandem_catalog").await?.is_none() {
            return Ok(Self::default());
        }
        let Some(row) = catalog::Entity::find_by_id(1_i16).one(conn).await? else { return Ok(Self::default()) };
        let memory: Self = serde_json::from_str(&row.document).map_err(|e| Error::Memory(e.to_string()))?;
        if memory.format != FORMAT {
            return Err(Error::Memory(format!("its format is {}, this version knows {FORMAT}", memory.format)));
        }
        Ok(memory)
    }

    pub async fn write(&self, conn: &impl ConnectionTrait) -> Result<(), Error> {
        let document = serde_json::to_string(self).expect("its keys are strings");
        let row = catalog::ActiveModel { id: Set(1), document: Set(document), applied_at: Set(now_micros()) };
        let replace = OnConflict::column(catalog::Column::Id)
            .update_columns([catalog::Column::Document, catalog::Column::AppliedAt])
            .to_owned();
        catalog::Entity::insert(row).on_conflict(replace).exec_without_returning(conn).await?;
        Ok(())
    }

    /// The table of the resource that had this type name.
    pub fn table_of(&self, resource: &str) -> Option<&str> {
        self.tables.iter().find(|(_, table)| table.resource == resource).map(|(name, _)| name.as_str())
    }
}

impl TableMemory {
    fn of(table: &Table) -> Self {
        let columns = table.columns.iter().map(|column| {
            let counted = column.fill == Fill::Sequence;
            (column.name.clone(), ColumnMemory { field: column.field.clone(), ty: column.ty.clone(), counted })
        });
        Self {
            resource: table.resource.clone(),
            columns: columns.collect(),
            indexes: table.indexes.iter().map(|index| index.name.clone()).collect(),
            search: table.search.clone(),
        }
    }

    /// The column of the field that had this name.
    pub fn column_of(&self, field: &str) -> Option<&str> {
        self.columns.iter().find(|(_, column)| column.field == field).map(|(name, _)| name.as_str())
    }
}
