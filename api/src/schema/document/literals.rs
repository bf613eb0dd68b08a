//! Values that stand in a document, or in the schema as defaults → JSON of their types.
//!
//! The input coercion of <https://spec.graphql.org/September2025/#sec-Input-Values>: single values become lists, missing
//! fields of input objects get their defaults, enum values and ids become strings. A variable that has no value is as if
//! its field were not there at all; it never becomes null, except as an item of a list.

use apollo_compiler::ast::{Type, Value as Literal};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node, Schema};
use serde_json::{Map, Number, Value};

use super::rules::is_one_of;

/// Reads literals that may hold variables.
#[derive(Clone, Copy)]
pub(super) struct Literals<'a> {
    pub schema: &'a Schema,
    /// Already coerced to the types that they were declared with.
    pub variables: &'a Map<String, Value>,
}

/// What is wrong with a literal, and where.
#[derive(Debug)]
pub(super) struct Invalid {
    pub message: String,
    pub span: Option<SourceSpan>,
}

type Coerced = Result<Option<Value>, Invalid>;

impl Literals<'_> {
    /// `None` if it is a variable without a value.
    pub(super) fn coerce(self, ty: &Type, literal: &Node<Literal>) -> Coerced {
        match (&**literal, ty) {
            (Literal::Variable(name), _) => match self.variables.get(name.as_str()) {
                Some(Value::Null) if ty.is_non_null() => {
                    Err(invalid(literal, format!("Variable \"${name}\" is null where \"{ty}\" is expected.")))
                }
                value => Ok(value.cloned()),
            },
            (Literal::Null, _) if ty.is_non_null() => {
                Err(invalid(literal, format!("Expected non-nullable type \"{ty}\" not to be null.")))
            }
            (Literal::Null, _) => Ok(Some(Value::Null)),
            (Literal::List(items), Type::List(item) | Type::NonNullList(item)) => {
                let coerced = items.iter().map(|literal| self.item(item, literal));
                Ok(Some(Value::Array(coerced.collect::<Result<_, _>>()?)))
            }
            (_, Type::List(item) | Type::NonNullList(item)) => {
                Ok(self.coerce(item, literal)?.map(|value| Value::Array(vec![value])))
            }
            (_, Type::Named(name) | Type::NonNullNamed(name)) => self.named(name, literal).map(Some),
        }
    }

    fn item(self, ty: &Type, literal: &Node<Literal>) -> Result<Value, Invalid> {
        match self.coerce(ty, literal)? {
            Some(value) => Ok(value),
            None if ty.is_non_null() => Err(missing(literal, ty)),
            None => Ok(Value::Null),
        }
    }

    fn named(self, name: &Name, literal: &Node<Literal>) -> Result<Value, Invalid> {
        let wrong = || invalid(literal, format!("{name} cannot represent value: {}", literal.serialize().no_indent()));
        match (self.schema.types.get(name), &**literal) {
            (Some(ExtendedType::InputObject(ty)), Literal::Object(fields)) => self.object(ty, fields, literal),
            (Some(ExtendedType::Enum(ty)), Literal::Enum(value)) if ty.values.contains_key(value) => {
                Ok(Value::String(value.to_string()))
            }
            (Some(ExtendedType::Scalar(_)), _) => match (name.as_str(), &**literal) {
                ("Int", Literal::Int(number)) => number.try_to_i32().map(Value::from).map_err(|_| wrong()),
                ("Float", Literal::Int(number)) => number.try_to_f64().map(Value::from).map_err(|_| wrong()),
                ("Float", Literal::Float(number)) => number.try_to_f64().map(Value::from).map_err(|_| wrong()),
                ("String" | "ID", Literal::String(text)) => Ok(Value::String(text.clone())),
                ("ID", Literal::Int(number)) => Ok(Value::String(number.as_str().to_owned())),
                ("Boolean", Literal::Boolean(value)) => Ok(Value::Bool(*value)),
                ("Int" | "Float" | "String" | "ID" | "Boolean", _) => Err(wrong()),
                _ => Ok(self.untyped(literal)?.unwrap_or_default()),
            },
            _ => Err(wrong()),
        }
    }

    fn object(
        self,
        ty: &InputObjectType,
        given: &[(Name, Node<Literal>)],
        literal: &Node<Literal>,
    ) -> Result<Value, Invalid> {
        let mut coerced = Map::new();
        for (name, field) in &ty.fields {
            let given = given.iter().find(|(key, _)| key == name).map(|(_, value)| value);
            let value = match (given, &field.default_value) {
                (Some(value), default) => match (self.coerce(&field.ty, value)?, default) {
                    (None, Some(default)) => self.coerce(&field.ty, default)?,
                    (None, None) if field.ty.is_non_null() => return Err(missing(value, &field.ty)),
                    (value, _) => value,
                },
                (None, Some(default)) => self.coerce(&field.ty, default)?,
                (None, None) if field.ty.is_non_null() => {
                    let text = format!("Field \"{name}\" of required type \"{}\" was not provided.", field.ty);
                    return Err(invalid(literal, text));
                }
                (None, None) => None,
            };
            if let Some(value) = value {
                coerced.insert(name.to_string(), value);
            }
        }
        if is_one_of(ty) {
            let mut values = coerced.iter();
            match (values.next(), values.next()) {
                (Some((name, Value::Null)), None) => {
                    return Err(invalid(literal, format!("Field \"{name}\" must be non-null.")));
                }
                (Some(_), None) if given.len() == 1 => {}
                _ => return Err(invalid(literal, one_of_message(ty))),
            }
        }
        Ok(Value::Object(coerced))
    }

    /// A value of a custom scalar.
    fn untyped(self, literal: &Node<Literal>) -> Coerced {
        let number = |text: &str| {
            text.parse::<Number>().map(Value::Number).map_err(|_| invalid(literal, format!("{text} is too large.")))
        };
        Ok(Some(match &**literal {
            Literal::Null => Value::Null,
            Literal::Boolean(value) => Value::Bool(*value),
            Literal::String(text) => Value::String(text.clone()),
            Literal::Enum(name) => Value::String(name.to_string()),
            Literal::Int(value) => number(value.as_str())?,
            Literal::Float(value) => number(value.as_str())?,
            Literal::Variable(name) => return Ok(self.variables.get(name.as_str()).cloned()),
            Literal::List(items) => {
                let items = items.iter().map(|item| Ok(self.untyped(item)?.unwrap_or_default()));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Literal::Object(fields) => {
                let mut object = Map::new();
                for (name, field) in fields {
                    if let Some(value) = self.untyped(field)? {
                        object.insert(name.to_string(), value);
                    }
                }
                Value::Object(object)
            }
        }))
    }
}

fn invalid(literal: &Node<Literal>, message: String) -> Invalid {
    Invalid { message, span: literal.location() }
}

fn missing(variable: &Node<Literal>, ty: &Type) -> Invalid {
    invalid(variable, format!("{variable} was not provided where \"{ty}\" is expected."))
}

/// What is wrong with a `@oneOf` input object that has no or several keys.
pub(super) fn one_of_message(ty: &InputObjectType) -> String {
    format!("Exactly one key must be specified for OneOf type \"{}\".", ty.name)
}
