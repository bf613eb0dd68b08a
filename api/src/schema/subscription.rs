//! A live subscription: a position in the log, and a [`Follower`] that renders what comes after it.
//!
//! Nothing is queued for a subscriber: the next event is taken from the hub when the transport asks for it. So a slow
//! one costs only itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::Position;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::core::Core;
use super::document::{GraphqlError, write_errors};
use super::follower::{Follower, expired, response_body};
use super::request::Item;
use crate::log::{self, Event};

/// Events taken from the hub at once.
const BATCH: usize = 64;

/// How long a subscription waits before it asks a database again that could not be read.
const PAUSE: Duration = Duration::from_millis(250);

struct Subscription {
    core: Arc<Core>,
    follower: Follower,
    position: Position,
    waiting: VecDeque<Arc<Event>>,
    is_over: bool,
}

/// The items of a subscription from a position onwards.
pub(crate) fn stream(core: Arc<Core>, follower: Follower, position: Position) -> BoxStream<'static, Item> {
    let subscription = Subscription { core, follower, position, waiting: VecDeque::new(), is_over: false };
    stream::unfold(subscription, |mut subscription| async move {
        let item = subscription.next().await?;
        Some((item, subscription))
    })
    .boxed()
}

impl Subscription {
    async fn next(&mut self) -> Option<Item> {
        if self.is_over {
            return None;
        }
        loop {
            while let Some(event) = self.waiting.front() {
                match self.follower.render(&self.core, event).await {
                    Ok(rendered) => {
                        self.position = event.position;
                        self.waiting.pop_front();
                        if let Some(rendered) = rendered {
                            let cursor = self.core.hub.cursor(self.position);
                            return Some(Item::Next { body: response_body(&rendered, &cursor), cursor });
                        }
                    }
                    Err(error) => pause(&error).await,
                }
            }
            match self.core.hub.after(self.position, BATCH).await {
                Ok(events) if events.is_empty() => self.core.hub.changed(self.position).await,
                Ok(events) => self.waiting.extend(events),
                Err(log::Error::Expired) => {
                    self.is_over = true;
                    return Some(Item::Error(errors_body(&[expired()])));
                }
                Err(log::Error::Database(error)) => pause(&error).await,
            }
        }
    }
}

/// The subscription stays open while the database cannot be read; nothing is skipped.
async fn pause(error: &crate::database::Error) {
    tracing::warn!(%error, "a subscription waits for the database");
    tokio::time::sleep(PAUSE).await;
}

/// The JSON array of errors.
pub(crate) fn errors_body(errors: &[GraphqlError]) -> Bytes {
    let mut bytes = Vec::new();
    write_errors(errors, &mut bytes);
    bytes.into()
}
