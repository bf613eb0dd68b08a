//! One socket, from its opening to its end, in one task.
//!
//! The task waits for whichever comes first: a message of the client, an output of an operation, a beat of its pulse. What
//! is to be said then is put among the frames, and [`Connection::flush`] waits until the socket has taken it; meanwhile
//! nothing else of this socket goes on, and after `live_write_timeout` without progress it is closed as too slow. So there
//! is no queue that could grow.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tungstenite::{Error, Message};

use super::closing::{CLOSE_TIMEOUT, End};
use super::message::ClientMessage;
use super::session::Session;
use super::wire::Wire;
use super::{Subprotocol, legacy, transport_ws};
use crate::auth::Principal;
use crate::live::operation::Output;
use crate::live::operations::{Operations, Terms};
use crate::live::pulse::{Beat, Pulse};
use crate::live::{Executor, Live, Problem, Seat, shown};
use crate::log::CursorText;
use crate::schema::{ErrorCode, Request};

/// Bytes of frames after which no further output is taken before they are written.
const MAX_COALESCED_BYTES: usize = 64 << 10;

/// One socket.
struct Connection<E, I> {
    live: Arc<Live<E>>,
    wire: Wire<I>,
    subprotocol: Subprotocol,
    session: Session,
    operations: Operations,
    pulse: Pulse,
    /// Where the operation that was served last goes on.
    last_cursor: Option<(Arc<str>, CursorText)>,
    /// When anything was received from the client.
    heard_at: Instant,
}

/// Runs a socket that `principal` has opened, to its end. Without a subprotocol in common there is nothing to run.
pub(super) async fn run<E: Executor, I: AsyncRead + AsyncWrite + Unpin>(
    live: Arc<Live<E>>,
    wire: Wire<I>,
    subprotocol: Option<Subprotocol>,
    principal: Arc<Principal>,
    seat: Seat,
) {
    let Some(subprotocol) = subprotocol else {
        return End::close(4406, "Subprotocol not acceptable").carry_out(wire).await;
    };
    let mut connection = Connection::new(live, wire, subprotocol, Session::new(principal, seat));
    let end = connection.serve().await;
    // What runs is dropped before the goodbye, which may take a while. The session holds the seat until then.
    let Connection { wire, session, operations, .. } = connection;
    drop(operations);
    end.carry_out(wire).await;
    drop(session);
}

impl<E: Executor, I: AsyncRead + AsyncWrite + Unpin> Connection<E, I> {
    fn new(live: Arc<Live<E>>, wire: Wire<I>, subprotocol: Subprotocol, session: Session) -> Self {
        let keepalive = match subprotocol {
            Subprotocol::TransportWs => live.settings.live_keepalive,
            Subprotocol::Legacy => live.settings.live_keepalive.min(legacy::MAX_KEEPALIVE),
        };
        let mut pulse = live.pulse(keepalive);
        pulse.open_until(Some(Instant::now() + live.settings.ws_init_timeout));
        Self {
            session,
            operations: Operations::default(),
            pulse,
            last_cursor: None,
            heard_at: Instant::now(),
            live,
            wire,
            subprotocol,
        }
    }

