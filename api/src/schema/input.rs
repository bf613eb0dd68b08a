//! Mutation inputs → commands of the writer.
//!
//! Values are checked here, so that the writer's thread does not have to; what only the database can tell is added there.
//! All violations of one input come back together.

use serde_json::{Map, Value};

use super::types::names;
use crate::catalog::{Catalog, Datum, Field, FieldId, FieldType, ResourceId};
use crate::store::validate;
use crate::store::writer::{Child, Code, Command, Create, Delete, Update, Violation};

/// A command, and what is already known to be wrong with it.
pub(crate) struct Parsed {
    pub(crate) command: Command,
    pub(crate) violations: Vec<Violation>,
}

/// Reads the input of `createX`.
pub(crate) fn create(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let create = new_row(catalog, resource, input, Vec::new(), &mut violations);
    Parsed { command: Command::Create(create), violations }
}

fn new_row(
    catalog: &Catalog,
    resource_id: ResourceId,
    input: &Map<String, Value>,
    path: Vec<String>,
    violations: &mut Vec<Violation>,
) -> Create {
    let resource = catalog.resource(resource_id);
    let values = values(catalog, resource_id, names::creatable(resource), input, &path, violations);
    let mut children = Vec::new();
    for list in names::owned_lists(catalog, resource_id) {
        let name = &resource.field(list.field).name;
        let rows = input.get(name).and_then(|list| list.get("create")).and_then(Value::as_array);
        for (i, row) in rows.into_iter().flatten().enumerate() {
            let mut path = path.clone();
            path.extend([name.clone(), "create".to_owned(), i.to_string()]);
            let empty = Map::new();
            let input = row.as_object().unwrap_or(&empty);
            children.push(Child { via: list.via, create: new_row(catalog, list.target, input, path, violations) });
        }
    }
    Create { resource: resource_id, values, children, path }
}

/// Reads the input of `updateX`.
pub(crate) fn update(catalog: &Catalog, resource_id: ResourceId, input: &Map<String, Value>) -> Parsed {
    let resource = catalog.resource(resource_id);
    let mut violations = Vec::new();
    let id = row_id(catalog, resource_id, input, &mut violations);
    let empty = Map::new();
    let patch = input.get("patch").and_then(Value::as_object).unwrap_or(&empty);
    let path = ["patch".to_owned()];
    let patch = values(catalog, resource_id, names::patchable(resource), patch, &path, &mut violations);
    let update = Update { resource: resource_id, id, patch, if_version: if_version(input) };
    Parsed { command: Command::Update(update), violations }
}

/// Reads the input of `deleteX`.
pub(crate) fn delete(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let id = row_id(catalog, resource, input, &mut violations);
    Parsed { command: Command::Delete(Delete { resource, id, if_version: if_version(input) }), violations }
}

fn if_version(input: &Map<String, Value>) -> Option<i64> {
    input.get("ifVersion").and_then(Value::as_i64)
}

fn row_id(
    catalog: &Catalog,
    resource: ResourceId,
    input: &Map<String, Value>,
    violations: &mut Vec<Violation>,
) -> uuid::Uuid {
    let id = Datum::parse(catalog, resource, &FieldType::RowId, input.get("id").unwrap_or(&Value::Null));
    id.ok().and_then(|id| id.as_uuid()).unwrap_or_else(|| {
        // An id of something else names no row of this resource.
        let message = format!("There is no such {}.", catalog.resource(resource).name);
        violations.push(Violation::at(&[], "id", Code::NotFound, message));
        uuid::Uuid::nil()
    })
}

fn values<'c>(
    catalog: &'c Catalog,
    resource: ResourceId,
    fields: impl Iterator<Item = (FieldId, &'c Field)>,
    input: &Map<String, Value>,
    path: &[String],
    violations: &mut Vec<Violation>,
) -> Vec<(FieldId, Datum)> {
    let mut values = Vec::new();
    for (id, field) in fields {
        let name = names::column_name(field);
        let Some(value) = input.get(&name) else { continue };
        match Datum::parse(catalog, resource, &field.ty, value) {
            Ok(datum) => {
                validate::value(field, &datum, path, violations);
                values.push((id, datum));
            }
            Err(message) => violations.push(Violation::at(path, &name, Code::Invalid, format!("{name}: {message}."))),
        }
    }
    values
}
