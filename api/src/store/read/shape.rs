//! What is wanted of a resource's rows: a tree, which knows no GraphQL.

use super::aggregate::Aggregate;
use super::grouping::Grouping;
use crate::catalog::{Datum, FieldId, Filter, Needs, ResourceId};
use crate::store::search::Search;

/// What is wanted of each row. The values come back in the order of the slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Of what.
    pub resource: ResourceId,
    /// The parts.
    pub slots: Vec<Slot>,
}

/// One part of what is wanted of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// The value of a column.
    Column(FieldId),
    /// Whether the row matches a filter: may the caller read a field of it?
    Test(Filter),
    /// The row at the other side of a to-one field.
    ToOne {
        /// The field.
        field: FieldId,
        /// Which rows of the other side the caller may see.
        visible: Filter,
        /// What is wanted of it.
        shape: Shape,
    },
    /// The rows at the other side of a to-many field.
    List(Box<List>),
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// For a to-many field: the to-one field of these rows that points at the parent.
    pub via: Option<FieldId>,
    /// Which rows there are for the caller: rights and the client's filter.
    pub filter: Filter,
    /// What they have to hold besides.
    pub search: Option<Search>,
    /// In which order; the last term is the id, so that the order is total.
    pub order: Vec<OrderTerm>,
    /// Which of them.
    pub paging: Paging,
    /// What is wanted of each.
    pub shape: Shape,
    /// Whether the rows themselves are wanted, not only their number.
    pub wants_rows: bool,
    /// Whether the number of all of them is wanted.
    pub wants_total: bool,
    /// Whether the values of the order's terms are wanted of each row, for its cursor.
    pub wants_cursors: bool,
    /// What is wanted to be known of all of them.
    pub aggregates: Vec<Aggregate>,
    /// In which groups all of them are wanted.
    pub groupings: Vec<Grouping>,
}

/// One term of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderTerm {
    /// To-one fields to go through first, each with the rows of its other side that the caller may see.
    pub through: Vec<(FieldId, Filter)>,
    /// The column.
    pub field: FieldId,
    /// Greatest first. Null is smaller than anything.
    pub is_descending: bool,
    /// Whether the value may be null.
    pub is_nullable: bool,
}

/// Which part of an ordered list.
#[derive(Debug, Clone, PartialEq)]
pub struct Paging {
    /// At most so many rows.
    pub limit: u32,
    /// The last ones instead of the first ones.
    pub is_backward: bool,
    /// Only rows after the one with these values of the order's terms.
    pub after: Option<Vec<Datum>>,
    /// Only rows before the one with these values of the order's terms.
    pub before: Option<Vec<Datum>>,
}

impl List {
    /// The terms of the order whose values are wanted.
    pub(super) fn keys(&self) -> &[OrderTerm] {
        if self.wants_cursors { &self.order } else { &[] }
    }
}

impl Shape {
    /// Nothing yet.
    pub fn new(resource: ResourceId) -> Self {
        Self { resource, slots: Vec::new() }
    }

    /// The place of a column; each column is there once.
    pub fn column(&mut self, field: FieldId) -> usize {
        let known = self.slots.iter().position(|slot| matches!(slot, Slot::Column(id) if *id == field));
        known.unwrap_or_else(|| self.push(Slot::Column(field)))
    }

    /// The slots that are columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = FieldId> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Column(field) => Some(*field),
            Slot::Test(_) | Slot::ToOne { .. } | Slot::List(_) => None,
        })
    }

    /// Adds a slot; gives its place.
    pub fn push(&mut self, slot: Slot) -> usize {
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// Adds the related rows that [`super::from_image`] looks at.
    pub fn add_needs(&self, needs: &mut Needs) {
        for slot in &self.slots {
            match slot {
                Slot::Column(_) | Slot::List(_) => {}
                Slot::Test(filter) => filter.add_needs(needs),
                Slot::ToOne { field, visible, shape } => {
                    let related = needs.related(*field);
                    visible.add_needs(related);
                    shape.add_needs(related);
                }
            }
        }
    }

    /// Whether the row's own columns are enough.
    pub fn is_flat(&self) -> bool {
        self.slots.iter().all(|slot| matches!(slot, Slot::Column(_) | Slot::Test(Filter::Const(_))))
    }
}
