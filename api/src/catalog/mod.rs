//! The catalog: every resource of the resource file, parsed and checked, immutable while the server runs.
//!
//! It knows no SQL and no GraphQL execution. Everything above reads it: `store` makes tables and statements of it,
//! `schema` makes the API of it, `auth` evaluates its rules.
//!
//! - [`parse()`]: text → catalog, or [`Diagnostics`]
//! - [`model`]: resources, fields, keys, rules
//! - [`names`]: what follows from the names in the file: tables, columns, root fields
//! - [`constraint`]: whether a value keeps what `@constraint` asks for
//! - [`datum`]: one typed value of a field, its order and its JSON forms
//! - [`filter`]: a predicate over rows, shared by queries, subscriptions, webhooks and access rules
//! - [`operator`]: which tests each type of field has
//! - [`filter_input`]: JSON → filter, for clients and for rules
//! - [`filter_bind`]: a rule's filter with the caller's claims put in
//! - [`image`]: one row, and a row with the related rows that a predicate or a rendering needs
//! - [`lineage`]: how events that are older than the file are read
//! - [`type_id`]: public ids (`product_01h…`)

pub mod constraint;
pub mod datum;
pub mod diagnostic;
pub mod filter;
pub mod filter_bind;
pub mod filter_input;
pub mod image;
mod json;
pub mod lineage;
pub mod model;
pub mod names;
pub mod operator;
mod parse;
mod suggest;
pub mod type_id;

pub use constraint::{Violation, ViolationKind};
pub use datum::Datum;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use filter::Filter;
pub use filter_input::FilterError;
pub use image::{Image, Needs, Row};
pub use lineage::Lineage;
pub use model::*;
pub use operator::{Operand, Operator, Quantifier};
pub use parse::parse;
