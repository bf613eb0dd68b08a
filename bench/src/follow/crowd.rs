//! Very many sockets that must all receive the same frames: the first that receives one writes it down, the others
//! compare bytes. So every delivery is checked, and it costs next to nothing.
//!
//! It runs on one thread, in a `LocalSet`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::message;
use super::socket::{Connection, Dial, Frame, Socket};
use crate::latency::Latencies;

/// Sockets that are being opened at a time.
const OPENING: usize = 64;
/// How long it may take until everybody has what they wait for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Every product of a measurement has a SKU with this prefix and a number.
pub const SKU: &str = "LIVE-";
const SKU_DIGITS: usize = 8;

/// The SKU of a product with this number.
pub fn sku(number: usize) -> String {
    format!("{SKU}{number:0SKU_DIGITS$}")
}

/// What a member asks for.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The subscription.
    pub query: &'static str,
    /// The cursor after which it begins.
    pub after: Option<String>,
}

/// What a crowd is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Read,
    /// Stay connected, read nothing.
    Pause,
    /// Disconnect as a lost network does, and stay away.
    Away,
    /// Come back, everybody at their time within this long.
    Return(Duration),
}

/// The sockets.
pub struct Crowd {
    shared: Rc<Shared>,
    orders: watch::Sender<Order>,
    members: JoinSet<Result<()>>,
    /// How many there are.
    pub size: usize,
}

struct Shared {
    address: SocketAddr,
    dial: Dial,
    /// `None` for a server that sends without having been asked.
    asking: Option<Asking>,
    size: usize,
    state: RefCell<State>,
    progress: Notify,
}

#[derive(Default)]
struct State {
    /// Every frame that anybody received, in order.
    transcript: Vec<Box<[u8]>>,
    /// When each was asked for, if that was said.
    started: Vec<Option<Instant>>,
    /// By the number of the product.
    sent: HashMap<usize, Instant>,
    /// Numbers in the transcript.
    numbers: HashSet<usize>,
    deliveries: u64,
    present: usize,
    latencies: Latencies,
    last_at: Option<Instant>,
    closed: HashMap<u16, usize>,
}

impl Crowd {
    /// Opens all sockets and starts a subscription on each.
    pub async fn open(address: SocketAddr, dial: Dial, asking: Option<Asking>, size: usize) -> Result<Self> {
        let state = RefCell::default();
        let shared = Rc::new(Shared { address, dial, asking, size, state, progress: Notify::new() });
        let orders = watch::Sender::new(Order::Read);
        let opened = stream::iter(0..size).map(|number| {
            let shared = Rc::clone(&shared);
            async move { Ok::<_, anyhow::Error>((number, shared.connect(0).await?)) }
        });
        let opened: Vec<_> = opened.buffer_unordered(OPENING).try_collect().await?;
        let mut members = JoinSet::new();
        for (number, socket) in opened {
            let member = Member { shared: Rc::clone(&shared), number, index: 0, orders: orders.subscribe() };
            members.spawn_local(member.run(socket));
        }
        Ok(Self { shared, orders, members, size })
    }

    /// To be told, by who writes, that the product with a number is being asked for now.
    pub fn sender(&self) -> impl Fn(usize) + Clone + use<> {
        let shared = Rc::clone(&self.shared);
        move |number| {
            shared.state.borrow_mut().sent.insert(number, Instant::now());
        }
    }

    /// Waits until all together have received so many frames since the beginning. When the last one came.
    pub async fn received(&mut self, deliveries: u64) -> Result<Instant> {
        let shared = Rc::clone(&self.shared);
        self.until("everybody has everything", move || {
            let state = shared.state.borrow();
            (state.deliveries >= deliveries).then(|| state.last_at.unwrap_or_else(Instant::now))
        })
        .await
    }

