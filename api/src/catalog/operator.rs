//! The operators of filters, and which of them each type of field has.
//!
//! The one list that the API's input types, the reading of filters and the checking of rules are made from.

use super::{FieldType, Scalar};

/// A test that a filter can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not null, and not equal.
    Neq,
    /// Equal to one of a list.
    In,
    /// Not null, and equal to none of a list.
    NotIn,
    /// Null, or not null.
    IsNull,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// A text that has this part.
    Contains,
    /// A text that begins with this.
    StartsWith,
    /// A text that ends with this.
    EndsWith,
    /// A text that has this part, whatever the case of ASCII letters.
    ContainsIgnoreCase,
    /// An equal text, whatever the case of ASCII letters.
    EqIgnoreCase,
    /// A list with this item.
    Has,
    /// A list with at least one of these items.
    HasSome,
    /// A list with all of these items.
    HasEvery,
    /// A list without items, or with some.
    IsEmpty,
}

/// What an operator is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// One value of the field's type; for a list field, of its items.
    Item,
    /// A list of them.
    Items,
    /// `true` or `false`.
    Boolean,
}

/// What a filter asks of the rows at the other side of a to-many field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// At least one of them matches.
    Some,
    /// All of them match; of no rows, all do.
    Every,
    /// None of them matches.
    None,
}

impl Quantifier {
    /// All of them, in the order of the API.
    pub const ALL: [Self; 3] = [Self::Some, Self::Every, Self::None];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Every => "every",
            Self::None => "none",
        }
    }
}

impl Operator {
    /// The operators of a field of this type, in the order of the API; for a to-one relation, those of its foreign key.
    pub fn of(ty: &FieldType) -> &'static [Self] {
        match ty {
            FieldType::RowId | FieldType::ToOne { .. } | FieldType::Enum(_) => {
                &[Self::Eq, Self::Neq, Self::In, Self::NotIn, Self::IsNull]
            }
            FieldType::Scalar(scalar) => Self::of_scalar(*scalar),
            FieldType::ScalarList(Scalar::Json) => &[Self::IsEmpty, Self::IsNull],
            FieldType::ScalarList(_) | FieldType::EnumList(_) => {
                &[Self::Has, Self::HasSome, Self::HasEvery, Self::IsEmpty, Self::IsNull]
            }
            FieldType::ToMany { .. } => &[],
        }
    }

    fn of_scalar(scalar: Scalar) -> &'static [Self] {
        match scalar {
            Scalar::String => &[
                Self::Eq,
                Self::Neq,
                Self::In,
                Self::NotIn,
                Self::Lt,
                Self::Lte,
                Self::Gt,
                Self::Gte,
                Self::Contains,
                Self::StartsWith,
                Self::EndsWith,
                Self::ContainsIgnoreCase,
                Self::EqIgnoreCase,
                Self::IsNull,
            ],
            Scalar::Id
            | Scalar::Int
            | Scalar::Float
            | Scalar::BigInt
            | Scalar::Decimal { .. }
            | Scalar::DateTime
            | Scalar::Date => {
                &[Self::Eq, Self::Neq, Self::In, Self::NotIn, Self::Lt, Self::Lte, Self::Gt, Self::Gte, Self::IsNull]
            }
            Scalar::Uuid => &[Self::Eq, Self::Neq, Self::In, Self::NotIn, Self::IsNull],
            Scalar::Boolean => &[Self::Eq, Self::Neq, Self::IsNull],
            Scalar::Json => &[Self::IsNull],
        }
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::In => "in",
            Self::NotIn => "notIn",
            Self::IsNull => "isNull",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::ContainsIgnoreCase => "containsIgnoreCase",
            Self::EqIgnoreCase => "eqIgnoreCase",
            Self::Has => "has",
            Self::HasSome => "hasSome",
            Self::HasEvery => "hasEvery",
            Self::IsEmpty => "isEmpty",
        }
    }

    /// What it is given.
    pub fn operand(self) -> Operand {
        match self {
            Self::IsNull | Self::IsEmpty => Operand::Boolean,
            Self::In | Self::NotIn | Self::HasSome | Self::HasEvery => Operand::Items,
            Self::Eq
            | Self::Neq
            | Self::Lt
            | Self::Lte
            | Self::Gt
            | Self::Gte
            | Self::Contains
            | Self::StartsWith
            | Self::EndsWith
            | Self::ContainsIgnoreCase
            | Self::EqIgnoreCase
            | Self::Has => Operand::Item,
        }
    }
}
