//! The load client for subscriptions: many connections over WebSocket and Server-Sent Events, which may be slow, break
//! off at random and resume from their cursor, and which check what they receive.
//!
//! - `socket`, `stream`: the two transports, on bare TCP
//! - `message`: what servers send, taken apart without parsing it
//! - `ledger`: order, gaps, duplicates and content, over all subscribers
//! - `follower`: one connection, and those after it
//! - `crowd`: very many connections that must all receive the same bytes; the cheap one, for measuring
//! - `command`: the client by itself, against any Tandem
//!
//! Invariant: nothing that a server sends is skipped. What is not understood is a failure.

pub mod command;
pub mod crowd;
pub mod follower;
pub mod ledger;
pub mod message;
pub mod socket;
pub mod stream;
