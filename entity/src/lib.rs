//! SeaORM entities of the tables that Tandem itself owns, one module per table, and the newtypes of their ids.
//!
//! Tables of resources are not here: they follow the resource file (`tandem::store::tables`). Invariants of every table:
//! times are microseconds since 1970 in UTC, JSON is text, ids are UUIDs (`uuid` on PostgreSQL, a BLOB of 16 bytes on
//! SQLite). The tables themselves are made by the crate `migration`.

pub mod attempt;
pub mod catalog;
pub mod delivery;
pub mod departure;
pub mod event;
pub mod head;
pub mod idempotency;
pub mod ids;
pub mod lineage;
pub mod replay;
pub mod sequence;
pub mod turn;
pub mod vault;
pub mod webhook;

pub use ids::{DeliveryId, Epoch, EventId, Position, ReplayId, TransactionId, WebhookId};
