//! What the messages of both subprotocols have in common: JSON objects with `type`, and perhaps `id` and `payload`.

use axum::extract::ws::Message;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalog::datum::write_text;
use crate::schema::Request;

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

/// A message about an operation; `payload` is JSON.
pub(super) fn frame(kind: &str, id: &str, payload: Option<&str>) -> Message {
    let mut start = Vec::with_capacity(id.len() + kind.len() + 40 + payload.map_or(0, str::len));
    start.extend_from_slice(b"{\"id\":");
    write_text(&mut start, id);
    start.extend_from_slice(b",\"type\":\"");
    start.extend_from_slice(kind.as_bytes());
    start.push(b'"');
    // Only the start is looked at again: the payload, which may go to very many, is known to be text.
    let mut frame = String::from_utf8(start).expect("what was text is text");
    if let Some(payload) = payload {
        frame.push_str(",\"payload\":");
        frame.push_str(payload);
    }
    frame.push('}');
    Message::Text(frame.into())
}

/// JSON as text.
pub(super) fn text(json: &[u8]) -> &str {
    std::str::from_utf8(json).expect("JSON is text")
}

/// A message about the connection.
pub(super) fn notice(kind: &str, payload: Option<&Value>) -> Message {
    Message::Text(match payload {
        None => format!(r#"{{"type":"{kind}"}}"#).into(),
        Some(payload) => format!(r#"{{"type":"{kind}","payload":{payload}}}"#).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hold_the_payload_byte_for_byte() {
        let text = |message: Message| message.to_text().unwrap().to_owned();
        let next = frame("next", "a\"b", Some(r#"{"data": 1.0}"#));
        assert_eq!(text(next), r#"{"id":"a\"b","type":"next","payload":{"data": 1.0}}"#);
        assert_eq!(text(frame("complete", "1", None)), r#"{"id":"1","type":"complete"}"#);
        assert_eq!(text(notice("ka", None)), r#"{"type":"ka"}"#);
        assert_eq!(text(notice("pong", Some(&Value::Bool(true)))), r#"{"type":"pong","payload":true}"#);
    }
}
