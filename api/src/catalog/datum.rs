//! One typed value of a field.
//!
//! A datum has three JSON forms: what a SELECT statement yields and the log's images hold ([`Datum::from_image`],
//! [`Datum::to_image`]), what clients read ([`Datum::write_json`]), and what clients write ([`Datum::parse`]).
//! The same data has the same client JSON on every database, byte for byte, because it always passes through here.

mod notation;

use std::cmp::Ordering;

use serde_json::Value;
use uuid::Uuid;

use notation::{INSTANTS, format_decimal, parse_date, parse_decimal, quoted, write_instant, write_plain, write_uuid};
pub use notation::{format_instant, now_micros, parse_instant, write_decimal, write_int, write_text};

use super::{Catalog, FieldType, ResourceId, Scalar, type_id};

/// A value of a [`FieldType`]. Which variants a type uses is fixed: see the comments.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// Of any nullable field.
    Null,
    /// Boolean.
    Bool(bool),
    /// Int and BigInt.
    Int(i64),
    /// Float, finite; zero has no sign.
    Float(f64),
    /// String, ID, Date (`YYYY-MM-DD`) and enum values.
    Text(String),
    /// Decimal, in units of its last digit: `12.50` of scale 2 is 1250.
    Decimal(i64),
    /// DateTime, in microseconds since 1970 in UTC.
    Instant(i64),
    /// UUID, row ids and foreign keys.
    Uuid(Uuid),
    /// JSON. Apart, since it takes three times as much as any other value, and there are thousands of values in an answer.
    Json(Box<Value>),
    /// Lists, without nulls.
    List(Vec<Datum>),
}

