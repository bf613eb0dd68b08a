//! An operation with the values of its variables: which fields it selects, and with which arguments.

use apollo_compiler::ast::{OperationType, Type, Value as Literal};
use apollo_compiler::executable::{self, DirectiveList, Field, Selection, SelectionSet};
use apollo_compiler::parser::SourceMap;
use apollo_compiler::{Name, Node};
use serde_json::{Map, Value};

use super::error::{ErrorCode, GraphqlError, Location};
use super::literals::Literals;
use super::visit::visit;
use super::{Documents, Prepared, variables};
use crate::schema::OperationKind;

/// One operation with coerced variables: what execution works on.
#[derive(Debug)]
pub struct Operation<'d> {
    documents: &'d Documents,
    prepared: &'d Prepared,
    definition: &'d executable::Operation,
    variables: Map<String, Value>,
}

/// Fields of one response key, whose selections are merged.
#[derive(Debug, Clone)]
pub struct Selected<'d> {
    /// The response key.
    pub key: &'d str,
    /// The name of the field.
    pub name: &'d str,
    /// At least one. All have the same name and arguments, by validation.
    pub fields: Vec<&'d Field>,
    sources: &'d SourceMap,
}

impl<'d> Selected<'d> {
    /// The type that the schema gives it.
    pub fn ty(&self) -> &'d Type {
        self.fields.first().expect("a field is selected at least once").ty()
    }

    /// Where the first of the fields stands.
    pub fn location(&self) -> Location {
        let start = self.fields.first().and_then(|field| field.response_key().location());
        Location::of(start, self.sources).expect("a parsed document knows where its fields are")
    }
}

impl<'d> Operation<'d> {
    /// The operation with this name, or the only one, with the variables coerced as the specification's
    /// CoerceVariableValues says. All that is wrong with the variables is reported.
    pub fn new(
        documents: &'d Documents,
        prepared: &'d Prepared,
        name: Option<&str>,
        variables: &Map<String, Value>,
    ) -> Result<Self, Vec<GraphqlError>> {
        let definition = prepared.operation(name).map_err(|error| vec![error])?;
        let sources = &prepared.document.sources;
        let variables = variables::coerce(&documents.schema, sources, definition, variables)?;
        let operation = Self { documents, prepared, definition, variables };
        operation.check_conditions().map_err(|error| vec![error])?;
        Ok(operation)
    }

    /// Whether it reads, writes or follows.
    pub fn kind(&self) -> OperationKind {
        match self.definition.operation_type {
            OperationType::Query => OperationKind::Query,
            OperationType::Mutation => OperationKind::Mutation,
            OperationType::Subscription => OperationKind::Subscription,
        }
    }

    /// Where a field of the operation stands.
    pub fn location(&self, field: &Field) -> Location {
        let start = field.response_key().location();
        Location::of(start, &self.prepared.document.sources).expect("a parsed document knows where its fields are")
    }

