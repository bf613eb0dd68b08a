//! The end-to-end tests: one module per feature, every case on both databases.
//!
//! `cargo xtask test` runs them; by hand they need a built `tandem` binary and `TEST_POSTGRES_URL`.

mod access;
mod access_property;
mod aggregates;
mod batches;
mod chain;
mod chaos;
mod crash;
mod crud;
mod crud_lists;
mod deletes;
mod directives;
mod garbage;
mod groups;
mod idempotency;
mod keyset;
mod live;
mod live_rights;
mod migrations;
mod n_plus_one;
mod nodes;
mod outage;
mod related_lists;
mod replica;
mod resource_file;
mod resume;
mod schema;
mod search;
mod selections;
mod streams;
mod table;
mod upserts;
mod webhooks;
