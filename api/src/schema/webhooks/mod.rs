//! The root fields about webhooks: they read, change and operate them, and follow how they fare.
//!
//! - `scope`: what all of them work with; `object`: what is shown; `charge`: what it costs
//! - `read`, `deliveries`: what there is; `change`: the registry; `operations`: ping, retry, replay
//! - `feeds`: the subscriptions

mod change;
mod charge;
mod deliveries;
mod feeds;
mod object;
mod operations;
mod read;
mod scope;

use serde_json::{Value, json};

pub(crate) use self::charge::{charge, charge_deliveries};
pub(crate) use self::feeds::Feed;
pub(crate) use self::scope::Webhooks;
use self::scope::refused;
use super::document::{GraphqlError, Selected};
use super::plan::Output;
use super::plan::context::Arguments;
use super::{input, tree};
use crate::webhook::registry;

impl Webhooks<'_> {
    /// Runs a root field about webhooks and writes its value. `__typename` is none of them.
    pub(crate) async fn run(&self, field: &Selected<'_>, out: &mut Output<'_>) -> Result<(), GraphqlError> {
        let arguments = Arguments(self.operation.arguments(field)?);
        let value = match field.name {
            "webhook" => self.webhook(field, arguments.text("id").unwrap_or_default()).await?,
            "node" => self.node(field, arguments.text("id").unwrap_or_default()).await?,
            "webhooks" => self.webhooks(field, &arguments).await?,
            name => {
                let input = Arguments(arguments.get("input").and_then(Value::as_object).cloned().unwrap_or_default());
                let mut payload = match (input::key(self.principal, name, &input.0), name) {
                    (Err(violation), _) => refused(registry::Error::Refused(vec![violation]))?,
                    (Ok(key), "createWebhook") => self.create(field, &input, key).await?,
                    (Ok(key), "updateWebhook") => self.update(field, &input, key).await?,
                    (Ok(key), "rotateWebhookSecret") => self.rotate(field, &input, key).await?,
                    (Ok(key), "pingWebhook") => self.ping(field, &input, key).await?,
                    (Ok(key), "retryDelivery") => self.retry(&input, key).await?,
                    (Ok(key), "replayWebhook") => self.replay(field, &input, key).await?,
                    (Ok(key), "cancelReplay") => self.cancel_replay(field, &input, key).await?,
                    (Ok(key), _) => self.delete(&input, key).await?,
                };
                payload.insert("clientMutationId".to_owned(), json!(input.text("clientMutationId")));
                Value::Object(payload)
            }
        };
        tree::write(self.operation, field, &value, out);
        Ok(())
    }
}
