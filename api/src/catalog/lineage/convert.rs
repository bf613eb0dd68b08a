//! A value of an older image → one of today's type.

use serde_json::Value;

use crate::catalog::datum::{format_instant, parse_instant};
use crate::catalog::{Catalog, Datum, FieldType, ResourceId, Scalar};

/// `None` if today's type cannot hold it. What the planner widens, and what it narrows after it has looked at the rows,
/// is converted here in the same way.
pub(super) fn value(catalog: &Catalog, ty: &FieldType, value: &Value) -> Option<Datum> {
    if value.is_null() && *ty != FieldType::Scalar(Scalar::Json) {
        return Some(Datum::Null);
    }
    let item = |ty: FieldType| {
        let items = value.as_array()?.iter();
        Some(Datum::List(items.map(|v| self::value(catalog, &ty, v)).collect::<Option<_>>()?))
    };
    match ty {
        FieldType::Scalar(scalar) => scalar_value(catalog, *scalar, ty, value),
        FieldType::ScalarList(scalar) => item(FieldType::Scalar(*scalar)),
        FieldType::EnumList(id) => item(FieldType::Enum(*id)),
        FieldType::Enum(_) => parse(catalog, ty, value),
        FieldType::RowId | FieldType::ToOne { .. } | FieldType::ToMany { .. } => Datum::from_image(ty, value),
    }
}

fn scalar_value(catalog: &Catalog, scalar: Scalar, ty: &FieldType, value: &Value) -> Option<Datum> {
    match (scalar, value) {
        (Scalar::String | Scalar::Id, Value::Number(number)) => Some(Datum::Text(number.as_i64()?.to_string())),
        (Scalar::Int | Scalar::BigInt, Value::String(text)) => parse(catalog, ty, &Value::from(whole(text)?)),
        (Scalar::Int | Scalar::BigInt, Value::Number(number)) if !number.is_i64() => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= MAX_EXACT)?;
            parse(catalog, ty, &Value::from(float as i64))
        }
        (Scalar::DateTime, Value::String(date)) => Some(Datum::Instant(parse_instant(&format!("{date}T00:00:00Z"))?)),
        (Scalar::Date, Value::Number(_)) => {
            let Datum::Instant(micros) = Datum::from_image(&FieldType::Scalar(Scalar::DateTime), value)? else {
                return None;
            };
            Some(Datum::Text(format_instant(micros).chars().take("YYYY-MM-DD".len()).collect()))
        }
        (Scalar::DateTime | Scalar::Json, _) => Datum::from_image(ty, value),
        _ => parse(catalog, ty, value),
    }
}

/// Up to here every whole number is a float.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The forms of images are those that clients write, but for times and for JSON. No scalar looks at the owner.
fn parse(catalog: &Catalog, ty: &FieldType, value: &Value) -> Option<Datum> {
    Datum::parse(catalog, ResourceId(0), ty, value).ok()
}

/// `12`, or a decimal without fraction: `12.00`.
fn whole(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok())?
}
