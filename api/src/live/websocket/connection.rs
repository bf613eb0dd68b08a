//! One socket, from its opening to its end, in one task.
//!
//! The task waits for whichever comes first: a message of the client, an output of an operation, a beat of its pulse.
//! Everything that is written goes through [`Connection::feed`], which waits until the socket takes it; meanwhile nothing
//! else of this socket goes on, and after `live_write_timeout` without progress it is closed as too slow. So there is no
//! queue that could grow.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, poll};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::closing::{CLOSE_TIMEOUT, End};
use super::message::ClientMessage;
use super::session::Session;
use super::{Subprotocol, legacy, transport_ws};
use crate::auth::Principal;
use crate::live::operation::Output;
use crate::live::operations::{Operations, Terms};
use crate::live::pulse::{Beat, Pulse};
use crate::live::{Executor, Live, Problem, Seat, shown};
use crate::schema::{ErrorCode, Request};

/// Frames that are put into the buffer of the socket before it is flushed.
const MAX_COALESCED_FRAMES: usize = 64;
/// Bytes after which it is flushed even if there are fewer frames.
const MAX_COALESCED_BYTES: usize = 256 << 10;
/// One socket.
struct Connection<E> {
    live: Arc<Live<E>>,
    socket: WebSocket,
    subprotocol: Subprotocol,
    session: Session,
    operations: Operations,
    pulse: Pulse,
    /// Where the operation that was served last goes on.
    last_cursor: Option<(Arc<str>, Arc<str>)>,
    /// When anything was received from the client.
    heard_at: Instant,
}

/// Runs a socket that `principal` has opened, to its end.
pub(super) async fn run<E: Executor>(live: Arc<Live<E>>, socket: WebSocket, principal: Arc<Principal>, seat: Seat) {
    let spoken = socket.protocol().and_then(|name| Subprotocol::named(name.as_bytes()));
    let Some(subprotocol) = spoken else {
        return End::close(4406, "Subprotocol not acceptable").carry_out(socket).await;
    };
    let mut connection = Connection::new(live, socket, subprotocol, principal, seat);
    let end = connection.serve().await;
    // What runs is dropped before the goodbye, which may take a while. The session holds the seat until then.
    let Connection { socket, session, operations, .. } = connection;
    drop(operations);
    end.carry_out(socket).await;
    drop(session);
}

impl<E: Executor> Connection<E> {
    fn new(
        live: Arc<Live<E>>,
        socket: WebSocket,
        subprotocol: Subprotocol,
        principal: Arc<Principal>,
        seat: Seat,
    ) -> Self {
        let keepalive = match subprotocol {
            Subprotocol::TransportWs => live.settings.live_keepalive,
            Subprotocol::Legacy => live.settings.live_keepalive.min(legacy::MAX_KEEPALIVE),
        };
        let mut pulse = live.pulse(keepalive);
        pulse.open_until(Some(Instant::now() + live.settings.ws_init_timeout));
        Self {
            session: Session::new(principal, seat),
            operations: Operations::default(),
            pulse,
            last_cursor: None,
            heard_at: Instant::now(),
            live,
            socket,
            subprotocol,
        }
    }

