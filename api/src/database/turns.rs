//! Reads of one kind take turns, and those that wait for a turn share it.
//!
//! A few of each kind run at the same time, so that one is on its way while another is being answered. Whoever finds the way
//! free goes at once, with those that came at the same moment; nobody waits for more to come. Those that come meanwhile
//! wait, and whichever ends first takes all of them along. None is ever added to a turn that has begun, so each sees
//! everything that was committed before it came.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

/// How many turns of one kind run at the same time.
const AT_ONCE: usize = 2;

/// The turns of all kinds `K`; what waits is a `W`.
pub(super) struct Turns<K, W> {
    /// Only kinds of which some run.
    groups: Arc<Mutex<HashMap<K, Group<W>>>>,
}

struct Group<W> {
    running: usize,
    waiting: Vec<W>,
}

impl<K, W> Default for Turns<K, W> {
    fn default() -> Self {
        Self { groups: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash, W> Turns<K, W> {
    /// Lets one wait for a turn of its kind. If the way is free, the turn, which the caller has to go through.
    pub(super) fn enter(&self, kind: K, one: W) -> Option<Turn<K, W>> {
        let mut groups = self.groups();
        let group = groups.entry(kind.clone()).or_insert_with(|| Group { running: 0, waiting: Vec::new() });
        group.waiting.push(one);
        if group.running == AT_ONCE {
            return None;
        }
        group.running += 1;
        drop(groups);
        Some(Turn { turns: Self { groups: Arc::clone(&self.groups) }, kind, is_over: false })
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<K, Group<W>>> {
        self.groups.lock().expect("nobody panics while holding the groups")
    }

    fn leave(&self, groups: &mut HashMap<K, Group<W>>, kind: &K) {
        if let Some(group) = groups.get_mut(kind) {
            group.running -= 1;
            if group.running == 0 {
                // Nothing waits here, unless a turn ends by a panic: then those that wait are dropped, which tells them.
                groups.remove(kind);
            }
        }
    }
}

/// A turn that runs. It goes on until nothing waits.
pub(super) struct Turn<K: Clone + Eq + Hash, W> {
    turns: Turns<K, W>,
    kind: K,
    is_over: bool,
}

impl<K: Clone + Eq + Hash, W> Turn<K, W> {
    /// Of which kind.
    pub(super) fn kind(&self) -> &K {
        &self.kind
    }

    /// What waits by now, at most so many. If that is nothing, the turn is over at this moment: what comes later finds the way
    /// free.
    pub(super) fn next(&mut self, most: usize) -> Vec<W> {
        let mut groups = self.turns.groups();
        let Some(group) = groups.get_mut(&self.kind) else { return Vec::new() };
        let rest = group.waiting.split_off(group.waiting.len().min(most));
        let some = std::mem::replace(&mut group.waiting, rest);
        if some.is_empty() && !std::mem::replace(&mut self.is_over, true) {
            self.turns.leave(&mut groups, &self.kind);
        }
        some
    }
}

impl<K: Clone + Eq + Hash, W> Drop for Turn<K, W> {
    fn drop(&mut self) {
        if !self.is_over
            && let Ok(mut groups) = self.turns.groups.lock()
        {
            self.turns.leave(&mut groups, &self.kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_while_turns_run_is_taken_along() {
        let turns = Turns::default();
        let mut first = turns.enter("a", 1).expect("the way is free");
        assert_eq!(first.next(9), [1]);
        let mut second = turns.enter("a", 2).expect("two may run");
        assert_eq!(second.next(9), [2]);
        assert!((3..6).all(|one| turns.enter("a", one).is_none()));
        assert!(turns.enter("b", 9).is_some(), "another kind does not wait");
        assert_eq!(second.next(2), [3, 4]);
        assert_eq!((first.next(9), first.next(9)), (vec![5], vec![]));
        assert!(turns.enter("a", 6).is_some_and(|mut third| third.next(9) == [6]));
        assert_eq!(second.next(9), Vec::<i32>::new());
        assert!(turns.groups().is_empty());
    }

    #[test]
    fn a_turn_that_is_dropped_makes_room() {
        let turns = Turns::default();
        let (first, second) = (turns.enter("a", 1), turns.enter("a", 2));
        assert!(turns.enter("a", 3).is_none());
        drop(first);
        let mut third = turns.enter("a", 4).expect("there is room again");
        assert_eq!(third.next(9), [1, 2, 3, 4]);
        drop((second, third));
        assert!(turns.groups().is_empty());
    }
}
