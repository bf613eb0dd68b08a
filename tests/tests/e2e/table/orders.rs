//! Orders: every type of field that has one, both directions, with nulls and ties, and through relations.

use super::shelf::Row;
use super::values::{COLUMNS, Operators};

/// An order as a literal, and what it compares, the most important first.
pub struct Order {
    /// For `orderBy`.
    pub literal: String,
    keys: Vec<(Key, bool)>,
}

/// What a term compares: null is smaller than anything.
type Key = Box<dyn Fn(&Row, &[Row]) -> Option<i64>>;

impl Order {
    /// The rows in this order.
    pub fn sort(&self, rows: &[Row]) -> Vec<Row> {
        let mut sorted = rows.to_vec();
        sorted.sort_by(|a, b| {
            let terms = self.keys.iter().map(|(key, is_descending)| {
                let order = key(a, rows).cmp(&key(b, rows));
                if *is_descending { order.reverse() } else { order }
            });
            let differing = terms.into_iter().find(|order| order.is_ne());
            // Every order ends in the id.
            differing.unwrap_or_else(|| a.id.cmp(&b.id))
        });
        sorted
    }
}

/// Each field by itself: ties are many. Booleans and values of enums are ordered, too, and ids.
pub fn of_fields() -> Vec<Order> {
    let columns = COLUMNS.iter().filter(|column| column.operators > Operators::None);
    let mut orders = Vec::new();
    for column in columns {
        for is_descending in [false, true] {
            let name = if is_descending { "DESC" } else { "ASC" };
            let place: Key = Box::new(|row, _| row.place(column).map(|place| place as i64));
            orders
                .push(Order { literal: format!("[{{{}: {name}}}]", column.name), keys: vec![(place, is_descending)] });
            let place: Key = Box::new(|row, _| Some(row.place_always(column) as i64));
            orders.push(Order {
                literal: format!("[{{{}: {name}}}]", column.always()),
                keys: vec![(place, is_descending)],
            });
        }
    }
    orders
}

/// Several fields, and fields of related rows, with and without null on the way.
pub fn combined() -> Vec<Order> {
    fn int(row: &Row) -> Option<i64> {
        row.place(&COLUMNS[2]).map(|place| place as i64)
    }
    fn flag(row: &Row) -> Option<i64> {
        row.place(&COLUMNS[4]).map(|place| place as i64)
    }
    fn up<'r>(row: &Row, rows: &'r [Row]) -> Option<&'r Row> {
        row.parent.map(|parent| &rows[parent])
    }
    /// A literal, the keys of its terms, and which of them are descending.
    type Case = (&'static str, &'static [(fn(&Row, &[Row]) -> Option<i64>, bool)]);
    let cases: &[Case] = &[
        ("[]", &[]),
        ("[{id: ASC}]", &[]),
        ("[{id: DESC}]", &[(|row, _| Some(row.row as i64), true)]),
        ("[{row: DESC}]", &[(|row, _| Some(row.row as i64), true)]),
        ("[{flag: ASC}, {row: DESC}]", &[(|row, _| flag(row), false), (|row, _| Some(row.row as i64), true)]),
        ("[{flag: DESC}, {int: ASC}]", &[(|row, _| flag(row), true), (|row, _| int(row), false)]),
        (
            "[{int: DESC}, {flag: DESC}, {hue: ASC}, {row: DESC}]",
            &[
                (|row, _| int(row), true),
                (|row, _| flag(row), true),
                (|row, _| row.place(&COLUMNS[13]).map(|place| place as i64), false),
                (|row, _| Some(row.row as i64), true),
            ],
        ),
        ("[{group: {name: DESC}}]", &[(|row, _| Some(row.group.number()), true)]),
        ("[{group: {rank: ASC}}]", &[(|row, _| row.group.rank(), false)]),
        ("[{group: {rank: DESC}}, {int: ASC}]", &[(|row, _| row.group.rank(), true), (|row, _| int(row), false)]),
        ("[{other: {name: ASC}}]", &[(|row, _| row.other.map(|other| other.number()), false)]),
        ("[{other: {rank: ASC}}]", &[(|row, _| row.other.and_then(|other| other.rank()), false)]),
        ("[{other: {rank: DESC}}]", &[(|row, _| row.other.and_then(|other| other.rank()), true)]),
        (
            "[{group: {above: {name: DESC}}}, {other: {above: {rank: ASC}}}]",
            &[
                (|row, _| row.group.above().map(|above| above.number()), true),
                (|row, _| row.other.and_then(|other| other.above()).and_then(|above| above.rank()), false),
            ],
        ),
        ("[{parent: {int: DESC}}]", &[(|row, rows| up(row, rows).and_then(int), true)]),
        (
            "[{parent: {parent: {row: ASC}}}, {parent: {flag: DESC}}]",
            &[
                (|row, rows| up(row, rows).and_then(|row| up(row, rows)).map(|row| row.row as i64), false),
                (|row, rows| up(row, rows).and_then(flag), true),
            ],
        ),
        ("[{parent: {id: DESC}}]", &[(|row, rows| up(row, rows).map(|row| row.row as i64), true)]),
        ("[{version: ASC}, {row: ASC}]", &[(|row, _| Some(row.row as i64), false)]),
        ("[{createdAt: DESC}]", &[(|row, _| Some(row.row as i64), true)]),
    ];
    let order = |(literal, keys): &Case| {
        let keys = keys.iter().map(|(key, is_descending)| (Box::new(*key) as Key, *is_descending));
        Order { literal: (*literal).to_owned(), keys: keys.collect() }
    };
    cases.iter().map(order).collect()
}
