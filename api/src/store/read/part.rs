//! The text form in which statements give rows: parts, one after the other.
//!
//! JSON that the database builds costs it two thirds of a nested statement, and reading it again costs as much as all
//! else here. So a statement joins plain parts by commas, as the shape says, and `decode` takes them apart:
//!
//! | what | as text |
//! |---|---|
//! | a number, boolean, date, time or UUID | as the database writes it; `!` for null |
//! | any other text | its length in bytes, a comma, the text; the length -1 alone for null |
//! | an object | its slots, behind `1` if it is marked; `!` for none at all |
//! | a number about many rows | as `aggregate` says |
//! | a group | its keys, its numbers, its slots |
//! | a list | its rows with semicolons between and a comma behind, if there are any; `]`; the number of all rows, numbers about them, groups in brackets: what of these is wanted |
//!
//! No part but a text holds a comma, a semicolon or a bracket, and of a text the length is known, so nothing is escaped. An
//! object is marked if it has no slots, or if its first one could be taken for the end of a list or for no object.

use super::shape::{Shape, Slot};
use crate::catalog::{Catalog, FieldType, Scalar};
use crate::database::{Dialect, Sql};

/// Arguments of one function. PostgreSQL takes at most 100.
const MAX_ARGUMENTS: usize = 90;

/// Joins parts: `concat_ws(',', …)`, nested if there are too many for one call.
pub(super) struct Joined {
    is_nested: bool,
    arguments: usize,
}

impl Joined {
    /// Begins, for so many arguments at most.
    pub(super) fn open(sql: &mut Sql, arguments: usize) -> Self {
        let is_nested = arguments > MAX_ARGUMENTS;
        sql.push(if is_nested { "concat_ws(',',concat_ws(','" } else { "concat_ws(','" });
        Self { is_nested, arguments: 0 }
    }

    /// To be called before a part of so many arguments.
    pub(super) fn next<'s>(&mut self, sql: &'s mut Sql, arguments: usize) -> &'s mut Sql {
        if self.is_nested && self.arguments + arguments > MAX_ARGUMENTS {
            sql.push("),concat_ws(','");
            self.arguments = 0;
        }
        self.arguments += arguments;
        sql.push(",")
    }

    /// Ends.
    pub(super) fn close(self, sql: &mut Sql) {
        sql.push(if self.is_nested { "))" } else { ")" });
    }
}

/// Whether values of this type are given with their length.
pub(super) fn is_sized(ty: &FieldType) -> bool {
    match ty {
        FieldType::RowId | FieldType::ToOne { .. } | FieldType::ToMany { .. } => false,
        FieldType::Enum(_) | FieldType::ScalarList(_) | FieldType::EnumList(_) => true,
        FieldType::Scalar(scalar) => match scalar {
            Scalar::String | Scalar::Id | Scalar::Json => true,
            Scalar::Int
            | Scalar::Float
            | Scalar::Boolean
            | Scalar::BigInt
            | Scalar::Decimal { .. }
            | Scalar::DateTime
            | Scalar::Date
            | Scalar::Uuid => false,
        },
    }
}

/// How many arguments a value of this type takes.
pub(super) fn arguments(ty: &FieldType) -> usize {
    if is_sized(ty) { 2 } else { 1 }
}

/// Whether objects of this shape begin with a mark of their own.
pub(super) fn is_marked(catalog: &Catalog, shape: &Shape) -> bool {
    match shape.slots.first() {
        Some(Slot::Column(field)) => {
            let field = catalog.resource(shape.resource).field(*field);
            field.nullable && !is_sized(&field.ty)
        }
        Some(Slot::Test(_)) => false,
        Some(Slot::ToOne { .. } | Slot::List(_)) | None => true,
    }
}

/// Adds the arguments of a value, which `value` adds as an expression of the column's type.
pub(super) fn push(sql: &mut Sql, ty: &FieldType, is_nullable: bool, value: impl Fn(&mut Sql)) {
    let wrapped = |sql: &mut Sql, before: &str, after: &str| {
        sql.push(before);
        value(sql);
        sql.push(after);
    };
    if is_sized(ty) {
        push_length(sql, ty, is_nullable, &value);
        // Of a null, nothing is joined.
        return wrapped(sql, ",", "");
    }
    let is_uuid = matches!(ty, FieldType::RowId | FieldType::ToOne { .. } | FieldType::Scalar(Scalar::Uuid));
    let is_float = *ty == FieldType::Scalar(Scalar::Float);
    match (sql.dialect(), is_nullable) {
        (Dialect::Sqlite, false) if is_uuid => wrapped(sql, "hex(", ")"),
        // `hex(NULL)` is an empty text.
        (Dialect::Sqlite, true) if is_uuid => wrapped(sql, "ifnull(nullif(hex(", "),''),'!')"),
        // SQLite gives 15 digits of a float by itself; 17 are needed to read the same one again.
        (Dialect::Sqlite, false) if is_float => wrapped(sql, "tandem_float(", ")"),
        (Dialect::Sqlite, true) if is_float => wrapped(sql, "ifnull(tandem_float(", "),'!')"),
        (Dialect::Sqlite, true) => wrapped(sql, "ifnull(", ",'!')"),
        (Dialect::Postgres, true) => wrapped(sql, "coalesce(CAST(", " AS text),'!')"),
        (Dialect::Sqlite | Dialect::Postgres, false) => value(sql),
    }
}

fn push_length(sql: &mut Sql, ty: &FieldType, is_nullable: bool, value: impl Fn(&mut Sql)) {
    let as_text = sql.dialect() == Dialect::Postgres && !is_text(ty);
    let (before, after) = if as_text { ("octet_length(CAST(", " AS text))") } else { ("octet_length(", ")") };
    sql.push(if is_nullable { "coalesce(" } else { "" }).push(before);
    value(sql);
    sql.push(after).push(if is_nullable { ",-1)" } else { "" });
}

/// Adds the arguments of a column of a joined row, all of them null if its column `id` is: then there is no row. Each argument
/// that says something of a null value has to be kept from doing so.
pub(super) fn push_joined(sql: &mut Sql, ty: &FieldType, is_nullable: bool, (alias, id): (&str, &str), column: &str) {
    let value = |sql: &mut Sql| {
        sql.column(alias, column);
    };
    if !is_nullable {
        return push(sql, ty, false, value);
    }
    sql.push("CASE WHEN ").column(alias, id).push(" IS NOT NULL THEN ");
    if !is_sized(ty) {
        push(sql, ty, true, value);
        sql.push(" END");
        return;
    }
    push_length(sql, ty, true, value);
    sql.push(" END,");
    value(sql);
}

/// Whether PostgreSQL holds it as text.
fn is_text(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Enum(_) | FieldType::Scalar(Scalar::String | Scalar::Id))
}
