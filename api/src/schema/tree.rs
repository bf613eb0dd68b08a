//! Writing values that are known already, by a selection: for the types that are not rows of resources.

use serde_json::{Map, Value};

use super::document::{Operation, Selected};
use super::plan::{Key, Output};

/// Writes what is selected of a value: an object by field name, a list of such, or a leaf.
///
/// A field with arguments is looked up under `name:key` first, where `key` is its response key; see [`slot`].
pub(crate) fn write(operation: &Operation<'_>, selected: &Selected<'_>, value: &Value, out: &mut Output<'_>) {
    match value {
        Value::Object(object) => {
            let type_name = selected.fields.first().map_or("", |field| field.ty().inner_named_type().as_str());
            let type_name = object.get("__typename").and_then(Value::as_str).unwrap_or(type_name);
            write_object(operation, selected, type_name, object, out);
        }
        Value::Array(items) => out.array(items, |out, item| write(operation, selected, item, out)),
        leaf => out.raw(leaf.to_string().as_bytes()),
    }
}

fn write_object(
    operation: &Operation<'_>,
    selected: &Selected<'_>,
    type_name: &str,
    object: &Map<String, Value>,
    out: &mut Output<'_>,
) {
    let fields = operation.sub_fields(selected, type_name);
    if fields.is_empty() {
        // A leaf of a scalar type whose values are objects.
        out.raw(Value::Object(object.clone()).to_string().as_bytes());
        return;
    }
    let fields: Vec<_> = fields.into_iter().map(|field| (Key::new(field.key), field)).collect();
    out.object(&fields, |out, field| {
        if field.name == "__typename" {
            return out.text(type_name);
        }
        match object.get(&slot(field)).or_else(|| object.get(field.name)) {
            Some(value) => write(operation, field, value, out),
            None => out.null(),
        }
    });
}

/// Where the value of a field with arguments stands in its object.
pub(crate) fn slot(field: &Selected<'_>) -> String {
    format!("{}:{}", field.name, field.key)
}
