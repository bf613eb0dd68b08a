//! `/graphql/stream`: the single connection mode of graphql-sse. PUT reserves a stream, GET connects to it, POST starts an
//! operation on it, DELETE stops one.

use std::sync::Arc;

use axum::body::BodyDataStream;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::time::Instant;

use super::graphql::{posted, prepare, settle};
use super::negotiate::{MediaType, accepts_text, response_type, stream_format};
use super::read::{self, Requests};
use super::refusal::Refusal;
use super::{Gateway, respond};
use crate::auth::Principal;
use crate::live::stream::Format;
use crate::live::stream::single::{self, Reserved, StartError};
use crate::live::{self, Executor, Problem};
use crate::schema::Request;

/// Where graphql-sse puts the token of a stream.
const TOKEN_HEADER: &str = "x-graphql-event-stream-token";

/// What may stand in the URL.
struct Parameters {
    token: Option<String>,
    operation_id: Option<String>,
}

/// Answers every method.
pub async fn handle<E: Executor>(State(gateway): State<Arc<Gateway<E>>>, request: HttpRequest) -> Response {
    let deadline = Instant::now() + gateway.settings.request_timeout;
    let media = response_type(request.headers()).unwrap_or(MediaType::Json);
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let answer = match parts.method {
        Method::PUT => reserve(&gateway, &parts).await,
        Method::GET => connect(&gateway, &parts).await,
        Method::POST => start(&gateway, media, &parts, &mut body, deadline).await,
        Method::DELETE => stop(&gateway, &parts).await,
        _ => {
            let message = "a stream is reserved with PUT, connected with GET, and used with POST and DELETE";
            Ok(respond::wrong_method(media, "DELETE, GET, POST, PUT", Problem::bad_input(message)))
        }
    };
    let response = answer.unwrap_or_else(|(status, problem)| respond::refused(media, status, &problem));
    settle(&gateway, response, &mut body, deadline).await
}

async fn reserve<E: Executor>(gateway: &Gateway<E>, request: &Parts) -> Result<Response, Refusal> {
    if !accepts_text(&request.headers) {
        return Err((StatusCode::NOT_ACCEPTABLE, Problem::bad_input("the token is text/plain")));
    }
    let token = single::reserve(&gateway.live, caller(gateway, &request.headers).await?)?;
    Ok(respond::text(StatusCode::CREATED, token))
}

async fn connect<E: Executor>(gateway: &Gateway<E>, request: &Parts) -> Result<Response, Refusal> {
    let headers = &request.headers;
    if stream_format(headers) != Some(Format::EventStream) {
        let message = "a stream is text/event-stream, which Accept has to name";
        return Err((StatusCode::NOT_ACCEPTABLE, Problem::bad_input(message)));
    }
    // The token was given to who reserved the stream, and is used once: it lets in a browser, which sends no headers here.
    let caller = match headers.contains_key(AUTHORIZATION) {
        true => Some(caller(gateway, headers).await?),
        false => None,
    };
    let events = find(gateway, headers, &parameters(&request.uri)?, caller.as_ref())?.connect(&gateway.live)?;
    Ok(respond::stream(Format::EventStream.content_type(), events))
}

async fn start<E: Executor>(
    gateway: &Gateway<E>,
    media: MediaType,
    parts: &Parts,
    body: &mut BodyDataStream,
    deadline: Instant,
) -> Result<Response, Refusal> {
    let live = &gateway.live;
    let caller = caller(gateway, &parts.headers).await?;
    let stream = find(gateway, &parts.headers, &parameters(&parts.uri)?, Some(&caller))?;
    let resume_after = read::last_event_id(&parts.headers);
    let Requests::One(request) = posted(gateway, &parts.headers, body, deadline).await? else {
        return Err(bad_request("a batch cannot run in a stream; start each operation by itself"));
    };
    let mut request = Request { resume_after, ..request };
    let id = operation_id(&mut request)?;
    // Only 202 says that the operation runs, so nothing that is wrong with it is answered with 200.
    let refused = |body| Ok(respond::graphql(media, StatusCode::BAD_REQUEST, body));
    let kind = match prepare(gateway, &mut request) {
        Ok(Ok(kind)) => kind,
        Ok(Err(response)) => return refused(response.body),
        Err(problem) => return refused(problem.problem().response()),
    };
    match stream.start(live, &id, kind, request).await {
        Ok(true) => Ok(respond::empty(StatusCode::ACCEPTED)),
        Ok(false) => Ok(respond::empty(StatusCode::NO_CONTENT)),
        Err(StartError::Refused(refused)) => Err(refused),
        Err(StartError::Refusal(live::Refusal::Response(response))) => refused(response.body),
        Err(StartError::Refusal(live::Refusal::Timeout)) => Err((StatusCode::GATEWAY_TIMEOUT, Problem::timeout())),
    }
}

async fn stop<E: Executor>(gateway: &Gateway<E>, request: &Parts) -> Result<Response, Refusal> {
    let parameters = parameters(&request.uri)?;
    let caller = caller(gateway, &request.headers).await?;
    let stream = find(gateway, &request.headers, &parameters, Some(&caller))?;
    let Some(id) = parameters.operation_id.filter(|id| !id.is_empty()) else {
        return Err(bad_request("the URL has to name the operation: ?operationId="));
    };
    stream.stop(&id);
    Ok(respond::empty(StatusCode::OK))
}

async fn caller<E: Executor>(gateway: &Gateway<E>, headers: &HeaderMap) -> Result<Arc<Principal>, Refusal> {
    let principal = gateway.live.authenticator.authenticate(headers).await;
    principal.map_err(|error| (StatusCode::UNAUTHORIZED, Problem::from(error)))
}

fn parameters(uri: &Uri) -> Result<Parameters, Refusal> {
    let [token, operation_id] = read::parameters(uri, ["token", "operationId"])?;
    Ok(Parameters { token, operation_id })
}

fn find<E: Executor>(
    gateway: &Gateway<E>,
    headers: &HeaderMap,
    parameters: &Parameters,
    caller: Option<&Arc<Principal>>,
) -> Result<Reserved, Refusal> {
    let token = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
    let token = token.or(parameters.token.as_deref()).unwrap_or_default();
    single::find(&gateway.live, token, caller)
}

/// The id that the client gives the operation; it is not the engine's to know.
fn operation_id(request: &mut Request) -> Result<String, Refusal> {
    match request.extensions.shift_remove("operationId") {
        Some(Value::String(id)) => Ok(id),
        _ => Err(bad_request("extensions.operationId must be a string")),
    }
}

fn bad_request(message: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, Problem::bad_input(message))
}
