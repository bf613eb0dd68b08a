//! Event names → the subscription document that they are short for.
//!
//! The document names every field that the owner may name, and of related rows their id. Fields of several types that
//! have one name but different types cannot stand side by side in GraphQL (`name: String` and `name: String!`): such a
//! field gets an alias that begins with its type, `productName`.

use std::collections::{HashMap, HashSet};

use crate::auth::{Principal, rules};
use crate::catalog::{Catalog, Field, FieldType, Resource, ResourceId};
use crate::log::ChangeKind;
use crate::schema::types::names::{self, Names};

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
        out.push_str(&format!("    ... on {} {{\n", Names::of(t.resource).change));
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
            // Of a related row all that is asked is whether it may be null: objects may stand beside others.
            let (ty, of_object) = match field.ty {
                FieldType::ToOne { .. } => ("object".to_owned(), " { id }"),
                _ => (type_name(catalog, field), ""),
            };
            let shape = format!("{ty} {}", names::to_one_is_nullable(catalog, id, field_id));
            after.push(Selected { name: field.name.clone(), shape, of_object });
            let is_nullable = field.nullable || field.rules.is_some();
            let shape = format!("{} {is_nullable}", type_name(catalog, field));
            before.push(Selected { name: names::column_name(field), shape, of_object: "" });
        }
        Self { resource, after, before }
    }
}

/// The type of a column's values, as far as GraphQL tells types apart.
fn type_name(catalog: &Catalog, field: &Field) -> String {
    let is_list = matches!(field.ty, FieldType::ScalarList(_) | FieldType::EnumList(_));
    format!("{}{}", if is_list { "list of " } else { "" }, names::value_type(catalog, &field.ty).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use apollo_compiler::{ExecutableDocument, Schema};

    use super::*;
    use crate::schema::types;

    const SHOP: &str = include_str!("../../../../resources.graphql");

    fn shop() -> Catalog {
        crate::catalog::parse("resources.graphql", SHOP).unwrap()
    }

    fn written(catalog: &Catalog, events: &[&str], principal: &Principal) -> String {
        let names: Vec<String> = events.iter().map(|name| (*name).to_owned()).collect();
        let selected = resources(catalog, &names).unwrap();
        let document = document(catalog, &names, &selected, principal);
        let sdl = types::build(catalog).unwrap().sdl;
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").unwrap();
        if let Err(errors) = ExecutableDocument::parse_and_validate(&schema, &document, "document.graphql") {
            panic!("{document}\n{errors}");
        }
        document
    }

    #[test]
    fn a_document_names_what_its_owner_may_see() {
        let customer = Principal { sub: Some("ada".to_owned()), ..Principal::default() };
        assert_eq!(
            written(&shop(), &["order_line.created", "product.*"], &customer),
            r#"subscription {
  changes(events: ["order_line.created", "product.*"]) {
    id cursor kind type nodeId version changedFields occurredAt transactionId transition position by
    ... on ProductChange {
      after { id sku name price stock tags createdAt updatedAt version }
      before { id sku name price stock tags createdAt updatedAt version }
    }
    ... on OrderLineChange {
      after { id order { id } product { id } quantity unitPrice createdAt updatedAt version }
      before { id orderId productId quantity unitPrice createdAt updatedAt version }
    }
  }
}
"#
        );
        let editor = Principal { roles: vec!["catalog".to_owned()], ..customer };
        assert!(written(&shop(), &["product.created"], &editor).contains(" cost "));
    }

    #[test]
    fn a_document_of_all_types_is_valid() {
        let admin = Principal { is_admin: true, ..Principal::default() };
        let document = written(&shop(), &["*"], &admin);
        // The name of a customer may be null, that of a product may not.
        assert!(document.contains("customerName: name") && document.contains("productName: name"), "{document}");
        assert!(!document.contains("userId"), "{document}");
    }

    #[test]
    fn names_that_differ_in_any_way_of_a_type_stand_side_by_side() {
        let catalog = crate::catalog::parse(
            "resources.graphql",
            "enum Size { S } enum Colour { RED }
             type One @resource @auth(rules: [{ allow: PUBLIC }]) {
               a: Size! b: [Int!]! c: Int! d: One @relation(onDelete: SET_NULL) e: Decimal! @decimal(precision: 9, scale: 1)
               f: Two @relation(onDelete: SET_NULL) twoA: Int
             }
             type Two @resource @auth(rules: [{ allow: PUBLIC }]) {
               a: Colour! b: Int! c: Int d: String e: Decimal! @decimal(precision: 9, scale: 2)
               f: One @relation(onDelete: SET_NULL)
             }",
        )
        .unwrap_or_else(|errors| panic!("{errors:?}"));
        let document = written(&catalog, &["*"], &Principal::anonymous());
        for expected in ["oneA: a", "oneB: b", "oneC: c", "oneD: d { id }", "twoA_: a", "twoD: d", " e ", " f { id }"] {
            assert!(document.contains(expected), "{expected} in {document}");
        }
    }

    #[test]
    fn names_of_nothing_are_refused_one_by_one() {
        let names: Vec<String> =
            ["product.*", "product", "product.changed", "nobody.created", "*.created", "", "**", "order_line.deleted"]
                .map(str::to_owned)
                .into();
        let errors = resources(&shop(), &names).unwrap_err();
        assert_eq!(errors.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert!(errors[2].1.contains("there are customer, product, order, order_line"), "{}", errors[2].1);
    }
}
