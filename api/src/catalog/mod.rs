//! The catalog: every resource of the resource file, parsed and checked, immutable while the server runs.
//!
//! It knows no SQL and no GraphQL execution. Everything above reads it: `store` makes tables and statements of it,
//! `schema` makes the API of it, `auth` evaluates its rules.
//!
//! - [`model`]: resources, fields, keys, rules
//! - [`datum`]: one typed value of a field, its order and its JSON forms
//! - [`filter`]: a predicate over rows, shared by queries, subscriptions, webhooks and access rules
//! - [`image`]: one row, and a row with the related rows that a predicate or a rendering needs
//! - [`type_id`]: public ids (`product_01h…`)

pub mod datum;
pub mod filter;
pub mod image;
pub mod model;
pub mod type_id;

pub use datum::Datum;
pub use filter::Filter;
pub use image::{Image, Needs, Row};
pub use model::*;
