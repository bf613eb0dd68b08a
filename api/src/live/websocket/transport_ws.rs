//! The subprotocol `graphql-transport-ws`: <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.

use serde_json::{Map, Value};

use super::frames::Frames;
use super::message::{ClientMessage, Raw, about, notice, responses};
use crate::live::operation::Output;

/// As clients name it.
pub(super) const NAME: &str = "graphql-transport-ws";

/// Reads a text frame. The error is the reason of the close frame with code 4400.
pub(super) fn parse(text: &str) -> Result<ClientMessage, &'static str> {
    let raw = Raw::parse(text)?;
    match raw.kind.as_str() {
        "connection_init" => Ok(ClientMessage::Init(raw.payload()?.unwrap_or_default())),
        "subscribe" => raw.start(),
        "complete" => Ok(ClientMessage::Stop { id: raw.id()? }),
        "ping" => Ok(ClientMessage::Ping(raw.payload()?)),
        "pong" => raw.payload().map(|_| ClientMessage::Pong),
        _ => Err("the type of the message is not known"),
    }
}

/// Adds what an output is on the wire, if the client is told of it.
pub(super) fn output(id: &str, output: &Output, frames: &mut Frames) {
    match output {
        Output::Started(_) => {}
        Output::Next(payloads) => responses("next", id, payloads, frames),
        Output::Error(errors) => about("error", id, Some(errors), frames),
        Output::Complete => about("complete", id, None, frames),
    }
}

/// The answer to `connection_init`.
pub(super) fn connection_ack(frames: &mut Frames) {
    notice("connection_ack", None, frames);
}

/// What the server says about itself.
pub(super) fn ping(payload: &Value, frames: &mut Frames) {
    notice("ping", Some(payload), frames);
}

/// The answer to a ping.
pub(super) fn pong(payload: Option<Map<String, Value>>, frames: &mut Frames) {
    notice("pong", payload.map(Value::Object).as_ref(), frames);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_not_of_the_protocol() {
        let cases = [
            "",
            "hello",
            "[]",
            "null",
            r#"["ping"]"#,
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"start","id":"1","payload":{"query":"{a}"}}"#,
            r#"{"type":"stop","id":"1"}"#,
            r#"{"type":"connection_terminate"}"#,
            r#"{"type":"connection_init","payload":"token"}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"ping","payload":1}"#,
            r#"{"type":"pong","payload":1}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"complete","id":""}"#,
            r#"{"type":"complete","id":1}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":null}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":null}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","operationName":1}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","extensions":"x"}}"#,
        ];
        for text in cases {
            assert!(parse(text).is_err_and(|reason| reason.len() <= 123), "{text}");
        }
    }

    #[test]
    fn messages_of_the_protocol() {
        let text = r#" {"payload":{"query":"{a}","operationName":null,"variables":{"x":[1]},"extra":1},
            "id":"1","type":"subscribe","extra":1}"#;
        let Ok(ClientMessage::Start { id, request }) = parse(text) else { panic!("{text}") };
        assert_eq!((id.as_str(), request.query.as_str(), request.operation_name), ("1", "{a}", None));
        assert_eq!(Value::Object(request.variables).to_string(), r#"{"x":[1]}"#);
        assert!(request.extensions.is_empty());
        for text in [
            r#"{"type":"connection_init"}"#,
            r#"{"type":"connection_init","payload":null}"#,
            r#"{"type":"connection_init","payload":{"authorization":"Bearer x"}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"ping","payload":{}}"#,
            r#"{"type":"pong","payload":null}"#,
            r#"{"type":"complete","id":"1"}"#,
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }
}