    async fn serve(&mut self) -> End {
        loop {
            // Every arm can be dropped without loss: messages stay in the socket, outputs in their streams.
            let turn = tokio::select! {
                // In a box, because it takes far more memory than to wait, and clients say little.
                message = self.socket.next() => Box::pin(self.receive(message)).await,
                (id, output) = self.operations.next() => self.send_coalesced(id, output).await,
                beat = self.pulse.beat() => self.on_beat(beat).await,
            };
            let turn = match turn {
                Ok(()) => self.flush().await,
                ended => ended,
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    async fn on_beat(&mut self, beat: Beat) -> Result<(), End> {
        match beat {
            Beat::Drain => Err(End::close(1012, "Service restart")),
            Beat::Expired => {
                const REASON: &str = "Forbidden: the token has expired";
                if self.subprotocol == Subprotocol::Legacy {
                    self.feed(legacy::connection_error(REASON)).await?;
                }
                Err(End::close(4403, REASON))
            }
            Beat::OpeningTimeout => Err(End::close(4408, "Connection initialisation timeout")),
            Beat::Freshness => self.say_freshness().await,
            Beat::KeepAlive => {
                if self.heard_at.elapsed() >= 2 * self.live.settings.live_keepalive {
                    tracing::debug!("dropping a WebSocket that answers no pings");
                    return Err(End::Gone);
                }
                self.feed(Message::Ping(Bytes::new())).await?;
                match (self.subprotocol, self.pulse.stale_since()) {
                    (_, Some(_)) => self.say_freshness().await,
                    (Subprotocol::Legacy, None) if self.session.is_open() => self.feed(legacy::keep_alive(None)).await,
                    (Subprotocol::Legacy | Subprotocol::TransportWs, None) => Ok(()),
                }
            }
        }
    }

    /// Says whether what the client has may be stale, once the connection is open.
    async fn say_freshness(&mut self) -> Result<(), End> {
        if !self.session.is_open() {
            return Ok(());
        }
        let payload = match self.pulse.stale_since() {
            Some(since) => json!({ "stale": true, "since": shown(since) }),
            None => json!({ "stale": false }),
        };
        self.feed(match self.subprotocol {
            Subprotocol::TransportWs => transport_ws::ping(&payload),
            Subprotocol::Legacy => legacy::keep_alive(Some(&payload)),
        })
        .await
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let message = match message {
            None => return Err(End::Gone),
            Some(Err(error)) => return Err(End::unreadable(&error)),
            Some(Ok(message)) => message,
        };
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => match self.subprotocol.parse(&text) {
                Ok(message) => self.handle(message).await,
                Err(reason) => self.malformed(reason).await,
            },
            Message::Binary(_) => self.malformed("messages must be text frames").await,
            // The pong is already in the buffer.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => {
                // Sends the answer to the close frame.
                let _ = timeout(CLOSE_TIMEOUT, self.socket.flush()).await;
                Err(End::Gone)
            }
        }
    }

    async fn malformed(&mut self, reason: &'static str) -> Result<(), End> {
        match self.subprotocol {
            Subprotocol::TransportWs => Err(End::close(4400, reason)),
            Subprotocol::Legacy => self.feed(legacy::connection_error(reason)).await,
        }
    }

    async fn handle(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::Init(payload) => self.init(&payload).await,
            ClientMessage::Start { id, request } => self.start(id, request).await,
            ClientMessage::Stop { id } => {
                let was_running = self.operations.stop(&id);
                match self.subprotocol.output(&id, &Output::Complete) {
                    Some(echo) if self.subprotocol == Subprotocol::Legacy && was_running => self.feed(echo).await,
                    _ => Ok(()),
                }
            }
            ClientMessage::Ping(payload) => self.ping(payload).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Terminate => Err(End::close(1000, "Normal closure")),
        }
    }

    async fn init(&mut self, payload: &Map<String, Value>) -> Result<(), End> {
        if self.session.is_open() {
            match self.subprotocol {
                Subprotocol::TransportWs => return Err(End::close(4429, "Too many initialisation requests")),
                Subprotocol::Legacy => self.renew(payload).await?,
            };
        } else {
            match self.session.open(&self.live, payload).await {
                Ok(principal) => self.pulse.end_with(principal),
                Err((code, reason)) => return Err(self.refused(code, reason).await?),
            }
            self.pulse.open_until(None);
        }
        match self.subprotocol {
            Subprotocol::TransportWs => self.feed(transport_ws::connection_ack()).await?,
            Subprotocol::Legacy => {
                self.feed(legacy::connection_ack()).await?;
                self.feed(legacy::keep_alive(None)).await?;
            }
        }
        if self.pulse.stale_since().is_some() { self.say_freshness().await } else { Ok(()) }
    }

    async fn refused(&mut self, code: u16, reason: Cow<'static, str>) -> Result<End, End> {
        if self.subprotocol == Subprotocol::Legacy {
            self.feed(legacy::connection_error(&reason)).await?;
        }
        Ok(End::close(code, reason))
    }

