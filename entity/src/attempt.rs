//! `tandem_attempt`: one HTTP request made for a delivery that had a row already, and what came of it. The request that a
//! row is made with stands in that row, `tandem_delivery`.

use sea_orm::entity::prelude::*;

use crate::{DeliveryId, WebhookId};

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tandem_attempt")]
pub struct Model {
    /// What it was made for; deleted with it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: DeliveryId,
    /// 1, 2, 3 … within its delivery.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// When it began.
    pub started_at: i64,
    /// From its beginning to its end, in milliseconds.
    pub duration_ms: i32,
    /// HTTP status of the answer; null if there was none.
    pub status_code: Option<i32>,
    /// The address connected to, `203.0.113.7:443`; null if it never came to that.
    #[sea_orm(column_type = "Text", nullable)]
    pub address: Option<String>,
    /// Code of the error, as in the API; null for a success.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_code: Option<String>,
    /// The error for people; null for a success.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// The beginning of the answer's body.
    #[sea_orm(column_type = "Text", nullable)]
    pub response_body: Option<String>,
    /// The webhook of its delivery; null for attempts of older versions.
    pub webhook_id: Option<WebhookId>,
    /// Its number among the attempts of the webhook, in the order of their commits; null like the webhook.
    pub ordinal: Option<i64>,
}

/// What it is related to.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// What it was made for.
    #[sea_orm(
        belongs_to = "super::delivery::Entity",
        from = "Column::DeliveryId",
        to = "super::delivery::Column::Id",
        on_delete = "Cascade"
    )]
    Delivery,
}

impl Related<super::delivery::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Delivery.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
