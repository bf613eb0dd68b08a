//! One typed value of a field.
//!
//! A datum has three JSON forms: what a SELECT statement yields and the log's images hold ([`Datum::from_image`],
//! [`Datum::to_image`]), what clients read ([`Datum::write_json`]), and what clients write ([`Datum::parse`]).
//! The same data has the same client JSON on every database, byte for byte, because it always passes through here.

use std::cmp::Ordering;

use serde_json::Value;
use time::macros::date;
use time::{Date, Month, OffsetDateTime};
use uuid::Uuid;

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
    /// JSON.
    Json(Value),
    /// Lists, without nulls.
    List(Vec<Datum>),
}

/// The microseconds from the year 1 to the year 9999.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

const EPOCH: Date = date!(1970 - 01 - 01);

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
            Scalar::Json => Self::Json(value.clone()),
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
            (Self::Json(value), _) => value.clone(),
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
                Self::Json(value.clone())
            }
        })
    }
}

impl FieldType {
    fn scale(&self) -> u8 {
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

/// Writes a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing to memory does not fail");
}

fn write_plain(out: &mut Vec<u8>, value: &impl std::fmt::Display) {
    use std::io::Write;
    write!(out, "{value}").expect("writing to memory does not fail");
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn write_uuid(out: &mut Vec<u8>, id: Uuid) {
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

/// Writes a whole number.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_digits(out, value.unsigned_abs(), 1);
}

/// At least so many digits, with zeros before them; at most 20, which any number fits in.
fn write_digits(out: &mut Vec<u8>, mut value: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - least)..]);
}

/// RFC 3339 in UTC with microseconds, `2026-01-31T12:00:00.000000Z`.
pub fn format_instant(micros: i64) -> String {
    let mut text = Vec::with_capacity(27);
    write_instant(&mut text, micros);
    String::from_utf8(text).expect("digits and marks are text")
}

fn write_instant(out: &mut Vec<u8>, micros: i64) {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let days = i32::try_from(micros.div_euclid(DAY)).ok();
    let date = days.and_then(|days| Date::from_julian_day(EPOCH.to_julian_day() + days).ok());
    let date = date.expect("an instant is between the years 1 and 9999");
    let time = micros.rem_euclid(DAY).unsigned_abs();
    let seconds = time / 1_000_000;
    for (value, least, mark) in [
        (u64::from(date.year().unsigned_abs()), 4, b'-'),
        (u64::from(u8::from(date.month())), 2, b'-'),
        (u64::from(date.day()), 2, b'T'),
        (seconds / 3600, 2, b':'),
        (seconds / 60 % 60, 2, b':'),
        (seconds % 60, 2, b'.'),
        (time % 1_000_000, 6, b'Z'),
    ] {
        write_digits(out, value, least);
        out.push(mark);
    }
}

/// Microseconds since 1970 of an RFC 3339 text; what is finer than a microsecond is cut off. A second 60 is none, since UTC
/// in the databases has no leap seconds.
pub fn parse_instant(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
    let [hour, minute, second] = numbers(time, b':')?;
    let end = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, offset) = rest.split_at(end);
    let micros = match fraction.strip_prefix('.') {
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some(digits) => format!("{digits:0<6}")[..6].parse().ok()?,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let offset_minutes = match offset {
        "Z" | "z" => 0,
        offset => {
            let [hours, minutes] = numbers(&offset[1..], b':')?;
            let minutes = (hours < 24 && minutes < 60).then_some(i64::from(hours) * 60 + i64::from(minutes))?;
            if offset.starts_with('-') { -minutes } else { minutes }
        }
    };
    let instant = parse_date(date)?.with_hms_micro(hour, minute, second, micros).ok()?.assume_utc();
    let micros = instant.unix_timestamp_nanos() / 1000 - i128::from(offset_minutes) * 60_000_000;
    i64::try_from(micros).ok().filter(|micros| INSTANTS.contains(micros))
}

