//! Durable push: every webhook is a subscriber with a position in the log that survives everything.
//!
//! - [`dispatcher`]: one worker for each webhook that this process may send for
//! - [`reader`], [`window`], `worker`: the log → messages → attempts → outcomes
//! - [`order`], [`pace`], [`batch`], [`sending`]: what waits for what, how fast it goes, what goes together
//! - [`ledger`], [`row`], [`clock`], [`term`]: leases, positions, deliveries and attempts in the database, its time, and how
//!   long leases last
//! - [`render`], [`group`], [`target`], [`message`], [`signature`], [`keys`]: what is sent
//! - [`vault`]: encryption of what is secret, at rest
//! - [`egress`], [`send`], [`failure`]: how it is sent, and where to it never is
//! - [`registry`], [`Wake`]: making, changing and finding webhooks, and telling the dispatcher
//! - [`verification`]: asks receivers whether they want the events
//! - [`retry`], [`outcome`]: when it is sent again, and when no more
//! - [`gauges`]: how webhooks fare, in numbers
//! - [`operations`], [`replayer`], [`health`]: what owners and operators do and see

pub mod batch;
pub mod clock;
pub mod dispatcher;
pub mod egress;
pub mod failure;
pub mod gauges;
pub mod group;
pub mod health;
pub mod keys;
pub mod ledger;
pub mod message;
pub mod operations;
pub mod order;
pub mod outcome;
pub mod pace;
pub mod reader;
pub mod registry;
pub mod render;
pub mod replayer;
pub mod retry;
pub mod row;
pub mod send;
pub mod sending;
pub mod signature;
pub mod target;
pub mod term;
#[cfg(test)]
mod testing;
pub mod vault;
pub mod verification;
mod wake;
pub mod window;
mod worker;

pub use dispatcher::Dispatcher;
pub use operations::Operations;
pub use registry::Registry;
pub use replayer::Replayer;
pub use row::Webhook;
pub use verification::Verifier;
pub use wake::Wake;
