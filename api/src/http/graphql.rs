//! `/graphql`: POST, GET for queries, and the upgrade to WebSocket.

use std::sync::Arc;

use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::negotiate::{MediaType, is_json_body, response_type};
use super::read::{self, Refusal};
use super::{Gateway, respond};
use crate::live::{self, Executor, Problem};
use crate::schema::OperationKind;

/// Answers every method.
pub async fn handle<E: Executor>(State(gateway): State<Arc<Gateway<E>>>, request: HttpRequest) -> Response {
    let is_get = request.method() == Method::GET;
    if is_get && live::is_upgrade(request.headers()) {
        let opened = live::upgrade(&gateway.live, request.into_parts().0).await;
        return opened.unwrap_or_else(|(status, problem)| respond::refused(MediaType::Json, status, &problem));
    }
    let media = response_type(request.headers());
    if !is_get && request.method() != Method::POST {
        let media = media.unwrap_or(MediaType::Json);
        return respond::wrong_method(media, "GET, POST", "GraphQL requests are POST or, for queries, GET");
    }
    let Some(media) = media else {
        let message = "only application/graphql-response+json and application/json can be given";
        return respond::refused(MediaType::Json, StatusCode::NOT_ACCEPTABLE, &Problem::bad_input(message));
    };
    match answer(&gateway, media, is_get, request).await {
        Ok(response) => response,
        Err((status, problem)) => respond::refused(media, status, &problem),
    }
}

async fn answer<E: Executor>(
    gateway: &Gateway<E>,
    media: MediaType,
    is_get: bool,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    let deadline = Instant::now() + gateway.settings.request_timeout;
    let principal = gateway.live.authenticator.authenticate(request.headers()).await;
    let principal = principal.map_err(|error| (StatusCode::UNAUTHORIZED, Problem::from(error)))?;
    let request = if is_get {
        read::url(request.uri())?
    } else {
        let (parts, body) = request.into_parts();
        check_body_type(&parts.headers)?;
        let body = read::body(&parts.headers, body, gateway.settings.max_body_bytes);
        let body = timeout_at(deadline, body)
            .await
            .map_err(|_| (StatusCode::REQUEST_TIMEOUT, Problem::bad_input("the body did not arrive in time")))?;
        read::json(&body?)?
    };

    let executor = &gateway.live.executor;
    let kind = match executor.operation_kind(&request) {
        Ok(kind) => kind,
        Err(response) => return Ok(respond::graphql(media, request_error_status(media), response.body)),
    };
    if let Some(refused) = refuse_kind(media, kind, is_get) {
        return refused;
    }
    let response = timeout_at(deadline, executor.execute(request, principal)).await;
    let response = response.map_err(|_| (StatusCode::GATEWAY_TIMEOUT, Problem::timeout()))?;
    let status = if response.is_request_error { request_error_status(media) } else { StatusCode::OK };
    Ok(respond::graphql(media, status, response.body))
}

fn check_body_type(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_json_body(headers) {
        return Ok(());
    }
    let message = "the body must be JSON in UTF-8, and its content-type must be application/json";
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, Problem::bad_input(message)))
}

fn refuse_kind(media: MediaType, kind: OperationKind, is_get: bool) -> Option<Result<Response, Refusal>> {
    match kind {
        OperationKind::Query => None,
        OperationKind::Mutation if !is_get => None,
        OperationKind::Mutation => Some(Ok(respond::wrong_method(media, "POST", "a mutation must be a POST"))),
        OperationKind::Subscription => {
            let message = "a subscription runs over WebSocket, with the subprotocol graphql-transport-ws";
            Some(Err((request_error_status(media), Problem::bad_input(message))))
        }
    }
}

/// The status of a well-formed request whose document cannot be run.
fn request_error_status(media: MediaType) -> StatusCode {
    match media {
        MediaType::GraphqlResponse => StatusCode::BAD_REQUEST,
        MediaType::Json => StatusCode::OK,
    }
}
