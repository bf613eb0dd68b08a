//! The transports over real connections, with an executor whose every step the test decides.

mod legacy;
mod multipart;
mod session;
mod single;
mod sse;
mod transport_ws;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::fake::{TestServer, soon};

/// The client's end of a socket.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

type Headers<'a> = &'a [(&'static str, &'a str)];
const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

async fn open(server: &TestServer, headers: Headers<'_>) -> Result<Client, tungstenite::Error> {
    open_named(server, headers).await.map(|(client, _)| client)
}

/// The same, with the subprotocol that the server says it speaks.
async fn open_named(server: &TestServer, headers: Headers<'_>) -> Result<(Client, String), tungstenite::Error> {
    let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    soon(connect_async(request)).await.map(|(socket, response)| {
        let said = response.headers().get("sec-websocket-protocol");
        (Client { socket }, said.map_or("", |said| said.to_str().unwrap()).to_owned())
    })
}

/// The status of an upgrade that is refused.
async fn refused(server: &TestServer, headers: Headers<'_>) -> u16 {
    match open(server, headers).await.map(|_| ()) {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

/// A socket with a connection in it.
async fn connect(server: &TestServer) -> Client {
    let mut client = open(server, &[PROTOCOL]).await.unwrap();
    client.init(json!({})).await;
    client
}

impl Client {
    async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    async fn send_raw(&mut self, message: Message) {
        soon(self.socket.send(message)).await.unwrap();
    }

    /// Opens the connection in a socket that speaks graphql-transport-ws.
    async fn init(&mut self, payload: Value) {
        self.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(self.text().await, r#"{"type":"connection_ack"}"#);
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"id": id, "type": "subscribe", "payload": {"query": query}})).await;
    }

    /// The next text message; pings are left out.
    async fn text(&mut self) -> String {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn message(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The code and the reason with which the server closes the socket, after what is still on the way.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Nothing more was sent before the answer to this ping.
    async fn nothing_more(&mut self) {
        self.send(json!({"type": "ping", "payload": {"mark": 1}})).await;
        assert_eq!(self.text().await, r#"{"type":"pong","payload":{"mark":1}}"#);
    }
}

/// A response over HTTP, as far as it was read.
struct Streamed {
    status: StatusCode,
    response: reqwest::Response,
    read: String,
}

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

async fn request(
    server: &TestServer,
    method: Method,
    path: &str,
    headers: Headers<'_>,
    body: Option<Value>,
) -> Streamed {
    let url = format!("http://{}{path}", server.address);
    let mut request = reqwest::Client::new().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let response = soon(request.send()).await.unwrap();
    Streamed { status: response.status(), response, read: String::new() }
}

impl Streamed {
    fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What stands before the next such mark; `None` at the end of the body.
    async fn until(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some((before, after)) = self.read.split_once(mark) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.read = after;
                return Some(before);
            }
            match soon(self.response.chunk()).await.unwrap() {
                Some(chunk) => self.read.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => {
                    assert_eq!(self.read, "", "the body ends with a whole message");
                    return None;
                }
            }
        }
    }

    /// The next event, without empty comments.
    async fn event(&mut self) -> Option<String> {
        loop {
            match self.until("\n\n").await {
                Some(comment) if comment == ":" => {}
                event => return event,
            }
        }
    }

    /// Until the connection breaks: how much was read of it.
    async fn rest(mut self) -> String {
        while let Ok(Some(chunk)) = soon(self.response.chunk()).await {
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        self.read
    }

    /// The whole body, as JSON.
    async fn json(self) -> Value {
        let text = soon(self.response.text()).await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    async fn text(self) -> String {
        soon(self.response.text()).await.unwrap()
    }
}

fn query(document: &str) -> Option<Value> {
    Some(json!({ "query": document }))
}
