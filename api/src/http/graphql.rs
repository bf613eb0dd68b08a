//! `/graphql`: POST, GET for queries and for subscriptions in a stream, and the upgrade to WebSocket.
//!
//! What a request may be answered with follows from its `Accept`: a response, a stream, or either. A query or a mutation
//! is answered with a response if that is accepted, a subscription always with a stream. A body may be a batch, whose
//! requests run side by side; the answers stand in the order of the requests, and none of them is a stream.

use std::sync::Arc;

use axum::body::BodyDataStream;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::join_all;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::negotiate::{MediaType, is_json_body, response_type, stream_format};
use super::read::{self, Requests};
use super::refusal::{Refusal, Refused};
use super::{Gateway, respond, subscribe};
use crate::auth::Principal;
use crate::live::stream::Format;
use crate::live::{self, Executor, Problem};
use crate::schema::{OperationKind, Request, Response as GraphqlResponse};

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

/// What all requests of one exchange have in common.
struct Exchange<'a, E> {
    gateway: &'a Gateway<E>,
    accepted: Accepted,
    is_get: bool,
    principal: Arc<Principal>,
    deadline: Instant,
}

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
    settle(&gateway, response, &mut body, deadline).await
}

/// Sees to it that the connection can be used for the next request: nothing is left of the body. If there is too much of
/// it, the client is told that the connection ends; one that does not know would send its next request on it, in vain.
pub(super) async fn settle<E>(
    gateway: &Gateway<E>,
    response: Response,
    body: &mut BodyDataStream,
    deadline: Instant,
) -> Response {
    if response.status().is_success() {
        return response;
    }
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return respond::closing(response);
    }
    match timeout_at(deadline, read::drain(body, gateway.settings.max_body_bytes)).await {
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
    let accepted = Accepted { response: response_type(&parts.headers), stream: stream_format(&parts.headers) };
    if parts.method != Method::GET && parts.method != Method::POST {
        let problem = Problem::bad_input("GraphQL requests are POST or, for queries and streams, GET");
        return respond::wrong_method(accepted.media(), "GET, POST", problem);
    }
    if accepted.response.is_none() && accepted.stream.is_none() {
        let message = "only application/graphql-response+json, application/json, text/event-stream and \
                       multipart/mixed can be given";
        return respond::refused(MediaType::Json, StatusCode::NOT_ACCEPTABLE, &Problem::bad_input(message));
    }
    let answer = answer(gateway, accepted, parts, body, deadline).await;
    answer.unwrap_or_else(|(status, problem)| respond::refused(accepted.media(), status, &problem))
}

async fn answer<E: Executor>(
    gateway: &Gateway<E>,
    accepted: Accepted,
    parts: &Parts,
    body: &mut BodyDataStream,
    deadline: Instant,
) -> Result<Response, Refusal> {
    let principal = gateway.live.authenticator.authenticate(&parts.headers).await;
    let principal = principal.map_err(|error| (StatusCode::UNAUTHORIZED, Problem::from(error)))?;
    let is_get = parts.method == Method::GET;
    let exchange = Exchange { gateway, accepted, is_get, principal, deadline };
    let resume_after = read::last_event_id(&parts.headers);
    let requests = match is_get {
        true => Requests::One(read::url(&parts.uri)?),
        false => posted(gateway, &parts.headers, body, deadline).await?,
    };
    match requests {
        Requests::One(request) => exchange.one(Request { resume_after, ..request }).await,
        Requests::Batch(_) if accepted.response.is_none() => {
            Err((StatusCode::NOT_ACCEPTABLE, Problem::bad_input("a batch is answered with JSON, not with a stream")))
        }
        Requests::Batch(requests) => {
            let answers = join_all(requests.into_iter().map(|request| exchange.of_batch(request))).await;
            Ok(respond::graphql(accepted.media(), StatusCode::OK, list(answers)))
        }
    }
}

/// What is in the body of a POST, which has until then to arrive.
pub(super) async fn posted<E: Executor>(
    gateway: &Gateway<E>,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
    deadline: Instant,
) -> Result<Requests, Refusal> {
    check_body_type(headers)?;
    let body = timeout_at(deadline, read::body(headers, body, gateway.settings.max_body_bytes)).await;
    let late = |_| (StatusCode::REQUEST_TIMEOUT, Problem::bad_input("the body did not arrive in time"));
    read::json(&body.map_err(late)??, gateway.settings.max_batch.into())
}

/// The kind of the operation that the request selects, or the response that says why there is none. The document may be
/// one that is known by its hash.
pub(super) fn prepare<E: Executor>(
    gateway: &Gateway<E>,
    request: &mut Request,
) -> Result<Result<OperationKind, GraphqlResponse>, Refused> {
    let hash = gateway.persisted.resolve(request)?;
    let kind = gateway.live.executor.operation_kind(request);
    if let (Ok(_), Some(hash)) = (&kind, hash) {
        gateway.persisted.keep(hash, &request.query);
    }
    Ok(kind)
}

impl<E: Executor> Exchange<'_, E> {
    /// Answers the only request.
    async fn one(&self, mut request: Request) -> Result<Response, Refusal> {
        let Accepted { response, stream } = self.accepted;
        let media = self.accepted.media();
        let kind = match prepare(self.gateway, &mut request) {
            Ok(kind) => kind,
            Err(refused) => return Ok(single(media, Err(refused))),
        };
        let live = &self.gateway.live;
        match (kind, response, stream) {
            (Ok(OperationKind::Mutation), ..) if self.is_get => {
                Ok(single(media, Err(Refused::Method(Problem::bad_input("a mutation must be a POST")))))
            }
            (Ok(OperationKind::Subscription), Some(_), Some(format @ Format::Multipart { .. })) => {
                match subscribe::in_parts(live, format, &self.principal, request).await? {
                    Ok(response) => Ok(response),
                    Err(response) => Ok(single(media, Ok(response))),
                }
            }
            (Ok(OperationKind::Subscription), _, Some(format)) | (Ok(_) | Err(_), None, Some(format)) => {
                subscribe::streamed(live, format, &self.principal, request)
            }
            (Err(response), ..) => Ok(single(media, Ok(response))),
            (Ok(kind), ..) => Ok(single(media, self.execute(kind, request).await)),
        }
    }

    /// Answers one request of several.
    async fn of_batch(&self, request: Result<Request, Problem>) -> Result<GraphqlResponse, Refused> {
        let mut request = request.map_err(Refused::Malformed)?;
        match prepare(self.gateway, &mut request)? {
            Ok(kind) => self.execute(kind, request).await,
            Err(response) => Ok(response),
        }
    }

    /// Runs a query or a mutation to its response, before the deadline.
    async fn execute(&self, kind: OperationKind, request: Request) -> Result<GraphqlResponse, Refused> {
        match kind {
            OperationKind::Query | OperationKind::Mutation => {}
            OperationKind::Subscription => {
                let message = "a subscription runs over WebSocket, or over HTTP with Accept: text/event-stream or \
                               multipart/mixed;subscriptionSpec=1.0";
                return Err(Refused::Request(Problem::bad_input(message)));
            }
        }
        let response = self.gateway.live.executor.execute(request, Arc::clone(&self.principal));
        timeout_at(self.deadline, response).await.map_err(|_| Refused::Time(Problem::timeout()))
    }
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
