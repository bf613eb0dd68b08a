//! One socket, from its opening to its end, in one task.
//!
//! The task waits for whichever comes first: a message of the client, a message of an operation, a point in time, the
//! end of the server. Everything that is written goes through [`Connection::feed`], which waits until the socket takes
//! it; meanwhile nothing else of this socket goes on, and after `ws_write_timeout` without progress it is closed as too
//! slow. So there is no queue that could grow.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout};

use super::message::{ClientMessage, Frames, connection_ack, pong};
use super::operations::{Frame, Operations, frames};
use super::{Executor, Live, Problem};
use crate::auth::Principal;
use crate::schema::{ErrorCode, Request};

/// Frames that are put into the buffer of the socket before it is flushed.
const MAX_COALESCED_FRAMES: usize = 64;
/// Bytes after which it is flushed even if there are fewer frames.
const MAX_COALESCED_BYTES: usize = 256 << 10;
/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// RFC 6455, section 5.5: a control frame has at most 125 bytes, two of which are the code.
const MAX_REASON_BYTES: usize = 123;

/// How a socket ends.
#[derive(Debug)]
enum End {
    /// The client is gone, or said goodbye.
    Gone,
    /// The server closes it, with a code and a reason.
    Close(u16, Cow<'static, str>),
}

impl End {
    fn close(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Close(code, reason.into())
    }
}

/// How far the connection inside the socket is.
enum Stage {
    /// `connection_init` is awaited until then.
    Opening {
        until: Instant,
        /// Who opened the socket; `connection_init` may say otherwise.
        principal: Arc<Principal>,
    },
    /// `connection_ack` was sent.
    Acknowledged(Arc<Principal>),
}

/// One socket.
pub(super) struct Connection<E> {
    live: Arc<Live<E>>,
    socket: WebSocket,
    stage: Stage,
    operations: Operations,
    /// Where the operation that was served last goes on.
    last_cursor: Option<(Arc<str>, String)>,
    /// When anything was received from the client.
    heard_at: Instant,
    ping_at: Instant,
    /// When to close because the server stops.
    drain_at: Option<Instant>,
    /// When the token of the principal ends.
    expires_at: Option<Instant>,
}

impl<E: Executor> Connection<E> {
    pub(super) fn new(live: Arc<Live<E>>, socket: WebSocket, principal: Arc<Principal>) -> Self {
        let now = Instant::now();
        Self {
            stage: Stage::Opening { until: now + live.settings.ws_init_timeout, principal },
            operations: Operations::default(),
            last_cursor: None,
            heard_at: now,
            ping_at: now + live.settings.ws_keepalive,
            drain_at: None,
            expires_at: None,
            live,
            socket,
        }
    }

    /// Runs the socket to its end.
    pub(super) async fn run(mut self) {
        let end = match self.socket.protocol() {
            Some(_) => self.serve().await,
            None => End::close(4406, "Subprotocol not acceptable"),
        };
        // Before the goodbye, which may take a while.
        self.operations = Operations::default();
        if let End::Close(code, reason) = end {
            tracing::debug!(code, %reason, "closing a WebSocket");
            self.close(code, &reason).await;
        }
    }

    async fn serve(&mut self) -> End {
        let shutdown = self.live.shutdown.clone().cancelled_owned();
        let timer = sleep_until(self.next_deadline());
        tokio::pin!(shutdown, timer);
        loop {
            // Every arm can be dropped without loss: messages stay in the socket, items in their streams.
            let turn = tokio::select! {
                message = self.socket.next() => self.receive(message).await,
                frame = self.operations.next() => self.send_coalesced(frame).await,
                () = &mut timer => self.on_time().await,
                () = &mut shutdown, if self.drain_at.is_none() => {
                    self.drain_at = Some(Instant::now() + self.live.drain_window.mul_f64(rand::random()));
                    Ok(())
                }
            };
            let turn = match turn {
                Ok(()) => self.flush().await,
                ended => ended,
            };
            if let Err(end) = turn {
                return end;
            }
            let deadline = self.next_deadline();
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let opening = match &self.stage {
            Stage::Opening { until, .. } => Some(*until),
            Stage::Acknowledged(_) => None,
        };
        let others = [opening, self.drain_at, self.expires_at];
        others.into_iter().flatten().fold(self.ping_at, Instant::min)
    }

    async fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let reached = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if reached(self.drain_at) {
            return Err(End::close(1012, "Service restart"));
        }
        if reached(self.expires_at) {
            return Err(End::close(4403, "Forbidden: the token has expired"));
        }
        if let Stage::Opening { until, .. } = self.stage
            && until <= now
        {
            return Err(End::close(4408, "Connection initialisation timeout"));
        }
        if self.ping_at <= now {
            if now - self.heard_at >= 2 * self.live.settings.ws_keepalive {
                tracing::debug!("dropping a WebSocket that answers no pings");
                return Err(End::Gone);
            }
            self.ping_at = now + self.live.settings.ws_keepalive;
            self.feed(Message::Ping(Bytes::new())).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let message = match message {
            None => return Err(End::Gone),
            Some(Err(error)) => return Err(read_error(&error)),
            Some(Ok(message)) => message,
        };
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => match ClientMessage::parse(&text) {
                Ok(message) => self.handle(message).await,
                Err(reason) => Err(End::close(4400, reason)),
            },
            Message::Binary(_) => Err(End::close(4400, "messages must be text frames")),
            // The pong is already in the buffer.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => {
                // Sends the answer to the close frame.
                let _ = timeout(CLOSE_TIMEOUT, self.socket.flush()).await;
                Err(End::Gone)
            }
        }
    }

