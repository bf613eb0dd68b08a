//! A predicate over the rows of one resource, shared by queries, subscriptions, webhooks and access rules.
//!
//! It has two readings that must agree: SQL (`store`) for pull, and [`Filter::matches`] on images for push. Logic is
//! two-valued: a comparison with a null field is false, and `not` turns false into true. Text compares by code point;
//! what ignores case ignores that of ASCII letters.

use std::cmp::Ordering;

use super::{Datum, FieldId, Image, Needs, Row};

/// A predicate; `V` is what fields are compared with: a value, or in rules also a claim of the caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter<V = Datum> {
    /// Every row if true, no row if false.
    Const(bool),
    /// All of them; of none: every row.
    And(Vec<Filter<V>>),
    /// Any of them; of none: no row.
    Or(Vec<Filter<V>>),
    /// The opposite.
    Not(Box<Filter<V>>),
    /// A test of a column: for a to-one field, of its foreign key.
    Field(FieldId, Test<V>),
    /// The row at the other side of a to-one field is there and matches.
    Related(FieldId, Box<Filter<V>>),
    /// At least one row at the other side of a to-many field matches: `some`. `none` is its opposite, and `every` that
    /// there is none that does not match.
    Exists(FieldId, Box<Filter<V>>),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test<V> {
    /// Null if true, not null if false.
    IsNull(bool),
    /// Compared with one value.
    Compare(CompareOp, V),
    /// Equal to one of these (`in`).
    In(Vec<V>),
    /// Not null, and equal to none of these (`notIn`).
    NotIn(Vec<V>),
    /// About the characters of a text.
    Text(TextOp, V),
    /// A list that has all of these items (`has`, `hasEvery`).
    HasEvery(Vec<V>),
    /// A list that has at least one of these items.
    HasSome(Vec<V>),
    /// A list that has no items if true, that has some if false.
    IsEmpty(bool),
}

/// Comparisons of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `eq`
    Eq,
    /// `neq`; false if the field is null
    Neq,
    /// `lt`
    Lt,
    /// `lte`
    Lte,
    /// `gt`
    Gt,
    /// `gte`
    Gte,
}

/// Tests of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOp {
    /// `contains`
    Contains,
    /// `startsWith`
    StartsWith,
    /// `endsWith`
    EndsWith,
    /// `containsIgnoreCase`
    ContainsIgnoreCase,
    /// `eqIgnoreCase`
    EqIgnoreCase,
}

/// What a field is compared with in a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleValue {
    /// A literal.
    Literal(Datum),
    /// `$claims.name` where one value stands: the caller's claim, read as this type.
    Claim {
        /// The name after `$claims.`; dots go into nested claims.
        path: String,
    },
    /// `$claims.name` where a list stands (`in`, `notIn`, `hasSome`, `hasEvery`): all values of the caller's claim. It is
    /// then alone in its list.
    ClaimList {
        /// The name after `$claims.`; dots go into nested claims.
        path: String,
    },
}

impl<V> Filter<V> {
    /// Both, without needless nesting.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Const(true), other) => other,
            (this, Self::Const(true)) => this,
            (Self::Const(false), _) | (_, Self::Const(false)) => Self::Const(false),
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (this, other) => Self::And(vec![this, other]),
        }
    }

    /// Adds the related rows that [`Filter::matches`] looks at.
    pub fn add_needs(&self, needs: &mut Needs) {
        match self {
            Self::Const(_) | Self::Field(..) => {}
            Self::And(filters) | Self::Or(filters) => filters.iter().for_each(|f| f.add_needs(needs)),
            Self::Not(filter) => filter.add_needs(needs),
            Self::Related(field, filter) => filter.add_needs(needs.related(*field)),
            Self::Exists(field, filter) => filter.add_needs(needs.list(*field)),
        }
    }

    /// Every field of this resource that the filter names, those of related rows left out.
    pub fn for_each_field(&self, visit: &mut impl FnMut(FieldId)) {
        match self {
            Self::Const(_) => {}
            Self::And(filters) | Self::Or(filters) => filters.iter().for_each(|f| f.for_each_field(visit)),
            Self::Not(filter) => filter.for_each_field(visit),
            Self::Field(field, _) | Self::Related(field, _) | Self::Exists(field, _) => visit(*field),
        }
    }
}