impl Datum {
    /// Whether it is [`Datum::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The UUID of a row id or foreign key that is not null.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            _ => None,
        }
    }

    /// The number of an Int or BigInt that is not null.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text of a String, ID, Date or enum value that is not null.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        let inside = match self {
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Decimal(_)
            | Self::Instant(_)
            | Self::Uuid(_) => 0,
            Self::Text(text) => text.len(),
            Self::Json(value) => super::json::size_bytes(value),
            Self::List(items) => items.iter().map(Self::size_bytes).sum(),
        };
        size_of::<Self>() + inside
    }

    /// A decimal of plain text; `None` if it is none or has too many digits after the point.
    pub fn decimal(text: &str, scale: u8) -> Option<Self> {
        parse_decimal(text, scale).map(Self::Decimal)
    }

    /// An instant, in microseconds since 1970; `None` if it is not between the years 1 and 9999.
    pub fn instant(micros: i64) -> Option<Self> {
        INSTANTS.contains(&micros).then_some(Self::Instant(micros))
    }

    /// Order of two values of one type, as the databases order them: text by code point, numbers as numbers.
    /// `None` if either is null or the type has no order.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b))
            | (Self::Decimal(a), Self::Decimal(b))
            | (Self::Instant(a), Self::Instant(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Uuid(a), Self::Uuid(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Reads what a SELECT statement yields for a column, or what an image of the log holds.
    ///
    /// Databases differ in how they say some types (booleans as 0 and 1, decimals as text or as units): all of these are
    /// understood. `None` if the JSON does not fit the type, which means that the data is not Tandem's.
    pub fn from_image(ty: &FieldType, value: &Value) -> Option<Self> {
        if value.is_null() && *ty != FieldType::Scalar(Scalar::Json) {
            return Some(Self::Null);
        }
        match ty {
            FieldType::RowId | FieldType::ToOne { .. } => Some(Self::Uuid(value.as_str()?.parse().ok()?)),
            FieldType::Enum(_) => Some(Self::Text(value.as_str()?.to_owned())),
            FieldType::Scalar(scalar) => Self::scalar_from_image(*scalar, value),
            FieldType::ScalarList(scalar) => {
                let items = value.as_array()?.iter();
                Some(Self::List(items.map(|v| Self::scalar_from_image(*scalar, v)).collect::<Option<_>>()?))
            }
            FieldType::EnumList(_) => {
                let items = value.as_array()?.iter();
                Some(Self::List(items.map(|v| Some(Self::Text(v.as_str()?.to_owned()))).collect::<Option<_>>()?))
            }
            FieldType::ToMany { .. } => Some(Self::Null),
        }
    }

    fn scalar_from_image(scalar: Scalar, value: &Value) -> Option<Self> {
        Some(match scalar {
            Scalar::String | Scalar::Id | Scalar::Date => Self::Text(value.as_str()?.to_owned()),
            Scalar::Int | Scalar::BigInt => Self::Int(value.as_i64()?),
            Scalar::Float => {
                let float = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
                Self::Float(Some(float).filter(|float| float.is_finite())?)
            }
            Scalar::Boolean => Self::Bool(value.as_bool().or_else(|| Some(value.as_i64()? != 0))?),
            Scalar::Decimal { scale, .. } => match value {
                Value::String(text) => Self::Decimal(parse_decimal(text, scale)?),
                other => Self::Decimal(other.as_i64()?),
            },
            Scalar::DateTime => Self::Instant(value.as_i64().filter(|micros| INSTANTS.contains(micros))?),
            Scalar::Uuid => Self::Uuid(value.as_str()?.parse().ok()?),
            Scalar::Json if value.is_null() => Self::Null,
            Scalar::Json => Self::Json(Box::new(value.clone())),
        })
    }

    /// The form of the log's images, which [`Datum::from_image`] reads again.
    pub fn to_image(&self, ty: &FieldType) -> Value {
        match (self, ty) {
            (Self::Null, _) => Value::Null,
            (Self::Bool(value), _) => Value::Bool(*value),
            (Self::Int(value) | Self::Instant(value), _) => Value::from(*value),
            (Self::Float(value), _) => Value::from(*value),
            (Self::Text(text), _) => Value::String(text.clone()),
            (Self::Decimal(units), _) => Value::String(format_decimal(*units, ty.scale())),
            (Self::Uuid(id), _) => Value::String(id.hyphenated().to_string()),
            (Self::Json(value), _) => (**value).clone(),
            (Self::List(items), _) => Value::Array(items.iter().map(|item| item.to_image(ty)).collect()),
        }
    }

    /// [`Datum::to_image`] as a JSON text.
    pub fn image_text(&self, ty: &FieldType) -> String {
        let mut text = Vec::with_capacity(32);
        self.write_image(ty, &mut text);
        String::from_utf8(text).expect("JSON is text")
    }

    /// Writes [`Datum::image_text`].
    pub fn write_image(&self, ty: &FieldType, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => write_plain(out, value),
            Self::Int(value) | Self::Instant(value) => write_int(out, *value),
            Self::Float(value) => write_plain(out, &Value::from(*value)),
            Self::Text(text) => write_text(out, text),
            Self::Decimal(units) => quoted(out, |out| write_decimal(out, *units, ty.scale())),
            Self::Uuid(id) => quoted(out, |out| write_uuid(out, *id)),
            Self::Json(value) => write_plain(out, value),
            Self::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_image(ty, out);
                }
                out.push(b']');
            }
        }
    }

    /// Writes the JSON that clients read.
    pub fn write_json(&self, ty: &FieldType, prefixes: &Prefixes<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(value) if ty.is_big_int() => quoted(out, |out| write_int(out, *value)),
            Self::Int(value) => write_int(out, *value),
            Self::Float(value) => write_plain(out, &Value::from(*value)),
            Self::Text(text) => write_text(out, text),
            Self::Decimal(units) => quoted(out, |out| write_decimal(out, *units, ty.scale())),
            Self::Instant(micros) => quoted(out, |out| write_instant(out, *micros)),
            Self::Uuid(id) => quoted(out, |out| match prefixes.of(ty) {
                Some(prefix) => type_id::write(prefix, *id, out),
                None => write_uuid(out, *id),
            }),
            Self::Json(value) => write_plain(out, value),
            Self::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_json(ty, prefixes, out);
                }
                out.push(b']');
            }
        }
    }

    /// Reads what a client wrote for a field of this type, or what the resource file says as a literal.
    ///
    /// The JSON has already the GraphQL type of the field; what GraphQL cannot check (digits of a Decimal, the range of
    /// a BigInt, the prefix of an id) is checked here. The error is a sentence for the client.
    pub fn parse(catalog: &Catalog, owner: ResourceId, ty: &FieldType, value: &Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(Self::Null);
        }
        match ty {
            FieldType::RowId => Self::parse_row_id(catalog, owner, value),
            FieldType::ToOne { target, .. } => Self::parse_row_id(catalog, *target, value),
            FieldType::Scalar(scalar) => Self::parse_scalar(*scalar, value),
            FieldType::Enum(id) => Self::parse_enum(catalog, *id, value),
            FieldType::ScalarList(scalar) => Self::parse_list(value, |item| Self::parse_scalar(*scalar, item)),
            FieldType::EnumList(id) => Self::parse_list(value, |item| Self::parse_enum(catalog, *id, item)),
            FieldType::ToMany { .. } => Err("a list of related rows is not a value".to_owned()),
        }
    }

    /// Reads one item of a list field, or a value of a field that is no list.
    pub fn parse_item(catalog: &Catalog, owner: ResourceId, ty: &FieldType, value: &Value) -> Result<Self, String> {
        match ty {
            FieldType::ScalarList(scalar) => Self::parse_scalar(*scalar, value),
            FieldType::EnumList(id) => Self::parse_enum(catalog, *id, value),
            other => Self::parse(catalog, owner, other, value),
        }
    }

    fn parse_list(value: &Value, item: impl Fn(&Value) -> Result<Self, String>) -> Result<Self, String> {
        match value {
            Value::Array(items) => Ok(Self::List(items.iter().map(item).collect::<Result<_, _>>()?)),
            // A single value stands for a list of one, as everywhere in GraphQL.
            single => Ok(Self::List(vec![item(single)?])),
        }
    }

    fn parse_enum(catalog: &Catalog, id: super::EnumId, value: &Value) -> Result<Self, String> {
        let ty = catalog.enum_type(id);
        let name = value.as_str().ok_or_else(|| format!("expected a value of {}", ty.name))?;
        if ty.values.iter().any(|v| v.name == name) {
            return Ok(Self::Text(name.to_owned()));
        }
        let allowed: Vec<_> = ty.values.iter().map(|v| v.name.as_str()).collect();
        Err(format!("{name} is no value of {}; allowed: {}", ty.name, allowed.join(", ")))
    }

    fn parse_row_id(catalog: &Catalog, resource: ResourceId, value: &Value) -> Result<Self, String> {
        let prefix = &catalog.resource(resource).prefix;
        match type_id::parse(value.as_str().unwrap_or_default()) {
            Some((found, id)) if catalog.find_prefix(found) == Some(resource) => Ok(Self::Uuid(id)),
            _ => Err(format!("expected an id that starts with {prefix}_ and has 26 more characters")),
        }
    }

    fn parse_scalar(scalar: Scalar, value: &Value) -> Result<Self, String> {
        let wrong = || format!("expected a value of type {}", scalar.name());
        Ok(match scalar {
            Scalar::String => {
                let text = value.as_str().ok_or_else(wrong)?;
                super::json::check_text(text)?;
                Self::Text(text.to_owned())
            }
            Scalar::Id => match value {
                Value::String(text) => Self::parse_scalar(Scalar::String, &Value::String(text.clone()))?,
                Value::Number(number) if number.is_i64() || number.is_u64() => Self::Text(number.to_string()),
                _ => return Err(wrong()),
            },
            Scalar::Int => {
                let number = value.as_i64().ok_or_else(wrong)?;
                Self::Int(i32::try_from(number).map_err(|_| "an Int has 32 bits".to_owned())?.into())
            }
            // SQLite gives zero no sign, so it has none anywhere.
            Scalar::Float => Self::Float(value.as_f64().filter(|f| f.is_finite()).ok_or_else(wrong)? + 0.0),
            Scalar::Boolean => Self::Bool(value.as_bool().ok_or_else(wrong)?),
            Scalar::BigInt => match value {
                Value::String(text) => {
                    Self::Int(text.parse().map_err(|_| "expected a whole number of 64 bits".to_owned())?)
                }
                other => Self::Int(other.as_i64().ok_or_else(|| "expected a whole number of 64 bits".to_owned())?),
            },
            Scalar::Decimal { precision, scale } => {
                // A JSON number that is whole is exact; any other has already been through floating point.
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) if number.is_i64() => number.to_string(),
                    _ => return Err("expected a decimal number as a string, such as \"12.50\"".to_owned()),
                };
                let limit = 10_i64.pow(precision.into());
                parse_decimal(&text, scale).filter(|units| units.abs() < limit).map(Self::Decimal).ok_or_else(|| {
                    format!(
                        "expected a decimal number with at most {} digits before and {scale} after the point",
                        precision - scale
                    )
                })?
            }
            Scalar::DateTime => Self::Instant(
                value
                    .as_str()
                    .and_then(parse_instant)
                    .ok_or("expected a date and time such as 2026-01-31T12:00:00Z")?,
            ),
            Scalar::Date => {
                let text = value.as_str().ok_or_else(wrong)?;
                parse_date(text).ok_or("expected a date such as 2026-01-31")?;
                Self::Text(text.to_owned())
            }
            Scalar::Uuid => Self::Uuid(value.as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?),
            Scalar::Json => {
                super::json::check(value)?;
                Self::Json(Box::new(value.clone()))
            }
        })
    }
}

impl FieldType {
    /// How many digits a decimal has after the point; 0 of other types.
    pub fn scale(&self) -> u8 {
        match self {
            Self::Scalar(Scalar::Decimal { scale, .. }) | Self::ScalarList(Scalar::Decimal { scale, .. }) => *scale,
            _ => 0,
        }
    }

    fn is_big_int(&self) -> bool {
        matches!(self, Self::Scalar(Scalar::BigInt) | Self::ScalarList(Scalar::BigInt))
    }
}

/// Which prefix the ids of a field have, for [`Datum::write_json`].
#[derive(Debug, Clone, Copy)]
pub struct Prefixes<'a> {
    catalog: &'a Catalog,
    owner: ResourceId,
}

impl<'a> Prefixes<'a> {
    /// For fields of the resource `owner`.
    pub fn new(catalog: &'a Catalog, owner: ResourceId) -> Self {
        Self { catalog, owner }
    }

    fn of(&self, ty: &FieldType) -> Option<&'a str> {
        match ty {
            FieldType::RowId => Some(&self.catalog.resource(self.owner).prefix),
            FieldType::ToOne { target, .. } => Some(&self.catalog.resource(*target).prefix),
            _ => None,
        }
    }
}
