//! Whom an event may concern, found by the values of its row.
//!
//! A filter that holds only for rows with one of a few values in some field (an id, a to-one relation, an owner, a status)
//! is entered under these values; any other is looked at for every event. An event is looked up by its images before and
//! after, since a row may enter as well as leave what a filter sees. What is found is a superset, never less: whoever is
//! found judges the event for himself. So values may share a place by accident, and nothing but their hash is kept.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use crate::catalog::filter::{CompareOp, Test};
use crate::catalog::{Catalog, Datum, FieldId, FieldType, Filter, Resource, ResourceId, Scalar};
use crate::log::Event;

/// Values that one filter is entered under; one with more is looked at for every event.
const MAX_VALUES: usize = 1_000;

/// Things by the filters that they have for rows.
pub(super) struct Index<T> {
    hasher: RandomState,
    resources: HashMap<ResourceId, Entries<T>>,
}

struct Entries<T> {
    /// Whose filters name no values.
    always: Vec<Arc<T>>,
    /// Fields that filters name values of, and how many entries there are for each.
    fields: Vec<(FieldId, usize)>,
    /// By the hash of field and value.
    by_value: HashMap<u64, Vec<Arc<T>>>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { always: Vec::new(), fields: Vec::new(), by_value: HashMap::new() }
    }
}

impl<T> Index<T> {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), resources: HashMap::new() }
    }

    /// Enters a thing with its filter for the rows of a resource.
    pub(super) fn insert(&mut self, catalog: &Catalog, resource: ResourceId, filter: &Filter, thing: &Arc<T>) {
        let entries = self.resources.entry(resource).or_default();
        match values(catalog.resource(resource), filter) {
            None => entries.always.push(Arc::clone(thing)),
            Some(values) => {
                for (field, value) in values.of {
                    let hash = self.hasher.hash_one((field, Hashed(value)));
                    entries.by_value.entry(hash).or_default().push(Arc::clone(thing));
                    match entries.fields.iter_mut().find(|(known, _)| *known == field) {
                        Some((_, count)) => *count += 1,
                        None => entries.fields.push((field, 1)),
                    }
                }
            }
        }
    }

    /// Takes out what was entered with the same filter.
    pub(super) fn remove(&mut self, catalog: &Catalog, resource: ResourceId, filter: &Filter, thing: &Arc<T>) {
        let Some(entries) = self.resources.get_mut(&resource) else { return };
        match values(catalog.resource(resource), filter) {
            None => take_out(&mut entries.always, thing),
            Some(values) => {
                for (field, value) in values.of {
                    let hash = self.hasher.hash_one((field, Hashed(value)));
                    if let Some(things) = entries.by_value.get_mut(&hash) {
                        take_out(things, thing);
                        if things.is_empty() {
                            entries.by_value.remove(&hash);
                        }
                    }
                    entries.fields.iter_mut().filter(|(known, _)| *known == field).for_each(|(_, count)| *count -= 1);
                }
                entries.fields.retain(|(_, count)| *count > 0);
            }
        }
    }

    /// Visits all whose filters may see the row of an event before or after it; some perhaps more than once.
    pub(super) fn find(&self, event: &Event, mut visit: impl FnMut(&Arc<T>)) {
        let Some(entries) = self.resources.get(&event.resource) else { return };
        entries.always.iter().for_each(&mut visit);
        for (field, _) in &entries.fields {
            let before = event.before.as_ref().map(|row| row.get(*field));
            let after = event.after.as_ref().map(|row| row.get(*field)).filter(|after| before != Some(after));
            for value in [before, after].into_iter().flatten() {
                let hash = self.hasher.hash_one((field, Hashed(value)));
                entries.by_value.get(&hash).into_iter().flatten().for_each(&mut visit);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let is_empty = |e: &Entries<T>| e.always.is_empty() && e.fields.is_empty() && e.by_value.is_empty();
        self.resources.values().all(is_empty)
    }
}

fn take_out<T>(things: &mut Vec<Arc<T>>, thing: &Arc<T>) {
    if let Some(place) = things.iter().position(|other| Arc::ptr_eq(other, thing)) {
        things.swap_remove(place);
    }
}

/// A row that matches has one of these values.
struct Values<'f> {
    of: Vec<(FieldId, &'f Datum)>,
    /// How many rows are likely to share a value: the more, the less the index helps.
    commonness: Commonness,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Commonness {
    /// An id.
    One,
    /// A relation, or whatever has no few values by its type.
    Some,
    /// An enum, a Boolean.
    Many,
}

/// Values of which each row that matches has one; `None` if the filter does not tell.
fn values<'f>(resource: &Resource, filter: &'f Filter) -> Option<Values<'f>> {
    match filter {
        Filter::Const(false) => Some(Values { of: Vec::new(), commonness: Commonness::One }),
        Filter::Field(field, test) => {
            let of = tested(test)?.iter().filter(|value| !value.is_null()).map(|value| (*field, value)).collect();
            Some(Values { of, commonness: commonness(&resource.field(*field).ty)? }).filter(is_short)
        }
        // What is at the other side is the row that the foreign key names.
        Filter::Related(field, other) => {
            let of = ids(other)?.into_iter().map(|id| (*field, id)).collect();
            Some(Values { of, commonness: Commonness::Some }).filter(is_short)
        }
        Filter::And(all) => {
            let each = all.iter().filter_map(|filter| values(resource, filter));
            each.min_by_key(|values| (!values.of.is_empty(), values.commonness, values.of.len()))
        }
        Filter::Or(any) => {
            let mut all = Values { of: Vec::new(), commonness: Commonness::One };
            for filter in any {
                let Values { of, commonness } = values(resource, filter)?;
                all.of.extend(of);
                all.commonness = all.commonness.max(commonness);
            }
            Some(all).filter(is_short)
        }
        Filter::Const(true) | Filter::Not(_) | Filter::Exists(..) => None,
    }
}

