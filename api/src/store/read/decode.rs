//! What came back: JSON arrays → values, by the shape that was asked for.

use entity::Position;
use serde_json::Value;

use super::aggregate::Aggregated;
use super::grouping::GroupPage;
use super::shape::{List, Shape, Slot};
use super::{order_type, summary};
use crate::catalog::{Catalog, Datum};
use crate::database::Error;

/// The value of one slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Of a column, or whether a test holds.
    Leaf(Datum),
    /// Of a to-one field: the slots of the row, or nothing.
    Object(Option<Vec<Node>>),
    /// Of a to-many field.
    Page(Page),
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The slots of each row, and the values of the order's terms; in the order that was asked for.
    pub rows: Vec<(Vec<Node>, Vec<Datum>)>,
    /// Whether there are more rows in the direction of paging.
    pub has_more: bool,
    /// How many rows there are in all, if that was asked for.
    pub total: Option<i64>,
    /// What is known of all rows, if that was asked for.
    pub summary: Option<Box<Summary>>,
    /// The position of the log at which this was read, if it is not that of the page around it.
    pub position: Option<Position>,
}

/// What is known of all rows of a list, whatever the page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// In the order of [`List::aggregates`].
    pub aggregates: Vec<Aggregated>,
    /// In the order of [`List::groupings`].
    pub groups: Vec<GroupPage>,
}

/// Reads one object.
pub(super) fn object_text(catalog: &Catalog, shape: &Shape, text: &str) -> Result<Vec<Node>, Error> {
    let value = serde_json::from_str(text).map_err(|_| corrupt(catalog, shape))?;
    object(catalog, shape, &value).ok_or_else(|| corrupt(catalog, shape))
}

/// Reads one list.
pub(super) fn page_text(catalog: &Catalog, list: &List, text: &str) -> Result<Page, Error> {
    let value = serde_json::from_str(text).map_err(|_| corrupt(catalog, &list.shape))?;
    page(catalog, list, &value).ok_or_else(|| corrupt(catalog, &list.shape))
}

fn corrupt(catalog: &Catalog, shape: &Shape) -> Error {
    let name = &catalog.resource(shape.resource).name;
    Error::Corrupt(format!("rows of {name} do not fit the resource file"))
}

fn object(catalog: &Catalog, shape: &Shape, value: &Value) -> Option<Vec<Node>> {
    nodes(catalog, shape, value.as_array()?)
}

/// Reads the slots of a shape.
pub(super) fn nodes(catalog: &Catalog, shape: &Shape, values: &[Value]) -> Option<Vec<Node>> {
    if values.len() != shape.slots.len() {
        return None;
    }
    shape.slots.iter().zip(values).map(|(slot, value)| node(catalog, shape, slot, value)).collect()
}

fn node(catalog: &Catalog, shape: &Shape, slot: &Slot, value: &Value) -> Option<Node> {
    Some(match slot {
        Slot::Column(field) => {
            Node::Leaf(Datum::from_image(&catalog.resource(shape.resource).field(*field).ty, value)?)
        }
        Slot::Test(_) => Node::Leaf(Datum::Bool(value.as_bool().or_else(|| Some(value.as_i64()? != 0))?)),
        Slot::ToOne { .. } if value.is_null() => Node::Object(None),
        Slot::ToOne { shape, .. } => Node::Object(Some(object(catalog, shape, value)?)),
        Slot::List(list) => Node::Page(page(catalog, list, value)?),
    })
}

fn page(catalog: &Catalog, list: &List, value: &Value) -> Option<Page> {
    let parts = value.as_array()?;
    let total = parts.get(1)?.as_i64();
    let mut rows = Vec::new();
    if let Some(values) = parts.first()?.as_array() {
        for value in values {
            let (slots, keys) = value.as_array()?.split_first()?;
            let keys = list.order.iter().zip(keys);
            let keys = keys.map(|(term, key)| Datum::from_image(order_type(catalog, list.shape.resource, term), key));
            rows.push((object(catalog, &list.shape, slots)?, keys.collect::<Option<_>>()?));
        }
    }
    let limit = list.paging.limit as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if list.paging.is_backward {
        rows.reverse();
    }
    let mut page = Page { rows, has_more, total, summary: None, position: None };
    summary::decode(catalog, list, parts.get(2), &mut page)?;
    Some(page)
}
