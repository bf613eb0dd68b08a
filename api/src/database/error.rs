//! What can go wrong in the database.

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::ErrorKind;

/// A failed statement. The cause goes to the log, never to a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A unique key already has this value.
    #[error("a unique key is violated: {0}")]
    Unique(String),
    /// A foreign key points nowhere, or would after a delete.
    #[error("a foreign key is violated: {0}")]
    ForeignKey(String),
    /// Another transaction was in the way (deadlock, serialisation): the same work may succeed when it is tried again.
    #[error("in conflict with another transaction: {0}")]
    Conflict(String),
    /// It worked on a statement for as long as it may. The statement has changed nothing.
    #[error("the database took too long: {0}")]
    TimedOut(String),
    /// The database could not be reached.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// What the database holds is not what Tandem wrote.
    #[error("unexpected data in the database: {0}")]
    Corrupt(String),
    /// Anything else.
    #[error("database error: {0}")]
    Other(String),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable(error.to_string()),
            DbErr::Query(RuntimeErr::SqlxError(cause)) | DbErr::Exec(RuntimeErr::SqlxError(cause)) => {
                Self::of_sqlx(cause)
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of_sqlx(&error)
    }
}

impl Error {
    fn of_sqlx(error: &sqlx::Error) -> Self {
        let text = error.to_string();
        match error {
            sqlx::Error::Database(error) => match (error.kind(), error.code().as_deref()) {
                (ErrorKind::UniqueViolation, _) => Self::Unique(text),
                (ErrorKind::ForeignKeyViolation, _) => Self::ForeignKey(text),
                // deadlock_detected, serialization_failure
                (_, Some("40P01" | "40001")) => Self::Conflict(text),
                // query_canceled, as by statement_timeout
                (_, Some("57014")) => Self::TimedOut(text),
                // admin_shutdown, crash_shutdown, cannot_connect_now
                (_, Some("57P01" | "57P02" | "57P03")) => Self::Unavailable(text),
                _ => Self::Other(text),
            },
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Unavailable(text),
            _ => Self::Other(text),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let text = error.to_string();
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Self::Unique(text),
            Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Self::ForeignKey(text),
            _ => Self::Other(text),
        }
    }
}

impl From<entity::ids::NegativePosition> for Error {
    fn from(error: entity::ids::NegativePosition) -> Self {
        Self::Corrupt(error.to_string())
    }
}
