//! What a connection must do by itself: say that it lives, end with its token, close when the server stops, and tell
//! that the log cannot be read.
//!
//! It is polled whenever the task of its connection runs, so nothing of it is made anew for each message.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::auth::Principal;

/// Something to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// A sign of life is due.
    KeepAlive,
    /// What the client has may be stale, or is not any more: see [`Pulse::stale_since`].
    Freshness,
    /// The client has not opened its connection in time.
    OpeningTimeout,
    /// The token has ended.
    Expired,
    /// The server stops, and it is this connection's turn.
    Drain,
}

type Staleness = watch::Receiver<Option<SystemTime>>;

pub(super) struct Pulse {
    timer: Pin<Box<Sleep>>,
    keepalive: Duration,
    keepalive_at: Instant,
    opening_until: Option<Instant>,
    expires_at: Option<Instant>,
    drain_at: Option<Instant>,
    drain_window: Duration,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    freshness: BoxFuture<'static, Staleness>,
    stale_since: Option<SystemTime>,
}

impl Pulse {
    pub(super) fn new(
        keepalive: Duration,
        drain_window: Duration,
        shutdown: CancellationToken,
        mut staleness: Staleness,
    ) -> Self {
        let keepalive_at = Instant::now() + keepalive;
        let stale_since = *staleness.borrow_and_update();
        Self {
            timer: Box::pin(sleep_until(keepalive_at)),
            keepalive,
            keepalive_at,
            opening_until: None,
            expires_at: None,
            drain_at: None,
            drain_window,
            shutdown: Box::pin(shutdown.cancelled_owned()),
            freshness: changed(staleness).boxed(),
            stale_since,
        }
    }

    /// Since when the log could not be read, as far as the client has been told.
    pub(super) fn stale_since(&self) -> Option<SystemTime> {
        self.stale_since
    }

    /// Until when the connection must be opened; `None` once it is.
    pub(super) fn open_until(&mut self, until: Option<Instant>) {
        self.opening_until = until;
    }

    /// The connection lasts as long as this principal's token.
    pub(super) fn end_with(&mut self, principal: &Principal) {
        self.expires_at = principal.expires_at.and_then(|at| {
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            Instant::now().checked_add(left)
        });
    }

    /// The next beat.
    pub(super) async fn beat(&mut self) -> Beat {
        std::future::poll_fn(|context| self.poll_beat(context)).await
    }

    pub(super) fn poll_beat(&mut self, context: &mut Context<'_>) -> Poll<Beat> {
        if self.drain_at.is_none() && self.shutdown.as_mut().poll(context).is_ready() {
            self.drain_at = Some(Instant::now() + self.drain_window.mul_f64(rand::random()));
        }
        if let Poll::Ready(mut staleness) = self.freshness.poll_unpin(context) {
            self.stale_since = *staleness.borrow_and_update();
            self.freshness = changed(staleness).boxed();
            return Poll::Ready(Beat::Freshness);
        }
        let others = [self.opening_until, self.drain_at, self.expires_at];
        let next = others.into_iter().flatten().fold(self.keepalive_at, Instant::min);
        if self.timer.deadline() != next {
            self.timer.as_mut().reset(next);
        }
        if self.timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let reached = |at: Option<Instant>| at.is_some_and(|at| at <= next);
        Poll::Ready(if reached(self.drain_at) {
            Beat::Drain
        } else if reached(self.expires_at) {
            Beat::Expired
        } else if reached(self.opening_until) {
            Beat::OpeningTimeout
        } else {
            self.keepalive_at = Instant::now() + self.keepalive;
            Beat::KeepAlive
        })
    }
}

async fn changed(mut staleness: Staleness) -> Staleness {
    if staleness.changed().await.is_err() {
        // Who would say it is gone, so nothing is ever said again.
        std::future::pending::<()>().await;
    }
    staleness
}
