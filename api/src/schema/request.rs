//! What a transport hands to the [`Engine`](super::Engine), and what it gets back.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};

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
    pub cursor: String,
    /// What it brings.
    pub items: BoxStream<'static, Item>,
}

/// One item of a subscription.
#[derive(Debug, Clone)]
pub enum Item {
    /// A response, as in [`Response::body`], with `extensions.cursor`. The bytes may be shared by many subscribers.
    Next {
        /// The JSON object of the response.
        body: Bytes,
        /// Where to continue after this one.
        cursor: String,
    },
    /// The subscription cannot go on; the JSON array of errors says why. Nothing follows.
    Error(Bytes),
}
