//! Catalog → the API: its types, and what runs a request against them.
//!
//! - [`types`]: the types, as SDL
//! - `document`: documents, operations and their values, as the specification has them
//! - `plan`: selections → what to read and how to write it
//! - `debug`: what `extensions.debug` says
//! - `engine`: runs requests; `query`, `nodes`, `mutation`, `changes`, `follower`, `webhooks`: the kinds
//!   of root fields
//! - `group`: subscriptions that share what is rendered

mod changes;
mod core;
mod debug;
pub(crate) mod document;
mod engine;
mod follower;
mod group;
mod input;
mod mutation;
mod nodes;
mod plan;
mod query;
mod renderer;
mod request;
mod tree;
pub mod types;
mod webhooks;

pub use document::ErrorCode;
pub use engine::{Engine, EngineParts, Error};
pub use renderer::Renderer;
pub use request::{Item, OperationKind, Payload, Payloads, Request, Response, Subscribed};

#[cfg(test)]
mod tests;
