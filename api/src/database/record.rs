//! What a statement yields.

use rusqlite::types::Value;
use sqlx::Row;
use uuid::Uuid;

use super::Error;

/// One row of a result. Columns are read by index, as the type that the statement gives them.
pub enum Record {
    /// From SQLite.
    Sqlite(Vec<Value>),
    /// From sqlx.
    Postgres(sqlx::postgres::PgRow),
}

/// A tree of values, as each database gives it best.
#[derive(Debug, Clone, Copy)]
pub enum Whole<'r> {
    /// By PostgreSQL.
    Text(&'r str),
    /// By the functions of SQLite's connections; see [`unpack`](super::unpack).
    Packed(&'r [u8]),
}

impl Record {
    /// A whole number, or null. PostgreSQL: of type bigint.
    pub fn int(&self, index: usize) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => match value(row, index)? {
                Value::Null => Ok(None),
                Value::Integer(int) => Ok(Some(*int)),
                other => Err(unlike(index, "a whole number", other)),
            },
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// A text, or null.
    pub fn text(&self, index: usize) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => match value(row, index)? {
                Value::Null => Ok(None),
                Value::Text(text) => Ok(Some(text.clone())),
                other => Err(unlike(index, "a text", other)),
            },
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// A tree of values, or null.
    pub fn whole(&self, index: usize) -> Result<Option<Whole<'_>>, Error> {
        Ok(match self {
            Self::Sqlite(row) => bytes(row, index)?.map(Whole::Packed),
            Self::Postgres(row) => row.try_get::<Option<&str>, _>(index)?.map(Whole::Text),
        })
    }

    /// A UUID, or null.
    pub fn uuid(&self, index: usize) -> Result<Option<Uuid>, Error> {
        match self {
            Self::Sqlite(row) => {
                let id = bytes(row, index)?.map(Uuid::from_slice).transpose();
                id.map_err(|error| Error::Corrupt(format!("column {index} is no UUID: {error}")))
            }
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// PostgreSQL: the whole number in the last column, never null.
    pub(super) fn last_int(&self) -> Result<i64, Error> {
        let columns = match self {
            Self::Sqlite(row) => row.len(),
            Self::Postgres(row) => row.len(),
        };
        self.need_int(columns.saturating_sub(1))
    }

    /// A whole number that is never null.
    pub fn need_int(&self, index: usize) -> Result<i64, Error> {
        self.int(index)?.ok_or_else(|| missing(index))
    }

    /// A text that is never null.
    pub fn need_text(&self, index: usize) -> Result<String, Error> {
        self.text(index)?.ok_or_else(|| missing(index))
    }

    /// A UUID that is never null.
    pub fn need_uuid(&self, index: usize) -> Result<Uuid, Error> {
        self.uuid(index)?.ok_or_else(|| missing(index))
    }
}

fn value(row: &[Value], index: usize) -> Result<&Value, Error> {
    row.get(index).ok_or_else(|| Error::Other(format!("there is no column {index}")))
}

fn bytes(row: &[Value], index: usize) -> Result<Option<&[u8]>, Error> {
    match value(row, index)? {
        Value::Null => Ok(None),
        Value::Blob(bytes) => Ok(Some(bytes)),
        other => Err(unlike(index, "bytes", other)),
    }
}

fn unlike(index: usize, wanted: &str, value: &Value) -> Error {
    Error::Corrupt(format!("column {index} is not {wanted} but {}", value.data_type()))
}

fn missing(index: usize) -> Error {
    Error::Corrupt(format!("column {index} is null"))
}
