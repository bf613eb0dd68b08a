//! What the parts of a statement are, one after the other: made once of a shape, so that reading a row looks nothing up.

use super::order_type;
use super::part;
use super::shape::{List, Shape, Slot};
use crate::catalog::{Catalog, FieldType};
use crate::database::Dialect;

/// The parts of a row.
pub(super) struct Layout<'s> {
    /// Whether there is a mark in front.
    pub(super) is_marked: bool,
    /// In the order of the shape's slots.
    pub(super) slots: Vec<Form<'s>>,
    /// Of a row of a list: the types of the values that its cursor needs.
    pub(super) keys: Vec<&'s FieldType>,
}

/// The form of a slot.
pub(super) enum Form<'s> {
    Value(&'s FieldType),
    Test,
    ToOne(Box<ToOne<'s>>),
    List(&'s List, Box<Layout<'s>>),
}

/// A to-one row.
pub(super) struct ToOne<'s> {
    pub(super) is_spread: bool,
    /// Of one that is packed and spread: whether there is a mark in front.
    pub(super) is_spread_marked: bool,
    pub(super) layout: Layout<'s>,
}

impl<'s> Layout<'s> {
    pub(super) fn of_row(dialect: Dialect, catalog: &'s Catalog, shape: &'s Shape) -> Self {
        let resource = catalog.resource(shape.resource);
        let form = |(slot, is_spread): (&'s Slot, bool)| match slot {
            Slot::Column(field) => Form::Value(&resource.field(*field).ty),
            Slot::Test(_) => Form::Test,
            Slot::ToOne { shape, .. } => Form::ToOne(Box::new(ToOne {
                is_spread,
                is_spread_marked: part::is_spread_marked(catalog, shape),
                layout: Self::of_row(dialect, catalog, shape),
            })),
            Slot::List(list) => Form::List(list, Box::new(Self::of_list(dialect, catalog, list))),
        };
        Self {
            is_marked: part::is_marked(dialect, catalog, shape),
            slots: part::slots(catalog, shape).map(form).collect(),
            keys: Vec::new(),
        }
    }

    pub(super) fn of_list(dialect: Dialect, catalog: &'s Catalog, list: &'s List) -> Self {
        let keys = list.keys().iter().map(|term| order_type(catalog, list.shape.resource, term)).collect();
        Self { keys, ..Self::of_row(dialect, catalog, &list.shape) }
    }
}
