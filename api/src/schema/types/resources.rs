//! What is read of a resource: its object type with connections, its order, its change and its snapshot.

use crate::catalog::{Catalog, Field, FieldId, FieldType, Resource, ResourceId};

use super::aggregates;
use super::builder::{Builder, Input, Output, input, output};
use super::describe::{self, a, words};
use super::names::{self, Names};
use super::shared::{self, NODE};

/// `Product`.
pub(super) fn add_object(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let public = resource.fields().filter(|(_, field)| !field.private);
    let fields = public.map(|(field_id, field)| object_field(catalog, id, field_id, field)).collect();
    builder.object(&resource.name, describe::resource(resource), &[NODE], fields);
}

fn object_field(catalog: &Catalog, owner: ResourceId, id: FieldId, field: &Field) -> Output {
    let resource = catalog.resource(owner);
    let text = describe::field(resource, id);
    match field.ty {
        FieldType::ToOne { target, .. } => {
            let nullable = names::to_one_is_nullable(catalog, owner, id);
            let target = &catalog.resource(target).name;
            let hidden = if nullable && !field.nullable { "Null for callers who may not see it." } else { "" };
            let text = describe::sentences([text.as_str(), hidden, &describe::reading(field)]);
            output(&field.name, optional(target, nullable), text)
        }
        FieldType::ToMany { target, .. } => {
            let arguments = page(catalog.resource(target));
            let target = Names::of(catalog.resource(target));
            let live = "Inside a change it is read when the change is rendered, and may be newer than the change.";
            let text = describe::sentences([text.as_str(), live, &describe::reading(field)]);
            output(&field.name, optional(&target.connection, field.rules.is_some()), text).arguments(arguments)
        }
        _ => column(catalog, owner, id, field.name.clone()),
    }
}

/// A column of an object or snapshot.
fn column(catalog: &Catalog, owner: ResourceId, id: FieldId, name: String) -> Output {
    let resource = catalog.resource(owner);
    let field = resource.field(id);
    let value = names::value_type(catalog, &field.ty).unwrap_or_default();
    let ty = match field.ty {
        FieldType::ScalarList(_) | FieldType::EnumList(_) => format!("[{value}!]"),
        _ => value.to_owned(),
    };
    let text = match field.to_one() {
        Some(target) => format!("The id of the {}.", words(&catalog.resource(target).name)),
        None => describe::field(resource, id),
    };
    output(
        name,
        optional(&ty, field.nullable || field.rules.is_some()),
        describe::sentences([text, describe::reading(field)]),
    )
}

fn optional(ty: &str, nullable: bool) -> String {
    if nullable { ty.to_owned() } else { format!("{ty}!") }
}

/// `ProductConnection` and `ProductEdge`.
pub(super) fn add_connection(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let mut fields = shared::connection_fields(&names.edge, &names.object);
    fields.push(output("totalCount", "Int!", "How many rows match on all pages, of those that the caller may see."));
    fields.push(output(
        "asOf",
        "String!",
        "The position in the log that these rows are the state of. Give it as `after` to a subscription or to \
         `changes` to continue from exactly here, without a gap and without a duplicate.",
    ));
    fields.extend(aggregates::connection_fields(&names));
    builder.object(&names.connection, format!("A page of {}.", resource.name), &[], fields);
    shared::add_edge(builder, &names.edge, &names.object);
}

/// The arguments of a connection of this resource.
pub(super) fn page(resource: &Resource) -> Vec<Input> {
    let names = Names::of(resource);
    let mut arguments = shared::page_arguments();
    arguments.push(input("filter", &names.filter, "Only rows that match."));
    arguments.push(input(
        "orderBy",
        format!("[{}!]", names.order),
        "By which fields, the first one first. Every order ends in `id`, which is also the default.",
    ));
    arguments.extend(search(resource));
    arguments
}

/// The argument `search`, for a resource that has `@search`.
fn search(resource: &Resource) -> Option<Input> {
    let searched: Vec<_> = resource.search.iter().map(|id| resource.field(*id)).collect();
    let (last, others) = searched.split_last()?;
    let others: Vec<_> = others.iter().map(|field| format!("`{}`", field.name)).collect();
    let or = if others.is_empty() { "" } else { " or " };
    let mut text = format!(
        "Only rows that hold all of these words in {}{or}`{}`, in any order. Case and accents do not matter, and each \
         word may be the beginning of a longer one. Words \"in quotes\" stand whole and in this order; so do parts of one \
         word, as in `abc-123`, whose last part may be longer. A text without words restricts nothing.",
        others.join(", "),
        last.name
    );
    if searched.iter().any(|field| field.rules.is_some()) {
        text.push_str(" FORBIDDEN for callers who may not read all of these fields.");
    }
    Some(input("search", "String", text))
}

/// `ProductOrder`.
pub(super) fn add_order(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let mut fields = Vec::new();
    for (field_id, field) in resource.fields().filter(|(_, field)| !field.private) {
        let text = describe::field(resource, field_id);
        if let Some(target) = field.to_one() {
            fields.push(input(&field.name, Names::of(catalog.resource(target)).order, text));
        } else if names::is_orderable(&field.ty) {
            fields.push(input(&field.name, shared::ORDER_DIRECTION, text));
        }
    }
    let description = format!("One field by which rows of {} are ordered, and how.", resource.name);
    builder.one_of(&names.order, description, fields);
}

/// `ProductChange` and `ProductSnapshot`.
pub(super) fn add_change(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let noun = words(&resource.name);
    let mut fields = shared::change_fields();
    fields.push(output(
        "after",
        &names.object,
        format!("The {noun} right after the change, however often it has changed since; null for DELETED and LEFT."),
    ));
    fields.push(output(
        "before",
        &names.snapshot,
        format!("The {noun} right before the change; null for CREATED, and for callers who could not see it."),
    ));
    let description = format!("A committed create, update or delete of {}.", a(&noun));
    builder.object(&names.change, description, &[shared::CHANGE], fields);

    let columns = resource.columns().filter(|(_, field)| !field.private);
    let fields = columns.map(|(field_id, field)| column(catalog, id, field_id, names::column_name(field))).collect();
    let description = format!("The own fields of {}, as they were before a change.", a(&noun));
    builder.object(&names.snapshot, description, &[], fields);
}
