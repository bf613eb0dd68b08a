//! One row of a resource.

use super::connection::ConnectionPlan;
use super::context::Context;
use super::output::{Key, Output};
use crate::auth::rules;
use crate::catalog::datum::Prefixes;
use crate::catalog::{Datum, FieldId, FieldType, Filter, Operation as RowOperation, ResourceId};
use crate::schema::document::{ErrorCode, GraphqlError, Location, PathSegment, Selected};
use crate::schema::types::names;
use crate::store::read::{Node, Shape, Slot};

/// How to write down the slots of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ObjectPlan {
    resource: ResourceId,
    fields: Vec<(Key, Guarded)>,
}

/// A field, and whether the caller may read it in this row.
#[derive(Debug, Clone)]
struct Guarded {
    guard: Guard,
    name: String,
    location: Location,
    value: Value,
}

/// Where a field stands in its document is told with errors alone. Rights that close a field make one, so there places
/// must be the same. An event that is older than a requirement makes one, too, but such events are not live any more.
impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        let Self { guard, name, location, value } = self;
        let is_same_place = *guard == Guard::Open || *location == other.location;
        is_same_place && *guard == other.guard && *name == other.name && *value == other.value
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Guard {
    Open,
    Closed,
    /// The slot of a test.
    Test(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    TypeName(String),
    Column { slot: usize, field: FieldId, is_required: bool },
    ToOne { slot: usize, plan: ObjectPlan, is_required: bool },
    Connection { slot: usize, plan: Box<ConnectionPlan> },
}

impl ObjectPlan {
    /// Plans an object of a resource's type. What must be read for it is added to `shape`, which other plans for the same
    /// row may share.
    pub(crate) fn new(context: &Context<'_>, selected: &Selected<'_>, shape: &mut Shape) -> Result<Self, GraphqlError> {
        let resource_id = shape.resource;
        let resource = context.resource(resource_id);
        let mut fields = Vec::new();
        for field in context.operation.sub_fields(selected, &resource.name) {
            let location = field.location();
            let planned = match resource.find(field.name) {
                None => Guarded::type_name(&resource.name, location),
                Some(id) => {
                    context.check_selection(resource_id, id).map_err(|error| error.at(location))?;
                    let guard = guard(context, shape, id);
                    let value = Self::value(context, &field, shape, id)?;
                    Guarded { guard, name: field.name.to_owned(), location, value }
                }
            };
            fields.push((Key::new(field.key), planned));
        }
        context.check_slots(shape.slots.len())?;
        // The plans of subscriptions are kept.
        fields.shrink_to_fit();
        shape.slots.shrink_to_fit();
        Ok(Self { resource: resource_id, fields })
    }

    fn value(
        context: &Context<'_>,
        field: &Selected<'_>,
        shape: &mut Shape,
        id: FieldId,
    ) -> Result<Value, GraphqlError> {
        Ok(match context.resource(shape.resource).field(id).ty {
            FieldType::ToOne { target, .. } => {
                let mut other = Shape::new(target);
                let plan = Self::new(context, field, &mut other)?;
                let visible = context.visible(target);
                let slot = shape.push(Slot::ToOne { field: id, visible, shape: other });
                let is_required = !names::to_one_is_nullable(context.catalog, shape.resource, id);
                Value::ToOne { slot, plan, is_required }
            }
            FieldType::ToMany { target, via } => {
                let planned = ConnectionPlan::new(context, field, target, Some(via));
                let (plan, list) = planned.map_err(|error| error.or_at(field.location()))?;
                Value::Connection { slot: shape.push(Slot::List(Box::new(list))), plan: Box::new(plan) }
            }
            FieldType::RowId
            | FieldType::Scalar(_)
            | FieldType::Enum(_)
            | FieldType::ScalarList(_)
            | FieldType::EnumList(_) => Value::column(context, shape, id),
        })
    }

    /// Plans a snapshot: the row's own columns, under the names that inputs use.
    pub(crate) fn snapshot(
        context: &Context<'_>,
        selected: &Selected<'_>,
        shape: &mut Shape,
    ) -> Result<Self, GraphqlError> {
        let resource_id = shape.resource;
        let resource = context.resource(resource_id);
        let type_name = names::Names::of(resource).snapshot;
        let mut fields = Vec::new();
        for field in context.operation.sub_fields(selected, &type_name) {
            let location = field.location();
            let column = resource.columns().find(|(_, f)| names::column_name(f) == field.name);
            let planned = match column {
                None => Guarded::type_name(&type_name, location),
                Some((id, _)) => {
                    context.check_selection(resource_id, id).map_err(|error| error.at(location))?;
                    let guard = guard(context, shape, id);
                    let value = Value::column(context, shape, id);
                    Guarded { guard, name: field.name.to_owned(), location, value }
                }
            };
            fields.push((Key::new(field.key), planned));
        }
        context.check_slots(shape.slots.len())?;
        // The plans of subscriptions are kept.
        fields.shrink_to_fit();
        shape.slots.shrink_to_fit();
        Ok(Self { resource: resource_id, fields })
    }

    /// Writes a row of the database, which has all that its type requires.
    pub(crate) fn write(&self, nodes: &[Node], out: &mut Output<'_>) {
        self.write_fields(nodes, false, out);
    }

    /// Writes a row as an event of the log has it. An event that is older than a requirement of the resource file may
    /// lack a value; then, as GraphQL says, the nearest object that may be null is null, with an error at the field.
    pub(crate) fn write_image(&self, nodes: &[Node], out: &mut Output<'_>) {
        match self.missing(nodes) {
            None => self.write_fields(nodes, true, out),
            Some(missing) => {
                out.null();
                let message = format!("This event is older than the requirement of a value for {}.", missing.name);
                let path = out.path.iter().cloned().chain(missing.path.into_iter().rev()).collect();
                out.errors.push(GraphqlError::new(ErrorCode::Internal, message).at(missing.location).with_path(path));
            }
        }
    }

    fn write_fields(&self, nodes: &[Node], is_image: bool, out: &mut Output<'_>) {
        out.object_of(&self.fields, Guarded::is_in_path, |out, field| {
            if field.is_open(nodes) {
                self.write_value(&field.value, nodes, is_image, out)
            } else {
                out.forbidden(&field.name, field.location)
            }
        });
    }

    fn write_value(&self, value: &Value, nodes: &[Node], is_image: bool, out: &mut Output<'_>) {
        match value {
            Value::TypeName(name) => out.text(name),
            Value::Column { slot, field, .. } => {
                let ty = &out.catalog.resource(self.resource).field(*field).ty;
                if let Node::Leaf(datum) = &nodes[*slot] {
                    datum.write_json(ty, &Prefixes::new(out.catalog, self.resource), &mut out.bytes);
                }
            }
            Value::ToOne { slot, plan, .. } => match &nodes[*slot] {
                Node::Object(Some(nodes)) if is_image => plan.write_image(nodes, out),
                Node::Object(Some(nodes)) => plan.write(nodes, out),
                _ => out.null(),
            },
            Value::Connection { slot, plan } => {
                if let Node::Page(page) = &nodes[*slot] {
                    plan.write(page, out);
                }
            }
        }
    }

    /// The first field for which there is no value although its type requires one.
    fn missing(&self, nodes: &[Node]) -> Option<Missing> {
        self.fields.iter().filter(|(_, field)| field.is_open(nodes)).find_map(|(key, field)| {
            let here = || Missing { path: Vec::new(), name: field.name.clone(), location: field.location };
            let mut missing = match &field.value {
                Value::Column { slot, is_required: true, .. } => (nodes[*slot] == Node::Leaf(Datum::Null)).then(here),
                Value::ToOne { slot, plan, is_required: true } => match &nodes[*slot] {
                    Node::Object(Some(nodes)) => plan.missing(nodes),
                    _ => Some(here()),
                },
                Value::TypeName(_) | Value::Column { .. } | Value::ToOne { .. } | Value::Connection { .. } => None,
            }?;
            missing.path.push(PathSegment::Field(key.name.clone()));
            Some(missing)
        })
    }
}

/// A field without the value that its type requires.
struct Missing {
    /// From the field outwards.
    path: Vec<PathSegment>,
    name: String,
    location: Location,
}

impl Value {
    fn column(context: &Context<'_>, shape: &mut Shape, id: FieldId) -> Self {
        let field = context.resource(shape.resource).field(id);
        let is_required = !field.nullable && field.rules.is_none();
        Self::Column { slot: shape.column(id), field: id, is_required }
    }
}

impl Guarded {
    /// Whether the caller may read it in this row.
    fn is_open(&self, nodes: &[Node]) -> bool {
        match self.guard {
            Guard::Open => true,
            Guard::Closed => false,
            Guard::Test(slot) => nodes[slot] == Node::Leaf(Datum::Bool(true)),
        }
    }

    /// Whether there may be an error in it.
    fn is_in_path(&self) -> bool {
        match &self.value {
            Value::TypeName(_) | Value::Column { .. } => self.guard != Guard::Open,
            Value::ToOne { .. } | Value::Connection { .. } => true,
        }
    }

    fn type_name(name: &str, location: Location) -> Self {
        let value = Value::TypeName(name.to_owned());
        Self { guard: Guard::Open, name: "__typename".to_owned(), location, value }
    }
}

fn guard(context: &Context<'_>, shape: &mut Shape, field: FieldId) -> Guard {
    match rules::field_filter(context.catalog, shape.resource, field, RowOperation::Read, context.principal) {
        Filter::Const(true) => Guard::Open,
        Filter::Const(false) => Guard::Closed,
        filter => Guard::Test(shape.push(Slot::Test(filter))),
    }
}
