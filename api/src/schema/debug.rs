//! `extensions.debug`, for those who develop against the API: how many statements a request took, and what the server
//! made of its arguments.
//!
//! It shows nothing that the client did not send, save the defaults of the schema, and is off unless a setting turns it
//! on.

use serde_json::{Map, Value, json};

use super::document::{Operation, Selected};

/// The value of `extensions`. `arguments` has the coerced arguments of every field that has some, by its path without
/// list indices: `orders.nodes.lines`. Of fields of interfaces there are those that are selected on the interface itself.
pub(crate) fn extensions(operation: &Operation<'_>, statements: u64) -> Value {
    let mut arguments = Map::new();
    add(operation, &operation.root_fields(), "", &mut arguments);
    json!({ "debug": { "statements": statements, "arguments": arguments } })
}

fn add(operation: &Operation<'_>, fields: &[Selected<'_>], above: &str, arguments: &mut Map<String, Value>) {
    for selected in fields {
        let path = if above.is_empty() { selected.key.to_owned() } else { format!("{above}.{}", selected.key) };
        if let Some(ty) = selected.fields.first().map(|field| field.ty().inner_named_type()) {
            add(operation, &operation.sub_fields(selected, ty), &path, arguments);
        }
        // An argument that cannot be read is an error of its field, which is told there.
        if let Some(coerced) = operation.arguments(selected).ok().filter(|coerced| !coerced.is_empty()) {
            arguments.insert(path, coerced.into());
        }
    }
}