    /// Goes on with the rights of the token in the payload, if there is one.
    async fn renew(&mut self, payload: &Map<String, Value>) -> Result<bool, End> {
        match self.session.renew(&self.live, payload).await {
            Err((code, reason)) => Err(self.refused(code, reason).await?),
            Ok(None) => Ok(false),
            Ok(Some(principal)) => {
                self.pulse.end_with(principal);
                let limit = self.live.request_timeout;
                self.operations.renew(&Terms { executor: &self.live.executor, principal, limit });
                Ok(true)
            }
        }
    }

    /// A ping may bring a newer token. It is not sent back: the pong says how long it is good for.
    async fn ping(&mut self, payload: Option<Map<String, Value>>) -> Result<(), End> {
        let is_renewed = match &payload {
            Some(payload) if self.session.is_open() => self.renew(payload).await?,
            _ => false,
        };
        let pong = match self.session.principal() {
            Some(principal) if is_renewed => {
                let expires_at = principal.expires_at.and_then(shown);
                Some(Map::from_iter([("expiresAt".to_owned(), expires_at.into())]))
            }
            _ => payload,
        };
        self.feed(transport_ws::pong(pong)).await
    }

    async fn start(&mut self, id: String, request: Request) -> Result<(), End> {
        let Some(principal) = self.session.principal() else {
            return match self.subprotocol {
                Subprotocol::TransportWs => Err(End::close(4401, "Unauthorized")),
                Subprotocol::Legacy => {
                    let problem = Problem::new(ErrorCode::Unauthenticated, "connection_init must come first");
                    self.refuse(&id, &problem).await
                }
            };
        };
        if self.operations.contains(&id) {
            match self.subprotocol {
                Subprotocol::TransportWs => {
                    return Err(End::close(4409, format!("Subscriber for {id} already exists")));
                }
                Subprotocol::Legacy => drop(self.operations.stop(&id)),
            }
        }
        let limit = self.live.settings.live_max_operations;
        if self.operations.len() >= limit as usize {
            let message = format!("this connection already has {limit} operations");
            return self.refuse(&id, &Problem::new(ErrorCode::RateLimited, message)).await;
        }
        let terms = Terms { executor: &self.live.executor, principal, limit: self.live.request_timeout };
        self.operations.start(id.into(), request, &terms);
        Ok(())
    }

    async fn refuse(&mut self, id: &str, problem: &Problem) -> Result<(), End> {
        let error = Output::Error(problem.errors().to_string().into());
        match self.subprotocol.output(id, &error) {
            Some(message) => self.feed(message).await,
            None => Ok(()),
        }
    }

    /// Sends an output of an operation, and those that are ready by then.
    async fn send_coalesced(&mut self, mut id: Arc<str>, mut output: Output) -> Result<(), End> {
        let (mut fed_frames, mut fed_bytes) = (0, 0);
        loop {
            if let Some(message) = self.subprotocol.output(&id, &output) {
                fed_frames += 1;
                fed_bytes += message_bytes(&message);
                self.feed(message).await?;
            }
            if let Some(cursor) = output.cursor() {
                self.last_cursor = Some((id, Arc::clone(cursor)));
            }
            // An output that was taken must be sent, so none is taken once this is full.
            if fed_frames >= MAX_COALESCED_FRAMES || fed_bytes >= MAX_COALESCED_BYTES {
                return Ok(());
            }
            match self.operations.next_ready() {
                Some(next) => (id, output) = next,
                None => return Ok(()),
            }
        }
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        let mut feeding = pin!(self.socket.feed(message));
        // Nearly always there is room, and no timer is needed.
        let outcome = match poll!(&mut feeding) {
            Poll::Ready(outcome) => Ok(outcome),
            Poll::Pending => timeout(self.live.settings.live_write_timeout, feeding).await,
        };
        self.written(outcome)
    }

    async fn flush(&mut self) -> Result<(), End> {
        let outcome = timeout(self.live.settings.live_write_timeout, self.socket.flush()).await;
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
}

fn message_bytes(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}
