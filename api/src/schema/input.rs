//! Mutation inputs → commands of the writer.
//!
//! Values are checked here, so that the writer's thread does not have to; what only the database can tell is added there.
//! All violations of one input come back together.

use serde_json::{Map, Value};

use super::types::MAX_ITEMS;
use super::types::names;
use crate::auth::Principal;
use crate::catalog::{Catalog, Datum, Field, FieldId, FieldType, Filter, Resource, ResourceId};
use crate::store::validate;
use crate::store::writer::idempotency::MAX_KEY_LENGTH;
use crate::store::writer::{
    By, Child, Code, Command, Create, CreateMany, Delete, DeleteMany, Key, MAX_ROWS, Matching, Update, UpdateMany,
    Upsert, Violation,
};

/// A command, and what is already known to be wrong with it.
pub(crate) struct Parsed {
    pub(crate) command: Command,
    pub(crate) violations: Vec<Violation>,
}

/// Reads the idempotency key of a mutation, if it has one. `mutation` is its root field.
pub(crate) fn key(principal: &Principal, mutation: &str, input: &Map<String, Value>) -> Result<Option<Key>, Violation> {
    let Some(key) = input.get("idempotencyKey").and_then(Value::as_str) else { return Ok(None) };
    let refused = |code, message: String| Err(Violation::named(&["idempotencyKey"], code, message));
    match key.len() {
        0 => refused(Code::TooShort, "idempotencyKey is empty.".to_owned()),
        1..=MAX_KEY_LENGTH => Ok(Some(Key::new(principal, key, mutation, input))),
        _ => refused(Code::TooLong, format!("idempotencyKey has more than {MAX_KEY_LENGTH} bytes.")),
    }
}

/// Reads new rows, and counts them.
struct Rows<'c> {
    catalog: &'c Catalog,
    /// How many more may be read.
    left: usize,
}

impl<'c> Rows<'c> {
    fn new(catalog: &'c Catalog) -> Self {
        Self { catalog, left: MAX_ROWS }
    }

    /// One row with the rows of its owned lists, up to the limit.
    fn read(&mut self, resource_id: ResourceId, input: Option<&Map<String, Value>>, path: Vec<String>) -> Create {
        self.left = self.left.saturating_sub(1);
        let catalog = self.catalog;
        let resource = catalog.resource(resource_id);
        let mut violations = Vec::new();
        let values = values(catalog, resource_id, names::creatable(resource), input, &path, &mut violations);
        let mut children = Vec::new();
        for list in names::owned_lists(catalog, resource_id) {
            let name = &resource.field(list.field).name;
            let rows =
                input.and_then(|input| input.get(name)).and_then(|list| list.get("create")).and_then(Value::as_array);
            for (i, row) in rows.into_iter().flatten().enumerate() {
                if self.left == 0 {
                    let message = format!("One mutation creates at most {MAX_ROWS} rows.");
                    violations.push(Violation::at(&path, name, Code::TooMany, message));
                    break;
                }
                let mut path = path.clone();
                path.extend([name.clone(), "create".to_owned(), i.to_string()]);
                children.push(Child { via: list.via, create: self.read(list.target, object(Some(row)), path) });
            }
        }
        Create { resource: resource_id, values, children, path, violations }
    }
}

/// Reads the input of `createX`.
pub(crate) fn create(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let create = Rows::new(catalog).read(resource, Some(input), Vec::new());
    Parsed { command: Command::Create(create), violations: Vec::new() }
}

/// Reads the input of `createXs`.
pub(crate) fn create_many(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let given = input.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut items = Vec::new();
    if given.len() > MAX_ITEMS {
        let message = format!("At most {MAX_ITEMS} items are allowed.");
        violations.push(Violation::named(&["items"], Code::TooMany, message));
    } else {
        let mut rows = Rows::new(catalog);
        let path = |i: usize| vec!["items".to_owned(), i.to_string()];
        items.extend(given.iter().enumerate().map(|(i, item)| rows.read(resource, object(Some(item)), path(i))));
    }
    let is_independent = input.get("mode").and_then(Value::as_str) == Some("INDEPENDENT");
    Parsed { command: Command::CreateMany(CreateMany { resource, items, is_independent }), violations }
}

/// Reads the input of `updateX`.
pub(crate) fn update(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let id = row_id(catalog, resource, input, &mut violations);
    let patch = patch(catalog, resource, input, "patch", &mut violations);
    let update = Update { resource, id, patch, if_version: if_version(input) };
    Parsed { command: Command::Update(update), violations }
}

/// Reads the input of `updateXs`. The filter is one that sees only what the caller may see.
pub(crate) fn update_many(
    catalog: &Catalog,
    resource: ResourceId,
    filter: Filter,
    input: &Map<String, Value>,
) -> Parsed {
    let mut violations = Vec::new();
    let at_most = at_most(input, &mut violations);
    let patch = patch(catalog, resource, input, "patch", &mut violations);
    let matching = Matching::new(filter, at_most);
    Parsed { command: Command::UpdateMany(UpdateMany { resource, matching, patch }), violations }
}

/// Reads the input of `deleteX`.
pub(crate) fn delete(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let id = row_id(catalog, resource, input, &mut violations);
    Parsed { command: Command::Delete(Delete { resource, id, if_version: if_version(input) }), violations }
}

