//! `and`, `or`, `not`, to-one relations, and nulls in them.

use super::shelf::Row;
use super::values::COLUMNS;

/// A filter as a literal, and which of the rows it selects.
pub type Rule = (&'static str, fn(&Row, &[Row]) -> bool);

/// The places of `0`, `1` and `10` among the values of `int`.
const ZERO: usize = 2;
const ONE: usize = 3;
const TEN: usize = 5;

fn int(row: &Row) -> Option<usize> {
    row.place(&COLUMNS[2])
}

fn is_positive(row: &Row) -> bool {
    int(row).is_some_and(|value| value > ZERO)
}

fn flag(row: &Row) -> bool {
    row.place(&COLUMNS[4]) == Some(1)
}

/// The rank of the other group.
fn rank(row: &Row) -> Option<i64> {
    row.other.and_then(|other| other.rank())
}

/// The row that a number of steps from parent to parent lead to.
fn up(row: &Row, rows: &[Row], steps: usize) -> Option<Row> {
    (0..steps).try_fold(row.clone(), |row, _| row.parent.map(|parent| rows[parent].clone()))
}

/// All cases. A comparison with null is false, `not` makes true of false, and of nothing `and` is true and `or` is false.
pub const RULES: &[Rule] = &[
    ("{}", |_, _| true),
    ("null", |_, _| true),
    ("{and: []}", |_, _| true),
    ("{or: []}", |_, _| false),
    ("{not: {}}", |_, _| false),
    ("{not: {or: []}}", |_, _| true),
    ("{not: {and: []}}", |_, _| false),
    ("{or: [{}]}", |_, _| true),
    ("{and: [{}, {or: []}]}", |_, _| false),
    ("{or: [{or: []}, {and: []}]}", |_, _| true),
    ("{int: {}}", |_, _| true),
    ("{not: {int: {}}}", |_, _| false),
    ("{and: {int: {gt: 0}}}", |row, _| is_positive(row)),
    ("{int: {gt: 0, lte: 10, neq: 1}}", |row, _| {
        int(row).is_some_and(|value| value > ZERO && value <= TEN && value != ONE)
    }),
    ("{not: {int: {gt: 0}}}", |row, _| !is_positive(row)),
    ("{not: {not: {int: {gt: 0}}}}", |row, _| is_positive(row)),
    ("{not: {int: {neq: 1}}}", |row, _| int(row).is_none_or(|value| value == ONE)),
    ("{not: {int: {notIn: [1]}}}", |row, _| int(row).is_none_or(|value| value == ONE)),
    ("{not: {int: {in: []}}}", |_, _| true),
    ("{not: {int: {notIn: []}}}", |row, _| int(row).is_none()),
    ("{not: {int: {isNull: true}}}", |row, _| int(row).is_some()),
    ("{not: {or: [{int: {eq: 1}}, {flag: {eq: true}}]}}", |row, _| int(row) != Some(ONE) && !flag(row)),
    ("{or: [{int: {eq: 1}}, {not: {int: {gte: -2147483648}}}], not: {flag: {eq: true}}}", |row, _| {
        int(row).is_none_or(|value| value == ONE) && !flag(row)
    }),
    ("{other: {}}", |row, _| row.other.is_some()),
    ("{not: {other: {}}}", |row, _| row.other.is_none()),
    ("{otherId: {isNull: true}}", |row, _| row.other.is_none()),
    ("{other: {rank: {isNull: true}}}", |row, _| row.other.is_some() && rank(row).is_none()),
    ("{other: {rank: {eq: 1}}}", |row, _| rank(row) == Some(1)),
    ("{not: {other: {rank: {eq: 1}}}}", |row, _| rank(row) != Some(1)),
    ("{other: {not: {rank: {eq: 1}}}}", |row, _| row.other.is_some() && rank(row) != Some(1)),
    (r#"{group: {name: {in: ["g1", "g3"]}}}"#, |row, _| ["g1", "g3"].contains(&row.group.name())),
    (r#"{group: {above: {name: {eq: "g1"}}}}"#, |row, _| row.group.above().is_some_and(|above| above.name() == "g1")),
    ("{group: {above: {above: {rank: {eq: 1}}}}}", |row, _| {
        row.group.above().and_then(|above| above.above()).is_some_and(|above| above.rank() == Some(1))
    }),
    ("{group: {aboveId: {isNull: false}}}", |row, _| row.group.above().is_some()),
    ("{group: {above: {}}, other: {above: {}}}", |row, _| {
        row.group.above().is_some() && row.other.is_some_and(|other| other.above().is_some())
    }),
    ("{parent: {row: {lt: 5}}}", |row, rows| up(row, rows, 1).is_some_and(|row| row.row < 5)),
    ("{parent: {parent: {parent: {}}}}", |row, rows| up(row, rows, 3).is_some()),
    ("{parent: {not: {parent: {}}}}", |row, rows| up(row, rows, 1).is_some_and(|row| row.parent.is_none())),
    ("{parent: {or: [{flag: {eq: true}}, {other: {rank: {gt: 1}}}]}}", |row, rows| {
        up(row, rows, 1).is_some_and(|row| flag(&row) || rank(&row) > Some(1))
    }),
];