    /// What a fragment of the document selects.
    pub fn fragment(&self, name: &str) -> Option<&'d SelectionSet> {
        self.prepared.document.fragments.get(name).map(|fragment| &fragment.selection_set)
    }

    #[cfg(test)]
    /// The coerced variables; one that was left out and has no default is not among them.
    pub fn variables(&self) -> &Map<String, Value> {
        &self.variables
    }

    /// The name of the type whose fields are at the root.
    pub fn root_type(&self) -> &'d str {
        self.definition.object_type()
    }

    /// The root fields, as the specification's CollectFields says.
    pub fn root_fields(&self) -> Vec<Selected<'d>> {
        let mut collection = self.collection(self.definition.object_type());
        collection.add(&self.definition.selection_set);
        collection.selected
    }

    /// The fields of an object of this concrete type under these selected fields: merged by response key, in order,
    /// with `@skip` and `@include` applied, and only those of fragments that apply to the type.
    pub fn sub_fields(&self, parents: &Selected<'d>, type_name: &str) -> Vec<Selected<'d>> {
        let mut collection = self.collection(type_name);
        for field in &parents.fields {
            collection.add(&field.selection_set);
        }
        collection.selected
    }

    /// The field's arguments, as the specification's CoerceArgumentValues says: with defaults, also inside input
    /// objects; single values put into lists; enum values and ids as strings. What is left out stays out, and null
    /// stays null.
    pub fn arguments(&self, field: &Selected<'d>) -> Result<Map<String, Value>, GraphqlError> {
        let node = field.fields.first().expect("selected fields are never empty");
        let literals = Literals { schema: &self.documents.schema, variables: &self.variables };
        let refuse = |message: String| GraphqlError::new(ErrorCode::BadUserInput, message);
        let mut coerced = Map::new();
        for definition in &node.definition.arguments {
            let (name, ty) = (&definition.name, &definition.ty);
            let given = node.arguments.iter().find(|argument| argument.name == *name).map(|argument| &argument.value);
            let invalid = |invalid: super::literals::Invalid| {
                let location = Location::of(invalid.span, field.sources).unwrap_or_else(|| field.location());
                refuse(format!("Argument \"{name}\" has an invalid value; {}", invalid.message)).at(location)
            };
            let value = match given {
                Some(literal) => literals.coerce(ty, literal).map_err(invalid)?,
                None => None,
            };
            let value = match (value, &definition.default_value) {
                (None, Some(default)) => literals.coerce(ty, default).map_err(invalid)?,
                (value, _) => value,
            };
            match value {
                Some(value) => {
                    coerced.insert(name.to_string(), value);
                }
                None if ty.is_non_null() => {
                    let message = match given.and_then(|literal| literal.as_variable()) {
                        Some(variable) => format!(
                            "Argument \"{name}\" of required type \"{ty}\" was provided the variable \"${variable}\" \
                             which was not provided a runtime value."
                        ),
                        None => format!("Argument \"{name}\" of required type \"{ty}\" was not provided."),
                    };
                    return Err(refuse(message).at(field.location()));
                }
                None => {}
            }
        }
        Ok(coerced)
    }

    /// A nullable variable with a default may stand at `if:`, but null is no answer there.
    fn check_conditions(&self) -> Result<(), GraphqlError> {
        if !self.variables.values().any(Value::is_null) {
            return Ok(());
        }
        let document = self.prepared.document();
        let mut wrong = None;
        visit(document, &self.definition.selection_set, &mut |selection| {
            for directive in selection.directives().iter().filter(|d| matches!(&*d.name, "skip" | "include")) {
                let condition = directive.specified_argument_by_name("if");
                let variable = condition.and_then(|value| value.as_variable());
                if variable.and_then(|name| self.variables.get(name.as_str())).is_some_and(Value::is_null) {
                    wrong = wrong.or(Some(directive.location()));
                }
            }
        });
        let Some(span) = wrong else { return Ok(()) };
        let message = "Argument \"if\" of non-null type \"Boolean!\" must not be null.";
        Err(GraphqlError::new(ErrorCode::BadUserInput, message).at(Location::of(span, &document.sources)))
    }

    fn collection<'o>(&'o self, type_name: &'o str) -> Collection<'o, 'd> {
        Collection { operation: self, type_name, spread: Vec::new(), selected: Vec::new() }
    }

    fn is_included(&self, directives: &DirectiveList) -> bool {
        let holds = |name: &str| {
            let condition = directives.get(name)?.specified_argument_by_name("if")?;
            match &**condition {
                Literal::Boolean(value) => Some(*value),
                Literal::Variable(name) => self.variables.get(name.as_str())?.as_bool(),
                _ => None,
            }
        };
        holds("skip") != Some(true) && holds("include") != Some(false)
    }
}

/// CollectFields. The names are few, since aliases are limited, so a list is searched faster than a map.
struct Collection<'o, 'd> {
    operation: &'o Operation<'d>,
    type_name: &'o str,
    /// Fragments so far: a second spread of one adds nothing.
    spread: Vec<&'d Name>,
    selected: Vec<Selected<'d>>,
}

impl<'d> Collection<'_, 'd> {
    fn add(&mut self, selections: &'d SelectionSet) {
        for selection in &selections.selections {
            if !self.operation.is_included(selection.directives()) {
                continue;
            }
            match selection {
                Selection::Field(field) => self.add_field(field),
                Selection::InlineFragment(inline) => {
                    if inline.type_condition.as_ref().is_none_or(|condition| self.applies(condition)) {
                        self.add(&inline.selection_set);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let prepared = self.operation.prepared;
                    let Some(fragment) = prepared.document.fragments.get(&spread.fragment_name) else { continue };
                    if !self.spread.contains(&&spread.fragment_name) {
                        self.spread.push(&spread.fragment_name);
                        if self.applies(fragment.type_condition()) {
                            self.add(&fragment.selection_set);
                        }
                    }
                }
            }
        }
    }

    fn add_field(&mut self, field: &'d Node<Field>) {
        let key = field.response_key().as_str();
        match self.selected.iter_mut().find(|selected| selected.key == key) {
            Some(selected) => selected.fields.push(field),
            None => {
                let sources = &self.operation.prepared.document.sources;
                self.selected.push(Selected { key, name: &field.name, fields: vec![field], sources });
            }
        }
    }

    /// Whether an object of the type is one of this type, interface or union.
    fn applies(&self, condition: &Name) -> bool {
        condition == self.type_name || self.operation.documents.schema.is_subtype(condition, self.type_name)
    }
}
