//! Durable push: every webhook is a subscriber with a position in the log that survives everything.
//!
//! - [`signature`], [`message`]: what is sent
//! - [`egress`], [`send`], [`failure`]: how it is sent, and where to it never is
//! - [`retry`]: when it is sent again

pub mod egress;
pub mod failure;
pub mod message;
pub mod retry;
pub mod send;
pub mod signature;
