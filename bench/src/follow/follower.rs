//! One connection of the load client, and those that follow it after each disconnect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::ledger::{Ledger, Track};
use super::message::{self, Message};
use super::socket::{Connection, Dial, Frame, Socket};
use super::stream::{Block, Stream};

/// Before a connection is tried again that the server refused or has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// A server that is there answers sooner.
const PATIENCE: Duration = Duration::from_secs(30);

/// Over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `graphql-transport-ws`
    WebSocket,
    /// Server-Sent Events, a connection for each subscription.
    Events,
}

/// What all connections have in common.
#[derive(Debug)]
pub struct Plan {
    /// How to connect.
    pub dial: Dial,
    /// The subscription.
    pub query: String,
    /// Its variables; `after` is added.
    pub variables: Map<String, Value>,
    /// Where the server is; `None` while it is away.
    pub address: watch::Receiver<Option<SocketAddr>>,
    /// The position at which to end; `None` as long as it is not known.
    pub goal: watch::Receiver<Option<i64>>,
    /// A connection is broken off after at most so many results.
    pub lifetime: Option<u64>,
    /// Stops reading for so long, again and again.
    pub stall: Option<Duration>,
    /// Where everybody writes down what they received.
    pub ledger: Arc<Ledger>,
}

/// What one connection carries, and where each of its subscriptions is.
pub struct Follower {
    plan: Arc<Plan>,
    transport: Transport,
    tracks: Vec<Subscription>,
    dice: StdRng,
    is_slow: bool,
}

struct Subscription {
    track: Track,
    cursor: String,
}

/// Why a connection is over.
enum End {
    /// Everything that was to be received is.
    Done,
    /// The client has had enough of it.
    Lifetime,
    /// The server ended it.
    Closed(u16),
}

/// An open connection of either kind.
enum Line {
    Socket(Socket),
    Stream(Stream),
}

impl Follower {
    /// Whose subscriptions all start after a cursor.
    pub fn new(
        plan: Arc<Plan>,
        transport: Transport,
        subscriptions: usize,
        cursor: &str,
        is_gapless: bool,
        dice: StdRng,
    ) -> Result<Self> {
        let track = Track { position: message::position(cursor)?, is_gapless };
        let subscription = || Subscription { track: track.clone(), cursor: cursor.to_owned() };
        let tracks = (0..subscriptions).map(|_| subscription()).collect();
        Ok(Self { plan, transport, tracks, dice, is_slow: false })
    }

    /// One that stops reading, see [`Plan::stall`].
    #[must_use]
    pub fn slow(self, is_slow: bool) -> Self {
        Self { is_slow, ..self }
    }

