//! How events that are older than the resource file are read under its names.
//!
//! An image in the log holds what the file said when the event was written. Whenever the tables change in a way that
//! older images must know of, the planner records an [`Era`]: what was renamed, dropped or filled, and up to which
//! position of the log it was otherwise. A [`Lineage`] follows the eras back from the catalog of today, so the name of a
//! field means what it meant at that position, even if another field has it now.
//!
//! Invariants: reading is total, so that no change of the file makes the log unreadable: a value that today's type
//! cannot hold reads as null. What the rows of a table got when a field was added, older images have too.
//!
//! Neighbours: `store::tables` writes eras, `log` reads events by a lineage. Knows names and values alone.

mod convert;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Catalog, FieldId, Resource, ResourceId, Row};

/// What one change of the resource file means for the events before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Era {
    /// Types that have another name, that are gone, or whose fields are, by their names before.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, TypeChange>,
    /// What the rows got that were there, by the names of type and field after.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fills: BTreeMap<String, BTreeMap<String, Fill>>,
}

/// What became of a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeChange {
    /// Its name after, which may be the same; `None` if it is gone.
    pub to: Option<String>,
    /// By the names before, those of which there is anything to say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldChange>,
}

/// What became of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChange {
    /// Its name after, which may be the same; `None` if it is gone.
    pub to: Option<String>,
    /// Values of its enum that became others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

/// What the rows got for a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fill {
    /// When it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<Filling>,
    /// Where it was null when it became required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null: Option<Filling>,
}

/// The value of a [`Fill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Filling {
    /// This one, as an image holds it.
    Value(Value),
    /// The time at which the row was created.
    CreatedAt,
}

impl Era {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.fills.is_empty()
    }
}

/// Reads the events of all eras under the names of a catalog.
#[derive(Debug)]
pub struct Lineage {
    catalog: Arc<Catalog>,
    /// Oldest first: the last position of the events before a change, and how those are read.
    past: Vec<(i64, Views)>,
    /// How the events since the last change are read.
    present: Views,
    fills: HashMap<(ResourceId, FieldId), Fill>,
    /// All names that each resource has had, today's first.
    names: Vec<Vec<String>>,
}

/// By type name.
type Views = HashMap<String, Arc<View>>;

/// A resource as events of one time name it.
#[derive(Debug)]
pub struct View {
    /// Which one.
    pub resource: ResourceId,
    /// By [`FieldId`].
    fields: Vec<Option<FieldView>>,
}

/// A field as events of one time name it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldView {
    name: String,
    /// Values of its enum → those of today.
    values: BTreeMap<String, String>,
}

/// Name and fields of each resource of the catalog at one time; `None` before it was there.
type State = Vec<Option<(String, Arc<View>)>>;

impl Lineage {
    /// Of a catalog, and the eras in the order in which they ended, each with the last position before its change.
    pub fn new(catalog: Arc<Catalog>, eras: &[(i64, Era)]) -> Self {
        let mut state: State = catalog.resources().map(|(id, r)| Some((r.name.clone(), View::today(id, r)))).collect();
        let mut names: Vec<_> = catalog.resources().map(|(_, r)| vec![r.name.clone()]).collect();
        let present = views(&state);
        let (mut past, mut fills) = (Vec::with_capacity(eras.len()), HashMap::new());
        for (until, era) in eras.iter().rev() {
            collect_fills(era, &state, &mut fills);
            state = state.iter().map(|known| before(known.as_ref()?, era)).collect();
            for (names, (name, _)) in names.iter_mut().zip(&state).filter_map(|(n, s)| Some((n, s.as_ref()?))) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            past.push((*until, views(&state)));
        }
        past.reverse();
        Self { catalog, past, present, fills, names }
    }

    /// The catalog under whose names events are read.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// What an event at this position means by a type name; `None` if the catalog has no such resource any more.
    pub fn view(&self, position: i64, type_name: &str) -> Option<&View> {
        let ended = self.past.partition_point(|(until, _)| *until < position);
        let views = self.past.get(ended).map_or(&self.present, |(_, views)| views);
        views.get(type_name).map(AsRef::as_ref)
    }

    /// All type names under which events about rows of a resource may stand in the log, today's first.
    pub fn names(&self, resource: ResourceId) -> &[String] {
        &self.names[usize::from(resource.0)]
    }

