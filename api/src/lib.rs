//! Tandem: a GraphQL server that answers queries, and pushes every change to live clients and webhooks, from one log.
//!
//! Start with ARCHITECTURE.md. Arrows between these modules point down only:
//! `http`, `live` → `schema` → `store` → `log` → `database`; `webhook` → `schema`, `log`; all → `catalog`, `auth`.

pub mod app;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod database;
pub mod http;
pub mod live;
pub mod log;
pub mod metrics;
pub mod retention;
pub mod schema;
pub mod store;
pub mod webhook;

#[cfg(test)]
mod testing;
