//! What every request works with.

use std::sync::Arc;

use super::document::{Documents, ErrorCode, GraphqlError};
use crate::catalog::Catalog;
use crate::database::{self, Database};
use crate::log::hub::PositionError;
use crate::log::{CursorError, Hub};
use crate::store::{AsOf, Writer, as_of, writer};

/// The parts of the engine. They live as long as the server.
pub(crate) struct Core {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) documents: Documents,
    pub(crate) database: Database,
    pub(crate) writer: Writer,
    pub(crate) hub: Hub,
    pub(crate) as_of: AsOf,
}

/// A failed read. The cause goes to the log, not to the client.
pub(crate) fn database_error(error: &database::Error) -> GraphqlError {
    if let database::Error::TimedOut(_) = error {
        tracing::warn!(%error, "a request was too much for the database");
        let message = "The database took too long. Ask for less, or filter and order by fields with an index.";
        return GraphqlError::new(ErrorCode::Timeout, message);
    }
    tracing::error!(%error, "a request failed in the database");
    GraphqlError::new(ErrorCode::Internal, "The server could not read its database. Try again.")
}

/// An event whose related rows cannot be told.
pub(crate) fn as_of_error(error: &as_of::Error) -> GraphqlError {
    match error {
        as_of::Error::Database(error) => database_error(error),
        as_of::Error::TooManyRows => GraphqlError::new(ErrorCode::CostLimitExceeded, format!("{error}.")),
    }
}

/// A cursor that is refused.
pub(crate) fn position_error(error: &PositionError) -> GraphqlError {
    match error {
        PositionError::Cursor(error) => {
            let code = match error {
                CursorError::Invalid => ErrorCode::CursorInvalid,
                CursorError::Expired => ErrorCode::CursorExpired,
            };
            GraphqlError::new(code, error.to_string())
        }
        PositionError::Database(error) => database_error(error),
    }
}

/// A write without an outcome.
pub(crate) fn writer_error(error: &writer::Error) -> GraphqlError {
    match error {
        writer::Error::Busy => {
            let message = "Too many writes are waiting. Nothing was written; try again in a moment.";
            GraphqlError::new(ErrorCode::RateLimited, message)
        }
        writer::Error::Closed => {
            let message = "The server is shutting down. Nothing was written; try again in a moment.";
            GraphqlError::new(ErrorCode::Internal, message)
        }
        writer::Error::Database(error) if matches!(**error, database::Error::TimedOut(_)) => {
            tracing::warn!(%error, "the filter of a mutation was too much for the database");
            let message = "It took too long to find the rows. Nothing was written; filter by fields with an index.";
            GraphqlError::new(ErrorCode::Timeout, message)
        }
        writer::Error::Database(error) => {
            tracing::error!(%error, "a mutation failed in the database");
            let message = "The server could not write to its database. Nothing was written; try again.";
            GraphqlError::new(ErrorCode::Internal, message)
        }
        writer::Error::InDoubt(error) => {
            tracing::error!(%error, "it is not known what became of a mutation");
            let message = "The server lost its database while it wrote: this was written as a whole, or not at all. \
                           Try again with the same idempotencyKey, or look first.";
            GraphqlError::new(ErrorCode::Internal, message)
        }
    }
}
