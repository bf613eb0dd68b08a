//! Live push: GraphQL over WebSocket, the subprotocol `graphql-transport-ws`.
//!
//! The protocol: <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>. One task runs one socket and holds
//! everything of it: when it ends, the operations of the socket are dropped with it. An item of a subscription is taken
//! from the [`Executor`] only when the socket can take it, so a slow client has no queue here and costs only itself.
//! `http` routes upgrades to [`upgrade`]; what runs the operations is behind [`Executor`].

mod connection;
mod executor;
mod message;
mod operations;
mod problem;
mod upgrade;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::config::{Settings, WebSocketSettings};

pub use executor::Executor;
pub use problem::Problem;
pub use upgrade::{is_upgrade, upgrade};

/// What all sockets share.
#[derive(Debug)]
pub struct Live<E> {
    /// Runs the operations.
    pub executor: E,
    /// Turns tokens into principals.
    pub authenticator: Arc<Authenticator>,
    /// Limits of one socket.
    pub settings: WebSocketSettings,
    /// How long one query or mutation may take.
    pub request_timeout: Duration,
    /// Over how long the sockets are closed once `shutdown` is cancelled.
    pub drain_window: Duration,
    /// Origins of web pages that may open a socket, besides those from the same host.
    pub origins: Vec<String>,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
    /// Holds the tasks of all sockets.
    pub tasks: TaskTracker,
    /// One permit per socket.
    connections: Arc<Semaphore>,
}

impl<E: Executor> Live<E> {
    /// Without any socket yet. `shutdown` and `tasks` are the server's.
    pub fn new(
        executor: E,
        authenticator: Arc<Authenticator>,
        settings: &Settings,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            executor,
            authenticator,
            settings: settings.websocket.clone(),
            request_timeout: settings.http.request_timeout,
            drain_window: settings.server.drain_window,
            origins: settings.http.cors_origin.clone(),
            shutdown,
            tasks,
            connections: Arc::new(Semaphore::new(settings.websocket.ws_max_connections as usize)),
        }
    }
}
