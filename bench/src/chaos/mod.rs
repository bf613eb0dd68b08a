//! What must hold whatever goes wrong, tried until it would have broken.
//!
//! - `disconnects`: connections break, the server is killed; no gap, no duplicate
//! - `replicas`: snapshot plus follow is the database
//! - `replica`: one copy
//! - `writers`: the load meanwhile
//!
//! The end-to-end tests run the same in a smaller size. An error is a finding; there are no figures to judge.

mod disconnects;
mod replica;
mod replicas;
mod writers;

pub use disconnects::{DisconnectsArgs, run as disconnects};
pub use replicas::{ReplicasArgs, run as replicas};
