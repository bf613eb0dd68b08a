//! `/graphql`: POST, GET for queries and for subscriptions in a stream, and the upgrade to WebSocket.
//!
//! What a request may be answered with follows from its `Accept`: a response, a stream, or either. A query or a mutation
//! is answered with a response if that is accepted, a subscription always with a stream.

use std::sync::Arc;

use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::negotiate::{MediaType, is_json_body, response_type, stream_format};
use super::read::{self, Refusal};
use super::{Gateway, respond};
use crate::auth::Principal;
use crate::live::stream::{self, Format};
use crate::live::{self, Executor, Problem};
use crate::schema::{OperationKind, Request};

/// What the client accepts.
#[derive(Clone, Copy)]
struct Accepted {
    response: Option<MediaType>,
    stream: Option<Format>,
}

impl Accepted {
    /// The media type of a response that says what is wrong with the request.
    fn media(self) -> MediaType {
        self.response.unwrap_or(MediaType::Json)
    }
}

/// Answers every method.
pub async fn handle<E: Executor>(State(gateway): State<Arc<Gateway<E>>>, request: HttpRequest) -> Response {
    let is_get = request.method() == Method::GET;
    if is_get && live::is_upgrade(request.headers()) {
        let opened = live::upgrade(&gateway.live, request.into_parts().0).await;
        return opened.unwrap_or_else(|(status, problem)| respond::refused(MediaType::Json, status, &problem));
    }
    let accepted = Accepted { response: response_type(request.headers()), stream: stream_format(request.headers()) };
    if !is_get && request.method() != Method::POST {
        let message = "GraphQL requests are POST or, for queries, GET";
        return respond::wrong_method(accepted.media(), "GET, POST", message);
    }
    if accepted.response.is_none() && accepted.stream.is_none() {
        let message = "only application/graphql-response+json, application/json, text/event-stream and \
                       multipart/mixed can be given";
        return respond::refused(MediaType::Json, StatusCode::NOT_ACCEPTABLE, &Problem::bad_input(message));
    }
    match answer(&gateway, accepted, is_get, request).await {
        Ok(response) => response,
        Err((status, problem)) => respond::refused(accepted.media(), status, &problem),
    }
}

async fn answer<E: Executor>(
    gateway: &Gateway<E>,
    accepted: Accepted,
    is_get: bool,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    let deadline = Instant::now() + gateway.settings.request_timeout;
    let live = &gateway.live;
    let principal = live.authenticator.authenticate(request.headers()).await;
    let principal = principal.map_err(|error| (StatusCode::UNAUTHORIZED, Problem::from(error)))?;
    let request = if is_get {
        let resume_after = read::last_event_id(request.headers());
        Request { resume_after, ..read::url(request.uri())? }
    } else {
        posted(gateway, request, deadline).await?
    };

    let kind = match live.executor.operation_kind(&request) {
        Ok(kind) => kind,
        Err(response) => {
            return match (accepted.response, accepted.stream) {
                (Some(media), _) => Ok(respond::graphql(media, request_error_status(media), response.body)),
                (None, Some(format)) => streamed(gateway, format, &principal, request),
                (None, None) => Ok(respond::graphql(MediaType::Json, StatusCode::BAD_REQUEST, response.body)),
            };
        }
    };
    if is_get && kind == OperationKind::Mutation {
        return Ok(respond::wrong_method(accepted.media(), "POST", "a mutation must be a POST"));
    }
    match (kind, accepted.response, accepted.stream) {
        (OperationKind::Subscription, Some(_), Some(format @ Format::Multipart { .. })) => {
            parts(gateway, format, accepted.media(), &principal, request).await
        }
        (OperationKind::Subscription, _, Some(format))
        | (OperationKind::Query | OperationKind::Mutation, None, Some(format)) => {
            streamed(gateway, format, &principal, request)
        }
        (OperationKind::Subscription, _, None) => {
            let message = "a subscription runs over WebSocket, or over HTTP with Accept: text/event-stream or \
                           multipart/mixed;subscriptionSpec=1.0";
            Err((request_error_status(accepted.media()), Problem::bad_input(message)))
        }
        (OperationKind::Query | OperationKind::Mutation, _, _) => {
            let media = accepted.media();
            let response = timeout_at(deadline, live.executor.execute(request, principal)).await;
            let response = response.map_err(|_| (StatusCode::GATEWAY_TIMEOUT, Problem::timeout()))?;
            let status = if response.is_request_error { request_error_status(media) } else { StatusCode::OK };
            Ok(respond::graphql(media, status, response.body))
        }
    }
}

/// The request in the body of a POST, which has until then to arrive.
pub async fn posted<E: Executor>(
    gateway: &Gateway<E>,
    request: HttpRequest,
    deadline: Instant,
) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    check_body_type(&parts.headers)?;
    let body = read::body(&parts.headers, body, gateway.settings.max_body_bytes);
    let body = timeout_at(deadline, body)
        .await
        .map_err(|_| (StatusCode::REQUEST_TIMEOUT, Problem::bad_input("the body did not arrive in time")))?;
    Ok(Request { resume_after: read::last_event_id(&parts.headers), ..read::json(&body?)? })
}

/// The operation in a stream, which also tells what is wrong with it.
fn streamed<E: Executor>(
    gateway: &Gateway<E>,
    format: Format,
    principal: &Arc<Principal>,
    request: Request,
) -> Result<Response, Refusal> {
    let events = stream::of_request(&gateway.live, format, principal, request)?;
    Ok(respond::stream(format.content_type(), events))
}

/// The subscription in parts if it can start, else a response that says why not: clients that accept both expect it so.
async fn parts<E: Executor>(
    gateway: &Gateway<E>,
    format: Format,
    media: MediaType,
    principal: &Arc<Principal>,
    request: Request,
) -> Result<Response, Refusal> {
    let live = &gateway.live;
    let kind = OperationKind::Subscription;
    let begun = live::begin(&live.executor, kind, request, Arc::clone(principal), live.request_timeout).await;
    match begun {
        Ok(outputs) => {
            let events = stream::of_outputs(live, format, principal, outputs)?;
            Ok(respond::stream(format.content_type(), events))
        }
        Err(live::Refusal::Response(response)) => {
            Ok(respond::graphql(media, request_error_status(media), response.body))
        }
        Err(live::Refusal::Timeout) => Err((StatusCode::GATEWAY_TIMEOUT, Problem::timeout())),
    }
}

fn check_body_type(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_json_body(headers) {
        return Ok(());
    }
    let message = "the body must be JSON in UTF-8, and its content-type must be application/json";
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, Problem::bad_input(message)))
}

/// The status of a well-formed request whose document cannot be run.
fn request_error_status(media: MediaType) -> StatusCode {
    match media {
        MediaType::GraphqlResponse => StatusCode::BAD_REQUEST,
        MediaType::Json => StatusCode::OK,
    }
}
