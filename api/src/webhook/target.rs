//! What a worker needs to know of its webhook, in the form that it uses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::EventId;
use entity::webhook::Ordering;
use http::HeaderValue;

use super::batch::{self, Batching};
use super::egress::{Destination, InvalidDestination};
use super::group::{Group, Groups};
use super::keys::SigningKeys;
use super::ledger::Job;
use super::message::{self, CustomHeaders};
use super::retry::Schedule;
use super::row::Webhook;
use super::send::Outbound;
use super::vault::{OpenError, Vault};
use super::verification::REQUEST_ORIGIN;
use crate::catalog::datum::now_micros;
use crate::catalog::type_id;
use crate::log::Event;

/// Where and how the messages of a webhook are sent. Immutable: a change of the webhook makes a new one.
pub struct Target {
    to: Arc<Destination>,
    headers: CustomHeaders,
    keys: SigningKeys,
    /// Of the sender, for a receiver that has allowed it.
    origin: Option<HeaderValue>,
    /// Most requests at the same time, at least 1.
    pub max_in_flight: usize,
    /// Most requests per second, at least 1.
    pub rate_limit: Option<u32>,
    /// Which messages wait for which.
    pub ordering: Ordering,
    /// Whether events are sent together.
    pub batching: Option<Batching>,
    /// When attempts are made, if not as the server does.
    pub schedule: Option<Schedule>,
    /// The deadline of an attempt, if not the server's.
    pub timeout: Option<Duration>,
    /// The document, with the owner's rights.
    pub group: Arc<Group>,
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

/// Makes the targets of webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Targets {
    groups: Arc<Groups>,
    vault: Vault,
    origin: HeaderValue,
}

impl Targets {
    /// Sends as this origin what these groups render.
    pub fn new(groups: Groups, vault: Vault, origin: HeaderValue) -> Self {
        Self { groups: Arc::new(groups), vault, origin }
    }

    /// The target of a webhook.
    ///
    /// # Errors
    /// Why nothing can be sent for it.
    pub fn of(&self, webhook: &Webhook) -> Result<Target, TargetError> {
        Target::new(webhook, &self.groups, &self.vault, &self.origin)
    }
}

impl Target {
    fn new(webhook: &Webhook, groups: &Groups, vault: &Vault, origin: &HeaderValue) -> Result<Self, TargetError> {
        let group = groups.of(webhook).map_err(|refusals| {
            let messages: Vec<_> = refusals.into_iter().map(|refusal| refusal.message).collect();
            TargetError::Invalid(format!("the document is no longer valid: {}", messages.join("; ")))
        })?;
        let sending = &webhook.sending;
        Ok(Self {
            to: Arc::new(webhook.url.parse().map_err(|e: InvalidDestination| TargetError::Invalid(e.to_string()))?),
            headers: webhook.headers.open(vault, webhook.id)?,
            keys: webhook.keys.open(vault, webhook.id)?,
            origin: webhook.verified_at.map(|_| origin.clone()),
            max_in_flight: usize::from(webhook.max_in_flight),
            rate_limit: sending.rate_limit,
            ordering: sending.ordering,
            batching: sending.batching,
            schedule: sending.schedule.clone(),
            timeout: sending.timeout,
            group,
        })
    }

    /// Whether rows that wait are to be arranged in another way than for this target.
    pub fn is_arranged_unlike(&self, other: &Self) -> bool {
        self.ordering != other.ordering || self.batching.is_some() != other.batching.is_some()
    }

    /// Most events of one request.
    pub fn max_events(&self) -> usize {
        self.batching.map_or(1, |batching| batching.max_events)
    }

    /// One attempt of these messages, signed now.
    pub fn request(&self, jobs: &[Job], default_timeout: Duration) -> Outbound {
        let timeout = self.timeout.unwrap_or(default_timeout);
        match jobs {
            [job] if job.batch.is_none() => self.outbound(job.message, &job.body, timeout),
            jobs => {
                let id = type_id::format(batch::PREFIX, batch::id(jobs));
                self.signed(&id, batch::body(jobs), timeout)
            }
        }
    }

    /// One attempt of a message that goes alone, signed now.
    pub fn outbound(&self, message: EventId, body: &Bytes, timeout: Duration) -> Outbound {
        self.signed(&type_id::format(Event::PREFIX, message.get()), body.clone(), timeout)
    }

    /// One request with this `webhook-id`, signed now.
    pub fn signed(&self, id: &str, body: Bytes, timeout: Duration) -> Outbound {
        let mut headers = message::headers(id, now_micros() / 1_000_000, &body, &self.keys, &self.headers);
        if let Some(origin) = &self.origin {
            headers.insert(REQUEST_ORIGIN, origin.clone());
        }
        Outbound { to: Arc::clone(&self.to), headers, body, timeout }
    }
}
