//! Upserts, and mutations of many rows.

use async_graphql::{Name, Value};

use crate::catalog::{Catalog, ResourceId};

use super::builder::{Builder, Output, input, output};
use super::describe::{a, words};
use super::inputs::{create_fields, row_payload};
use super::names::{self, Names};
use super::shared;

/// Items that one mutation may have, and rows that one may match; descriptions say so, too.
pub const MAX_ITEMS: usize = 1_000;

const ALL_OR_NOTHING: &str = "All mistakes in the input; if there is one, nothing was written.";

/// All of them, as far as the resource has them.
pub(super) fn add(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    if names::has_new_row(catalog, id) {
        let text = format!("The fields of a new {}.", words(&resource.name));
        builder.input_object(&names.new_row, text, create_fields(catalog, id, None));
        add_create(builder, catalog, id, &names);
    }
    if names::has_upsert(catalog, id) {
        add_upsert(builder, catalog, id, &names);
    }
    if names::has_update(resource) {
        add_update(builder, catalog, id, &names);
    }
    add_delete(builder, catalog, id, &names);
}

fn add_upsert(builder: &mut Builder, catalog: &Catalog, id: ResourceId, names: &Names) {
    let resource = catalog.resource(id);
    let noun = words(&resource.name);
    let keys = names::by_keys(catalog, id);
    let found = keys.iter().filter(|key| !names::is_creatable_key(resource, key)).map(|key| format!("`{}`", key.name));
    let by = format!(
        "Which {noun}. If there is none, it is created; with {} it has to be there, since a create cannot set it.",
        found.collect::<Vec<_>>().join(" and ")
    );
    let create = format!("The {noun} if it is not there yet. It has the key that `by` names.");
    let update = format!("What is to change if the {noun} is there. It does not change what `by` names.");
    let mut fields = vec![
        input("by", format!("{}!", names.by), by),
        input("create", format!("{}!", names.new_row), create),
        input("update", format!("{}!", names.patch), update),
    ];
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.upsert_input, format!("{} that may be there already.", capital(&a(&noun))), fields);
    let text = format!("The updated or new {noun}, as `change.kind` says; null if there are user errors.");
    let fields = row_payload(names, &text);
    builder.object(&names.upsert_payload, format!("What came of `{}`.", names.upsert_field), &[], fields);
}

fn add_create(builder: &mut Builder, catalog: &Catalog, id: ResourceId, names: &Names) {
    let resource = catalog.resource(id);
    let mut fields = vec![
        input("items", format!("[{}!]!", names.new_row), "The new rows, at most 1,000."),
        input("mode", format!("{}!", shared::BATCH_MODE), "What becomes of the other rows when one is refused.")
            .default(Value::Enum(Name::new("ATOMIC"))),
    ];
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.create_many_input, format!("New rows of {}.", resource.name), fields);
    let rows = "The new rows, in the order of the items; null for one that was not written.";
    let errors = "All mistakes in the input. A row with one was not written; if the mode is ATOMIC, none was.";
    let fields = rows_payload(names, rows, errors);
    builder.object(&names.create_many_payload, format!("What came of `{}`.", names.create_many_field), &[], fields);
}

fn add_update(builder: &mut Builder, catalog: &Catalog, id: ResourceId, names: &Names) {
    let resource = catalog.resource(id);
    let mut fields = matching(names);
    fields.insert(1, input("patch", format!("{}!", names.patch), "What is to change in each of them."));
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.update_many_input, format!("A change to many rows of {}.", resource.name), fields);
    let rows = "The updated rows, in the order of their ids; null for one that the caller may not see any more, and none \
                if there are user errors.";
    let fields = rows_payload(names, rows, ALL_OR_NOTHING);
    builder.object(&names.update_many_payload, format!("What came of `{}`.", names.update_many_field), &[], fields);
}

fn add_delete(builder: &mut Builder, catalog: &Catalog, id: ResourceId, names: &Names) {
    let resource = catalog.resource(id);
    let mut fields = matching(names);
    fields.extend(shared::mutation_inputs());
    builder.input_object(&names.delete_many_input, format!("The end of many rows of {}.", resource.name), fields);
    let ids = "The ids of the deleted rows, in their order; none if there are user errors.";
    let mut fields = vec![output(&names.deleted_ids_field, "[ID!]!", ids)];
    fields.extend(end_of_payload(names, ALL_OR_NOTHING));
    builder.object(&names.delete_many_payload, format!("What came of `{}`.", names.delete_many_field), &[], fields);
}

fn matching(names: &Names) -> Vec<super::builder::Input> {
    let filter = "Which rows, of those that the caller may see; `{}` for all of these. It is evaluated in the transaction \
                  that writes.";
    let at_most = "If more rows match, nothing is written, and the answer is the user error TOO_MANY. At most 1,000.";
    vec![input("filter", format!("{}!", names.filter), filter), input("atMost", "Int!", at_most)]
}

fn rows_payload(names: &Names, rows: &str, user_errors: &str) -> Vec<Output> {
    let mut fields = vec![output(&names.list_field, format!("[{}]!", names.object), rows)];
    fields.extend(end_of_payload(names, user_errors));
    fields
}

fn end_of_payload(names: &Names, user_errors: &str) -> [Output; 3] {
    let changes = "The events of these rows; those of rows that were written with them have the same `transactionId`.";
    [
        output("changes", format!("[{}!]!", names.change), changes),
        output("userErrors", "[UserError!]!", user_errors),
        shared::client_mutation_id_output(),
    ]
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
