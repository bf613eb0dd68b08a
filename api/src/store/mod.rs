//! The catalog's rows in the database: their tables, and how rows are read, predicated and written.

pub mod as_of;
mod columns;
mod predicate;
pub mod read;
mod rows;
pub mod search;
pub mod statistics;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod turn;
pub mod validate;
pub mod writer;

pub use as_of::{AsOf, EventImages};
pub use predicate::bound_values;
pub use writer::Writer;
