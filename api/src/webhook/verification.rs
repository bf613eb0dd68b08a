//! Asks the receivers of new webhooks whether they want the events, if the owner wishes so (`verify: true`).
//!
//! Whoever can register a URL could have somebody else's server flooded. So a receiver may be asked first, in two ways, of
//! which either is enough:
//!
//! - the handshake of CloudEvents: OPTIONS with `WebHook-Request-Origin`, answered with `WebHook-Allowed-Origin`; or, later,
//!   a call of the URL in `WebHook-Request-Callback` ([`Registry::confirm`]). Specification:
//!   <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>, section 4
//! - a challenge: a signed message of the type `tandem.challenge`, whose `data.challenge` is answered, as text or as the
//!   member `challenge` of a JSON object
//!
//! Who does not answer is asked again by the retry schedule, and after its end the webhook is disabled. What this process
//! asks when it stops is asked again when the lease of that question ends.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::Webhook;
use super::egress::InvalidDestination;
use super::message::{self, CustomHeaders};
use super::registry::Registry;
use super::registry::confirmation::{Answer, Asking};
use super::retry::Schedule;
use super::send::{Attempt, Outbound, Sender};
use super::vault::Vault;
use crate::catalog::datum::{format_instant, now_micros};
use crate::catalog::type_id;

/// How often it looks for receivers to ask.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Receivers that one process asks at a time.
pub const MAX_ASKED: usize = 32;
/// How much longer than its two requests a question belongs to the process that asks it.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// The type of the message with the challenge.
const CHALLENGE: &str = "tandem.challenge";
const CHALLENGE_BYTES: usize = 24;

pub(super) const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_CALLBACK: HeaderName = HeaderName::from_static("webhook-request-callback");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
/// What a receiver says of the rate that it allows, in requests per minute or `*`.
pub const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Who Tandem says it is.
#[derive(Debug, Clone)]
pub struct Sending {
    /// A DNS name that stands for all nodes of this system.
    pub origin: HeaderValue,
    /// Where others reach it, without a slash at the end; `None` if it does not know, and then there is no callback.
    pub public_url: Option<String>,
}

/// One that does not know where others reach it.
impl Default for Sending {
    fn default() -> Self {
        Self { origin: HeaderValue::from_static("localhost"), public_url: None }
    }
}

impl FromStr for Sending {
    type Err = String;

    /// Reads the URL at which others reach this system.
    ///
    /// # Errors
    /// If it is no http(s) URL with a host, or has more than a path.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a URL such as https://tandem.example.com, without a query".to_owned();
        let url: Url = text.parse().map_err(|_| wrong())?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let host =
            url.host_str().filter(|_| ["http", "https"].contains(&url.scheme()) && is_plain).ok_or_else(wrong)?;
        let origin = HeaderValue::from_str(host).map_err(|_| wrong())?;
        Ok(Self { origin, public_url: Some(url.as_str().trim_end_matches('/').to_owned()) })
    }
}

/// Asks receivers, one process's share of them.
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    sender: Sender,
    vault: Vault,
    sending: Sending,
    schedule: Schedule,
    timeout: Duration,
}

impl Verifier {
    /// One that does nothing yet. The timeout is that of one request.
    pub fn new(
        registry: Registry,
        sender: Sender,
        vault: Vault,
        sending: Sending,
        schedule: Schedule,
        timeout: Duration,
    ) -> Self {
        Self { inner: Arc::new(Inner { registry, sender, vault, sending, schedule, timeout }) }
    }

    /// Asks until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let asked = self.inner.registry.asked();
        let mut tick = interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asking = JoinSet::new();
        // The earliest time at which somebody is asked again, as far as this process knows; the ticks find the others.
        let mut again_at: Option<i64> = None;
        loop {
            let wait_us = again_at.map_or(u64::MAX, |at| u64::try_from(at - now_micros()).unwrap_or(0));
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
                () = asked.notified() => {}
                () = sleep(Duration::from_micros(wait_us)), if again_at.is_some() => {}
                Some(ended) = asking.join_next() => {
                    again_at = again_at.into_iter().chain(ended.ok().flatten()).min();
                    continue;
                }
            }
            let free = MAX_ASKED - asking.len().min(MAX_ASKED);
            if free == 0 {
                continue;
            }
            let now = now_micros();
            again_at = again_at.filter(|at| *at > now);
            let lease = (self.inner.timeout * 2 + LEASE_MARGIN).as_micros() as i64;
            match self.inner.registry.due_confirmations(now, now.saturating_add(lease), free).await {
                Ok(due) => due.into_iter().for_each(|due| {
                    let inner = Arc::clone(&self.inner);
                    asking.spawn(async move { inner.ask(due).await });
                }),
                Err(error) => tracing::warn!(%error, "webhooks that wait for their receiver cannot be read"),
            }
        }
    }
}

