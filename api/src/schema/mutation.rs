//! The mutations of resources: an input, a command, an outcome, a payload.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::core::{Core, as_of_error, database_error, writer_error};
use super::document::{GraphqlError, Selected};
use super::input;
use super::plan::{ChangePlan, Context, Key, ObjectPlan, Output, Rendering};
use super::types::names::Names;
use crate::auth::Principal;
use crate::catalog::{Catalog, Datum, Filter, Image, Needs, Resource, ResourceId, Row, type_id};
use crate::log::Event;
use crate::store::read::{self, Node, Shape};
use crate::store::writer::{Mutation, Outcome, Violation};

/// What a mutation does with its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Delete,
}

/// A mutation, ready to run.
pub(crate) struct MutationPlan {
    verb: Verb,
    resource: ResourceId,
    payload_type: String,
    input: Map<String, Value>,
    fields: Vec<(Key, Field)>,
    shape: Shape,
    visible: Filter,
    change: Option<(ChangePlan, Needs)>,
}

enum Field {
    TypeName,
    Object(ObjectPlan),
    Change,
    DeletedId,
    UserErrors(Vec<(Key, UserErrorField)>),
    ClientMutationId,
}

/// A field of `UserError`.
#[derive(Clone, Copy)]
pub(crate) enum UserErrorField {
    TypeName,
    Code,
    Message,
    Path,
}

/// What the payload is written from.
struct Payload<'a> {
    object: Option<Vec<Node>>,
    rendering: Option<Rendering<'a>>,
    deleted_id: Option<String>,
    violations: &'a [Violation],
    client_mutation_id: Option<&'a str>,
}

impl MutationPlan {
    /// Plans a mutation of a resource; `None` if the field is none.
    pub(crate) fn new(context: &Context<'_>, selected: &Selected<'_>) -> Result<Option<Self>, GraphqlError> {
        let Some((verb, resource)) = find(context.catalog, selected.name) else { return Ok(None) };
        let names = Names::of(context.resource(resource));
        let payload_type = match verb {
            Verb::Create => names.create_payload,
            Verb::Update => names.update_payload,
            Verb::Delete => names.delete_payload,
        };
        let mut arguments = context.arguments(selected)?;
        let input = match arguments.0.remove("input") {
            Some(Value::Object(input)) => input,
            _ => Map::new(),
        };
        let mut shape = Shape::new(resource);
        let mut change = None;
        let mut fields = Vec::new();
        for field in context.operation.sub_fields(selected, &payload_type) {
            let planned = match field.name {
                "__typename" => Field::TypeName,
                "userErrors" => Field::UserErrors(user_error_fields(context, &field)),
                "clientMutationId" => Field::ClientMutationId,
                "change" => {
                    let plan = ChangePlan::new(context, &field, resource, Filter::Const(true))?;
                    let needs = plan.needs();
                    change = Some((plan, needs));
                    Field::Change
                }
                name if name == names.deleted_id_field => Field::DeletedId,
                _ => Field::Object(ObjectPlan::new(context, &field, &mut shape)?),
            };
            fields.push((Key::new(field.key), planned));
        }
        let visible = context.visible(resource);
        Ok(Some(Self { verb, resource, payload_type, input, fields, shape, visible, change }))
    }

    /// Runs it and writes its payload.
    pub(crate) async fn run(
        &self,
        core: &Core,
        principal: &Arc<Principal>,
        out: &mut Output<'_>,
    ) -> Result<(), GraphqlError> {
        let parsed = match self.verb {
            Verb::Create => input::create(&core.catalog, self.resource, &self.input),
            Verb::Update => input::update(&core.catalog, self.resource, &self.input),
            Verb::Delete => input::delete(&core.catalog, self.resource, &self.input),
        };
        let mutation =
            Mutation { principal: Arc::clone(principal), command: parsed.command, violations: parsed.violations };
        let outcome = core.writer.mutate(mutation).await.map_err(|error| writer_error(&error))?;
        let mut payload = Payload {
            object: None,
            rendering: None,
            deleted_id: None,
            violations: &[],
            client_mutation_id: self.input.get("clientMutationId").and_then(Value::as_str),
        };
        match &outcome {
            Outcome::Done { events, main } => {
                let event = &events[*main];
                if self.verb == Verb::Delete {
                    let prefix = &core.catalog.resource(self.resource).prefix;
                    payload.deleted_id = Some(type_id::format(prefix, event.row_id));
                } else if let Some(row) = &event.after {
                    payload.object = self.object(core, row, out).await?;
                }
                payload.rendering = self.rendering(core, event).await?;
                self.write(&payload, out);
            }
            Outcome::Refused { violations, current } => {
                payload.violations = violations;
                if let Some(row) = current {
                    payload.object = self.object(core, row, out).await?;
                }
                self.write(&payload, out);
            }
        }
        Ok(())
    }