    /// Reads an image. `None` if it lacks what every image has, so that it is none of Tandem's.
    pub fn read(&self, view: &View, image: &Map<String, Value>) -> Option<Row> {
        let resource = self.catalog.resource(view.resource);
        let mut row = Vec::with_capacity(resource.fields.len());
        for (id, field) in resource.fields() {
            let stated = view.fields[usize::from(id.0)].as_ref();
            let stated = stated.and_then(|named| Some((named, image.get(&named.name)?)));
            let fill = self.fills.get(&(view.resource, id));
            let filled = |filling: &Filling| match filling {
                Filling::Value(value) => convert::value(&self.catalog, &field.ty, value),
                Filling::CreatedAt => convert::value(&self.catalog, &field.ty, image.get("createdAt")?),
            };
            let mut value = match stated {
                Some((named, value)) => convert::value(&self.catalog, &field.ty, &named.today(value)),
                None => fill.and_then(|fill| fill.absent.as_ref()).and_then(filled),
            };
            if value.as_ref().is_none_or(super::Datum::is_null) && !field.nullable {
                value = fill.and_then(|fill| fill.null.as_ref()).and_then(filled);
            }
            let value = value.unwrap_or(super::Datum::Null);
            if resource.is_system(id) && value.is_null() {
                return None;
            }
            row.push(value);
        }
        Some(Row(row))
    }
}

impl View {
    fn today(id: ResourceId, resource: &Resource) -> Arc<Self> {
        let field = |name: &String| Some(FieldView { name: name.clone(), values: BTreeMap::new() });
        Arc::new(Self { resource: id, fields: resource.fields.iter().map(|f| field(&f.name)).collect() })
    }

    /// The field that has this name in events of this time.
    pub fn find(&self, name: &str) -> Option<FieldId> {
        let found = self.fields.iter().position(|field| field.as_ref().is_some_and(|field| field.name == name))?;
        Some(FieldId(found as u16))
    }
}

impl FieldView {
    fn today(&self, value: &Value) -> Value {
        let renamed = |text: &str| self.values.get(text).map(|new| Value::String(new.clone()));
        match value {
            Value::String(text) if !self.values.is_empty() => renamed(text).unwrap_or_else(|| value.clone()),
            Value::Array(items) if !self.values.is_empty() => items.iter().map(|item| self.today(item)).collect(),
            other => other.clone(),
        }
    }
}

fn views(state: &State) -> Views {
    state.iter().flatten().map(|(name, view)| (name.clone(), Arc::clone(view))).collect()
}

fn collect_fills(era: &Era, state: &State, fills: &mut HashMap<(ResourceId, FieldId), Fill>) {
    for (name, view) in state.iter().flatten() {
        for (field, fill) in era.fills.get(name).into_iter().flatten() {
            let Some(id) = view.find(field) else { continue };
            let known = fills.entry((view.resource, id)).or_default();
            // Eras come latest first, and the latest is what counts.
            known.absent = known.absent.take().or_else(|| fill.absent.clone());
            known.null = known.null.take().or_else(|| fill.null.clone());
        }
    }
}

/// A resource before a change; `None` if it was not there.
fn before((name, view): &(String, Arc<View>), era: &Era) -> Option<(String, Arc<View>)> {
    let came_from = era.types.iter().find(|(_, change)| change.to.as_ref() == Some(name));
    let Some((old_name, change)) = came_from else {
        // Then the name was that of something else.
        return (!era.types.contains_key(name)).then(|| (name.clone(), Arc::clone(view)));
    };
    if change.fields.is_empty() {
        return Some((old_name.clone(), Arc::clone(view)));
    }
    let fields = view.fields.iter().map(|field| field_before(field.as_ref()?, change)).collect();
    Some((old_name.clone(), Arc::new(View { resource: view.resource, fields })))
}

fn field_before(field: &FieldView, change: &TypeChange) -> Option<FieldView> {
    let came_from = change.fields.iter().find(|(_, change)| change.to.as_ref() == Some(&field.name));
    let Some((old_name, change)) = came_from else {
        return (!change.fields.contains_key(&field.name)).then(|| field.clone());
    };
    let mut values = field.values.clone();
    for (old, new) in &change.values {
        let today = field.values.get(new).unwrap_or(new);
        values.insert(old.clone(), today.clone());
    }
    Some(FieldView { name: old_name.clone(), values })
}
