//! The newest items of a group, in memory: bounded by their number and their size, and all rings together by their size.
//!
//! Items that are rendered together are given away together, as one [`Payloads`] that all members share: a member asks
//! once for each such stretch, and touches no counter of any item.
//!
//! Invariant: every item of the group after [`Ring::from`], up to the last one that was published, is here. So whoever is
//! at that position or later goes on from the ring without a gap, and because items know their positions nobody gets one
//! twice, wherever he comes from.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entity::Position;

use crate::schema::request::{Payload, Payloads};

/// Items that one ring holds at most; what is older is rendered again for whoever needs it.
pub(super) const MAX_ITEMS: usize = 8 * 1024;

/// About how much memory the items of one ring may take.
pub(super) const MAX_SIZE_BYTES: usize = 8 << 20;

/// About how much memory the items of all rings may take.
pub(super) const MAX_TOTAL_BYTES: usize = 128 << 20;

/// Items of one stretch.
const MAX_STRETCH: usize = 64;

/// Bytes after which a stretch gets no further item: it is copied whole for each client, however slow that is.
const MAX_STRETCH_BYTES: usize = 64 << 10;

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
    /// The next items, and the position of the last of them.
    Items(Position, Payloads),
    /// There is none yet.
    Nothing,
    /// The next items are not here (any more).
    Gone,
}

/// The newest items of a group.
#[derive(Debug)]
pub(super) struct Ring {
    from: Position,
    stretches: VecDeque<Stretch>,
    /// What was rendered and is not published yet.
    held_back: Vec<(Position, Payload)>,
    held_back_bytes: usize,
    /// Of all items.
    count: usize,
    size_bytes: usize,
    total: Total,
}

/// Items that follow each other.
#[derive(Debug)]
struct Stretch {
    positions: Box<[Position]>,
    payloads: Arc<[Payload]>,
}

impl Stretch {
    fn new(items: impl IntoIterator<Item = (Position, Payload)>) -> Self {
        let (positions, payloads): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        Self { positions: positions.into(), payloads: payloads.into() }
    }

    fn last(&self) -> Position {
        *self.positions.last().expect("a stretch has an item")
    }

    fn size_bytes(&self) -> usize {
        self.payloads.iter().map(Payload::size_bytes).sum()
    }

    /// Those after a position.
    fn after(&self, position: Position) -> After {
        let start = self.positions.partition_point(|at| *at <= position);
        let payloads = Payloads::new(Arc::clone(&self.payloads), start);
        payloads.map_or(After::Nothing, |payloads| After::Items(self.last(), payloads))
    }
}

impl Ring {
    /// Of a group whose events after this position are all going to be rendered.
    pub(super) fn new(from: Position, total: Total) -> Self {
        let (stretches, held_back) = (VecDeque::new(), Vec::new());
        Self { from, stretches, held_back, held_back_bytes: 0, count: 0, size_bytes: 0, total }
    }

    /// The position after which every item is here.
    pub(super) fn from(&self) -> Position {
        self.from
    }

    /// The first items after a position.
    pub(super) fn after(&self, position: Position) -> After {
        if position < self.from {
            return After::Gone;
        }
        let is_before = |stretch: &Stretch| stretch.last() <= position;
        // Most are at the end, and wait for what has just come.
        let next = match self.stretches.len() {
            0 => None,
            count if is_before(&self.stretches[count - 1]) => None,
            count if count == 1 || is_before(&self.stretches[count - 2]) => self.stretches.back(),
            _ => self.stretches.get(self.stretches.partition_point(is_before)),
        };
        next.map_or(After::Nothing, |stretch| stretch.after(position))
    }

    /// Adds the next item, which is held back until [`Ring::publish`]; forgets the oldest ones as far as the bounds ask
    /// for it. Whether as much is held back as is given away together.
    pub(super) fn push(&mut self, position: Position, payload: Payload) -> bool {
        debug_assert!(position > self.from && self.held_back.last().is_none_or(|(last, _)| *last < position));
        debug_assert!(self.stretches.back().is_none_or(|stretch| stretch.last() < position));
        let size_bytes = payload.size_bytes();
        self.grow(1, size_bytes);
        self.held_back_bytes += size_bytes;
        self.held_back.push((position, payload));
        while self.count > MAX_ITEMS || self.size_bytes > MAX_SIZE_BYTES {
            self.forget_oldest();
        }
        self.held_back.len() >= MAX_STRETCH || self.held_back_bytes >= MAX_STRETCH_BYTES
    }

    /// Lets members have what was held back.
    pub(super) fn publish(&mut self) {
        if !self.held_back.is_empty() {
            self.held_back_bytes = 0;
            self.stretches.push_back(Stretch::new(self.held_back.drain(..)));
        }
    }

