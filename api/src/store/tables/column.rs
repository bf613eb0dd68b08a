//! The type of a column: how each database stores it, and which types it may become.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Dialect;
use crate::catalog::{Catalog, FieldType, Scalar};

/// What a column holds. It says more than the database does, where many types are stored the same way, so it is part of
/// what the planner remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ColumnType {
    pub item: Item,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub list: bool,
}

/// What a column that is no list holds, or one item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Item {
    RowId,
    /// Id of a row of this table.
    Reference(String),
    /// A value of the enum of this name.
    Enum(String),
    String,
    Id,
    Int,
    BigInt,
    Float,
    Boolean,
    Decimal {
        precision: u8,
        scale: u8,
    },
    DateTime,
    Date,
    Uuid,
    Json,
}

/// What it takes to make a column of one type a column of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Every value of the old type is one of the new type.
    Widening,
    /// So it is for nearly all values, and the rows are asked about theirs.
    Fitting,
    /// There may be values that do not fit.
    Narrowing,
    /// The types have nothing in common.
    Different,
}

impl ColumnType {
    /// `None` for a to-many relation, which is no column.
    pub fn of(catalog: &Catalog, ty: &FieldType) -> Option<Self> {
        let enum_item = |id| Item::Enum(catalog.enum_type(id).name.clone());
        let (item, list) = match ty {
            FieldType::RowId => (Item::RowId, false),
            FieldType::Scalar(scalar) => (Item::of(*scalar), false),
            FieldType::Enum(id) => (enum_item(*id), false),
            FieldType::ScalarList(scalar) => (Item::of(*scalar), true),
            FieldType::EnumList(id) => (enum_item(*id), true),
            FieldType::ToOne { target, .. } => (Item::Reference(catalog.resource(*target).prefix.clone()), false),
            FieldType::ToMany { .. } => return None,
        };
        Some(Self { item, list })
    }

    /// The type in SQL, spelled as the database itself reports it.
    pub fn sql(&self, dialect: Dialect) -> String {
        let sql = match (dialect, &self.item) {
            (Dialect::Sqlite, _) if self.list => "TEXT",
            // `jsonb` would sort the keys of objects and rewrite numbers.
            (Dialect::Postgres, Item::Json) if self.list => "json",
            (Dialect::Postgres, _) if self.list => "jsonb",
            (Dialect::Sqlite, item) => match item {
                Item::RowId | Item::Reference(_) | Item::Uuid => "BLOB",
                Item::Enum(_) | Item::String | Item::Id | Item::Date | Item::Json => "TEXT",
                Item::Int | Item::BigInt | Item::Boolean | Item::Decimal { .. } | Item::DateTime => "INTEGER",
                Item::Float => "REAL",
            },
            (Dialect::Postgres, item) => match item {
                Item::RowId | Item::Reference(_) | Item::Uuid => "uuid",
                // By code point, as everywhere in Tandem, whatever the locale of the database.
                Item::Enum(_) | Item::String | Item::Id => "text COLLATE \"C\"",
                Item::Int => "integer",
                Item::BigInt => "bigint",
                Item::Float => "double precision",
                Item::Boolean => "boolean",
                Item::Decimal { precision, scale } => return format!("numeric({precision},{scale})"),
                Item::DateTime => "timestamp with time zone",
                Item::Date => "date",
                Item::Json => "json",
            },
        };
        sql.to_owned()
    }

    /// What it takes to become this type. Values of enums are looked at elsewhere.
    pub fn change_to(&self, new: &Self) -> Change {
        if self == new {
            return Change::None;
        }
        if self.list != new.list {
            return Change::Different;
        }
        if self.list { list_change(&self.item, &new.item) } else { change(&self.item, &new.item) }
    }
}

fn change(old: &Item, new: &Item) -> Change {
    let widening = |is_wider: bool| if is_wider { Change::Widening } else { Change::Narrowing };
    match (old, new) {
        (Item::Enum(_), Item::Enum(_)) => Change::None,
        (Item::Enum(_) | Item::String | Item::Id | Item::Int | Item::BigInt | Item::Uuid, Item::String | Item::Id)
        | (Item::Int, Item::BigInt | Item::Float)
        | (Item::Date, Item::DateTime) => Change::Widening,
        (Item::String | Item::Id, Item::Enum(_) | Item::Int | Item::BigInt | Item::Uuid)
        | (Item::BigInt, Item::Int | Item::Float)
        | (Item::Float | Item::Decimal { .. }, Item::Int)
        | (Item::Float, Item::BigInt)
        | (Item::DateTime, Item::Date) => Change::Narrowing,
        (Item::Decimal { scale, .. }, Item::BigInt) => widening(*scale == 0),
        // An Int has 10 digits.
        (Item::Int, Item::Decimal { precision, scale }) => widening(precision - scale >= 10),
        (Item::BigInt, Item::Decimal { .. }) => Change::Fitting,
        (Item::Decimal { precision, scale }, Item::Decimal { precision: new_precision, scale: new_scale }) => {
            widening(scale <= new_scale && precision - scale <= new_precision - new_scale)
        }
        _ => Change::Different,
    }
}

/// Lists are stored as JSON: their items can become what is written in the same way.
fn list_change(old: &Item, new: &Item) -> Change {
    match (old, new) {
        (Item::Enum(_), Item::Enum(_)) => Change::None,
        (Item::Enum(_) | Item::String | Item::Id, Item::String | Item::Id) | (Item::Int, Item::BigInt) => {
            Change::Widening
        }
        (Item::String | Item::Id, Item::Enum(_)) | (Item::BigInt, Item::Int) => Change::Narrowing,
        _ => Change::Different,
    }
}

impl Item {
    fn of(scalar: Scalar) -> Self {
        match scalar {
            Scalar::String => Self::String,
            Scalar::Int => Self::Int,
            Scalar::Float => Self::Float,
            Scalar::Boolean => Self::Boolean,
            Scalar::Id => Self::Id,
            Scalar::BigInt => Self::BigInt,
            Scalar::Decimal { precision, scale } => Self::Decimal { precision, scale },
            Scalar::DateTime => Self::DateTime,
            Scalar::Date => Self::Date,
            Scalar::Uuid => Self::Uuid,
            Scalar::Json => Self::Json,
        }
    }
}

/// As the resource file has it.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list { write!(f, "[{}!]", self.item) } else { self.item.fmt(f) }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowId => f.write_str("the row's id"),
            Self::Reference(table) => write!(f, "a reference to {table}"),
            Self::Enum(name) => f.write_str(name),
            Self::Decimal { precision, scale } => write!(f, "Decimal({precision},{scale})"),
            Self::String => f.write_str("String"),
            Self::Id => f.write_str("ID"),
            Self::Int => f.write_str("Int"),
            Self::BigInt => f.write_str("BigInt"),
            Self::Float => f.write_str("Float"),
            Self::Boolean => f.write_str("Boolean"),
            Self::DateTime => f.write_str("DateTime"),
            Self::Date => f.write_str("Date"),
            Self::Uuid => f.write_str("UUID"),
            Self::Json => f.write_str("JSON"),
        }
    }
}
