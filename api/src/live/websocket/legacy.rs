//! The older subprotocol `graphql-ws`, of the library subscriptions-transport-ws:
//! <https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md>.
//!
//! It knows no close codes: what is wrong with the connection is told in `connection_error`, and a message that cannot be
//! read does not end it. Where the specification is silent, the server of that library is followed.

use std::time::Duration;

use axum::extract::ws::Message;
use serde_json::{Value, json};

use super::message::{ClientMessage, Raw, frame, notice};
use crate::live::operation::Output;

/// As clients name it.
pub(super) const NAME: &str = "graphql-ws";

/// The official client gives a connection up when it hears no `ka` for 30 s.
pub(super) const MAX_KEEPALIVE: Duration = Duration::from_secs(20);

/// Reads a text frame. The error is for `connection_error`.
pub(super) fn parse(text: &str) -> Result<ClientMessage, &'static str> {
    let raw = Raw::parse(text)?;
    match raw.kind.as_str() {
        "connection_init" => Ok(ClientMessage::Init(raw.payload()?.unwrap_or_default())),
        "start" => raw.start(),
        "stop" => Ok(ClientMessage::Stop { id: raw.id()? }),
        "connection_terminate" => Ok(ClientMessage::Terminate),
        _ => Err("the type of the message is not known"),
    }
}

/// What an output is on the wire.
pub(super) fn output(id: &str, output: &Output) -> Option<Message> {
    match output {
        Output::Started(_) => None,
        Output::Next(payload) => Some(frame("data", id, Some(payload.body()))),
        Output::Error(errors) => Some(frame("error", id, Some(&error(errors).to_string()))),
        Output::Complete => Some(frame("complete", id, None)),
    }
}

/// The payload of `error` is one error; where there are several, the first one carries all, as the official client
/// understands it.
fn error(errors: &[u8]) -> Value {
    let errors: Vec<Value> = serde_json::from_slice(errors).unwrap_or_default();
    let mut first = errors.first().cloned().unwrap_or_else(|| json!({ "message": "the operation failed" }));
    if errors.len() > 1 {
        first["errors"] = errors.into();
    }
    first
}

/// The answer to `connection_init`.
pub(super) fn connection_ack() -> Message {
    notice("connection_ack", None)
}

/// What is wrong with the connection, or with a message that cannot be read.
pub(super) fn connection_error(message: &str) -> Message {
    notice("connection_error", Some(&json!({ "message": message })))
}

/// A sign of life; the payload is what the server says about itself, which clients may leave unread.
pub(super) fn keep_alive(payload: Option<&Value>) -> Message {
    notice("ka", payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        for text in [
            r#"{"type":"connection_init"}"#,
            r#"{"type":"connection_init","payload":{"authToken":"x"}}"#,
            r#"{"type":"start","id":"1","payload":{"query":"{a}","variables":{},"operationName":null}}"#,
            r#"{"type":"stop","id":"1","payload":null}"#,
            r#"{"type":"connection_terminate","payload":null}"#,
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "hello",
            "[]",
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}"}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"start","payload":{"query":"{a}"}}"#,
            r#"{"type":"start","id":"1","payload":{}}"#,
            r#"{"type":"stop"}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_is_an_object() {
        let text = |errors: &'static str| {
            output("1", &Output::Error(errors.as_bytes().into())).unwrap().to_text().unwrap().to_owned()
        };
        assert_eq!(text(r#"[{"message":"a"}]"#), r#"{"id":"1","type":"error","payload":{"message":"a"}}"#);
        assert_eq!(
            text(r#"[{"message":"a"},{"message":"b"}]"#),
            r#"{"id":"1","type":"error","payload":{"message":"a","errors":[{"message":"a"},{"message":"b"}]}}"#
        );
    }
}
