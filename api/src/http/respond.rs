//! Builds HTTP responses.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::negotiate::MediaType;
use crate::live::Problem;
use crate::live::stream::Events;
use crate::schema::ErrorCode;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

impl MediaType {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

/// A GraphQL response with these bytes.
pub fn graphql(media: MediaType, status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    // Answers depend on the caller's rights.
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// A response that goes on for as long as its operations do.
pub fn stream(content_type: &'static str, events: Events) -> Response {
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.insert(CACHE_CONTROL, NO_STORE);
    // nginx would hold events back until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Plain text.
pub fn text(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// A status without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// A request that was refused before it came to the engine.
pub fn refused(media: MediaType, status: StatusCode, problem: &Problem) -> Response {
    let mut response = graphql(media, status, problem.response());
    if problem.code == ErrorCode::Unauthenticated {
        let challenge =
            format!("Bearer error=\"invalid_token\", error_description=\"{}\"", problem.message.replace('"', "'"));
        let challenge = HeaderValue::try_from(challenge);
        let plain = || HeaderValue::from_static("Bearer error=\"invalid_token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge.unwrap_or_else(|_| plain()));
    }
    response
}

/// A method that is not for this, with those that are.
pub fn wrong_method(media: MediaType, allowed: &'static str, problem: Problem) -> Response {
    let mut response = refused(media, StatusCode::METHOD_NOT_ALLOWED, &problem);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The last response on its connection.
pub fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Any JSON, outside of GraphQL.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    graphql(MediaType::Json, status, value.to_string().into())
}

/// A path that does not exist.
pub async fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "error": "there is nothing at this path" }))
}

/// A path that has no such method. The header with those that it has is added by the router.
pub async fn method_not_allowed(method: Method) -> Response {
    json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": format!("{method} is not allowed here") }))
}
