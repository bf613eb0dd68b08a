//! What a worker needs to know of its webhook, in the form that it uses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::EventId;
use reqwest::Url;

use super::message::{self, CustomHeaders};
use super::render::{Follow, Render};
use super::row::Webhook;
use super::send::Outbound;
use super::signature::Secret;
use crate::catalog::datum::now_micros;
use crate::catalog::type_id;
use crate::log::Event;

/// Where and how the messages of a webhook are sent. Immutable: a change of the webhook makes a new one.
pub struct Target {
    url: Url,
    headers: CustomHeaders,
    secret: Secret,
    /// Most requests at the same time, at least 1.
    pub max_in_flight: usize,
    /// The document, with the owner's rights.
    pub follower: Arc<dyn Follow>,
}

impl Target {
    /// Makes it of the row.
    ///
    /// # Errors
    /// Why nothing can be sent for this webhook, in words for its owner.
    pub fn new(webhook: &Webhook, render: &dyn Render) -> Result<Self, String> {
        let prepared = render.prepare(&webhook.query, &webhook.variables, Arc::clone(&webhook.principal));
        let follower = prepared.map_err(|refusals| {
            let messages: Vec<_> = refusals.into_iter().map(|refusal| refusal.message).collect();
            format!("the document is no longer valid: {}", messages.join("; "))
        })?;
        Ok(Self {
            url: webhook.url.parse().map_err(|_| "the URL is no longer valid".to_owned())?,
            headers: webhook.headers.clone(),
            secret: webhook.secret.clone(),
            max_in_flight: usize::from(webhook.max_in_flight),
            follower,
        })
    }

    /// One attempt, signed now.
    pub fn outbound(&self, message: EventId, body: &Bytes, timeout: Duration) -> Outbound {
        self.outbound_as(&type_id::format(Event::PREFIX, message.get()), body, timeout)
    }

    /// One request with this `webhook-id`, signed now.
    pub fn outbound_as(&self, id: &str, body: &Bytes, timeout: Duration) -> Outbound {
        let headers = message::headers(id, now_micros() / 1_000_000, body, &self.secret, &self.headers);
        Outbound { url: self.url.clone(), headers, body: body.clone(), timeout }
    }
}
