//! What a batch is compared with: one thing after the other, in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

/// Fewer keys and rows than jobs, so that nearly every job is in conflict with another one.
const KEYS: u8 = 8;
pub(super) const ROWS: usize = 10;

/// A to-one field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Link {
    Parent,
    Friend,
    Guard,
}

#[derive(Debug, Clone)]
pub(super) enum Op {
    Create {
        key: u8,
    },
    Rename {
        row: usize,
        key: u8,
    },
    Point {
        row: usize,
        link: Link,
        to: Option<usize>,
    },
    Delete {
        row: usize,
    },
    /// Changes the friend of the row with this key, or makes it.
    Upsert {
        key: u8,
        to: Option<usize>,
    },
    CreateMany {
        keys: Vec<u8>,
        is_independent: bool,
    },
    /// Changes the friend of the rows with these keys.
    UpdateMany {
        keys: Vec<u8>,
        to: Option<usize>,
        at_most: usize,
    },
    DeleteMany {
        keys: Vec<u8>,
        at_most: usize,
    },
    Statement {
        is_valid: bool,
    },
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let row = || 0..ROWS;
    let to = || prop::option::of(row());
    let keys = || prop::collection::vec(0..KEYS, 0..4);
    let link = prop::sample::select(vec![Link::Parent, Link::Friend, Link::Guard]);
    prop_oneof![
        4 => (0..KEYS).prop_map(|key| Op::Create { key }),
        4 => (row(), 0..KEYS).prop_map(|(row, key)| Op::Rename { row, key }),
        4 => (row(), link, to()).prop_map(|(row, link, to)| Op::Point { row, link, to }),
        2 => row().prop_map(|row| Op::Delete { row }),
        2 => (0..KEYS, to()).prop_map(|(key, to)| Op::Upsert { key, to }),
        1 => (keys(), any::<bool>()).prop_map(|(keys, is_independent)| Op::CreateMany { keys, is_independent }),
        1 => (keys(), to(), 0..4_usize).prop_map(|(keys, to, at_most)| Op::UpdateMany { keys, to, at_most }),
        1 => (keys(), 0..4_usize).prop_map(|(keys, at_most)| Op::DeleteMany { keys, at_most }),
        1 => prop::bool::weighted(0.8).prop_map(|is_valid| Op::Statement { is_valid }),
    ]
}

pub(super) fn sku(key: u8) -> String {
    format!("K{key}")
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) sku: String,
    pub(super) links: [Option<Uuid>; 3],
    pub(super) version: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model(pub(super) BTreeMap<Uuid, Item>);

impl Model {
    fn owner(&self, sku: &str) -> Option<Uuid> {
        self.0.iter().find(|(_, item)| item.sku == sku).map(|(id, _)| *id)
    }

    fn create(&mut self, key: u8, id: Uuid) -> Option<usize> {
        let sku = sku(key);
        if self.owner(&sku).is_some() {
            return None;
        }
        self.0.insert(id, Item { sku, links: [None; 3], version: 1 });
        Some(1)
    }

    fn update(&mut self, id: Uuid, change: impl FnOnce(&mut Item)) -> Option<usize> {
        let item = self.0.get_mut(&id)?;
        change(item);
        item.version += 1;
        Some(1)
    }

    fn point(&mut self, id: Uuid, link: Link, to: Option<Uuid>) -> Option<usize> {
        if to.is_some_and(|to| !self.0.contains_key(&to)) {
            return None;
        }
        self.update(id, |item| item.links[link as usize] = to)
    }

    /// The rows with these keys, no more than one too many.
    pub(super) fn matching(&self, keys: &[u8], at_most: usize) -> Vec<Uuid> {
        let keys: BTreeSet<_> = keys.iter().map(|key| sku(*key)).collect();
        let matching = self.0.iter().filter(|(_, item)| keys.contains(&item.sku));
        matching.map(|(id, _)| *id).take(at_most + 1).collect()
    }