/// Reads the input of `deleteXs`. The filter is one that sees only what the caller may see.
pub(crate) fn delete_many(resource: ResourceId, filter: Filter, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let at_most = at_most(input, &mut violations);
    let matching = Matching::new(filter, at_most);
    Parsed { command: Command::DeleteMany(DeleteMany { resource, matching }), violations }
}

/// Reads the input of `upsertX`.
pub(crate) fn upsert(catalog: &Catalog, resource: ResourceId, input: &Map<String, Value>) -> Parsed {
    let mut violations = Vec::new();
    let by = by(catalog, resource, input, &mut violations);
    let mut create = Rows::new(catalog).read(resource, object(input.get("create")), vec!["create".to_owned()]);
    if let Some(by) = by.as_ref().filter(|by| by.is_creatable) {
        agree(catalog.resource(resource), by, &mut create);
    }
    let patch = patch(catalog, resource, input, "update", &mut violations);
    Parsed { command: Command::Upsert(Upsert { resource, by, create, patch }), violations }
}

/// The name of the key that `by` gives a value of, and the value.
pub(crate) fn given_key<'v>(
    catalog: &Catalog,
    resource: ResourceId,
    by: Option<&'v Value>,
) -> Option<(names::ByKey, &'v Value)> {
    let (name, value) = by?.as_object()?.iter().find(|(_, value)| !value.is_null())?;
    let key = names::by_keys(catalog, resource).into_iter().find(|key| key.name == *name)?;
    Some((key, value))
}

fn by(
    catalog: &Catalog,
    resource_id: ResourceId,
    input: &Map<String, Value>,
    violations: &mut Vec<Violation>,
) -> Option<By> {
    let resource = catalog.resource(resource_id);
    let (key, value) = given_key(catalog, resource_id, input.get("by"))?;
    let path = vec!["by".to_owned(), key.name.clone()];
    let count = violations.len();
    let mut values = Vec::with_capacity(key.fields.len());
    for (field, name) in &key.fields {
        let value = if key.input_type.is_some() { value.get(name).unwrap_or(&Value::Null) } else { value };
        let path = if key.input_type.is_some() {
            [path.as_slice(), std::slice::from_ref(name)].concat()
        } else {
            path.clone()
        };
        match Datum::parse(catalog, resource_id, &resource.field(*field).ty, value) {
            // An id of something else names no row of this resource.
            Err(_) if *field == Resource::ID => {
                let message = format!("There is no such {}.", resource.name);
                violations.push(Violation { code: Code::NotFound, message, path });
            }
            Ok(Datum::Null) => {
                violations.push(Violation { code: Code::Required, message: format!("{name} is required."), path });
            }
            Ok(datum) => values.push((*field, datum)),
            Err(message) => {
                violations.push(Violation { code: Code::Invalid, message: format!("{name}: {message}."), path });
            }
        }
    }
    (violations.len() == count).then(|| By { values, is_creatable: names::is_creatable_key(resource, &key), path })
}

/// The row that is made has the key that it was looked for by.
fn agree(resource: &Resource, by: &By, create: &mut Create) {
    for (field, value) in &by.values {
        match create.values.iter().find(|(other, _)| other == field) {
            None => {
                let name = names::column_name(resource.field(*field));
                let path = [create.path.as_slice(), &[name]].concat();
                // A value that could not be read has been reported.
                if create.violations.iter().all(|violation| violation.path != path) {
                    create.values.push((*field, value.clone()));
                }
            }
            Some((_, given)) if given == value => {}
            Some(_) => {
                let name = names::column_name(resource.field(*field));
                let message = format!("{name} is not the same as in by.");
                create.violations.push(Violation::at(&create.path, &name, Code::Invalid, message));
            }
        }
    }
}

fn if_version(input: &Map<String, Value>) -> Option<i64> {
    input.get("ifVersion").and_then(Value::as_i64)
}

/// The most rows that may match; none if the number is not one that is allowed.
fn at_most(input: &Map<String, Value>, violations: &mut Vec<Violation>) -> usize {
    let given = input.get("atMost").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    given.filter(|number| *number <= MAX_ITEMS).unwrap_or_else(|| {
        let message = format!("atMost must be between 0 and {MAX_ITEMS}.");
        violations.push(Violation::named(&["atMost"], Code::OutOfRange, message));
        0
    })
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
        violations.push(Violation::named(&["id"], Code::NotFound, message));
        uuid::Uuid::nil()
    })
}

fn patch(
    catalog: &Catalog,
    resource: ResourceId,
    input: &Map<String, Value>,
    name: &str,
    violations: &mut Vec<Violation>,
) -> Vec<(FieldId, Datum)> {
    let fields = names::patchable(catalog.resource(resource));
    values(catalog, resource, fields, object(input.get(name)), &[name.to_owned()], violations)
}

fn values<'c>(
    catalog: &'c Catalog,
    resource: ResourceId,
    fields: impl Iterator<Item = (FieldId, &'c Field)>,
    input: Option<&Map<String, Value>>,
    path: &[String],
    violations: &mut Vec<Violation>,
) -> Vec<(FieldId, Datum)> {
    let mut values = Vec::new();
    for (id, field) in fields {
        let name = names::column_name(field);
        let Some(value) = input.and_then(|input| input.get(&name)) else { continue };
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

/// The fields of an input object; coercion has seen to it that it is one.
fn object(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}
