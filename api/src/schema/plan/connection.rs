//! A page of rows, as a Relay connection.

use super::aggregate::{AggregatePlan, GroupsPlan};
use super::context::{Arguments, Context, bad_input};
use super::object::ObjectPlan;
use super::output::{Key, Output};
use super::{cursor, filter, order, search};
use crate::catalog::{Catalog, Datum, FieldId, ResourceId};
use crate::schema::document::{ErrorCode, GraphqlError, Selected};
use crate::schema::types::names::Names;
use crate::store::read::{List, Node, OrderTerm, Page, Paging, Shape, Summary};

/// Rows of a page if the client does not say.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// Most rows of a page.
pub(crate) const MAX_PAGE_SIZE: u32 = 1000;

/// How to write down a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConnectionPlan {
    type_name: String,
    edge_type_name: String,
    fields: Vec<(Key, Field)>,
    resource: ResourceId,
    order: Vec<OrderTerm>,
    is_backward: bool,
    has_after: bool,
    has_before: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    TypeName,
    Edges(Vec<(Key, EdgeField)>),
    Nodes(ObjectPlan),
    PageInfo(Vec<(Key, PageInfoField)>),
    TotalCount,
    AsOf,
    Aggregate(AggregatePlan),
    /// The place of a grouping.
    Groups(usize, GroupsPlan),
}

#[derive(Debug, Clone, PartialEq)]
enum EdgeField {
    TypeName,
    Cursor,
    Node(ObjectPlan),
}

/// A field of `PageInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageInfoField {
    TypeName,
    HasNextPage,
    HasPreviousPage,
    StartCursor,
    EndCursor,
}

/// What `PageInfo` says.
pub(crate) struct PageInfo {
    pub(crate) has_next: bool,
    pub(crate) has_previous: bool,
    pub(crate) start_cursor: Option<String>,
    pub(crate) end_cursor: Option<String>,
}

impl Field {
    /// Whether it shows cursors of rows.
    fn has_cursors(&self) -> bool {
        match self {
            Self::Edges(fields) => fields.iter().any(|(_, field)| matches!(field, EdgeField::Cursor)),
            Self::PageInfo(fields) => {
                fields.iter().any(|(_, field)| matches!(field, PageInfoField::StartCursor | PageInfoField::EndCursor))
            }
            Self::TypeName | Self::Nodes(_) | Self::TotalCount | Self::AsOf | Self::Aggregate(_) | Self::Groups(..) => {
                false
            }
        }
    }
}

impl ConnectionPlan {
    /// Plans a connection of a resource's rows: all of them, or those whose field `via` points at the row around.
    pub(crate) fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        resource_id: ResourceId,
        via: Option<FieldId>,
    ) -> Result<(Self, List), GraphqlError> {
        let arguments = context.arguments(selected)?;
        let names = Names::of(context.resource(resource_id));
        let order = order::parse(context, resource_id, arguments.get("orderBy"))?;
        let paging = paging(context.catalog, resource_id, &order, &arguments)?;
        let client_filter = filter::parse(context, resource_id, arguments.get("filter"))?;
        let search = search::parse(context, resource_id, &arguments)?;
        let mut shape = Shape::new(resource_id);
        let (mut wants_total, mut wants_cursors) = (false, false);
        let (mut aggregates, mut groupings) = (Vec::new(), Vec::new());
        let selection = context.operation.sub_fields(selected, &names.connection);
        let wants_rows = selection.iter().any(|field| matches!(field.name, "edges" | "nodes" | "pageInfo"));
        if wants_rows {
            context.charge(paging.limit)?;
        }
        let mut fields = Vec::new();
        for field in selection {
            let planned = match field.name {
                "edges" => Field::Edges(context.inside(paging.limit, || edges(context, &field, &names, &mut shape))?),
                "nodes" => Field::Nodes(context.inside(paging.limit, || ObjectPlan::new(context, &field, &mut shape))?),
                "pageInfo" => Field::PageInfo(page_info(context, &field)),
                "totalCount" => {
                    wants_total = true;
                    Field::TotalCount
                }
                "asOf" => Field::AsOf,
                "aggregate" => Field::Aggregate(AggregatePlan::new(context, &field, resource_id, &mut aggregates)?),
                "groupBy" => {
                    let (plan, grouping) = GroupsPlan::new(context, &field, resource_id)?;
                    groupings.push(grouping);
                    Field::Groups(groupings.len() - 1, plan)
                }
                _ => Field::TypeName,
            };
            wants_cursors |= planned.has_cursors();
            fields.push((Key::new(field.key), planned));
        }
        let plan = Self {
            type_name: names.connection,
            edge_type_name: names.edge,
            fields,
            resource: resource_id,
            order: order.clone(),
            is_backward: paging.is_backward,
            has_after: paging.after.is_some(),
            has_before: paging.before.is_some(),
        };
        let filter = context.visible(resource_id).and(client_filter);
        Ok((
            plan,
            List {
                via,
                filter,
                search,
                order,
                paging,
                shape,
                wants_rows,
                wants_total,
                wants_cursors,
                aggregates,
                groupings,
            },
        ))
    }

    /// Writes a page.
    pub(crate) fn write(&self, page: &Page, out: &mut Output<'_>) {
        let around = out.position;
        out.position = page.position.unwrap_or(around);
        let no_summary = Summary::default();
        let summary = page.summary.as_deref().unwrap_or(&no_summary);
        out.object(&self.fields, |out, field| match field {
            Field::TypeName => out.text(&self.type_name),
            Field::Edges(fields) => out.array(&page.rows, |out, row| self.write_edge(fields, row, out)),
            Field::Nodes(plan) => out.array(&page.rows, |out, (nodes, _)| plan.write(nodes, out)),
            Field::PageInfo(fields) => write_page_info(fields, &self.page_info(page, out.catalog), out),
            Field::TotalCount => out.number(page.total.unwrap_or_default()),
            Field::AsOf => out.log_cursor(out.position),
            Field::Aggregate(plan) => plan.write(&summary.aggregates, out),
            Field::Groups(place, plan) => plan.write(&summary.groups[*place], out),
        });
        out.position = around;
    }

    fn write_edge(&self, fields: &[(Key, EdgeField)], row: &(Vec<Node>, Vec<Datum>), out: &mut Output<'_>) {
        let (nodes, keys) = row;
        out.object(fields, |out, field| match field {
            EdgeField::TypeName => out.text(&self.edge_type_name),
            EdgeField::Cursor => {
                let cursor = cursor::encode(out.catalog, self.resource, &self.order, keys);
                out.text(&cursor);
            }
            EdgeField::Node(plan) => plan.write(nodes, out),
        });
    }

    fn page_info(&self, page: &Page, catalog: &Catalog) -> PageInfo {
        let cursor = |row: &(Vec<Node>, Vec<Datum>)| cursor::encode(catalog, self.resource, &self.order, &row.1);
        PageInfo {
            has_next: if self.is_backward { self.has_before } else { page.has_more },
            has_previous: if self.is_backward { page.has_more } else { self.has_after },
            start_cursor: page.rows.first().map(cursor),
            end_cursor: page.rows.last().map(cursor),
        }
    }
}

