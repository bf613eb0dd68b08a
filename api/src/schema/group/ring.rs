//! The newest items of a group, in memory: bounded by their number and their size, and all rings together by their size.
//!
//! Invariant: every item of the group after [`Ring::from`], up to the last one that was rendered, is here. So whoever is
//! at that position or later goes on from the ring without a gap, and because items know their positions nobody gets one
//! twice, wherever he comes from.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entity::Position;

use crate::schema::request::Payload;

/// Items that one ring holds at most; what is older is rendered again for whoever needs it.
pub(super) const MAX_ITEMS: usize = 8 * 1024;

/// About how much memory the items of one ring may take.
pub(super) const MAX_SIZE_BYTES: usize = 8 << 20;

/// About how much memory the items of all rings may take.
pub(super) const MAX_TOTAL_BYTES: usize = 128 << 20;

/// How much memory all rings take.
#[derive(Debug, Clone, Default)]
pub(super) struct Total(Arc<AtomicUsize>);

impl Total {
    /// Whether rings should forget something.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MAX_TOTAL_BYTES
    }
}

/// What a ring holds for a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next item.
    Item(Position, Arc<Payload>),
    /// There is none yet.
    Nothing,
    /// The next items are not here (any more).
    Gone,
}

/// The newest items of a group.
#[derive(Debug)]
pub(super) struct Ring {
    from: Position,
    items: VecDeque<(Position, Arc<Payload>)>,
    size_bytes: usize,
    total: Total,
}

impl Ring {
    /// Of a group whose events after this position are all going to be rendered.
    pub(super) fn new(from: Position, total: Total) -> Self {
        Self { from, items: VecDeque::new(), size_bytes: 0, total }
    }

    /// The position after which every item is here.
    pub(super) fn from(&self) -> Position {
        self.from
    }

    /// The first item after a position.
    pub(super) fn after(&self, position: Position) -> After {
        if position < self.from {
            return After::Gone;
        }
        // Most are at the end, and wait for what has just come.
        let next = match self.items.len() {
            0 => None,
            count if self.items[count - 1].0 <= position => None,
            count if count == 1 || self.items[count - 2].0 <= position => self.items.back(),
            _ => self.items.get(self.items.partition_point(|(at, _)| *at <= position)),
        };
        next.map_or(After::Nothing, |(at, payload)| After::Item(*at, Arc::clone(payload)))
    }

    /// Adds the next item; forgets the oldest ones as far as the bounds ask for it.
    pub(super) fn push(&mut self, position: Position, payload: Arc<Payload>) {
        debug_assert!(position > self.from && self.items.back().is_none_or(|(last, _)| *last < position));
        self.grow(payload.size_bytes());
        self.items.push_back((position, payload));
        while self.items.len() > MAX_ITEMS || self.size_bytes > MAX_SIZE_BYTES {
            self.forget_oldest();
        }
    }

    /// Reaches further back, to `from`, with the items after it. Whether there was room for them, and they still are what
    /// is missing: `until` is where the ring reached to when they were rendered.
    pub(super) fn reach_back(&mut self, from: Position, until: Position, items: Vec<(Position, Arc<Payload>)>) -> bool {
        let size_bytes = items.iter().map(|(_, payload)| payload.size_bytes()).sum::<usize>();
        if self.from != until || !self.has_room(items.len(), size_bytes) {
            return false;
        }
        self.grow(size_bytes);
        self.from = from;
        for item in items.into_iter().rev() {
            self.items.push_front(item);
        }
        true
    }

    /// Whether so much could be added without forgetting anything.
    pub(super) fn has_room(&self, items: usize, size_bytes: usize) -> bool {
        self.items.len() + items <= MAX_ITEMS && self.size_bytes + size_bytes <= MAX_SIZE_BYTES
    }

    /// Whether there is much room left.
    pub(super) fn is_mostly_free(&self) -> bool {
        self.items.len() < MAX_ITEMS / 2 && self.size_bytes < MAX_SIZE_BYTES / 2
    }

    /// Forgets everything up to a position.
    pub(super) fn restart(&mut self, from: Position) {
        while !self.items.is_empty() {
            self.forget_oldest();
        }
        self.from = self.from.max(from);
    }