    /// Those of the rows that were found before and still have one of these keys; `None` if there were too many.
    fn still(&self, found: &[Uuid], keys: &[u8], at_most: usize) -> Option<Vec<Uuid>> {
        let matching = self.matching(keys, usize::MAX - 1);
        let still = found.iter().filter(|id| matching.contains(id)).copied().collect();
        (found.len() <= at_most).then_some(still)
    }

    /// How many events the removal of rows makes; `None` if it is refused.
    fn delete(&mut self, ids: &[Uuid]) -> Option<usize> {
        let mut removed: BTreeSet<Uuid> = ids.iter().copied().collect();
        loop {
            let points = |item: &Item| item.links[Link::Parent as usize].is_some_and(|to| removed.contains(&to));
            let more: Vec<_> =
                self.0.iter().filter(|(id, i)| points(i) && !removed.contains(id)).map(|e| *e.0).collect();
            if more.is_empty() {
                break;
            }
            removed.extend(more);
        }
        let points = |item: &Item, link: Link| item.links[link as usize].is_some_and(|to| removed.contains(&to));
        if self.0.iter().any(|(id, item)| !removed.contains(id) && points(item, Link::Guard)) {
            return None;
        }
        let lonely: Vec<_> =
            self.0.iter().filter(|(id, i)| !removed.contains(id) && points(i, Link::Friend)).map(|e| *e.0).collect();
        for id in &lonely {
            self.update(*id, |item| item.links[Link::Friend as usize] = None);
        }
        self.0.retain(|id, _| !removed.contains(id));
        Some(removed.len() + lonely.len())
    }

    /// How many events the job makes, `None` if it is refused. New rows are given the ids that the writer gave them; those
    /// of a job that it refused have others, so that none takes the place of another one. What matches a filter was found
    /// among the rows of `before`.
    pub(super) fn apply(&mut self, op: &Op, ids: &[Uuid], made: &[Option<Uuid>], before: &Self) -> Option<usize> {
        let new = |i: usize| made.get(i).copied().flatten().unwrap_or_else(Uuid::now_v7);
        match op {
            Op::Statement { .. } => unreachable!("a statement is no mutation"),
            Op::Create { key } => self.create(*key, new(0)),
            Op::Rename { row, key } => {
                let sku = sku(*key);
                if self.owner(&sku).is_some_and(|owner| owner != ids[*row]) {
                    return None;
                }
                self.update(ids[*row], |item| item.sku = sku)
            }
            Op::Point { row, link, to } => self.point(ids[*row], *link, to.map(|to| ids[to])),
            Op::Delete { row } => {
                self.0.get(&ids[*row])?;
                self.delete(&[ids[*row]])
            }
            Op::Upsert { key, to } => match self.owner(&sku(*key)) {
                Some(owner) => self.point(owner, Link::Friend, to.map(|to| ids[to])),
                None => self.create(*key, new(0)),
            },
            Op::CreateMany { keys, is_independent } => {
                let mut after = self.clone();
                let done: Vec<_> = keys.iter().enumerate().map(|(i, key)| after.create(*key, new(i))).collect();
                let count = done.iter().flatten().count();
                let is_refused = if *is_independent { count == 0 && !keys.is_empty() } else { count < keys.len() };
                if is_refused {
                    return None;
                }
                *self = after;
                Some(count)
            }
            Op::UpdateMany { keys, to, at_most } => {
                let found = self.still(&before.matching(keys, *at_most), keys, *at_most)?;
                let mut after = self.clone();
                for id in &found {
                    after.point(*id, Link::Friend, to.map(|to| ids[to]))?;
                }
                *self = after;
                Some(found.len())
            }
            Op::DeleteMany { keys, at_most } => {
                let found = self.still(&before.matching(keys, *at_most), keys, *at_most)?;
                self.delete(&found)
            }
        }
    }
}
