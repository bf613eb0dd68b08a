//! From an HTTP request to a socket: who may open one, and what it speaks.

use std::sync::Arc;

use axum::response::Response;
use http::header::{HOST, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;

use super::connection;
use super::handshake::Handshake;
use super::wire::Wire;
use crate::live::{Executor, Live, Problem};
use crate::schema::ErrorCode;

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
    let handshake = Handshake::of(&mut parts)?;
    let seat = live.seat(&principal)?;
    let response = handshake.response();
    let socket = {
        let live = Arc::clone(live);
        async move {
            match handshake.on_upgrade.await {
                Ok(io) => {
                    let wire = Wire::new(TokioIo::new(io), live.settings.ws_max_message_bytes);
                    connection::run(live, wire, handshake.subprotocol, principal, seat).await;
                }
                Err(error) => tracing::debug!(%error, "a WebSocket could not be opened"),
            }
        }
    };
    live.tasks.spawn(socket);
    Ok(response)
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
