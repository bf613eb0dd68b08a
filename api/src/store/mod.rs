//! The catalog's rows in the database: how they are read, predicated and written.

mod as_of;
mod columns;
mod predicate;
pub mod read;
mod rows;
pub mod validate;
pub mod writer;

pub use as_of::{AsOf, EventImages};
pub use writer::Writer;
