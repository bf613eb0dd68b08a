//! Whether a principal may do something with a row, as the rules of the catalog say.

use std::sync::Arc;

use uuid::Uuid;

use super::lists::Unjudged;
use super::state::State;
use super::violation::{Code, Violation};
use crate::auth::{Principal, rules};
use crate::catalog::{FieldId, Filter, Needs, Operation, Resource, ResourceId, Row};
use crate::database::Error;

impl State<'_> {
    /// Whether the row matches the filter.
    pub(super) async fn matches(
        &mut self,
        resource: ResourceId,
        row: &Arc<Row>,
        filter: &Filter,
    ) -> Result<bool, Error> {
        if let Filter::Const(value) = filter {
            return Ok(*value);
        }
        let mut needs = Needs::default();
        filter.add_needs(&mut needs);
        match self.image(resource, Arc::clone(row), &needs).await {
            Ok(image) => Ok(filter.matches(&image)),
            Err(Unjudged::Database(error)) => Err(error),
            Err(Unjudged::TooManyRows) => {
                tracing::warn!(row.id = %row.id(), "a rule concerns too many related rows to be judged");
                Ok(false)
            }
        }
    }

    /// Whether the principal may do this with the row.
    pub(super) async fn allows(
        &mut self,
        principal: &Principal,
        operation: Operation,
        resource: ResourceId,
        row: &Arc<Row>,
    ) -> Result<bool, Error> {
        let filter = rules::row_filter(self.catalog, resource, operation, principal);
        self.matches(resource, row, &filter).await
    }

    /// Checks the rules of fields that are written; gives those that the principal may not write.
    pub(super) async fn forbidden_fields(
        &mut self,
        principal: &Principal,
        operation: Operation,
        resource: ResourceId,
        row: &Arc<Row>,
        fields: impl Iterator<Item = FieldId>,
    ) -> Result<Vec<FieldId>, Error> {
        let mut forbidden = Vec::new();
        for field in fields {
            let filter = rules::field_filter(self.catalog, resource, field, operation, principal);
            if !self.matches(resource, row, &filter).await? {
                forbidden.push(field);
            }
        }
        Ok(forbidden)
    }

    /// Checks that the row at the other side of a to-one field is there and that the principal may see it.
    pub(super) async fn check_target(
        &mut self,
        principal: &Principal,
        resource: ResourceId,
        field: FieldId,
        id: Uuid,
        path: &[String],
        violations: &mut Vec<Violation>,
    ) -> Result<(), Error> {
        let field = self.catalog.resource(resource).field(field);
        let target = field.to_one().expect("only to-one fields have a target");
        let is_visible = match self.row((target, id), false).await? {
            Some(row) => self.allows(principal, Operation::Read, target, &row).await?,
            None => false,
        };
        if !is_visible {
            let message = format!("There is no such {}.", self.catalog.resource(target).name);
            violations.push(Violation::at(path, &input_name(field), Code::NotFound, message));
        }
        Ok(())
    }

    /// Checks unique keys of a row that is about to be written; those of which `concerned` names no field are left out.
    pub(super) async fn check_keys(
        &mut self,
        resource: ResourceId,
        row: &Row,
        concerned: impl Fn(FieldId) -> bool,
        path: &[String],
        violations: &mut Vec<Violation>,
    ) -> Result<(), Error> {
        let definition = self.catalog.resource(resource);
        for (index, key) in definition.unique_keys.iter().enumerate() {
            if !key.fields.iter().any(|field| concerned(*field)) {
                continue;
            }
            if self.key_owner(resource, index, row).await?.is_some_and(|owner| owner != row.id()) {
                let violation = not_unique(definition, &key.fields, path);
                if !violations.contains(&violation) {
                    violations.push(violation);
                }
            }
        }
        Ok(())
    }
}

/// Another row has the same key. What clients are not shown is not named to them.
fn not_unique(resource: &Resource, key: &[FieldId], path: &[String]) -> Violation {
    let names: Vec<_> = key.iter().map(|id| input_name(resource.field(*id))).collect();
    let message = match key.iter().any(|id| resource.field(*id).private) {
        true => format!("There is such a {} already.", resource.name),
        false => format!("Another {} has this {}.", resource.name, names.join(" and ")),
    };
    match (key, names.as_slice()) {
        ([id], [name]) if is_given(resource.field(*id)) => Violation::at(path, name, Code::NotUnique, message),
        _ => Violation { code: Code::NotUnique, message, path: path.to_vec() },
    }
}

/// Whether clients can give a value for the field, so that it is one of their input.
pub(super) fn is_given(field: &crate::catalog::Field) -> bool {
    !field.private && !field.read_only
}

/// The violations of writing these fields.
pub(super) fn forbid(resource: &Resource, fields: &[FieldId], path: &[String], violations: &mut Vec<Violation>) {
    for field in fields {
        let name = input_name(resource.field(*field));
        let violation = Violation::at(path, &name, Code::Forbidden, "You may not write this field.");
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }
}

/// The name of a field in inputs: `customerId` for the to-one field `customer`.
pub(super) fn input_name(field: &crate::catalog::Field) -> String {
    match field.to_one() {
        Some(_) => format!("{}Id", field.name),
        None => field.name.clone(),
    }
}
