//! Which URLs can be registered.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use super::{Guard, Scheme, literal};

/// Longest URL, in bytes, before and after it is normalised.
pub const MAX_URL_LENGTH: usize = 2048;
/// How long a registration waits for the name to be resolved; a slow name counts as one that does not resolve.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(3);

/// Why a URL cannot be registered. The messages are for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Too long.
    #[error("the URL is longer than {MAX_URL_LENGTH} bytes")]
    TooLong,
    /// Not an absolute URL with a host.
    #[error("this is no absolute URL with a host")]
    Syntax,
    /// The host can be no name in DNS.
    #[error("the host is no valid domain name or address")]
    Host,
    /// A scheme that is never served.
    #[error("the scheme must be https")]
    Scheme,
    /// http to a host that needs https.
    #[error("the scheme must be https; http is only for hosts that the server's operator has allowed")]
    HttpsRequired,
    /// It holds a user name or a password.
    #[error("a user name or password in the URL is not allowed; use a header")]
    UserInfo,
    /// It holds a fragment.
    #[error("a fragment (#…) in the URL is not allowed, it would not be sent")]
    Fragment,
    /// The host has refused addresses alone.
    #[error("webhooks may not be sent to this host")]
    Blocked,
}

impl Guard {
    /// Checks a URL that somebody wants to register, and returns it normalised.
    ///
    /// A name is resolved, but one that does not resolve now is accepted: what it will resolve to is checked whenever a
    /// message is sent.
    pub async fn check_url(&self, text: &str) -> Result<Url, UrlError> {
        let url = parse(text)?;
        let scheme = Scheme::of(&url).ok_or(UrlError::Scheme)?;
        if let Some(address) = literal(&url) {
            self.judge(&[address], scheme)?;
            return Ok(url);
        }
        let host = url.host_str().ok_or(UrlError::Syntax)?;
        if !is_domain_name(host) {
            return Err(UrlError::Host);
        }
        match tokio::time::timeout(LOOKUP_DEADLINE, self.lookup.addresses(host)).await {
            Ok(Ok(found)) => self.judge(&found, scheme)?,
            Ok(Err(_)) | Err(_) if scheme == Scheme::Http && self.allow.is_empty() => {
                return Err(UrlError::HttpsRequired);
            }
            Ok(Err(_)) | Err(_) => {}
        }
        Ok(url)
    }

    /// With https one permitted address is enough, for the others are never used; with http all must be in allowed ranges,
    /// since a host that is also elsewhere is not one of the operator's own.
    fn judge(&self, found: &[IpAddr], scheme: Scheme) -> Result<(), UrlError> {
        let mut permitted = found.iter().map(|address| self.permits(*address, scheme));
        match scheme {
            Scheme::Https if !permitted.any(|p| p) => Err(UrlError::Blocked),
            Scheme::Http if !permitted.all(|p| p) => {
                let elsewhere = found.iter().any(|address| self.permits(*address, Scheme::Https));
                Err(if elsewhere { UrlError::HttpsRequired } else { UrlError::Blocked })
            }
            Scheme::Https | Scheme::Http => Ok(()),
        }
    }
}

