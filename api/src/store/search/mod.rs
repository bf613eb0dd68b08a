//! `@search`: which rows hold some words.
//!
//! Texts are cut into words here, once for both databases, so that both find the same rows; the databases only keep and
//! look up words. A word knows its place, so that a phrase can be found.
//!
//! - `words`: text → words
//! - `document`: the words of a row, in the form that each database keeps
//! - `query`: what a caller looks for, and its condition in SQL
//! - `index`: where the words are kept, and the statements that keep them in step with the rows
//!
//! Invariants: the words of a row are written in the transaction of the row; what a caller writes is never syntax, for
//! only words go into the query languages of the databases.
//!
//! Neighbours: `store::read` puts the condition beside the filter of a list, `store::writer` writes words with the rows,
//! and `store::tables` makes, fills and drops what they are kept in.

mod document;
pub(super) mod index;
mod query;
#[cfg(test)]
mod tests;
mod words;

pub(super) use document::Document;
pub use query::{Problem, Search};

/// Of the rules by which texts become words. Another number makes the planner write all words anew.
pub(super) const RULES: u32 = 1;
