//! Making a row, and the owned rows that are made with it.

use std::sync::Arc;

use entity::{EventId, TransactionId};
use uuid::Uuid;

use super::command::Create;
use super::rights::{forbid, input_name, is_given};
use super::state::{BoxFutureLocal, State};
use super::violation::{Code, Violation};
use crate::auth::{Principal, rules};
use crate::catalog::{Datum, DefaultValue, FieldId, FieldType, Operation, Resource, ResourceId, Row, Scalar};
use crate::database::Error;
use crate::log::{ChangeKind, NewEvent};
use crate::store::validate;

/// The mutation that a row is written by.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) principal: &'a Principal,
    pub(super) transaction: TransactionId,
}

/// The row that a new one is made under.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    /// The to-one field of the new row that points at it.
    via: FieldId,
    id: Uuid,
    /// Whether nothing is wrong with it, nor with the rows above it.
    is_sound: bool,
}

impl State<'_> {
    /// Stages a new row and its children; adds what is wrong with them to `violations`.
    pub(super) fn create<'s>(
        &'s mut self,
        author: Author<'s>,
        create: &'s Create,
        parent: Option<Parent>,
        violations: &'s mut Vec<Violation>,
    ) -> BoxFutureLocal<'s, Result<(), Error>> {
        Box::pin(async move {
            let resource_id = create.resource;
            let mut own = create.violations.clone();
            let (row, filled) = self.new_row(author.principal, create, parent, &mut own).await?;
            let resource = self.catalog.resource(resource_id);
            // Whoever may not make the row must not learn which values of unique keys are taken.
            if self.check_new_values(author.principal, create, parent, &row, &filled, &mut own).await? {
                self.check_keys(resource_id, &row, |_| true, &create.path, &mut own).await?;
            }
            let is_sound = own.is_empty() && parent.is_none_or(|parent| parent.is_sound);
            violations.extend(own);
            let changed = changed_by_creation(resource, &row);
            self.stage(resource_id, None, Some(Arc::clone(&row)));
            self.staged.events.push(NewEvent {
                id: EventId::new(),
                transaction_id: author.transaction,
                resource: resource_id,
                kind: ChangeKind::Created,
                changed_fields: changed,
                before: None,
                after: Some(Arc::clone(&row)),
                at: self.now,
                by: author.principal.sub.clone(),
            });
            for child in &create.children {
                let parent = Parent { via: child.via, id: row.id(), is_sound };
                self.create(author, &child.create, Some(parent), violations).await?;
            }
            Ok(())
        })
    }

    /// The row with what the client gave and with defaults; and the fields that were filled in for the caller.
    async fn new_row(
        &mut self,
        principal: &Principal,
        create: &Create,
        parent: Option<Parent>,
        violations: &mut Vec<Violation>,
    ) -> Result<(Arc<Row>, Vec<FieldId>), Error> {
        let resource = self.catalog.resource(create.resource);
        let mut row = Row(vec![Datum::Null; resource.fields.len()]);
        row.set(Resource::ID, Datum::Uuid(self.make_up_id()));
        row.set(resource.created_at(), Datum::Instant(self.now));
        row.set(resource.updated_at(), Datum::Instant(self.now));
        row.set(resource.version(), Datum::Int(1));
        let mut given: Vec<FieldId> = create.values.iter().map(|(field, _)| *field).collect();
        for (field, value) in &create.values {
            row.set(*field, value.clone());
        }
        if let Some(parent) = parent {
            row.set(parent.via, Datum::Uuid(parent.id));
            given.push(parent.via);
        }
        let mut filled = Vec::new();
        for field in rules::owner_fields(self.catalog, create.resource) {
            if let (false, Some(sub)) = (given.contains(&field), &principal.sub) {
                row.set(field, Datum::Text(sub.clone()));
                filled.push(field);
            }
        }
        for (id, field) in resource.columns() {
            if given.contains(&id) || filled.contains(&id) || resource.is_system(id) {
                continue;
            }
            match &field.default {
                None => {}
                Some(DefaultValue::Literal(value)) => row.set(id, value.clone()),
                Some(DefaultValue::Now) => row.set(id, now(&field.ty, self.now)),
                Some(DefaultValue::Sequence) => {
                    let number = self.next_number(create.resource, id).await?;
                    row.set(id, Datum::Int(number));
                }
                Some(DefaultValue::Claim(path)) => {
                    let claim = principal.claim(path).and_then(|value| value.as_str());
                    // PostgreSQL holds no U+0000.
                    let claim = claim.filter(|text| !text.contains('\0'));
                    match claim {
                        Some(text) => row.set(id, Datum::Text(text.to_owned())),
                        None if field.nullable => {}
                        None => {
                            let message = format!("Your token must have the claim {path}.");
                            violations.push(Violation { code: Code::Forbidden, message, path: create.path.clone() });
                            continue;
                        }
                    }
                    filled.push(id);
                }
            }
        }
        Ok((Arc::new(row), filled))
    }

    /// Adds what is wrong with the row to its `violations`. Gives whether the principal may make it, as far as can be told.
    async fn check_new_values(
        &mut self,
        principal: &Principal,
        create: &Create,
        parent: Option<Parent>,
        row: &Arc<Row>,
        filled: &[FieldId],
        violations: &mut Vec<Violation>,
    ) -> Result<bool, Error> {
        let resource_id = create.resource;
        let resource = self.catalog.resource(resource_id);
        for field in filled {
            check_filled(resource, *field, row, &create.path, violations);
        }
        for (id, field) in resource.columns() {
            if !row.get(id).is_null() || field.nullable {
                continue;
            }
            // A violation about this very field says enough, and one about the token says it for claims.
            let name = input_name(field);
            let is_known = violations.iter().any(|v| v.path.split_last() == Some((&name, &create.path)));
            if is_known || matches!(field.default, Some(DefaultValue::Claim(_))) {
                continue;
            }
            violations.push(if is_given(field) {
                Violation::at(&create.path, &name, Code::Required, format!("{name} is required."))
            } else {
                // What the server fills in, such as the owner, it does not know of this caller.
                may_not_create(resource, &create.path)
            });
        }
        for (field, target) in create.values.iter().filter_map(|(field, value)| Some((*field, value.as_uuid()?))) {
            if resource.field(field).to_one().is_some() && parent.map(|parent| parent.via) != Some(field) {
                self.check_target(principal, resource_id, field, target, &create.path, violations).await?;
            }
        }
        let given = create.values.iter().map(|(field, _)| *field);
        let forbidden = self.forbidden_fields(principal, Operation::Create, resource_id, row, given).await?;
        forbid(resource, &forbidden, &create.path, violations);
        let is_allowed = forbidden.is_empty() && self.allows(principal, Operation::Create, resource_id, row).await?;
        // Without its required values the row cannot be judged, nor by those of the row that it is under.
        if violations.is_empty() && !is_allowed && parent.is_none_or(|parent| parent.is_sound) {
            violations.push(may_not_create(resource, &create.path));
        }
        Ok(is_allowed)
    }
}

