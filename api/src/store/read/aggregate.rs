//! Numbers about all rows that match: how many, sums, means, least and greatest values.
//!
//! Sums are exact, and what is not exact is rounded once: means, and sums of floats, which are added as the decimal
//! numbers that clients see. So the result does not depend on the order of the rows, nor on the database.

use super::part::{self, Joined, Of};
use super::scan::Scanner;
use crate::catalog::{Catalog, Datum, Field, FieldId, FieldType, ResourceId, Scalar};
use crate::database::{Dialect, Sql};

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

/// Adds the numbers as parts, which [`decode`] reads.
pub(super) fn push(sql: &mut Sql, catalog: &Catalog, resource: ResourceId, alias: &str, aggregates: &[Aggregate]) {
    let dialect = sql.dialect();
    let field = |id: &FieldId| catalog.resource(resource).field(*id);
    let arguments = |aggregate: &Aggregate| match aggregate {
        Aggregate::Count => 1,
        Aggregate::Sum(id) => sum_arguments(dialect, field(id)),
        Aggregate::Avg(id) => sum_arguments(dialect, field(id)) + 1,
        Aggregate::Min(id) | Aggregate::Max(id) => part::arguments(&field(id).ty),
    };
    let mut joined = Joined::open(sql, Of::One, aggregates.iter().map(arguments).sum());
    for aggregate in aggregates {
        joined.next(sql, arguments(aggregate));
        match aggregate {
            Aggregate::Count => {
                sql.push("count(*)");
            }
            Aggregate::Sum(id) => push_sum(sql, alias, field(id)),
            Aggregate::Avg(id) => {
                push_sum(sql, alias, field(id));
                sql.push(",count(").column(alias, &field(id).column).push(")");
            }
            Aggregate::Min(id) => push_extreme(sql, alias, field(id), "min("),
            Aggregate::Max(id) => push_extreme(sql, alias, field(id), "max("),
        }
    }
    joined.close(sql);
}

fn push_extreme(sql: &mut Sql, alias: &str, field: &Field, function: &str) {
    part::push(sql, &field.ty, true, |sql| {
        sql.push(function).column(alias, &field.column).push(")");
    });
}

/// Whether a sum comes in two halves: SQLite's own fails beyond 64 bits.
fn is_halved(dialect: Dialect, field: &Field) -> bool {
    dialect == Dialect::Sqlite && field.ty != FieldType::Scalar(Scalar::Float)
}

fn sum_arguments(dialect: Dialect, field: &Field) -> usize {
    if is_halved(dialect, field) { 2 } else { 1 }
}

/// Adds a sum in a form that loses nothing; for null, `!` on PostgreSQL and null on SQLite.
fn push_sum(sql: &mut Sql, alias: &str, field: &Field) {
    let is_float = field.ty == FieldType::Scalar(Scalar::Float);
    if is_halved(sql.dialect(), field) {
        sql.push("sum(").column(alias, &field.column).push(">>32),sum(");
        sql.column(alias, &field.column).push("&4294967295)");
        return;
    }
    let (before, after) = match (sql.dialect(), is_float) {
        (Dialect::Sqlite, _) => ("tandem_float_sum(", ")"),
        (Dialect::Postgres, true) => ("coalesce(CAST(sum(CAST(CAST(", " AS text) AS numeric)) AS text),'!')"),
        (Dialect::Postgres, false) => ("coalesce(CAST(sum(", ") AS text),'!')"),
    };
    sql.push(before).column(alias, &field.column).push(after);
}

/// Reads what came of the aggregates; `None` if it does not fit.
pub(super) fn decode(
    catalog: &Catalog,
    resource: ResourceId,
    aggregates: &[Aggregate],
    scanner: &mut Scanner<'_>,
) -> Option<Vec<Aggregated>> {
    let field = |id: &FieldId| catalog.resource(resource).field(*id);
    let mut all = Vec::with_capacity(aggregates.len());
    for (i, aggregate) in aggregates.iter().enumerate() {
        if i > 0 {
            scanner.separate()?;
        }
        all.push(match aggregate {
            Aggregate::Count => Some(Datum::Int(scanner.number()?)),
            Aggregate::Sum(id) => sum(field(id), scanner)?.map_or(Some(Datum::Null), Sum::shown),
            Aggregate::Avg(id) => {
                let sum = sum(field(id), scanner)?;
                scanner.separate()?;
                let count = scanner.number()?;
                sum.map_or(Some(Datum::Null), |sum| sum.mean(count))
            }
            Aggregate::Min(id) | Aggregate::Max(id) => Some(scanner.datum(&field(id).ty)?),
        });
    }
    Some(all)
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
fn sum(field: &Field, scanner: &mut Scanner<'_>) -> Option<Option<Sum>> {
    let scale = match field.ty {
        FieldType::Scalar(Scalar::Decimal { scale, .. }) => Some(scale),
        _ => None,
    };
    let units = if is_halved(scanner.dialect(), field) {
        let high = scanner.whole()?;
        scanner.separate()?;
        let (Some(high), Some(low)) = (high, scanner.whole()?) else { return Some(None) };
        (i128::from(high) << 32) + i128::from(low)
    } else {
        let Some(text) = scanner.word()? else { return Some(None) };
        if field.ty == FieldType::Scalar(Scalar::Float) {
            return Some(Some(Sum::Float(text.parse().ok()?)));
        }
        units(text, scale.unwrap_or(0))?
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
    use super::*;
    use crate::database::{Packed, packed};

    const FILE: &str = "type A @resource { price: Decimal @decimal(precision: 12, scale: 2) big: BigInt float: Float }";

    #[test]
    fn both_forms_of_a_sum_are_the_same_number() {
        let catalog = crate::catalog::parse("resources.graphql", FILE).unwrap();
        let resource = catalog.resource(catalog.find("A").unwrap());
        let read = |name, mut scanner: Scanner<'_>| {
            sum(resource.field(resource.find(name).unwrap()), &mut scanner).filter(|_| scanner.is_at_end())
        };
        let null = [Packed::Null, Packed::Null];
        let halves = |high, low| [Packed::Int(high), Packed::Int(low)];
        for (name, sqlite, postgres, shown) in [
            ("price", halves(0, 1250), "12.50", Some("12.50")),
            ("price", halves(-1, 4_294_967_291), "-0.05", Some("-0.05")),
            ("price", halves(0, 0), "0.00", Some("0.00")),
            ("price", null, "!", None),
            ("big", halves(4_294_967_294, 8_589_934_590), "18446744073709551614", Some("18446744073709551614")),
            ("big", halves(-4_294_967_296, 0), "-18446744073709551616", Some("-18446744073709551616")),
        ] {
            for scanner in [Scanner::Packed(&packed(&sqlite)), Scanner::Text(postgres)] {
                let sum = read(name, scanner).unwrap().map(Sum::shown);
                assert_eq!(sum, shown.map(|shown| Some(Datum::Text(shown.to_owned()))), "{postgres}");
            }
        }
        for scanner in [Scanner::Packed(&packed(&[Packed::Text("1e-1")])), Scanner::Text("0.100")] {
            assert_eq!(read("float", scanner), Some(Some(Sum::Float(0.1))));
        }
        assert_eq!(read("price", Scanner::Text("1.5")), None);
        assert_eq!(read("price", Scanner::Packed(&packed(&[Packed::Int(1)]))), None);
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
