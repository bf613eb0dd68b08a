//! The ranges that an operator opens to webhooks although they are not on the internet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Ranges of addresses, written as CIDRs with commas, or `none`. An IPv4 range says nothing about the IPv6 addresses
/// that map to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList(Vec<IpNet>);

/// An entry of the list that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no range of addresses; write CIDRs such as 10.1.0.0/16 or ::1/128 with commas, or none")]
pub struct InvalidAllowList(String);

impl AllowList {
    /// Nothing but the internet.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// This machine, for a server that only this machine can reach.
    pub fn loopback() -> Self {
        Self(vec![
            Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
            Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
        ])
    }

    /// Whether the address is in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether there are no ranges.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for AllowList {
    type Err = InvalidAllowList;

    fn from_str(text: &str) -> Result<Self, InvalidAllowList> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Self::none());
        }
        let entry = |entry: &str| {
            let entry = entry.trim();
            let net = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            net.map(|net| net.trunc()).map_err(|_| InvalidAllowList(entry.to_owned()))
        };
        Ok(Self(text.split(',').map(entry).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, net) in self.0.iter().enumerate() {
            write!(f, "{}{net}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_shown() {
        for (text, shown) in [
            ("none", "none"),
            (" NONE ", "none"),
            ("10.1.2.3/16, ::1", "10.1.0.0/16,::1/128"),
            ("127.0.0.1", "127.0.0.1/32"),
        ] {
            assert_eq!(text.parse::<AllowList>().unwrap().to_string(), shown);
        }
        assert_eq!(AllowList::loopback(), "127.0.0.0/8,::1".parse().unwrap());
        for text in ["", "10.0.0.0/33", "10.0.0.0/8,", "localhost", "none,10.0.0.0/8"] {
            assert!(text.parse::<AllowList>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_addresses_alone() {
        let list: AllowList = "10.1.0.0/16,::1".parse().unwrap();
        for (address, expected) in
            [("10.1.255.255", true), ("10.2.0.0", false), ("::1", true), ("::2", false), ("::ffff:10.1.0.1", false)]
        {
            assert_eq!(list.contains(address.parse().unwrap()), expected, "{address}");
        }
    }
}