impl Filter {
    /// Whether the row matches. The image must hold the related rows of [`Filter::add_needs`].
    pub fn matches(&self, image: &Image) -> bool {
        match self {
            Self::Const(value) => *value,
            Self::And(filters) => filters.iter().all(|f| f.matches(image)),
            Self::Or(filters) => filters.iter().any(|f| f.matches(image)),
            Self::Not(filter) => !filter.matches(image),
            Self::Field(field, test) => test.holds(image.row.get(*field)),
            Self::Related(field, filter) => image.related(*field).is_some_and(|other| filter.matches(other)),
            Self::Exists(field, filter) => image.list(*field).iter().any(|other| filter.matches(other)),
        }
    }

    /// Whether the row matches, as far as its own columns tell; `None` if that takes related rows.
    pub fn decide(&self, row: &Row) -> Option<bool> {
        match self {
            Self::Const(value) => Some(*value),
            Self::And(filters) => Self::decide_all(filters, row, true),
            Self::Or(filters) => Self::decide_all(filters, row, false),
            Self::Not(filter) => filter.decide(row).map(|matches| !matches),
            Self::Field(field, test) => Some(test.holds(row.get(*field))),
            // There is nothing at the other side.
            Self::Related(field, _) if row.get(*field).is_null() => Some(false),
            Self::Related(..) | Self::Exists(..) => None,
        }
    }

    /// `neutral` if all of them are; the opposite as soon as one is.
    fn decide_all(filters: &[Self], row: &Row, neutral: bool) -> Option<bool> {
        let mut decided = Some(neutral);
        for filter in filters {
            match filter.decide(row) {
                Some(matches) if matches == neutral => {}
                Some(matches) => return Some(matches),
                None => decided = None,
            }
        }
        decided
    }
}

impl Test<Datum> {
    /// Whether it holds for this value of the field.
    pub fn holds(&self, value: &Datum) -> bool {
        if let Self::IsNull(expected) = self {
            return value.is_null() == *expected;
        }
        if value.is_null() {
            return false;
        }
        match self {
            Self::IsNull(_) => false,
            Self::Compare(op, other) => op.holds(value, other),
            Self::In(others) => others.contains(value),
            Self::NotIn(others) => !others.contains(value),
            Self::Text(op, other) => match (value, other) {
                (Datum::Text(text), Datum::Text(part)) => op.holds(text, part),
                _ => false,
            },
            Self::HasEvery(others) => list(value).is_some_and(|items| others.iter().all(|o| items.contains(o))),
            Self::HasSome(others) => list(value).is_some_and(|items| others.iter().any(|o| items.contains(o))),
            Self::IsEmpty(expected) => list(value).is_some_and(|items| items.is_empty() == *expected),
        }
    }
}

fn list(value: &Datum) -> Option<&[Datum]> {
    match value {
        Datum::List(items) => Some(items),
        _ => None,
    }
}

impl CompareOp {
    fn holds(self, value: &Datum, other: &Datum) -> bool {
        match self {
            Self::Eq => value == other,
            Self::Neq => !other.is_null() && value != other,
            Self::Lt => value.compare(other) == Some(Ordering::Less),
            Self::Lte => matches!(value.compare(other), Some(Ordering::Less | Ordering::Equal)),
            Self::Gt => value.compare(other) == Some(Ordering::Greater),
            Self::Gte => matches!(value.compare(other), Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl TextOp {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::Contains => text.contains(part),
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            Self::ContainsIgnoreCase => text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()),
            Self::EqIgnoreCase => text.eq_ignore_ascii_case(part),
        }
    }
}
