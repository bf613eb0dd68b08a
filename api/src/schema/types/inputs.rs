//! What is written of a resource: keys, creates with their owned lists, patches, deletes and their payloads.

use crate::catalog::{Catalog, FieldId, FieldType, ResourceId};

use super::builder::{Builder, Input, Output, input, output};
use super::describe::{self, a, words};
use super::names::{self, Names, OwnedList};
use super::shared;

/// `ProductBy`, and the objects of its keys of several fields.
pub(super) fn add_by(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let noun = words(&resource.name);
    let mut fields = Vec::new();
    let mut composites = Vec::new();
    for key in names::by_keys(catalog, id) {
        let parts = || key.fields.iter().map(|(field, name)| (column_type(catalog, id, *field), *field, name));
        match &key.input_type {
            None => fields.extend(parts().map(|(ty, field, name)| input(name, ty, key_text(catalog, id, field)))),
            Some(ty) => {
                let text = format!("The {noun} with all of these.");
                fields.push(input(&key.name, ty, &text));
                let inner =
                    parts().map(|(ty, field, name)| input(name, format!("{ty}!"), key_text(catalog, id, field)));
                composites.push((ty.clone(), inner.collect()));
            }
        }
    }
    builder.one_of(&Names::of(resource).by, format!("Names one {noun}, by its id or by another unique key."), fields);
    for (ty, fields) in composites {
        builder.input_object(&ty, format!("A unique key of {}.", resource.name), fields);
    }
}

fn key_text(catalog: &Catalog, owner: ResourceId, id: FieldId) -> String {
    match catalog.resource(owner).field(id).to_one() {
        Some(target) => format!("The id of the {}.", words(&catalog.resource(target).name)),
        None => describe::field(catalog.resource(owner), id),
    }
}

/// The type of a column in inputs, nullable.
fn column_type(catalog: &Catalog, owner: ResourceId, id: FieldId) -> String {
    let ty = &catalog.resource(owner).field(id).ty;
    let value = names::value_type(catalog, ty).unwrap_or_default();
    match ty {
        FieldType::ScalarList(_) | FieldType::EnumList(_) => format!("[{value}!]"),
        _ => value.to_owned(),
    }
}

/// `CreateProductInput` and its payload.
pub(super) fn add_create(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let noun = words(&resource.name);
    let mut fields = create_fields(catalog, id, None);
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.create_input, format!("A new {noun}."), fields);
    let fields = row_payload(&names, &format!("The new {noun}; null if there are user errors."));
    builder.object(&names.create_payload, format!("What came of `{}`.", names.create_field), &[], fields);
}

/// `OrderLinesInput` and `OrderLinesCreateInput`, for each owned list of the resource.
pub(super) fn add_owned_lists(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    for list in names::owned_lists(catalog, id) {
        let parent = words(&catalog.resource(id).name);
        let noun = words(&catalog.resource(list.target).name);
        let items = format!("[{}!]!", list.item_type);
        let create = input("create", items, "New ones, which are created after it in this order, or none of them is.");
        builder.input_object(&list.input_type, format!("The {noun} rows of {}.", a(&parent)), vec![create]);
        let fields = create_fields(catalog, list.target, Some(&list));
        builder.input_object(&list.item_type, format!("A new {noun} of {}.", a(&parent)), fields);
    }
}

/// The columns and owned lists of a new row, without the foreign key to the row that it is created under.
pub(super) fn create_fields(catalog: &Catalog, id: ResourceId, under: Option<&OwnedList>) -> Vec<Input> {
    let resource = catalog.resource(id);
    let columns = names::creatable(resource).filter(|(field, _)| under.is_none_or(|list| list.via != *field));
    let mut fields: Vec<_> = columns
        .map(|(field_id, field)| {
            let required = if names::is_required_on_create(resource, field_id) { "!" } else { "" };
            let ty = format!("{}{required}", column_type(catalog, id, field_id));
            let set_once = if field.write_once { "It cannot be changed later." } else { "" };
            let text = [
                key_text(catalog, id, field_id),
                describe::writing(catalog, id, field_id),
                describe::default(catalog, id, field_id),
                set_once.to_owned(),
            ];
            input(names::column_name(field), ty, describe::sentences(text))
        })
        .collect();
    fields.extend(names::owned_lists(catalog, id).into_iter().map(|list| {
        let text = [&describe::field(resource, list.field), "Created in the same transaction."].map(str::to_owned);
        input(&resource.field(list.field).name, list.input_type, describe::sentences(text))
    }));
    fields
}

/// `UpdateProductInput`, `ProductPatch` and the payload, if there is a field that can be updated.
pub(super) fn add_update(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    if !names::has_update(catalog.resource(id)) {
        return;
    }
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let noun = words(&resource.name);
    let mut fields = vec![
        input("id", "ID!", format!("Which {noun}.")),
        input("patch", format!("{}!", names.patch), "What is to change."),
        if_version(),
    ];
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.update_input, format!("A change to {}.", a(&noun)), fields);

    let patch = names::patchable(resource).map(|(field_id, field)| {
        let required = if field.nullable { "" } else { "Null is answered with the user error REQUIRED." };
        let text = [key_text(catalog, id, field_id), describe::writing(catalog, id, field_id), required.to_owned()];
        input(names::column_name(field), column_type(catalog, id, field_id), describe::sentences(text))
    });
    let patch = patch.collect();
    builder.input_object(&names.patch, "New values of the fields that are given; the others stay as they are.", patch);

    let text =
        format!("The updated {noun}; on VERSION_CONFLICT the current one, otherwise null if there are user errors.");
    let fields = row_payload(&names, &text);
    builder.object(&names.update_payload, format!("What came of `{}`.", names.update_field), &[], fields);
}

/// `DeleteProductInput` and its payload.
pub(super) fn add_delete(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let noun = words(&resource.name);
    let mut fields = vec![input("id", "ID!", format!("Which {noun}.")), if_version()];
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.delete_input, format!("The end of {}.", a(&noun)), fields);
    let deleted =
        output(&names.deleted_id_field, "ID", format!("The id of the deleted {noun}; null if there are user errors."));
    let mut fields = vec![deleted];
    fields.extend(row_payload(&names, &format!("On VERSION_CONFLICT the current {noun}, otherwise null.")));
    builder.object(&names.delete_payload, format!("What came of `{}`.", names.delete_field), &[], fields);
}

fn if_version() -> Input {
    input("ifVersion", "Int", "Only if this is the row's `version`; otherwise the user error VERSION_CONFLICT.")
}

pub(super) fn row_payload(names: &Names, row: &str) -> Vec<Output> {
    vec![
        output(&names.find_field, &names.object, row),
        output("change", &names.change, "The event of this mutation; null if nothing was written."),
        shared::user_errors(),
        shared::client_mutation_id_output(),
    ]
}
