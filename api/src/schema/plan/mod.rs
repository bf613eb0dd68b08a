//! Selections → plans: what to read (a [`Shape`](crate::store::read::Shape)) and how to write it down.
//!
//! A plan is made for one document, one set of variables and one principal, before any SQL runs. Rights are part of it:
//! which rows are visible and which fields are, so what runs later cannot forget them. The same plan writes a row that a
//! query has read and a row that an event brings, which is why both look the same to the byte.
//!
//! - [`context`]: what planning knows
//! - [`object`]: one row
//! - [`connection`]: a page of rows
//! - [`aggregate`]: numbers about all rows that match, and groups of them
//! - [`change`]: an event
//! - [`filter`], [`order`], [`search`]: arguments that look at fields; `cursor`: places in an order
//! - [`output`]: the writing
//! - [`place`]: where in the response an error belongs

pub(crate) mod aggregate;
pub(crate) mod change;
pub(crate) mod connection;
pub(crate) mod context;
mod cursor;
pub(crate) mod filter;
pub(crate) mod object;
pub(crate) mod order;
pub(crate) mod output;
pub(crate) mod place;
pub(crate) mod search;

pub(crate) use change::{ChangePlan, Rendering};
pub(crate) use connection::ConnectionPlan;
pub(crate) use context::Context;
pub(crate) use object::ObjectPlan;
pub(crate) use output::{Key, Output};
pub(crate) use place::located;
