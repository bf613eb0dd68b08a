//! The egress guard: which addresses a webhook may be sent to, so that nobody can use the server to reach what only the
//! server can reach.
//!
//! Invariants: every connection goes to an address that was checked after its name was resolved, and the name is not
//! resolved again in between ([`GuardedResolver`] is the only resolver of the client); literal addresses never reach a
//! resolver and are checked before each request ([`Guard::check_literal`]); no message names an address.

mod address;
mod allow;
mod destination;
mod registration;
mod resolver;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use url::Url;

pub use self::address::is_global_unicast;
pub use self::allow::{AllowList, InvalidAllowList};
pub use self::destination::{Destination, InvalidDestination};
pub use self::registration::{MAX_URL_LENGTH, UrlError};
use self::resolver::Lookup;
pub use self::resolver::{Blocked, GuardedResolver, ResolveError};

/// Decides about addresses and URLs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    allow: Arc<AllowList>,
    lookup: Lookup,
}

/// The two schemes that a webhook's URL can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// To the internet and to allowed ranges.
    Https,
    /// To allowed ranges alone.
    Http,
}

impl Scheme {
    /// The scheme of a URL; `None` for any other.
    pub fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "https" => Some(Self::Https),
            "http" => Some(Self::Http),
            _ => None,
        }
    }
}

impl Guard {
    /// Refuses all that is neither on the internet nor in one of these ranges.
    pub fn new(allow: AllowList) -> Self {
        Self { allow: Arc::new(allow), lookup: Lookup::default() }
    }

    /// One that asks somebody else than the operating system for the addresses of names.
    #[cfg(test)]
    pub(super) fn resolving(allow: AllowList, source: resolver::Source) -> Self {
        Self { allow: Arc::new(allow), lookup: Lookup::by(source) }
    }

    /// Whether this address may be connected to by this scheme.
    pub fn permits(&self, address: IpAddr, scheme: Scheme) -> bool {
        self.allow.contains(address) || (scheme == Scheme::Https && is_global_unicast(address))
    }

    /// Checks a destination whose host is a literal address; one whose host is a name is left to the resolver.
    pub fn check_literal(&self, to: &Destination) -> Result<(), Blocked> {
        match to.literal {
            Some(address) if !self.permits(address, to.scheme()) => Err(Blocked),
            _ => Ok(()),
        }
    }

    /// The resolver of a client for URLs of this scheme.
    pub fn resolver(&self, scheme: Scheme) -> GuardedResolver {
        GuardedResolver::new(self.clone(), scheme)
    }
}

/// The address of a URL whose host is one. The URL parser has already turned `0x7f.1`, `2130706433` and the like into it.
fn literal(url: &Url) -> Option<IpAddr> {
    // Host names cannot hold a colon and cannot look like an IPv4 address, so this reading is the parser's own.
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
