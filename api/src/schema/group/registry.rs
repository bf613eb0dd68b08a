//! Which groups there are.
//!
//! Subscriptions belong to one group if and only if their followers are equal: the plans with the rights woven in, the
//! kinds that are wanted and what is selected. What is rendered is a function of the follower and the event, so what the
//! members of a group share is what each of them would have got alone. A group without members stays for a while: clients
//! that have lost their connections come back, and find what they have missed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use entity::Position;
use tokio::time::Instant;

use super::index::Index;
use super::members::Group;
use super::ring::Total;
use crate::catalog::Catalog;
use crate::log::Event;
use crate::schema::follower::Follower;

/// How long a group without members is kept.
const LINGER: Duration = Duration::from_secs(30);

/// Groups without members that are kept at most.
const MAX_LINGERING: usize = 10_000;

/// Groups that are dropped at once, so that nobody waits long for the registry.
const DROPPED_AT_ONCE: usize = 256;

/// All groups, by what their followers are.
pub(super) struct Registry {
    catalog: Arc<Catalog>,
    /// The last event that was given to those whom it may concern.
    routed: Position,
    groups: HashMap<u64, Vec<Entry>>,
    index: Index<Group>,
    /// Those that were left by their last member, and when.
    left: VecDeque<(Instant, u64, Weak<Group>)>,
}

struct Entry {
    group: Arc<Group>,
    members: usize,
    left_at: Option<Instant>,
}

impl Registry {
    pub(super) fn new(catalog: Arc<Catalog>, routed: Position) -> Self {
        Self { catalog, routed, groups: HashMap::new(), index: Index::new(), left: VecDeque::new() }
    }

    /// The group of a follower with this fingerprint, with one more member.
    pub(super) fn join(&mut self, fingerprint: u64, follower: Follower, total: &Total) -> Arc<Group> {
        let entries = self.groups.entry(fingerprint).or_default();
        if let Some(entry) = entries.iter_mut().find(|entry| *entry.group.follower() == follower) {
            entry.members += 1;
            entry.left_at = None;
            return Arc::clone(&entry.group);
        }
        let group = Arc::new(Group::new(follower, self.routed, total.clone()));
        for (resource, seen) in group.follower().seen() {
            self.index.insert(&self.catalog, resource, seen, &group);
        }
        entries.push(Entry { group: Arc::clone(&group), members: 1, left_at: None });
        group
    }

    /// A member has left its group.
    pub(super) fn leave(&mut self, fingerprint: u64, group: &Arc<Group>, now: Instant) {
        let mut entries = self.groups.get_mut(&fingerprint).into_iter().flatten();
        let Some(entry) = entries.find(|entry| Arc::ptr_eq(&entry.group, group)) else { return };
        entry.members -= 1;
        if entry.members == 0 {
            entry.left_at = Some(now);
            self.left.push_back((now, fingerprint, Arc::downgrade(group)));
        }
    }

    /// Drops groups that nobody has come back to.
    pub(super) fn sweep(&mut self, now: Instant) {
        for _ in 0..DROPPED_AT_ONCE {
            let is_due = |(left_at, ..): &(Instant, u64, Weak<Group>)| now.duration_since(*left_at) >= LINGER;
            if self.left.len() <= MAX_LINGERING && !self.left.front().is_some_and(is_due) {
                return;
            }
            let Some((left_at, fingerprint, group)) = self.left.pop_front() else { return };
            if let Some(group) = group.upgrade() {
                self.drop_left(fingerprint, &group, left_at);
            }
        }
    }

    fn drop_left(&mut self, fingerprint: u64, group: &Arc<Group>, left_at: Instant) {
        let Some(entries) = self.groups.get_mut(&fingerprint) else { return };
        // Somebody may have come back, and perhaps left again.
        let is_it = |entry: &Entry| Arc::ptr_eq(&entry.group, group) && entry.left_at == Some(left_at);
        let Some(place) = entries.iter().position(is_it) else { return };
        entries.swap_remove(place);
        if entries.is_empty() {
            self.groups.remove(&fingerprint);
        }
        for (resource, seen) in group.follower().seen() {
            self.index.remove(&self.catalog, resource, seen, group);
        }
    }

    /// Gives the event after the last one to those whom it may concern; visits the groups that need a driver for it.
    pub(super) fn route(&mut self, event: &Arc<Event>, mut driven: impl FnMut(&Arc<Group>)) {
        self.index.find(event, |group| {
            if group.follower().concerns(event) && group.add(event) {
                driven(group);
            }
        });
        self.routed = event.position;
    }

    /// The last event that was given to those whom it may concern.
    pub(super) fn routed(&self) -> Position {
        self.routed
    }

    /// Passes over the events up to here. Members of groups find them in the log by themselves.
    pub(super) fn skip_to(&mut self, position: Position) {
        self.routed = self.routed.max(position);
        self.all().for_each(|group| group.restart(position));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values().flatten().map(|entry| &entry.group)
    }

    #[cfg(test)]
    pub(super) fn index_is_empty(&self) -> bool {
        self.index.is_empty()
    }
}