    /// Reaches further back, to `from`, with the items after it. Whether there was room for them, and they still are what
    /// is missing: `until` is where the ring reached to when they were rendered.
    pub(super) fn reach_back(&mut self, from: Position, until: Position, items: VecDeque<(Position, Payload)>) -> bool {
        let size_bytes = items.iter().map(|(_, payload)| payload.size_bytes()).sum::<usize>();
        if self.from != until || !self.has_room(items.len(), size_bytes) {
            return false;
        }
        self.grow(items.len(), size_bytes);
        self.from = from;
        for stretch in stretches(items).into_iter().rev() {
            self.stretches.push_front(stretch);
        }
        true
    }

    /// Whether so much could be added without forgetting anything.
    pub(super) fn has_room(&self, items: usize, size_bytes: usize) -> bool {
        self.count + items <= MAX_ITEMS && self.size_bytes + size_bytes <= MAX_SIZE_BYTES
    }

    /// Whether there is much room left.
    pub(super) fn is_mostly_free(&self) -> bool {
        self.count < MAX_ITEMS / 2 && self.size_bytes < MAX_SIZE_BYTES / 2
    }

    /// Forgets everything up to a position.
    pub(super) fn restart(&mut self, from: Position) {
        while self.count > 0 {
            self.forget_oldest();
        }
        self.from = self.from.max(from);
    }

    /// Forgets the older half.
    pub(super) fn halve(&mut self) {
        let kept = self.count / 2;
        while self.count > kept {
            self.forget_oldest();
        }
        self.stretches.shrink_to(self.stretches.len() * 2);
    }

    /// Forgets the oldest stretch, or what would become one.
    fn forget_oldest(&mut self) {
        let oldest = self.stretches.pop_front().unwrap_or_else(|| {
            self.held_back_bytes = 0;
            Stretch::new(self.held_back.drain(..))
        });
        self.from = oldest.last();
        self.count -= oldest.payloads.len();
        self.size_bytes -= oldest.size_bytes();
        self.total.0.fetch_sub(oldest.size_bytes(), Ordering::Relaxed);
    }

    fn grow(&mut self, items: usize, bytes: usize) {
        self.count += items;
        self.size_bytes += bytes;
        self.total.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.size_bytes, Ordering::Relaxed);
    }
}

