//! One group: subscriptions for whom every event is the same, so that it is judged, rendered and serialised once.
//!
//! The router hands it the events that may concern it; a driver renders them one after the other into the ring. There is
//! one driver at a time, and none while there is nothing to do. Whoever waits for the next items is woken by this group
//! alone.
//!
//! Invariant: what is rendered is published before the driver waits for anything or ends, so nobody waits for more to come.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use entity::Position;
use futures_util::poll;

use super::Groups;
use super::ring::{After, Ring, Total};
use crate::database;
use crate::log::{Error, Event, Hub};
use crate::schema::follower::{Follower, payload};
use crate::schema::request::{Payload, Payloads};

/// Events that wait to be rendered. With more than that the group gives up what it has: its members catch up from the log.
pub(super) const MAX_PENDING: usize = 4 * 1024;

/// Events taken from the hub at once to reach back.
const CHUNK: usize = 256;

/// How long it takes until a database is asked again that could not be read.
const PAUSE: Duration = Duration::from_millis(250);

/// A group.
pub(crate) struct Group {
    follower: Follower,
    state: Mutex<State>,
    /// Held by whoever lets the ring reach further back.
    reaching: tokio::sync::Mutex<()>,
}

struct State {
    ring: Ring,
    /// Events that are not rendered yet, oldest first.
    pending: VecDeque<Arc<Event>>,
    /// The last event that was ever pending.
    last: Position,
    is_driven: bool,
    waiters: Waiters,
}

impl Group {
    /// All events after `from` are going to be given to it, as far as they may concern it.
    pub(super) fn new(follower: Follower, from: Position, total: Total) -> Self {
        let state = State {
            ring: Ring::new(from, total),
            pending: VecDeque::new(),
            last: from,
            is_driven: false,
            waiters: Waiters::default(),
        };
        Self { follower, state: Mutex::new(state), reaching: tokio::sync::Mutex::default() }
    }