fn may_not_create(resource: &Resource, path: &[String]) -> Violation {
    let message = format!("You may not create this {}.", resource.name);
    Violation { code: Code::Forbidden, message, path: path.to_vec() }
}

/// Checks a value that the caller's token gave. A field that clients do not give is not named to them.
fn check_filled(resource: &Resource, id: FieldId, row: &Row, path: &[String], violations: &mut Vec<Violation>) {
    let field = resource.field(id);
    if is_given(field) {
        return validate::value(field, row.get(id), path, violations);
    }
    let mut found = Vec::new();
    validate::value(field, row.get(id), path, &mut found);
    violations.extend(found.into_iter().map(|violation| {
        let message = format!("What your token says of you is not good for a {}.", resource.name);
        Violation { code: violation.code, message, path: path.to_vec() }
    }));
}

fn now(ty: &FieldType, micros: i64) -> Datum {
    match ty {
        FieldType::Scalar(Scalar::Date) => {
            Datum::Text(crate::catalog::datum::format_instant(micros).chars().take("YYYY-MM-DD".len()).collect())
        }
        _ => Datum::Instant(micros),
    }
}

fn changed_by_creation(resource: &Resource, row: &Row) -> Vec<FieldId> {
    resource.columns().map(|(id, _)| id).filter(|id| !resource.is_system(*id) && !row.get(*id).is_null()).collect()
}

/// The unique keys that creations are about to need, for one look-up each.
pub(super) fn preview(resource: ResourceId, create: &Create, catalog: &crate::catalog::Catalog) -> Row {
    let definition = catalog.resource(resource);
    let mut row = Row(vec![Datum::Null; definition.fields.len()]);
    for (field, value) in &create.values {
        row.set(*field, value.clone());
    }
    row
}
