//! `/metrics`: numbers for Prometheus.
//!
//! On a server that only this machine can reach they are for everybody; elsewhere for callers with the admin role.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::{Gateway, respond};
use crate::live::Executor;
use crate::metrics::CONTENT_TYPE;

/// The numbers as they are now.
pub async fn show<E: Executor>(State(gateway): State<Arc<Gateway<E>>>, headers: HeaderMap) -> Response {
    if !gateway.are_metrics_open {
        match gateway.live.authenticator.authenticate(&headers).await {
            Ok(principal) if principal.is_admin => {}
            Ok(principal) if principal.sub.is_none() => {
                return respond::json(
                    StatusCode::UNAUTHORIZED,
                    &json!({ "error": "metrics need a token of the admin role" }),
                );
            }
            Ok(_) => {
                return respond::json(StatusCode::FORBIDDEN, &json!({ "error": "metrics are for the admin role" }));
            }
            Err(error) => return respond::json(StatusCode::UNAUTHORIZED, &json!({ "error": error.to_string() })),
        }
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], gateway.metrics.text()).into_response()
}
