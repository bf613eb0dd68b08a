//! Values of one type of column → those of another, in SQL: how they are converted, and which do not fit.
//!
//! What is converted here in the rows, `catalog::lineage` converts in the images of older events.

use std::collections::BTreeSet;

use super::Dialect;
use super::column::{ColumnType, Item};
use super::ddl::text_literal;

/// Up to here every whole number is a float.
const MAX_EXACT: i64 = 9_007_199_254_740_992;

const DAY_MICROS: i64 = 86_400_000_000;

/// The value of a column, given as SQL, as one of the new type; `None` if the database stores both alike, or converts
/// by itself.
pub(super) fn expression(old: &ColumnType, new: &ColumnType, dialect: Dialect, value: &str) -> Option<String> {
    if old.list || new.list {
        return None;
    }
    match dialect {
        Dialect::Postgres => postgres(&old.item, &new.item, value),
        Dialect::Sqlite => sqlite(&old.item, &new.item, value),
    }
}

fn postgres(old: &Item, new: &Item, value: &str) -> Option<String> {
    Some(match (old, new) {
        (Item::Date, Item::DateTime) => format!("CAST({value} AS timestamp) AT TIME ZONE 'UTC'"),
        (Item::DateTime, Item::Date) => format!("CAST({value} AT TIME ZONE 'UTC' AS date)"),
        (Item::Int | Item::BigInt | Item::Uuid, Item::String | Item::Id) => format!("CAST({value} AS text)"),
        (Item::String | Item::Id, Item::Int) => format!("CAST({value} AS integer)"),
        (Item::String | Item::Id, Item::BigInt) => format!("CAST({value} AS bigint)"),
        (Item::String | Item::Id, Item::Uuid) => format!("CAST({value} AS uuid)"),
        _ => return None,
    })
}

fn sqlite(old: &Item, new: &Item, value: &str) -> Option<String> {
    let scaled = |from: u8, to: u8| match to.checked_sub(from) {
        Some(0) => None,
        Some(more) => Some(format!("{value} * {}", power(more))),
        None => Some(format!("{value} / {}", power(from - to))),
    };
    match (old, new) {
        (Item::Int | Item::BigInt, Item::Decimal { scale, .. }) => scaled(0, *scale),
        (Item::Decimal { scale, .. }, Item::Int | Item::BigInt) => scaled(*scale, 0),
        (Item::Decimal { scale, .. }, Item::Decimal { scale: new_scale, .. }) => scaled(*scale, *new_scale),
        (Item::Int | Item::BigInt, Item::Float) => Some(format!("CAST({value} AS REAL)")),
        (Item::Float | Item::String | Item::Id, Item::Int | Item::BigInt) => Some(format!("CAST({value} AS INTEGER)")),
        (Item::Int | Item::BigInt, Item::String | Item::Id) => Some(format!("CAST({value} AS TEXT)")),
        (Item::Date, Item::DateTime) => Some(format!("CAST(strftime('%s', {value}) AS INTEGER) * 1000000")),
        (Item::DateTime, Item::Date) => Some(format!("date({value} / 1000000, 'unixepoch')")),
        (Item::String | Item::Id, Item::Uuid) => Some(format!("unhex(replace({value}, '-', ''))")),
        (Item::Uuid, Item::String | Item::Id) => {
            let part = |from: u8, length: u8| format!("substr(hex({value}), {from}, {length})");
            let parts = [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)].join(" || '-' || ");
            Some(format!("CASE WHEN {value} IS NOT NULL THEN lower({parts}) END"))
        }
        _ => None,
    }
}

/// What is true of a value, given as SQL, that the new type cannot hold, and of no other; `None` if there are none.
/// `values` are those of the new type's enum.
pub(super) fn misfit(
    old: &ColumnType,
    new: &ColumnType,
    dialect: Dialect,
    value: &str,
    values: &BTreeSet<String>,
) -> Option<String> {
    if !old.list {
        return item_misfit(&old.item, &new.item, dialect, value, values);
    }
    // Of the items that the list has.
    let (items, item) = match (dialect, &old.item) {
        (Dialect::Sqlite, _) => (format!("json_each({value}) AS tandem_item"), "tandem_item.value".to_owned()),
        (Dialect::Postgres, Item::BigInt) => (items_of(value), "CAST(tandem_item.value AS numeric)".to_owned()),
        (Dialect::Postgres, _) => (items_of(value), "tandem_item.value".to_owned()),
    };
    let wrong = item_misfit(&old.item, &new.item, dialect, &item, values)?;
    Some(format!("EXISTS (SELECT 1 FROM {items} WHERE {wrong})"))
}

