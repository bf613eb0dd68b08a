//! What came back: text → values, by the shape that was asked for. The form of the text is told in `part`.

use entity::Position;

use super::aggregate::Aggregated;
use super::grouping::GroupPage;
use super::order_type;
use super::part::is_marked;
use super::scan::Scanner;
use super::shape::{List, Shape, Slot};
use crate::catalog::{Catalog, Datum};
use crate::database::{Dialect, Error};

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
pub(super) fn object_text(dialect: Dialect, catalog: &Catalog, shape: &Shape, text: &str) -> Result<Vec<Node>, Error> {
    let mut reader = Reader { catalog, scanner: Scanner::new(dialect, text) };
    reader.object(shape).filter(|_| reader.scanner.is_at_end()).ok_or_else(|| corrupt(catalog, shape))
}

/// Reads one list: its rows, if there are any, how many there are in all, and what is said of them.
pub(super) fn page(
    dialect: Dialect,
    catalog: &Catalog,
    list: &List,
    rows: Option<&str>,
    total: Option<i64>,
    summary: Option<&str>,
) -> Result<Page, Error> {
    let mut page = Page { total, ..Page::default() };
    if let Some(text) = summary {
        let mut reader = Reader { catalog, scanner: Scanner::new(dialect, text) };
        let summary = reader.summary(list).filter(|_| reader.scanner.is_at_end());
        page.summary = Some(Box::new(summary.ok_or_else(|| corrupt(catalog, &list.shape))?));
    }
    if let Some(text) = rows {
        let mut reader = Reader { catalog, scanner: Scanner::new(dialect, text) };
        let is_whole = reader.rows(list, &mut page).is_some() && reader.scanner.is_at_end();
        is_whole.then_some(()).ok_or_else(|| corrupt(catalog, &list.shape))?;
    }
    Ok(page)
}

fn corrupt(catalog: &Catalog, shape: &Shape) -> Error {
    let name = &catalog.resource(shape.resource).name;
    Error::Corrupt(format!("rows of {name} do not fit the resource file"))
}

pub(super) struct Reader<'t> {
    pub(super) catalog: &'t Catalog,
    pub(super) scanner: Scanner<'t>,
}

impl Reader<'_> {
    fn object(&mut self, shape: &Shape) -> Option<Vec<Node>> {
        let is_marked = is_marked(self.catalog, shape);
        if is_marked {
            self.scanner.expect(b'1')?;
        }
        let mut nodes = Vec::with_capacity(shape.slots.len());
        for (i, slot) in shape.slots.iter().enumerate() {
            if is_marked || i > 0 {
                self.scanner.expect(b',')?;
            }
            nodes.push(self.node(shape, slot)?);
        }
        Some(nodes)
    }

    pub(super) fn node(&mut self, shape: &Shape, slot: &Slot) -> Option<Node> {
        Some(match slot {
            Slot::Column(field) => {
                Node::Leaf(self.scanner.datum(&self.catalog.resource(shape.resource).field(*field).ty)?)
            }
            Slot::Test(_) => Node::Leaf(Datum::Bool(self.scanner.boolean()?)),
            Slot::ToOne { .. } if self.scanner.take(b'!') => Node::Object(None),
            Slot::ToOne { shape, .. } => Node::Object(Some(self.object(shape)?)),
            Slot::List(list) => Node::Page(self.page(list)?),
        })
    }

    fn page(&mut self, list: &List) -> Option<Page> {
        let mut page = Page::default();
        if !self.scanner.take(b']') {
            self.rows(list, &mut page)?;
            self.scanner.expect(b',')?;
            self.scanner.expect(b']')?;
        }
        if list.wants_total {
            self.scanner.expect(b',')?;
            page.total = Some(self.scanner.number()?);
        }
        if list.summary_parts() > 0 {
            self.scanner.expect(b',')?;
            page.summary = Some(Box::new(self.summary(list)?));
        }
        Some(page)
    }

    /// At least one row.
    fn rows(&mut self, list: &List, page: &mut Page) -> Option<()> {
        loop {
            let slots = self.object(&list.shape)?;
            let mut keys = Vec::new();
            for term in list.keys() {
                self.scanner.expect(b',')?;
                keys.push(self.scanner.datum(order_type(self.catalog, list.shape.resource, term))?);
            }
            page.rows.push((slots, keys));
            if !self.scanner.take(b';') {
                break;
            }
        }
        let limit = list.paging.limit as usize;
        page.has_more = page.rows.len() > limit;
        page.rows.truncate(limit);
        if list.paging.is_backward {
            page.rows.reverse();
        }
        Some(())
    }
}
