//! An event, as one caller sees it.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use entity::Position;

use super::context::Context;
use super::object::ObjectPlan;
use super::output::{Key, Output};
use crate::auth::rules;
use crate::catalog::{FieldId, Filter, Needs, Operation as RowOperation, ResourceId, datum, type_id};
use crate::database::{Database, Error};
use crate::log::{ChangeKind, Event};
use crate::schema::document::{GraphqlError, Selected};
use crate::schema::types::names::Names;
use crate::store::read::{self, Node, Shape};
use crate::store::{AsOf, EventImages, as_of};

/// How an event moves its row, relative to what a follower sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// It was not there before.
    Entered,
    /// It was there and still is.
    Stayed,
    /// It is there no longer.
    Left,
}

impl Transition {
    fn name(self) -> &'static str {
        match self {
            Self::Entered => "ENTERED",
            Self::Stayed => "STAYED",
            Self::Left => "LEFT",
        }
    }
}

/// How to write down the events of one resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChangePlan {
    resource: ResourceId,
    /// Which rows the follower may see.
    visible: Filter,
    /// Which rows the follower sees: its rights, and its own filter.
    seen: Filter,
    type_name: String,
    fields: Vec<(Key, Field)>,
    /// For `changedFields`: declared fields that the caller may read in some rows only; those that it may read in none hold
    /// `Const(false)`.
    guarded: Vec<(FieldId, Filter)>,
    after: Shape,
    before: Shape,
    /// Whether `position` and `by` are told.
    tells_origin: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    TypeName,
    Id,
    Cursor,
    Kind,
    Type,
    NodeId,
    Version,
    ChangedFields,
    OccurredAt,
    TransactionId,
    Transition,
    Position,
    By,
    After(ObjectPlan),
    Before(ObjectPlan),
}

/// An event with everything that writing it needs.
pub(crate) struct Rendering<'e> {
    event: &'e Event,
    transition: Transition,
    after: Option<Vec<Node>>,
    before: Option<Vec<Node>>,
    changed_fields: Vec<FieldId>,
}

