//! Which messages of a webhook wait for which, as its [`Ordering`] says.
//!
//! - NONE: nothing waits.
//! - PER_NODE: the messages about one row (node) go one after the other. While one is on its way, later ones wait in
//!   memory, up to a bound. When it fails, it becomes a row in the database, and *holds* its node: later ones become rows
//!   that wait behind it, so they take no memory and hold nobody else.
//! - STRICT: one request at a time. What fails holds all that comes later: the webhook stays where it is in the log.
//!
//! A message holds its node until it has succeeded or all its attempts have failed. Invariants: of the rows of a node that
//! are pending only the first one is due, or those of the one batch that was sent; nothing that was read from the log
//! overtakes something earlier of its node. Rows that were put in line by hand hold nothing (their `node` is null).

use std::collections::{HashMap, VecDeque};

use entity::webhook::Ordering;
use uuid::Uuid;

use super::ledger::Job;

/// Nodes of a webhook that may be held at the same time. With more, the log is not read on.
pub const MAX_HELD: usize = 64 * 1024;
/// Messages that may wait in memory for one that is on its way …
pub const MAX_WAITING: usize = 1024;
/// … and the bytes of their bodies. With more, the log is not read on until something is done.
pub const MAX_WAITING_BYTES: usize = 8 << 20;

/// What may go now of the messages of one webhook.
#[derive(Debug)]
pub struct Order {
    ordering: Ordering,
    /// Nodes with a message that is about to be sent, or on its way, for the first time.
    busy: HashMap<Uuid, Busy>,
    /// Nodes with pending rows, and how many there are.
    held: HashMap<Uuid, u32>,
    /// Not all held nodes are known: there are too many.
    is_partial: bool,
    /// Messages that waited, and whose turn it is.
    next: VecDeque<Job>,
    waiting: usize,
    waiting_bytes: usize,
}

#[derive(Debug, Default)]
struct Busy {
    /// Nothing can join what is on its way.
    is_sent: bool,
    waiting: VecDeque<Job>,
}

/// What becomes of a message that was read from the log.
#[derive(Debug)]
pub enum Admitted {
    /// It may be sent.
    Ready(Job),
    /// It waits in memory.
    Waiting,
    /// It becomes a row that waits.
    Held(Job),
}

/// What follows from the end of a request.
#[derive(Debug, Default)]
pub struct Ended {
    /// Become rows that wait.
    pub held: Vec<Job>,
    /// Whose next waiting row becomes due.
    pub released: Vec<Release>,
}

/// Which row becomes due, if it waits: the first pending one …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// … of a node.
    OfNode(Uuid),
    /// … of the webhook.
    OfWebhook,
}

/// All messages of a STRICT webhook count as of one node.
const ALL: Uuid = Uuid::nil();

impl Order {
    /// With the nodes that have pending rows, and how many; at most one more than [`MAX_HELD`].
    pub fn new(ordering: Ordering, held: impl IntoIterator<Item = (Uuid, u32)>) -> Self {
        let mut order = Self {
            ordering,
            busy: HashMap::new(),
            held: HashMap::new(),
            is_partial: false,
            next: VecDeque::new(),
            waiting: 0,
            waiting_bytes: 0,
        };
        for (node, rows) in held {
            if let Some(key) = order.key(Some(node)) {
                *order.held.entry(key).or_default() += rows;
            }
        }
        order.is_partial = order.held.len() > MAX_HELD;
        order
    }

    /// What a message holds and waits for; `None`: nothing.
    fn key(&self, node: Option<Uuid>) -> Option<Uuid> {
        match self.ordering {
            Ordering::None => None,
            Ordering::PerNode => node,
            Ordering::Strict => node.map(|_| ALL),
        }
    }

    /// Whether messages take part in the order, so that their rows name their node.
    pub fn is_ordered(&self) -> bool {
        self.ordering != Ordering::None
    }

    /// Whether messages may go side by side.
    pub fn is_parallel(&self) -> bool {
        self.ordering != Ordering::Strict
    }

    /// Whether anything from the log may be sent now.
    pub fn may_send(&self) -> bool {
        self.is_parallel() || self.held.is_empty()
    }

