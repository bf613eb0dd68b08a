//! Tests against many values.
//!
//! A statement binds a limited number of values, SQLite 32,766. So a long list is bound as one JSON document, and so are
//! the items that a list field is tested for.

use serde_json::Value;

use crate::catalog::datum::format_instant;
use crate::catalog::filter::Test;
use crate::catalog::{Datum, Field, FieldType, Filter, Scalar};
use crate::database::{Dialect, Sql};
use crate::store::columns;

/// From so many values on a list is bound as one. Of few, the databases see what they are and plan better.
const LONG_LIST: usize = 32;

/// How many values the statement of a filter binds.
pub fn bound_values(filter: &Filter) -> usize {
    match filter {
        Filter::Const(_) => 0,
        Filter::And(filters) | Filter::Or(filters) => filters.iter().map(bound_values).sum(),
        Filter::Not(filter) | Filter::Related(_, filter) | Filter::Exists(_, filter) => bound_values(filter),
        Filter::Field(_, test) => match test {
            Test::IsNull(_) | Test::IsEmpty(_) => 0,
            // Some text tests bind theirs twice.
            Test::Compare(..) | Test::Text(..) => 2,
            Test::HasEvery(values) | Test::HasSome(values) => {
                if has_floats(values) {
                    values.len()
                } else {
                    1
                }
            }
            Test::In(values) | Test::NotIn(values) if is_bound_as_one(values) => 1,
            Test::In(values) | Test::NotIn(values) => values.len(),
        },
    }
}

/// SQLite reads a float from JSON not as exactly as it compares it.
fn is_bound_as_one(values: &[Datum]) -> bool {
    values.len() >= LONG_LIST && !has_floats(values)
}

fn has_floats(values: &[Datum]) -> bool {
    values.iter().any(|value| matches!(value, Datum::Float(_)))
}

/// Equal to one of these, or not null and equal to none of these.
pub(super) fn push_in(sql: &mut Sql, alias: &str, field: &Field, values: &[Datum], is_in: bool) {
    if values.is_empty() {
        if is_in {
            sql.push("(1=0)");
        } else {
            sql.column(alias, &field.column).push(" IS NOT NULL");
        }
        return;
    }
    sql.column(alias, &field.column);
    if !is_bound_as_one(values) {
        sql.push(if is_in { " IN (" } else { " NOT IN (" });
        sql.list(",", values, |sql, value| {
            sql.bind_datum(&field.ty, value);
        });
        sql.push(")");
        return;
    }
    let document: Value = values.iter().map(|value| comparable(sql.dialect(), &field.ty, value)).collect();
    let document = document.to_string();
    match sql.dialect() {
        Dialect::Sqlite => {
            let is_blob =
                matches!(field.ty, FieldType::RowId | FieldType::ToOne { .. } | FieldType::Scalar(Scalar::Uuid));
            sql.push(if is_in { " IN (SELECT " } else { " NOT IN (SELECT " });
            sql.push(if is_blob { "unhex(value)" } else { "value" });
            sql.push(" FROM json_each(").bind(document).push("))");
        }
        Dialect::Postgres => {
            sql.push(if is_in { "=ANY(" } else { "<>ALL(" });
            sql.push("ARRAY(SELECT CAST(json_array_elements_text(CAST(").bind(document);
            sql.push(" AS json)) AS ").push(&columns::postgres_type(&field.ty)).push(")))");
        }
    }
}

/// A value in JSON, in the form in which the database holds it or reads it from a text.
fn comparable(dialect: Dialect, ty: &FieldType, value: &Datum) -> Value {
    match (dialect, value) {
        (Dialect::Sqlite, Datum::Decimal(units)) => Value::from(*units),
        (Dialect::Sqlite, Datum::Uuid(id)) => Value::String(id.simple().to_string()),
        (Dialect::Postgres, Datum::Instant(micros)) => Value::String(format_instant(*micros)),
        _ => value.to_image(ty),
    }
}

/// A list that has all of these items. A list field holds its items as they stand in its image.
pub(super) fn push_has_every(sql: &mut Sql, alias: &str, field: &Field, values: &[Datum]) {
    let wanted = Datum::List(values.to_vec());
    match sql.dialect() {
        Dialect::Sqlite if has_floats(values) => push_floats(sql, alias, field, values, " AND "),
        Dialect::Sqlite => {
            sql.push("(").column(alias, &field.column).push(" IS NOT NULL AND NOT EXISTS(SELECT 1 FROM json_each(");
            sql.bind(wanted.image_text(&field.ty))
                .push(") AS wanted WHERE wanted.value NOT IN (SELECT value FROM json_each(");
            sql.column(alias, &field.column).push("))))");
        }
        Dialect::Postgres => {
            sql.column(alias, &field.column).push(" @> ").bind_datum(&field.ty, &wanted);
        }
    }
}

/// A list that has at least one of these items.
pub(super) fn push_has_some(sql: &mut Sql, alias: &str, field: &Field, values: &[Datum]) {
    let wanted = Datum::List(values.to_vec());
    match sql.dialect() {
        Dialect::Sqlite if has_floats(values) => push_floats(sql, alias, field, values, " OR "),
        // Limited, as every EXISTS for SQLite is.
        Dialect::Sqlite => {
            sql.push("EXISTS(SELECT 1 FROM json_each(").column(alias, &field.column);
            sql.push(") AS item WHERE item.value IN (SELECT value FROM json_each(").bind(wanted.image_text(&field.ty));
            sql.push(")) LIMIT 1)");
        }
        Dialect::Postgres => {
            sql.push("EXISTS(SELECT 1 FROM jsonb_array_elements(").bind_datum(&field.ty, &wanted);
            sql.push(") AS wanted(item) WHERE ")
                .column(alias, &field.column)
                .push(" @> jsonb_build_array(wanted.item))");
        }
    }
}

/// A list of floats has each (or any) of these.
fn push_floats(sql: &mut Sql, alias: &str, field: &Field, values: &[Datum], separator: &str) {
    super::push_all(sql, separator, values, &mut |sql, value| {
        sql.push("tandem_has_float(").column(alias, &field.column).push(",");
        match value {
            Datum::Float(float) => sql.bind(*float),
            _ => sql.push("NULL"),
        };
        sql.push(")");
    });
}
