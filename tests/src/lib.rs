//! The harness of the end-to-end tests: they start the real `tandem` binary and talk to it over the wire, as its users
//! do, with clients and a webhook receiver that share no code with the server.
//!
//! - [`case`]: one test on one database, and [`on_both!`], which makes two of it
//! - [`server`]: the binary as a child process that can be killed and started again
//! - [`caller`]: who is calling, and their tokens
//! - [`client`]: GraphQL over HTTP
//! - [`live`]: subscriptions over WebSocket
//! - [`events`]: subscriptions over HTTP
//! - [`proxy`]: a network that can be cut
//! - [`receiver`][]: webhooks
//! - [`seed`][mod@seed]: the beginning of everything random, which can be given to repeat a run
//! - [`shop`]: documents for the shipped store
//! - [`tool`]: the load tool
//! - [`wait`]: conditions with a deadline
//!
//! Invariants: every test has a database and a data directory of its own, every port is chosen by the system, and
//! nothing waits for a length of time, only for a condition with a deadline.

pub mod caller;
pub mod case;
pub mod client;
pub mod events;
pub mod live;
pub mod proxy;
pub mod receiver;
pub mod seed;
pub mod server;
pub mod shop;
pub mod tool;
pub mod wait;

pub use caller::Caller;
pub use case::{Backend, Case};
pub use client::Client;
pub use events::Events;
pub use live::Live;
pub use proxy::Proxy;
pub use receiver::Receiver;
pub use seed::seed;
pub use server::{Server, Settings};