    /// Waits until everybody has so many frames.
    pub async fn everybody_has(&mut self, frames: usize) -> Result<Instant> {
        let at = self.received((frames * self.size) as u64).await?;
        let state = self.shared.state.borrow();
        ensure!(state.deliveries == (frames * self.size) as u64, "somebody received more than there was");
        ensure!(state.transcript.len() == frames, "{} frames instead of {frames}", state.transcript.len());
        Ok(at)
    }

    /// Nobody reads.
    pub fn pause(&self) {
        self.orders.send_replace(Order::Pause);
    }

    /// Everybody reads again.
    pub fn resume(&self) {
        self.orders.send_replace(Order::Read);
    }

    /// Everybody breaks off.
    pub async fn leave(&mut self) -> Result<()> {
        self.orders.send_replace(Order::Away);
        let shared = Rc::clone(&self.shared);
        self.until("everybody has left", move || (shared.state.borrow().present == 0).then_some(())).await
    }

    /// Everybody comes back and goes on from their cursor, spread over this long. Returns at once.
    pub fn come_back(&self, within: Duration) {
        self.orders.send_replace(Order::Return(within));
    }

    /// Everybody breaks off and comes back at once, with connections that nobody knows yet how much they can take.
    pub async fn start_afresh(&mut self) -> Result<()> {
        self.leave().await?;
        self.come_back(Duration::ZERO);
        let (shared, size) = (Rc::clone(&self.shared), self.size);
        self.until("everybody is back", move || (shared.state.borrow().present == size).then_some(())).await
    }

    /// What was measured since the last call.
    pub fn latencies(&self) -> Latencies {
        std::mem::take(&mut self.shared.state.borrow_mut().latencies)
    }

    /// How many frames there were.
    pub fn frames(&self) -> usize {
        self.shared.state.borrow().transcript.len()
    }

    /// A frame as it came.
    pub fn frame(&self, index: usize) -> Option<Box<[u8]>> {
        self.shared.state.borrow().transcript.get(index).cloned()
    }

    /// How often the server has closed a socket with this code; 0 is without one.
    pub fn closed(&self, code: u16) -> usize {
        self.shared.state.borrow().closed.get(&code).copied().unwrap_or_default()
    }

