//! The single connection mode of graphql-sse: one stream carries the operations of other requests.
//!
//! A client reserves a stream (PUT) and gets its token, connects to it (GET), and then starts operations on it (POST)
//! and stops them (DELETE). The token is a secret of 256 bits. A stream belongs to the subject that reserved it; each
//! request that starts or stops something says again who is calling, and the rights of the latest one are those of the
//! whole stream. A stream is gone with its connection: a client that comes back reserves a new one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;

use super::Refused;
use super::events::{Channel, Events, Framing};
use crate::auth::Principal;
use crate::live::operation::{Refusal, begin};
use crate::live::operations::subscription;
use crate::live::{Executor, Live, Problem};
use crate::schema::{ErrorCode, OperationKind, Request};

/// Longer ids of operations are refused.
const MAX_ID_BYTES: usize = 256;

/// The streams that are reserved or connected.
#[derive(Default)]
pub struct Streams {
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    entries: HashMap<Arc<str>, Entry>,
    /// Those that are not connected.
    waiting: usize,
}

struct Entry {
    channel: Arc<Channel>,
    is_connected: bool,
}

impl Streams {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Nothing in here can panic half-way.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a reservation that nobody has come for.
    fn expire(&self, token: &str) {
        let mut registry = self.registry();
        if registry.entries.get(token).is_some_and(|entry| !entry.is_connected) {
            registry.entries.remove(token);
            registry.waiting -= 1;
        }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("count", &self.registry().entries.len()).finish()
    }
}

/// The connection of a stream, which takes the stream with it.
struct Connected {
    streams: Arc<Streams>,
    token: Arc<str>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.streams.registry().entries.remove(&self.token);
    }
}

/// Reserves a stream for this principal, and gives its token.
///
/// # Errors
/// If too many wait already, or the server stops.
pub fn reserve<E: Executor>(live: &Live<E>, principal: Arc<Principal>) -> Result<String, Refused> {
    if live.shutdown.is_cancelled() {
        let problem = Problem::new(ErrorCode::RateLimited, "the server is stopping");
        return Err((StatusCode::SERVICE_UNAVAILABLE, problem));
    }
    let token = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let key: Arc<str> = token.as_str().into();
    let mut registry = live.streams.registry();
    if registry.waiting >= live.settings.sse_max_reservations as usize {
        let problem = Problem::new(ErrorCode::RateLimited, "too many reservations wait for their connection");
        return Err((StatusCode::SERVICE_UNAVAILABLE, problem));
    }
    registry.waiting += 1;
    let channel = Arc::new(Channel::new(principal));
    registry.entries.insert(Arc::clone(&key), Entry { channel, is_connected: false });
    drop(registry);

    let (streams, shutdown) = (Arc::clone(&live.streams), live.shutdown.clone());
    let timeout = live.settings.sse_reservation_timeout;
    live.tasks.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(timeout) => {}
            () = shutdown.cancelled() => {}
        }
        streams.expire(&key);
    });
    Ok(token)
}

/// A stream that somebody has the token of.
pub struct Reserved {
    streams: Arc<Streams>,
    token: Arc<str>,
    channel: Arc<Channel>,
}

/// The stream with this token. `caller` is who asks; `None` if the token alone says it, as it does for a browser's
/// `EventSource`, which cannot send headers.
///
/// # Errors
/// If there is none, or it is somebody else's.
pub fn find<E: Executor>(live: &Live<E>, token: &str, caller: Option<&Arc<Principal>>) -> Result<Reserved, Refused> {
    let registry = live.streams.registry();
    let found = registry.entries.get_key_value(token).map(|(token, entry)| (token.clone(), entry.channel.clone()));
    drop(registry);
    let Some((token, channel)) = found else {
        let problem = Problem::bad_input("there is no stream with this token; reserve one with PUT");
        return Err((StatusCode::NOT_FOUND, problem));
    };
    if let Some(caller) = caller {
        if channel.principal().sub != caller.sub {
            let problem = Problem::new(ErrorCode::Forbidden, "the stream was reserved by another subject");
            return Err((StatusCode::FORBIDDEN, problem));
        }
        channel.renew(live, caller);
    }
    Ok(Reserved { streams: Arc::clone(&live.streams), token, channel })
}

impl Reserved {
    /// The body of the response that is the stream.
    ///
    /// # Errors
    /// If it is connected already, or there are too many connections.
    pub fn connect<E: Executor>(self, live: &Live<E>) -> Result<Events, Refused> {
        let seat = live.seat(&self.channel.principal())?;
        let mut registry = self.streams.registry();
        let entry = registry.entries.get_mut(&self.token).filter(|entry| !entry.is_connected);
        let Some(entry) = entry else {
            let problem = Problem::bad_input("the stream has its connection already");
            return Err((StatusCode::CONFLICT, problem));
        };
        entry.is_connected = true;
        registry.waiting -= 1;
        drop(registry);
        let connected = Connected { streams: self.streams, token: self.token };
        Ok(Events::holding(live, Framing::SharedEventStream, self.channel, seat, Some(Box::new(connected))))
    }

    /// Runs an operation whose outputs go to the stream. `false` if it was stopped before it had begun.
    ///
    /// # Errors
    /// If it cannot begin.
    pub async fn start<E: Executor>(
        &self,
        live: &Live<E>,
        id: &str,
        kind: OperationKind,
        request: Request,
    ) -> Result<bool, StartError> {
        self.reserve_id(live, id)?;
        let principal = self.channel.principal();
        let kept = subscription(&live.executor, &request);
        let begun = begin(&live.executor, kind, request, Arc::clone(&principal), live.request_timeout).await;
        match begun {
            Ok(outputs) => {
                let is_attached = self.channel.update(|operations| operations.attach(id, kept, outputs));
                // While it began, the rights may have become others.
                self.channel.refresh(live, &principal);
                Ok(is_attached)
            }
            Err(refusal) => {
                self.stop(id);
                Err(StartError::Refusal(refusal))
            }
        }
    }

    fn reserve_id<E: Executor>(&self, live: &Live<E>, id: &str) -> Result<(), StartError> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            let message = "extensions.operationId must be a string of 1 to 256 bytes";
            return Err(StartError::Refused((StatusCode::BAD_REQUEST, Problem::bad_input(message))));
        }
        let limit = live.settings.live_max_operations;
        self.channel.update(|operations| {
            if operations.contains(id) {
                let problem = Problem::bad_input("an operation with this operationId is running");
                return Err(StartError::Refused((StatusCode::CONFLICT, problem)));
            }
            if operations.len() >= limit as usize {
                let message = format!("this stream already has {limit} operations");
                let problem = Problem::new(ErrorCode::RateLimited, message);
                return Err(StartError::Refused((StatusCode::TOO_MANY_REQUESTS, problem)));
            }
            operations.reserve(id.into());
            Ok(())
        })
    }

    /// Stops an operation. One that is not running is ignored: it may just have ended.
    pub fn stop(&self, id: &str) {
        self.channel.update(|operations| operations.stop(id));
    }
}

/// Why an operation did not start.
#[derive(Debug)]
pub enum StartError {
    /// The stream does not take it.
    Refused(Refused),
    /// It cannot begin.
    Refusal(Refusal),
}
