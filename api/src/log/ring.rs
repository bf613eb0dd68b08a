//! The newest events, in memory: bounded by their number and by their size.

use std::collections::VecDeque;
use std::sync::Arc;

use entity::Position;

use super::Event;

/// Events that are kept at most; older ones are read from the database.
pub(super) const MAX_EVENTS: usize = 16 * 1024;

/// About how much memory they may take. Rows may be large, so their number alone would bound nothing.
const MAX_SIZE_BYTES: usize = 128 << 20;

/// Events without a gap between their positions.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    size_bytes: usize,
}

impl Ring {
    /// Adds the events that follow; drops the oldest ones as far as the bounds ask for it.
    pub(super) fn extend(&mut self, events: Vec<Arc<Event>>) {
        self.size_bytes += events.iter().map(|event| event.size_bytes()).sum::<usize>();
        self.events.extend(events);
        while self.events.len() > MAX_EVENTS || self.size_bytes > MAX_SIZE_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.size_bytes -= oldest.size_bytes();
        }
    }

    /// The position of the oldest event.
    pub(super) fn first(&self) -> Option<Position> {
        Some(self.events.front()?.position)
    }

    /// Adds older events, as far as there is room. Whether there was any, and they end where the ring begins: at `tail` if
    /// it is empty.
    pub(super) fn reach_back(&mut self, events: Vec<Arc<Event>>, tail: Position) -> bool {
        let before = self.events.len();
        let first = self.first().unwrap_or(tail.next());
        if events.last().is_none_or(|last| last.position.next() != first) {
            return false;
        }
        for event in events.into_iter().rev() {
            if self.events.len() == MAX_EVENTS || self.size_bytes + event.size_bytes() > MAX_SIZE_BYTES {
                break;
            }
            self.size_bytes += event.size_bytes();
            self.events.push_front(event);
        }
        self.events.len() > before
    }

    /// The events after a position, at most `limit`; `None` if some of them are not here any more.
    pub(super) fn after(&self, position: Position, limit: usize) -> Option<Vec<Arc<Event>>> {
        let first = self.events.front()?.position;
        // Positions are gapless, so an event's place in the ring follows from its position.
        let skip = usize::try_from(position.next().get() - first.get()).ok()?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use entity::{EventId, TransactionId};

    use super::*;
    use crate::catalog::{Datum, ResourceId, Row};
    use crate::log::ChangeKind;

    fn events(positions: std::ops::RangeInclusive<i64>, row_bytes: usize) -> Vec<Arc<Event>> {
        let event = |position| Event {
            position: Position::new(position).unwrap(),
            id: EventId::new(),
            transaction_id: TransactionId::new(),
            resource: ResourceId(0),
            row_id: uuid::Uuid::nil(),
            version: 1,
            kind: ChangeKind::Created,
            changed_fields: Vec::new(),
            before: None,
            after: Some(Arc::new(Row(vec![Datum::Text("x".repeat(row_bytes))]))),
            at: 0,
            by: None,
        };
        positions.map(|position| Arc::new(event(position))).collect()
    }

    fn after(ring: &Ring, position: i64, limit: usize) -> Option<Vec<i64>> {
        let events = ring.after(Position::new(position).unwrap(), limit)?;
        Some(events.iter().map(|event| event.position.get()).collect())
    }

    #[test]
    fn gives_what_follows_or_nothing() {
        let mut ring = Ring::default();
        assert_eq!(after(&ring, 4, 10), None);
        ring.extend(events(5..=9, 1));
        assert_eq!(after(&ring, 3, 10), None);
        assert_eq!(after(&ring, 4, 2), Some(vec![5, 6]));
        assert_eq!(after(&ring, 7, 10), Some(vec![8, 9]));
        assert_eq!(after(&ring, 9, 10), Some(vec![]));
    }

    #[test]
    fn it_reaches_back_without_a_gap() {
        let at = |position| Position::new(position).unwrap();
        let mut ring = Ring::default();
        assert!(!ring.reach_back(events(1..=4, 1), at(5)));
        assert!(ring.reach_back(events(3..=5, 1), at(5)));
        assert!(!ring.reach_back(events(4..=4, 1), at(5)) && !ring.reach_back(events(0..=1, 1), at(5)));
        ring.extend(events(6..=7, 1));
        assert!(ring.reach_back(events(1..=2, 1), at(7)));
        assert_eq!(after(&ring, 0, 10), Some(vec![1, 2, 3, 4, 5, 6, 7]));
        // What is newer makes no room for what is older.
        ring.extend(events(8..=MAX_EVENTS as i64 + 3, 1));
        assert!(!ring.reach_back(events(1..=3, 1), at(MAX_EVENTS as i64 + 3)));
    }

    #[test]
    fn the_number_is_bounded() {
        let mut ring = Ring::default();
        ring.extend(events(1..=MAX_EVENTS as i64 + 3, 1));
        assert_eq!(after(&ring, 2, 1), None);
        assert_eq!(after(&ring, 3, 1), Some(vec![4]));
    }

    #[test]
    fn the_size_is_bounded() {
        let mut ring = Ring::default();
        for position in 1..=300 {
            ring.extend(events(position..=position, 1 << 20));
        }
        assert!(ring.size_bytes <= MAX_SIZE_BYTES);
        assert_eq!(after(&ring, 150, 1), None);
        assert_eq!(after(&ring, 290, 1), Some(vec![291]));
        // One that is larger than all of the ring is not kept either.
        ring.extend(events(301..=301, MAX_SIZE_BYTES));
        assert_eq!((after(&ring, 300, 1), ring.size_bytes), (None, 0));
    }
}
