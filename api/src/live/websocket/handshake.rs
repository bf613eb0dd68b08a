//! The opening handshake of RFC 6455, section 4.2: what a request has to say to become a socket, and the answer.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use tungstenite::handshake::derive_accept_key;

use super::Subprotocol;
use crate::live::Problem;

/// The only version there is.
const VERSION: &str = "13";

/// A request that may become a socket.
#[derive(Debug)]
pub(super) struct Handshake {
    /// What will be spoken; `None` if the client offers nothing that is known here.
    pub(super) subprotocol: Option<Subprotocol>,
    /// Gives the connection once the answer is out.
    pub(super) on_upgrade: OnUpgrade,
    accept: HeaderValue,
}

impl Handshake {
    /// Reads it from a request.
    ///
    /// # Errors
    /// If it does not ask for a socket as it has to.
    pub(super) fn of(parts: &mut Parts) -> Result<Self, (StatusCode, Problem)> {
        let bad = |status, message: &'static str| (status, Problem::bad_input(message));
        if parts.method != Method::GET {
            return Err(bad(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket is opened with GET"));
        }
        let headers = &parts.headers;
        if !tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
            return Err(bad(StatusCode::BAD_REQUEST, "the header Connection must name \"upgrade\""));
        }
        if !tokens(headers, &SEC_WEBSOCKET_VERSION).eq([VERSION.as_bytes()]) {
            return Err(bad(StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Version must be 13"));
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
            return Err(bad(StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is missing"));
        };
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 may stand in a header");
        let is_offered =
            |known: &Subprotocol| tokens(headers, &SEC_WEBSOCKET_PROTOCOL).any(|name| name == known.name().as_bytes());
        let subprotocol = Subprotocol::ALL.into_iter().find(is_offered);
        let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return Err(bad(StatusCode::UPGRADE_REQUIRED, "this connection cannot become a WebSocket"));
        };
        Ok(Self { subprotocol, on_upgrade, accept })
    }

    /// The answer, after which the connection is a socket.
    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(subprotocol) = self.subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol.name()));
        }
        response
    }
}

/// The parts of a header that is a list, from all of its lines.
fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}
