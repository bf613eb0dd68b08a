//! Where the requests of a webhook go, worked out of its URL once for all of them.

use std::net::IpAddr;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery, Uri};
use url::Url;

use super::{Scheme, literal};

/// A URL, as requests need it.
#[derive(Debug)]
pub struct Destination {
    origin: (Scheme, Authority),
    /// The host, if it is an address.
    pub(super) literal: Option<IpAddr>,
    uri: Uri,
    path: Uri,
    host: HeaderValue,
}

/// A URL that no request can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL is no longer valid")]
pub struct InvalidDestination;

impl Destination {
    /// Of an absolute URL of one of the two schemes.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(url: &Url) -> Result<Self, InvalidDestination> {
        let scheme = Scheme::of(url).ok_or(InvalidDestination)?;
        let uri: Uri = url.as_str().parse().map_err(|_| InvalidDestination)?;
        let authority = uri.authority().cloned().ok_or(InvalidDestination)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| InvalidDestination)?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str).parse().map_err(|_| InvalidDestination)?;
        Ok(Self { origin: (scheme, authority), literal: literal(url), uri, path, host })
    }

    /// By which scheme.
    pub fn scheme(&self) -> Scheme {
        self.origin.0
    }

    /// What requests must have in common to go over one connection: scheme, host and port.
    pub fn origin(&self) -> &(Scheme, Authority) {
        &self.origin
    }

    /// All of it, for who connects.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Path and query, for the first line of a request.
    pub fn path(&self) -> &Uri {
        &self.path
    }

    /// Host and port, for the header.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }
}

/// Reads a URL.
impl std::str::FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        Self::new(&text.parse().map_err(|_| InvalidDestination)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, scheme, path, host, is_literal) in [
            ("https://example.com", Scheme::Https, "/", "example.com", false),
            ("https://EXAMPLE.com:443/a%20b?c=d|e#f", Scheme::Https, "/a%20b?c=d|e", "example.com", false),
            ("http://example.com:8080/ä/", Scheme::Http, "/%C3%A4/", "example.com:8080", false),
            ("http://[::1]:80/?", Scheme::Http, "/?", "[::1]", true),
            ("http://0x7f.1:81/", Scheme::Http, "/", "127.0.0.1:81", true),
        ] {
            let to: Destination = url.parse().unwrap_or_else(|_| panic!("{url}"));
            assert_eq!((to.scheme(), to.path().to_string().as_str()), (scheme, path), "{url}");
            assert_eq!((to.host().to_str().unwrap(), to.literal.is_some()), (host, is_literal), "{url}");
        }
        for url in ["", "example.com", "ftp://example.com/", "https://", "data:,a"] {
            assert_eq!(url.parse::<Destination>().map(|_| ()), Err(InvalidDestination), "{url}");
        }
    }
}
