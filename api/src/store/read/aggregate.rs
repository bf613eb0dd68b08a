//! Numbers about all rows that match: how many, sums, means, least and greatest values.
//!
//! Sums are exact, and what is not exact is rounded once: means, and sums of floats, which are added as the decimal
//! numbers that clients see. So the result does not depend on the order of the rows, nor on the database.

use serde_json::Value;

use crate::catalog::{Catalog, Datum, Field, FieldId, FieldType, ResourceId, Scalar};
use crate::database::{Dialect, Sql};
use crate::store::columns;

/// Digits that the mean of Decimals has after the point, beyond those of the field.
pub const MEAN_EXTRA_DIGITS: u8 = 6;

/// One number, or least or greatest value. Null values do not count, save for [`Aggregate::Count`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The number of rows.
    Count,
    /// Of an Int, BigInt, Decimal or Float.
    Sum(FieldId),
    /// The mean of an Int, BigInt, Decimal or Float.
    Avg(FieldId),
    /// The least value of a field whose type has an order.
    Min(FieldId),
    /// The greatest value of a field whose type has an order.
    Max(FieldId),
}

/// What came of an [`Aggregate`]: null if there was no value. A sum of whole numbers, and a sum or a mean of Decimals, is a
/// [`Datum::Text`], for it may have more digits than a field can hold. `None` if it is beyond the greatest Float.
pub type Aggregated = Option<Datum>;

/// Adds a JSON array of what [`decode`] reads.
pub(super) fn push(sql: &mut Sql, catalog: &Catalog, resource: ResourceId, alias: &str, aggregates: &[Aggregate]) {
    let array = columns::array_function(sql.dialect());
    let field = |id: &FieldId| catalog.resource(resource).field(*id);
    sql.push(array).push("(");
    sql.list(",", aggregates, |sql, aggregate| match aggregate {
        Aggregate::Count => {
            sql.push("count(*)");
        }
        Aggregate::Sum(id) => push_sum(sql, alias, field(id)),
        Aggregate::Avg(id) => {
            sql.push(array).push("(");
            push_sum(sql, alias, field(id));
            sql.push(",count(").column(alias, &field(id).column).push("))");
        }
        Aggregate::Min(id) => push_extreme(sql, alias, field(id), "min("),
        Aggregate::Max(id) => push_extreme(sql, alias, field(id), "max("),
    });
    sql.push(")");
}

fn push_extreme(sql: &mut Sql, alias: &str, field: &Field, function: &str) {
    columns::push_json_of(sql, &field.ty, &|sql| {
        sql.push(function).column(alias, &field.column).push(")");
    });
}

/// Adds a sum in a form that loses nothing. SQLite's own fails beyond 64 bits: it adds the halves of the numbers.
fn push_sum(sql: &mut Sql, alias: &str, field: &Field) {
    match (sql.dialect(), &field.ty) {
        (Dialect::Sqlite, FieldType::Scalar(Scalar::Float)) => {
            sql.push("tandem_float_sum(").column(alias, &field.column).push(")");
        }
        (Dialect::Sqlite, _) => {
            sql.push("json_array(sum(").column(alias, &field.column).push(">>32),sum(");
            sql.column(alias, &field.column).push("&4294967295))");
        }
        (Dialect::Postgres, FieldType::Scalar(Scalar::Float)) => {
            sql.push("CAST(sum(CAST(CAST(").column(alias, &field.column).push(" AS text) AS numeric)) AS text)");
        }
        (Dialect::Postgres, _) => {
            sql.push("CAST(sum(").column(alias, &field.column).push(") AS text)");
        }
    }
}

/// Reads what came of the aggregates; `None` if it does not fit.
pub(super) fn decode(
    catalog: &Catalog,
    resource: ResourceId,
    aggregates: &[Aggregate],
    value: &Value,
) -> Option<Vec<Aggregated>> {
    let values = value.as_array().filter(|values| values.len() == aggregates.len())?;
    let ty = |id: &FieldId| &catalog.resource(resource).field(*id).ty;
    let one = |(aggregate, value): (&Aggregate, &Value)| {
        Some(match aggregate {
            Aggregate::Count => Some(Datum::Int(value.as_i64()?)),
            Aggregate::Sum(id) => sum(ty(id), value)?.map_or(Some(Datum::Null), |sum| sum.shown()),
            Aggregate::Avg(id) => {
                let parts = value.as_array()?;
                let count = parts.get(1)?.as_i64()?;
                sum(ty(id), parts.first()?)?.map_or(Some(Datum::Null), |sum| sum.mean(count))
            }
            Aggregate::Min(id) | Aggregate::Max(id) => Some(Datum::from_image(ty(id), value)?),
        })
    };
    aggregates.iter().zip(values).map(one).collect()
}

