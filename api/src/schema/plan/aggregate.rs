//! What a connection says of all rows that match: numbers about them, and groups of them.

use super::connection::page_size;
use super::context::{Context, bad_input};
use super::object::ObjectPlan;
use super::output::{Key, Output};
use crate::catalog::datum::Prefixes;
use crate::catalog::{Datum, FieldId, FieldType, ResourceId, Scalar};
use crate::schema::document::{ErrorCode, GraphqlError, Location, Selected};
use crate::schema::types::aggregates::{Function, Grouper, groupers};
use crate::schema::types::names::Names;
use crate::store::read::{Aggregate, Aggregated, Group, GroupPage, Grouping, Node, Shape, Slot};

/// Keys of one grouping.
const MAX_KEYS: usize = 8;

/// How to write down the numbers about some rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AggregatePlan {
    type_name: String,
    resource: ResourceId,
    fields: Vec<(Key, Field)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    TypeName,
    Count(usize),
    /// Of a group.
    Key(Vec<(Key, KeyField)>),
    /// The numbers of one function.
    Each {
        type_name: String,
        fields: Vec<(Key, Part)>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    TypeName,
    /// The place of a number.
    Number {
        slot: usize,
        field: FieldId,
        location: Location,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum KeyField {
    TypeName(String),
    /// By which the rows are not grouped.
    Absent,
    /// The place of a key, and its type.
    Value {
        place: usize,
        ty: FieldType,
    },
    /// The slot of a row at the other side.
    Object {
        slot: usize,
        plan: ObjectPlan,
    },
}

/// How to write down groups.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupsPlan {
    type_name: String,
    fields: Vec<(Key, PageField)>,
}

#[derive(Debug, Clone, PartialEq)]
enum PageField {
    TypeName,
    Nodes(AggregatePlan),
    HasMore,
}

impl AggregatePlan {
    /// Plans the aggregate of a connection. What must be read for it is added to `aggregates`.
    pub(crate) fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        resource: ResourceId,
        aggregates: &mut Vec<Aggregate>,
    ) -> Result<Self, GraphqlError> {
        let type_name = Names::of(context.resource(resource)).aggregate;
        let no_key = |_: &Selected<'_>| Ok(Field::TypeName);
        let plan = context.within(1, || Self::planned(context, selected, type_name, resource, aggregates, no_key))?;
        context.check_slots(aggregates.len())?;
        Ok(plan)
    }

    fn planned<'d>(
        context: &Context<'d>,
        selected: &Selected<'d>,
        type_name: String,
        resource: ResourceId,
        aggregates: &mut Vec<Aggregate>,
        mut key: impl FnMut(&Selected<'d>) -> Result<Field, GraphqlError>,
    ) -> Result<Self, GraphqlError> {
        let mut fields = Vec::new();
        for field in context.operation.sub_fields(selected, &type_name) {
            let function = Function::ALL.into_iter().find(|function| function.name() == field.name);
            let planned = match (field.name, function) {
                (_, Some(function)) => each(context, &field, resource, function, aggregates)?,
                ("count", _) => Field::Count(place(aggregates, Aggregate::Count)),
                ("key", _) => key(&field)?,
                _ => Field::TypeName,
            };
            fields.push((Key::new(field.key), planned));
        }
        Ok(Self { type_name, resource, fields })
    }

    /// Writes the aggregate of a connection.
    pub(crate) fn write(&self, numbers: &[Aggregated], out: &mut Output<'_>) {
        self.write_with(numbers, None, out);
    }

    fn write_with(&self, numbers: &[Aggregated], group: Option<&Group>, out: &mut Output<'_>) {
        out.object(&self.fields, |out, field| match field {
            Field::TypeName => out.text(&self.type_name),
            Field::Count(slot) => match &numbers[*slot] {
                Some(Datum::Int(count)) => out.number(*count),
                _ => out.number(0),
            },
            Field::Key(fields) => match group {
                Some(group) => self.write_key(fields, group, out),
                None => out.null(),
            },
            Field::Each { type_name, fields } => out.object(fields, |out, part| match part {
                Part::TypeName => out.text(type_name),
                Part::Number { slot, field, location } => self.write_number(&numbers[*slot], *field, *location, out),
            }),
        });
    }

    fn write_number(&self, number: &Aggregated, field: FieldId, location: Location, out: &mut Output<'_>) {
        let field = out.catalog.resource(self.resource).field(field);
        match number {
            Some(datum) => datum.write_json(&field.ty, &Prefixes::new(out.catalog, self.resource), &mut out.bytes),
            None => {
                out.null();
                let message = format!("The sum of {} is beyond the greatest Float.", field.name);
                let error = GraphqlError::new(ErrorCode::BadUserInput, message);
                out.errors.push(error.at(location).with_path(out.path.clone()));
            }
        }
    }

    fn write_key(&self, fields: &[(Key, KeyField)], group: &Group, out: &mut Output<'_>) {
        out.object(fields, |out, field| match field {
            KeyField::TypeName(name) => out.text(name),
            KeyField::Absent => out.null(),
            KeyField::Value { place, ty } => {
                group.keys[*place].write_json(ty, &Prefixes::new(out.catalog, self.resource), &mut out.bytes);
            }
            KeyField::Object { slot, plan } => match &group.nodes[*slot] {
                Node::Object(Some(nodes)) => plan.write(nodes, out),
                _ => out.null(),
            },
        });
    }
}

/// The place of an aggregate; each is there once.
fn place(aggregates: &mut Vec<Aggregate>, aggregate: Aggregate) -> usize {
    aggregates.iter().position(|known| *known == aggregate).unwrap_or_else(|| {
        aggregates.push(aggregate);
        aggregates.len() - 1
    })
}

