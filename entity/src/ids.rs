//! Newtypes of the ids of Tandem's own tables, so that no bare number or UUID crosses a module.

use std::fmt;

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use uuid::Uuid;

/// The number of an event in the log: 1, 2, 3 … without gaps, in commit order. 0 is before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct Position(i64);

/// A number is no [`Position`] because it is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no position in the log: positions start at 0")]
pub struct NegativePosition(pub i64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// From a number that is known not to be negative, such as one that the database holds.
    pub fn new(number: i64) -> Result<Self, NegativePosition> {
        if number < 0 { Err(NegativePosition(number)) } else { Ok(Self(number)) }
    }

    /// As a number, never negative.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The position of the event after this one.
    #[must_use]
    pub fn next(self) -> Self {
        self.advanced_by(1)
    }

    /// The position `events` further on. The log cannot reach the end of 63 bits.
    #[must_use]
    pub fn advanced_by(self, events: u32) -> Self {
        Self(self.0.saturating_add(events.into()))
    }
}

impl TryFrom<i64> for Position {
    type Error = NegativePosition;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        Self::new(number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, new = $new:ident, $new_doc:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
        pub struct $name(pub Uuid);

        impl $name {
            #[doc = $new_doc]
            #[allow(clippy::new_without_default, reason = "two of them are never equal")]
            pub fn new() -> Self {
                Self(Uuid::$new())
            }

            /// As a UUID.
            pub fn get(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        // SeaORM asks this of every primary key, for databases that number rows by themselves.
        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

uuid_id!(
    /// The id of an event, `evt_…` in the API; also the `webhook-id` of every message about it.
    EventId,
    new = now_v7,
    "A new one; later ones sort after earlier ones."
);
uuid_id!(
    /// What the events of one mutation have in common.
    TransactionId,
    new = now_v7,
    "A new one; later ones sort after earlier ones."
);
uuid_id!(
    /// The id of a webhook.
    WebhookId,
    new = now_v7,
    "A new one; later ones sort after earlier ones."
);
uuid_id!(
    /// The id of a delivery: one event for one webhook.
    DeliveryId,
    new = now_v7,
    "A new one; later ones sort after earlier ones."
);
uuid_id!(
    /// The id of a replay: older events that are sent to a webhook again.
    ReplayId,
    new = now_v7,
    "A new one; later ones sort after earlier ones."
);
uuid_id!(
    /// Which history the positions of a log belong to. Cursors of another epoch mean nothing.
    Epoch,
    new = new_v4,
    "A new one, random."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_up_from_zero() {
        assert_eq!(Position::new(-1), Err(NegativePosition(-1)));
        let first = Position::START.next();
        assert_eq!((first.get(), first.to_string().as_str()), (1, "1"));
        assert!(first < first.advanced_by(2));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let ids: Vec<_> = (0..100).map(|_| EventId::new()).collect();
        assert!(ids.is_sorted());
    }
}