    /// What its members make of events.
    pub(super) fn follower(&self) -> &Follower {
        &self.follower
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing between two changes of the state can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event that may concern it, unless it is there already. Whether it needs a driver from now on.
    pub(super) fn add(&self, event: &Arc<Event>) -> bool {
        let mut state = self.state();
        if event.position <= state.last {
            return false;
        }
        state.last = event.position;
        if state.pending.len() >= MAX_PENDING {
            tracing::warn!("a group of subscriptions cannot be rendered as fast as events come");
            state.restart(event.position);
            drop(state);
            self.publish();
            return false;
        }
        state.pending.push_back(Arc::clone(event));
        !std::mem::replace(&mut state.is_driven, true)
    }

    /// Renders what is pending until nothing is.
    pub(super) async fn drive(&self, groups: &Groups) {
        let core = groups.core();
        let mut driving = Driving { group: self, is_done: false };
        while let Some(event) = driving.next() {
            let mut rendering = pin!(payload(core, &self.follower, &event));
            let rendered = match poll!(&mut rendering) {
                Poll::Ready(rendered) => rendered,
                Poll::Pending => {
                    // It takes a while, and somebody waits for what there is already.
                    self.publish();
                    rendering.await
                }
            };
            match rendered {
                Ok(payload) => {
                    let is_enough = self.settle(&event, payload);
                    groups.relieve();
                    if is_enough {
                        self.publish();
                    }
                }
                Err(error) => {
                    self.publish();
                    pause(&error).await;
                }
            }
            // Others want to run, too.
            tokio::task::consume_budget().await;
        }
    }

    /// Whether as much is rendered as should be published together.
    fn settle(&self, event: &Event, payload: Option<Payload>) -> bool {
        let mut state = self.state();
        // Otherwise the group has started again behind this event.
        if state.pending.front().is_none_or(|front| front.position != event.position) {
            return false;
        }
        state.pending.pop_front();
        payload.is_some_and(|payload| state.ring.push(event.position, payload))
    }

    /// Lets members have what is rendered, and wakes those who wait for it.
    fn publish(&self) {
        let mut state = self.state();
        state.ring.publish();
        let waiting = state.waiters.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The first items after a position, with the position of the last, or `None` if the ring does not cover it. Wakes the
    /// task once there may be some.
    pub(super) fn poll_after(
        &self,
        position: Position,
        place: usize,
        context: &mut Context<'_>,
    ) -> Poll<Option<(Position, Payloads)>> {
        let mut state = self.state();
        match state.ring.after(position) {
            After::Items(position, payloads) => Poll::Ready(Some((position, payloads))),
            After::Gone => Poll::Ready(None),
            After::Nothing => {
                state.waiters.wait(place, context.waker());
                Poll::Pending
            }
        }
    }

    /// Whether a member at this position goes on from the ring.
    pub(super) fn covers(&self, position: Position) -> bool {
        position >= self.state().ring.from()
    }

    /// Lets the ring reach back to a position for all members that are behind it, as those of a lost connection are that
    /// come back together: one renders what is missing, and the others wait for it. `false` if it is too much.
    pub(super) async fn reach_back(&self, groups: &Groups, position: Position) -> Result<bool, Error> {
        let core = groups.core();
        let _turn = self.reaching.lock().await;
        let (until, is_free) = {
            let state = self.state();
            (state.ring.from(), state.ring.is_mostly_free())
        };
        if position >= until {
            return Ok(true);
        }
        if !is_free || until.get() - position.get() > Hub::RECENT as i64 {
            return Ok(false);
        }
        let (mut at, mut reached) = (position, position);
        let (mut items, mut size_bytes) = (VecDeque::new(), 0);
        while at < until {
            for event in core.hub.after(at, CHUNK).await?.into_iter().take_while(|event| event.position <= until) {
                at = event.position;
                if let Some(payload) = payload(core, &self.follower, &event).await? {
                    size_bytes += payload.size_bytes();
                    items.push_back((at, payload));
                }
            }
            // The older ones are left out.
            while !items.is_empty() && !self.state().ring.has_room(items.len(), size_bytes) {
                let Some((oldest, payload)) = items.pop_front() else { break };
                size_bytes -= payload.size_bytes();
                reached = oldest;
            }
            tokio::task::consume_budget().await;
        }
        let is_joined = self.state().ring.reach_back(reached, until, items);
        groups.relieve();
        Ok(is_joined && position >= reached)
    }

    /// Gives up what there is: members go on from the log up to `from`.
    pub(super) fn restart(&self, from: Position) {
        self.state().restart(from);
        self.publish();
    }

    /// Forgets the older half of the ring.
    pub(super) fn halve(&self) {
        self.state().ring.halve();
    }

    /// A place for a member that is going to wait.
    pub(super) fn enter(&self) -> usize {
        self.state().waiters.enter()
    }

    /// Gives the place back.
    pub(super) fn leave(&self, place: usize) {
        self.state().waiters.leave(place);
    }
}

impl State {
    fn restart(&mut self, from: Position) {
        self.pending.clear();
        self.last = self.last.max(from);
        self.ring.restart(from);
    }
}

/// The right to render. If it is dropped too early, by a panic or because the server stops, the group starts again.
struct Driving<'g> {
    group: &'g Group,
    is_done: bool,
}

impl Driving<'_> {
    fn next(&mut self) -> Option<Arc<Event>> {
        let mut state = self.group.state();
        let next = state.pending.front().cloned();
        if next.is_none() {
            self.is_done = true;
            state.is_driven = false;
            drop(state);
            // If there is another driver by now, its first items come along.
            self.group.publish();
        }
        next
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut state = self.group.state();
            state.is_driven = false;
            let last = state.last;
            state.restart(last);
            drop(state);
            self.group.publish();
        }
    }
}

/// Tasks that wait for the next item, each at a place of its own.
#[derive(Default)]
struct Waiters {
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Waiters {
    fn enter(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }

    fn leave(&mut self, place: usize) {
        self.places[place] = None;
        self.free.push(place);
    }

    fn wait(&mut self, place: usize, waker: &Waker) {
        match &mut self.places[place] {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    /// All that wait. They are woken when the group is not locked any more, or they would wait for it.
    fn take(&mut self) -> Vec<Waker> {
        self.places.iter_mut().filter_map(Option::take).collect()
    }
}

/// Nothing is skipped while the database cannot be read.
pub(super) async fn pause(error: &database::Error) {
    tracing::warn!(%error, "subscriptions wait for the database");
    tokio::time::sleep(PAUSE).await;
}
