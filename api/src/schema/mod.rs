//! Catalog → the API: its types, and what runs a request against them.
//!
//! - [`types`]: the types, as SDL
//! - `document`: documents, operations and their values, as the specification has them
//! - `plan`: selections → what to read and how to write it
//! - `engine`: runs requests; `query`, `mutation`, `changes`, `subscription`, `follower`: the kinds of root fields

mod changes;
mod core;
pub(crate) mod document;
mod engine;
mod follower;
mod input;
mod mutation;
mod plan;
mod query;
mod request;
mod subscription;
pub mod types;

pub use engine::{Engine, Error};
pub use request::{Item, OperationKind, Request, Response};

#[cfg(test)]
mod tests;
