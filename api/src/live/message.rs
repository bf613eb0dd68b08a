//! The messages of `graphql-transport-ws`, read and written.

use axum::extract::ws::{Message, Utf8Bytes};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::schema::Request;

/// What a client may say.
#[derive(Debug)]
pub enum ClientMessage {
    /// Opens the connection; the payload may hold a token.
    ConnectionInit(Map<String, Value>),
    /// Starts an operation.
    Subscribe {
        /// Chosen by the client, unique among its running operations.
        id: String,
        /// What to run.
        request: Request,
    },
    /// Ends an operation.
    Complete {
        /// Which.
        id: String,
    },
    /// To be answered with a pong with the same payload.
    Ping(Option<Value>),
    /// The answer to a ping, or a sign of life.
    Pong,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

impl ClientMessage {
    /// Reads a text frame. The error is the reason of the close frame with code 4400.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        // A struct may be read from an array too, which is no message.
        if !text.trim_ascii_start().starts_with('{') {
            return Err("a message must be a JSON object");
        }
        let raw: Raw = serde_json::from_str(text)
            .map_err(|_| "a message must be a JSON object with a string \"type\" and, if any, a string \"id\"")?;
        match raw.kind.as_str() {
            "connection_init" => Ok(Self::ConnectionInit(object(raw.payload)?.unwrap_or_default())),
            "subscribe" => {
                let payload = object(raw.payload)?.ok_or("\"subscribe\" needs a payload")?;
                Ok(Self::Subscribe { id: operation_id(raw.id)?, request: request(payload)? })
            }
            "complete" => Ok(Self::Complete { id: operation_id(raw.id)? }),
            "ping" => Ok(Self::Ping(object(raw.payload)?.map(Value::Object))),
            "pong" => object(raw.payload).map(|_| Self::Pong),
            _ => Err("the type of the message is not known"),
        }
    }
}

fn operation_id(id: Option<String>) -> Result<String, &'static str> {
    id.filter(|id| !id.is_empty()).ok_or("the message needs an \"id\" that is not empty")
}

fn object(payload: Option<Value>) -> Result<Option<Map<String, Value>>, &'static str> {
    match payload {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err("the payload of a message must be an object"),
    }
}

fn request(mut payload: Map<String, Value>) -> Result<Request, &'static str> {
    let Some(Value::String(query)) = payload.swap_remove("query") else {
        return Err("the payload of \"subscribe\" needs a string \"query\"");
    };
    let operation_name = match payload.swap_remove("operationName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err("\"operationName\" must be a string"),
    };
    let variables = object(payload.swap_remove("variables")).map_err(|_| "\"variables\" must be an object")?;
    let extensions = object(payload.swap_remove("extensions")).map_err(|_| "\"extensions\" must be an object")?;
    Ok(Request {
        query,
        operation_name,
        variables: variables.unwrap_or_default(),
        extensions: extensions.unwrap_or_default(),
    })
}

/// The frames of one operation: the part before each payload is made once.
#[derive(Debug, Clone)]
pub struct Frames {
    /// `{"id":"…","type":"`
    start: String,
}

impl Frames {
    /// Of the operation with this id.
    pub fn new(id: &str) -> Self {
        Self { start: format!(r#"{{"id":{},"type":""#, Value::from(id)) }
    }

    /// A response of the operation; `body` is its JSON.
    pub fn next(&self, body: &[u8]) -> Message {
        self.with_payload("next", body)
    }

    /// The end of the operation with errors; `errors` is the JSON array of them.
    pub fn error(&self, errors: &[u8]) -> Message {
        self.with_payload("error", errors)
    }

    /// The end of the operation.
    pub fn complete(&self) -> Message {
        Message::Text(format!(r#"{}complete"}}"#, self.start).into())
    }

    fn with_payload(&self, kind: &str, payload: &[u8]) -> Message {
        const BETWEEN: &[u8] = br#"","payload":"#;
        let mut frame = Vec::with_capacity(self.start.len() + kind.len() + BETWEEN.len() + payload.len() + 1);
        frame.extend_from_slice(self.start.as_bytes());
        frame.extend_from_slice(kind.as_bytes());
        frame.extend_from_slice(BETWEEN);
        frame.extend_from_slice(payload);
        frame.push(b'}');
        Message::Text(Utf8Bytes::try_from(frame).expect("a payload is JSON, and JSON is UTF-8"))
    }
}

/// The answer to `connection_init`.
pub fn connection_ack() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#))
}

/// The answer to a ping.
pub fn pong(payload: Option<Value>) -> Message {
    Message::Text(match payload {
        None => Utf8Bytes::from_static(r#"{"type":"pong"}"#),
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#).into(),
    })
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
            r#"{"type":"start","id":"1"}"#,
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
            assert!(ClientMessage::parse(text).is_err_and(|reason| reason.len() <= 123), "{text}");
        }
    }

    #[test]
    fn messages_of_the_protocol() {
        let text = r#" {"payload":{"query":"{a}","operationName":null,"variables":{"x":[1]},"extra":1},
            "id":"1","type":"subscribe","extra":1}"#;
        let Ok(ClientMessage::Subscribe { id, request }) = ClientMessage::parse(text) else { panic!("{text}") };
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
            assert!(ClientMessage::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn frames_hold_the_payload_byte_for_byte() {
        let frames = Frames::new("a\"b");
        let text = |message: Message| message.to_text().unwrap().to_owned();
        assert_eq!(text(frames.next(br#"{"data": 1.0}"#)), r#"{"id":"a\"b","type":"next","payload":{"data": 1.0}}"#);
        assert_eq!(text(frames.error(b"[]")), r#"{"id":"a\"b","type":"error","payload":[]}"#);
        assert_eq!(text(frames.complete()), r#"{"id":"a\"b","type":"complete"}"#);
    }
}