fn items_of(value: &str) -> String {
    format!("jsonb_array_elements_text({value}) AS tandem_item (value)")
}

fn item_misfit(old: &Item, new: &Item, dialect: Dialect, value: &str, values: &BTreeSet<String>) -> Option<String> {
    let beyond = |range: (i64, i64)| format!("{value} NOT BETWEEN {} AND {}", range.0, range.1);
    match (old, new) {
        (Item::BigInt, Item::Int) => Some(beyond(range_of(new))),
        (Item::BigInt, Item::Float) => Some(beyond((-MAX_EXACT, MAX_EXACT))),
        (Item::Float, Item::Int | Item::BigInt) => {
            let (least, most) = range_of(new);
            let beyond = beyond((least.max(-MAX_EXACT), most.min(MAX_EXACT)));
            Some(match dialect {
                Dialect::Postgres => format!("{beyond} OR {value} <> trunc({value})"),
                Dialect::Sqlite => format!("{beyond} OR {value} <> CAST({value} AS INTEGER)"),
            })
        }
        (Item::Int | Item::BigInt, Item::Decimal { precision, scale }) => {
            let most = power(precision - scale) - 1;
            Some(beyond((-most, most)))
        }
        (Item::Decimal { scale, .. }, Item::Int | Item::BigInt) => {
            decimal_misfit(dialect, value, *scale, 0, range_of(new))
        }
        (Item::Decimal { scale, .. }, Item::Decimal { precision, scale: new_scale }) => {
            let most = power(*precision - *new_scale) - 1;
            decimal_misfit(dialect, value, *scale, *new_scale, (-most, most))
        }
        (Item::String | Item::Id, Item::Enum(_)) => {
            let values: Vec<_> = values.iter().map(|value| text_literal(value, dialect)).collect();
            Some(format!("{value} NOT IN ({})", values.join(", ")))
        }
        (Item::String | Item::Id, Item::Int | Item::BigInt) => {
            let (least, most) = range_of(new);
            Some(match dialect {
                Dialect::Postgres => format!(
                    "CASE WHEN {value} ~ '^(0|-?[1-9][0-9]{{0,18}})$' \
                     THEN CAST({value} AS numeric) NOT BETWEEN {least} AND {most} ELSE true END"
                ),
                Dialect::Sqlite => format!(
                    "CAST(CAST({value} AS INTEGER) AS TEXT) <> {value} \
                     OR CAST({value} AS INTEGER) NOT BETWEEN {least} AND {most}"
                ),
            })
        }
        (Item::String | Item::Id, Item::Uuid) => Some(match dialect {
            Dialect::Postgres => {
                format!("{value} !~ '^[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}$'")
            }
            Dialect::Sqlite => {
                let digits = |count| "[0-9a-f]".repeat(count);
                let groups = [8, 4, 4, 4, 12].map(digits).join("-");
                format!("{value} NOT GLOB '{groups}'")
            }
        }),
        (Item::DateTime, Item::Date) => Some(match dialect {
            Dialect::Postgres => {
                format!("({value} AT TIME ZONE 'UTC') <> date_trunc('day', {value} AT TIME ZONE 'UTC')")
            }
            Dialect::Sqlite => format!("{value} % {DAY_MICROS} <> 0"),
        }),
        _ => None,
    }
}

/// `range` is in whole numbers.
fn decimal_misfit(dialect: Dialect, value: &str, scale: u8, new_scale: u8, range: (i64, i64)) -> Option<String> {
    let (least, most) = range;
    let mut wrong = Vec::new();
    match dialect {
        Dialect::Postgres => {
            wrong.push(format!("trunc({value}) NOT BETWEEN {least} AND {most}"));
            if new_scale < scale {
                wrong.push(format!("{value} <> trunc({value}, {new_scale})"));
            }
        }
        // In units of the last digit.
        Dialect::Sqlite => {
            wrong.push(format!("{value} / {} NOT BETWEEN {least} AND {most}", power(scale)));
            if let Some(fewer) = scale.checked_sub(new_scale).filter(|fewer| *fewer > 0) {
                wrong.push(format!("{value} % {} <> 0", power(fewer)));
            }
        }
    }
    Some(wrong.join(" OR "))
}

fn range_of(item: &Item) -> (i64, i64) {
    match item {
        Item::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

fn power(exponent: u8) -> i64 {
    // A Decimal has 18 digits at most.
    10_i64.pow(u32::from(exponent))
}
