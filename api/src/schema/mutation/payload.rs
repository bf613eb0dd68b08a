//! Payloads of mutations: what is selected of them, what that needs, and how it is written.

use std::sync::Arc;

use crate::catalog::{Datum, Filter, Image, Needs, Resource, ResourceId, Row, type_id};
use crate::log::{ChangeKind, Event};
use crate::schema::core::{Core, as_of_error, database_error};
use crate::schema::document::{GraphqlError, Selected};
use crate::schema::plan::{ChangePlan, Context, Key, ObjectPlan, Output, Rendering};
use crate::store::read::{self, Node, Shape};
use crate::store::writer::Violation;

/// What is selected of a payload.
pub(super) struct PayloadPlan {
    payload_type: String,
    resource: ResourceId,
    fields: Vec<(Key, Field)>,
    /// What is read of each row.
    shape: Shape,
    /// Which rows the caller may see.
    visible: Filter,
    /// The related rows that `shape` and `visible` look at.
    needs: Needs,
    has_objects: bool,
    /// The selections of `change` or `changes`: aliases make several of them.
    changes: Vec<(ChangePlan, Needs)>,
}

enum Field {
    TypeName,
    Object(ObjectPlan),
    Objects(ObjectPlan),
    /// The index of its plan.
    Change(usize),
    Changes(usize),
    DeletedId,
    DeletedIds,
    UserErrors(Vec<(Key, UserErrorField)>),
    ClientMutationId,
}

/// A field of `UserError`.
#[derive(Clone, Copy)]
enum UserErrorField {
    TypeName,
    Code,
    Message,
    Path,
}

/// What a payload is written from.
pub(super) struct Payload<'a> {
    /// The slots of each row; `None` for one that was not written, or that the caller may not see.
    pub(super) objects: Vec<Option<Vec<Node>>>,
    /// For each selection of `change` or `changes`, the events that the caller sees.
    renderings: Vec<Vec<Rendering<'a>>>,
    deleted_ids: Vec<String>,
    violations: &'a [Violation],
    client_mutation_id: Option<&'a str>,
}

impl<'a> Payload<'a> {
    /// Of a mutation that wrote nothing, until rows are added.
    pub(super) fn refused(violations: &'a [Violation], client_mutation_id: Option<&'a str>) -> Self {
        Self { objects: Vec::new(), renderings: Vec::new(), deleted_ids: Vec::new(), violations, client_mutation_id }
    }
}

