//! Removing rows, and what points at them.
//!
//! The database's own cascades would leave no events, so the rows are collected and removed here: the children's events
//! come before the parent's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entity::EventId;
use uuid::Uuid;

use super::command::{Delete, MAX_ROWS, Outcome};
use super::create::Author;
use super::state::{RowKey, State};
use super::update::not_found;
use super::violation::{Code, Violation};
use crate::catalog::{Datum, FieldId, OnDelete, Operation, ResourceId, Row};
use crate::database::Error;
use crate::log::{ChangeKind, NewEvent};

/// Rows that are removed together.
#[derive(Default)]
struct Family {
    rows: HashMap<RowKey, Arc<Row>>,
    /// Of each row, those that are removed because they point at it.
    children: HashMap<RowKey, Vec<RowKey>>,
}

impl Family {
    /// All of its rows, children before their parents.
    fn ordered(&self, roots: &[RowKey]) -> Vec<(ResourceId, Arc<Row>)> {
        let mut ordered = Vec::with_capacity(self.rows.len());
        let mut seen = HashSet::new();
        // Rows that are begun, and how many of their children are. Not by recursion: a chain may be long.
        let mut begun: Vec<(RowKey, usize)> = Vec::new();
        for root in roots {
            if seen.insert(*root) {
                begun.push((*root, 0));
            }
            while let Some((key, next)) = begun.last_mut() {
                let child = self.children.get(key).and_then(|children| children.get(*next)).copied();
                *next += 1;
                match child {
                    Some(child) if seen.insert(child) => begun.push((child, 0)),
                    Some(_) => {}
                    None => {
                        let row = self.rows.get(key).expect("whatever is begun was collected");
                        ordered.push((key.0, Arc::clone(row)));
                        begun.pop();
                    }
                }
            }
        }
        ordered
    }
}

impl State<'_> {
    /// Stages the removal of a row.
    pub(super) async fn delete(
        &mut self,
        author: Author<'_>,
        delete: &Delete,
        violations: &mut Vec<Violation>,
    ) -> Result<Option<Outcome>, Error> {
        let resource_id = delete.resource;
        let resource = self.catalog.resource(resource_id);
        let Some(row) = self.row((resource_id, delete.id), true).await? else {
            return Ok(Some(not_found(resource)));
        };
        if let Some(refusal) =
            self.refuse_existing(author.principal, Operation::Delete, resource_id, &row, delete.if_version).await?
        {
            return Ok(Some(refusal));
        }
        self.remove(author, resource_id, &[row], &["id"], violations).await?;
        Ok(None)
    }

    /// Stages the removal of rows of one resource, with all that goes with them. `path` is what names them in the input.
    /// Everything before must have been flushed, for rows that point at them are looked up in the database.
    pub(super) async fn remove(
        &mut self,
        author: Author<'_>,
        resource_id: ResourceId,
        roots: &[Arc<Row>],
        path: &[&str],
        violations: &mut Vec<Violation>,
    ) -> Result<(), Error> {
        let too_many = || {
            let message = format!("More than {MAX_ROWS} rows would be removed or changed.");
            Violation::named(path, Code::TooMany, message)
        };
        let Some(family) = self.collect(resource_id, roots).await? else {
            violations.push(too_many());
            return Ok(());
        };
        let Some(detached) = self.detach(&family, path, violations).await? else {
            violations.push(too_many());
            return Ok(());
        };
        if !violations.is_empty() {
            return Ok(());
        }
        for (resource, old, field) in detached {
            // A row may lose several of its foreign keys: each change starts from the one before.
            let old = self.row((resource, old), true).await?;
            let Some(old) = old else { continue };
            let new = self.changed_row(self.catalog.resource(resource), &old, &[(field, Datum::Null)]);
            self.stage_update(author, resource, &old, Arc::new(new));
        }
        let roots: Vec<RowKey> = roots.iter().map(|row| (resource_id, row.id())).collect();
        for (resource, row) in family.ordered(&roots) {
            self.stage(resource, Some(&row), None);
            self.staged.events.push(NewEvent {
                id: EventId::new(),
                transaction_id: author.transaction,
                resource,
                kind: ChangeKind::Deleted,
                changed_fields: Vec::new(),
                before: Some(row),
                after: None,
                at: self.now,
                by: author.principal.sub.clone(),
            });
        }
        Ok(())
    }

    /// The rows and everything that is removed with them, one generation after the other; `None` if it is too much.
    async fn collect(&mut self, resource: ResourceId, roots: &[Arc<Row>]) -> Result<Option<Family>, Error> {
        let mut family = Family::default();
        let mut generation = vec![(resource, Vec::with_capacity(roots.len()))];
        for row in roots {
            family.rows.insert((resource, row.id()), Arc::clone(row));
            generation[0].1.push(row.id());
        }
        while !generation.is_empty() {
            let mut next: Vec<(ResourceId, Vec<Uuid>)> = Vec::new();
            for (target, ids) in generation {
                for (from, via, on_delete) in self.references(target) {
                    if on_delete != OnDelete::Cascade {
                        continue;
                    }
                    for child in self.referencing(from, via, &ids, MAX_ROWS + 1).await? {
                        let key = (from, child.id());
                        let parent = child.get(via).as_uuid().expect("it was found by this foreign key");
                        family.children.entry((target, parent)).or_default().push(key);
                        if family.rows.insert(key, child).is_none() {
                            add(&mut next, from, key.1);
                        }
                    }
                    if family.rows.len() > MAX_ROWS {
                        return Ok(None);
                    }
                }
            }
            generation = next;
        }
        Ok(Some(family))
    }

    /// The rows that stay but lose a foreign key; a violation if some of them must not. They count like those that go;
    /// `None` if it is too much.
    async fn detach(
        &mut self,
        family: &Family,
        path: &[&str],
        violations: &mut Vec<Violation>,
    ) -> Result<Option<Vec<(ResourceId, Uuid, FieldId)>>, Error> {
        let mut removed: Vec<(ResourceId, Vec<Uuid>)> = Vec::new();
        family.rows.keys().for_each(|(resource, id)| add(&mut removed, *resource, *id));
        removed.sort_unstable_by_key(|(resource, _)| *resource);
        let mut detached = Vec::new();
        for (target, ids) in removed {
            for (from, via, on_delete) in self.references(target) {
                if on_delete == OnDelete::Cascade {
                    continue;
                }
                let found = self.referencing(from, via, &ids, MAX_ROWS + 1).await?;
                let stay = found.iter().filter(|other| !family.rows.contains_key(&(from, other.id())));
                let stay: Vec<_> = stay.map(|other| (from, other.id(), via)).collect();
                if on_delete == OnDelete::Restrict && !stay.is_empty() {
                    let (from, target) = (&self.catalog.resource(from).name, &self.catalog.resource(target).name);
                    let message = format!("Rows of {from} still belong to this {target}.");
                    violations.push(Violation::named(path, Code::Referenced, message));
                    return Ok(Some(Vec::new()));
                }
                detached.extend(stay);
                if family.rows.len() + detached.len() > MAX_ROWS {
                    return Ok(None);
                }
            }
        }
        Ok(Some(detached))
    }
}

fn add(groups: &mut Vec<(ResourceId, Vec<Uuid>)>, resource: ResourceId, id: Uuid) {
    match groups.iter_mut().find(|(other, _)| *other == resource) {
        Some((_, ids)) => ids.push(id),
        None => groups.push((resource, vec![id])),
    }
}
