//! What a statement yields.

use sqlx::Row;
use uuid::Uuid;

use super::Error;

/// One row of a result. Columns are read by index, as the type that the statement gives them.
pub enum Record {
    /// From rusqlite.
    Sqlite(sea_orm_blocking::QueryResult),
    /// From sqlx.
    Postgres(sqlx::postgres::PgRow),
}

/// A tree of values, as each database gives it best.
#[derive(Debug)]
pub enum Whole {
    /// By PostgreSQL.
    Text(String),
    /// By the functions of SQLite's connections; see [`unpack`](super::unpack).
    Packed(Vec<u8>),
}

impl Record {
    /// A whole number, or null. PostgreSQL: of type bigint.
    pub fn int(&self, index: usize) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_by_index(index)?),
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// A text, or null.
    pub fn text(&self, index: usize) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_by_index(index)?),
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// A tree of values, or null.
    pub fn whole(&self, index: usize) -> Result<Option<Whole>, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get_by_index::<Option<Vec<u8>>>(index)?.map(Whole::Packed),
            Self::Postgres(row) => row.try_get::<Option<String>, _>(index)?.map(Whole::Text),
        })
    }

    /// A UUID, or null.
    pub fn uuid(&self, index: usize) -> Result<Option<Uuid>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_by_index(index)?),
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// PostgreSQL: the whole number in the last column, never null.
    pub(super) fn last_int(&self) -> Result<i64, Error> {
        let columns = match self {
            Self::Sqlite(row) => row.column_names().len(),
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

fn missing(index: usize) -> Error {
    Error::Corrupt(format!("column {index} is null"))
}