    async fn serve(&mut self) -> End {
        loop {
            // Every arm can be dropped without loss: messages stay in the socket, outputs in their streams.
            let turn = tokio::select! {
                // In a box, because it takes far more memory than to wait, and clients say little.
                message = self.wire.next() => Box::pin(self.receive(message)).await,
                (id, output) = self.operations.next() => {
                    self.take_coalesced(id, output);
                    Ok(())
                }
                beat = self.pulse.beat() => self.on_beat(beat),
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

    fn on_beat(&mut self, beat: Beat) -> Result<(), End> {
        match beat {
            Beat::Drain => Err(End::close(1012, "Service restart")),
            Beat::Expired => {
                const REASON: &str = "Forbidden: the token has expired";
                if self.subprotocol == Subprotocol::Legacy {
                    legacy::connection_error(REASON, &mut self.wire.frames);
                }
                Err(End::close(4403, REASON))
            }
            Beat::OpeningTimeout => Err(End::close(4408, "Connection initialisation timeout")),
            Beat::Freshness => {
                self.say_freshness();
                Ok(())
            }
            Beat::KeepAlive => {
                if self.heard_at.elapsed() >= 2 * self.live.settings.live_keepalive {
                    tracing::debug!("dropping a WebSocket that answers no pings");
                    return Err(End::Gone);
                }
                self.wire.ping();
                match (self.subprotocol, self.pulse.stale_since()) {
                    (_, Some(_)) => self.say_freshness(),
                    (Subprotocol::Legacy, None) if self.session.is_open() => {
                        legacy::keep_alive(None, &mut self.wire.frames);
                    }
                    (Subprotocol::Legacy | Subprotocol::TransportWs, None) => {}
                }
                Ok(())
            }
        }
    }

    /// Says whether what the client has may be stale, once the connection is open.
    fn say_freshness(&mut self) {
        if !self.session.is_open() {
            return;
        }
        let payload = match self.pulse.stale_since() {
            Some(since) => json!({ "stale": true, "since": shown(since) }),
            None => json!({ "stale": false }),
        };
        match self.subprotocol {
            Subprotocol::TransportWs => transport_ws::ping(&payload, &mut self.wire.frames),
            Subprotocol::Legacy => legacy::keep_alive(Some(&payload), &mut self.wire.frames),
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        let message = match message {
            None => return Err(End::Gone),
            Some(Err(error)) => return Err(End::unreadable(&error)),
            Some(Ok(message)) => message,
        };
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => match self.subprotocol.parse(&text) {
                Ok(message) => self.handle(message).await,
                Err(reason) => self.malformed(reason),
            },
            Message::Binary(_) => self.malformed("messages must be text frames"),
            // The next flush writes the pong. Frames of no message are never given.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
            Message::Close(_) => {
                // Writes the answer to the close frame.
                let _ = self.wire.flush(CLOSE_TIMEOUT).await;
                Err(End::Gone)
            }
        }
    }

    fn malformed(&mut self, reason: &'static str) -> Result<(), End> {
        match self.subprotocol {
            Subprotocol::TransportWs => Err(End::close(4400, reason)),
            Subprotocol::Legacy => {
                legacy::connection_error(reason, &mut self.wire.frames);
                Ok(())
            }
        }
    }

    async fn handle(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::Init(payload) => self.init(&payload).await,
            ClientMessage::Start { id, request } => self.start(id, request),
            ClientMessage::Stop { id } => {
                if self.operations.stop(&id) && self.subprotocol == Subprotocol::Legacy {
                    self.subprotocol.output(&id, &Output::Complete, &mut self.wire.frames);
                }
                Ok(())
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
                Err((code, reason)) => return Err(self.refused(code, reason)),
            }
            self.pulse.open_until(None);
        }
        match self.subprotocol {
            Subprotocol::TransportWs => transport_ws::connection_ack(&mut self.wire.frames),
            Subprotocol::Legacy => {
                legacy::connection_ack(&mut self.wire.frames);
                legacy::keep_alive(None, &mut self.wire.frames);
            }
        }
        if self.pulse.stale_since().is_some() {
            self.say_freshness();
        }
        Ok(())
    }

    fn refused(&mut self, code: u16, reason: Cow<'static, str>) -> End {
        if self.subprotocol == Subprotocol::Legacy {
            legacy::connection_error(&reason, &mut self.wire.frames);
        }
        End::close(code, reason)
    }

    /// Goes on with the rights of the token in the payload, if there is one.
    async fn renew(&mut self, payload: &Map<String, Value>) -> Result<bool, End> {
        match self.session.renew(&self.live, payload).await {
            Err((code, reason)) => Err(self.refused(code, reason)),
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
        transport_ws::pong(pong, &mut self.wire.frames);
        Ok(())
    }

    fn start(&mut self, id: String, request: Request) -> Result<(), End> {
        let Some(principal) = self.session.principal() else {
            return match self.subprotocol {
                Subprotocol::TransportWs => Err(End::close(4401, "Unauthorized")),
                Subprotocol::Legacy => {
                    let problem = Problem::new(ErrorCode::Unauthenticated, "connection_init must come first");
                    self.refuse(&id, &problem);
                    Ok(())
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
            self.refuse(&id, &Problem::new(ErrorCode::RateLimited, message));
            return Ok(());
        }
        let terms = Terms { executor: &self.live.executor, principal, limit: self.live.request_timeout };
        self.operations.start(id.into(), request, &terms);
        Ok(())
    }

    fn refuse(&mut self, id: &str, problem: &Problem) {
        let error = Output::Error(problem.errors().to_string().into());
        self.subprotocol.output(id, &error, &mut self.wire.frames);
    }

    /// Takes an output of an operation, and those that are ready by now, to be written together.
    fn take_coalesced(&mut self, mut id: Arc<str>, mut output: Output) {
        loop {
            self.subprotocol.output(&id, &output, &mut self.wire.frames);
            if let Some(cursor) = output.cursor() {
                self.last_cursor = Some((id, cursor));
            }
            // An output that was taken must be sent, so none is taken once there is enough.
            if self.wire.frames.waiting().len() >= MAX_COALESCED_BYTES {
                return;
            }
            match self.operations.next_ready() {
                Some(next) => (id, output) = next,
                None => return,
            }
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let outcome = self.wire.flush(self.live.settings.live_write_timeout).await;
        outcome.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => self.too_slow(),
            _ => End::Gone,
        })
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
