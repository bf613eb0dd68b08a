//! What the writer is asked to do, and what it answers. Knows no GraphQL.

use std::sync::Arc;

use uuid::Uuid;

use super::idempotency::{Key, Receipt};
use super::violation::Violation;
use crate::auth::Principal;
use crate::catalog::{Datum, FieldId, Filter, ResourceId, Row};
use crate::log::Event;

/// Rows that one mutation may write.
pub const MAX_ROWS: usize = 10_000;

/// One mutation: all of it commits, or nothing.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// Who wants it.
    pub principal: Arc<Principal>,
    /// What is wanted.
    pub command: Command,
    /// Violations that are already known, those of [`Create`]s left out. With any of them nothing is written, but the
    /// writer adds those that only it can find, so that the client learns of all at once.
    pub violations: Vec<Violation>,
    /// With a key that was used before, what was written then is the answer.
    pub key: Option<Key>,
}

/// A change of rows.
#[derive(Debug, Clone)]
pub enum Command {
    /// Make a row, and the owned rows that are made with it.
    Create(Create),
    /// Change a row.
    Update(Update),
    /// Remove a row.
    Delete(Delete),
    /// Change the row with this key, or make it.
    Upsert(Upsert),
    /// Make many rows.
    CreateMany(CreateMany),
    /// Change all rows that match.
    UpdateMany(UpdateMany),
    /// Remove all rows that match.
    DeleteMany(DeleteMany),
}

impl Command {
    /// About how many rows it looks at, for the size of batches.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Create(create) => create.rows(),
            Self::Update(_) | Self::Delete(_) => 1,
            Self::Upsert(upsert) => upsert.create.rows(),
            Self::CreateMany(many) => many.items.iter().map(Create::rows).sum(),
            Self::UpdateMany(UpdateMany { matching, .. }) | Self::DeleteMany(DeleteMany { matching, .. }) => {
                matching.rows()
            }
        }
    }

    /// The rows that it finds by a filter, and of what they are.
    pub(super) fn matching_mut(&mut self) -> Option<(ResourceId, &mut Matching)> {
        match self {
            Self::UpdateMany(many) => Some((many.resource, &mut many.matching)),
            Self::DeleteMany(many) => Some((many.resource, &mut many.matching)),
            Self::Create(_) | Self::Update(_) | Self::Delete(_) | Self::Upsert(_) | Self::CreateMany(_) => None,
        }
    }
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
    /// What is already known to be wrong with this row, its children left out.
    pub violations: Vec<Violation>,
}

impl Create {
    /// How many rows it makes.
    pub(super) fn rows(&self) -> usize {
        1 + self.children.iter().map(|child| child.create.rows()).sum::<usize>()
    }

    /// This one and everything below it, in the order in which the rows are made.
    pub(super) fn for_each<'c>(&'c self, visit: &mut impl FnMut(&'c Self)) {
        visit(self);
        for child in &self.children {
            child.create.for_each(visit);
        }
    }
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

/// Change the row with this key, or make it.
#[derive(Debug, Clone)]
pub struct Upsert {
    /// Of what.
    pub resource: ResourceId,
    /// Which row; `None` if what the client gave can name none, which is among the mutation's violations.
    pub by: Option<By>,
    /// The row if it is not there, with the values of the key.
    pub create: Create,
    /// The fields that change if it is there.
    pub patch: Vec<(FieldId, Datum)>,
}

/// Names one row.
#[derive(Debug, Clone)]
pub struct By {
    /// The columns and their values: the id, or all of a unique key.
    pub values: Vec<(FieldId, Datum)>,
    /// Whether a row with these values can be made; if not, it has to be there.
    pub is_creatable: bool,
    /// Where in the client's input it stands.
    pub path: Vec<String>,
}

/// Make many rows.
#[derive(Debug, Clone)]
pub struct CreateMany {
    /// Of what.
    pub resource: ResourceId,
    /// The rows.
    pub items: Vec<Create>,
    /// Whether those without violations are made if others have some.
    pub is_independent: bool,
}

/// Change all rows that match.
#[derive(Debug, Clone)]
pub struct UpdateMany {
    /// Of what.
    pub resource: ResourceId,
    /// Which rows.
    pub matching: Matching,
    /// The fields that change.
    pub patch: Vec<(FieldId, Datum)>,
}

/// Remove all rows that match.
#[derive(Debug, Clone)]
pub struct DeleteMany {
    /// Of what.
    pub resource: ResourceId,
    /// Which rows.
    pub matching: Matching,
}

/// All rows that match a filter, unless they are too many.
#[derive(Debug, Clone)]
pub struct Matching {
    /// Matches only such as the principal may see.
    pub(super) filter: Filter,
    /// If more rows match, none is written.
    pub(super) at_most: usize,
    /// Those that matched before the mutation came to the writer, in the order of their ids, and no more than one too many.
    pub(super) found: Option<Vec<Uuid>>,
}

impl Matching {
    /// Those that match the filter, which must be one of what the principal may see.
    pub fn new(filter: Filter, at_most: usize) -> Self {
        Self { filter, at_most, found: None }
    }

    /// About how many rows it looks at.
    fn rows(&self) -> usize {
        self.found.as_ref().map_or(self.at_most, Vec::len)
    }
}

/// What became of a mutation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is committed.
    Done {
        /// Its events in log order.
        events: Vec<Arc<Event>>,
        /// For each row that the command names, in its order, the index of the event about it; `None` for one that was
        /// not written. Commands for one row name one.
        subjects: Vec<Option<usize>>,
        /// What was wrong with those that were not written.
        violations: Vec<Violation>,
    },
    /// It was committed before, with the same key and the same input.
    Replayed(Receipt),
    /// Nothing was written.
    Refused {
        /// Why.
        violations: Vec<Violation>,
        /// On a version conflict, the row as it is.
        current: Option<Arc<Row>>,
    },
}

impl Outcome {
    /// Nothing was written, for this reason.
    pub(super) fn refused(violation: Violation) -> Self {
        Self::Refused { violations: vec![violation], current: None }
    }
}