    /// Follows to the goal, whatever becomes of its connections.
    pub async fn run(mut self) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let mut addresses = plan.address.clone();
        loop {
            let address = *addresses.wait_for(Option::is_some).await.context("the run is over")?;
            let address = address.context("there is an address")?;
            match tokio::time::timeout(PATIENCE, self.open(address)).await {
                Ok(Ok(line)) => {
                    plan.ledger.tally(|tally| tally.connects += 1);
                    let end = self.follow(line).await;
                    match end {
                        Ok(End::Done) => return Ok(()),
                        Ok(End::Lifetime) => continue,
                        Ok(End::Closed(code)) => {
                            plan.ledger.tally(|tally| *tally.closed.entry(code).or_default() += 1);
                        }
                        Err(error) => plan.ledger.tally(|tally| tally.fail(|| format!("{error:#}"))),
                    }
                }
                // Who kills the server says so before.
                Ok(Err(error)) if *addresses.borrow() == Some(address) => {
                    plan.ledger.tally(|tally| tally.fail(|| format!("{error:#}")));
                }
                Ok(Err(_)) => {}
                Err(_) => plan.ledger.tally(|tally| tally.fail(|| "the server does not answer".to_owned())),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn open(&self, address: SocketAddr) -> Result<Line> {
        let variables = |cursor: &str| {
            let mut variables = self.plan.variables.clone();
            variables.insert("after".to_owned(), json!(cursor));
            Value::Object(variables)
        };
        match self.transport {
            Transport::WebSocket => {
                let mut socket = Socket::connect(address, &self.plan.dial).await?;
                for (number, subscription) in self.tracks.iter().enumerate() {
                    let variables = variables(&subscription.cursor);
                    socket.subscribe(&number.to_string(), &self.plan.query, &variables).await?;
                }
                Ok(Line::Socket(socket))
            }
            Transport::Events => {
                let cursor = &self.tracks[0].cursor;
                let variables = variables(cursor);
                let stream = Stream::open(address, &self.plan.dial, &self.plan.query, &variables, Some(cursor));
                Ok(Line::Stream(stream.await?))
            }
        }
    }

    async fn follow(&mut self, mut line: Line) -> Result<End> {
        let mut goals = self.plan.goal.clone();
        let mut left = self.plan.lifetime.map(|most| self.dice.random_range(0..=most));
        loop {
            if let Some(goal) = *goals.borrow_and_update()
                && self.tracks.iter().all(|subscription| subscription.track.position >= goal)
            {
                return Ok(End::Done);
            }
            if left == Some(0) {
                self.plan.ledger.tally(|tally| tally.disconnects += 1);
                self.break_off(line).await;
                return Ok(End::Lifetime);
            }
            if let (true, Some(stall)) = (self.is_slow, self.plan.stall) {
                tokio::time::sleep(stall).await;
            }
            let ended = tokio::select! {
                ended = self.receive(&mut line, &mut left) => ended?,
                changed = goals.changed() => {
                    changed.context("the run is over")?;
                    None
                }
            };
            if let Some(code) = ended {
                return Ok(End::Closed(code));
            }
        }
    }

    /// What has arrived by now; the code if the connection is over.
    async fn receive(&mut self, line: &mut Line, left: &mut Option<u64>) -> Result<Option<u16>> {
        let (ledger, tracks) = (&self.plan.ledger, &mut self.tracks);
        let mut code = None;
        let now = SystemTime::now();
        let mut next = |number: usize, payload: &[u8]| {
            // What comes later is lost with the connection.
            if *left == Some(0) {
                return Ok(());
            }
            *left = left.map(|left| left - 1);
            let subscription = tracks.get_mut(number).context("a result of nobody's operation")?;
            record(ledger, subscription, payload, now)
        };
        let state = match line {
            Line::Socket(socket) => {
                socket
                    .receive(|frame| match frame {
                        Frame::Text(text) => match Message::parse(text)? {
                            Message::Next(id, payload) => next(id.parse()?, payload),
                            Message::Error(_, errors) => bail!("refused: {}", String::from_utf8_lossy(errors)),
                            Message::Complete(id) => bail!("operation {id} was completed"),
                            Message::Ack | Message::Ping | Message::Notice => Ok(()),
                        },
                        Frame::Close(found, _) => {
                            code = Some(found);
                            Ok(())
                        }
                        Frame::Ping | Frame::Pong => Ok(()),
                    })
                    .await?
            }
            Line::Stream(stream) => {
                stream
                    .receive(|block| match block {
                        Block::Next(payload) => next(0, payload),
                        Block::Complete => bail!("the stream was completed"),
                        Block::Notice => Ok(()),
                    })
                    .await?
            }
        };
        Ok(code.or((state == Connection::Ended).then_some(0)))
    }

    /// In one of the ways in which connections end.
    async fn break_off(&mut self, line: Line) {
        // An error means that it is gone already.
        let _ = match (line, self.dice.next_u32() % 3) {
            (Line::Socket(socket), 0) => socket.reset(),
            (Line::Socket(socket), 1) => socket.close().await,
            (Line::Stream(stream), 0) => stream.reset(),
            (Line::Socket(_) | Line::Stream(_), _) => Ok(()),
        };
    }
}

fn record(ledger: &Ledger, subscription: &mut Subscription, payload: &[u8], now: SystemTime) -> Result<()> {
    let text = || String::from_utf8_lossy(payload);
    let content = message::content(payload);
    if content.windows(9).any(|window| window == b"\"errors\":") {
        bail!("a result with errors: {}", text());
    }
    let cursor = message::cursor(payload).with_context(|| format!("a result without a cursor: {}", text()))?;
    let occurred = message::string(content, b"\"occurredAt\":\"");
    let occurred = occurred.and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let age = occurred.map(|at| now.duration_since(at.into()).unwrap_or_default());
    ledger.record(&mut subscription.track, message::position(cursor)?, content, age);
    cursor.clone_into(&mut subscription.cursor);
    Ok(())
}
