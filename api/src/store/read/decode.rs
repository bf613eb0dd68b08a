//! What came back → values, by the shape that was asked for. The form of it is told in `part`.

use entity::Position;

use super::aggregate::Aggregated;
use super::grouping::GroupPage;
use super::layout::{Form, Layout, ToOne};
use super::scan::{Rows, Scanner};
use super::shape::{List, Shape};
use crate::catalog::{Catalog, Datum};
use crate::database::{Dialect, Error, Whole};

/// The value of one slot. A tree has thousands, so it is small: what is larger than a text is apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Of a column, or whether a test holds.
    Leaf(Datum),
    /// Of a to-one field: the slots of the row, or nothing.
    Object(Option<Box<[Node]>>),
    /// Of a to-many field.
    Page(Box<Page>),
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
pub(super) fn object(catalog: &Catalog, shape: &Shape, whole: Whole<'_>) -> Result<Vec<Node>, Error> {
    let mut reader = Reader { catalog, scanner: Scanner::new(whole) };
    let layout = Layout::of_row(reader.scanner.dialect(), catalog, shape);
    reader.object(&layout).filter(|_| reader.scanner.is_at_end()).ok_or_else(|| corrupt(catalog, shape))
}

/// Reads one list: its rows, if there are any, how many there are in all, and what is said of them.
pub(super) fn page(
    catalog: &Catalog,
    list: &List,
    rows: Option<Whole<'_>>,
    total: Option<i64>,
    summary: Option<Whole<'_>>,
) -> Result<Page, Error> {
    let mut page = Page { total, ..Page::default() };
    if let Some(whole) = summary {
        let mut reader = Reader { catalog, scanner: Scanner::new(whole) };
        let summary = reader.summary(list).filter(|_| reader.scanner.is_at_end());
        page.summary = Some(Box::new(summary.ok_or_else(|| corrupt(catalog, &list.shape))?));
    }
    if let Some(whole) = rows {
        let mut reader = Reader { catalog, scanner: Scanner::new(whole) };
        let layout = Layout::of_list(reader.scanner.dialect(), catalog, list);
        let is_whole = reader.page_rows(Rows::All, list, &layout, &mut page).is_some() && reader.scanner.is_at_end();
        is_whole.then_some(()).ok_or_else(|| corrupt(catalog, &list.shape))?;
    }
    Ok(page)
}

fn corrupt(catalog: &Catalog, shape: &Shape) -> Error {
    let name = &catalog.resource(shape.resource).name;
    Error::Corrupt(format!("rows of {name} do not fit the resource file"))
}

/// Rows for which a page that has any has room at once.
const EXPECTED_ROWS: usize = 16;

pub(super) struct Reader<'t> {
    pub(super) catalog: &'t Catalog,
    pub(super) scanner: Scanner<'t>,
}

impl Reader<'_> {
    fn object(&mut self, layout: &Layout<'_>) -> Option<Vec<Node>> {
        if layout.is_marked {
            self.scanner.mark()?;
        }
        let mut nodes = Vec::with_capacity(layout.slots.len());
        for (i, form) in layout.slots.iter().enumerate() {
            if layout.is_marked || i > 0 {
                self.scanner.separate()?;
            }
            nodes.push(self.node(form)?);
        }
        Some(nodes)
    }

    pub(super) fn node(&mut self, form: &Form<'_>) -> Option<Node> {
        Some(match form {
            Form::Value(ty) => Node::Leaf(self.scanner.datum(ty)?),
            Form::Test => Node::Leaf(Datum::Bool(self.scanner.boolean()?)),
            Form::ToOne(to_one) => Node::Object(self.row_of(to_one)?.map(Vec::into_boxed_slice)),
            Form::List(list, layout) => Node::Page(Box::new(self.page(list, layout)?)),
        })
    }

    fn row_of(&mut self, ToOne { is_spread, is_spread_marked, layout }: &ToOne<'_>) -> Option<Option<Vec<Node>>> {
        match self.scanner.dialect() {
            Dialect::Postgres if self.scanner.take(b'!') => Some(None),
            Dialect::Postgres => self.object(layout).map(Some),
            Dialect::Sqlite if *is_spread => {
                let is_there = !is_spread_marked || self.scanner.boolean()?;
                let row = self.object(layout)?;
                let is_there = is_there && (*is_spread_marked || row.first() != Some(&Node::Leaf(Datum::Null)));
                Some(is_there.then_some(row))
            }
            Dialect::Sqlite => self.inside(|reader| reader.object(layout)),
        }
    }

    /// Reads what is one part; on SQLite it is packed, and `None` inside if it is null.
    pub(super) fn inside<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        let Some(around) = self.scanner.enter()? else { return Some(None) };
        let value = read(self)?;
        self.scanner.leave(around)?;
        Some(Some(value))
    }

    /// Reads rows, each by `row`.
    pub(super) fn rows(&mut self, rows: Rows, mut row: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let Some(around) = self.scanner.enter_rows(rows)? else { return Some(()) };
        loop {
            row(self)?;
            if !self.scanner.has_row() {
                break;
            }
        }
        self.scanner.leave_rows(rows, around)
    }

    fn page(&mut self, list: &List, layout: &Layout<'_>) -> Option<Page> {
        let mut page = Page::default();
        self.page_rows(Rows::OfList, list, layout, &mut page)?;
        if list.wants_total {
            self.scanner.separate()?;
            page.total = Some(self.scanner.number()?);
        }
        if list.summary_parts() > 0 {
            self.scanner.separate()?;
            page.summary = Some(Box::new(self.inside(|reader| reader.summary(list))??));
        }
        Some(page)
    }

    fn page_rows(&mut self, rows: Rows, list: &List, layout: &Layout<'_>, page: &mut Page) -> Option<()> {
        self.rows(rows, |reader| {
            if page.rows.is_empty() {
                page.rows.reserve(EXPECTED_ROWS.min(list.paging.limit as usize + 1));
            }
            let slots = reader.object(layout)?;
            let mut keys = Vec::with_capacity(layout.keys.len());
            for ty in &layout.keys {
                reader.scanner.separate()?;
                keys.push(reader.scanner.datum(ty)?);
            }
            page.rows.push((slots, keys));
            Some(())
        })?;
        let limit = list.paging.limit as usize;
        page.has_more = page.rows.len() > limit;
        page.rows.truncate(limit);
        if list.paging.is_backward {
            page.rows.reverse();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_as_small_as_a_value_of_four_words() {
        assert_eq!(size_of::<Datum>(), 4 * size_of::<usize>());
        assert_eq!(size_of::<Node>(), size_of::<Datum>());
    }
}
