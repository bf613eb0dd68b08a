//! Operations whose responses are streams: each has its connection for itself.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;

use super::refusal::Refusal;
use super::respond;
use crate::auth::Principal;
use crate::live::stream::{self, Format};
use crate::live::{self, Executor, Live, Problem, Refusal as NotBegun};
use crate::schema::{OperationKind, Request, Response as GraphqlResponse};

/// The operation in a stream, which also tells what is wrong with it.
pub fn streamed<E: Executor>(
    live: &Live<E>,
    format: Format,
    principal: &Arc<Principal>,
    request: Request,
) -> Result<Response, Refusal> {
    Ok(respond::stream(format.content_type(), stream::of_request(live, format, principal, request)?))
}

/// The subscription in parts if it can start, else what says why not: clients that accept both expect that as a response.
pub async fn in_parts<E: Executor>(
    live: &Live<E>,
    format: Format,
    principal: &Arc<Principal>,
    request: Request,
) -> Result<Result<Response, GraphqlResponse>, Refusal> {
    let kind = OperationKind::Subscription;
    let begun = live::begin(&live.executor, kind, request, Arc::clone(principal), live.request_timeout).await;
    match begun {
        Ok(outputs) => {
            let events = stream::of_outputs(live, format, principal, outputs)?;
            Ok(Ok(respond::stream(format.content_type(), events)))
        }
        Err(NotBegun::Response(response)) => Ok(Err(response)),
        Err(NotBegun::Timeout) => Err((StatusCode::GATEWAY_TIMEOUT, Problem::timeout())),
    }
}
