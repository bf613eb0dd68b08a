//! What a transport hands to the [`Engine`](super::Engine), and what it gets back.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};

use crate::log::CursorText;

/// A GraphQL request, already read from its transport.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Which operation of the document; may be `None` if it has only one.
    pub operation_name: Option<String>,
    /// The raw values of its variables.
    pub variables: Map<String, Value>,
    /// Protocol extensions of the client.
    pub extensions: Map<String, Value>,
    /// The cursor after which a subscription goes on, in place of what its document says: the transport knows better
    /// what its client has.
    pub resume_after: Option<String>,
}

/// The kind of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Follows changes.
    Subscription,
}

impl OperationKind {
    pub(crate) fn of(operation: apollo_compiler::executable::OperationType) -> Self {
        use apollo_compiler::executable::OperationType;
        match operation {
            OperationType::Query => Self::Query,
            OperationType::Mutation => Self::Mutation,
            OperationType::Subscription => Self::Subscription,
        }
    }
}

/// The answer to a query or a mutation, or to a request that could not be run.
#[derive(Debug, Clone)]
pub struct Response {
    /// The JSON object of the response: `data`, `errors`, `extensions`.
    pub body: Bytes,
    /// A request error: the document was not run at all and there is no `data`.
    pub is_request_error: bool,
}

/// A subscription that has started.
pub struct Subscribed {
    /// Where it starts: continuing after this cursor misses nothing, even if no item ever came.
    pub cursor: CursorText,
    /// What it brings.
    pub items: BoxStream<'static, Item>,
}

/// One item of a subscription.
#[derive(Debug, Clone)]
pub enum Item {
    /// Responses, with `extensions.cursor`; all subscribers of a group have the same ones.
    Next(Payloads),
    /// The subscription cannot go on; the JSON array of errors says why. Nothing follows.
    Error(Bytes),
}

/// A response that a transport puts between its own small parts. What can be known of it once is, for it may go to very
/// many clients.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload {
    body: String,
    cursor: Option<CursorText>,
    is_one_line: bool,
}

impl Payload {
    /// Of a subscription, which would go on after this cursor.
    ///
    /// # Panics
    /// If the body is not text, which JSON is.
    pub fn of_subscription(body: Vec<u8>, cursor: CursorText) -> Self {
        Self { cursor: Some(cursor), ..Self::new(body) }
    }

    fn new(body: Vec<u8>) -> Self {
        let body = String::from_utf8(body).expect("JSON is text");
        let is_one_line = !body.bytes().any(|byte| matches!(byte, b'\n' | b'\r'));
        Self { body, cursor: None, is_one_line }
    }

    /// The JSON object.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Where to continue after it, if it is of a subscription.
    pub fn cursor(&self) -> Option<CursorText> {
        self.cursor
    }

    /// Whether the body has no line break.
    pub fn is_one_line(&self) -> bool {
        self.is_one_line
    }

    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.body.capacity()
    }
}

/// Responses in a row, at least one. Those of a group stand together and are shared as one, so that what a burst costs a
/// subscriber besides its bytes does not grow with the number of its responses.
#[derive(Debug, Clone)]
pub struct Payloads {
    shared: Arc<[Payload]>,
    /// Those before are not meant.
    start: usize,
}

impl Payloads {
    /// Those from `start` on; `None` if there is none.
    pub(crate) fn new(shared: Arc<[Payload]>, start: usize) -> Option<Self> {
        (start < shared.len()).then_some(Self { shared, start })
    }

    /// The responses, oldest first.
    pub fn as_slice(&self) -> &[Payload] {
        &self.shared[self.start..]
    }

    /// Where to continue after them, if they are of a subscription.
    pub fn cursor(&self) -> Option<CursorText> {
        self.as_slice().last()?.cursor()
    }
}

impl From<Payload> for Payloads {
    fn from(payload: Payload) -> Self {
        Self { shared: [payload].into(), start: 0 }
    }
}

impl PartialEq for Payloads {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Payloads {}

impl From<Response> for Payload {
    fn from(response: Response) -> Self {
        Self::new(response.body.into())
    }
}
