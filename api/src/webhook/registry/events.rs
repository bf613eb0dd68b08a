//! Event names → the subscription document that they are short for.
//!
//! The document names every field that the owner may name, and of related rows their id. Fields of several types that
//! have one name but different types cannot stand side by side in GraphQL (`name: String` and `name: String!`): such a
//! field gets an alias that begins with its type, `productName`.

use std::collections::{HashMap, HashSet};

use crate::auth::{Principal, rules};
use crate::catalog::{Access, Allow, Catalog, Field, FieldType, Operation, Resource, ResourceId};
use crate::log::ChangeKind;

/// Most event names of a webhook.
pub const MAX_EVENTS: usize = 100;

const ALL: &str = "*";

/// Which types the names select, in the order of the catalog.
///
/// # Errors
/// The index of each name that selects nothing, and why.
pub fn resources(catalog: &Catalog, names: &[String]) -> Result<Vec<ResourceId>, Vec<(usize, String)>> {
    let mut selected = HashSet::new();
    let mut errors = Vec::new();
    for (i, name) in names.iter().enumerate() {
        match parse(catalog, name) {
            Ok(Some(id)) => {
                selected.insert(id);
            }
            Ok(None) => selected.extend(catalog.resources().map(|(id, _)| id)),
            Err(message) => errors.push((i, message)),
        }
    }
    if errors.is_empty() {
        Ok(catalog.resources().map(|(id, _)| id).filter(|id| selected.contains(id)).collect())
    } else {
        Err(errors)
    }
}

/// The type of a name; `None` for `*`.
fn parse(catalog: &Catalog, name: &str) -> Result<Option<ResourceId>, String> {
    if name == ALL {
        return Ok(None);
    }
    let wrong = || "write an event such as product.created or order_line.*, or * for all".to_owned();
    let (prefix, verb) = name.split_once('.').ok_or_else(wrong)?;
    if verb != ALL && !ChangeKind::ALL.iter().any(|kind| kind.verb() == verb) {
        return Err(wrong());
    }
    match catalog.find_prefix(prefix) {
        Some(id) => Ok(Some(id)),
        None => {
            let prefixes: Vec<_> = catalog.resources().map(|(_, resource)| resource.prefix.as_str()).collect();
            Err(format!("there is no type {prefix}; there are {}", prefixes.join(", ")))
        }
    }
}

/// The document. The names must have been checked by [`resources`].
pub fn document(catalog: &Catalog, names: &[String], selected: &[ResourceId], principal: &Principal) -> String {
    let events: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let mut out = format!(
        "subscription {{\n  changes(events: [{}]) {{\n    id cursor kind type nodeId version changedFields occurredAt \
         transactionId transition position by\n",
        events.join(", ")
    );
    let types: Vec<_> = selected.iter().map(|id| Type::new(catalog, *id, principal)).collect();
    let after = Aliases::new(types.iter().map(|t| t.after.as_slice()));
    let before = Aliases::new(types.iter().map(|t| t.before.as_slice()));
    for t in &types {
        out.push_str(&format!("    ... on {}Change {{\n", t.resource.name));
        out.push_str(&format!("      after {{ {} }}\n", after.selection(t.resource, &t.after)));
        out.push_str(&format!("      before {{ {} }}\n    }}\n", before.selection(t.resource, &t.before)));
    }
    out.push_str("  }\n}\n");
    out
}

/// A selected type with the fields of its two images.
struct Type<'a> {
    resource: &'a Resource,
    after: Vec<Selected>,
    before: Vec<Selected>,
}

/// One field of a selection.
struct Selected {
    name: String,
    /// Two fields of one name may stand side by side if these are equal.
    shape: String,
    /// What is selected of the object that it yields.
    of_object: &'static str,
}

impl<'a> Type<'a> {
    fn new(catalog: &'a Catalog, id: ResourceId, principal: &Principal) -> Self {
        let resource = catalog.resource(id);
        let (mut after, mut before) = (Vec::new(), Vec::new());
        for (field_id, field) in resource.columns() {
            if field.private || !rules::may_name(catalog, id, field_id, principal) {
                continue;
            }
            let is_required = !field.nullable && field.rules.is_none();
            match field.to_one() {
                Some(target) => {
                    let is_visible = is_public(catalog.resource(target))
                        || matches!(resource.access, Access::Inherit(via) if via == field_id);
                    after.push(Selected {
                        name: field.name.clone(),
                        shape: format!("object {}", is_required && is_visible),
                        of_object: " { id }",
                    });
                    let name = format!("{}Id", field.name);
                    before.push(Selected { name, shape: format!("id {is_required}"), of_object: "" });
                }
                None => {
                    let selected = || Selected { name: field.name.clone(), shape: shape(field), of_object: "" };
                    after.push(selected());
                    before.push(selected());
                }
            }
        }
        Self { resource, after, before }
    }
}

fn is_public(resource: &Resource) -> bool {
    let Access::Rules(rules) = &resource.access else { return false };
    rules.iter().any(|rule| matches!(rule.allow, Allow::Public) && rule.operations.contains(Operation::Read))
}

/// The type of a field that is no relation, as far as GraphQL tells types apart.
fn shape(field: &Field) -> String {
    let is_required = !field.nullable && field.rules.is_none();
    let name = match &field.ty {
        FieldType::RowId | FieldType::ToOne { .. } | FieldType::ToMany { .. } => "id".to_owned(),
        FieldType::Scalar(scalar) => scalar.name().to_owned(),
        FieldType::Enum(id) => format!("enum {}", id.0),
        FieldType::ScalarList(scalar) => format!("list of {}", scalar.name()),
        FieldType::EnumList(id) => format!("list of enum {}", id.0),
    };
    format!("{name} {is_required}")
}

/// The names that need an alias among some types.
struct Aliases {
    ambiguous: HashSet<String>,
    taken: HashSet<String>,
}

impl Aliases {
    fn new<'s>(types: impl Iterator<Item = &'s [Selected]>) -> Self {
        let mut shapes = HashMap::new();
        let mut ambiguous = HashSet::new();
        for selected in types.flatten() {
            let shape = shapes.entry(selected.name.clone()).or_insert(&selected.shape);
            if **shape != selected.shape {
                ambiguous.insert(selected.name.clone());
            }
        }
        Self { ambiguous, taken: shapes.into_keys().collect() }
    }

    fn selection(&self, resource: &Resource, fields: &[Selected]) -> String {
        let field = |selected: &Selected| match self.ambiguous.contains(&selected.name) {
            true => format!("{}: {}{}", self.alias(resource, &selected.name), selected.name, selected.of_object),
            false => format!("{}{}", selected.name, selected.of_object),
        };
        fields.iter().map(field).collect::<Vec<_>>().join(" ")
    }

    fn alias(&self, resource: &Resource, name: &str) -> String {
        let (first, rest) = name.split_at(1);
        let mut alias = format!("{}{}{rest}", resource.singular, first.to_ascii_uppercase());
        while self.taken.contains(&alias) {
            alias.push('_');
        }
        alias
    }
}
