//! Validation that apollo-compiler leaves out.
//!
//! - Variables inside lists and objects, and null as a variable's default: IsVariableUsageAllowed of
//!   <https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed>
//! - Undefined variables inside values of custom scalars
//! - Input objects that give a field twice
//! - `@oneOf` input objects
//! - Lists in the arguments of fields that merge, see `overlap`
//! - How deep introspection nests lists
//!
//! The document is valid otherwise, and its nesting is bounded by `limits`, so recursion is safe.

use std::borrow::Cow;
use std::collections::HashSet;

use apollo_compiler::ast::{Argument, InputValueDefinition, Type, Value};
use apollo_compiler::executable::{Operation, Selection};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema, introspection};

use super::MAX_ERRORS;
use super::error::{ErrorCode, GraphqlError, Location};
use super::overlap;
use super::visit::visit;

/// All violations, operation by operation.
pub(super) fn check(schema: &Schema, document: &Valid<ExecutableDocument>) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let mut rules = Rules { schema, document, operation, errors: &mut errors };
        visit(document, &operation.selection_set, &mut |selection| rules.selection(selection));
        for conflict in overlap::check(schema, document, &operation.selection_set) {
            let message = format!(
                "Fields \"{}\" conflict because they have differing arguments. Use different aliases on the fields to fetch \
                 both if this was intentional.",
                conflict.key
            );
            rules.refuse(message, conflict.span);
        }
        let introspects = operation.root_fields(document).any(|field| matches!(&*field.name, "__schema" | "__type"));
        if let Some(Err(error)) = introspects.then(|| introspection::check_max_depth(document, operation)) {
            let location = Location::of(error.location(), &document.sources);
            errors.push(GraphqlError::new(ErrorCode::ValidationFailed, error.message().to_string()).at(location));
        }
    }
    errors
}

/// Whether exactly one field of the input object has to be given.
pub(super) fn is_one_of(ty: &InputObjectType) -> bool {
    ty.directives.has("oneOf")
}

struct Rules<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    operation: &'a Operation,
    errors: &'a mut Vec<GraphqlError>,
}

/// What a value is given for.
#[derive(Clone, Copy)]
struct Position<'a> {
    /// `None` inside an object of a custom scalar, where anything may stand.
    ty: Option<&'a Type>,
    /// Whether it stands in a list that is a value of a custom scalar: it has the type of the whole, but may be null.
    in_scalar: bool,
    /// Whether a variable that is left out is replaced by a default.
    has_default: bool,
    /// The `@oneOf` input object whose field it is.
    one_of: Option<&'a InputObjectType>,
}

impl<'a> Rules<'a> {
    fn selection(&mut self, selection: &'a Selection) {
        for directive in selection.directives().iter() {
            if let Some(definition) = self.schema.directive_definitions.get(&directive.name) {
                self.arguments(&definition.arguments, &directive.arguments);
            }
        }
        if let Selection::Field(field) = selection {
            self.arguments(&field.definition.arguments, &field.arguments);
        }
    }

    fn arguments(&mut self, definitions: &'a [Node<InputValueDefinition>], arguments: &'a [Node<Argument>]) {
        for argument in arguments {
            if let Some(definition) = definitions.iter().find(|definition| definition.name == argument.name) {
                let has_default = definition.default_value.is_some();
                let position = Position { ty: Some(&definition.ty), in_scalar: false, has_default, one_of: None };
                self.value(&argument.value, position);
            }
        }
    }

    fn value(&mut self, value: &'a Node<Value>, position: Position<'a>) {
        match &**value {
            Value::Variable(name) => self.variable(name, value.location(), position),
            Value::List(items) => {
                let in_scalar = position.ty.is_some_and(|ty| !ty.is_list());
                let ty = position.ty.map(Type::item_type);
                let position = Position { ty, in_scalar, has_default: false, one_of: None };
                items.iter().for_each(|item| self.value(item, position));
            }
            Value::Object(fields) => self.object(fields, value.location(), position),
            _ => {}
        }
    }

    fn object(&mut self, fields: &'a [(Name, Node<Value>)], location: Option<SourceSpan>, position: Position<'a>) {
        let mut names = HashSet::new();
        for (name, _) in fields {
            if !names.insert(name) {
                self.refuse(format!("There can be only one input field named \"{name}\"."), name.location());
            }
        }
        let schema = self.schema;
        let ty = position.ty.and_then(|ty| schema.types.get(ty.inner_named_type()));
        let Some(ExtendedType::InputObject(ty)) = ty else {
            let anything = Position { ty: None, in_scalar: false, has_default: false, one_of: None };
            return fields.iter().for_each(|(_, value)| self.value(value, anything));
        };
        let one_of = is_one_of(ty).then_some(&**ty);
        if one_of.is_some() {
            match fields {
                [(name, value)] if value.is_null() => {
                    self.refuse(format!("Field \"{}.{name}\" must be non-null.", ty.name), value.location());
                }
                [_] => {}
                _ => self.refuse(format!("OneOf Input Object \"{}\" must specify exactly one key.", ty.name), location),
            }
        }
        for (name, value) in fields {
            if let Some(field) = ty.fields.get(name) {
                let has_default = field.default_value.is_some();
                self.value(value, Position { ty: Some(&field.ty), in_scalar: false, has_default, one_of });
            }
        }
    }

    fn variable(&mut self, name: &Name, location: Option<SourceSpan>, position: Position<'_>) {
        let Some(definition) = self.operation.variables.iter().find(|variable| variable.name == *name) else {
            let message = match &self.operation.name {
                Some(operation) => format!("Variable \"${name}\" is not defined by operation \"{operation}\"."),
                None => format!("Variable \"${name}\" is not defined."),
            };
            return self.refuse(message, location);
        };
        let expected = match position.ty {
            None => return,
            Some(ty) if position.in_scalar => Cow::Owned(ty.clone().nullable()),
            Some(ty) => Cow::Borrowed(ty),
        };
        let declared = &definition.ty;
        let has_value = definition.default_value.as_ref().is_some_and(|default| !default.is_null());
        let is_allowed = if expected.is_non_null() && !declared.is_non_null() {
            (has_value || position.has_default) && declared.is_assignable_to(&expected.as_ref().clone().nullable())
        } else {
            declared.is_assignable_to(&expected)
        };
        if !is_allowed {
            let message =
                format!("Variable \"${name}\" of type \"{declared}\" used in position expecting type \"{expected}\".");
            return self.refuse(message, location);
        }
        if let Some(ty) = position.one_of.filter(|_| !declared.is_non_null() && !has_value) {
            let message = format!(
                "Variable \"${name}\" is of type \"{declared}\" but must be non-nullable to be used for OneOf Input \
                 Object \"{}\".",
                ty.name
            );
            self.refuse(message, location);
        }
    }

    fn refuse(&mut self, message: String, location: Option<SourceSpan>) {
        let location = Location::of(location, &self.document.sources);
        let error = GraphqlError::new(ErrorCode::ValidationFailed, message).at(location);
        // Operations that share a fragment share its violations.
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}
