//! The log → the messages of one webhook, in log order.
//!
//! Numbers are given here, so they are a function of the order of the log alone. A reader runs ahead of its worker by
//! what the channel between them holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::{EventId, Position};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::group::{Group, Rendering};
use super::ledger::Recorded;
use super::message::Message;
use super::render::RenderError;
use super::target::Target;
use super::window::Progress;
use crate::log::{self, Event, Hub};

/// Events taken from the log at a time; also how many events that are not for the webhook are passed over before its
/// worker hears of it.
const CHUNK: usize = 256;
/// How long a reader waits after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What a reader tells its worker.
#[derive(Debug)]
pub enum Item {
    /// Everything up to here that was not told is not for the webhook, or recorded already.
    Skipped(Progress),
    /// The next event of the webhook.
    Message(Fresh),
    /// The log no longer holds the next events. Nothing follows.
    Expired,
}

/// An event of the webhook, ready to be sent.
#[derive(Debug)]
pub struct Fresh {
    /// Of the event.
    pub position: Position,
    /// Its number for the webhook.
    pub sequence: i64,
    /// The event.
    pub message: EventId,
    /// `order_line.updated`
    pub event: Arc<str>,
    /// The row that has changed.
    pub node: Uuid,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The message.
    pub body: Bytes,
}

/// Reads the log for one webhook.
pub struct Reader {
    /// The log.
    pub hub: Hub,
    /// Has the webhook's document, which may change while the reader runs.
    pub target: watch::Receiver<Arc<Target>>,
    /// Where to begin.
    pub start: Progress,
    /// Events after the beginning that are not to be sent again, in log order.
    pub recorded: VecDeque<Recorded>,
    /// To the worker. When it is full, the reader waits.
    pub items: mpsc::Sender<Item>,
}

/// The worker has gone.
struct Closed;

impl Reader {
    /// Reads until the worker goes.
    pub async fn run(mut self) {
        let mut at = self.start;
        loop {
            let group = Arc::clone(&self.target.borrow().group);
            let next = self.hub.after_of(group.kinds(), at.position, CHUNK).await;
            if !self.is_for(&group) {
                // What has just been written may be for the webhook as it is now.
                continue;
            }
            match next {
                Ok((_, end)) if end == at.position => {
                    tokio::select! {
                        () = self.hub.changed(at.position) => {}
                        () = self.items.closed() => return,
                    }
                }
                Ok((events, end)) => {
                    if self.pass(&events, end, &group, &mut at).await.is_err() {
                        return;
                    }
                }
                Err(log::Error::Expired) => {
                    // If the worker has gone, nobody needs to know.
                    let _ = self.items.send(Item::Expired).await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be read for a webhook; trying again");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// Whether the webhook's document is still that of this group.
    fn is_for(&self, group: &Arc<Group>) -> bool {
        Arc::ptr_eq(group, &self.target.borrow().group)
    }

    /// Goes through these events, which are all that may be for the group up to a position, as long as it is the webhook's:
    /// among what they leave out there may be some for another one.
    async fn pass(
        &mut self,
        events: &[Arc<Event>],
        end: Position,
        group: &Arc<Group>,
        at: &mut Progress,
    ) -> Result<(), Closed> {
        let mut told = at.position;
        for event in events {
            if !self.is_for(group) {
                return Ok(());
            }
            let item = match self.recorded(event.position, at) {
                true => None,
                false => self.message(event, at.sequence + 1).await?,
            };
            at.position = event.position;
            if let Some(fresh) = item {
                (at.sequence, told) = (fresh.sequence, fresh.position);
                self.items.send(Item::Message(fresh)).await.map_err(|_| Closed)?;
            }
        }
        if told < end && self.is_for(group) {
            self.recorded(end, at);
            at.position = end;
            self.items.send(Item::Skipped(*at)).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// Whether the event at a position is recorded. The numbers of all recorded ones up to it are taken.
    fn recorded(&mut self, position: Position, at: &mut Progress) -> bool {
        let mut is_recorded = false;
        while let Some(recorded) = self.recorded.pop_front_if(|recorded| recorded.position <= position) {
            at.sequence = at.sequence.max(recorded.sequence.unwrap_or(0));
            is_recorded = recorded.position == position;
        }
        is_recorded
    }

    /// The message about an event, if it is for the webhook. Tries until it can be rendered: leaving it out would lose it.
    async fn message(&mut self, event: &Event, sequence: i64) -> Result<Option<Fresh>, Closed> {
        let rendered = loop {
            let group = Arc::clone(&self.target.borrow().group);
            match group.render(event).await {
                Ok(rendered) => break rendered,
                Err(RenderError(error)) => {
                    tracing::warn!(event.position = %event.position, %error, "an event cannot be rendered; trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                () = self.items.closed() => return Err(Closed),
            }
        };
        let Some(rendered) = rendered else { return Ok(None) };
        let body = message_body(event, Some(sequence), &rendered);
        Ok(Some(Fresh {
            position: event.position,
            sequence,
            message: event.id,
            event: Arc::clone(&rendered.event),
            node: event.row_id,
            at: event.at,
            body,
        }))
    }
}

/// The body of the message about an event.
pub(super) fn message_body(event: &Event, sequence: Option<i64>, rendering: &Rendering) -> Bytes {
    let message = Message {
        event: &rendering.event,
        occurred_at: event.at,
        cursor: &rendering.cursor,
        sequence,
        data: &rendering.data,
        errors: rendering.errors.as_deref(),
    };
    message.body()
}

#[cfg(test)]
mod tests;
