//! One HTTP request of a delivery.
//!
//! Invariants: one deadline covers DNS, connect, TLS, headers and body; redirects are never followed, no proxy is used and
//! nothing is decompressed; at most [`MAX_RESPONSE_BYTES`] of the answer are read and kept; a 2xx status is success whatever
//! becomes of the body after it.
//!
//! What a connection costs while it waits is hyper's: about 35 KiB, and up to [`MAX_HEAD_BYTES`] of a head that does not end.

mod answer;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response, Url, redirect};
use tokio::time::{Instant, timeout_at};

use self::answer::Answers;
pub use self::answer::{Answer, MAX_RESPONSE_BYTES};
use super::egress::{Guard, Scheme};
use super::failure::AttemptError;
use super::retry::parse_retry_after;

/// A head that is longer ends the request. hyper says so, and reqwest offers no way to say otherwise.
pub const MAX_HEAD_BYTES: usize = 400 * 1024;
/// Common servers close idle connections after 5 s; a request that meets a closing connection is lost and retried.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(4);
/// As many as one webhook may have in flight. They are kept by host, and each leads to the address that was checked when it
/// was made.
const MAX_IDLE_CONNECTIONS_PER_HOST: usize = 256;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Where to.
    pub url: Url,
    /// All headers, signature and custom ones included.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// From before the name is resolved to after the body of the answer is read.
    pub timeout: Duration,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it began, in microseconds since 1970.
    pub started_at: i64,
    /// How long it took.
    pub duration_ms: u32,
    /// The status, if there was one.
    pub status_code: Option<u16>,
    /// The address and port that answered.
    pub address: Option<String>,
    /// Why it is no success; `None` for a 2xx status.
    pub error: Option<AttemptError>,
    /// The start of the answer.
    pub response_body: Option<Answer>,
    /// What the receiver asked for.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    /// Whether the receiver has the event.
    pub fn is_success(&self) -> bool {
        self.error.is_none()
    }

    /// When it ended, in microseconds since 1970.
    pub fn ended_at(&self) -> i64 {
        self.started_at + i64::from(self.duration_ms) * 1000
    }
}

/// The HTTP client of all webhooks. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Sender {
    guard: Guard,
    https: Client,
    http: Client,
    answers: Answers,
}

impl Sender {
    /// A client whose connections obey the guard.
    pub fn new(guard: Guard) -> Result<Self, reqwest::Error> {
        // A resolver does not see the scheme, and other addresses are open to http than to https: hence two clients.
        let https = client(&guard, Scheme::Https)?;
        let http = client(&guard, Scheme::Http)?;
        Ok(Self { guard, https, http, answers: Answers::default() })
    }

    /// The guard that it obeys.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Makes the request. Never fails: a failure is part of the attempt.
    pub async fn send(&self, outbound: Outbound) -> Attempt {
        let started_at = crate::catalog::datum::now_micros();
        let start = Instant::now();
        let mut attempt = Attempt {
            started_at,
            duration_ms: 0,
            status_code: None,
            address: None,
            error: None,
            response_body: None,
            retry_after: None,
        };
        let deadline = start + outbound.timeout;
        match self.request(Method::POST, outbound, deadline).await {
            Ok(response) => self.read(response, deadline, &mut attempt).await,
            Err(error) => attempt.error = Some(error),
        }
        attempt.duration_ms = start.elapsed().as_millis().try_into().unwrap_or(u32::MAX);
        attempt
    }

    /// Asks by OPTIONS, and gives status and headers of the answer. Its body is not read, and that of `outbound` not sent.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn options(&self, outbound: &Outbound) -> Result<(StatusCode, HeaderMap), AttemptError> {
        let outbound = Outbound { body: Bytes::new(), ..outbound.clone() };
        let deadline = Instant::now() + outbound.timeout;
        let response = self.request(Method::OPTIONS, outbound, deadline).await?;
        Ok((response.status(), response.headers().clone()))
    }

    async fn request(&self, method: Method, outbound: Outbound, deadline: Instant) -> Result<Response, AttemptError> {
        self.guard.check_literal(&outbound.url).map_err(|_| AttemptError::blocked())?;
        let scheme = Scheme::of(&outbound.url).ok_or_else(AttemptError::blocked)?;
        let client = match scheme {
            Scheme::Https => &self.https,
            Scheme::Http => &self.http,
        };
        // A builder would look through all of it again.
        let mut request = reqwest::Request::new(method, outbound.url);
        *request.headers_mut() = outbound.headers;
        *request.body_mut() = Some(outbound.body.into());
        match timeout_at(deadline, client.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(AttemptError::of_request(&error, scheme == Scheme::Https)),
            Err(_) => Err(AttemptError::timeout(outbound.timeout)),
        }
    }

    /// The status decides; what follows is kept for the owner to see, as far as it arrives in time.
    async fn read(&self, mut response: Response, deadline: Instant, attempt: &mut Attempt) {
        let status: StatusCode = response.status();
        attempt.status_code = Some(status.as_u16());
        attempt.address = response.remote_addr().map(|address| address.to_string());
        attempt.error = AttemptError::of_status(status);
        if attempt.error.is_some() {
            attempt.retry_after = retry_after(response.headers());
        }
        // There may be much of them, and the body may be waited for until the deadline.
        *response.headers_mut() = HeaderMap::new();
        attempt.response_body = Some(self.answers.read(&mut response, deadline).await);
    }
}

fn client(guard: &Guard, scheme: Scheme) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("Tandem/", env!("CARGO_PKG_VERSION")))
        .https_only(scheme == Scheme::Https)
        .http1_only()
        .redirect(redirect::Policy::none())
        // With none at all, requests are not copied to be sent again.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .referer(false)
        .no_proxy()
        .dns_resolver(guard.resolver(scheme))
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS_PER_HOST)
        .build()
}

/// What the receiver asks for. It says a date by its own clock, so that is the one to count from.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    parse_retry_after(text(header::RETRY_AFTER)?, now.unwrap_or_else(SystemTime::now))
}

#[cfg(test)]
mod tests;
