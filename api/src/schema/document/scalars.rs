//! Null in lists that are values of custom scalars, which apollo-compiler takes for lists of the scalar.
//!
//! What a custom scalar takes is its own affair (<https://spec.graphql.org/September2025/#sec-Scalars.Custom-Scalars>):
//! `[null]` is a value of `JSON!` that is not null. Where a scalar does not want it, whoever reads the value says so.

use std::collections::HashSet;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::Selection;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Node, Schema};

use super::visit::visit;

/// Where such nulls stand. The document may be wrong in other ways.
pub(super) fn nulls(schema: &Schema, document: &ExecutableDocument) -> HashSet<SourceSpan> {
    let mut found = HashSet::new();
    for operation in document.operations.iter() {
        for variable in &operation.variables {
            if let Some(value) = &variable.default_value {
                look(schema, &variable.ty, value, &mut found);
            }
        }
        visit(document, &operation.selection_set, &mut |selection| {
            let Selection::Field(field) = selection else { return };
            for argument in &field.arguments {
                if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                    look(schema, &definition.ty, &argument.value, &mut found);
                }
            }
        });
    }
    found
}

/// Looks for them in a value of this type.
fn look(schema: &Schema, ty: &Type, value: &Node<Value>, found: &mut HashSet<SourceSpan>) {
    match (&**value, schema.types.get(ty.inner_named_type())) {
        (Value::List(items), _) if ty.is_list() => {
            items.iter().for_each(|item| look(schema, ty.item_type(), item, found));
        }
        (Value::List(items), Some(ExtendedType::Scalar(scalar))) if !scalar.is_built_in() => {
            items.iter().for_each(|item| in_scalar(item, found));
        }
        (Value::Object(fields), Some(ExtendedType::InputObject(object))) => {
            for (name, value) in fields {
                if let Some(field) = object.fields.get(name) {
                    look(schema, &field.ty, value, found);
                }
            }
        }
        _ => {}
    }
}

/// Takes down a null, or those in a list. Objects are left alone by apollo-compiler.
fn in_scalar(value: &Node<Value>, found: &mut HashSet<SourceSpan>) {
    match &**value {
        Value::Null => found.extend(value.location()),
        Value::List(items) => items.iter().for_each(|item| in_scalar(item, found)),
        _ => {}
    }
}