/// A sum of at least one value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sum {
    /// Of whole numbers.
    Whole(i128),
    /// Of Decimals, in units of the last digit.
    Decimal { units: i128, scale: u8 },
    /// Of Floats; infinite if it is beyond the greatest one.
    Float(f64),
}

/// The outer `None`: it does not fit; the inner one: there was no value.
fn sum(ty: &FieldType, value: &Value) -> Option<Option<Sum>> {
    if value.is_null() {
        return Some(None);
    }
    if *ty == FieldType::Scalar(Scalar::Float) {
        return Some(Some(Sum::Float(value.as_str()?.parse().ok()?)));
    }
    let scale = match ty {
        FieldType::Scalar(Scalar::Decimal { scale, .. }) => Some(*scale),
        _ => None,
    };
    let units = match value {
        Value::Array(halves) if halves.iter().all(Value::is_null) => return Some(None),
        Value::Array(halves) => {
            let half = |i: usize| halves.get(i).and_then(Value::as_i64).map(i128::from);
            (half(0)? << 32) + half(1)?
        }
        text => units(text.as_str()?, scale.unwrap_or(0))?,
    };
    Some(Some(match scale {
        Some(scale) => Sum::Decimal { units, scale },
        None => Sum::Whole(units),
    }))
}

/// Reads what PostgreSQL writes: a decimal number with exactly `scale` digits after the point.
fn units(text: &str, scale: u8) -> Option<i128> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    (places.len() == usize::from(scale)).then(|| format!("{whole}{places}").parse().ok())?
}

impl Sum {
    fn shown(self) -> Aggregated {
        match self {
            Self::Whole(units) => Some(Datum::Text(units.to_string())),
            Self::Decimal { units, scale } => Some(Datum::Text(decimal(units, scale))),
            Self::Float(float) => finite(float),
        }
    }

    fn mean(self, count: i64) -> Aggregated {
        match self {
            Self::Whole(units) => finite(units as f64 / count as f64),
            Self::Decimal { units, scale } => {
                // At most 18 digits and as many rows as a table can have: 128 bits have room for six digits more.
                let units = units * 10_i128.pow(MEAN_EXTRA_DIGITS.into());
                let count = i128::from(count);
                let (quotient, remainder) = (units / count, units % count);
                let is_half = remainder.abs() * 2 >= count;
                let away = if is_half { units.signum() } else { 0 };
                Some(Datum::Text(decimal(quotient + away, scale + MEAN_EXTRA_DIGITS)))
            }
            Self::Float(float) => finite(float / count as f64),
        }
    }
}

fn finite(float: f64) -> Aggregated {
    // Zero has no sign.
    float.is_finite().then_some(Datum::Float(float + 0.0))
}

fn decimal(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, places) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("{}{whole}{point}{places}", if units < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_a_sum_are_the_same_number() {
        let decimal = FieldType::Scalar(Scalar::Decimal { precision: 12, scale: 2 });
        let whole = FieldType::Scalar(Scalar::BigInt);
        for (ty, sqlite, postgres, shown) in [
            (&decimal, json!([0, 1250]), json!("12.50"), "12.50"),
            (&decimal, json!([-1, 4_294_967_291_i64]), json!("-0.05"), "-0.05"),
            (&decimal, json!([0, 0]), json!("0.00"), "0.00"),
            (
                &whole,
                json!([4_294_967_294_i64, 8_589_934_590_i64]),
                json!("18446744073709551614"),
                "18446744073709551614",
            ),
            (&whole, json!([-4_294_967_296_i64, 0]), json!("-18446744073709551616"), "-18446744073709551616"),
        ] {
            let sums = [sqlite, postgres].map(|value| sum(ty, &value).unwrap().unwrap().shown());
            assert_eq!(sums, [const { None }; 2].map(|_: Option<()>| Some(Datum::Text(shown.to_owned()))));
        }
        assert_eq!(sum(&whole, &json!([null, null])), Some(None));
        assert_eq!(sum(&whole, &Value::Null), Some(None));
        assert_eq!(sum(&decimal, &json!("1.5")), None);
    }

    #[test]
    fn means_are_rounded_half_away_from_zero() {
        let mean = |units, count| Sum::Decimal { units, scale: 0 }.mean(count);
        for (units, count, expected) in [
            (1, 3, "0.333333"),
            (2, 3, "0.666667"),
            (-2, 3, "-0.666667"),
            (1, 2_000_000, "0.000001"),
            (-1, 2_000_000, "-0.000001"),
            (7, 1, "7.000000"),
        ] {
            assert_eq!(mean(units, count), Some(Datum::Text(expected.to_owned())));
        }
        assert_eq!(Sum::Whole(i128::from(i64::MAX)).mean(2), Some(Datum::Float(4.611686018427388e18)));
        assert_eq!(Sum::Float(f64::INFINITY).mean(2), None);
        assert_eq!(Sum::Float(-0.0).mean(2), Some(Datum::Float(0.0)));
    }
}
