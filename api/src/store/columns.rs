//! How a column is read: as an item of a JSON array, in a form that [`Datum::from_image`](crate::catalog::Datum)
//! understands and that loses nothing.

use crate::catalog::{Field, FieldType, Resource, Scalar};
use crate::database::{Dialect, Sql, postgres_list};

/// Adds the expression of a column's value as JSON.
pub(super) fn push_json(sql: &mut Sql, alias: &str, field: &Field) {
    let column = |sql: &mut Sql| {
        sql.column(alias, &field.column);
    };
    let wrapped = |sql: &mut Sql, before: &str, after: &str| {
        sql.push(before);
        column(sql);
        sql.push(after);
    };
    match (sql.dialect(), &field.ty) {
        // JSON knows no blobs.
        (Dialect::Sqlite, FieldType::RowId | FieldType::ToOne { .. } | FieldType::Scalar(Scalar::Uuid)) => {
            // `hex(NULL)` is an empty text.
            wrapped(sql, "lower(nullif(hex(", "),''))");
        }
        // JSON that SQLite writes keeps 15 digits of a float; 17 are needed to read the same one again.
        (Dialect::Sqlite, FieldType::Scalar(Scalar::Float)) => wrapped(sql, "tandem_float(", ")"),
        (Dialect::Sqlite, FieldType::Scalar(Scalar::Json) | FieldType::ScalarList(_) | FieldType::EnumList(_)) => {
            wrapped(sql, "json(", ")")
        }
        (Dialect::Postgres, FieldType::Scalar(Scalar::DateTime)) => {
            wrapped(sql, "CAST(extract(epoch from ", ")*1000000 AS bigint)");
        }
        (Dialect::Postgres, FieldType::Scalar(Scalar::Decimal { .. })) => wrapped(sql, "CAST(", " AS text)"),
        _ => column(sql),
    }
}

/// Adds a JSON array of all columns of a resource, in order: what [`super::decode_row`] reads.
pub(super) fn push_row(sql: &mut Sql, alias: &str, resource: &Resource) {
    sql.push(array_function(sql.dialect()));
    sql.push("(");
    sql.list(",", resource.columns(), |sql, (_, field)| push_json(sql, alias, field));
    sql.push(")");
}

/// The function that makes a JSON array of its arguments. PostgreSQL takes at most 100.
pub(super) fn array_function(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "json_array",
        Dialect::Postgres => "json_build_array",
    }
}

/// The type of a column of PostgreSQL.
pub(super) fn postgres_type(ty: &FieldType) -> String {
    match ty {
        FieldType::RowId | FieldType::ToOne { .. } => "uuid".to_owned(),
        FieldType::Enum(_) => "text".to_owned(),
        FieldType::ScalarList(_) | FieldType::EnumList(_) => postgres_list(ty).to_owned(),
        FieldType::ToMany { .. } => unreachable!("a to-many relation has no column"),
        FieldType::Scalar(scalar) => match scalar {
            Scalar::String | Scalar::Id => "text".to_owned(),
            Scalar::Int => "integer".to_owned(),
            Scalar::Float => "double precision".to_owned(),
            Scalar::Boolean => "boolean".to_owned(),
            Scalar::BigInt => "bigint".to_owned(),
            Scalar::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
            Scalar::DateTime => "timestamptz".to_owned(),
            Scalar::Date => "date".to_owned(),
            Scalar::Uuid => "uuid".to_owned(),
            Scalar::Json => "json".to_owned(),
        },
    }
}
