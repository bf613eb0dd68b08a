//! The query `changes`: the log, oldest first, as the caller may see it.

use std::collections::HashMap;
use std::sync::Arc;

use entity::Position;

use super::core::{Core, as_of_error, database_error, position_error};
use super::document::{GraphqlError, Selected};
use super::follower::{Wanted, change_plans, expired};
use super::plan::change::may_know;
use super::plan::connection::{PageInfo, PageInfoField, page_info, page_size, write_page_info};
use super::plan::context::{Context, bad_input};
use super::plan::{ChangePlan, Key, Output, Rendering};
use crate::catalog::{Filter, Needs, ResourceId};
use crate::log;

/// Events of the wanted types and kinds that are looked at for one page, to find those that the caller may see. A page may
/// be shorter than asked for when so many have passed; its `endCursor` goes on from there.
const MAX_JUDGED: usize = 2_000;

/// Positions that are passed for one page; the same holds for them.
const MAX_PASSED: i64 = 100_000;

/// Positions of which the database looks for wanted events at once.
const WINDOW: i64 = 10_000;

/// Events read at once.
const BATCH: usize = 500;

type Plans = HashMap<ResourceId, (ChangePlan, Needs)>;

/// How to read and write a page of the log.
pub(crate) struct ChangesPlan {
    after: Option<String>,
    limit: usize,
    wanted: Wanted,
    /// The rows that the caller may see.
    visible: HashMap<ResourceId, Filter>,
    fields: Vec<(Key, Field)>,
}

enum Field {
    TypeName,
    Edges(Vec<(Key, EdgeField)>),
    Nodes(Plans),
    PageInfo(Vec<(Key, PageInfoField)>),
}

enum EdgeField {
    TypeName,
    Cursor,
    Node(Plans),
}

/// The events of a page.
struct Scan {
    found: Vec<Arc<log::Event>>,
    /// The last position that was looked at.
    scanned: Position,
    /// Whether there are more positions, or more events for this caller.
    has_more: bool,
}

impl ChangesPlan {
    pub(crate) fn new(context: &Context<'_>, selected: &Selected<'_>) -> Result<Self, GraphqlError> {
        let arguments = context.arguments(selected)?;
        let wanted = Wanted::parse(context.catalog, &arguments)?;
        let (limit, is_backward) = page_size(&arguments)?;
        if is_backward {
            return Err(bad_input("changes has no last."));
        }
        let fields = context.within(limit, || {
            let mut fields = Vec::new();
            for field in context.operation.sub_fields(selected, "ChangeConnection") {
                let planned = match field.name {
                    "edges" => Field::Edges(edges(context, &field, &wanted)?),
                    "nodes" => Field::Nodes(change_plans(context, &field, &wanted)?),
                    "pageInfo" => Field::PageInfo(page_info(context, &field)),
                    _ => Field::TypeName,
                };
                fields.push((Key::new(field.key), planned));
            }
            Ok(fields)
        })?;
        let visible = wanted.resources().into_iter().map(|resource| (resource, context.visible(resource))).collect();
        let after = arguments.text("after").map(str::to_owned);
        Ok(Self { after, limit: limit as usize, wanted, visible, fields })
    }

