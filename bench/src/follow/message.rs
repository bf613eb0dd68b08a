//! What servers send about operations, taken apart without parsing it: the client has a processor in common with the
//! server.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// A message of a server.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The connection is open.
    Ack,
    /// A result of the operation with this id.
    Next(&'a str, &'a [u8]),
    /// It could not be run, or cannot go on: its errors.
    Error(&'a str, &'a [u8]),
    /// It is over.
    Complete(&'a str),
    /// Wants a pong.
    Ping,
    /// Nothing that a load client acts on.
    Notice,
}

const PAYLOAD: &[u8] = b"\"payload\":";
const EXTENSIONS: &[u8] = b",\"extensions\":";
const CURSOR: &[u8] = b"\"cursor\":\"";

impl<'a> Message<'a> {
    /// Reads a text frame of `graphql-transport-ws`. Ids must be plain, as ours are.
    pub fn parse(text: &'a [u8]) -> Result<Self> {
        let (head, payload) = match find(text, PAYLOAD) {
            Some(at) => (&text[..at], &text[at + PAYLOAD.len()..text.len().saturating_sub(1)]),
            None => (text, &b""[..]),
        };
        let id = || string(head, b"\"id\":\"").context("a message about an operation has its id");
        Ok(match string(head, b"\"type\":\"").context("a message has a type")? {
            "next" => Self::Next(id()?, payload),
            "error" => Self::Error(id()?, payload),
            "complete" => Self::Complete(id()?),
            "connection_ack" => Self::Ack,
            "ping" => Self::Ping,
            "pong" | "ka" => Self::Notice,
            other => bail!("a server does not send {other}"),
        })
    }
}

/// The cursor in the extensions of a result.
pub fn cursor(payload: &[u8]) -> Option<&str> {
    let at = payload.windows(CURSOR.len()).rposition(|window| window == CURSOR)?;
    string(&payload[at..], CURSOR)
}

/// A result without its extensions: what must be the same for every subscriber.
pub fn content(payload: &[u8]) -> &[u8] {
    match payload.windows(EXTENSIONS.len()).rposition(|window| window == EXTENSIONS) {
        Some(at) => &payload[..at],
        None => payload,
    }
}

/// The position in a cursor of Tandem's: a version, an epoch and the position, in base64.
pub fn position(cursor: &str) -> Result<i64> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).context("the cursor is no base64")?;
    ensure!(bytes.len() == 25, "a cursor has 25 bytes");
    Ok(i64::from_be_bytes(bytes[17..].try_into()?))
}

/// Where `sought` is.
pub fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}

/// The string after `start`, up to the next quotation mark.
pub fn string<'a>(bytes: &'a [u8], start: &[u8]) -> Option<&'a str> {
    let rest = &bytes[find(bytes, start)? + start.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_messages_in_either_order() {
        let payload = br#"{"data":{"a":"x"},"extensions":{"cursor":"AQ"}}"#;
        for (before, after) in
            [(r#"{"id":"7","type":"next","payload":"#, "}"), (r#"{"type":"next","id":"7","payload":"#, "}")]
        {
            let text = [before.as_bytes(), payload, after.as_bytes()].concat();
            assert_eq!(Message::parse(&text).unwrap(), Message::Next("7", payload));
        }
        assert_eq!(Message::parse(br#"{"id":"1","type":"complete"}"#).unwrap(), Message::Complete("1"));
        assert_eq!(Message::parse(br#"{"type":"connection_ack"}"#).unwrap(), Message::Ack);
        assert_eq!(Message::parse(br#"{"type":"ping","payload":{"stale":true}}"#).unwrap(), Message::Ping);
        assert!(Message::parse(br#"{"type":"next","payload":{}}"#).is_err());
        assert!(Message::parse(b"{}").is_err());
        assert_eq!(cursor(payload), Some("AQ"));
        assert_eq!(content(payload), br#"{"data":{"a":"x"}"#);
    }

    #[test]
    fn positions_stand_at_the_end_of_cursors() {
        let mut bytes = [1; 25];
        bytes[17..].copy_from_slice(&300_i64.to_be_bytes());
        assert_eq!(position(&BASE64_URL_SAFE_NO_PAD.encode(bytes)).unwrap(), 300);
        assert!(position("AQ").is_err());
    }
}
