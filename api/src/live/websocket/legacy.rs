//! The older subprotocol `graphql-ws`, of the library subscriptions-transport-ws:
//! <https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md>.
//!
//! It knows no close codes: what is wrong with the connection is told in `connection_error`, and a message that cannot be
//! read does not end it. Where the specification is silent, the server of that library is followed.

use std::time::Duration;

use serde_json::{Value, json};

use super::frames::Frames;
use super::message::{ClientMessage, Raw, about, notice, responses};
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

/// Adds what an output is on the wire, if the client is told of it.
pub(super) fn output(id: &str, output: &Output, frames: &mut Frames) {
    match output {
        Output::Started(_) => {}
        Output::Next(payloads) => responses("data", id, payloads, frames),
        Output::Error(errors) => about("error", id, Some(error(errors).to_string().as_bytes()), frames),
        Output::Complete => about("complete", id, None, frames),
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
pub(super) fn connection_ack(frames: &mut Frames) {
    notice("connection_ack", None, frames);
}

/// What is wrong with the connection, or with a message that cannot be read.
pub(super) fn connection_error(message: &str, frames: &mut Frames) {
    notice("connection_error", Some(&json!({ "message": message })), frames);
}

/// A sign of life; the payload is what the server says about itself, which clients may leave unread.
pub(super) fn keep_alive(payload: Option<&Value>, frames: &mut Frames) {
    notice("ka", payload, frames);
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
            let mut frames = Frames::default();
            output("1", &Output::Error(errors.as_bytes().into()), &mut frames);
            frames.short_texts().concat()
        };
        assert_eq!(text(r#"[{"message":"a"}]"#), r#"{"id":"1","type":"error","payload":{"message":"a"}}"#);
        assert_eq!(
            text(r#"[{"message":"a"},{"message":"b"}]"#),
            r#"{"id":"1","type":"error","payload":{"message":"a","errors":[{"message":"a"},{"message":"b"}]}}"#
        );
    }
}
