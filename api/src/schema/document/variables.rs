//! The values of variables: raw JSON → JSON of their types.
//!
//! CoerceVariableValues of <https://spec.graphql.org/September2025/#sec-Coercing-Variable-Values>, with the messages of
//! graphql-js. What comes out has the same forms as what `literals` makes.

use std::fmt::Write;

use apollo_compiler::ast::{Type, VariableDefinition};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceMap;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Node, Schema};
use serde_json::{Map, Value};

use super::error::{ErrorCode, GraphqlError, Location};
use super::literals::{Literals, one_of_message};
use super::rules::is_one_of;

/// How many errors are reported.
const MAX_ERRORS: usize = 50;
/// How much of a wrong value is quoted.
const MAX_QUOTE_CHARACTERS: usize = 100;

/// The variables that the operation declares and that have a value or a default. Others in `values` are ignored.
pub(super) fn coerce(
    schema: &Schema,
    sources: &SourceMap,
    operation: &Operation,
    values: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<GraphqlError>> {
    let mut coerced = Map::new();
    let mut errors = Vec::new();
    for variable in &operation.variables {
        let name = variable.name.as_str();
        let mut coercion = Coercion { schema, sources, variable, path: Vec::new(), errors: &mut errors };
        let value = match (values.get(name), &variable.default_value) {
            (Some(Value::Null), _) if variable.ty.is_non_null() => {
                let message = format!("Variable \"${name}\" of non-null type \"{}\" must not be null.", variable.ty);
                coercion.report(message);
                continue;
            }
            (Some(value), _) => coercion.value(&variable.ty, value),
            (None, Some(default)) => {
                let no_variables = Map::new();
                match (Literals { schema, variables: &no_variables }).coerce(&variable.ty, default) {
                    Ok(Some(value)) => value,
                    // A default holds no variables, so it always has a value.
                    Ok(None) => continue,
                    Err(invalid) => {
                        let text = format!("Variable \"${name}\" has an invalid default value; {}", invalid.message);
                        coercion.report(text);
                        continue;
                    }
                }
            }
            (None, None) if variable.ty.is_non_null() => {
                let message = format!("Variable \"${name}\" of required type \"{}\" was not provided.", variable.ty);
                coercion.report(message);
                continue;
            }
            // Left out is not the same as null.
            (None, None) => continue,
        };
        coerced.insert(name.to_owned(), value);
    }
    if errors.is_empty() { Ok(coerced) } else { Err(errors) }
}

/// The way into a value.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The coercion of one variable. Where it reports an error, its result does not matter.
struct Coercion<'a, 'e> {
    schema: &'a Schema,
    sources: &'a SourceMap,
    variable: &'a Node<VariableDefinition>,
    path: Vec<Step<'a>>,
    errors: &'e mut Vec<GraphqlError>,
}

impl<'a> Coercion<'a, '_> {
    fn value(&mut self, ty: &'a Type, value: &'a Value) -> Value {
        if value.is_null() {
            if ty.is_non_null() {
                self.refuse(value, format!("Expected non-nullable type \"{ty}\" not to be null."));
            }
            return Value::Null;
        }
        let name = match ty {
            Type::List(item) | Type::NonNullList(item) => return self.list(item, value),
            Type::Named(name) | Type::NonNullNamed(name) => name,
        };
        let coerced = match self.schema.types.get(name) {
            Some(ExtendedType::InputObject(object)) => match value {
                Value::Object(fields) => return self.object(object, fields, value),
                _ => Err(format!("Expected type \"{name}\" to be an object.")),
            },
            Some(ExtendedType::Enum(enumeration)) => match value {
                Value::String(text) if enumeration.values.contains_key(text.as_str()) => Ok(value.clone()),
                Value::String(text) => Err(format!("Value \"{text}\" does not exist in \"{name}\" enum.")),
                _ => Err(format!("Enum \"{name}\" cannot represent non-string value: {}.", quote(value))),
            },
            _ => scalar(name, value),
        };
        coerced.unwrap_or_else(|message| {
            self.refuse(value, message);
            Value::Null
        })
    }

    fn list(&mut self, item: &'a Type, value: &'a Value) -> Value {
        let Value::Array(items) = value else {
            return Value::Array(vec![self.value(item, value)]);
        };
        let coerced = items.iter().enumerate().map(|(i, value)| self.step(Step::Index(i), |c| c.value(item, value)));
        Value::Array(coerced.collect())
    }

    fn object(&mut self, ty: &'a InputObjectType, fields: &'a Map<String, Value>, whole: &Value) -> Value {
        let mut coerced = Map::new();
        for (name, field) in &ty.fields {
            let value = match (fields.get(name.as_str()), &field.default_value) {
                (Some(value), _) => self.step(Step::Key(name), |c| c.value(&field.ty, value)),
                (None, Some(default)) => {
                    let no_variables = Map::new();
                    let literals = Literals { schema: self.schema, variables: &no_variables };
                    match literals.coerce(&field.ty, default) {
                        Ok(Some(value)) => value,
                        _ => continue,
                    }
                }
                (None, None) => {
                    if field.ty.is_non_null() {
                        let text = format!("Field \"{name}\" of required type \"{}\" was not provided.", field.ty);
                        self.refuse(whole, text);
                    }
                    continue;
                }
            };
            coerced.insert(name.to_string(), value);
        }
        for name in fields.keys().filter(|name| !ty.fields.contains_key(name.as_str())) {
            self.refuse(whole, format!("Field \"{name}\" is not defined by type \"{}\".", ty.name));
        }
        if is_one_of(ty) {
            let mut given = fields.iter();
            match (given.next(), given.next()) {
                (Some((name, Value::Null)), None) => {
                    self.step(Step::Key(name), |c| {
                        c.refuse(&Value::Null, format!("Field \"{name}\" must be non-null."));
                    });
                }
                (Some(_), None) => {}
                _ => self.refuse(whole, one_of_message(ty)),
            }
        }
        Value::Object(coerced)
    }

    fn step<T>(&mut self, step: Step<'a>, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = inside(self);
        self.path.pop();
        result
    }

    fn refuse(&mut self, value: &Value, message: String) {
        // An array of a million wrong items is not worth a million messages.
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let name = &self.variable.name;
        let mut place = String::new();
        if !self.path.is_empty() {
            place = format!(" at \"{name}");
            for step in &self.path {
                match step {
                    Step::Key(key) => place.extend([".", key]),
                    Step::Index(index) => place.push_str(&format!("[{index}]")),
                }
            }
            place.push('"');
        }
        self.report(format!("Variable \"${name}\" got invalid value {}{place}; {message}", quote(value)));
    }

    fn report(&mut self, message: String) {
        if self.errors.len() < MAX_ERRORS {
            let location = Location::of(self.variable.location(), self.sources);
            self.errors.push(GraphqlError::new(ErrorCode::BadUserInput, message).at(location));
        }
    }
}

