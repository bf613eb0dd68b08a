//! Catalog → the tables that are wanted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::column::ColumnType;
use super::names::{foreign_key_name, index_name, unique_key_name};
use super::search::Search;
use super::{Dialect, ddl};
use crate::catalog::{
    Catalog, Datum, DefaultValue, EnumType, EnumValue, Field, FieldId, FieldType, Key, Resource, ResourceId,
};

/// All that is wanted.
#[derive(Debug)]
pub(super) struct Schema {
    /// In the order of the file.
    pub tables: Vec<Table>,
    /// By name.
    pub enums: BTreeMap<String, Enum>,
}

/// An enum.
#[derive(Debug)]
pub(super) struct Enum {
    pub values: BTreeSet<String>,
    /// Old name → new name of the values with a `@renamedFrom`.
    pub renamed: BTreeMap<String, String>,
}

/// The table of a resource. Its primary key is the column `id`.
#[derive(Debug)]
pub(super) struct Table {
    pub id: ResourceId,
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
    pub id: FieldId,
    pub name: String,
    /// Name of the field.
    pub field: String,
    /// Name of the field before a `@renamedFrom`.
    pub renamed_from: Option<String>,
    pub ty: ColumnType,
    pub nullable: bool,
    pub fill: Fill,
}

/// What a field is when a create leaves it out, as far as it matters to rows that are already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fill {
    Nothing,
    Literal(Literal),
    Claim,
    Sequence,
    Now,
}

/// A value in SQL, and as images of the log hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    pub sql: String,
    pub image: Value,
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
        let renamed = |v: &EnumValue| Some((v.renamed_from.clone()?, v.name.clone()));
        let of_enum = |e: &EnumType| Enum {
            values: e.values.iter().map(|v| v.name.clone()).collect(),
            renamed: e.values.iter().filter_map(renamed).collect(),
        };
        Self {
            tables: catalog.resources().map(|(id, resource)| Table::of(catalog, id, resource, dialect)).collect(),
            enums: catalog.enums().map(|(_, e)| (e.name.clone(), of_enum(e))).collect(),
        }
    }
}

impl Table {
    fn of(catalog: &Catalog, id: ResourceId, resource: &Resource, dialect: Dialect) -> Self {
        let column = |(id, field): (FieldId, &Field)| Column::of(catalog, id, field, dialect);
        let columns = resource.columns().filter_map(column).collect();
        let foreign_keys = resource.fields().filter_map(|(id, field)| {
            Some(ForeignKey {
                name: foreign_key_name(resource, id),
                column: field.column.clone(),
                target: catalog.resource(field.to_one()?).prefix.clone(),
            })
        });
        Self {
            id,
            name: resource.prefix.clone(),
            resource: resource.name.clone(),
            renamed_from: resource.renamed_from.clone(),
            columns,
            foreign_keys: foreign_keys.collect(),
            indexes: indexes(catalog, id, resource),
            search: Search::of(resource),
        }
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// Unique keys, `@index`es, and an index for every foreign key that none of them serves as well.
fn indexes(catalog: &Catalog, id: ResourceId, resource: &Resource) -> Vec<Index> {
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
    for (field, _) in resource.fields().filter(|(_, field)| field.to_one().is_some()) {
        let key = match is_listed(catalog, id, field) {
            true => Key { fields: vec![field, Resource::ID] },
            false => Key { fields: vec![field] },
        };
        // Of a unique key of this field alone there is one row, which is in order.
        let is_unique = resource.unique_keys.iter().any(|unique| unique.fields == [field]);
        let mut keys = resource.unique_keys.iter().chain(&resource.indexes);
        if !is_unique && !keys.any(|other| other.fields.starts_with(&key.fields)) {
            add(Index { name: index_name(resource, &key), columns: columns(&key), unique: false });
        }
    }
    indexes
}

/// Whether these rows are a list of the row that this field of theirs points at. Then an index gives a page of them in the
/// order that every order ends in, without a look at the rest of the list.
fn is_listed(catalog: &Catalog, id: ResourceId, field: FieldId) -> bool {
    catalog.resources().any(|(_, other)| other.fields().any(|(_, list)| list.to_many() == Some((id, field))))
}

impl Column {
    fn of(catalog: &Catalog, id: FieldId, field: &Field, dialect: Dialect) -> Option<Self> {
        let fill = match &field.default {
            None => Fill::Nothing,
            Some(DefaultValue::Literal(value)) => match Literal::of(value, &field.ty, dialect) {
                Some(literal) => Fill::Literal(literal),
                None => Fill::Nothing,
            },
            Some(DefaultValue::Claim(_)) => Fill::Claim,
            Some(DefaultValue::Sequence) => Fill::Sequence,
            Some(DefaultValue::Now) => Fill::Now,
        };
        Some(Self {
            id,
            name: field.column.clone(),
            field: field.name.clone(),
            renamed_from: field.renamed_from.clone(),
            ty: ColumnType::of(catalog, &field.ty)?,
            nullable: field.nullable,
            fill,
        })
    }
}

impl Literal {
    /// `None` for null.
    pub fn of(value: &Datum, ty: &FieldType, dialect: Dialect) -> Option<Self> {
        Some(Self { sql: ddl::literal(value, ty, dialect)?, image: value.to_image(ty) })
    }
}