impl ChangePlan {
    /// Plans the events of a resource for a follower with this filter of its own.
    pub(crate) fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        resource_id: ResourceId,
        filter: Filter,
    ) -> Result<Self, GraphqlError> {
        let resource = context.resource(resource_id);
        let type_name = Names::of(resource).change;
        let (mut after, mut before) = (Shape::new(resource_id), Shape::new(resource_id));
        let mut fields = Vec::new();
        for field in context.operation.sub_fields(selected, &type_name) {
            let planned = match field.name {
                "id" => Field::Id,
                "cursor" => Field::Cursor,
                "kind" => Field::Kind,
                "type" => Field::Type,
                "nodeId" => Field::NodeId,
                "version" => Field::Version,
                "changedFields" => Field::ChangedFields,
                "occurredAt" => Field::OccurredAt,
                "transactionId" => Field::TransactionId,
                "transition" => Field::Transition,
                "position" => Field::Position,
                "by" => Field::By,
                "after" => Field::After(ObjectPlan::new(context, &field, &mut after)?),
                "before" => Field::Before(ObjectPlan::snapshot(context, &field, &mut before)?),
                _ => Field::TypeName,
            };
            fields.push((Key::new(field.key), planned));
        }
        fields.shrink_to_fit();
        let tells_changes = fields.iter().any(|(_, field)| matches!(field, Field::ChangedFields));
        let wants_origin = fields.iter().any(|(_, field)| matches!(field, Field::Position | Field::By));
        let guard = |id| rules::field_filter(context.catalog, resource_id, id, RowOperation::Read, context.principal);
        let guarded = resource.columns().map(|(id, field)| match field.private {
            true => (id, Filter::Const(false)),
            false => (id, guard(id)),
        });
        Ok(Self {
            resource: resource_id,
            visible: context.visible(resource_id),
            seen: context.visible(resource_id).and(filter),
            type_name,
            fields,
            // What nobody asks for splits no followers, and needs no related rows.
            guarded: guarded.filter(|(_, filter)| tells_changes && *filter != Filter::Const(true)).collect(),
            after,
            before,
            tells_origin: wants_origin && context.principal.is_admin,
        })
    }

    /// The related rows that must be known.
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        self.seen.add_needs(&mut needs);
        self.guarded.iter().for_each(|(_, filter)| filter.add_needs(&mut needs));
        self.after.add_needs(&mut needs);
        self.before.add_needs(&mut needs);
        needs
    }

    /// Which rows the follower sees.
    pub(crate) fn seen(&self) -> &Filter {
        &self.seen
    }

    /// Whether the columns of the row leave it open that the event is for the follower.
    pub(crate) fn concerns(&self, event: &Event) -> bool {
        let images = [&event.before, &event.after].into_iter().flatten();
        images.into_iter().any(|row| self.seen.decide(row) != Some(false))
    }

    /// The same of equal plans, and hardly ever of others.
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        self.resource.hash(hasher);
        // Filters hold floats and JSON, which do not hash; their texts do.
        let _ = write!(Feed(hasher), "{:?}{:?}", self.seen, self.guarded);
        for (key, field) in &self.fields {
            key.name.hash(hasher);
            std::mem::discriminant(field).hash(hasher);
        }
        (self.after.slots.len(), self.before.slots.len(), self.tells_origin).hash(hasher);
    }

    /// Whether the follower may know of the event at all.
    pub(crate) async fn may_know(&self, as_of: &AsOf, event: &Event) -> Result<bool, Error> {
        may_know(as_of, &self.visible, event).await
    }

    /// What the event is for this follower; `None` if it concerns no row that the follower sees or saw.
    pub(crate) async fn render<'e>(
        &self,
        database: &Database,
        catalog: &crate::catalog::Catalog,
        event: &'e Event,
        images: &EventImages,
    ) -> Result<Option<Rendering<'e>>, Error> {
        let before = images.before.as_ref().filter(|image| self.seen.matches(image));
        let after = images.after.as_ref().filter(|image| self.seen.matches(image));
        let transition = match (before, after) {
            (None, None) => return Ok(None),
            (None, Some(_)) => Transition::Entered,
            (Some(_), Some(_)) => Transition::Stayed,
            (Some(_), None) => Transition::Left,
        };
        // A row that has moved out of sight is not shown any more, neither as it is nor as it was.
        let before = before.filter(|_| transition == Transition::Stayed || event.kind == ChangeKind::Deleted);
        let shown = after.or(before);
        let is_readable = |field: &FieldId| match self.guarded.iter().find(|(id, _)| id == field) {
            Some((_, filter)) => shown.map_or(*filter == Filter::Const(true), |image| filter.matches(image)),
            None => true,
        };
        let after = match after {
            Some(image) => Some(read::from_image(database, catalog, &self.after, image).await?),
            None => None,
        };
        let before = match before {
            Some(image) => Some(read::from_image(database, catalog, &self.before, image).await?),
            None => None,
        };
        let changed_fields = event.changed_fields.iter().copied().filter(is_readable).collect();
        Ok(Some(Rendering { event, transition, after, before, changed_fields }))
    }

    /// Writes an event.
    pub(crate) fn write(&self, rendering: &Rendering<'_>, out: &mut Output<'_>) {
        let event = rendering.event;
        let around: Position = out.position;
        out.position = event.position;
        out.object(&self.fields, |out, field| self.write_field(field, event, rendering, out));
        out.position = around;
    }

    fn write_field(&self, field: &Field, event: &Event, rendering: &Rendering<'_>, out: &mut Output<'_>) {
        let resource = out.catalog.resource(self.resource);
        match field {
            Field::TypeName => out.text(&self.type_name),
            Field::Id => out.text(&type_id::format(Event::PREFIX, event.id.get())),
            Field::Cursor => out.log_cursor(event.position),
            Field::Kind => out.text(event.kind.name()),
            Field::Type => out.text(&resource.name),
            Field::NodeId => out.text(&type_id::format(&resource.prefix, event.row_id)),
            Field::Version => out.number(event.version),
            Field::ChangedFields => out.array(&rendering.changed_fields, |out, id| out.text(&resource.field(*id).name)),
            Field::OccurredAt => out.text(&datum::format_instant(event.at)),
            Field::TransactionId => {
                out.text(&type_id::format(Event::TRANSACTION_PREFIX, event.transaction_id.get()));
            }
            Field::Transition => out.text(rendering.transition.name()),
            Field::Position if self.tells_origin => out.text(&event.position.to_string()),
            Field::By if self.tells_origin => out.optional_text(event.by.as_deref()),
            Field::Position | Field::By => out.null(),
            Field::After(plan) => write_image(plan, rendering.after.as_deref(), out),
            Field::Before(plan) => write_image(plan, rendering.before.as_deref(), out),
        }
    }
}

/// Takes a text into a hash without making it.
struct Feed<'a, H>(&'a mut H);

impl<H: Hasher> fmt::Write for Feed<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Whether a row is visible before or after an event. Rights that hang on more related rows than are read admit nobody.
pub(crate) async fn may_know(as_of: &AsOf, visible: &Filter, event: &Event) -> Result<bool, Error> {
    let mut needs = Needs::default();
    visible.add_needs(&mut needs);
    match as_of.images(event, &needs).await {
        Ok(images) => Ok([&images.before, &images.after].into_iter().flatten().any(|image| visible.matches(image))),
        Err(as_of::Error::TooManyRows) => {
            tracing::warn!(event.position = %event.position, "a rule concerns too many related rows to be judged");
            Ok(false)
        }
        Err(as_of::Error::Database(error)) => Err(error),
    }
}

fn write_image(plan: &ObjectPlan, nodes: Option<&[Node]>, out: &mut Output<'_>) {
    match nodes {
        Some(nodes) => plan.write_image(nodes, out),
        None => out.null(),
    }
}