    /// Forgets the older half.
    pub(super) fn halve(&mut self) {
        for _ in 0..self.items.len().div_ceil(2) {
            self.forget_oldest();
        }
        self.items.shrink_to(self.items.len() * 2);
    }

    fn forget_oldest(&mut self) {
        if let Some((position, payload)) = self.items.pop_front() {
            self.from = position;
            self.size_bytes -= payload.size_bytes();
            self.total.0.fetch_sub(payload.size_bytes(), Ordering::Relaxed);
        }
    }

    fn grow(&mut self, bytes: usize) {
        self.size_bytes += bytes;
        self.total.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.size_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: i64) -> Position {
        Position::new(position).unwrap()
    }

    fn payload(size_bytes: usize) -> Arc<Payload> {
        Arc::new(Payload::of_subscription(vec![b'x'; size_bytes], ""))
    }

    fn after(ring: &Ring, position: i64) -> Option<Option<i64>> {
        match ring.after(at(position)) {
            After::Item(position, _) => Some(Some(position.get())),
            After::Nothing => Some(None),
            After::Gone => None,
        }
    }

    #[test]
    fn whoever_is_within_goes_on_without_a_gap() {
        let mut ring = Ring::new(at(10), Total::default());
        assert_eq!([after(&ring, 9), after(&ring, 10), after(&ring, 11)], [None, Some(None), Some(None)]);
        for position in [12, 15, 16] {
            ring.push(at(position), payload(1));
        }
        let expected =
            [None, Some(Some(12)), Some(Some(12)), Some(Some(15)), Some(Some(15)), Some(Some(16)), Some(None)];
        assert_eq!([9, 10, 11, 12, 14, 15, 16].map(|position| after(&ring, position)), expected);
        ring.restart(at(18));
        assert_eq!([after(&ring, 16), after(&ring, 18)], [None, Some(None)]);
    }

    #[test]
    fn it_reaches_back_to_what_is_missing() {
        let mut ring = Ring::new(at(10), Total::default());
        ring.push(at(12), payload(1));
        assert!(!ring.reach_back(at(2), at(9), vec![(at(4), payload(1))]), "there is a gap");
        assert!(ring.reach_back(at(2), at(10), vec![(at(4), payload(1)), (at(9), payload(1))]));
        assert_eq!(
            [1, 2, 4, 9].map(|position| after(&ring, position)),
            [None, Some(Some(4)), Some(Some(9)), Some(Some(12))]
        );
        assert!(!ring.reach_back(at(1), at(2), vec![(at(2), payload(MAX_SIZE_BYTES))]), "there is no room");
        assert!(ring.reach_back(at(1), at(2), Vec::new()));
        assert_eq!(after(&ring, 1), Some(Some(4)));
    }

    #[test]
    fn number_and_size_are_bounded() {
        let total = Total::default();
        let mut ring = Ring::new(at(0), total.clone());
        for position in 1..=MAX_ITEMS as i64 + 3 {
            ring.push(at(position), payload(1));
        }
        assert_eq!([after(&ring, 2), after(&ring, 3)], [None, Some(Some(4))]);
        for position in 10_000..10_100 {
            ring.push(at(position), payload(1 << 20));
            assert!(ring.size_bytes <= MAX_SIZE_BYTES);
        }
        assert_eq!(after(&ring, 10_095), Some(Some(10_096)));
        assert_eq!(total.0.load(Ordering::Relaxed), ring.size_bytes);
        // One that is larger than all of the ring is not kept either.
        ring.push(at(11_000), payload(MAX_SIZE_BYTES));
        assert_eq!([after(&ring, 10_999), after(&ring, 11_000)], [None, Some(None)]);
        assert_eq!(total.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn half_of_it_can_be_forgotten() {
        let total = Total::default();
        let mut ring = Ring::new(at(0), total.clone());
        (1..=5).for_each(|position| ring.push(at(position), payload(10)));
        ring.halve();
        assert_eq!([after(&ring, 2), after(&ring, 3)], [None, Some(Some(4))]);
        assert_eq!(total.0.load(Ordering::Relaxed), 2 * payload(10).size_bytes());
        drop(ring);
        assert_eq!(total.0.load(Ordering::Relaxed), 0);
    }
}