    /// Reads the page and writes it.
    pub(crate) async fn run(&self, core: &Core, out: &mut Output<'_>) -> Result<(), GraphqlError> {
        let start = match &self.after {
            Some(cursor) => core.hub.position(cursor).await.map_err(|error| position_error(&error))?,
            None => Position::START,
        };
        // A reader that has just written must find its own events, even if the hub has not read them yet.
        let head = log::read::head(&core.database).await.map_err(|error| database_error(&error))?;
        let Scan { found, scanned, has_more } = self.scan(core, start, head.position).await?;
        let mut rendered: Vec<(&log::Event, HashMap<usize, Rendering<'_>>)> = Vec::with_capacity(found.len());
        for event in &found {
            let mut renderings = HashMap::new();
            for (index, plans) in self.plans().enumerate() {
                if let Some((plan, needs)) = plans.get(&event.resource) {
                    let images = core.as_of.images(event, needs).await.map_err(|error| as_of_error(&error))?;
                    let rendering = plan.render(&core.database, &core.catalog, event, &images).await;
                    if let Some(rendering) = rendering.map_err(|error| database_error(&error))? {
                        renderings.insert(index, rendering);
                    }
                }
            }
            rendered.push((event, renderings));
        }
        let cursor = |position| core.hub.cursor(position);
        let info = PageInfo {
            has_next: has_more,
            has_previous: start > Position::START,
            start_cursor: found.first().map(|event| cursor(event.position)),
            end_cursor: Some(cursor(scanned)),
        };
        self.write(&rendered, &info, out);
        Ok(())
    }

    /// Looks for the events of the page.
    async fn scan(&self, core: &Core, start: Position, head: Position) -> Result<Scan, GraphqlError> {
        let mut scan = Scan { found: Vec::new(), scanned: start, has_more: false };
        let mut judged = 0;
        while scan.scanned < head {
            if judged >= MAX_JUDGED || scan.scanned.get() - start.get() >= MAX_PASSED {
                scan.has_more = true;
                break;
            }
            let until = Position::new(head.get().min(scan.scanned.get() + WINDOW));
            let until = until.map_err(|error| database_error(&error.into()))?;
            let (database, wanted) = (&core.database, self.wanted.kinds());
            let events =
                log::read::matching(database, core.hub.lineage(), wanted, scan.scanned, until, BATCH as u64).await;
            let events = events.map_err(|error| match error {
                log::Error::Expired => expired(),
                log::Error::Database(error) => database_error(&error),
            })?;
            let is_all = events.len() < BATCH;
            for event in events {
                if self.wanted.takes(&event) && self.is_visible(core, &event).await? {
                    if scan.found.len() == self.limit {
                        scan.has_more = true;
                        return Ok(scan);
                    }
                    scan.found.push(Arc::clone(&event));
                }
                scan.scanned = event.position;
                judged += 1;
            }
            if is_all {
                scan.scanned = until;
            }
        }
        Ok(scan)
    }

    /// The plans in the order of [`Self::write`].
    fn plans(&self) -> impl Iterator<Item = &Plans> {
        self.fields.iter().flat_map(|(_, field)| match field {
            Field::Nodes(plans) => vec![plans],
            Field::Edges(fields) => fields
                .iter()
                .filter_map(|(_, field)| match field {
                    EdgeField::Node(plans) => Some(plans),
                    EdgeField::TypeName | EdgeField::Cursor => None,
                })
                .collect(),
            Field::TypeName | Field::PageInfo(_) => Vec::new(),
        })
    }

    async fn is_visible(&self, core: &Core, event: &log::Event) -> Result<bool, GraphqlError> {
        let Some(filter) = self.visible.get(&event.resource) else { return Ok(false) };
        may_know(&core.as_of, filter, event).await.map_err(|error| database_error(&error))
    }

    fn write(&self, events: &[(&log::Event, HashMap<usize, Rendering<'_>>)], info: &PageInfo, out: &mut Output<'_>) {
        let mut index = 0;
        out.object(&self.fields, |out, field| match field {
            Field::TypeName => out.text("ChangeConnection"),
            Field::PageInfo(fields) => write_page_info(fields, info, out),
            Field::Nodes(plans) => {
                let own = index;
                index += 1;
                out.array(events, |out, (event, renderings)| write_change(plans, event, renderings.get(&own), out));
            }
            Field::Edges(fields) => {
                let first = index;
                index += fields.iter().filter(|(_, field)| matches!(field, EdgeField::Node(_))).count();
                out.array(events, |out, (event, renderings)| {
                    let mut own = first;
                    out.object(fields, |out, field| match field {
                        EdgeField::TypeName => out.text("ChangeEdge"),
                        EdgeField::Cursor => out.log_cursor(event.position),
                        EdgeField::Node(plans) => {
                            write_change(plans, event, renderings.get(&own), out);
                            own += 1;
                        }
                    });
                });
            }
        });
    }
}

fn write_change(plans: &Plans, event: &log::Event, rendering: Option<&Rendering<'_>>, out: &mut Output<'_>) {
    match (plans.get(&event.resource), rendering) {
        (Some((plan, _)), Some(rendering)) => plan.write(rendering, out),
        _ => out.null(),
    }
}

fn edges(
    context: &Context<'_>,
    selected: &Selected<'_>,
    wanted: &Wanted,
) -> Result<Vec<(Key, EdgeField)>, GraphqlError> {
    let mut fields = Vec::new();
    for field in context.operation.sub_fields(selected, "ChangeEdge") {
        let planned = match field.name {
            "cursor" => EdgeField::Cursor,
            "node" => EdgeField::Node(change_plans(context, &field, wanted)?),
            _ => EdgeField::TypeName,
        };
        fields.push((Key::new(field.key), planned));
    }
    Ok(fields)
}
