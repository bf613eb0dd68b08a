//! `tandem_delivery`: one event for one webhook that is being retried, or whose outcome is kept for its owner to see.
//! There is at most one for each event and webhook.

use sea_orm::entity::prelude::*;

use crate::{DeliveryId, EventId, Position, WebhookId};

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_delivery")]
pub struct Model {
    /// Its public id, without the prefix.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DeliveryId,
    /// For whom; deleted with it.
    pub webhook_id: WebhookId,
    /// Of the event.
    pub position: Position,
    /// Id of the event: the `webhook-id` of every attempt.
    pub message_id: EventId,
    /// Name of the event, `order_line.updated`.
    #[sea_orm(column_name = "type", column_type = "Text")]
    pub r#type: String,
    /// Number of the event for this webhook; null for one from before the webhook.
    pub sequence: Option<i64>,
    /// How it stands.
    pub status: Status,
    /// When the next attempt is due; null if there is none, or if it waits for an earlier delivery.
    pub next_attempt_at: Option<i64>,
    /// Attempts made so far.
    pub attempts: i32,
    /// Those of them that were made before its schedule began anew, by a replay.
    pub attempts_before: i32,
    /// The body that is sent; null if it is to be rendered again.
    #[sea_orm(column_type = "Text", nullable)]
    pub body: Option<String>,
    /// The row whose change it tells of, if it holds later ones of that row, or all later ones, while it is pending.
    pub order_key: Option<Uuid>,
    /// The batch that it was last sent in; null if it was sent alone, or not at all.
    pub batch_id: Option<Uuid>,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The first attempt, if the row was made with it: when it began. All others are in `tandem_attempt`, whose columns have
    /// the same meaning.
    pub first_started_at: Option<i64>,
    /// From its beginning to its end, in milliseconds.
    pub first_duration_ms: Option<i32>,
    /// HTTP status of the answer.
    pub first_status_code: Option<i32>,
    /// The address connected to.
    #[sea_orm(column_type = "Text", nullable)]
    pub first_address: Option<String>,
    /// Code of the error.
    #[sea_orm(column_type = "Text", nullable)]
    pub first_error_code: Option<String>,
    /// The error for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub first_error_message: Option<String>,
    /// The beginning of the answer.
    #[sea_orm(column_type = "Text", nullable)]
    pub first_response_body: Option<String>,
    /// Its number among the attempts of the webhook, in the order of their commits.
    pub first_ordinal: Option<i64>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// Another attempt will be made.
    #[sea_orm(string_value = "PENDING")]
    Pending,
    /// It was answered with a 2xx status.
    #[sea_orm(string_value = "SUCCEEDED")]
    Succeeded,
    /// No more attempts will be made unless somebody asks for one.
    #[sea_orm(string_value = "FAILED")]
    Failed,
}

/// What it is related to.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// For whom.
    #[sea_orm(
        belongs_to = "super::webhook::Entity",
        from = "Column::WebhookId",
        to = "super::webhook::Column::Id",
        on_delete = "Cascade"
    )]
    Webhook,
    /// The requests made for it after the first one.
    #[sea_orm(has_many = "super::attempt::Entity")]
    Attempts,
}

impl Related<super::webhook::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Webhook.def()
    }
}

impl Related<super::attempt::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Attempts.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
