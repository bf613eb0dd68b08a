//! One committed create, update or delete of one row.

use std::sync::Arc;

use entity::{EventId, Position, TransactionId};
use uuid::Uuid;

use crate::catalog::{FieldId, ResourceId, Row};

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was removed.
    Deleted,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// Its name in the API and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
        }
    }

    /// Its name in event names: `created` of `product.created`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }

    /// By its name in the API and in the database.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub struct Event {
    /// Where it is in the log.
    pub position: Position,
    /// Its own id, the same in every channel.
    pub id: EventId,
    /// The mutation that it belongs to.
    pub transaction_id: TransactionId,
    /// What the row is; [`ResourceId::GONE`] if the resource file has no such thing any more. Then there are no images.
    pub resource: ResourceId,
    /// Which row.
    pub row_id: Uuid,
    /// The row's version after the change; of a delete, one more than the last.
    pub version: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// The declared fields whose values differ: of a create those that are not null, of a delete none.
    pub changed_fields: Vec<FieldId>,
    /// The row before, of an update or a delete.
    pub before: Option<Arc<Row>>,
    /// The row after, of a create or an update.
    pub after: Option<Arc<Row>>,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The `sub` of who did it.
    pub by: Option<String>,
}

impl Event {
    /// The prefix of event ids.
    pub const PREFIX: &str = "evt";
    /// The prefix of transaction ids.
    pub const TRANSACTION_PREFIX: &str = "txn";

    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        let images = [&self.before, &self.after].into_iter().flatten().map(|row| row.size_bytes());
        size_of::<Self>() + self.by.as_ref().map_or(0, String::len) + images.sum::<usize>()
    }
}
