//! What the dispatcher asks of the schema: a webhook's document, and what it makes of an event.
//!
//! The engine implements this; `data` and `errors` are then the bytes that a live client with the same document and
//! rights gets.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::auth::Principal;
use crate::catalog::ResourceId;
use crate::log::{ChangeKind, Event};

/// Turns documents into followers.
pub trait Render: Send + Sync {
    /// Checks a subscription document.
    ///
    /// # Errors
    /// Every reason why it cannot be the document of a webhook of this principal, in words for its owner.
    fn prepare(
        &self,
        query: &str,
        variables: &Map<String, Value>,
        principal: Arc<Principal>,
    ) -> Result<Arc<dyn Follow>, Vec<Refusal>>;
}

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For its owner.
    pub message: String,
    /// Whether the document is right but asks for what the principal may not see.
    pub is_forbidden: bool,
}

/// A document with the rights of a principal.
pub trait Follow: Send + Sync {
    /// Which events may be for the document at all: it yields nothing for any other one.
    fn kinds(&self) -> &[(ResourceId, ChangeKind)];

    /// What the document yields for an event; `None` if the event is not for it, by its filter or its rights. A function
    /// of document, rights and event alone. An error is one of the database: the same event may succeed later.
    fn render<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Option<Rendered>, RenderError>>;
}

/// What a document yields for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The JSON of `data`.
    pub data: Bytes,
    /// The JSON of `errors`, if there are any.
    pub errors: Option<Bytes>,
}

/// Why an event could not be rendered now.
#[derive(Debug, thiserror::Error)]
#[error("an event cannot be rendered: {0}")]
pub struct RenderError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