/// The day of `YYYY-MM-DD`, of the years 1 to 9999.
fn parse_date(text: &str) -> Option<Date> {
    let (century, rest) = text.split_at_checked(2)?;
    let ([century], [year, month, day]) = (numbers(century, b'-')?, numbers(rest, b'-')?);
    let year = i32::from(century) * 100 + i32::from(year);
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok().filter(|_| year > 0)
}

/// Numbers of exactly two digits, and what stands between them.
fn numbers<const N: usize>(text: &str, separator: u8) -> Option<[u8; N]> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| byte - b'0');
    let mut found = [0; N];
    for (i, part) in text.as_bytes().chunks(3).enumerate() {
        let (tens, ones) = (digit(part.first()?)?, digit(part.get(1)?)?);
        let ends_well = if i + 1 < N { part.get(2) == Some(&separator) } else { part.len() == 2 };
        *found.get_mut(i).filter(|_| ends_well)? = tens * 10 + ones;
    }
    (text.len() == 3 * N - 1).then_some(found)
}

/// Now, in microseconds since 1970.
pub fn now_micros() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000) as i64
}

fn format_decimal(units: i64, scale: u8) -> String {
    let mut text = Vec::with_capacity(24);
    write_decimal(&mut text, units, scale);
    String::from_utf8(text).expect("digits and marks are text")
}

fn write_decimal(out: &mut Vec<u8>, units: i64, scale: u8) {
    if units < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    write_digits(out, units.unsigned_abs(), scale + 1);
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
}

/// Units of the last digit; `None` if the text is no plain decimal number, or has more digits than `scale` says.
fn parse_decimal(text: &str, scale: u8) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    if whole.is_empty() || (fraction.is_empty() && whole.len() < rest.len()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let zeros = usize::from(scale).checked_sub(fraction.len())?;
    let mut units = 0_i64;
    for byte in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', zeros)) {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        units = units.checked_mul(10)?.checked_add(digit)?;
    }
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, scale, shown) in
            [("0", 2, "0.00"), ("-0.05", 2, "-0.05"), ("12.5", 2, "12.50"), ("7", 0, "7"), ("1.500", 1, "1.5")]
        {
            assert_eq!(format_decimal(parse_decimal(text, scale).unwrap(), scale), shown);
        }
        assert_eq!(parse_decimal("999999999999999999", 0), Some(999_999_999_999_999_999));
        assert_eq!(format_decimal(-999_999_999_999_999_999, 18), "-0.999999999999999999");
        for text in ["", "-", ".5", "5.", "1e3", "1.005", "+1", " 1", "1..5", "92233720368547758.08"] {
            assert_eq!(parse_decimal(text, 2), None, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_are_as_everywhere() {
        for value in [0, 7, -10, i64::MAX, i64::MIN, 1_000_000_007] {
            let mut out = Vec::new();
            write_int(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn instants_keep_microseconds_and_are_shown_in_utc() {
        let micros = parse_instant("2026-01-31T13:00:00.1234567+01:00").unwrap();
        assert_eq!(format_instant(micros), "2026-01-31T12:00:00.123456Z");
        assert_eq!(
            format_instant(parse_instant("1969-12-31T23:59:59.999999Z").unwrap()),
            "1969-12-31T23:59:59.999999Z"
        );
        for text in [
            "2026-02-30T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00.1é",
            "2026-01-31T12:00:00.+01:00",
            "2026-01-31T12:00:00+1:00",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+01:00Z",
            "2026-01-31T1é:00:00Z",
            "+2026-01-31T12:00:00Z",
            "0000-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
        assert_eq!(parse_instant("0001-01-01T00:00:00Z"), Some(*INSTANTS.start()));
        assert_eq!(parse_instant("9999-12-31T23:59:59.999999Z"), Some(*INSTANTS.end()));
        assert_eq!(parse_instant("9999-12-31T23:59:59.999999-01:00"), None);
    }
}
