//! Live push: operations over connections that stay open.
//!
//! What all transports share is here: `operations`, which runs the operations of one connection; `pulse`, which says
//! when it must do something by itself; `admission`, which bounds how many there are. A transport
//! adds how messages look: `websocket` has one file for each subprotocol, `stream` one for Server-Sent Events and one for
//! multipart responses. An item of a subscription is taken from the [`Executor`] only
//! when the transport can take it, so a slow client has no queue here and costs only itself. Nothing is rendered here:
//! bodies go from the executor to the wire as they are. `http` routes to [`upgrade`] and [`stream`].

mod admission;
mod executor;
mod operation;
mod operations;
mod problem;
mod pulse;
pub mod stream;
mod websocket;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Authenticator, Principal};
use crate::catalog::datum::format_instant;
use crate::config::{LiveSettings, Settings};
use crate::schema::ErrorCode;

use admission::{Admission, Full, Seat};
use pulse::Pulse;

pub use executor::Executor;
pub use operation::{Outputs, Refusal, begin};
pub use problem::Problem;
pub use websocket::{is_upgrade, upgrade};

/// What all connections share.
#[derive(Debug)]
pub struct Live<E> {
    /// Runs the operations.
    pub executor: E,
    /// Turns tokens into principals.
    pub authenticator: Arc<Authenticator>,
    /// Limits of one connection.
    pub settings: LiveSettings,
    /// How long one query or mutation may take, or a subscription until it has started.
    pub request_timeout: Duration,
    /// Over how long the connections are closed once `shutdown` is cancelled.
    pub drain_window: Duration,
    /// Origins of web pages that may open a socket, besides those from the same host.
    pub origins: Vec<String>,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
    /// Holds what runs of all connections.
    pub tasks: TaskTracker,
    /// Counts them.
    admission: Arc<Admission>,
    /// Streams that carry the operations of other requests.
    streams: Arc<stream::Streams>,
}

impl<E: Executor> Live<E> {
    /// Without any connection yet. `shutdown` and `tasks` are the server's.
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
            settings: settings.live.clone(),
            request_timeout: settings.http.request_timeout,
            drain_window: settings.server.drain_window,
            origins: settings.http.cors_origin.clone(),
            shutdown,
            tasks,
            admission: Admission::new(&settings.live),
            streams: Arc::default(),
        }
    }

    /// A place for one more connection, or why there is none.
    fn seat(&self, principal: &Principal) -> Result<Seat, (StatusCode, Problem)> {
        if self.shutdown.is_cancelled() {
            let problem = Problem::new(ErrorCode::RateLimited, "the server is stopping");
            return Err((StatusCode::SERVICE_UNAVAILABLE, problem));
        }
        self.admission.seat(principal).map_err(|full| {
            let status = match full {
                Full::Server => StatusCode::SERVICE_UNAVAILABLE,
                Full::Principal => StatusCode::TOO_MANY_REQUESTS,
            };
            (status, Problem::new(ErrorCode::RateLimited, full.to_string()))
        })
    }

    fn pulse(&self, keepalive: Duration) -> Pulse {
        Pulse::new(keepalive, self.drain_window, self.shutdown.clone(), self.executor.stale_since())
    }
}

/// A time as clients see it; `None` beyond the years that can be written.
pub(crate) fn shown(time: SystemTime) -> Option<String> {
    const END_SECONDS: u64 = 253_402_300_800;
    let since = time.duration_since(UNIX_EPOCH).ok().filter(|since| since.as_secs() < END_SECONDS)?;
    Some(format_instant(i64::try_from(since.as_micros()).ok()?))
}