    /// Whether the log may be read on.
    pub fn has_room(&self) -> bool {
        !self.is_partial
            && self.held.len() < MAX_HELD
            && self.waiting < MAX_WAITING
            && self.waiting_bytes < MAX_WAITING_BYTES
    }

    /// Whether there are few enough held nodes now to learn of those that are not known.
    pub fn must_begin_anew(&self) -> bool {
        self.is_partial && self.held.len() < MAX_HELD / 2
    }

    /// A message that has waited, and may be sent now. To be asked for before any other one of the log is admitted.
    pub fn take_next(&mut self) -> Option<Job> {
        let job = self.next.pop_front()?;
        self.stops_waiting(&job);
        Some(job)
    }

    /// Another message of a node of which one is about to be sent, to go with it.
    pub fn joins(&mut self, node: Option<Uuid>) -> Option<Job> {
        let busy = self.busy.get_mut(&self.key(node)?)?;
        let job = busy.waiting.pop_front_if(|_| !busy.is_sent)?;
        self.stops_waiting(&job);
        Some(job)
    }

    fn stops_waiting(&mut self, job: &Job) {
        self.waiting -= 1;
        self.waiting_bytes -= job.body.len();
    }

    /// Decides about a message that comes after all that were decided about before.
    pub fn admit(&mut self, job: Job) -> Admitted {
        let key = match self.ordering {
            Ordering::None | Ordering::Strict => None,
            Ordering::PerNode => job.node,
        };
        let Some(key) = key else { return Admitted::Ready(job) };
        if let Some(rows) = self.held.get_mut(&key) {
            *rows += 1;
            return Admitted::Held(job);
        }
        match self.busy.get_mut(&key) {
            Some(busy) if busy.is_sent || !busy.waiting.is_empty() => {
                self.waiting += 1;
                self.waiting_bytes += job.body.len();
                busy.waiting.push_back(job);
                Admitted::Waiting
            }
            Some(_) => Admitted::Ready(job),
            None => {
                self.busy.insert(key, Busy::default());
                Admitted::Ready(job)
            }
        }
    }

    /// These messages, which were ready, are on their way.
    pub fn sent(&mut self, jobs: &[Job]) {
        for job in jobs {
            if let Some(busy) = self.key(job.node).and_then(|key| self.busy.get_mut(&key)) {
                busy.is_sent = true;
            }
        }
    }

    /// The request with these messages has ended. `holds`: it will be tried again.
    pub fn ended(&mut self, jobs: &[Job], holds: bool) -> Ended {
        let mut ended = Ended::default();
        let mut seen = Vec::new();
        for job in jobs {
            let Some(key) = self.key(job.node) else { continue };
            match (job.is_recorded, holds) {
                (false, true) => *self.held.entry(key).or_default() += 1,
                (true, false) => self.count_down(key),
                (false, false) | (true, true) => {}
            }
            if !seen.contains(&key) {
                seen.push(key);
            }
        }
        for key in seen {
            self.go_on(key, &mut ended);
            if !holds && self.held.contains_key(&key) {
                ended.released.push(if key == ALL { Release::OfWebhook } else { Release::OfNode(key) });
            }
        }
        ended
    }

    fn count_down(&mut self, key: Uuid) {
        if let Some(rows) = self.held.get_mut(&key) {
            *rows -= 1;
            if *rows == 0 {
                self.held.remove(&key);
            }
        }
    }

    /// Nothing of this node is on its way any more.
    fn go_on(&mut self, key: Uuid, ended: &mut Ended) {
        let mut waiting = self.busy.remove(&key).map(|busy| busy.waiting).unwrap_or_default();
        if let Some(rows) = self.held.get_mut(&key) {
            *rows += waiting.len() as u32;
            for job in waiting {
                self.stops_waiting(&job);
                ended.held.push(job);
            }
            return;
        }
        // One that has waited takes its turn before others of its node.
        if let Some(first) = waiting.pop_front() {
            self.next.push_back(first);
            self.busy.insert(key, Busy { is_sent: false, waiting });
        }
    }
}

#[cfg(test)]
mod tests;
