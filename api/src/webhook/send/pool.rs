//! Connections that wait for their next request.
//!
//! They are kept by scheme, host and port, whatever webhook they were opened for, and each leads to the address that was
//! checked when it was made. Invariants: a host has at most [`MAX_PER_HOST`] of them; none waits longer than [`MAX_IDLE`]; the
//! newest is used first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use http::uri::Authority;
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use crate::webhook::egress::{Destination, Scheme};

/// Common servers close idle connections after 5 s; a request that meets a closing connection is lost and retried.
const MAX_IDLE: Duration = Duration::from_secs(4);
/// As many as one webhook may have in flight.
const MAX_PER_HOST: usize = 256;

/// Cheap to clone; clones share their connections.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    by_origin: HashMap<(Scheme, Authority), Vec<(Instant, Connection)>>,
    /// Whether somebody looks after those that wait too long.
    is_swept: bool,
}

impl Pool {
    /// A connection over which a request can be made.
    pub async fn take(&self, to: &Destination) -> Option<Connection> {
        loop {
            let (since, mut connection) = lock(&self.0).by_origin.get_mut(to.origin())?.pop()?;
            if since.elapsed() < MAX_IDLE && connection.is_free().await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, if it can be used again.
    pub async fn put(&self, to: &Destination, mut connection: Connection) {
        if !connection.is_free().await {
            return;
        }
        let mut waiting = lock(&self.0);
        let of_host = match waiting.by_origin.get_mut(to.origin()) {
            Some(of_host) => of_host,
            None => waiting.by_origin.entry(to.origin().clone()).or_default(),
        };
        if of_host.len() < MAX_PER_HOST {
            of_host.push((Instant::now(), connection));
        }
        if !std::mem::replace(&mut waiting.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

/// Closes those that have waited too long, until there is none left.
async fn sweep(pool: Weak<Mutex<Waiting>>) {
    loop {
        sleep(MAX_IDLE / 4).await;
        let Some(pool) = pool.upgrade() else { return };
        let (old, is_over) = lock(&pool).old();
        join_all(old.into_iter().map(Connection::close)).await;
        if is_over {
            return;
        }
    }
}

impl Waiting {
    /// Takes out those that have waited too long; and whether nothing is left.
    fn old(&mut self) -> (Vec<Connection>, bool) {
        let mut old = Vec::new();
        self.by_origin.retain(|_, of_host| {
            // The oldest come first.
            let count = of_host.partition_point(|(since, _)| since.elapsed() >= MAX_IDLE);
            old.extend(of_host.drain(..count).map(|(_, connection)| connection));
            !of_host.is_empty()
        });
        self.is_swept = !self.by_origin.is_empty();
        (old, !self.is_swept)
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
