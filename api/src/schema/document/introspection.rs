//! Introspection: `__schema` and `__type`, read from the schema that documents are validated against.
//!
//! <https://spec.graphql.org/September2025/#sec-Introspection>. Lists are in the order of the SDL. What a request can ask
//! for is bounded by the limits on depth, aliases and nested lists.

use apollo_compiler::ast::{DirectiveList, FieldDefinition, InputValueDefinition, Type};
use apollo_compiler::collections::HashMap;
use apollo_compiler::schema::{DirectiveDefinition, EnumValueDefinition, ExtendedType, Implementers};
use apollo_compiler::{Name, Node, Schema};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Documents;
use super::error::request_error;
use super::operation::{Operation, Selected};
use crate::schema::{Request, Response};

impl Documents {
    /// Runs the request if its operation asks for nothing but introspection; `None` if it is for execution.
    ///
    /// Costs a search in the text if the document does not mention introspection.
    pub fn introspect(&self, request: &Request) -> Option<Response> {
        if !mentions_introspection(&request.query) {
            return None;
        }
        let prepared = match self.prepare(&request.query) {
            Ok(prepared) => prepared,
            Err(errors) => return Some(request_error(&errors)),
        };
        let operation = Operation::new(self, &prepared, request.operation_name.as_deref(), &request.variables);
        let operation = match operation {
            Ok(operation) => operation,
            Err(errors) => return Some(request_error(&errors)),
        };
        let fields = operation.root_fields();
        let is_introspection = |field: &Selected<'_>| matches!(field.name, "__schema" | "__type");
        if !fields.iter().any(is_introspection) || !fields.iter().all(is_meta) {
            return None;
        }
        let mut body = b"{\"data\":".to_vec();
        serde_json::to_writer(&mut body, &self.introspect_part(&operation)).expect("JSON can be written to memory");
        body.push(b'}');
        Some(Response { body: Bytes::from(body), is_request_error: false })
    }

    /// The values of `__schema`, `__type` and the root's `__typename` by response key, for an operation that may have
    /// other root fields too.
    pub fn introspect_part(&self, operation: &Operation<'_>) -> Map<String, Value> {
        let introspection =
            Introspection { schema: &self.schema, implementers: self.schema.implementers_map(), operation };
        let fields = operation.root_fields();
        let value = |field: &Selected<'_>| match field.name {
            "__schema" => introspection.schema(field),
            "__type" => {
                let arguments = operation.arguments(field).unwrap_or_default();
                let name = arguments.get("name").and_then(Value::as_str).unwrap_or_default();
                introspection.named(name, field)
            }
            _ => json!(operation.root_type()),
        };
        fields.iter().filter(|field| is_meta(field)).map(|field| (field.key.to_owned(), value(field))).collect()
    }
}

/// Whether the text may select `__schema` or `__type`.
fn mentions_introspection(query: &str) -> bool {
    let mut types = query.match_indices("__type").map(|(start, name)| &query[start + name.len()..]);
    query.contains("__schema") || types.any(|rest| !rest.starts_with("name"))
}

fn is_meta(field: &Selected<'_>) -> bool {
    field.name.starts_with("__")
}

/// Types as values, by what an operation selects of them.
struct Introspection<'o> {
    schema: &'o Schema,
    implementers: HashMap<Name, Implementers>,
    operation: &'o Operation<'o>,
}

/// Scalars that are there whether or not something uses them.
const ALWAYS: [&str; 2] = ["String", "Boolean"];

