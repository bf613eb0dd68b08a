//! The end-to-end tests: one module per feature, every case on both databases.
//!
//! `cargo xtask test` runs them; by hand they need a built `tandem` binary and `TEST_POSTGRES_URL`.

mod access;
mod access_property;
mod chain;
mod crash;
mod crud;
mod crud_lists;
mod deletes;
mod garbage;
mod live;
mod n_plus_one;
mod nodes;
mod replica;
mod resource_file;
mod resume;
mod schema;
mod webhooks;