fn edges(
    context: &Context<'_>,
    selected: &Selected<'_>,
    names: &Names,
    shape: &mut Shape,
) -> Result<Vec<(Key, EdgeField)>, GraphqlError> {
    let mut fields = Vec::new();
    for field in context.operation.sub_fields(selected, &names.edge) {
        let planned = match field.name {
            "cursor" => EdgeField::Cursor,
            "node" => EdgeField::Node(ObjectPlan::new(context, &field, shape)?),
            _ => EdgeField::TypeName,
        };
        fields.push((Key::new(field.key), planned));
    }
    Ok(fields)
}

/// Plans `pageInfo`.
pub(crate) fn page_info(context: &Context<'_>, selected: &Selected<'_>) -> Vec<(Key, PageInfoField)> {
    let fields = context.operation.sub_fields(selected, "PageInfo");
    fields
        .iter()
        .map(|field| {
            let planned = match field.name {
                "hasNextPage" => PageInfoField::HasNextPage,
                "hasPreviousPage" => PageInfoField::HasPreviousPage,
                "startCursor" => PageInfoField::StartCursor,
                "endCursor" => PageInfoField::EndCursor,
                _ => PageInfoField::TypeName,
            };
            (Key::new(field.key), planned)
        })
        .collect()
}

/// Writes `pageInfo`.
pub(crate) fn write_page_info(fields: &[(Key, PageInfoField)], info: &PageInfo, out: &mut Output<'_>) {
    out.object(fields, |out, field| match field {
        PageInfoField::TypeName => out.text("PageInfo"),
        PageInfoField::HasNextPage => out.boolean(info.has_next),
        PageInfoField::HasPreviousPage => out.boolean(info.has_previous),
        PageInfoField::StartCursor => out.optional_text(info.start_cursor.as_deref()),
        PageInfoField::EndCursor => out.optional_text(info.end_cursor.as_deref()),
    });
}

/// The size of a page that `first` or `last` asks for, and whether it is `last`.
pub(crate) fn page_size(arguments: &Arguments) -> Result<(u32, bool), GraphqlError> {
    let (name, size, is_backward) = match (arguments.int("first"), arguments.int("last")) {
        (Some(_), Some(_)) => return Err(bad_input("Give first or last, not both.")),
        (Some(first), None) => ("first", first, false),
        (None, Some(last)) => ("last", last, true),
        (None, None) => return Ok((DEFAULT_PAGE_SIZE, false)),
    };
    let size = u32::try_from(size).ok().filter(|size| *size <= MAX_PAGE_SIZE);
    let size = size.ok_or_else(|| bad_input(format!("{name} must be between 0 and {MAX_PAGE_SIZE}.")))?;
    Ok((size, is_backward))
}

fn paging(
    catalog: &Catalog,
    resource: ResourceId,
    order: &[OrderTerm],
    arguments: &Arguments,
) -> Result<Paging, GraphqlError> {
    let (limit, is_backward) = page_size(arguments)?;
    let cursor = |name: &str| {
        let Some(text) = arguments.text(name) else { return Ok(None) };
        let values = cursor::decode(catalog, resource, order, text);
        let message = format!("{name} is not a cursor of a list in this order. Use one from edges or pageInfo.");
        values.map(Some).ok_or_else(|| GraphqlError::new(ErrorCode::CursorInvalid, message))
    };
    Ok(Paging { limit, is_backward, after: cursor("after")?, before: cursor("before")? })
}
