//! Connections and statements: the one place that knows how each database is driven.
//!
//! Nothing here knows resources or the log; `log` and `store` build their statements with [`Sql`] and run them here.

mod checkpointer;
mod column;
mod connection;
mod error;
mod float_sum;
mod lock;
mod look_up;
mod packed;
mod record;
mod session;
mod sessions;
mod shared_reads;
mod sql;
mod sqlite;
mod time_limit;
mod turns;
mod values;
mod writer_connection;

pub use column::{Column, Element};
pub use connection::Database;
pub use error::Error;
pub use lock::FileLock;
pub use packed::{Packed, unpack};
pub use record::{Record, Whole};
pub use sql::{Dialect, Sql, postgres_list};
pub use values::Cell;
pub use writer_connection::{NotCommitted, Transaction, WriterConnection};

#[cfg(test)]
pub(crate) use packed::tests::packed;
