//! The body of a streaming response.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::multipart::Parts;
use super::sse;
use crate::auth::Principal;
use crate::live::operation::Output;
use crate::live::operations::{Operations, Terms};
use crate::live::pulse::{Beat, Pulse};
use crate::live::{Executor, Live, Problem, Seat};
use crate::schema::ErrorCode;

/// The id of an operation that has its stream for itself.
pub(super) const ONLY: &str = "";
/// Bytes after which a piece of the body is given away, even if there is more.
const MAX_COALESCED_BYTES: usize = 64 << 10;

/// The operations of a stream, and whose they are. Other requests may add some while the body is written.
pub(super) struct Channel {
    state: Mutex<State>,
    /// Of the task that writes the body.
    waker: AtomicWaker,
}

struct State {
    operations: Operations,
    principal: Arc<Principal>,
}

impl Channel {
    pub(super) fn new(principal: Arc<Principal>) -> Self {
        let state = State { operations: Operations::default(), principal };
        Self { state: Mutex::new(state), waker: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // An operation that panicked is gone with its own stream; the others are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the operations, and lets the body look at them again.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Operations) -> T) -> T {
        let outcome = change(&mut self.state().operations);
        self.waker.wake();
        outcome
    }

    /// Whose stream it is.
    pub(super) fn principal(&self) -> Arc<Principal> {
        Arc::clone(&self.state().principal)
    }

    /// The stream goes on with the rights of this principal, and as long as its token.
    pub(super) fn renew<E: Executor>(&self, live: &Live<E>, principal: &Arc<Principal>) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.principal, Arc::clone(principal));
        drop(state);
        self.refresh(live, &before);
    }

    /// The operations go on with the rights of the stream, if those are not the ones that they have.
    pub(super) fn refresh<E: Executor>(&self, live: &Live<E>, had: &Arc<Principal>) {
        let mut state = self.state();
        if Arc::ptr_eq(&state.principal, had) {
            return;
        }
        let State { operations, principal } = &mut *state;
        operations.renew(&Terms { executor: &live.executor, principal, limit: live.request_timeout });
        drop(state);
        self.waker.wake();
    }
}

/// How outputs look on the wire.
pub(super) enum Framing {
    /// Events of one operation.
    EventStream,
    /// Events of several, each with its id.
    SharedEventStream,
    /// Parts of one operation.
    Multipart(Parts),
}

impl Framing {
    fn open(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::EventStream | Self::SharedEventStream => sse::keep_alive(None, out),
            Self::Multipart(parts) => parts.open(out),
        }
    }

    fn output(&mut self, id: &str, output: &Output, out: &mut Vec<u8>) {
        match self {
            Self::EventStream => sse::output(output, out),
            Self::SharedEventStream => sse::shared_output(id, output, out),
            Self::Multipart(parts) => parts.output(output, out),
        }
    }

    fn keep_alive(&mut self, stale_since: Option<SystemTime>, out: &mut Vec<u8>) {
        match self {
            Self::EventStream | Self::SharedEventStream => sse::keep_alive(stale_since, out),
            Self::Multipart(parts) => parts.keep_alive(out),
        }
    }

    fn freshness(&mut self, stale_since: Option<SystemTime>, out: &mut Vec<u8>) {
        match self {
            Self::EventStream | Self::SharedEventStream => sse::freshness(stale_since, out),
            // A part that is no heartbeat would be taken for a result.
            Self::Multipart(_) => {}
        }
    }

    /// Ends the stream, although its operations are not over.
    fn break_off(&mut self, problem: &Problem, cursor: Option<&str>, out: &mut Vec<u8>) {
        match self {
            // Without `complete`: clients then connect again, and `Last-Event-ID` lets them go on where they were.
            Self::EventStream | Self::SharedEventStream => sse::comment(&problem.message, out),
            Self::Multipart(parts) => parts.break_off(problem, cursor, out),
        }
    }

    fn ends_with_operation(&self) -> bool {
        match self {
            Self::EventStream | Self::Multipart(_) => true,
            Self::SharedEventStream => false,
        }
    }
}

/// The body of a streaming response.
pub struct Events {
    framing: Framing,
    channel: Arc<Channel>,
    /// As `pulse` knows it.
    principal: Arc<Principal>,
    pulse: Pulse,
    is_open: bool,
    is_over: bool,
    /// Held to the end. What else a stream holds is its maker's business.
    _held: (Seat, TaskTrackerToken, Option<Box<dyn Send + Sync>>),
}

impl Events {
    pub(super) fn new<E: Executor>(live: &Live<E>, framing: Framing, channel: Arc<Channel>, seat: Seat) -> Self {
        Self::holding(live, framing, channel, seat, None)
    }

    /// Drops `held` when it ends.
    pub(super) fn holding<E: Executor>(
        live: &Live<E>,
        framing: Framing,
        channel: Arc<Channel>,
        seat: Seat,
        held: Option<Box<dyn Send + Sync>>,
    ) -> Self {
        let (principal, mut pulse) = (channel.principal(), live.pulse(live.settings.live_keepalive));
        pulse.end_with(&principal);
        let held = (seat, live.tasks.token(), held);
        Self { framing, channel, principal, pulse, is_open: false, is_over: false, _held: held }
    }

    fn write_beats(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) {
        while !self.is_over
            && let Poll::Ready(beat) = self.pulse.poll_beat(context)
        {
            match beat {
                Beat::KeepAlive => self.framing.keep_alive(self.pulse.stale_since(), out),
                Beat::Freshness => self.framing.freshness(self.pulse.stale_since(), out),
                Beat::Drain => self.break_off(ErrorCode::RateLimited, "the server is stopping; connect again", out),
                Beat::Expired | Beat::OpeningTimeout => {
                    self.break_off(ErrorCode::Unauthenticated, "the token has expired", out);
                }
            }
        }
    }

    fn break_off(&mut self, code: ErrorCode, message: &'static str, out: &mut Vec<u8>) {
        let state = self.channel.state();
        self.framing.break_off(&Problem::new(code, message), state.operations.cursor(ONLY), out);
        self.is_over = true;
    }

    fn write_outputs(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) {
        let mut state = self.channel.state();
        if !Arc::ptr_eq(&state.principal, &self.principal) {
            self.principal = Arc::clone(&state.principal);
            self.pulse.end_with(&self.principal);
        }
        // Not every output is written, so only bytes count: nothing would wake this task if it left ready ones behind.
        while out.len() < MAX_COALESCED_BYTES {
            let Poll::Ready((id, output)) = state.operations.poll_next(context) else { return };
            self.framing.output(&id, &output, out);
            if output.is_last() && self.framing.ends_with_operation() {
                self.is_over = true;
                return;
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let (this, mut out) = (&mut *self, Vec::new());
        if !this.is_open {
            this.is_open = true;
            this.framing.open(&mut out);
            if let since @ Some(_) = this.pulse.stale_since() {
                this.framing.freshness(since, &mut out);
            }
        }
        this.channel.waker.register(context.waker());
        this.write_outputs(context, &mut out);
        this.write_beats(context, &mut out);
        match (out.is_empty(), this.is_over) {
            (false, _) => Poll::Ready(Some(Ok(out.into()))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
