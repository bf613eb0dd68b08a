//! What the writer is asked to do, and what it answers. Knows no GraphQL.

use std::sync::Arc;

use uuid::Uuid;

use crate::auth::Principal;
use crate::catalog::{Datum, FieldId, ResourceId, Row};
use crate::log::Event;

/// One mutation: all of it commits, or nothing.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// Who wants it.
    pub principal: Arc<Principal>,
    /// What is wanted.
    pub command: Command,
    /// Violations that are already known. With any of them nothing is written, but the writer adds those that only it
    /// can find, so that the client learns of all at once.
    pub violations: Vec<Violation>,
}

/// A change of one row, or of one row and the owned rows that are made with it.
#[derive(Debug, Clone)]
pub enum Command {
    /// Make a row.
    Create(Create),
    /// Change a row.
    Update(Update),
    /// Remove a row.
    Delete(Delete),
}

/// Make a row.
#[derive(Debug, Clone)]
pub struct Create {
    /// Of what.
    pub resource: ResourceId,
    /// What the client gave. Fields that are left out get their defaults.
    pub values: Vec<(FieldId, Datum)>,
    /// Rows of owned lists, made after this one.
    pub children: Vec<Child>,
    /// Where in the client's input this row stands.
    pub path: Vec<String>,
}

/// A row that belongs to another one which is made with it.
#[derive(Debug, Clone)]
pub struct Child {
    /// The to-one field of the child that points at its parent.
    pub via: FieldId,
    /// The child itself.
    pub create: Create,
}

/// Change a row.
#[derive(Debug, Clone)]
pub struct Update {
    /// Of what.
    pub resource: ResourceId,
    /// Which row.
    pub id: Uuid,
    /// The fields that change.
    pub patch: Vec<(FieldId, Datum)>,
    /// Only if the row has this version.
    pub if_version: Option<i64>,
}

/// Remove a row.
#[derive(Debug, Clone)]
pub struct Delete {
    /// Of what.
    pub resource: ResourceId,
    /// Which row.
    pub id: Uuid,
    /// Only if the row has this version.
    pub if_version: Option<i64>,
}

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A value is missing.
    Required,
    /// A value is not one of its type.
    Invalid,
    /// Too few characters or items.
    TooShort,
    /// Too many characters or items.
    TooLong,
    /// A number or a time beyond its limits.
    OutOfRange,
    /// A text that does not match its pattern.
    PatternMismatch,
    /// Another row has this value of a unique key.
    NotUnique,
    /// There is no such row, or the caller may not see it.
    NotFound,
    /// Other rows point at this one.
    Referenced,
    /// A field that cannot be written any more.
    Immutable,
    /// The caller may not do this.
    Forbidden,
    /// The row has another version by now.
    VersionConflict,
    /// More rows would change than one mutation may change.
    TooMany,
}

impl Code {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::Invalid => "INVALID",
            Self::TooShort => "TOO_SHORT",
            Self::TooLong => "TOO_LONG",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::PatternMismatch => "PATTERN_MISMATCH",
            Self::NotUnique => "NOT_UNIQUE",
            Self::NotFound => "NOT_FOUND",
            Self::Referenced => "REFERENCED",
            Self::Immutable => "IMMUTABLE",
            Self::Forbidden => "FORBIDDEN",
            Self::VersionConflict => "VERSION_CONFLICT",
            Self::TooMany => "TOO_MANY",
        }
    }
}

/// Something that is wrong with a mutation.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// What kind of thing.
    pub code: Code,
    /// A sentence for the client.
    pub message: String,
    /// Where in the input.
    pub path: Vec<String>,
}

impl Violation {
    /// At this path, with one more name at its end.
    pub fn at(path: &[String], name: &str, code: Code, message: impl Into<String>) -> Self {
        let path = path.iter().map(String::as_str).chain([name]).map(str::to_owned).collect();
        Self { code, message: message.into(), path }
    }

    /// About the input as a whole.
    pub fn whole(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: Vec::new() }
    }
}

/// What became of a mutation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is committed.
    Done {
        /// Its events in log order.
        events: Vec<Arc<Event>>,
        /// The index of the event about the row that the command names.
        main: usize,
    },
    /// Nothing was written.
    Refused {
        /// Why.
        violations: Vec<Violation>,
        /// On a version conflict, the row as it is.
        current: Option<Arc<Row>>,
    },
}
