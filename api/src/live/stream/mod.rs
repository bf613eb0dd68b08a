//! Live push over HTTP: a response that goes on for as long as its operations do.
//!
//! [`Events`] is such a body, in one of the [`Format`]s: Server-Sent Events, after graphql-sse
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>), or multipart, as Apollo Client and urql read it
//! (<https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>). Either it carries
//! one operation, or, in graphql-sse's single connection mode, those of other requests: see [`single`].
//!
//! Nobody but the connection polls a body, and it does so only when it can write. So nothing is queued here for a slow
//! client, and `http` drops a connection on which writes stand still.

mod events;
mod multipart;
pub mod single;
mod sse;

use std::sync::Arc;

use http::StatusCode;

use super::operation::{Outputs, lazily};
use super::{Executor, Live, Problem};
use crate::auth::Principal;
use crate::schema::Request;
use events::{Channel, Framing};

pub use events::Events;
pub use single::Streams;

/// Why there is no stream: the status of the answer and what is wrong.
pub type Refused = (StatusCode, Problem);

/// How the outputs of one operation are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/event-stream`.
    EventStream,
    /// `multipart/mixed`.
    Multipart {
        /// Whether the client named `subscriptionSpec=1.0`, and so expects its heartbeats.
        has_spec: bool,
    },
}

impl Format {
    /// The media type, with its parameters.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream; charset=utf-8",
            Self::Multipart { has_spec: true } => "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0",
            Self::Multipart { has_spec: false } => "multipart/mixed;boundary=\"graphql\"",
        }
    }

    fn framing(self) -> Framing {
        match self {
            Self::EventStream => Framing::EventStream,
            Self::Multipart { has_spec } => Framing::Multipart(multipart::Parts::new(has_spec)),
        }
    }
}

/// The body of a response with one operation, which has begun.
///
/// # Errors
/// If there are too many connections, or the server stops.
pub fn of_outputs<E: Executor>(
    live: &Live<E>,
    format: Format,
    principal: &Arc<Principal>,
    outputs: Outputs,
) -> Result<Events, Refused> {
    let seat = live.seat(principal)?;
    let channel = Channel::new(Arc::clone(principal));
    channel.update(|operations| {
        operations.reserve(events::ONLY.into());
        operations.attach(events::ONLY, None, outputs)
    });
    Ok(Events::new(live, format.framing(), Arc::new(channel), seat))
}

/// The same, but the operation begins with the response, and whatever is wrong with it is told there.
///
/// # Errors
/// If there are too many connections, or the server stops.
pub fn of_request<E: Executor>(
    live: &Live<E>,
    format: Format,
    principal: &Arc<Principal>,
    request: Request,
) -> Result<Events, Refused> {
    let outputs = lazily(&live.executor, request, Arc::clone(principal), live.request_timeout);
    of_outputs(live, format, principal, outputs)
}
