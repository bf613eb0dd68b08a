//! Catalog → the API: its types, and what runs a request against them.

mod request;
pub mod types;

use std::sync::Arc;

use futures_util::stream::BoxStream;

pub use request::{Item, OperationKind, Request, Response};

use crate::auth::Principal;

/// Runs GraphQL requests. Cheap to clone.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// The kind of the operation that the request selects, or the response that says why there is none. Parses and
    /// validates, which is cached by document.
    pub fn operation_kind(&self, _request: &Request) -> Result<OperationKind, Response> {
        unimplemented!()
    }

    /// Runs a query or a mutation. A mutation that has begun is finished even if this future is dropped.
    pub async fn execute(&self, _request: Request, _principal: Arc<Principal>) -> Response {
        unimplemented!()
    }

    /// Starts a subscription, from its `after` argument or from now.
    pub async fn subscribe(
        &self,
        _request: Request,
        _principal: Arc<Principal>,
    ) -> Result<BoxStream<'static, Item>, Response> {
        unimplemented!()
    }

    /// The SDL of the API, as `schema.graphql` holds it.
    pub fn sdl(&self) -> &str {
        unimplemented!()
    }
}
