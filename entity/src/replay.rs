//! `tandem_replay`: older events that are sent to a webhook again, and how far that has come.

use sea_orm::entity::prelude::*;

use crate::{Position, ReplayId, WebhookId};

/// One replay.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_replay")]
pub struct Model {
    /// Which one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ReplayId,
    /// For whom; deleted with it.
    pub webhook_id: WebhookId,
    /// Which events.
    pub scope: Scope,
    /// How it stands; a webhook has at most one that is running.
    pub status: Status,
    /// Why it ended early, for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    /// Before the first event.
    pub start: Position,
    /// The last event that was looked at, of all events; failed deliveries are gone through by their ids.
    pub position: Position,
    /// The last event of it.
    pub until: Position,
    /// The last failed delivery that was looked at; null before the first.
    pub delivery_id: Option<Uuid>,
    /// How many deliveries it has put in line.
    pub queued: i64,
    /// Of its last step, so that a step that two nodes take at once is taken once.
    pub token: Option<Uuid>,
    /// When it was asked for.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Which events are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Scope {
    /// Those whose delivery has failed.
    #[sea_orm(string_value = "FAILED")]
    Failed,
    /// All that the webhook's document selects.
    #[sea_orm(string_value = "ALL")]
    All,
}

/// How a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// There is more to put in line.
    #[sea_orm(string_value = "RUNNING")]
    Running,
    /// Everything is in line.
    #[sea_orm(string_value = "DONE")]
    Done,
    /// It could not go on.
    #[sea_orm(string_value = "STOPPED")]
    Stopped,
    /// Its owner, or an admin, ended it before.
    #[sea_orm(string_value = "CANCELLED")]
    Cancelled,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
