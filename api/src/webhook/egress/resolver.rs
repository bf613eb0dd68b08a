//! Name → checked addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::{Guard, Scheme};

/// Lookups at one time. Each holds a thread until the operating system answers, also when nobody waits any more; when
/// there are this many, others wait for their turn and their requests for their deadline.
const MAX_LOOKUPS: usize = 128;

/// There is no address for this host that a webhook may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no address that webhooks may be sent to")]
pub struct Blocked;

/// Why there is no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There are addresses, and none is permitted.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// There are none, as far as is known.
    #[error("the name of the host does not resolve")]
    Unknown(#[source] io::Error),
}

/// Who knows the addresses of a name.
pub(super) type Source = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// Resolves names, by the operating system unless a test says otherwise.
#[derive(Clone)]
pub(super) struct Lookup {
    permits: Arc<Semaphore>,
    source: Source,
}

impl Default for Lookup {
    fn default() -> Self {
        let system = |host: &str| Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect());
        Self::by(Arc::new(system))
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("permits", &self.permits).finish_non_exhaustive()
    }
}

impl Lookup {
    pub(super) fn by(source: Source) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_LOOKUPS)), source }
    }

    /// All addresses of a name.
    pub(super) async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (host, source) = (host.to_owned(), Arc::clone(&self.source));
        let lookup = tokio::task::spawn_blocking(move || {
            // The permit lives as long as the thread is busy, not as long as somebody waits for it.
            let _permit = permit;
            source(&host)
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// The resolver of the HTTP client: resolves once and hands on the permitted addresses alone, so a connection can only
/// go to one of those.
#[derive(Debug, Clone)]
pub struct GuardedResolver {
    guard: Guard,
    scheme: Scheme,
}

impl GuardedResolver {
    pub(super) fn new(guard: Guard, scheme: Scheme) -> Self {
        Self { guard, scheme }
    }

    /// The permitted addresses of a name, at least one, with port 0.
    ///
    /// # Errors
    /// If there are none.
    pub async fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = self.guard.lookup.addresses(name).await.map_err(ResolveError::Unknown)?;
        let permitted = found.into_iter().filter(|address| self.guard.permits(*address, self.scheme));
        let permitted: Vec<_> = permitted.map(|address| SocketAddr::new(address, 0)).collect();
        if permitted.is_empty() { Err(Blocked.into()) } else { Ok(permitted) }
    }
}

/// The connector puts the port of the URL in place of 0.
impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = BoxFuture<'static, Result<Self::Response, ResolveError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.resolve(name.as_str()).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::egress::AllowList;

    async fn resolve(allow: AllowList, scheme: Scheme, name: &str) -> Result<Vec<IpAddr>, String> {
        let resolver = Guard::new(allow).resolver(scheme);
        let found = resolver.resolve(name).await.map_err(|e| e.to_string())?;
        Ok(found.iter().map(SocketAddr::ip).collect())
    }

    #[tokio::test]
    async fn names_yield_permitted_addresses_alone() {
        for scheme in [Scheme::Https, Scheme::Http] {
            let blocked = resolve(AllowList::none(), scheme, "localhost").await.unwrap_err();
            assert_eq!(blocked, Blocked.to_string());
            let found = resolve(AllowList::loopback(), scheme, "localhost").await.unwrap();
            assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
        }
        // Only one of the families is open: the other addresses of the same name are left out.
        let found = resolve("127.0.0.1".parse().unwrap(), Scheme::Http, "localhost").await.unwrap();
        assert!(found.iter().all(|address| *address == IpAddr::from([127, 0, 0, 1])));
    }
}
