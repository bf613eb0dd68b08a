//! What receivers of webhooks ask by themselves: the public keys (`/.well-known/jwks.json`), and the URL by which a
//! receiver confirms that it wants the events (`/webhooks/<id>/confirm`, the callback of CloudEvents).
//!
//! Both are for callers without a token. The keys are public; who confirms shows a key that only the receiver was told.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use entity::WebhookId;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::read::query_string::parameters;
use super::respond;
use crate::catalog::type_id;
use crate::webhook::registry::{KeySetError, Registry};
use crate::webhook::row::Webhook;
use crate::webhook::verification::{ALLOWED_RATE, parse_rate};

/// The media type of RFC 7517, section 8.5.
const JWK_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");
/// A new key signs at once, so receivers should not keep a set for long.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// The routes.
pub fn routes(registry: Registry) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(key_set))
        .route("/webhooks/{id}/confirm", get(confirm).post(confirm))
        .with_state(registry)
}

async fn key_set(State(registry): State<Registry>, RawQuery(query): RawQuery) -> Response {
    let id = match parameters(query.as_deref().unwrap_or_default(), ["webhook"]) {
        Ok([None]) => None,
        Ok([Some(text)]) => match webhook_id(&text) {
            Some(id) => Some(id),
            None => return bad_request("the parameter \"webhook\" is no id of a webhook"),
        },
        Err(message) => return bad_request(&message),
    };
    match registry.key_set(id).await {
        Ok(keys) => {
            let mut response = respond::json(StatusCode::OK, &keys);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, JWK_SET);
            headers.insert(CACHE_CONTROL, MAX_AGE);
            // Anybody may read it anyway, so a page may, too.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            response
        }
        Err(error @ KeySetError::TooMany) => bad_request(&error.to_string()),
        Err(KeySetError::Database(error)) => unavailable(&error),
    }
}

async fn confirm(
    State(registry): State<Registry>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let key = match parameters(query.as_deref().unwrap_or_default(), ["key"]) {
        Ok([key]) => key.unwrap_or_default(),
        Err(message) => return bad_request(&message),
    };
    let per_minute = headers.get(ALLOWED_RATE).and_then(|rate| parse_rate(rate.to_str().ok()?));
    let confirmed = match webhook_id(&id) {
        Some(id) => registry.confirm(id, &key, per_minute).await,
        None => Ok(false),
    };
    match confirmed {
        Ok(true) => respond::text(StatusCode::OK, "Confirmed: this receiver gets events from now on.\n".to_owned()),
        Ok(false) => respond::text(StatusCode::NOT_FOUND, "There is no webhook that waits for this.\n".to_owned()),
        Err(error) => unavailable(&error),
    }
}

fn webhook_id(text: &str) -> Option<WebhookId> {
    type_id::parse_prefixed(Webhook::PREFIX, text).map(WebhookId)
}

fn bad_request(message: &str) -> Response {
    respond::text(StatusCode::BAD_REQUEST, format!("{message}\n"))
}

fn unavailable(error: &impl std::fmt::Display) -> Response {
    tracing::warn!(%error, "a request about webhooks failed");
    respond::text(StatusCode::SERVICE_UNAVAILABLE, "The server cannot answer now.\n".to_owned())
}
