//! Removing a row, and what points at it.
//!
//! The database's own cascades would leave no events, so the rows are collected and removed here: the children's events
//! come before the parent's.

use std::collections::HashSet;
use std::sync::Arc;

use entity::EventId;

use super::command::{Code, Delete, Outcome, Violation};
use super::create::By;
use super::state::{BoxFutureLocal, RowKey, State};
use super::update::not_found;
use crate::catalog::{Datum, FieldId, FieldType, OnDelete, Operation, ResourceId, Row};
use crate::database::Error;
use crate::log::{ChangeKind, NewEvent};

/// Rows that one delete may remove or change.
const MAX_ROWS: usize = 10_000;

/// What a delete would do.
#[derive(Default)]
struct Plan {
    /// Rows to remove, children before their parents.
    removed: Vec<(ResourceId, Arc<Row>)>,
    seen: HashSet<RowKey>,
    is_too_large: bool,
}

impl State<'_> {
    /// Stages the removal of a row. Everything before must have been flushed, for rows that point at it are looked up in
    /// the database.
    pub(super) async fn delete(
        &mut self,
        by: By<'_>,
        delete: &Delete,
        violations: &mut Vec<Violation>,
    ) -> Result<Option<Outcome>, Error> {
        let resource_id = delete.resource;
        let resource = self.catalog.resource(resource_id);
        let Some(row) = self.row((resource_id, delete.id), true).await? else {
            return Ok(Some(not_found(resource)));
        };
        if let Some(refusal) =
            self.refuse_existing(by.principal, Operation::Delete, resource_id, &row, delete.if_version).await?
        {
            return Ok(Some(refusal));
        }
        let mut plan = Plan::default();
        self.collect(resource_id, row, &mut plan).await?;
        let detached = self.detach(&mut plan, violations).await?;
        if plan.is_too_large {
            let message = format!("More than {MAX_ROWS} rows belong to this {}.", resource.name);
            violations.push(Violation::at(&[], "id", Code::TooMany, message));
        }
        if !violations.is_empty() {
            return Ok(None);
        }
        for (resource, old, field) in detached {
            // A row may lose several of its foreign keys: each change starts from the one before.
            let old = self.row((resource, old), true).await?;
            let Some(old) = old else { continue };
            let new = self.changed_row(self.catalog.resource(resource), &old, &[(field, Datum::Null)]);
            self.stage_update(by, resource, &old, Arc::new(new));
        }
        for (resource, row) in plan.removed {
            self.stage(resource, Some(&row), None);
            self.staged.events.push(NewEvent {
                id: EventId::new(),
                transaction_id: by.transaction,
                resource,
                kind: ChangeKind::Deleted,
                changed_fields: Vec::new(),
                before: Some(row),
                after: None,
                at: self.now,
                by: by.principal.sub.clone(),
            });
        }
        Ok(None)
    }

    /// The to-one fields that point at rows of this resource.
    fn references(&self, target: ResourceId) -> Vec<(ResourceId, FieldId, OnDelete)> {
        let mut found = Vec::new();
        for (resource_id, resource) in self.catalog.resources() {
            for (field_id, field) in resource.fields() {
                if let FieldType::ToOne { target: to, on_delete } = field.ty
                    && to == target
                {
                    found.push((resource_id, field_id, on_delete));
                }
            }
        }
        found
    }

    /// Adds a row after everything that is removed with it.
    fn collect<'s>(
        &'s mut self,
        resource: ResourceId,
        row: Arc<Row>,
        plan: &'s mut Plan,
    ) -> BoxFutureLocal<'s, Result<(), Error>> {
        Box::pin(async move {
            if !plan.seen.insert((resource, row.id())) || plan.is_too_large {
                return Ok(());
            }
            if plan.seen.len() > MAX_ROWS {
                plan.is_too_large = true;
                return Ok(());
            }
            for (from, via, on_delete) in self.references(resource) {
                if on_delete == OnDelete::Cascade {
                    for child in self.referencing(from, via, row.id(), MAX_ROWS + 1).await? {
                        self.collect(from, child, plan).await?;
                    }
                }
            }
            plan.removed.push((resource, row));
            Ok(())
        })
    }

    /// The rows that stay but lose a foreign key; a violation if some of them must not. They count like those that go.
    async fn detach(
        &mut self,
        plan: &mut Plan,
        violations: &mut Vec<Violation>,
    ) -> Result<Vec<(ResourceId, uuid::Uuid, FieldId)>, Error> {
        let mut detached = Vec::new();
        if plan.is_too_large {
            return Ok(detached);
        }
        for (target, row) in &plan.removed {
            for (from, via, on_delete) in self.references(*target) {
                if on_delete == OnDelete::Cascade {
                    continue;
                }
                let stay: Vec<_> = self
                    .referencing(from, via, row.id(), MAX_ROWS + 1)
                    .await?
                    .into_iter()
                    .filter(|other| !plan.seen.contains(&(from, other.id())))
                    .collect();
                if stay.is_empty() {
                    continue;
                }
                if on_delete == OnDelete::Restrict {
                    let (from, target) = (&self.catalog.resource(from).name, &self.catalog.resource(*target).name);
                    let message = format!("Rows of {from} still belong to this {target}.");
                    violations.push(Violation::at(&[], "id", Code::Referenced, message));
                    return Ok(Vec::new());
                }
                detached.extend(stay.into_iter().map(|other| (from, other.id(), via)));
                if plan.removed.len() + detached.len() > MAX_ROWS {
                    plan.is_too_large = true;
                    return Ok(Vec::new());
                }
            }
        }
        Ok(detached)
    }
}
