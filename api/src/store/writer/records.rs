//! Rows as PostgreSQL takes them: one array for each column, of which a statement makes a table.

use std::sync::Arc;

use crate::catalog::{Datum, Field, FieldId, FieldType, Resource, Row, Scalar, datum};
use crate::database::{Column, Dialect, Element, Sql};
use crate::store::columns;
use crate::store::search::{Document, index};

/// A row, and whether its words are to be written.
pub(super) type Record<'r> = (&'r Arc<Row>, bool);

/// Adds a table `r` of these rows with all columns, and with the words of those where it says so.
pub(super) fn push(sql: &mut Sql, resource: &Resource, rows: &[Record<'_>]) {
    sql.push("(SELECT ");
    sql.list(",", resource.columns(), |sql, (id, field)| {
        push_column(sql, field, column_of(&field.ty, rows.len(), rows.iter().map(|(row, _)| row.get(id))));
    });
    if has_words(sql.dialect(), resource) {
        let mut column = Column::new(Element::Words, rows.len());
        for (row, with_words) in rows {
            match with_words {
                true => column.write(|out| Document::of(resource, row).write_postgres(out)),
                false => column.null(),
            }
        }
        sql.push(",unnest(").bind_column(column).push(") AS ").ident(index::COLUMN);
    }
    sql.push(") AS r");
}

/// Adds the condition that a row `t` has one of these values of a key, as the end of a FROM clause.
pub(super) fn push_keys(sql: &mut Sql, resource: &Resource, fields: &[FieldId], wanted: &[&Row]) {
    let column = |id: FieldId| column_of(&resource.field(id).ty, wanted.len(), wanted.iter().map(|row| row.get(id)));
    if let [id] = fields {
        let field = resource.field(*id);
        sql.push(" WHERE ").column("t", &field.column).push("=ANY(");
        match cast(&field.ty) {
            Some(ty) => sql.push("CAST(").bind_column(column(*id)).push(" AS ").push(&ty).push("[])"),
            None => sql.bind_column(column(*id)),
        };
        sql.push(")");
        return;
    }
    sql.push(" JOIN (SELECT ");
    sql.list(",", fields, |sql, id| push_column(sql, resource.field(*id), column(*id)));
    sql.push(") AS k ON ");
    sql.list(" AND ", fields, |sql, id| {
        let name = &resource.field(*id).column;
        sql.column("t", name).push("=").column("k", name);
    });
}

/// Whether the words of the rows are kept in a column.
pub(super) fn has_words(dialect: Dialect, resource: &Resource) -> bool {
    dialect == Dialect::Postgres && !resource.search.is_empty()
}

fn push_column(sql: &mut Sql, field: &Field, column: Column) {
    match cast(&field.ty) {
        Some(ty) => sql.push("CAST(unnest(").bind_column(column).push(") AS ").push(&ty).push(")"),
        None => sql.push("unnest(").bind_column(column).push(")"),
    };
    sql.push(" AS ").ident(&field.column);
}

/// What a text is cast to that stands for a value of a type with no other way. An integer needs no cast: it becomes one when
/// it is assigned or compared.
fn cast(ty: &FieldType) -> Option<String> {
    let name = columns::postgres_type(ty);
    (element(ty) == Element::Text && name != "text").then_some(name)
}

/// What the values of a column are sent as.
fn element(ty: &FieldType) -> Element {
    match ty {
        FieldType::RowId | FieldType::ToOne { .. } => Element::Uuid,
        FieldType::Enum(_) | FieldType::ScalarList(_) | FieldType::EnumList(_) => Element::Text,
        FieldType::ToMany { .. } => unreachable!("a to-many relation has no column"),
        FieldType::Scalar(scalar) => match scalar {
            Scalar::String | Scalar::Id | Scalar::Decimal { .. } | Scalar::Date | Scalar::Json => Element::Text,
            Scalar::Int | Scalar::BigInt => Element::BigInt,
            Scalar::Float => Element::Double,
            Scalar::Boolean => Element::Boolean,
            Scalar::DateTime => Element::Timestamp,
            Scalar::Uuid => Element::Uuid,
        },
    }
}

fn column_of<'d>(ty: &FieldType, count: usize, data: impl Iterator<Item = &'d Datum>) -> Column {
    let mut column = Column::new(element(ty), count);
    data.for_each(|datum| add(&mut column, ty, datum));
    column
}

fn add(column: &mut Column, ty: &FieldType, datum: &Datum) {
    match datum {
        Datum::Null => column.null(),
        Datum::Bool(value) => column.boolean(*value),
        Datum::Int(value) => column.int(*value),
        Datum::Float(value) => column.double(*value),
        Datum::Text(text) => column.text(text),
        Datum::Decimal(units) => column.write(|out| datum::write_decimal(out, *units, ty.scale())),
        Datum::Instant(micros) => column.instant(*micros),
        Datum::Uuid(id) => column.uuid(*id),
        Datum::Json(_) | Datum::List(_) => column.write(|out| datum.write_image(ty, out)),
    }
}