/// Items in stretches as they would have been rendered together.
fn stretches(items: impl IntoIterator<Item = (Position, Payload)>) -> Vec<Stretch> {
    let (mut stretches, mut next, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (position, payload) in items {
        bytes += payload.size_bytes();
        next.push((position, payload));
        if next.len() >= MAX_STRETCH || bytes >= MAX_STRETCH_BYTES {
            stretches.push(Stretch::new(next.drain(..)));
            bytes = 0;
        }
    }
    if !next.is_empty() {
        stretches.push(Stretch::new(next));
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::CursorText;

    fn at(position: i64) -> Position {
        Position::new(position).unwrap()
    }

    fn payload(size_bytes: usize) -> Payload {
        Payload::of_subscription(vec![b'x'; size_bytes], CursorText::new())
    }

    /// Items of the least size.
    fn items(positions: &[i64]) -> VecDeque<(Position, Payload)> {
        positions.iter().map(|position| (at(*position), payload(1))).collect()
    }

    fn push(ring: &mut Ring, position: i64, size_bytes: usize) {
        ring.push(at(position), payload(size_bytes));
        ring.publish();
    }

    /// How many items follow a position together, and the last of them; `None` if they are gone.
    fn after(ring: &Ring, position: i64) -> Option<(usize, i64)> {
        match ring.after(at(position)) {
            After::Items(position, payloads) => Some((payloads.as_slice().len(), position.get())),
            After::Nothing => Some((0, 0)),
            After::Gone => None,
        }
    }

    const GONE: Option<(usize, i64)> = None;
    const NOTHING: Option<(usize, i64)> = Some((0, 0));

    #[test]
    fn whoever_is_within_goes_on_without_a_gap() {
        let mut ring = Ring::new(at(10), Total::default());
        assert_eq!([9, 10, 11].map(|position| after(&ring, position)), [GONE, NOTHING, NOTHING]);
        for position in [12, 15, 16] {
            push(&mut ring, position, 1);
        }
        let expected = [GONE, Some((1, 12)), Some((1, 12)), Some((1, 15)), Some((1, 15)), Some((1, 16)), NOTHING];
        assert_eq!([9, 10, 11, 12, 14, 15, 16].map(|position| after(&ring, position)), expected);
        ring.restart(at(18));
        assert_eq!([16, 18].map(|position| after(&ring, position)), [GONE, NOTHING]);
    }

    #[test]
    fn what_is_rendered_together_is_given_away_together() {
        let mut ring = Ring::new(at(0), Total::default());
        push(&mut ring, 1, 1);
        for position in [3, 4, 6] {
            assert!(!ring.push(at(position), payload(1)));
        }
        assert_eq!([0, 1, 4].map(|position| after(&ring, position)), [Some((1, 1)), NOTHING, NOTHING], "held back");
        ring.publish();
        ring.publish();
        let expected = [Some((1, 1)), Some((3, 6)), Some((2, 6)), Some((1, 6)), Some((1, 6)), NOTHING];
        assert_eq!([0, 1, 3, 4, 5, 6].map(|position| after(&ring, position)), expected);
        assert!(ring.push(at(7), payload(MAX_STRETCH_BYTES)), "enough bytes");
        ring.publish();
        for position in 8..8 + MAX_STRETCH as i64 {
            let is_full = ring.push(at(position), payload(1));
            assert_eq!(is_full, position == 7 + MAX_STRETCH as i64);
        }
    }

    #[test]
    fn it_reaches_back_to_what_is_missing() {
        let mut ring = Ring::new(at(10), Total::default());
        push(&mut ring, 12, 1);
        assert!(!ring.reach_back(at(2), at(9), items(&[4])), "there is a gap");
        assert!(ring.reach_back(at(2), at(10), items(&[4, 9])));
        let expected = [GONE, Some((2, 9)), Some((1, 9)), Some((1, 12))];
        assert_eq!([1, 2, 4, 9].map(|position| after(&ring, position)), expected);
        let large = VecDeque::from([(at(2), payload(MAX_SIZE_BYTES))]);
        assert!(!ring.reach_back(at(1), at(2), large), "there is no room");
        assert!(ring.reach_back(at(1), at(2), VecDeque::new()));
        assert_eq!(after(&ring, 1), Some((2, 9)));

        let mut ring = Ring::new(at(1_000), Total::default());
        let many: Vec<i64> = (1..=1_000).collect();
        assert!(ring.reach_back(at(0), at(1_000), items(&many)));
        let (mut position, mut count) = (0, 0);
        while let Some((more, last @ 1..)) = after(&ring, position) {
            (position, count) = (last, count + more);
            assert!(more <= MAX_STRETCH);
        }
        assert_eq!((position, count), (1_000, 1_000));
    }

    #[test]
    fn number_and_size_are_bounded() {
        let total = Total::default();
        let mut ring = Ring::new(at(0), total.clone());
        for position in 1..=MAX_ITEMS as i64 + 3 {
            push(&mut ring, position, 1);
        }
        assert_eq!([2, 3].map(|position| after(&ring, position)), [GONE, Some((1, 4))]);
        for position in 10_000..10_100 {
            push(&mut ring, position, 1 << 20);
            assert!(ring.size_bytes <= MAX_SIZE_BYTES);
        }
        assert_eq!(after(&ring, 10_095), Some((1, 10_096)));
        assert_eq!(total.0.load(Ordering::Relaxed), ring.size_bytes);
        // One that is larger than all of the ring is not kept either, nor what is held back with it.
        ring.push(at(10_999), payload(1));
        push(&mut ring, 11_000, MAX_SIZE_BYTES);
        assert_eq!([10_999, 11_000].map(|position| after(&ring, position)), [GONE, NOTHING]);
        assert_eq!((ring.count, total.0.load(Ordering::Relaxed)), (0, 0));
        push(&mut ring, 11_001, 1);
        assert_eq!(after(&ring, 11_000), Some((1, 11_001)));
    }

    #[test]
    fn half_of_it_can_be_forgotten() {
        let total = Total::default();
        let mut ring = Ring::new(at(0), total.clone());
        (1..=5).for_each(|position| push(&mut ring, position, 10));
        ring.halve();
        assert_eq!([2, 3].map(|position| after(&ring, position)), [GONE, Some((1, 4))]);
        assert_eq!(total.0.load(Ordering::Relaxed), 2 * payload(10).size_bytes());
        // What was rendered together is forgotten together.
        for position in [6, 7] {
            ring.push(at(position), payload(10));
        }
        ring.publish();
        ring.halve();
        assert_eq!([4, 5, 6].map(|position| after(&ring, position)), [GONE, Some((2, 7)), Some((1, 7))]);
        ring.halve();
        assert_eq!([6, 7].map(|position| after(&ring, position)), [GONE, NOTHING]);
        push(&mut ring, 10, 10);
        assert_eq!(total.0.load(Ordering::Relaxed), payload(10).size_bytes());
        drop(ring);
        assert_eq!(total.0.load(Ordering::Relaxed), 0);
    }
}