fn is_short(values: &Values<'_>) -> bool {
    values.of.len() <= MAX_VALUES
}

/// The ids of which each row that matches has one.
fn ids(filter: &Filter) -> Option<Vec<&Datum>> {
    match filter {
        Filter::Const(false) => Some(Vec::new()),
        Filter::Field(Resource::ID, test) => Some(tested(test)?.iter().collect()),
        Filter::And(all) => all.iter().filter_map(ids).min_by_key(Vec::len),
        Filter::Or(any) => any.iter().map(ids).collect::<Option<Vec<_>>>().map(|ids| ids.concat()),
        Filter::Const(true) | Filter::Field(..) | Filter::Related(..) | Filter::Not(_) | Filter::Exists(..) => None,
    }
}

/// The values that pass a test, if it names them.
fn tested(test: &Test<Datum>) -> Option<&[Datum]> {
    match test {
        Test::Compare(CompareOp::Eq, value) => Some(std::slice::from_ref(value)),
        Test::In(values) => Some(values),
        Test::Compare(CompareOp::Neq | CompareOp::Lt | CompareOp::Lte | CompareOp::Gt | CompareOp::Gte, _)
        | Test::IsNull(_)
        | Test::NotIn(_)
        | Test::Text(..)
        | Test::HasEvery(_)
        | Test::HasSome(_)
        | Test::IsEmpty(_) => None,
    }
}

/// `None` for types whose values are not looked up.
fn commonness(ty: &FieldType) -> Option<Commonness> {
    match ty {
        FieldType::RowId => Some(Commonness::One),
        FieldType::Enum(_) | FieldType::Scalar(Scalar::Boolean) => Some(Commonness::Many),
        // Equal floats and equal JSON may be written differently.
        FieldType::Scalar(Scalar::Float | Scalar::Json) | FieldType::ScalarList(_) | FieldType::EnumList(_) => None,
        FieldType::ToOne { .. }
        | FieldType::Scalar(
            Scalar::String
            | Scalar::Id
            | Scalar::Int
            | Scalar::BigInt
            | Scalar::Decimal { .. }
            | Scalar::DateTime
            | Scalar::Date
            | Scalar::Uuid,
        ) => Some(Commonness::Some),
        FieldType::ToMany { .. } => None,
    }
}

/// Equal values of one field have one hash.
struct Hashed<'a>(&'a Datum);

impl Hash for Hashed<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self.0 {
            Datum::Bool(value) => value.hash(hasher),
            Datum::Int(value) | Datum::Decimal(value) | Datum::Instant(value) => value.hash(hasher),
            Datum::Text(value) => value.hash(hasher),
            Datum::Uuid(value) => value.hash(hasher),
            // Null equals nothing, and the others are not looked up.
            Datum::Null | Datum::Float(_) | Datum::Json(_) | Datum::List(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
