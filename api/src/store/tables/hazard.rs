//! What a step locks, and what its time depends on.

use std::fmt;

use super::Dialect;

/// Beyond this many rows they are not counted.
pub(super) const MAX_COUNTED: u64 = 10_000;

/// How many rows a table has; counted up to [`MAX_COUNTED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rows(pub u64);

impl Rows {
    pub fn any(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 row is"),
            n if n > MAX_COUNTED => f.write_str("more than 10,000 rows are"),
            n => write!(f, "{n} rows are"),
        }
    }
}

/// What a step does to its table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work<'a> {
    /// Its definition changes, and nothing else.
    Define,
    /// All its rows are looked at, to see that they fit.
    Check,
    /// All its rows are written again.
    Rewrite,
    /// Some of its rows are written.
    Update,
    /// An index is made.
    Index,
    /// A foreign key to this table is made.
    ForeignKey(&'a str),
}

/// The lock of a step, and how long it is held.
pub(super) fn lock(dialect: Dialect, work: Work<'_>, table: &str, rows: Rows) -> Option<String> {
    let done = match work {
        Work::Define => None,
        Work::Check | Work::Index | Work::ForeignKey(_) => Some("read"),
        Work::Rewrite | Work::Update => Some("written"),
    };
    let while_done = match done.filter(|_| rows.any()) {
        Some(done) => format!("while {rows} {done}"),
        None => "for a moment".to_owned(),
    };
    let what = match (dialect, work) {
        (Dialect::Sqlite, _) => "the database".to_owned(),
        (Dialect::Postgres, Work::Define | Work::Check | Work::Rewrite) => format!("ACCESS EXCLUSIVE on {table}"),
        (Dialect::Postgres, Work::Update) => format!("ROW EXCLUSIVE on {table}"),
        (Dialect::Postgres, Work::Index) => format!("SHARE on {table}"),
        (Dialect::Postgres, Work::ForeignKey(target)) if target == table => format!("SHARE ROW EXCLUSIVE on {table}"),
        (Dialect::Postgres, Work::ForeignKey(target)) => format!("SHARE ROW EXCLUSIVE on {table} and {target}"),
    };
    Some(format!("{what}, {while_done}"))
}