    async fn until<T>(&mut self, what: &str, mut reached: impl FnMut() -> Option<T>) -> Result<T> {
        let shared = Rc::clone(&self.shared);
        let wait = async {
            loop {
                let progress = shared.progress.notified();
                if let Some(answer) = reached() {
                    return Ok(answer);
                }
                tokio::select! {
                    () = progress => {}
                    Some(ended) = self.members.join_next() => {
                        ended??;
                        bail!("a member of the crowd left");
                    }
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, wait).await;
        outcome.with_context(|| format!("waited in vain until {what}: {}", shared.state.borrow().summary()))?
    }
}

impl State {
    fn summary(&self) -> String {
        let (frames, deliveries, present) = (self.transcript.len(), self.deliveries, self.present);
        format!("{frames} frames, {deliveries} deliveries, {present} connected, closed {:?}", self.closed)
    }

    /// Writes down a frame that nobody had before.
    fn first(&mut self, text: &[u8]) -> Result<()> {
        let shown = || String::from_utf8_lossy(text);
        let number = message::string(text, SKU.as_bytes()).and_then(|digits| digits.get(..SKU_DIGITS)?.parse().ok());
        let number: usize = number.with_context(|| format!("no event of ours: {}", shown()))?;
        ensure!(self.numbers.insert(number), "an event came twice: {}", shown());
        self.started.push(self.sent.get(&number).copied());
        self.transcript.push(text.into());
        Ok(())
    }
}

impl Shared {
    async fn connect(&self, index: usize) -> Result<Socket> {
        let Some(asking) = &self.asking else {
            self.state.borrow_mut().present += 1;
            return Socket::open(self.address, &self.dial).await;
        };
        let after = match index.checked_sub(1) {
            None => asking.after.clone(),
            Some(last) => {
                let state = self.state.borrow();
                Some(message::cursor(&state.transcript[last]).context("an event has a cursor")?.to_owned())
            }
        };
        let mut socket = Socket::connect(self.address, &self.dial).await?;
        let variables = after.map(|after| Map::from_iter([("after".to_owned(), json!(after))])).unwrap_or_default();
        socket.subscribe("1", asking.query, &Value::Object(variables)).await?;
        self.state.borrow_mut().present += 1;
        self.progress.notify_waiters();
        Ok(socket)
    }

    /// Reads to the end of the connection. Its code.
    async fn read(&self, index: &mut usize, socket: &mut Socket) -> Result<u16> {
        loop {
            let mut now = None;
            let mut code = None;
            let state = socket.receive(|frame| match frame {
                Frame::Text(text) => take(&mut self.state.borrow_mut(), index, text, &mut now),
                Frame::Close(found, _) => {
                    code = Some(found);
                    Ok(())
                }
                Frame::Ping | Frame::Pong => Ok(()),
            });
            let state = state.await?;
            if now.is_some() {
                self.state.borrow_mut().last_at = now;
                self.progress.notify_waiters();
            }
            if let Some(code) = code.or((state == Connection::Ended).then_some(0)) {
                return Ok(code);
            }
        }
    }
}

struct Member {
    shared: Rc<Shared>,
    number: usize,
    /// How many frames it has.
    index: usize,
    orders: watch::Receiver<Order>,
}

impl Member {
    async fn run(mut self, socket: Socket) -> Result<()> {
        let mut socket = Some(socket);
        loop {
            let order = *self.orders.borrow_and_update();
            match order {
                Order::Pause => {}
                Order::Away => {
                    if let Some(socket) = socket.take() {
                        socket.reset()?;
                        self.gone();
                    }
                }
                Order::Read | Order::Return(_) => {
                    let mut open = match (socket.take(), order) {
                        (Some(open), _) => open,
                        (None, order) => {
                            if let Order::Return(within) = order {
                                let share = self.number as f64 / self.shared.size as f64;
                                tokio::time::sleep(within.mul_f64(share)).await;
                            }
                            self.shared.connect(self.index).await?
                        }
                    };
                    let closed = tokio::select! {
                        closed = self.shared.read(&mut self.index, &mut open) => Some(closed?),
                        changed = self.orders.changed() => {
                            if changed.is_err() {
                                return Ok(());
                            }
                            None
                        }
                    };
                    match closed {
                        Some(code) => {
                            *self.shared.state.borrow_mut().closed.entry(code).or_default() += 1;
                            self.gone();
                        }
                        None => socket = Some(open),
                    }
                    continue;
                }
            }
            if self.orders.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    fn gone(&self) {
        self.shared.state.borrow_mut().present -= 1;
        self.shared.progress.notify_waiters();
    }
}

fn take(state: &mut State, index: &mut usize, text: &[u8], now: &mut Option<Instant>) -> Result<()> {
    match state.transcript.get(*index) {
        Some(known) if **known == *text => {}
        Some(known) => {
            if !is_event(text)? {
                return Ok(());
            }
            let shown = [&**known, text].map(String::from_utf8_lossy);
            bail!("frame {index} is not the same for two subscribers: {} and {}", shown[0], shown[1]);
        }
        None if is_event(text)? => state.first(text)?,
        None => return Ok(()),
    }
    let now = *now.get_or_insert_with(Instant::now);
    if let Some(started) = state.started[*index] {
        state.latencies.record(now.saturating_duration_since(started));
    }
    *index += 1;
    state.deliveries += 1;
    Ok(())
}

/// Whether it is no mere sign of life.
fn is_event(text: &[u8]) -> Result<bool> {
    use message::Message;
    match Message::parse(text)? {
        Message::Next(..) => Ok(true),
        Message::Ack | Message::Ping | Message::Notice => Ok(false),
        Message::Error(..) | Message::Complete(_) => bail!("refused: {}", String::from_utf8_lossy(text)),
    }
}
