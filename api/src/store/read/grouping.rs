//! Rows in groups that have the same values of some fields, and numbers about each group.

use super::aggregate::{Aggregate, Aggregated};
use super::decode::Node;
use super::part;
use super::shape::Shape;
use crate::catalog::{Datum, Field, FieldId, FieldType, Scalar};
use crate::database::{Dialect, Sql};

/// How to group the rows of a list, and what is wanted of each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// What the rows of a group have in common. Groups are ordered by it, null first.
    pub keys: Vec<GroupKey>,
    /// Numbers about the rows of each group.
    pub aggregates: Vec<Aggregate>,
    /// What is wanted of the rows at the other side of to-one fields that are keys.
    pub shape: Shape,
    /// At most so many groups.
    pub limit: u32,
}

/// A field, or the part of a time, that the rows of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupKey {
    /// A column.
    pub field: FieldId,
    /// Of a Date or DateTime field: the first day of this, in UTC, instead of the value.
    pub part: Option<DatePart>,
}

/// Spans of time that rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatePart {
    /// A day.
    Day,
    /// A week from Monday to Sunday, as ISO 8601 has it.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// Groups of rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupPage {
    /// In the order of their keys.
    pub groups: Vec<Group>,
    /// Whether there are more.
    pub has_more: bool,
}

/// One group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What its rows have in common, in the order of [`Grouping::keys`].
    pub keys: Vec<Datum>,
    /// In the order of [`Grouping::aggregates`].
    pub aggregates: Vec<Aggregated>,
    /// In the order of the slots.
    pub nodes: Vec<Node>,
}

impl DatePart {
    /// All of them, from short to long.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// The type of a date.
const DATE: FieldType = FieldType::Scalar(Scalar::Date);

impl GroupKey {
    pub(super) fn ty<'f>(&self, field: &'f Field) -> &'f FieldType {
        if self.part.is_some() { &DATE } else { &field.ty }
    }

    /// What a subquery that groups calls the key: a column by its own name, so that what belongs to it is found there.
    pub(super) fn column(&self, field: &Field) -> String {
        match self.part {
            None => field.column.clone(),
            Some(part) => format!("{}#{}", field.column, part.name()),
        }
    }

    /// Adds the key as a part, from such a subquery.
    pub(super) fn push_part(&self, sql: &mut Sql, alias: &str, field: &Field) {
        part::push(sql, self.ty(field), true, |sql| {
            sql.column(alias, &self.column(field));
        });
    }

    /// How many arguments that takes.
    pub(super) fn arguments(&self, field: &Field) -> usize {
        part::arguments(self.ty(field))
    }

    /// Adds the key, by which rows are grouped.
    pub(super) fn push(&self, sql: &mut Sql, alias: &str, field: &Field) {
        let Some(part) = self.part else {
            sql.column(alias, &field.column);
            return;
        };
        match (sql.dialect(), &field.ty) {
            (Dialect::Sqlite, FieldType::Scalar(Scalar::DateTime)) => {
                // Microseconds → seconds, downwards before 1970 too.
                sql.push("date((").column(alias, &field.column).push("-((").column(alias, &field.column);
                sql.push("%1000000)+1000000)%1000000)/1000000,'unixepoch'").push(modifiers(part)).push(")");
            }
            (Dialect::Sqlite, _) => {
                sql.push("date(").column(alias, &field.column).push(modifiers(part)).push(")");
            }
            (Dialect::Postgres, FieldType::Scalar(Scalar::DateTime)) => {
                sql.push("CAST(date_trunc('").push(part.name()).push("',").column(alias, &field.column);
                sql.push(" AT TIME ZONE 'UTC') AS date)");
            }
            (Dialect::Postgres, _) => {
                sql.push("CAST(date_trunc('").push(part.name()).push("',CAST(").column(alias, &field.column);
                sql.push(" AS timestamp)) AS date)");
            }
        }
    }
}

/// How SQLite goes to the first day of a part.
fn modifiers(part: DatePart) -> &'static str {
    match part {
        DatePart::Day => "",
        // To the Monday that comes next, or is, from six days before.
        DatePart::Week => ",'-6 days','weekday 1'",
        DatePart::Month => ",'start of month'",
        DatePart::Year => ",'start of year'",
    }
}
