//! Durable push: every webhook is a subscriber with a position in the log that survives everything.
//!
//! - [`dispatcher`]: one worker for each webhook that this process may send for
//! - [`reader`], [`window`], `worker`: the log → messages → attempts → outcomes
//! - [`ledger`], [`row`]: leases, positions, deliveries and attempts in the database
//! - [`render`], [`target`], [`message`], [`signature`]: what is sent
//! - [`egress`], [`send`], [`failure`]: how it is sent, and where to it never is
//! - [`registry`], [`Wake`]: making, changing and finding webhooks, and telling the dispatcher
//! - [`retry`], [`outcome`]: when it is sent again, and when no more
//! - [`operations`], [`replayer`], [`health`]: what owners and operators do and see

pub mod dispatcher;
pub mod egress;
pub mod failure;
pub mod health;
pub mod ledger;
pub mod message;
pub mod operations;
pub mod outcome;
pub mod reader;
pub mod registry;
pub mod render;
pub mod replayer;
pub mod retry;
pub mod row;
pub mod send;
pub mod signature;
pub mod target;
#[cfg(test)]
mod testing;
mod wake;
pub mod window;
mod worker;

pub use dispatcher::Dispatcher;
pub use operations::Operations;
pub use registry::Registry;
pub use replayer::Replayer;
pub use row::Webhook;
pub use wake::Wake;