/// A value of a built-in scalar; of any other scalar, what the client sent.
fn scalar(name: &str, value: &Value) -> Result<Value, String> {
    match name {
        "Int" => match whole_number(value) {
            Some(number) => match i32::try_from(number) {
                Ok(number) => Ok(Value::from(number)),
                Err(_) => Err(format!("Int cannot represent non 32-bit signed integer value: {}", quote(value))),
            },
            None => Err(format!("Int cannot represent non-integer value: {}", quote(value))),
        },
        "Float" => match value.as_f64() {
            Some(number) => Ok(Value::from(number)),
            None => Err(format!("Float cannot represent non numeric value: {}", quote(value))),
        },
        "String" if value.is_string() => Ok(value.clone()),
        "String" => Err(format!("String cannot represent a non string value: {}", quote(value))),
        "Boolean" if value.is_boolean() => Ok(value.clone()),
        "Boolean" => Err(format!("Boolean cannot represent a non boolean value: {}", quote(value))),
        "ID" if value.is_string() => Ok(value.clone()),
        "ID" => match whole_number(value) {
            Some(number) if i64::try_from(number).is_ok() || u64::try_from(number).is_ok() => {
                Ok(Value::String(number.to_string()))
            }
            _ => Err(format!("ID cannot represent value: {}", quote(value))),
        },
        _ => Ok(value.clone()),
    }
}

/// A number without a fraction, however it is written: `1.0` is 1.
fn whole_number(value: &Value) -> Option<i128> {
    let integer = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    // Beyond 128 bits this is the greatest such number, which fits no type either.
    integer.or_else(|| value.as_f64().filter(|f| f.fract() == 0.0).map(|f| f as i128))
}

/// The beginning of a value as JSON.
fn quote(value: &Value) -> String {
    struct Quote {
        text: String,
        room: usize,
    }
    impl Write for Quote {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            for character in text.chars() {
                self.room = self.room.checked_sub(1).ok_or(std::fmt::Error)?;
                self.text.push(character);
            }
            Ok(())
        }
    }
    let mut quote = Quote { text: String::new(), room: MAX_QUOTE_CHARACTERS };
    if write!(quote, "{value}").is_err() {
        quote.text.push('…');
    }
    quote.text
}
