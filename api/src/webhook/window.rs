//! How far a webhook has come: the events that were taken from the log but are not handled yet.
//!
//! Invariant: the durable position of a webhook never passes an event that is neither recorded nor skipped, and its
//! sequence is the number of the last event of this webhook at or before that position. Both follow from the order of
//! the log alone, so events that finish in another order, and crashes in between, cannot renumber anything.

use std::collections::VecDeque;

use entity::Position;

/// Positions whose handling has begun, in log order.
#[derive(Debug)]
pub struct Window {
    /// Events of this webhook that are not all handled: the front is always an unhandled one.
    open: VecDeque<Slot>,
    /// Where everything is handled if nothing is open.
    end: Progress,
}

#[derive(Debug)]
struct Slot {
    position: Position,
    /// What may be made durable once everything before this event is handled.
    before: Progress,
    is_handled: bool,
}

/// A durable point: everything up to `position` is handled, and `sequence` of these events were for the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last handled position.
    pub position: Position,
    /// The number of the last event of this webhook up to there.
    pub sequence: i64,
}

impl Window {
    /// An empty window after this point.
    pub fn new(start: Progress) -> Self {
        Self { open: VecDeque::new(), end: start }
    }

    /// How many events stand between the durable position and the last one taken.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes an event of this webhook. It comes after all that were taken or skipped before.
    pub fn take(&mut self, position: Position, sequence: i64) {
        debug_assert!(position > self.end.position, "events are taken in log order");
        self.open.push_back(Slot { position, before: self.end, is_handled: false });
        self.end = Progress { position, sequence };
    }

    /// Passes over events that are not for this webhook, or that are recorded already.
    pub fn skip_to(&mut self, end: Progress) {
        debug_assert!(end.position >= self.end.position && end.sequence >= self.end.sequence, "the log goes forward");
        self.end = end;
    }

    /// The event at this position is handled: its outcome is recorded, or will be in the same transaction as the
    /// progress that follows from it.
    pub fn handled(&mut self, position: Position) {
        let Ok(index) = self.open.binary_search_by_key(&position, |slot| slot.position) else { return };
        self.open[index].is_handled = true;
        while self.open.front().is_some_and(|slot| slot.is_handled) {
            self.open.pop_front();
        }
    }

    /// How far everything is handled.
    pub fn progress(&self) -> Progress {
        match self.open.front() {
            Some(slot) => slot.before,
            None => self.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(position: i64, sequence: i64) -> Progress {
        Progress { position: Position::new(position).unwrap(), sequence }
    }

    fn take(window: &mut Window, position: i64, sequence: i64) {
        window.take(Position::new(position).unwrap(), sequence);
    }

    fn handled(window: &mut Window, position: i64) -> Progress {
        window.handled(Position::new(position).unwrap());
        window.progress()
    }

    #[test]
    fn progress_waits_for_the_oldest_open_event() {
        let mut window = Window::new(at(10, 3));
        take(&mut window, 11, 4);
        window.skip_to(at(14, 4));
        take(&mut window, 15, 5);
        take(&mut window, 16, 6);
        window.skip_to(at(20, 6));
        assert_eq!(window.progress(), at(10, 3));
        assert_eq!(handled(&mut window, 15), at(10, 3));
        assert_eq!(window.open(), 3);
        assert_eq!(handled(&mut window, 11), at(15, 5));
        assert_eq!(handled(&mut window, 11), at(15, 5));
        assert_eq!(handled(&mut window, 16), at(20, 6));
        window.skip_to(at(30, 6));
        assert_eq!(window.progress(), at(30, 6));
        assert_eq!(window.open(), 0);
    }

    proptest! {
        /// Whatever the order of completion and wherever a crash comes, reading on from the progress numbers every event
        /// as the log does.
        #[test]
        fn progress_numbers_events_as_the_log_does(
            is_mine in prop::collection::vec(any::<bool>(), 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let numbers: Vec<i64> = is_mine.iter().scan(0, |n, mine| { *n += i64::from(*mine); Some(*n) }).collect();
            let mut window = Window::new(at(0, 0));
            let mut open = Vec::new();
            for (i, mine) in is_mine.iter().enumerate() {
                let position = i as i64 + 1;
                if *mine {
                    take(&mut window, position, numbers[i]);
                    open.push(position);
                } else {
                    window.skip_to(at(position, numbers[i]));
                }
            }
            for pick in order {
                if open.is_empty() {
                    break;
                }
                let position = open.swap_remove(pick.index(open.len()));
                let progress = handled(&mut window, position);
                let handled_up_to = open.iter().min().map_or(is_mine.len() as i64, |first| first - 1);
                let expected = if handled_up_to == 0 { 0 } else { numbers[handled_up_to as usize - 1] };
                prop_assert_eq!(progress.sequence, expected);
                prop_assert_eq!(progress.position.get(), handled_up_to);
            }
        }
    }
}
