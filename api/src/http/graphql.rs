//! `/graphql`: POST, GET for queries, and the upgrade to WebSocket.

use std::sync::Arc;

use axum::body::BodyDataStream;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::join_all;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::negotiate::{MediaType, is_json_body, response_type};
use super::read::{self, Refusal, Requests};
use super::{Gateway, respond};
use crate::auth::Principal;
use crate::live::{self, Executor, Problem};
use crate::schema::{OperationKind, Request, Response as GraphqlResponse};

/// Answers every method.
pub async fn handle<E: Executor>(State(gateway): State<Arc<Gateway<E>>>, request: HttpRequest) -> Response {
    if request.method() == Method::GET && live::is_upgrade(request.headers()) {
        let opened = live::upgrade(&gateway.live, request.into_parts().0).await;
        return opened.unwrap_or_else(|(status, problem)| respond::refused(MediaType::Json, status, &problem));
    }
    let deadline = Instant::now() + gateway.settings.request_timeout;
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let response = negotiate(&gateway, &parts, &mut body, deadline).await;
    if response.status().is_success() {
        return response;
    }
    // A connection with an unread body cannot be used again, and a client that is not told sends its next request on it.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return respond::closing(response);
    }
    match timeout_at(deadline, read::drain(&mut body, gateway.settings.max_body_bytes)).await {
        Ok(true) => response,
        Ok(false) | Err(_) => respond::closing(response),
    }
}

async fn negotiate<E: Executor>(
    gateway: &Gateway<E>,
    parts: &Parts,
    body: &mut BodyDataStream,
    deadline: Instant,
) -> Response {
    let media = response_type(&parts.headers);
    if parts.method != Method::GET && parts.method != Method::POST {
        let media = media.unwrap_or(MediaType::Json);
        let problem = Problem::bad_input("GraphQL requests are POST or, for queries, GET");
        return respond::wrong_method(media, "GET, POST", problem);
    }
    let Some(media) = media else {
        let message = "only application/graphql-response+json and application/json can be given";
        return respond::refused(MediaType::Json, StatusCode::NOT_ACCEPTABLE, &Problem::bad_input(message));
    };
    let answer = answer(gateway, media, parts, body, deadline).await;
    answer.unwrap_or_else(|(status, problem)| respond::refused(media, status, &problem))
}

async fn answer<E: Executor>(
    gateway: &Gateway<E>,
    media: MediaType,
    parts: &Parts,
    body: &mut BodyDataStream,
    deadline: Instant,
) -> Result<Response, Refusal> {
    let principal = gateway.live.authenticator.authenticate(&parts.headers).await;
    let principal = principal.map_err(|error| (StatusCode::UNAUTHORIZED, Problem::from(error)))?;
    let is_get = parts.method == Method::GET;
    let run = async |request| run(gateway, is_get, request, &principal, deadline).await;
    if is_get {
        return Ok(single(media, run(read::url(&parts.uri)?).await));
    }
    check_body_type(&parts.headers)?;
    let body = timeout_at(deadline, read::body(&parts.headers, body, gateway.settings.max_body_bytes)).await;
    let late = |_| (StatusCode::REQUEST_TIMEOUT, Problem::bad_input("the body did not arrive in time"));
    match read::json(&body.map_err(late)??, gateway.settings.max_batch.into())? {
        Requests::One(request) => Ok(single(media, run(request).await)),
        Requests::Batch(requests) => {
            let run = async |request: Result<Request, Problem>| match request {
                Ok(request) => run(request).await,
                Err(problem) => Err(Refused::Malformed(problem)),
            };
            let answers = join_all(requests.into_iter().map(run)).await;
            Ok(respond::graphql(media, StatusCode::OK, list(answers)))
        }
    }
}

/// Why an operation was not run.
pub(super) enum Refused {
    /// It is malformed.
    Malformed(Problem),
    /// It is well-formed, but there is nothing in it that can be run here.
    Request(Problem),
    /// A mutation came as a GET.
    Method(Problem),
    /// It took too long.
    Time(Problem),
}

impl Refused {
    /// As the client is told.
    pub(super) fn problem(&self) -> &Problem {
        match self {
            Self::Malformed(problem) | Self::Request(problem) | Self::Method(problem) | Self::Time(problem) => problem,
        }
    }
}

/// Runs one request to its response, before the deadline.
async fn run<E: Executor>(
    gateway: &Gateway<E>,
    is_get: bool,
    mut request: Request,
    principal: &Arc<Principal>,
    deadline: Instant,
) -> Result<GraphqlResponse, Refused> {
    let hash = gateway.persisted.resolve(&mut request)?;
    let executor = &gateway.live.executor;
    let kind = match executor.operation_kind(&request) {
        Ok(kind) => kind,
        Err(response) => return Ok(response),
    };
    if let Some(hash) = hash {
        gateway.persisted.keep(hash, &request.query);
    }
    match kind {
        OperationKind::Query => {}
        OperationKind::Mutation if !is_get => {}
        OperationKind::Mutation => return Err(Refused::Method(Problem::bad_input("a mutation must be a POST"))),
        OperationKind::Subscription => {
            let message = "a subscription runs over WebSocket, with the subprotocol graphql-transport-ws";
            return Err(Refused::Request(Problem::bad_input(message)));
        }
    }
    let response = timeout_at(deadline, executor.execute(request, Arc::clone(principal))).await;
    response.map_err(|_| Refused::Time(Problem::timeout()))
}

fn single(media: MediaType, answer: Result<GraphqlResponse, Refused>) -> Response {
    match answer {
        Ok(response) => {
            let status = if response.is_request_error { request_error_status(media) } else { StatusCode::OK };
            respond::graphql(media, status, response.body)
        }
        Err(Refused::Malformed(problem)) => respond::refused(media, StatusCode::BAD_REQUEST, &problem),
        Err(Refused::Request(problem)) => respond::refused(media, request_error_status(media), &problem),
        Err(Refused::Method(problem)) => respond::wrong_method(media, "POST", problem),
        Err(Refused::Time(problem)) => respond::refused(media, StatusCode::GATEWAY_TIMEOUT, &problem),
    }
}

/// The answers of a batch, in the order of its requests. Each says for itself what became of its request.
fn list(answers: Vec<Result<GraphqlResponse, Refused>>) -> Bytes {
    let bodies = answers.into_iter().map(|answer| match answer {
        Ok(response) => response.body,
        Err(refused) => refused.problem().response(),
    });
    let mut out = Vec::new();
    for body in bodies {
        out.push(if out.is_empty() { b'[' } else { b',' });
        out.extend_from_slice(&body);
    }
    out.push(b']');
    out.into()
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