impl PayloadPlan {
    /// Plans the payload of a mutation of this resource.
    pub(super) fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        resource: ResourceId,
    ) -> Result<Self, GraphqlError> {
        let payload_type = selected.ty().inner_named_type().to_string();
        let mut shape = Shape::new(resource);
        let mut changes = Vec::new();
        let mut has_objects = false;
        let mut fields = Vec::new();
        for field in context.operation.sub_fields(selected, &payload_type) {
            let planned = match field.name {
                "__typename" => Field::TypeName,
                "userErrors" => Field::UserErrors(user_error_fields(context, &field)),
                "clientMutationId" => Field::ClientMutationId,
                name @ ("change" | "changes") => {
                    let plan = ChangePlan::new(context, &field, resource, Filter::Const(true))?;
                    let needs = plan.needs();
                    changes.push((plan, needs));
                    let index = changes.len() - 1;
                    if name == "change" { Field::Change(index) } else { Field::Changes(index) }
                }
                // `deletedProductId`, `product`, and what is called after them in a mutation of many.
                _ if field.ty().inner_named_type() == "ID" => {
                    if field.ty().is_list() {
                        Field::DeletedIds
                    } else {
                        Field::DeletedId
                    }
                }
                _ => {
                    has_objects = true;
                    let plan = ObjectPlan::new(context, &field, &mut shape)?;
                    if field.ty().is_list() { Field::Objects(plan) } else { Field::Object(plan) }
                }
            };
            fields.push((Key::new(field.key), planned));
        }
        let visible = context.visible(resource);
        let mut needs = Needs::default();
        shape.add_needs(&mut needs);
        visible.add_needs(&mut needs);
        Ok(Self { payload_type, resource, fields, shape, visible, needs, has_objects, changes })
    }

    /// Adds a row that was written, as this event left it.
    pub(super) async fn add<'e>(
        &self,
        core: &Core,
        event: &'e Event,
        payload: &mut Payload<'e>,
    ) -> Result<(), GraphqlError> {
        if event.kind == ChangeKind::Deleted {
            let prefix = &core.catalog.resource(self.resource).prefix;
            payload.deleted_ids.push(type_id::format(prefix, event.row_id));
        }
        let object = match &event.after {
            Some(row) if self.has_objects => self.written(core, event, row).await?,
            Some(_) | None => None,
        };
        payload.objects.push(object);
        payload.renderings.resize_with(self.changes.len(), Vec::new);
        for ((plan, needs), renderings) in self.changes.iter().zip(&mut payload.renderings) {
            let images = core.as_of.images(event, needs).await.map_err(|error| as_of_error(&error))?;
            let rendering = plan.render(&core.database, &core.catalog, event, &images).await;
            renderings.extend(rendering.map_err(|error| database_error(&error))?);
        }
        Ok(())
    }

    /// The slots of a row as an event left it, if the caller may see it.
    async fn written(&self, core: &Core, event: &Event, row: &Arc<Row>) -> Result<Option<Vec<Node>>, GraphqlError> {
        let image = core.as_of.image(event.resource, Arc::clone(row), event.position, &self.needs).await;
        let image: Image = image.map_err(|error| as_of_error(&error))?;
        if !self.visible.matches(&image) {
            return Ok(None);
        }
        let nodes = read::from_image(&core.database, &core.catalog, &self.shape, &image).await;
        nodes.map(Some).map_err(|error| database_error(&error))
    }

    /// The slots of a row that was not written, as it is.
    pub(super) async fn current(
        &self,
        core: &Core,
        row: &Arc<Row>,
        out: &mut Output<'_>,
    ) -> Result<Option<Vec<Node>>, GraphqlError> {
        if !self.has_objects {
            return Ok(None);
        }
        if self.needs == Needs::default() && self.shape.is_flat() {
            let image = Image::alone(Arc::clone(row));
            if !self.visible.matches(&image) {
                return Ok(None);
            }
            let nodes = read::from_image(&core.database, &core.catalog, &self.shape, &image).await;
            return nodes.map(Some).map_err(|error| database_error(&error));
        }
        let filter = read::by_values([(Resource::ID, Datum::Uuid(row.id()))]).and(self.visible.clone());
        let found = read::one(&core.database, &core.catalog, &self.shape, &filter).await;
        Ok(found.map_err(|error| database_error(&error))?.map(|(nodes, position)| {
            out.position = position;
            nodes
        }))
    }

    /// Writes it.
    pub(super) fn write(&self, payload: &Payload<'_>, out: &mut Output<'_>) {
        let renderings = |index: usize| payload.renderings.get(index).map(Vec::as_slice).unwrap_or_default();
        out.object(&self.fields, |out, field| match field {
            Field::TypeName => out.text(&self.payload_type),
            Field::Object(plan) => write_object(plan, payload.objects.first().and_then(Option::as_deref), out),
            Field::Objects(plan) => {
                out.array(&payload.objects, |out, nodes| write_object(plan, nodes.as_deref(), out));
            }
            Field::Change(index) => match renderings(*index).first() {
                Some(rendering) => self.changes[*index].0.write(rendering, out),
                None => out.null(),
            },
            Field::Changes(index) => {
                out.array(renderings(*index), |out, rendering| self.changes[*index].0.write(rendering, out));
            }
            Field::DeletedId => out.optional_text(payload.deleted_ids.first().map(String::as_str)),
            Field::DeletedIds => out.array(&payload.deleted_ids, |out, id| out.text(id)),
            Field::UserErrors(fields) => write_user_errors(fields, payload.violations, out),
            Field::ClientMutationId => out.optional_text(payload.client_mutation_id),
        });
    }
}

fn write_object(plan: &ObjectPlan, nodes: Option<&[Node]>, out: &mut Output<'_>) {
    match nodes {
        Some(nodes) => plan.write(nodes, out),
        None => out.null(),
    }
}

fn user_error_fields(context: &Context<'_>, selected: &Selected<'_>) -> Vec<(Key, UserErrorField)> {
    let fields = context.operation.sub_fields(selected, "UserError");
    fields
        .iter()
        .map(|field| {
            let planned = match field.name {
                "code" => UserErrorField::Code,
                "message" => UserErrorField::Message,
                "path" => UserErrorField::Path,
                _ => UserErrorField::TypeName,
            };
            (Key::new(field.key), planned)
        })
        .collect()
}

fn write_user_errors(fields: &[(Key, UserErrorField)], violations: &[Violation], out: &mut Output<'_>) {
    out.array(violations, |out, violation| {
        out.object(fields, |out, field| match field {
            UserErrorField::TypeName => out.text("UserError"),
            UserErrorField::Code => out.text(violation.code.name()),
            UserErrorField::Message => out.text(&violation.message),
            UserErrorField::Path => out.array(&violation.path, |out, name| out.text(name)),
        });
    });
}