impl Inner {
    /// When it is to be asked again, in microseconds since 1970.
    async fn ask(&self, Asking { webhook, attempt }: Asking) -> Option<i64> {
        let answer = match self.question(&webhook).await {
            Ok(per_minute) => Answer::Confirmed { per_minute },
            Err(reason) => {
                let delay = self.schedule.next_attempt(attempt, None, ::rand::random());
                let next_at = delay.map(|delay| now_micros().saturating_add(delay.as_micros() as i64));
                Answer::Unconfirmed {
                    reason: format!("its receiver has not confirmed that it wants the events: {reason}"),
                    next_at,
                }
            }
        };
        tracing::info!(webhook.id = %webhook.id, attempt, answer = ?answer, "a receiver was asked");
        if let Err(error) = self.registry.answer_confirmation(&webhook, &answer).await {
            tracing::warn!(webhook.id = %webhook.id, %error, "what a receiver said is lost; it is asked again");
        }
        match answer {
            Answer::Confirmed { .. } => None,
            Answer::Unconfirmed { next_at, .. } => next_at,
        }
    }

    /// The rate that the receiver allows, if it names one.
    ///
    /// # Errors
    /// Why it is taken for a no, in words for the owner.
    async fn question(&self, webhook: &Webhook) -> Result<Option<u32>, String> {
        let sealed = |error| format!("its secrets cannot be decrypted: {error}");
        let custom = webhook.headers.open(&self.vault, webhook.id).map_err(sealed)?;
        let keys = webhook.keys.open(&self.vault, webhook.id).map_err(sealed)?;
        let to = Arc::new(webhook.url.parse().map_err(|e: InvalidDestination| e.to_string())?);
        let timeout = self.timeout;
        let options =
            Outbound { to: Arc::clone(&to), headers: self.handshake(webhook, &custom), body: Bytes::new(), timeout };
        let refused = match self.sender.options(&options).await {
            Ok((_, headers)) if allows(&headers, &self.sending.origin) => {
                return Ok(headers.get(ALLOWED_RATE).and_then(|rate| parse_rate(rate.to_str().ok()?)));
            }
            Ok((status, _)) => format!("the answer to OPTIONS ({}) does not allow it", status.as_u16()),
            Err(error) => format!("OPTIONS failed: {}", error.message),
        };
        let challenge = challenge();
        let body = body(&challenge, now_micros());
        let id = type_id::format("challenge", Uuid::now_v7());
        let mut headers = message::headers(&id, now_micros() / 1_000_000, &body, &keys, &custom);
        headers.insert(REQUEST_ORIGIN, self.sending.origin.clone());
        let attempt = self.sender.send(Outbound { to, headers, body, timeout }).await;
        echoed(&attempt, &challenge).map(|()| None).map_err(|reason| format!("{reason}, and {refused}"))
    }

    fn handshake(&self, webhook: &Webhook, custom: &CustomHeaders) -> HeaderMap {
        let mut headers = message::custom(custom);
        headers.insert(REQUEST_ORIGIN, self.sending.origin.clone());
        if let (Some(base), Some(key)) = (&self.sending.public_url, &webhook.verify_key) {
            let id = type_id::format(Webhook::PREFIX, webhook.id.get());
            let callback = format!("{base}/webhooks/{id}/confirm?key={}", key.expose());
            if let Ok(mut callback) = HeaderValue::from_str(&callback) {
                callback.set_sensitive(true);
                headers.insert(REQUEST_CALLBACK, callback);
            }
        }
        headers
    }
}

fn challenge() -> String {
    let mut bytes = [0; CHALLENGE_BYTES];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    BASE64_URL.encode(bytes)
}

fn body(challenge: &str, now: i64) -> Bytes {
    let body = json!({"type": CHALLENGE, "timestamp": format_instant(now), "data": {"challenge": challenge}});
    body.to_string().into()
}

/// Whether the answer to OPTIONS allows this sender. Only the header says so: a server that knows nothing of webhooks may
/// answer OPTIONS with success, too.
fn allows(headers: &HeaderMap, origin: &HeaderValue) -> bool {
    headers.get_all(ALLOWED_ORIGIN).iter().any(|allowed| allowed == "*" || allowed == origin)
}

/// Requests per minute; `None` if there is no limit, or none that can be understood.
pub fn parse_rate(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|rate| *rate > 0)
}

/// # Errors
/// Why it is no echo.
fn echoed(attempt: &Attempt, challenge: &str) -> Result<(), String> {
    if let Some(error) = &attempt.error {
        return Err(format!("the challenge failed: {}", error.message));
    }
    let answer = attempt.response_body.as_deref().unwrap_or_default().trim();
    let of_object =
        serde_json::from_str(answer).ok().and_then(|json: Value| Some(json.get("challenge")?.as_str()? == challenge));
    if answer == challenge || of_object == Some(true) {
        Ok(())
    } else {
        Err(format!("the answer to the challenge ({}) does not repeat it", attempt.status_code.unwrap_or_default()))
    }
}
