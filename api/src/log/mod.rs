//! The log: every committed change in one order.
//!
//! Invariants: a change and its event commit in one transaction; positions are gapless and equal commit order, because
//! [`append`] takes them from a head row whose lock is held until the commit; nobody but the writer appends.
//!
//! - [`event`]: what the log holds
//! - [`append`]: the last statements of a write transaction
//! - [`read`]: from a position onwards
//! - [`hub`]: the one reader of the log in a process
//! - `ring`: what it keeps in memory; `neighbours`: what nodes tell each other
//! - [`cursor`]: the opaque form of a position

pub mod append;
pub mod cursor;
mod departure;
pub mod event;
pub mod hub;
mod neighbours;
pub mod read;
mod ring;

pub use append::{NewEvent, RowWrites};
pub use cursor::{Cursor, CursorError, CursorText};
pub use event::{ChangeKind, Event};
pub use hub::Hub;

use crate::database;

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The position is older than what the log still holds.
    #[error("the position is no longer in the log")]
    Expired,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
}
