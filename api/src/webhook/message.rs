//! What is sent for an event: the body, and the headers of one attempt.
//!
//! Invariants: `data` and `errors` are the very bytes that a live client gets; the body of an event is made once and every
//! attempt sends the same bytes; only the time and the signatures differ between attempts.

use super::keys::SigningKeys;
use crate::catalog::datum::{format_instant, write_text};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Most custom headers of a webhook.
pub const MAX_HEADERS: usize = 10;
/// Longest value of a custom header, in bytes.
pub const MAX_HEADER_VALUE_LENGTH: usize = 1024;
/// Longest name of a custom header, in bytes.
pub const MAX_HEADER_NAME_LENGTH: usize = 100;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Names that the server sets itself, or that change how a request is framed or routed.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// The parts of a body.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// `order_line.updated`
    pub event: &'a str,
    /// When the change was committed, in microseconds since 1970.
    pub occurred_at: i64,
    /// Where to continue after this event.
    pub cursor: &'a str,
    /// Which event of this webhook it is; none for events from before the webhook.
    pub sequence: Option<i64>,
    /// The JSON of `data`.
    pub data: &'a [u8],
    /// The JSON of `errors`, if there are any.
    pub errors: Option<&'a [u8]>,
}

impl Message<'_> {
    /// The body, one JSON object.
    pub fn body(&self) -> Bytes {
        let mut out = Vec::with_capacity(256 + self.data.len() + self.errors.map_or(0, <[u8]>::len));
        out.extend_from_slice(b"{\"type\":");
        write_text(&mut out, self.event);
        out.extend_from_slice(b",\"timestamp\":");
        write_text(&mut out, &format_instant(self.occurred_at));
        out.extend_from_slice(b",\"cursor\":");
        write_text(&mut out, self.cursor);
        if let Some(sequence) = self.sequence {
            out.extend_from_slice(b",\"sequence\":");
            out.extend_from_slice(sequence.to_string().as_bytes());
        }
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(self.data);
        if let Some(errors) = self.errors {
            out.extend_from_slice(b",\"errors\":");
            out.extend_from_slice(errors);
        }
        out.push(b'}');
        out.into()
    }
}

/// The headers of one attempt: `id` is the event's, the time is that of this attempt, in seconds since 1970.
pub fn headers(id: &str, timestamp_s: i64, body: &[u8], keys: &SigningKeys, custom: &CustomHeaders) -> HeaderMap {
    let mut headers = self::custom(custom);
    let ascii = |text: &str| HeaderValue::from_str(text).expect("ids, numbers and base64 are visible ASCII");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ID, ascii(id));
    headers.insert(TIMESTAMP, ascii(&timestamp_s.to_string()));
    headers.insert(SIGNATURE, ascii(&keys.sign(id, timestamp_s, body)));
    headers
}

/// The headers of a request that is no message: those of the owner alone.
pub fn custom(custom: &CustomHeaders) -> HeaderMap {
    // The HTTP client adds its own: with room for those the map does not have to grow.
    let mut headers = HeaderMap::with_capacity(10 + custom.0.len());
    headers.extend(custom.0.iter().cloned());
    headers
}

/// The headers that the owner of a webhook wants to be sent with each message. Values may be credentials: they are not
/// shown in logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomHeaders(Vec<(HeaderName, HeaderValue)>);

/// Why a custom header is refused. The messages are for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a token of RFC 9110, or too long.
    #[error("a header name holds letters, digits and hyphens, at most {MAX_HEADER_NAME_LENGTH} of them")]
    Name,
    /// The server sets it itself.
    #[error("this header is set by the server")]
    Reserved,
    /// Not visible ASCII, or too long.
    #[error("a header value holds visible ASCII characters and spaces, at most {MAX_HEADER_VALUE_LENGTH} of them")]
    Value,
    /// The name is there already.
    #[error("this header is given twice")]
    Twice,
    /// There are too many.
    #[error("at most {MAX_HEADERS} headers are allowed")]
    TooMany,
}

