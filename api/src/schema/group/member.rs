//! A live subscription: a position in the ring of its group.
//!
//! Nothing is queued for a subscriber: the next items are taken when the transport asks for them, so a slow one costs only
//! itself. One whose position is older than the ring renders what is between by itself, with the plan of the group, until
//! the ring covers its position. Nothing is skipped while the database cannot be read.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use entity::Position;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};

use super::Groups;
use super::members::{Group, pause};
use crate::log::{self, Event};
use crate::schema::document::write_errors;
use crate::schema::follower::{expired, payload};
use crate::schema::request::{Item, Payload};

/// Events taken from the hub at once.
const BATCH: usize = 64;

/// A subscriber of a group; leaves it when it is dropped.
pub(crate) struct Member {
    groups: Arc<Groups>,
    group: Arc<Group>,
    /// Of the group.
    fingerprint: u64,
    /// Its place among those that wait.
    place: usize,
    /// The last position that it has passed.
    position: Position,
    /// While it is behind the ring.
    catching_up: Option<BoxFuture<'static, CaughtUp>>,
    is_over: bool,
}

/// How far a member has come by itself.
enum CaughtUp {
    /// To an item; the events were taken from the hub with it.
    Item(Position, Payload, VecDeque<Arc<Event>>),
    /// To the ring.
    Joined(Position),
    /// What comes next is no longer in the log.
    Expired,
}

impl Member {
    pub(super) fn new(groups: Arc<Groups>, group: Arc<Group>, fingerprint: u64, position: Position) -> Self {
        let place = group.enter();
        Self { groups, group, fingerprint, place, position, catching_up: None, is_over: false }
    }

    #[cfg(test)]
    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    fn catch_up(&mut self, taken: VecDeque<Arc<Event>>) {
        let (groups, group) = (Arc::clone(&self.groups), Arc::clone(&self.group));
        self.catching_up = Some(catch_up(groups, group, self.position, taken).boxed());
    }
}

impl Stream for Member {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(catching_up) = &mut this.catching_up {
                let caught_up = ready!(catching_up.poll_unpin(context));
                this.catching_up = None;
                match caught_up {
                    CaughtUp::Item(position, payload, taken) => {
                        this.position = position;
                        if !taken.is_empty() {
                            this.catch_up(taken);
                        }
                        return Poll::Ready(Some(Item::Next(payload.into())));
                    }
                    CaughtUp::Joined(position) => this.position = position,
                    CaughtUp::Expired => {
                        this.is_over = true;
                        let mut errors = Vec::new();
                        write_errors(&[expired()], &mut errors);
                        return Poll::Ready(Some(Item::Error(errors.into())));
                    }
                }
            }
            match ready!(this.group.poll_after(this.position, this.place, context)) {
                Some((position, payloads)) => {
                    this.position = position;
                    return Poll::Ready(Some(Item::Next(payloads)));
                }
                None => this.catch_up(VecDeque::new()),
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.group.leave(self.place);
        self.groups.left(self.fingerprint, &self.group);
    }
}

/// From a position to the next item or to the ring, whichever comes first.
async fn catch_up(
    groups: Arc<Groups>,
    group: Arc<Group>,
    mut position: Position,
    mut taken: VecDeque<Arc<Event>>,
) -> CaughtUp {
    let core = groups.core();
    loop {
        if group.covers(position) {
            return CaughtUp::Joined(position);
        }
        let Some(event) = taken.front() else {
            match group.reach_back(&groups, position).await {
                Ok(true) => {}
                Ok(false) => match core.hub.after(position, BATCH).await {
                    Ok(events) if events.is_empty() => core.hub.changed(position).await,
                    Ok(events) => taken.extend(events),
                    Err(log::Error::Expired) => return CaughtUp::Expired,
                    Err(log::Error::Database(error)) => pause(&error).await,
                },
                Err(log::Error::Expired) => return CaughtUp::Expired,
                Err(log::Error::Database(error)) => pause(&error).await,
            }
            continue;
        };
        match payload(core, group.follower(), event).await {
            Ok(payload) => {
                position = event.position;
                taken.pop_front();
                if let Some(payload) = payload {
                    return CaughtUp::Item(position, payload, taken);
                }
            }
            Err(error) => pause(&error).await,
        }
    }
}