    async fn handle(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::ConnectionInit(payload) => self.open(&payload).await,
            ClientMessage::Subscribe { id, request } => self.start(id, request).await,
            ClientMessage::Complete { id } => {
                self.operations.stop(&id);
                Ok(())
            }
            ClientMessage::Ping(payload) => self.feed(pong(payload)).await,
            ClientMessage::Pong => Ok(()),
        }
    }

    async fn open(&mut self, payload: &Map<String, Value>) -> Result<(), End> {
        let Stage::Opening { principal, .. } = &self.stage else {
            return Err(End::close(4429, "Too many initialisation requests"));
        };
        let principal = match authorization(payload) {
            None => principal.clone(),
            Some(value) => {
                // What is not a string is no token either.
                let verified = self.live.authenticator.authenticate_value(value.as_str().unwrap_or_default()).await;
                verified.map_err(|error| End::close(4403, format!("Forbidden: {error}")))?
            }
        };
        self.expires_at = principal.expires_at.and_then(|at| {
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            Instant::now().checked_add(left)
        });
        self.stage = Stage::Acknowledged(principal);
        self.feed(connection_ack()).await
    }

    async fn start(&mut self, id: String, request: Request) -> Result<(), End> {
        let Stage::Acknowledged(principal) = &self.stage else {
            return Err(End::close(4401, "Unauthorized"));
        };
        if self.operations.contains(&id) {
            return Err(End::close(4409, format!("Subscriber for {id} already exists")));
        }
        let limit = self.live.settings.ws_max_operations;
        if self.operations.len() >= limit as usize {
            let message = format!("this connection already has {limit} operations");
            let errors = Problem::new(ErrorCode::RateLimited, message).errors().to_string();
            return self.feed(Frames::new(&id).error(errors.as_bytes())).await;
        }
        let id: Arc<str> = id.into();
        let (executor, principal) = (self.live.executor.clone(), principal.clone());
        let frames = frames(executor, id.clone(), request, principal, self.live.request_timeout);
        self.operations.start(id, frames);
        Ok(())
    }

    /// Sends a message of an operation, and those that are ready by then.
    async fn send_coalesced(&mut self, first: Frame) -> Result<(), End> {
        let (mut frame, mut fed_frames, mut fed_bytes) = (first, 0, 0);
        loop {
            fed_frames += 1;
            fed_bytes += message_bytes(&frame.message);
            self.feed(frame.message).await?;
            if let Some(cursor) = frame.cursor {
                self.last_cursor = Some((frame.operation, cursor));
            }
            // A frame that was taken must be sent, so none is taken once this is full.
            if fed_frames >= MAX_COALESCED_FRAMES || fed_bytes >= MAX_COALESCED_BYTES {
                return Ok(());
            }
            match self.operations.next_ready() {
                Some(next) => frame = next,
                None => return Ok(()),
            }
        }
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        let outcome = timeout(self.live.settings.ws_write_timeout, self.socket.feed(message)).await;
        self.written(outcome)
    }

    async fn flush(&mut self) -> Result<(), End> {
        let outcome = timeout(self.live.settings.ws_write_timeout, self.socket.flush()).await;
        self.written(outcome)
    }

    fn written(&self, outcome: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), End> {
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// The reason names the cursor if there is one operation alone; with several, each goes on after its own last one.
    fn too_slow(&self) -> End {
        tracing::info!(operations = self.operations.len(), "closing a WebSocket whose client is too slow");
        match &self.last_cursor {
            Some((id, cursor)) if self.operations.len() == 1 && self.operations.contains(id) => {
                End::close(1013, format!("Too slow; continue after {cursor}"))
            }
            _ => End::close(1013, "Too slow; continue each operation after its last cursor"),
        }
    }

    async fn close(mut self, code: u16, reason: &str) {
        let mut end = reason.len().min(MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let frame = CloseFrame { code, reason: reason[..end].into() };
        let goodbye = async {
            self.socket.send(Message::Close(Some(frame))).await?;
            // To leave while the client still sends would reset the connection, and could take the close frame with it.
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<_, axum::Error>(())
        };
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}

/// The token in the payload of `connection_init`: by itself or, as several clients send it, among `headers`.
fn authorization(payload: &Map<String, Value>) -> Option<&Value> {
    let find = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("authorization");
    let value = payload.iter().find(find).or_else(|| payload.get("headers")?.as_object()?.iter().find(find));
    value.map(|(_, value)| value).filter(|value| !value.is_null())
}

fn message_bytes(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

fn read_error(error: &axum::Error) -> End {
    // The type of the error is not public; a test holds this text.
    if error.to_string().contains("Message too long") {
        End::close(1009, "Message too big")
    } else {
        tracing::debug!(%error, "a WebSocket ended with an error");
        End::close(1002, "Protocol error")
    }
}
