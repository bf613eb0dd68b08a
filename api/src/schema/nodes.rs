//! `nodes(ids:)`: anything by its ids, in their order, with null where there is nothing for this caller.
//!
//! The ids are sorted by type, and the rows of one resource are one statement. Types without ids in the request cost
//! nothing, and an id that is given twice is read once.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use entity::{DeliveryId, Position, WebhookId};
use futures_util::future::try_join_all;
use serde_json::Value;
use uuid::Uuid;

use super::core::database_error;
use super::document::{GraphqlError, Selected};
use super::plan::connection::MAX_PAGE_SIZE;
use super::plan::context::bad_input;
use super::plan::{Context, ObjectPlan, Output};
use super::tree;
use super::webhooks::{Webhooks, charge_deliveries};
use crate::catalog::filter::Test;
use crate::catalog::{Datum, Filter, Resource, ResourceId, type_id};
use crate::database::Database;
use crate::store::read::{self, List, Node, OrderTerm, Page, Paging, Shape};
use crate::webhook::registry::Delivery;
use crate::webhook::row::Webhook;

/// A root field `nodes`, ready to run.
pub(crate) struct NodesPlan {
    /// What each id means.
    places: Vec<Place>,
    /// The rows, by resource.
    groups: Vec<Group>,
}

/// What an id means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No id of anything.
    Nothing,
    /// A row of the group with this index.
    Row(usize, Uuid),
    Webhook(WebhookId),
    Delivery(DeliveryId),
}

/// The rows of one resource.
struct Group {
    plan: ObjectPlan,
    list: List,
}

impl NodesPlan {
    /// Plans the field.
    ///
    /// # Errors
    /// If there are too many ids, or if they ask for too many rows.
    pub(crate) fn new(context: &Context<'_>, selected: &Selected<'_>) -> Result<Self, GraphqlError> {
        let arguments = context.arguments(selected)?;
        let ids = arguments.texts("ids").unwrap_or_default();
        if ids.len() > MAX_PAGE_SIZE as usize {
            return Err(bad_input(format!("At most {MAX_PAGE_SIZE} ids can be given.")));
        }
        let mut resources = Vec::new();
        let places: Vec<_> = ids.into_iter().map(|id| place(context, &mut resources, id)).collect();
        let groups = resources.into_iter().enumerate();
        let groups = groups.map(|(index, resource)| Group::new(context, selected, resource, &rows(&places, index)));
        let groups = groups.collect::<Result<_, _>>()?;
        let count = |of: fn(&Place) -> bool| u32::try_from(places.iter().filter(|place| of(place)).count());
        if let Ok(webhooks @ 1..) = count(|place| matches!(place, Place::Webhook(_))) {
            context.within(webhooks, || charge_deliveries(context, selected))?;
        }
        if let Ok(deliveries @ 1..) = count(|place| matches!(place, Place::Delivery(_))) {
            context.within(deliveries, || Ok(()))?;
        }
        Ok(Self { places, groups })
    }

    /// Runs it and writes its value.
    pub(crate) async fn run(
        &self,
        webhooks: &Webhooks<'_>,
        database: &Database,
        selected: &Selected<'_>,
        out: &mut Output<'_>,
    ) -> Result<(), GraphqlError> {
        let pages = self.groups.iter().map(|group| read::list(database, out.catalog, &group.list, None));
        let pages = try_join_all(pages).await.map_err(|error| database_error(&error))?;
        let rows: Vec<_> = pages.iter().map(by_id).collect();
        let found_webhooks = webhooks.by_ids(selected, &self.distinct(Place::webhook)).await?;
        let found_deliveries = webhooks.deliveries_by_ids(&self.distinct(Place::delivery)).await?;
        out.array(&self.places, |out, place| match place {
            Place::Nothing => out.null(),
            Place::Row(group, id) => match rows[*group].get(id) {
                Some(nodes) => {
                    out.position = pages[*group].position.unwrap_or(Position::START);
                    self.groups[*group].plan.write(nodes, out);
                }
                None => out.null(),
            },
            Place::Webhook(id) => write_object(webhooks, selected, found_webhooks.get(id), out),
            Place::Delivery(id) => write_object(webhooks, selected, found_deliveries.get(id), out),
        });
        Ok(())
    }

    fn distinct<T: Copy + Eq + Hash>(&self, of: fn(&Place) -> Option<T>) -> Vec<T> {
        let distinct: HashSet<T> = self.places.iter().filter_map(of).collect();
        distinct.into_iter().collect()
    }
}

impl Place {
    fn webhook(&self) -> Option<WebhookId> {
        if let Self::Webhook(id) = self { Some(*id) } else { None }
    }

    fn delivery(&self) -> Option<DeliveryId> {
        if let Self::Delivery(id) = self { Some(*id) } else { None }
    }
}

/// What the id means. Resources get their places in the order in which they are met.
fn place(context: &Context<'_>, resources: &mut Vec<ResourceId>, id: &str) -> Place {
    match type_id::parse(id) {
        None => Place::Nothing,
        Some((Webhook::PREFIX, id)) => Place::Webhook(WebhookId(id)),
        Some((Delivery::PREFIX, id)) => Place::Delivery(DeliveryId(id)),
        Some((prefix, id)) => {
            let Some(resource) = context.catalog.find_prefix(prefix) else { return Place::Nothing };
            let known = resources.iter().position(|known| *known == resource);
            let group = known.unwrap_or_else(|| {
                resources.push(resource);
                resources.len() - 1
            });
            Place::Row(group, id)
        }
    }
}

/// The ids of one group, as often as they are given.
fn rows(places: &[Place], group: usize) -> Vec<Uuid> {
    let of_group = |place: &Place| match place {
        Place::Row(index, id) if *index == group => Some(*id),
        Place::Nothing | Place::Row(..) | Place::Webhook(_) | Place::Delivery(_) => None,
    };
    places.iter().filter_map(of_group).collect()
}

impl Group {
    fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        resource: ResourceId,
        ids: &[Uuid],
    ) -> Result<Self, GraphqlError> {
        let mut shape = Shape::new(resource);
        // Each is written as often as it is given, so it costs as often.
        let limit = u32::try_from(ids.len()).expect("the number of ids is bounded");
        let plan = context.within(limit, || ObjectPlan::new(context, selected, &mut shape))?;
        let distinct: HashSet<Uuid> = ids.iter().copied().collect();
        let by_id = Filter::Field(Resource::ID, Test::In(distinct.into_iter().map(Datum::Uuid).collect()));
        let list = List {
            via: None,
            filter: by_id.and(context.visible(resource)),
            search: None,
            order: vec![OrderTerm {
                through: Vec::new(),
                field: Resource::ID,
                is_descending: false,
                is_nullable: false,
            }],
            paging: Paging { limit, is_backward: false, after: None, before: None },
            shape,
            wants_rows: true,
            wants_total: false,
            wants_cursors: true,
            aggregates: Vec::new(),
            groupings: Vec::new(),
        };
        Ok(Self { plan, list })
    }
}

/// The rows of a page, whose order is that of ids alone.
fn by_id(page: &Page) -> HashMap<Uuid, &Vec<Node>> {
    let rows = page.rows.iter();
    rows.filter_map(|(nodes, keys)| if let Some(Datum::Uuid(id)) = keys.first() { Some((*id, nodes)) } else { None })
        .collect()
}

fn write_object(webhooks: &Webhooks<'_>, selected: &Selected<'_>, value: Option<&Value>, out: &mut Output<'_>) {
    match value {
        Some(value) => tree::write(webhooks.operation, selected, value, out),
        None => out.null(),
    }
}
