//! From an HTTP request to a socket: who may open one, and what it speaks.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use http::header::{HOST, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::{Subprotocol, connection};
use crate::live::{Executor, Live, Problem};
use crate::schema::ErrorCode;

/// Allocated for each socket when it opens, so it decides what an idle one costs. Longer messages get what they need.
const READ_BUFFER_BYTES: usize = 1 << 10;
/// Filled before a write is attempted. Not allocated before it is needed.
const WRITE_BUFFER_BYTES: usize = 16 << 10;

/// Whether the client asks for a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Opens a socket, or says why not.
pub async fn upgrade<E: Executor>(live: &Arc<Live<E>>, mut parts: Parts) -> Result<Response, (StatusCode, Problem)> {
    if !origin_allowed(&parts.headers, &live.origins) {
        let message = "web pages of this origin may not open a WebSocket here";
        return Err((StatusCode::FORBIDDEN, Problem::new(ErrorCode::Forbidden, message)));
    }
    let principal = live.authenticator.authenticate(&parts.headers).await;
    let principal = principal.map_err(|error| (StatusCode::UNAUTHORIZED, error.into()))?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| (rejection.status(), Problem::bad_input(rejection.body_text())))?;
    let seat = live.seat(&principal)?;

    let tracked = live.tasks.token();
    let live = live.clone();
    let upgrade = upgrade
        .protocols(Subprotocol::NAMES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(live.settings.ws_max_message_bytes)
        .max_frame_size(live.settings.ws_max_message_bytes)
        .on_failed_upgrade(|error| tracing::debug!(%error, "a WebSocket could not be opened"));
    Ok(upgrade.on_upgrade(move |socket| async move {
        connection::run(live, socket, principal, seat).await;
        drop(tracked);
    }))
}

/// Browsers send `Origin`, and let every page open sockets to everywhere: the check is the server's.
fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else { return false };
    if allowed.iter().any(|allowed| allowed == "*" || *allowed == origin) {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    let (Some(host), Some((scheme, authority))) = (host, origin.split_once("://")) else { return false };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    authority.trim_end_matches(default_port) == host.trim_end_matches(default_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let allowed = ["https://app.example".to_owned()];
        let cases = [
            (None, "tandem.example", true),
            (Some("https://tandem.example"), "tandem.example", true),
            (Some("https://tandem.example"), "tandem.example:443", true),
            (Some("HTTP://Tandem.example:8080"), "tandem.example:8080", true),
            (Some("http://tandem.example:8080"), "tandem.example", false),
            (Some("https://app.example"), "tandem.example", true),
            (Some("http://app.example"), "tandem.example", false),
            (Some("https://evil.example"), "tandem.example", false),
            (Some("https://tandem.example.evil.example"), "tandem.example", false),
            (Some("null"), "tandem.example", false),
            (Some(""), "tandem.example", false),
        ];
        for (origin, host, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(origin_allowed(&headers, &allowed), expected, "{origin:?} at {host}");
            assert!(origin_allowed(&headers, &["*".to_owned()]));
        }
    }
}
