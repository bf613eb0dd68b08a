//! The HTTP side: GraphQL over HTTP, upgrades to WebSocket, streams, health, and the console page.
//!
//! GraphQL over HTTP follows <https://graphql.github.io/graphql-over-http/draft/>. A request is read into a
//! [`Request`](crate::schema::Request), handed to the [`Executor`], and its bytes are given back as they are; nothing in
//! between is boxed, copied or looked at. Handlers are dropped when their client leaves; a mutation that has begun goes
//! on, which is the executor's promise.

mod console;
mod graphql;
mod health;
mod metrics;
mod negotiate;
mod persisted;
mod read;
mod refusal;
mod respond;
mod stall;
mod stream;
mod subscribe;
mod webhooks;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use http::{HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::config::HttpSettings;
use crate::live::{Executor, Live};
use crate::metrics::Metrics;

pub use health::{NotReady, Readiness};
pub use persisted::PersistedQueries;
pub use stall::drop_stalled;
pub use webhooks::routes as webhook_routes;

/// How long a browser may remember that an origin is allowed.
const CORS_MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// What the routes share.
pub struct Gateway<E> {
    /// Runs operations, authenticates, and opens sockets.
    pub live: Arc<Live<E>>,
    /// Limits and origins.
    pub settings: HttpSettings,
    /// The documents that clients name by their hashes.
    pub persisted: PersistedQueries,
    /// Says whether the server can do its work.
    pub readiness: Readiness,
    /// Numbers about the parts.
    pub metrics: Metrics,
    /// Whether they are for everybody, and not for the admin role alone.
    pub are_metrics_open: bool,
}

/// All routes.
pub fn router<E: Executor>(gateway: Gateway<E>) -> Router {
    let gateway = Arc::new(gateway);
    let (graphql, stream) = (any(graphql::handle::<E>), any(stream::handle::<E>));
    // A layer costs every request; without origins there is none.
    let (graphql, stream) = match cors(&gateway.settings.cors_origin) {
        Some(layer) => (graphql.layer(layer.clone()), stream.layer(layer)),
        None => (graphql, stream),
    };
    Router::new()
        .route("/graphql", graphql)
        .route("/graphql/stream", stream)
        .route("/", get(console::page))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz::<E>))
        .route("/metrics", get(metrics::show::<E>))
        .fallback(respond::not_found)
        .method_not_allowed_fallback(respond::method_not_allowed)
        .with_state(gateway)
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        // The settings hold only what can be in a header.
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        // Tokens are sent by scripts, never by the browser itself, so there is no header to protect.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(CORS_MAX_AGE);
    Some(layer)
}
