//! A table of values within a statement: what several rows are written from, or matched with.
//!
//! On PostgreSQL it is an array for each column, so one text serves any number of rows and its plan is kept. On SQLite it
//! is a list of rows, whose text depends on their number: whoever has many cuts them into a few sizes. It has a limit, for
//! otherwise SQLite takes it for a large table, and may go through a really large one to look each of its rows up in this.

use sea_orm::Value;
use uuid::Uuid;

use super::{Column, Dialect, Element, Sql};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Of a column of [`Element::Uuid`].
    Uuid(Option<Uuid>),
    /// Of a column of [`Element::BigInt`].
    Int(Option<i64>),
    /// Of a column of [`Element::Text`].
    Text(Option<String>),
}

impl Cell {
    fn add_to(self, column: &mut Column) {
        match self {
            Self::Uuid(Some(id)) => column.uuid(id),
            Self::Int(Some(int)) => column.int(int),
            Self::Text(Some(text)) => column.text(&text),
            Self::Uuid(None) | Self::Int(None) | Self::Text(None) => column.null(),
        }
    }
}

impl From<Cell> for Value {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Uuid(id) => id.into(),
            Cell::Int(int) => int.into(),
            Cell::Text(text) => text.into(),
        }
    }
}

impl From<Uuid> for Cell {
    fn from(id: Uuid) -> Self {
        Self::Uuid(Some(id))
    }
}

impl From<Option<Uuid>> for Cell {
    fn from(id: Option<Uuid>) -> Self {
        Self::Uuid(id)
    }
}

impl From<i64> for Cell {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}

impl From<Option<i64>> for Cell {
    fn from(int: Option<i64>) -> Self {
        Self::Int(int)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl Sql {
    /// Adds `(…) AS v`: a table with these rows, at least one, and with columns `column1`, `column2` … of these types.
    pub fn push_table<const N: usize>(&mut self, elements: [Element; N], rows: impl Iterator<Item = [Cell; N]>) {
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
                let mut columns = elements.map(|element| Column::new(element, rows.size_hint().0));
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
