//! What the transports need of the engine, so that they can be tested without one.

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::auth::Principal;
use crate::schema::{Engine, OperationKind, Request, Response, Subscribed};

/// Runs GraphQL requests. Cheap to clone.
pub trait Executor: Clone + Send + Sync + 'static {
    /// The kind of the operation that the request selects, or the response that says why there is none.
    fn operation_kind(&self, request: &Request) -> Result<OperationKind, Response>;

    /// Runs a query or a mutation. A mutation that has begun is finished even if this future is dropped.
    fn execute(&self, request: Request, principal: Arc<Principal>) -> impl Future<Output = Response> + Send;

    /// Starts a subscription, from where the request resumes if it says so.
    fn subscribe(
        &self,
        request: Request,
        principal: Arc<Principal>,
    ) -> impl Future<Output = Result<Subscribed, Response>> + Send;

    /// Since when subscriptions may be behind because the log cannot be read; `None` while it can.
    fn stale_since(&self) -> watch::Receiver<Option<SystemTime>>;
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
    ) -> impl Future<Output = Result<Subscribed, Response>> + Send {
        Engine::subscribe(self, request, principal)
    }

    fn stale_since(&self) -> watch::Receiver<Option<SystemTime>> {
        Engine::stale_since(self)
    }
}
