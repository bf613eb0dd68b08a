//! Subscriptions over WebSocket, by the subprotocol `graphql-transport-ws`.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::{root_value, text};
use crate::wait::in_time;

/// A socket. Dropping it closes the connection without a word, as a lost network does.
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u32,
}

/// A result that a subscription brought.
#[derive(Debug, Clone)]
pub struct Event {
    /// The bytes of `data`.
    pub raw: String,
    /// The value of the only field in `data`.
    pub change: Value,
    /// The whole payload: `data`, `errors`, `extensions`.
    pub payload: Value,
    /// Where to continue after this one.
    pub cursor: String,
}

/// What the server sends.
#[derive(Debug)]
pub enum Incoming {
    /// A result of an operation.
    Next(String, Box<Event>),
    /// An operation that could not be run, or go on.
    Error(String, Value),
    /// An operation that is over.
    Complete(String),
    /// The answer to a `ping`.
    Pong,
    /// The end of the socket.
    Closed(u16, String),
}

#[derive(Deserialize)]
struct Frame {
    r#type: String,
    id: Option<String>,
    payload: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Payload {
    data: Box<RawValue>,
}

impl Live {
    /// Connects, says who is calling, and awaits the acknowledgement.
    pub async fn connect(address: SocketAddr, token: Option<String>) -> Self {
        let mut live = Self::open(address).await;
        let payload = token.map(|token| json!({"authorization": format!("Bearer {token}")}));
        live.send(json!({"type": "connection_init", "payload": payload.unwrap_or(json!({}))})).await;
        let answer = live.frame().await.unwrap_or_else(|close| panic!("closed instead of acknowledged: {close:?}"));
        assert_eq!(answer.r#type, "connection_ack");
        live
    }

    /// Connects and says nothing yet.
    pub async fn open(address: SocketAddr) -> Self {
        let request = format!("ws://{address}/graphql").into_client_request();
        let mut request = request.expect("the address makes a valid URL");
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol.clone());
        let (socket, response) = in_time("a WebSocket opens", connect_async(request))
            .await
            .unwrap_or_else(|error| panic!("no WebSocket at {address}: {error}"));
        assert_eq!(response.headers().get("sec-websocket-protocol"), Some(&protocol));
        Self { socket, last_id: 0 }
    }

    /// Sends a message as it is.
    pub async fn send(&mut self, message: Value) {
        let message = Message::text(message.to_string());
        in_time("a message is sent", self.socket.send(message)).await.expect("the socket is open");
    }

    /// As [`send`](Self::send), over a socket that may be closed by now; reading from it says so.
    pub async fn try_send(&mut self, message: Value) {
        let message = Message::text(message.to_string());
        let _ = in_time("a message is sent", self.socket.send(message)).await;
    }

    /// Starts an operation and returns its id.
    pub async fn start(&mut self, query: &str, variables: Value) -> String {
        self.last_id += 1;
        let id = self.last_id.to_string();
        let payload = json!({"query": query, "variables": variables});
        self.send(json!({"type": "subscribe", "id": id, "payload": payload})).await;
        id
    }

    /// As [`start`](Self::start), for the only operation of a socket.
    #[must_use]
    pub async fn following(mut self, query: &str, variables: Value) -> Self {
        self.start(query, variables).await;
        self
    }

    /// The next result; anything else is a failure.
    pub async fn event(&mut self) -> Event {
        match self.receive().await {
            Incoming::Next(_, event) => *event,
            other => panic!("expected a result of the subscription, got {other:?}"),
        }
    }

    /// The next results.
    pub async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.event().await);
        }
        events
    }

    /// The codes of the errors that end an operation; anything else is a failure.
    pub async fn error_codes(&mut self) -> Vec<String> {
        match self.receive().await {
            Incoming::Error(_, errors) => {
                let errors = errors.as_array().into_iter().flatten();
                errors.map(|error| text(&error["extensions"]["code"])).collect()
            }
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// The next message.
    pub async fn receive(&mut self) -> Incoming {
        let frame = match self.frame().await {
            Ok(frame) => frame,
            Err((code, reason)) => return Incoming::Closed(code, reason),
        };
        let id = frame.id.unwrap_or_default();
        let raw = frame.payload.as_deref().map_or("null", RawValue::get);
        let value: Value = serde_json::from_str(raw).expect("a raw value is JSON");
        match frame.r#type.as_str() {
            "next" => Incoming::Next(id, Box::new(event(raw, value))),
            "error" => Incoming::Error(id, value),
            "complete" => Incoming::Complete(id),
            "pong" => Incoming::Pong,
            other => panic!("a server does not send {other}"),
        }
    }

    /// The next message as it is, of an operation that is no subscription.
    pub async fn receive_plain(&mut self) -> Value {
        let frame = self.frame().await.unwrap_or_else(|close| panic!("closed: {close:?}"));
        let payload = frame.payload.map(|payload| serde_json::from_str::<Value>(payload.get()).expect("it is JSON"));
        let mut message = json!({"type": frame.r#type, "id": frame.id});
        if let Some(payload) = payload {
            message["payload"] = payload;
        }
        message
    }

    /// Waits until the server says whether what the client has may be stale.
    pub async fn staleness(&mut self) -> bool {
        loop {
            let frame = self.any_frame().await.unwrap_or_else(|close| panic!("closed: {close:?}"));
            assert_eq!(frame.r#type, "ping", "no result comes meanwhile");
            let payload =
                frame.payload.map(|payload| serde_json::from_str::<Value>(payload.get()).expect("it is JSON"));
            if let Some(is_stale) = payload.and_then(|payload| payload["stale"].as_bool()) {
                return is_stale;
            }
        }
    }

    /// The next text frame but pings, or the close code and reason.
    async fn frame(&mut self) -> Result<Frame, (u16, String)> {
        loop {
            let frame = self.any_frame().await?;
            if frame.r#type != "ping" {
                return Ok(frame);
            }
        }
    }

    /// The next text frame, or the close code and reason. Pings are answered.
    async fn any_frame(&mut self) -> Result<Frame, (u16, String)> {
        loop {
            let message = in_time("the server sends a message", self.socket.next()).await;
            match message {
                Some(Ok(Message::Text(frame))) => {
                    let frame: Frame = serde_json::from_str(&frame).unwrap_or_else(|e| panic!("{e}: {frame}"));
                    if frame.r#type == "ping" {
                        self.send(json!({"type": "pong"})).await;
                    }
                    return Ok(frame);
                }
                // The library answers these by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(close)))) => return Err((close.code.into(), close.reason.to_string())),
                Some(Ok(Message::Close(None))) | None => return Err((1005, String::new())),
                Some(Ok(other)) => panic!("a server does not send {other:?}"),
                Some(Err(tungstenite::Error::Protocol(_) | tungstenite::Error::Io(_))) => {
                    return Err((1006, String::new()));
                }
                Some(Err(error)) => panic!("the socket failed: {error}"),
            }
        }
    }
}

pub(crate) fn event(raw: &str, payload: Value) -> Event {
    let raw: Payload = serde_json::from_str(raw).unwrap_or_else(|error| panic!("{error}: {raw}"));
    let cursor = text(&payload["extensions"]["cursor"]);
    let change = if payload["data"].is_null() { Value::Null } else { root_value(payload["data"].clone()) };
    Event { raw: raw.data.get().to_owned(), change, payload, cursor }
}
