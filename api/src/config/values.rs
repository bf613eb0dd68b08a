//! The value types of settings: how durations, sizes, addresses and origins are written on a command line.

use std::net::SocketAddr;
use std::time::Duration;

/// Where the server listens. `localhost` is the IPv4 loopback address, so that it never depends on a resolver.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

/// A duration: `15s`, `5m`, `1h30m`, `250ms`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration such as 250ms, 15s, 5m, 2h or 1d".to_owned();
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part_ms = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_ms)).ok_or_else(wrong)?;
        total = total.checked_add(Duration::from_millis(part_ms)).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// A duration that is not zero, for time limits.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        positive => Ok(positive),
    }
}

/// A number of bytes: `65536`, `64KiB`, `1MiB`.
pub fn size_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_bytes: usize = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(unit_bytes))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a number of bytes such as 65536, 64KiB or 1MiB".to_owned())
}

/// A number of bytes, or 0.
pub fn size_bytes_or_none(text: &str) -> Result<usize, String> {
    if text.trim() == "0" { Ok(0) } else { size_bytes(text) }
}

/// An origin of a web page that may call the API: `https://app.example.com`, or `*`.
pub fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(text.to_owned());
    }
    let wrong = || "expected an origin such as https://app.example.com, without a path, or *".to_owned();
    let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
    let valid = !scheme.is_empty()
        && !authority.is_empty()
        && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b));
    if valid { Ok(text.to_ascii_lowercase()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("15s", Some(15_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("7d", Some(604_800_000)),
            ("", None),
            ("15", None),
            ("s", None),
            ("15 s", None),
            ("1w", None),
            ("-1s", None),
            ("99999999999999999999s", None),
        ];
        for (text, millis) in cases {
            assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn sizes() {
        let cases = [
            ("1", Some(1)),
            ("64KiB", Some(65_536)),
            ("1 MiB", Some(1 << 20)),
            ("0", None),
            ("1MB", None),
            ("", None),
            ("-1", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(size_bytes(text).ok(), bytes, "{text}");
        }
        assert_eq!(size_bytes_or_none("0"), Ok(0));
        assert_eq!(size_bytes_or_none("1KiB"), Ok(1024));
        assert!(size_bytes_or_none("").is_err());
    }

    #[test]
    fn listen_addresses() {
        assert_eq!(listen_address("localhost:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert!(listen_address("[::1]:8080").is_ok_and(|address| address.ip().is_loopback()));
        assert!(listen_address("example.com:80").is_err());
        assert!(listen_address("127.0.0.1").is_err());
    }

    #[test]
    fn origins() {
        for text in ["*", "https://app.example.com", "http://localhost:3000", "http://[::1]:3000"] {
            assert_eq!(origin(text).as_deref(), Ok(text));
        }
        for text in ["app.example.com", "https://", "https://app.example.com/", "https://a b", "null"] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
