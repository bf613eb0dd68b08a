//! Changing a row.

use std::sync::Arc;

use entity::EventId;

use super::command::{Outcome, Update};
use super::create::Author;
use super::rights::{forbid, input_name};
use super::state::State;
use super::violation::{Code, Violation};
use crate::auth::Principal;
use crate::catalog::{Datum, FieldId, Operation, Resource, ResourceId, Row};
use crate::database::Error;
use crate::log::{ChangeKind, NewEvent};

impl State<'_> {
    /// Stages a changed row. `Some` is what to answer at once: the row is not there, or has another version.
    pub(super) async fn update(
        &mut self,
        author: Author<'_>,
        update: &Update,
        violations: &mut Vec<Violation>,
    ) -> Result<Option<Outcome>, Error> {
        let resource_id = update.resource;
        let Some(old) = self.row((resource_id, update.id), true).await? else {
            return Ok(Some(not_found(self.catalog.resource(resource_id))));
        };
        if let Some(refusal) =
            self.refuse_existing(author.principal, Operation::Update, resource_id, &old, update.if_version).await?
        {
            return Ok(Some(refusal));
        }
        self.change(author, resource_id, &old, &update.patch, "patch", violations).await?;
        Ok(None)
    }

    /// Stages a row with a patch, which stands in the input under `name`; adds what is wrong with it to `violations`. That
    /// the principal may change the row as it is has been checked.
    pub(super) async fn change(
        &mut self,
        author: Author<'_>,
        resource_id: ResourceId,
        old: &Arc<Row>,
        patch: &[(FieldId, Datum)],
        name: &str,
        violations: &mut Vec<Violation>,
    ) -> Result<(), Error> {
        let resource = self.catalog.resource(resource_id);
        let new = Arc::new(self.changed_row(resource, old, patch));
        let path = [name.to_owned()];
        let mut found = Vec::new();
        for (field, value) in patch {
            let definition = resource.field(*field);
            let name = input_name(definition);
            if value.is_null() && !definition.nullable {
                found.push(Violation::at(&path, &name, Code::Required, format!("{name} is required.")));
            }
            if let (Some(id), true) = (value.as_uuid(), definition.to_one().is_some())
                && value != old.get(*field)
            {
                self.check_target(author.principal, resource_id, *field, id, &path, &mut found).await?;
            }
        }
        let fields = || patch.iter().map(|(field, _)| *field);
        let mut is_allowed = self.allows(author.principal, Operation::Update, resource_id, &new).await?;
        for row in [old, &new] {
            let forbidden =
                self.forbidden_fields(author.principal, Operation::Update, resource_id, row, fields()).await?;
            forbid(resource, &forbidden, &path, &mut found);
            if !forbidden.is_empty() {
                is_allowed = false;
                break;
            }
        }
        if is_allowed {
            let differs = |field| old.get(field) != new.get(field);
            self.check_keys(resource_id, &new, differs, &path, &mut found).await?;
        } else if found.is_empty() && violations.is_empty() {
            // Whoever may not make the change must not learn which values of unique keys are taken either.
            found.push(Violation::whole(Code::Forbidden, "You may not change the row into this."));
        }
        // Several rows may have the same patch, and the same is wrong with it each time.
        found.retain(|violation| !violations.contains(violation));
        violations.extend(found);
        self.stage_update(author, resource_id, old, new);
        Ok(())
    }

    /// Stages an update and its event.
    pub(super) fn stage_update(&mut self, author: Author<'_>, resource_id: ResourceId, old: &Arc<Row>, new: Arc<Row>) {
        let resource = self.catalog.resource(resource_id);
        let changed = old.changed_fields(&new, resource).into_iter().filter(|id| !resource.is_system(*id)).collect();
        self.stage(resource_id, Some(old), Some(Arc::clone(&new)));
        self.staged.events.push(NewEvent {
            id: EventId::new(),
            transaction_id: author.transaction,
            resource: resource_id,
            kind: ChangeKind::Updated,
            changed_fields: changed,
            before: Some(Arc::clone(old)),
            after: Some(new),
            at: self.now,
            by: author.principal.sub.clone(),
        });
    }

    /// The row with a patch, one version on.
    pub(super) fn changed_row(&self, resource: &Resource, old: &Row, patch: &[(FieldId, Datum)]) -> Row {
        let mut new = old.clone();
        for (field, value) in patch {
            new.set(*field, value.clone());
        }
        new.set(resource.updated_at(), Datum::Instant(self.now));
        new.set(resource.version(), Datum::Int(old.version(resource) + 1));
        new
    }

    /// Why an update or a delete of this row goes no further: the caller may not see it, it has another version, or the
    /// caller may not do this with it.
    pub(super) async fn refuse_existing(
        &mut self,
        principal: &Principal,
        operation: Operation,
        resource_id: ResourceId,
        row: &Arc<Row>,
        if_version: Option<i64>,
    ) -> Result<Option<Outcome>, Error> {
        let resource = self.catalog.resource(resource_id);
        if !self.allows(principal, Operation::Read, resource_id, row).await? {
            return Ok(Some(not_found(resource)));
        }
        if !self.allows(principal, operation, resource_id, row).await? {
            let verb = if operation == Operation::Delete { "delete" } else { "change" };
            let message = format!("You may not {verb} this {}.", resource.name);
            return Ok(Some(Outcome::refused(Violation::whole(Code::Forbidden, message))));
        }
        let version = row.version(resource);
        match if_version {
            Some(expected) if expected != version => Ok(Some(Outcome::Refused {
                violations: vec![Violation::at(
                    &[],
                    "ifVersion",
                    Code::VersionConflict,
                    format!("The {} has version {version}, not {expected}.", resource.name),
                )],
                current: Some(Arc::clone(row)),
            })),
            _ => Ok(None),
        }
    }
}

/// There is no such row, or the caller may not see it.
pub(super) fn not_found(resource: &Resource) -> Outcome {
    let message = format!("There is no such {}.", resource.name);
    Outcome::refused(Violation::named(&["id"], Code::NotFound, message))
}
