//! A table of values within a statement: what several rows are written from, or matched with.
//!
//! On PostgreSQL it is an array for each column, so one text serves any number of rows and its plan is kept. On SQLite it
//! is a list of rows, whose text depends on their number: whoever has many cuts them into a few sizes. It has a limit, for
//! otherwise SQLite takes it for a large table, and may go through a really large one to look each of its rows up in this.

use std::borrow::Cow;

use sea_orm::Value;
use uuid::Uuid;

use super::{Column, Dialect, Element, Sql};

/// One value. A text may be somebody else's: on PostgreSQL it is then copied once, into the array.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Of a column of [`Element::Uuid`].
    Uuid(Option<Uuid>),
    /// Of a column of [`Element::BigInt`].
    Int(Option<i64>),
    /// Of a column of [`Element::Text`].
    Text(Option<Cow<'a, str>>),
}

impl Cell<'_> {
    /// How many bytes a text has; 0 if it is none.
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len(),
            Self::Uuid(_) | Self::Int(_) | Self::Text(None) => 0,
        }
    }

    fn add_to(self, column: &mut Column) {
        match self {
            Self::Uuid(Some(id)) => column.uuid(id),
            Self::Int(Some(int)) => column.int(int),
            Self::Text(Some(text)) => column.text(&text),
            Self::Uuid(None) | Self::Int(None) | Self::Text(None) => column.null(),
        }
    }
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Uuid(id) => id.into(),
            Cell::Int(int) => int.into(),
            Cell::Text(text) => text.map(Cow::into_owned).into(),
        }
    }
}

impl From<Uuid> for Cell<'_> {
    fn from(id: Uuid) -> Self {
        Self::Uuid(Some(id))
    }
}

impl From<Option<Uuid>> for Cell<'_> {
    fn from(id: Option<Uuid>) -> Self {
        Self::Uuid(id)
    }
}

impl From<i64> for Cell<'_> {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(int: Option<i64>) -> Self {
        Self::Int(int)
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}

impl Sql {
    /// Adds `(…) AS v`: a table with these rows, at least one, and with columns `column1`, `column2` … of these types.
    pub fn push_table<'a, const N: usize>(
        &mut self,
        elements: [Element; N],
        rows: impl Iterator<Item = [Cell<'a>; N]>,
    ) {
        match self.dialect() {
            Dialect::Sqlite => {
                let mut count = 0_usize;
                self.push("(SELECT * FROM (VALUES ");
                self.list(", ", rows, |sql, row| {
                    count += 1;
                    sql.push("(");
                    sql.list(", ", row, |sql, cell| {
                        sql.bind(cell);
                    });
                    sql.push(")");
                });
                self.push(") LIMIT ").push(&count.to_string()).push(") AS v");
            }
            Dialect::Postgres => {
                let rows: Vec<_> = rows.collect();
                let mut columns = elements.map(|element| Column::new(element, rows.len()));
                for (i, column) in columns.iter_mut().enumerate() {
                    column.reserve(rows.iter().map(|row| row[i].text_bytes()).sum());
                }
                for row in rows {
                    row.into_iter().zip(&mut columns).for_each(|(cell, column)| cell.add_to(column));
                }
                self.push("(SELECT ");
                self.list(", ", columns.into_iter().enumerate(), |sql, (i, column)| {
                    sql.push("unnest(").bind_column(column).push(") AS column").push(&(i + 1).to_string());
                });
                self.push(") AS v");
            }
        }
    }
}