impl Introspection<'_> {
    /// The object with what is selected of it.
    fn object(&self, selected: &Selected<'_>, ty: &str, value: impl Fn(&Selected<'_>) -> Value) -> Value {
        let fields = self.operation.sub_fields(selected, ty);
        let value = |field: &Selected<'_>| if field.name == "__typename" { json!(ty) } else { value(field) };
        fields.iter().map(|field| (field.key.to_owned(), value(field))).collect()
    }

    fn schema(&self, selected: &Selected<'_>) -> Value {
        let definition = &self.schema.schema_definition;
        let root = |name: &Option<apollo_compiler::schema::ComponentName>, field: &Selected<'_>| {
            name.as_ref().map_or(Value::Null, |name| self.named(name, field))
        };
        self.object(selected, "__Schema", |field| match field.name {
            "description" => json!(definition.description.as_deref()),
            "types" => {
                let types = self.schema.types.iter().filter(|(name, ty)| !self.is_spare(name, ty));
                types.map(|(_, ty)| self.definition(ty, field)).collect()
            }
            "queryType" => root(&definition.query, field),
            "mutationType" => root(&definition.mutation, field),
            "subscriptionType" => root(&definition.subscription, field),
            _ => self.schema.directive_definitions.values().map(|directive| self.directive(directive, field)).collect(),
        })
    }

    /// A built-in scalar that nothing in the schema uses.
    fn is_spare(&self, name: &Name, ty: &ExtendedType) -> bool {
        let is_used = |ty: &Type| ty.inner_named_type() == name;
        let takes = |arguments: &[Node<InputValueDefinition>]| arguments.iter().any(|argument| is_used(&argument.ty));
        let in_field = |field: &FieldDefinition| is_used(&field.ty) || takes(&field.arguments);
        let uses = |ty: &ExtendedType| match ty {
            ExtendedType::Object(ty) => ty.fields.values().any(|field| in_field(field)),
            ExtendedType::Interface(ty) => ty.fields.values().any(|field| in_field(field)),
            ExtendedType::InputObject(ty) => ty.fields.values().any(|field| is_used(&field.ty)),
            ExtendedType::Scalar(_) | ExtendedType::Union(_) | ExtendedType::Enum(_) => false,
        };
        ty.is_scalar() && ty.is_built_in() && !ALWAYS.contains(&name.as_str()) && !self.schema.types.values().any(uses)
    }

    fn named(&self, name: &str, selected: &Selected<'_>) -> Value {
        self.schema.types.get(name).map_or(Value::Null, |ty| self.definition(ty, selected))
    }

    /// A type with its wrappers.
    fn reference(&self, ty: &Type, selected: &Selected<'_>) -> Value {
        let wrapped = |kind: &str, inner: &Type| {
            self.object(selected, "__Type", |field| match field.name {
                "kind" => json!(kind),
                "ofType" => self.reference(inner, field),
                _ => Value::Null,
            })
        };
        match ty {
            Type::Named(name) => self.named(name, selected),
            Type::List(item) => wrapped("LIST", item),
            Type::NonNullNamed(name) => wrapped("NON_NULL", &Type::Named(name.clone())),
            Type::NonNullList(item) => wrapped("NON_NULL", &Type::List(item.clone())),
        }
    }

    fn definition(&self, ty: &ExtendedType, selected: &Selected<'_>) -> Value {
        self.object(selected, "__Type", |field| match field.name {
            "kind" => json!(kind(ty)),
            "name" => json!(ty.name().as_str()),
            "description" => json!(ty.description().map(|text| text.as_str())),
            "specifiedByURL" => specified_by(ty),
            "fields" => self.fields(ty, field),
            "interfaces" => match ty {
                ExtendedType::Object(ty) => {
                    ty.implements_interfaces.iter().map(|name| self.named(name, field)).collect()
                }
                ExtendedType::Interface(ty) => {
                    ty.implements_interfaces.iter().map(|name| self.named(name, field)).collect()
                }
                _ => Value::Null,
            },
            "possibleTypes" => self.possible_types(ty, field),
            "enumValues" => match ty {
                ExtendedType::Enum(ty) => {
                    let values = ty.values.values().filter(|value| self.is_shown(&value.directives, field));
                    values.map(|value| self.enum_value(value, field)).collect()
                }
                _ => Value::Null,
            },
            "inputFields" => match ty {
                ExtendedType::InputObject(ty) => self.inputs(ty.fields.values().map(|input| &input.node), field),
                _ => Value::Null,
            },
            "isOneOf" => match ty {
                ExtendedType::InputObject(ty) => json!(super::rules::is_one_of(ty)),
                _ => Value::Null,
            },
            _ => Value::Null,
        })
    }

    fn fields(&self, ty: &ExtendedType, selected: &Selected<'_>) -> Value {
        let fields = match ty {
            ExtendedType::Object(ty) => &ty.fields,
            ExtendedType::Interface(ty) => &ty.fields,
            _ => return Value::Null,
        };
        // `__typename` and its kind are not listed.
        let fields = fields.values().filter(|field| !field.name.starts_with("__"));
        let shown = fields.filter(|field| self.is_shown(&field.directives, selected));
        let object = |definition: &FieldDefinition| {
            self.object(selected, "__Field", |field| match field.name {
                "name" => json!(definition.name.as_str()),
                "description" => json!(definition.description.as_deref()),
                "args" => self.inputs(definition.arguments.iter(), field),
                "type" => self.reference(&definition.ty, field),
                _ => deprecation(&definition.directives, field),
            })
        };
        shown.map(|field| object(field)).collect()
    }

    fn possible_types(&self, ty: &ExtendedType, selected: &Selected<'_>) -> Value {
        match ty {
            // In the order of the SDL, which the map of implementers does not keep.
            ExtendedType::Interface(ty) => {
                let Some(implementers) = self.implementers.get(&ty.name) else { return json!([]) };
                let names = self.schema.types.keys().filter(|name| implementers.objects.contains(*name));
                names.map(|name| self.named(name, selected)).collect()
            }
            ExtendedType::Union(ty) => ty.members.iter().map(|name| self.named(name, selected)).collect(),
            _ => Value::Null,
        }
    }

    fn inputs<'a>(
        &self,
        inputs: impl Iterator<Item = &'a Node<InputValueDefinition>>,
        selected: &Selected<'_>,
    ) -> Value {
        let object = |input: &InputValueDefinition| {
            self.object(selected, "__InputValue", |field| match field.name {
                "name" => json!(input.name.as_str()),
                "description" => json!(input.description.as_deref()),
                "type" => self.reference(&input.ty, field),
                "defaultValue" => {
                    json!(input.default_value.as_ref().map(|value| value.serialize().no_indent().to_string()))
                }
                _ => deprecation(&input.directives, field),
            })
        };
        inputs.filter(|input| self.is_shown(&input.directives, selected)).map(|input| object(input)).collect()
    }

    fn enum_value(&self, value: &EnumValueDefinition, selected: &Selected<'_>) -> Value {
        self.object(selected, "__EnumValue", |field| match field.name {
            "name" => json!(value.value.as_str()),
            "description" => json!(value.description.as_deref()),
            _ => deprecation(&value.directives, field),
        })
    }

    fn directive(&self, directive: &DirectiveDefinition, selected: &Selected<'_>) -> Value {
        self.object(selected, "__Directive", |field| match field.name {
            "name" => json!(directive.name.as_str()),
            "description" => json!(directive.description.as_deref()),
            "isRepeatable" => json!(directive.repeatable),
            "locations" => directive.locations.iter().map(|location| location.name()).collect(),
            _ => self.inputs(directive.arguments.iter(), field),
        })
    }

    /// Whether something is in a list: it is not deprecated, or the deprecated ones are asked for as well.
    fn is_shown(&self, directives: &DirectiveList, list: &Selected<'_>) -> bool {
        !directives.has("deprecated") || {
            let arguments = self.operation.arguments(list).unwrap_or_default();
            arguments.get("includeDeprecated").and_then(Value::as_bool) == Some(true)
        }
    }
}

fn kind(ty: &ExtendedType) -> &'static str {
    match ty {
        ExtendedType::Scalar(_) => "SCALAR",
        ExtendedType::Object(_) => "OBJECT",
        ExtendedType::Interface(_) => "INTERFACE",
        ExtendedType::Union(_) => "UNION",
        ExtendedType::Enum(_) => "ENUM",
        ExtendedType::InputObject(_) => "INPUT_OBJECT",
    }
}

fn specified_by(ty: &ExtendedType) -> Value {
    let directive = ty.directives().get("specifiedBy");
    let url = directive.and_then(|directive| directive.specified_argument_by_name("url")?.as_str());
    json!(url)
}

/// `isDeprecated` or `deprecationReason`.
fn deprecation(directives: &DirectiveList, field: &Selected<'_>) -> Value {
    const NO_REASON: &str = "No longer supported";
    let directive = directives.get("deprecated");
    if field.name == "isDeprecated" {
        return json!(directive.is_some());
    }
    let reason = |directive: &apollo_compiler::ast::Directive| {
        directive
            .specified_argument_by_name("reason")
            .map_or(NO_REASON, |reason| reason.as_str().unwrap_or(NO_REASON))
            .to_owned()
    };
    json!(directive.map(|directive| reason(directive)))
}
