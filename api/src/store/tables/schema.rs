//! Catalog → the tables that are wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::column::ColumnType;
use super::names::{foreign_key_name, index_name, unique_key_name};
use super::search::Search;
use super::{Dialect, ddl};
use crate::catalog::{Catalog, DefaultValue, Field, FieldId, Key, Resource};

/// All that is wanted.
#[derive(Debug)]
pub(super) struct Schema {
    /// In the order of the file.
    pub tables: Vec<Table>,
    /// Values by name of the enum.
    pub enums: BTreeMap<String, BTreeSet<String>>,
}

/// The table of a resource. Its primary key is the column `id`.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    /// Type name of the resource.
    pub resource: String,
    /// Type name before a `@renamedFrom`.
    pub renamed_from: Option<String>,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    /// With `@search`.
    pub search: Option<Search>,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    /// Name of the field.
    pub field: String,
    /// Name of the field before a `@renamedFrom`.
    pub renamed_from: Option<String>,
    pub ty: ColumnType,
    pub nullable: bool,
    pub fill: Fill,
}

/// What rows that are already there get when the column is added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// Null, if the column may be null.
    Nothing,
    /// This literal in SQL.
    Literal(String),
    /// Null, if the column may be null: its default, which is spelled like this, is only known at a write.
    AtWrite(&'static str),
}

/// An index or a unique key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub name: String,
    pub columns: Vec<String>,
    pub unique: bool,
}

/// A foreign key. The database only refuses what would break it: cascades are the writer's, which writes their events.
#[derive(Debug)]
pub(super) struct ForeignKey {
    pub name: String,
    pub column: String,
    /// The table at the other side.
    pub target: String,
}

impl Schema {
    pub fn of(catalog: &Catalog, dialect: Dialect) -> Self {
        let values = |e: &crate::catalog::EnumType| e.values.iter().map(|v| v.name.clone()).collect();
        Self {
            tables: catalog.resources().map(|(_, resource)| Table::of(catalog, resource, dialect)).collect(),
            enums: catalog.enums().map(|(_, e)| (e.name.clone(), values(e))).collect(),
        }
    }
}

impl Table {
    fn of(catalog: &Catalog, resource: &Resource, dialect: Dialect) -> Self {
        let columns = resource.columns().filter_map(|(_, field)| Column::of(catalog, field, dialect)).collect();
        let foreign_keys = resource.fields().filter_map(|(id, field)| {
            Some(ForeignKey {
                name: foreign_key_name(resource, id),
                column: field.column.clone(),
                target: catalog.resource(field.to_one()?).prefix.clone(),
            })
        });
        Self {
            name: resource.prefix.clone(),
            resource: resource.name.clone(),
            renamed_from: resource.renamed_from.clone(),
            columns,
            foreign_keys: foreign_keys.collect(),
            indexes: indexes(resource),
            search: Search::of(resource),
        }
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// Unique keys, `@index`es, and an index for every foreign key that none of them begins with.
fn indexes(resource: &Resource) -> Vec<Index> {
    let columns = |key: &Key| key.fields.iter().map(|id| resource.field(*id).column.clone()).collect();
    let mut indexes: Vec<Index> = Vec::new();
    let mut add = |index: Index| {
        // The file may ask for the same one twice.
        if !indexes.iter().any(|i| i.name == index.name) {
            indexes.push(index);
        }
    };
    for key in &resource.unique_keys {
        add(Index { name: unique_key_name(resource, key), columns: columns(key), unique: true });
    }
    for key in &resource.indexes {
        add(Index { name: index_name(resource, key), columns: columns(key), unique: false });
    }
    let is_covered = |id: FieldId| {
        let mut keys = resource.unique_keys.iter().chain(&resource.indexes);
        keys.any(|key| key.fields.first() == Some(&id))
    };
    for (id, field) in resource.fields() {
        if field.to_one().is_some() && !is_covered(id) {
            let key = Key { fields: vec![id] };
            add(Index { name: index_name(resource, &key), columns: columns(&key), unique: false });
        }
    }
    indexes
}

impl Column {
    fn of(catalog: &Catalog, field: &Field, dialect: Dialect) -> Option<Self> {
        let fill = match &field.default {
            None => Fill::Nothing,
            Some(DefaultValue::Literal(value)) => match ddl::literal(value, &field.ty, dialect) {
                Some(sql) => Fill::Literal(sql),
                None => Fill::Nothing,
            },
            Some(DefaultValue::Claim(_)) => Fill::AtWrite("@default(claim:)"),
            Some(DefaultValue::Sequence) => Fill::AtWrite("@default(sequence:)"),
            Some(DefaultValue::Now) => Fill::AtWrite("@default(now:)"),
        };
        Some(Self {
            name: field.column.clone(),
            field: field.name.clone(),
            renamed_from: field.renamed_from.clone(),
            ty: ColumnType::of(catalog, &field.ty)?,
            nullable: field.nullable,
            fill,
        })
    }
}
