//! Live subscriptions in groups: what is the same for many is judged, rendered and serialised once.
//!
//! [`Groups`] follows the log for all of them. Its router gives each event to the groups that it may concern, which
//! `index` finds by the values of the row; a group renders it into its ring, and wakes its own members. A member holds a
//! position in the ring, or catches up with it by itself.
//!
//! Invariants: a group has only members for whom every event is the same to the byte, because their followers are equal;
//! a member gets each event of its own after its position once, in order, wherever it takes it from.
//!
//! - `registry`: which groups there are
//! - `index`: which of them an event may concern
//! - `members`: one group
//! - `ring`: its newest items
//! - `member`: one subscription
//!
//! Neighbours: `follower` says what an event is, `log::hub` has the events, and `live` takes the items.

mod index;
mod member;
mod members;
mod registry;
mod ring;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entity::Position;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use super::follower::Follower;
use crate::log::{Error, Event};
use member::Member;
use members::{Group, pause};
use registry::Registry;
use ring::Total;

/// Events that are routed before their groups are driven, so that each wakes its members once for all of them.
const BATCH: usize = 64;

/// How often groups without members are looked for while nothing happens.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The groups of a server.
pub(crate) struct Groups {
    core: Arc<Core>,
    hasher: RandomState,
    registry: Mutex<Registry>,
    total: Total,
    /// Held by whoever makes rings forget.
    relieving: Mutex<()>,
    drivers: TaskTracker,
}

impl Groups {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let registry = Registry::new(Arc::clone(&core.catalog), core.hub.tail());
        Self {
            core,
            hasher: RandomState::new(),
            registry: Mutex::new(registry),
            total: Total::default(),
            relieving: Mutex::default(),
            drivers: TaskTracker::new(),
        }
    }

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // A panic may have left a group out of the index, which is better than no groups at all.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fingerprint(&self, follower: &Follower) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        follower.fingerprint(&mut hasher);
        hasher.finish()
    }

    /// A subscription from a position onwards.
    pub(crate) fn join(self: &Arc<Self>, follower: Follower, position: Position) -> Member {
        let fingerprint = self.fingerprint(&follower);
        let group = self.registry().join(fingerprint, follower, &self.total);
        Member::new(Arc::clone(self), group, fingerprint, position)
    }

    fn left(&self, fingerprint: u64, group: &Arc<Group>) {
        self.registry().leave(fingerprint, group, Instant::now());
    }

    /// Follows the log until it is told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.step(&stop) => {}
            }
        }
        self.drivers.close();
        self.drivers.wait().await;
    }

    async fn step(self: &Arc<Self>, stop: &CancellationToken) {
        let hub = &self.core.hub;
        let routed = self.begin();
        match hub.after(routed, BATCH).await {
            Ok(events) if events.is_empty() => {
                // Either way it is looked again.
                let _ = tokio::time::timeout(SWEEP_INTERVAL, hub.changed(routed)).await;
            }
            Ok(events) => {
                self.route(&events, stop);
                tokio::task::yield_now().await;
            }
            Err(Error::Expired) => self.registry().skip_to(hub.tail()),
            Err(Error::Database(error)) => pause(&error).await,
        }
    }

    fn begin(&self) -> Position {
        let mut registry = self.registry();
        registry.sweep(Instant::now());
        if registry.is_empty() {
            registry.skip_to(self.core.hub.tail());
        }
        registry.routed()
    }

    fn route(self: &Arc<Self>, events: &[Arc<Event>], stop: &CancellationToken) {
        let mut driven = Vec::new();
        for event in events {
            self.registry().route(event, |group| driven.push(Arc::clone(group)));
        }
        for group in driven {
            let (groups, stop) = (Arc::clone(self), stop.clone());
            self.drivers.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = group.drive(&groups) => {}
                }
            });
        }
    }

    /// Lets rings forget as long as all together take too much memory.
    fn relieve(&self) {
        if !self.total.is_exceeded() {
            return;
        }
        let Ok(_turn) = self.relieving.try_lock() else { return };
        let groups: Vec<_> = self.registry().all().cloned().collect();
        // After so many rounds nothing is left of any ring.
        for _ in 0..=ring::MAX_ITEMS.ilog2() {
            if self.total.is_exceeded() {
                groups.iter().for_each(|group| group.halve());
            }
        }
    }
}
