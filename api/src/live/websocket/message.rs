//! What the messages of both subprotocols have in common: JSON objects with `type`, and perhaps `id` and `payload`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::frames::Frames;
use crate::catalog::datum::write_text;
use crate::schema::{Payloads, Request};

/// What a client may say.
#[derive(Debug)]
pub(super) enum ClientMessage {
    /// Opens the connection; the payload may hold a token.
    Init(Map<String, Value>),
    /// Starts an operation.
    Start {
        /// Chosen by the client.
        id: String,
        /// What to run.
        request: Request,
    },
    /// Ends an operation.
    Stop {
        /// Which.
        id: String,
    },
    /// To be answered with a pong.
    Ping(Option<Map<String, Value>>),
    /// The answer to a ping, or a sign of life.
    Pong,
    /// Ends the connection.
    Terminate,
}

/// A message whose type is not known yet.
#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(rename = "type")]
    pub(super) kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

impl Raw {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        // A struct may be read from an array too, which is no message.
        if !text.trim_ascii_start().starts_with('{') {
            return Err("a message must be a JSON object");
        }
        serde_json::from_str(text)
            .map_err(|_| "a message must be a JSON object with a string \"type\" and, if any, a string \"id\"")
    }

    /// The payload, which may be missing.
    pub(super) fn payload(self) -> Result<Option<Map<String, Value>>, &'static str> {
        object(self.payload).map_err(|()| "the payload of a message must be an object")
    }

    /// The id, which must be there.
    pub(super) fn id(self) -> Result<String, &'static str> {
        self.id.filter(|id| !id.is_empty()).ok_or("the message needs an \"id\" that is not empty")
    }

    /// The message that starts an operation.
    pub(super) fn start(mut self) -> Result<ClientMessage, &'static str> {
        let payload = object(self.payload.take()).map_err(|()| "the payload of a message must be an object")?;
        let request = request(payload.ok_or("the message needs a payload")?)?;
        Ok(ClientMessage::Start { id: self.id()?, request })
    }
}

fn object(payload: Option<Value>) -> Result<Option<Map<String, Value>>, ()> {
    match payload {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(()),
    }
}

fn request(mut payload: Map<String, Value>) -> Result<Request, &'static str> {
    let Some(Value::String(query)) = payload.swap_remove("query") else {
        return Err("the payload needs a string \"query\"");
    };
    let operation_name = match payload.swap_remove("operationName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err("\"operationName\" must be a string"),
    };
    let variables = object(payload.swap_remove("variables")).map_err(|()| "\"variables\" must be an object")?;
    let extensions = object(payload.swap_remove("extensions")).map_err(|()| "\"extensions\" must be an object")?;
    Ok(Request {
        query,
        operation_name,
        variables: variables.unwrap_or_default(),
        extensions: extensions.unwrap_or_default(),
        resume_after: None,
    })
}

/// Adds a message about an operation; `payload` is JSON.
pub(super) fn about(kind: &str, id: &str, payload: Option<&[u8]>, frames: &mut Frames) {
    let start = start(kind, id);
    match payload {
        Some(payload) => frames.text(&[&start, PAYLOAD, payload, b"}"]),
        None => frames.text(&[&start, b"}"]),
    }
}

/// Adds a message for each response of an operation.
pub(super) fn responses(kind: &str, id: &str, payloads: &Payloads, frames: &mut Frames) {
    let mut start = start(kind, id);
    start.extend_from_slice(PAYLOAD);
    let payloads = payloads.as_slice();
    let bodies = payloads.iter().map(|payload| payload.body().len()).sum::<usize>();
    frames.reserve(payloads.len(), bodies + payloads.len() * (start.len() + 1));
    for payload in payloads {
        frames.text(&[&start, payload.body().as_bytes(), b"}"]);
    }
}

const PAYLOAD: &[u8] = b",\"payload\":";

fn start(kind: &str, id: &str) -> Vec<u8> {
    let mut start = Vec::with_capacity(id.len() + kind.len() + 40);
    start.extend_from_slice(b"{\"id\":");
    write_text(&mut start, id);
    start.extend_from_slice(b",\"type\":\"");
    start.extend_from_slice(kind.as_bytes());
    start.push(b'"');
    start
}

/// Adds a message about the connection.
pub(super) fn notice(kind: &str, payload: Option<&Value>, frames: &mut Frames) {
    let text = match payload {
        None => format!(r#"{{"type":"{kind}"}}"#),
        Some(payload) => format!(r#"{{"type":"{kind}","payload":{payload}}}"#),
    };
    frames.text(&[text.as_bytes()]);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::CursorText;
    use crate::schema::Payload;

    #[test]
    fn frames_hold_the_payload_byte_for_byte() {
        let mut frames = Frames::default();
        let bodies = [r#"{"data": 1.0}"#, "{}", "{\n}"];
        let shared: Arc<[Payload]> =
            bodies.map(|body| Payload::of_subscription(body.into(), CursorText::new())).into_iter().collect();
        responses("next", "a\"b", &Payloads::new(shared, 1).unwrap(), &mut frames);
        about("error", "", Some(b"[1, 2]"), &mut frames);
        about("complete", "1", None, &mut frames);
        notice("ka", None, &mut frames);
        notice("pong", Some(&Value::Bool(true)), &mut frames);
        let expected = [
            r#"{"id":"a\"b","type":"next","payload":{}}"#,
            "{\"id\":\"a\\\"b\",\"type\":\"next\",\"payload\":{\n}}",
            r#"{"id":"","type":"error","payload":[1, 2]}"#,
            r#"{"id":"1","type":"complete"}"#,
            r#"{"type":"ka"}"#,
            r#"{"type":"pong","payload":true}"#,
        ];
        assert_eq!(frames.short_texts(), expected);
    }
}
