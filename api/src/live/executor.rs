//! What the transports need of the engine, so that they can be tested without one.

use std::future::Future;
use std::sync::Arc;

use futures_util::stream::BoxStream;

use crate::auth::Principal;
use crate::schema::{Engine, Item, OperationKind, Request, Response};

/// Runs GraphQL requests. Cheap to clone.
pub trait Executor: Clone + Send + Sync + 'static {
    /// The kind of the operation that the request selects, or the response that says why there is none.
    fn operation_kind(&self, request: &Request) -> Result<OperationKind, Response>;

    /// Runs a query or a mutation. A mutation that has begun is finished even if this future is dropped.
    fn execute(&self, request: Request, principal: Arc<Principal>) -> impl Future<Output = Response> + Send;

    /// Starts a subscription.
    fn subscribe(
        &self,
        request: Request,
        principal: Arc<Principal>,
    ) -> impl Future<Output = Result<BoxStream<'static, Item>, Response>> + Send;
}

impl Executor for Engine {
    fn operation_kind(&self, request: &Request) -> Result<OperationKind, Response> {
        Engine::operation_kind(self, request)
    }

    fn execute(&self, request: Request, principal: Arc<Principal>) -> impl Future<Output = Response> + Send {
        Engine::execute(self, request, principal)
    }

    fn subscribe(
        &self,
        request: Request,
        principal: Arc<Principal>,
    ) -> impl Future<Output = Result<BoxStream<'static, Item>, Response>> + Send {
        Engine::subscribe(self, request, principal)
    }
}