fn parse(text: &str) -> Result<Url, UrlError> {
    if text.len() > MAX_URL_LENGTH {
        return Err(UrlError::TooLong);
    }
    let url = Url::parse(text).map_err(|_| UrlError::Syntax)?;
    if Scheme::of(&url).is_none() {
        return Err(UrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    if url.as_str().len() > MAX_URL_LENGTH {
        return Err(UrlError::TooLong);
    }
    Ok(url)
}

/// RFC 1035 lengths; letters, digits, hyphens and, as is common, underscores.
fn is_domain_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    host.len() <= 253 && host.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::egress::AllowList;

    async fn check(allow: &str, text: &str) -> Result<String, UrlError> {
        Guard::new(allow.parse().unwrap()).check_url(text).await.map(String::from)
    }

    #[tokio::test]
    async fn literal_addresses_in_any_form() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.1",
            "①②⑦.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "10.0.0.1",
            "0",
            "0.0.0.0",
            "192.168.0.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[2001:db8::1]",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}/hook");
                assert_eq!(check("none", &url).await, Err(UrlError::Blocked), "{url}");
            }
        }
        assert_eq!(check("127.0.0.0/8", "http://0x7f.1:9000/a?b").await.unwrap(), "http://127.0.0.1:9000/a?b");
        assert_eq!(check("127.0.0.0/8", "https://[::ffff:127.0.0.1]/").await, Err(UrlError::Blocked));
        assert_eq!(check("none", "https://93.184.216.34").await.unwrap(), "https://93.184.216.34/");
        assert_eq!(check("127.0.0.0/8", "http://93.184.216.34").await, Err(UrlError::HttpsRequired));
    }

    #[tokio::test]
    async fn names_are_resolved() {
        for url in ["http://localhost:9000/", "https://localhost/"] {
            assert_eq!(check("none", url).await, Err(UrlError::Blocked), "{url}");
            assert!(check("127.0.0.0/8,::1", url).await.is_ok(), "{url}");
        }
        assert!(check("none", "https://nobody.invalid/").await.is_ok());
        assert!(check("127.0.0.0/8", "http://nobody.invalid/").await.is_ok());
        assert_eq!(check("none", "http://nobody.invalid/").await, Err(UrlError::HttpsRequired));
    }

    #[tokio::test]
    async fn refuses_what_cannot_be_sent_to() {
        let long = format!("https://nobody.invalid/{}", "a".repeat(MAX_URL_LENGTH));
        let grows = format!("https://nobody.invalid/{}", "ä".repeat(600));
        let label = format!("https://{}.invalid/", "a".repeat(64));
        for (url, expected) in [
            ("", UrlError::Syntax),
            ("nobody.invalid/hook", UrlError::Syntax),
            ("https://", UrlError::Syntax),
            ("https://[::1", UrlError::Syntax),
            ("https://256.256.256.256/", UrlError::Syntax),
            ("https://a b.invalid/", UrlError::Syntax),
            ("ftp://nobody.invalid/", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("javascript:alert(1)", UrlError::Scheme),
            ("https://user@nobody.invalid/", UrlError::UserInfo),
            ("https://:secret@nobody.invalid/", UrlError::UserInfo),
            ("https://nobody.invalid/#top", UrlError::Fragment),
            ("https://nobody..invalid/", UrlError::Host),
            ("https://a*b.invalid/", UrlError::Host),
            (&label, UrlError::Host),
            (&long, UrlError::TooLong),
            (&grows, UrlError::TooLong),
        ] {
            assert_eq!(check("none", url).await, Err(expected), "{url}");
        }
    }

    #[test]
    fn http_is_for_hosts_that_are_allowed_entirely() {
        let guard = Guard::new("10.0.0.0/8".parse::<AllowList>().unwrap());
        let judge = |addresses: &[&str], scheme| {
            let found: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            guard.judge(&found, scheme)
        };
        for (addresses, http, https) in [
            (&["10.0.0.1"] as &[_], Ok(()), Ok(())),
            (&["10.0.0.1", "10.0.0.2"], Ok(()), Ok(())),
            (&["10.0.0.1", "1.1.1.1"], Err(UrlError::HttpsRequired), Ok(())),
            (&["1.1.1.1"], Err(UrlError::HttpsRequired), Ok(())),
            (&["1.1.1.1", "127.0.0.1"], Err(UrlError::HttpsRequired), Ok(())),
            (&["127.0.0.1", "::1"], Err(UrlError::Blocked), Err(UrlError::Blocked)),
        ] {
            assert_eq!(judge(addresses, Scheme::Http), http, "{addresses:?}");
            assert_eq!(judge(addresses, Scheme::Https), https, "{addresses:?}");
        }
    }
}
