//! One operation over a connection: what it gives, from its first to its last output, whatever the transport.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;

use super::{Executor, Problem};
use crate::auth::Principal;
use crate::log::CursorText;
use crate::schema::{Item, OperationKind, Payload, Payloads, Request, Response, Subscribed};

/// What an operation gives to its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A subscription has started, and would go on after this cursor.
    Started(CursorText),
    /// A response, or several in a row.
    Next(Payloads),
    /// It could not be run, or cannot go on: the JSON array of errors. Nothing follows.
    Error(Bytes),
    /// It is over. Nothing follows.
    Complete,
}

impl Output {
    /// Where a subscription goes on after this output.
    pub fn cursor(&self) -> Option<CursorText> {
        match self {
            Self::Started(cursor) => Some(*cursor),
            Self::Next(payloads) => payloads.cursor(),
            Self::Error(_) | Self::Complete => None,
        }
    }

    /// How many responses it holds.
    pub fn responses(&self) -> usize {
        match self {
            Self::Next(payloads) => payloads.as_slice().len(),
            Self::Started(_) | Self::Error(_) | Self::Complete => 0,
        }
    }

    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Started(_) | Self::Next(_) => false,
            Self::Error(_) | Self::Complete => true,
        }
    }
}

/// The outputs of an operation. It runs as they are polled.
pub type Outputs = BoxStream<'static, Output>;

/// Why an operation could not begin.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The response says it.
    Response(Response),
    /// It took too long.
    Timeout,
}

impl Refusal {
    /// The JSON array of errors alone, without the object around it.
    fn errors(&self) -> Bytes {
        match self {
            Self::Timeout => Problem::timeout().errors().to_string().into(),
            Self::Response(response) => {
                let object = serde_json::from_slice::<serde_json::Value>(&response.body);
                let errors = object.ok().and_then(|mut object| object.get_mut("errors").map(serde_json::Value::take));
                let errors = errors.expect("a response with a request error is an object with \"errors\"");
                errors.to_string().into()
            }
        }
    }
}

/// Runs a query or a mutation, or starts a subscription.
///
/// # Errors
/// If there is nothing but a request error, or it takes longer than `limit`.
pub async fn begin<E: Executor>(
    executor: &E,
    kind: OperationKind,
    request: Request,
    principal: Arc<Principal>,
    limit: Duration,
) -> Result<Outputs, Refusal> {
    match kind {
        OperationKind::Query | OperationKind::Mutation => {
            let response = timeout(limit, executor.execute(request, principal)).await.map_err(|_| Refusal::Timeout)?;
            if response.is_request_error {
                return Err(Refusal::Response(response));
            }
            let next = Output::Next(Payload::from(response).into());
            Ok(stream::iter([next, Output::Complete]).boxed())
        }
        OperationKind::Subscription => {
            let started = timeout(limit, executor.subscribe(request, principal)).await;
            let started = started.map_err(|_| Refusal::Timeout)?;
            Ok(subscription(started.map_err(Refusal::Response)?))
        }
    }
}

/// The same, but it begins when it is polled, and a refusal is its only output.
pub(super) fn lazily<E: Executor>(
    executor: &E,
    request: Request,
    principal: Arc<Principal>,
    limit: Duration,
) -> Outputs {
    let refused = |refusal: &Refusal| stream::iter([Output::Error(refusal.errors())]).boxed();
    let executor = executor.clone();
    match executor.operation_kind(&request) {
        Err(response) => refused(&Refusal::Response(response)),
        Ok(kind) => {
            let begun = async move {
                begin(&executor, kind, request, principal, limit).await.unwrap_or_else(|refusal| refused(&refusal))
            };
            // In a box of its own, which is given back once it has begun: beginning takes far more memory than going on.
            begun.boxed().flatten_stream().boxed()
        }
    }
}

fn subscription(Subscribed { cursor, items }: Subscribed) -> Outputs {
    Following { started: Some(cursor), items: Some(items) }.boxed()
}

/// The outputs of a subscription.
struct Following {
    /// Where it starts, until that is told.
    started: Option<CursorText>,
    /// `None` once the last output is out.
    items: Option<BoxStream<'static, Item>>,
}

impl Stream for Following {
    type Item = Output;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Output>> {
        if let Some(cursor) = self.started.take() {
            return Poll::Ready(Some(Output::Started(cursor)));
        }
        let Some(items) = &mut self.items else { return Poll::Ready(None) };
        let output = match ready!(items.poll_next_unpin(context)) {
            Some(Item::Next(payloads)) => Output::Next(payloads),
            Some(Item::Error(errors)) => Output::Error(errors),
            None => Output::Complete,
        };
        if output.is_last() {
            self.items = None;
        }
        Poll::Ready(Some(output))
    }
}
