//! `tandem_webhook`: registered URLs, each a subscriber with a durable position in the log.

use sea_orm::entity::prelude::*;

use crate::{Position, WebhookId};

/// One webhook.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_webhook")]
pub struct Model {
    /// Its public id, without the prefix.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookId,
    /// Where messages are sent to.
    #[sea_orm(column_type = "Text")]
    pub url: String,
    /// The subscription document.
    #[sea_orm(column_type = "Text")]
    pub query: String,
    /// JSON object of the document's variables; null if there are none.
    #[sea_orm(column_type = "Text", nullable)]
    pub variables: Option<String>,
    /// JSON array of the event names that the document was written from; null if it was given.
    #[sea_orm(column_type = "Text", nullable)]
    pub events: Option<String>,
    /// For people.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// JSON array of `{"name", "sealed"}`: sent along with every message. Values may be secrets, so they are encrypted.
    #[sea_orm(column_type = "Text")]
    pub headers: String,
    /// In which order its messages are sent.
    pub ordering: Ordering,
    /// Most requests at the same time.
    pub max_in_flight: i32,
    /// Most requests per second; null for no limit.
    pub rate_limit: Option<i32>,
    /// JSON array of the seconds between its attempts; null for the server's schedule.
    #[sea_orm(column_type = "Text", nullable)]
    pub retry_schedule: Option<String>,
    /// Deadline of an attempt; null for the server's.
    pub timeout_ms: Option<i32>,
    /// Most events of a request; null if each event has its own.
    pub batch_max_events: Option<i32>,
    /// How long a batch waits for more events; null like the number.
    pub batch_max_wait_ms: Option<i32>,
    /// Whether it is sent to.
    pub status: Status,
    /// Why it is disabled, for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub status_reason: Option<String>,
    /// `sub` of its creator.
    #[sea_orm(column_type = "Text")]
    pub owner: String,
    /// JSON of its creator's principal, whose rights it has.
    #[sea_orm(column_type = "Text")]
    pub principal: String,
    /// JSON array of `{"publicKey", "sealed", "until"}`: what its messages are signed with, the present one first. Private
    /// parts are encrypted.
    #[sea_orm(column_type = "Text")]
    pub keys: String,
    /// Every event up to here is handled: delivered, not for this webhook, or kept as a delivery.
    pub position: Position,
    /// Number of the last event that was for this webhook; 0 before the first.
    pub sequence: i64,
    /// When it was made.
    pub created_at: i64,
    /// When its owner or the server last changed it.
    pub updated_at: i64,
    /// The process that sends for it; null if none does.
    pub lease_holder: Option<Uuid>,
    /// Until when the lease is good without being renewed.
    pub lease_until: i64,
    /// Grows whenever the lease changes hands; a holder with an older number can write nothing any more.
    pub lease_fence: i64,
    /// First failure since the last success; null if the last attempt succeeded.
    pub first_failure_at: Option<i64>,
    /// Failures since the last success.
    pub failures: i32,
    /// The secret part of the URL by which its receiver may confirm it; null if it does not have to.
    #[sea_orm(column_type = "Text", nullable)]
    pub verify_key: Option<String>,
    /// When its receiver is asked next; null if it is not.
    pub verify_at: Option<i64>,
    /// How often its receiver was asked.
    pub verify_attempts: i32,
    /// When its receiver confirmed it.
    pub verified_at: Option<i64>,
    /// When an attempt last succeeded; null if none has.
    pub last_success_at: Option<i64>,
    /// When an attempt last failed; null if none has.
    pub last_failure_at: Option<i64>,
    /// Code of the error of that failure, as in the API.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error_code: Option<String>,
    /// That error for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error_message: Option<String>,
    /// Since when it is about to be disabled if nothing succeeds; null if it is not.
    pub warned_at: Option<i64>,
    /// When the server disabled it; null if it is not disabled.
    pub disabled_at: Option<i64>,
    /// Attempts that were ever recorded: the ordinal of the newest one.
    pub attempts: i64,
    /// Grows when somebody has made a delivery due, so that the node that sends for it looks at once.
    pub nudges: i64,
}

/// By hand, to leave out the secret, the values of headers, and the claims of the principal.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("webhook::Model")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// In which order the messages of a webhook are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Ordering {
    /// Attempts start in log order; nothing waits for what failed.
    #[sea_orm(string_value = "NONE")]
    None,
    /// A failing row holds only its own later events.
    #[sea_orm(string_value = "PER_NODE")]
    PerNode,
    /// A failing event holds all later ones.
    #[sea_orm(string_value = "STRICT")]
    Strict,
}

/// Whether a webhook is sent to. Its events are kept in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// It is.
    #[sea_orm(string_value = "ENABLED")]
    Enabled,
    /// Not until its receiver has confirmed that it wants the events.
    #[sea_orm(string_value = "UNVERIFIED")]
    Unverified,
    /// Not until its owner resumes it.
    #[sea_orm(string_value = "PAUSED")]
    Paused,
    /// Not until its owner enables it again: the server gave it up.
    #[sea_orm(string_value = "DISABLED")]
    Disabled,
}

/// What it is related to.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its deliveries.
    #[sea_orm(has_many = "super::delivery::Entity")]
    Deliveries,
}

impl Related<super::delivery::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Deliveries.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
