//! Rows by id, as the writer and as-of rendering need them.

use std::sync::Arc;

use serde_json::Value;

use super::columns;
use crate::catalog::{Datum, Resource, Row};
use crate::database::{Error, Sql};

/// Adds the whole row as a JSON text, for [`decode`].
pub(super) fn push_text(sql: &mut Sql, alias: &str, resource: &Resource) {
    sql.push("CAST(");
    columns::push_row(sql, alias, resource);
    sql.push(" AS text)");
}

/// Adds ` FROM table AS alias`.
pub(super) fn push_from(sql: &mut Sql, alias: &str, resource: &Resource) {
    sql.push(" FROM ").ident(&resource.prefix).push(" AS ").push(alias);
}

/// Reads what [`push_text`] yields.
pub(super) fn decode(resource: &Resource, text: &str) -> Result<Arc<Row>, Error> {
    let corrupt = || Error::Corrupt(format!("a row of {} does not fit the resource file", resource.prefix));
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| corrupt())?;
    let mut values = values.iter();
    let mut row = Vec::with_capacity(resource.fields.len());
    for field in &resource.fields {
        row.push(match field.is_column() {
            true => values.next().and_then(|v| Datum::from_image(&field.ty, v)).ok_or_else(corrupt)?,
            false => Datum::Null,
        });
    }
    Ok(Arc::new(Row(row)))
}
