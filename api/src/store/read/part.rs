//! The form in which statements give trees: parts, one after the other.
//!
//! JSON that the database builds costs it two thirds of a nested statement, and reading it again costs as much as all
//! else here. So a statement joins plain parts, as the shape says, and `decode` takes them apart. PostgreSQL joins them to
//! one text; SQLite, which is in this process, packs its values as they are ([`Packed`](crate::database::Packed)).
//!
//! | what | PostgreSQL, as text | SQLite, packed |
//! |---|---|---|
//! | a number, boolean, date, time or UUID | as the database writes it; `!` for null | the value |
//! | any other text | its length in bytes, a comma, the text; the length -1 alone for null | the value |
//! | an object | its slots, behind `1` if it is marked; `!` for none at all | its slots, packed; null for none at all |
//! | an object that is spread | the same | its slots; all null for none at all, and a mark in front if that leaves a doubt |
//! | a number about many rows | as `aggregate` says | as `aggregate` says |
//! | a group | its keys, its numbers, its slots | the same |
//! | a list | its rows with semicolons between and a comma behind, if there are any; `]`; the number of all rows, numbers about them, groups in brackets: what of these is wanted | its rows, packed, or null; the number of all rows; what is said of them, packed |
//!
//! In a text there are commas between parts. No part but a text of a given length holds a comma, a semicolon or a bracket, so
//! nothing is escaped. An object is marked if it has no slots, or if its first one could be taken for the end of a list or for
//! no object; packed, if it has no slots.
//!
//! A to-one row is *spread* if its parts stand among those of the row that points at it, which saves a value for each row.

use super::shape::{Shape, Slot};
use crate::catalog::{Catalog, FieldType, Scalar};
use crate::database::{Dialect, Sql};

/// Arguments of one function. PostgreSQL takes at most 100.
const MAX_ARGUMENTS: usize = 90;

/// Arguments of a to-one row that is spread. All of a slot's have to fit into one call.
const MAX_SPREAD_ARGUMENTS: usize = 30;

/// To-one rows of one row that are spread: each of them is joined, and SQLite joins at most 64 tables and takes at most
/// 1,000 arguments.
const MAX_SPREAD: usize = 20;

/// What is made of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The parts of one thing.
    One,
    /// On SQLite, those of each row. PostgreSQL joins those of one row, and then the rows.
    Rows,
}

/// Joins parts: `concat_ws(',', …)`, nested if there are too many for one call; `tandem_parts(…)` and `tandem_rows(…)`.
pub(super) struct Joined {
    is_nested: bool,
    is_empty: bool,
    arguments: usize,
}

impl Joined {
    /// Begins, for so many arguments at most.
    pub(super) fn open(sql: &mut Sql, of: Of, arguments: usize) -> Self {
        let is_nested = sql.dialect() == Dialect::Postgres && arguments > MAX_ARGUMENTS;
        sql.push(match (sql.dialect(), of) {
            (Dialect::Sqlite, Of::One) => "tandem_parts(",
            (Dialect::Sqlite, Of::Rows) => "tandem_rows(",
            (Dialect::Postgres, Of::One | Of::Rows) if is_nested => "concat_ws(',',concat_ws(','",
            (Dialect::Postgres, Of::One | Of::Rows) => "concat_ws(','",
        });
        Self { is_nested, is_empty: true, arguments: 0 }
    }

    /// To be called before a part of so many arguments.
    pub(super) fn next<'s>(&mut self, sql: &'s mut Sql, arguments: usize) -> &'s mut Sql {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        if sql.dialect() == Dialect::Sqlite {
            return sql.push(if is_first { "" } else { "," });
        }
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

/// The slots of a row, each with whether it is a to-one row that is spread. Only rows of columns alone are.
pub(super) fn slots<'s>(catalog: &Catalog, shape: &'s Shape) -> impl Iterator<Item = (&'s Slot, bool)> {
    let mut spread = 0;
    shape.slots.iter().map(move |slot| {
        let can_be = matches!(slot, Slot::ToOne { shape, .. } if spread_arguments(catalog, shape).is_some());
        let is_spread = can_be && spread < MAX_SPREAD;
        spread += usize::from(is_spread);
        (slot, is_spread)
    })
}

/// How many arguments a to-one row takes if it is spread; `None` if it cannot be.
pub(super) fn spread_arguments(catalog: &Catalog, shape: &Shape) -> Option<usize> {
    if shape.slots.is_empty() || shape.columns().count() < shape.slots.len() {
        return None;
    }
    let resource = catalog.resource(shape.resource);
    let columns = shape.columns().map(|field| arguments(&resource.field(field).ty)).sum::<usize>();
    // One more says whether there is a row.
    Some(columns + 1).filter(|arguments| *arguments <= MAX_SPREAD_ARGUMENTS)
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
pub(super) fn is_marked(dialect: Dialect, catalog: &Catalog, shape: &Shape) -> bool {
    match (dialect, shape.slots.first()) {
        (_, None) => true,
        (Dialect::Sqlite, Some(_)) => false,
        (Dialect::Postgres, Some(Slot::Column(field))) => {
            let field = catalog.resource(shape.resource).field(*field);
            field.nullable && !is_sized(&field.ty)
        }
        (Dialect::Postgres, Some(Slot::Test(_))) => false,
        (Dialect::Postgres, Some(Slot::ToOne { .. } | Slot::List(_))) => true,
    }
}

/// Whether a packed row that is spread has a mark in front: its first value may be null though there is a row.
pub(super) fn is_spread_marked(catalog: &Catalog, shape: &Shape) -> bool {
    shape.columns().next().is_none_or(|field| catalog.resource(shape.resource).field(field).nullable)
}

/// Adds the arguments of a value, which `value` adds as an expression of the column's type.
pub(super) fn push(sql: &mut Sql, ty: &FieldType, is_nullable: bool, value: impl Fn(&mut Sql)) {
    let wrapped = |sql: &mut Sql, before: &str, after: &str| {
        sql.push(before);
        value(sql);
        sql.push(after);
    };
    match (sql.dialect(), is_nullable) {
        (Dialect::Sqlite, _) => value(sql),
        (Dialect::Postgres, _) if is_sized(ty) => {
            push_length(sql, ty, is_nullable, &value);
            // Of a null, nothing is joined.
            wrapped(sql, ",", "");
        }
        (Dialect::Postgres, true) => wrapped(sql, "coalesce(CAST(", " AS text),'!')"),
        (Dialect::Postgres, false) => value(sql),
    }
}

/// PostgreSQL alone.
fn push_length(sql: &mut Sql, ty: &FieldType, is_nullable: bool, value: impl Fn(&mut Sql)) {
    let (before, after) = if is_text(ty) { ("octet_length(", ")") } else { ("octet_length(CAST(", " AS text))") };
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
    if sql.dialect() == Dialect::Sqlite || !is_nullable {
        return push(sql, ty, is_nullable, value);
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