fn each(
    context: &Context<'_>,
    selected: &Selected<'_>,
    resource_id: ResourceId,
    function: Function,
    aggregates: &mut Vec<Aggregate>,
) -> Result<Field, GraphqlError> {
    let resource = context.resource(resource_id);
    let type_name = function.type_name(&Names::of(resource)).to_owned();
    let mut fields = Vec::new();
    for field in context.operation.sub_fields(selected, &type_name) {
        let part = match resource.find(field.name) {
            None => Part::TypeName,
            Some(id) => {
                context.check_name(resource_id, id).map_err(|error| error.at(field.location()))?;
                let aggregate = match function {
                    Function::Sum => Aggregate::Sum(id),
                    Function::Avg => Aggregate::Avg(id),
                    Function::Min => Aggregate::Min(id),
                    Function::Max => Aggregate::Max(id),
                };
                Part::Number { slot: place(aggregates, aggregate), field: id, location: field.location() }
            }
        };
        fields.push((Key::new(field.key), part));
    }
    Ok(Field::Each { type_name, fields })
}

impl GroupsPlan {
    /// Plans `groupBy`.
    pub(crate) fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        resource_id: ResourceId,
    ) -> Result<(Self, Grouping), GraphqlError> {
        let resource = context.resource(resource_id);
        let names = Names::of(resource);
        let arguments = context.arguments(selected)?;
        let known = groupers(resource);
        let mut by: Vec<&Grouper> = Vec::new();
        for value in arguments.texts("by").unwrap_or_default() {
            let grouper = known.iter().find(|grouper| grouper.value == value);
            by.extend(grouper.filter(|grouper| !by.contains(grouper)));
        }
        if by.is_empty() || by.len() > MAX_KEYS {
            return Err(bad_input(format!("groupBy takes 1 to {MAX_KEYS} values in by.")));
        }
        for grouper in &by {
            context.check_name(resource_id, grouper.key.field)?;
        }
        let (limit, _) = page_size(&arguments)?;
        let mut grouping = Grouping {
            keys: by.iter().map(|grouper| grouper.key).collect(),
            aggregates: Vec::new(),
            shape: Shape::new(resource_id),
            limit,
        };
        let fields = context.within(limit, || {
            let mut fields = Vec::new();
            for field in context.operation.sub_fields(selected, &names.group_page) {
                let planned = match field.name {
                    "nodes" => PageField::Nodes(group(context, &field, &names, &by, &mut grouping)?),
                    "hasMore" => PageField::HasMore,
                    _ => PageField::TypeName,
                };
                fields.push((Key::new(field.key), planned));
            }
            Ok(fields)
        })?;
        context.check_slots(grouping.aggregates.len())?;
        context.check_slots(grouping.keys.len() + grouping.shape.slots.len())?;
        if grouping.aggregates.is_empty() {
            // What is read of a group is never empty.
            grouping.aggregates.push(Aggregate::Count);
        }
        Ok((Self { type_name: names.group_page, fields }, grouping))
    }

    /// Writes groups.
    pub(crate) fn write(&self, page: &GroupPage, out: &mut Output<'_>) {
        out.object(&self.fields, |out, field| match field {
            PageField::TypeName => out.text(&self.type_name),
            PageField::HasMore => out.boolean(page.has_more),
            PageField::Nodes(plan) => {
                out.array(&page.groups, |out, group| plan.write_with(&group.aggregates, Some(group), out));
            }
        });
    }
}

fn group(
    context: &Context<'_>,
    selected: &Selected<'_>,
    names: &Names,
    by: &[&Grouper],
    grouping: &mut Grouping,
) -> Result<AggregatePlan, GraphqlError> {
    let Grouping { aggregates, shape, .. } = grouping;
    let resource = shape.resource;
    let key = |field: &Selected<'_>| Ok(Field::Key(key_fields(context, field, names, by, shape)?));
    AggregatePlan::planned(context, selected, names.group.clone(), resource, aggregates, key)
}

fn key_fields(
    context: &Context<'_>,
    selected: &Selected<'_>,
    names: &Names,
    by: &[&Grouper],
    shape: &mut Shape,
) -> Result<Vec<(Key, KeyField)>, GraphqlError> {
    let resource = context.resource(shape.resource);
    let mut fields = Vec::new();
    for field in context.operation.sub_fields(selected, &names.group_key) {
        let place = by.iter().position(|grouper| grouper.name == field.name);
        let relation = resource.find(field.name).and_then(|id| Some((id, resource.field(id).to_one()?)));
        let is_grouped = |id: FieldId| by.iter().any(|grouper| grouper.key.field == id);
        let planned = match (place, relation) {
            (Some(place), _) => {
                let key = by[place].key;
                let ty = match key.part {
                    None => resource.field(key.field).ty.clone(),
                    Some(_) => FieldType::Scalar(Scalar::Date),
                };
                KeyField::Value { place, ty }
            }
            (None, Some((id, target))) if is_grouped(id) => {
                let mut other = Shape::new(target);
                let plan = ObjectPlan::new(context, &field, &mut other)?;
                let visible = context.visible(target);
                KeyField::Object { slot: shape.push(Slot::ToOne { field: id, visible, shape: other }), plan }
            }
            (None, _) if field.name == "__typename" => KeyField::TypeName(names.group_key.clone()),
            (None, _) => KeyField::Absent,
        };
        fields.push((Key::new(field.key), planned));
    }
    Ok(fields)
}