    /// The slots of the payload's object. A flat one is taken from the row that was written; what leads to other rows is
    /// read.
    async fn object(
        &self,
        core: &Core,
        row: &Arc<Row>,
        out: &mut Output<'_>,
    ) -> Result<Option<Vec<Node>>, GraphqlError> {
        if !self.fields.iter().any(|(_, field)| matches!(field, Field::Object(_))) {
            return Ok(None);
        }
        if self.shape.is_flat()
            && let Filter::Const(is_visible) = self.visible
        {
            let image = Image::alone(Arc::clone(row));
            let nodes = read::from_image(&core.database, &core.catalog, &self.shape, &image).await;
            return Ok(Some(nodes.map_err(|error| database_error(&error))?).filter(|_| is_visible));
        }
        let filter = read::by_values([(Resource::ID, Datum::Uuid(row.id()))]).and(self.visible.clone());
        let found = read::one(&core.database, &core.catalog, &self.shape, &filter).await;
        Ok(found.map_err(|error| database_error(&error))?.map(|(nodes, position)| {
            out.position = position;
            nodes
        }))
    }

    async fn rendering<'e>(&self, core: &Core, event: &'e Event) -> Result<Option<Rendering<'e>>, GraphqlError> {
        let Some((plan, needs)) = &self.change else { return Ok(None) };
        let images = core.as_of.images(event, needs).await.map_err(|error| as_of_error(&error))?;
        plan.render(&core.database, &core.catalog, event, &images).await.map_err(|error| database_error(&error))
    }

    fn write(&self, payload: &Payload<'_>, out: &mut Output<'_>) {
        out.object(&self.fields, |out, field| match field {
            Field::TypeName => out.text(&self.payload_type),
            Field::Object(plan) => match &payload.object {
                Some(nodes) => plan.write(nodes, out),
                None => out.null(),
            },
            Field::Change => match (&self.change, &payload.rendering) {
                (Some((plan, _)), Some(rendering)) => plan.write(rendering, out),
                _ => out.null(),
            },
            Field::DeletedId => out.optional_text(payload.deleted_id.as_deref()),
            Field::UserErrors(fields) => write_user_errors(fields, payload.violations, out),
            Field::ClientMutationId => out.optional_text(payload.client_mutation_id),
        });
    }
}

fn find(catalog: &Catalog, field: &str) -> Option<(Verb, ResourceId)> {
    let verbs = [("create", Verb::Create), ("update", Verb::Update), ("delete", Verb::Delete)];
    let (verb, name) = verbs.into_iter().find_map(|(prefix, verb)| Some((verb, field.strip_prefix(prefix)?)))?;
    let resource = catalog.find(name).filter(|id| catalog.resource(*id).root)?;
    Some((verb, resource))
}

/// Plans `userErrors`.
pub(crate) fn user_error_fields(context: &Context<'_>, selected: &Selected<'_>) -> Vec<(Key, UserErrorField)> {
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

/// Writes `userErrors`.
pub(crate) fn write_user_errors(fields: &[(Key, UserErrorField)], violations: &[Violation], out: &mut Output<'_>) {
    out.array(violations, |out, violation| {
        out.object(fields, |out, field| match field {
            UserErrorField::TypeName => out.text("UserError"),
            UserErrorField::Code => out.text(violation.code.name()),
            UserErrorField::Message => out.text(&violation.message),
            UserErrorField::Path => out.array(&violation.path, |out, name| out.text(name)),
        });
    });
}
