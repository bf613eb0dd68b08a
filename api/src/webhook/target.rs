//! What a worker needs to know of its webhook, in the form that it uses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::EventId;
use http::HeaderValue;
use reqwest::Url;

use super::keys::SigningKeys;
use super::message::{self, CustomHeaders};
use super::render::{Follow, Render};
use super::row::Webhook;
use super::send::Outbound;
use super::vault::{OpenError, Vault};
use super::verification::REQUEST_ORIGIN;
use crate::catalog::datum::now_micros;
use crate::catalog::type_id;
use crate::log::Event;

/// Where and how the messages of a webhook are sent. Immutable: a change of the webhook makes a new one.
pub struct Target {
    url: Url,
    headers: CustomHeaders,
    keys: SigningKeys,
    /// Of the sender, for a receiver that has allowed it.
    origin: Option<HeaderValue>,
    /// Most requests at the same time, at least 1.
    pub max_in_flight: usize,
    /// The document, with the owner's rights.
    pub follower: Arc<dyn Follow>,
}

/// Why nothing can be sent for a webhook.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// In words for its owner.
    #[error("{0}")]
    Invalid(String),
    /// This process cannot read its secrets. Another one may.
    #[error("its secrets cannot be decrypted: {0}")]
    Sealed(#[from] OpenError),
}

impl Target {
    /// Makes it of the row.
    ///
    /// # Errors
    /// Why nothing can be sent for this webhook.
    pub fn new(
        webhook: &Webhook,
        render: &dyn Render,
        vault: &Vault,
        origin: &HeaderValue,
    ) -> Result<Self, TargetError> {
        let prepared = render.prepare(&webhook.query, &webhook.variables, Arc::clone(&webhook.principal));
        let follower = prepared.map_err(|refusals| {
            let messages: Vec<_> = refusals.into_iter().map(|refusal| refusal.message).collect();
            TargetError::Invalid(format!("the document is no longer valid: {}", messages.join("; ")))
        })?;
        Ok(Self {
            url: webhook.url.parse().map_err(|_| TargetError::Invalid("the URL is no longer valid".to_owned()))?,
            headers: webhook.headers.open(vault, webhook.id)?,
            keys: webhook.keys.open(vault, webhook.id)?,
            origin: webhook.verified_at.map(|_| origin.clone()),
            max_in_flight: usize::from(webhook.max_in_flight),
            follower,
        })
    }

    /// One attempt, signed now.
    pub fn outbound(&self, message: EventId, body: &Bytes, timeout: Duration) -> Outbound {
        let id = type_id::format(Event::PREFIX, message.get());
        let mut headers = message::headers(&id, now_micros() / 1_000_000, body, &self.keys, &self.headers);
        if let Some(origin) = &self.origin {
            headers.insert(REQUEST_ORIGIN, origin.clone());
        }
        Outbound { url: self.url.clone(), headers, body: body.clone(), timeout }
    }
}