impl CustomHeaders {
    /// Adds a header that a client gave.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if self.0.len() == MAX_HEADERS {
            return Err(HeaderError::TooMany);
        }
        if name.len() > MAX_HEADER_NAME_LENGTH {
            return Err(HeaderError::Name);
        }
        let name: HeaderName = name.parse().map_err(|_| HeaderError::Name)?;
        if name.as_str().starts_with("webhook-") || RESERVED.contains(&name.as_str()) {
            return Err(HeaderError::Reserved);
        }
        if value.len() > MAX_HEADER_VALUE_LENGTH {
            return Err(HeaderError::Value);
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value)?;
        // `from_str` lets bytes through that receivers read in different ways.
        if value.to_str().is_err() {
            return Err(HeaderError::Value);
        }
        if self.0.iter().any(|(other, _)| *other == name) {
            return Err(HeaderError::Twice);
        }
        value.set_sensitive(true);
        self.0.push((name, value));
        Ok(())
    }

    /// The names, in the order they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Names and values, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("values are visible ASCII")))
    }
}

#[cfg(test)]
mod tests {
    use entity::WebhookId;

    use super::*;
    use crate::webhook::keys::{SealedKeys, Signer};
    use crate::webhook::vault::Vault;

    #[test]
    fn bodies_hold_the_given_bytes() {
        let message = Message {
            event: "order_line.updated",
            occurred_at: 1_769_860_800_123_456,
            cursor: "c\"1",
            sequence: Some(7),
            data: b"{ \"b\" : 1.0,\"a\":2}",
            errors: None,
        };
        assert_eq!(
            message.body(),
            r#"{"type":"order_line.updated","timestamp":"2026-01-31T12:00:00.123456Z","cursor":"c\"1","sequence":7,"data":{ "b" : 1.0,"a":2}}"#
        );
        let message = Message { sequence: None, data: b"null", errors: Some(b"[{\"message\":\"no\"}]"), ..message };
        assert!(message.body().ends_with(b"\"cursor\":\"c\\\"1\",\"data\":null,\"errors\":[{\"message\":\"no\"}]}"));
        serde_json::from_slice::<serde_json::Value>(&message.body()).unwrap();
    }

    #[test]
    fn headers_are_signed_and_hold_the_custom_ones() {
        let (vault, webhook, signer) = (Vault::new(&[[7; 32]]).unwrap(), WebhookId::new(), Signer::generate());
        let keys = SealedKeys::new(&signer, &vault, webhook).open(&vault, webhook).unwrap();
        let mut custom = CustomHeaders::default();
        custom.add("Authorization", "Bearer abc").unwrap();
        let headers = headers("evt_1", 1_614_265_330, b"{}", &keys, &custom);
        let signatures =
            [signer.secret.sign("evt_1", 1_614_265_330, b"{}"), signer.key.sign("evt_1", 1_614_265_330, b"{}")];
        for (name, value) in [
            ("authorization", "Bearer abc"),
            ("content-type", "application/json"),
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signatures.join(" ").as_str()),
        ] {
            assert_eq!(headers[name], value);
        }
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn custom_headers_are_checked() {
        let mut headers = CustomHeaders::default();
        headers.add("X-First", "a b").unwrap();
        for (name, value, expected) in [
            ("x-first", "again", HeaderError::Twice),
            ("", "a", HeaderError::Name),
            ("a b", "a", HeaderError::Name),
            ("a\r\nb", "a", HeaderError::Name),
            ("ä", "a", HeaderError::Name),
            (&"a".repeat(101), "a", HeaderError::Name),
            ("Webhook-Id", "a", HeaderError::Reserved),
            ("webhook-anything", "a", HeaderError::Reserved),
            ("Content-Type", "text/plain", HeaderError::Reserved),
            ("HOST", "a", HeaderError::Reserved),
            ("transfer-encoding", "chunked", HeaderError::Reserved),
            ("x-value", "a\r\nb: c", HeaderError::Value),
            ("x-value", "ä", HeaderError::Value),
            ("x-value", "\u{7f}", HeaderError::Value),
            ("x-value", &"a".repeat(1025), HeaderError::Value),
        ] {
            assert_eq!(headers.add(name, value), Err(expected), "{name:?}: {value:?}");
        }
        for i in 1..MAX_HEADERS {
            headers.add(&format!("x-{i}"), "").unwrap();
        }
        assert_eq!(headers.add("x-more", ""), Err(HeaderError::TooMany));
        assert_eq!(headers.names().next(), Some("x-first"));
        assert_eq!(headers.iter().next(), Some(("x-first", "a b")));
        assert!(!format!("{headers:?}").contains("a b"));
    }
}
