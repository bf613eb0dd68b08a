//! One HTTP request of a delivery.
//!
//! Invariants: one deadline covers DNS, connect, TLS, headers and body; redirects are never followed, no proxy is used and
//! nothing is decompressed; at most [`MAX_RESPONSE_BYTES`] of the answer are read and kept; a 2xx status is success whatever
//! becomes of the body after it.
//!
//!
//! - `connection`: one connection, driven by who waits for it
//! - `pool`: those that wait for their next request
//! - `answer`: what is kept of answers

mod answer;
mod connection;
mod pool;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use self::answer::Answers;
pub use self::answer::{Answer, MAX_RESPONSE_BYTES};
use self::connection::{Connection, Connector};
use self::pool::Pool;
use super::egress::{Destination, Guard};
use super::failure::AttemptError;
use super::retry::parse_retry_after;

/// A head of an answer that is longer ends the request.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("Tandem/", env!("CARGO_PKG_VERSION")));

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Where to.
    pub to: Arc<Destination>,
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
    connector: Connector,
    pool: Pool,
    answers: Answers,
}

impl Sender {
    /// A client whose connections obey the guard.
    ///
    /// # Errors
    /// If the system's certificates cannot be used.
    pub fn new(guard: Guard) -> io::Result<Self> {
        let connector = Connector::new(&guard)?;
        Ok(Self { guard, connector, pool: Pool::default(), answers: Answers::default() })
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
        let to = Arc::clone(&outbound.to);
        let timeout = outbound.timeout;
        match timeout_at(deadline, self.request(Method::POST, outbound)).await.unwrap_or_else(|_| late(timeout)) {
            Ok((mut connection, response)) => {
                attempt.address = connection.address().map(|address| address.to_string());
                let reading = self.read(response, deadline, &mut attempt);
                connection.drive(reading).await;
                self.pool.put(&to, connection).await;
            }
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
        let (timeout, deadline) = (outbound.timeout, Instant::now() + outbound.timeout);
        let response = timeout_at(deadline, self.request(Method::OPTIONS, outbound)).await;
        let (_, response) = response.unwrap_or_else(|_| late(timeout))?;
        let (head, _) = response.into_parts();
        Ok((head.status, head.headers))
    }

    async fn request(
        &self,
        method: Method,
        outbound: Outbound,
    ) -> Result<(Connection, Response<Incoming>), AttemptError> {
        let to = &outbound.to;
        self.guard.check_literal(to).map_err(|_| AttemptError::blocked())?;
        let mut request = Request::new(Full::new(outbound.body));
        *request.method_mut() = method;
        *request.uri_mut() = to.path().clone();
        *request.headers_mut() = outbound.headers;
        let headers = request.headers_mut();
        headers.insert(header::HOST, to.host().clone());
        headers.insert(header::USER_AGENT, USER_AGENT);
        // The owner of the webhook may have asked for something else.
        headers.entry(header::ACCEPT).or_insert(ANYTHING);
        while let Some(mut connection) = self.pool.take(to).await {
            match connection.request(request).await {
                Ok(response) => return Ok((connection, response)),
                // The receiver has left in this very moment, and has got nothing.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(AttemptError::of_exchange(error.error())),
                },
            }
        }
        // In a box of its own, which is gone when it is there: connecting takes more room than waiting for an answer.
        let mut connection = Box::pin(self.connector.connect(to)).await?;
        match connection.request(request).await {
            Ok(response) => Ok((connection, response)),
            Err(error) => Err(AttemptError::of_exchange(error.error())),
        }
    }

    /// The status decides; what follows is kept for the owner to see, as far as it arrives in time.
    async fn read(&self, response: Response<Incoming>, deadline: Instant, attempt: &mut Attempt) {
        let status = response.status();
        attempt.status_code = Some(status.as_u16());
        attempt.error = AttemptError::of_status(status);
        if attempt.error.is_some() {
            attempt.retry_after = retry_after(response.headers());
        }
        // The headers go: there may be much of them, and the body may be waited for until the deadline.
        let mut body = response.into_body();
        attempt.response_body = Some(self.answers.read(&mut body, deadline).await);
    }
}

fn late<T>(timeout: Duration) -> Result<T, AttemptError> {
    Err(AttemptError::timeout(timeout))
}

/// What the receiver asks for. It says a date by its own clock, so that is the one to count from.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    parse_retry_after(text(header::RETRY_AFTER)?, now.unwrap_or_else(SystemTime::now))
}

#[cfg(test)]
mod tests;
