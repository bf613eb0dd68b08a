//! Server-Sent Events, as graphql-sse names them: `next` and `complete`.
//!
//! The `id` of an event is the cursor after it, so a client that comes back with `Last-Event-ID` misses nothing.
//! Comments keep the connection alive.

use std::time::SystemTime;

use crate::catalog::datum::write_text;
use crate::live::operation::Output;
use crate::live::shown;
use crate::schema::Payload;

/// An output of the only operation of a stream.
pub(super) fn output(output: &Output, out: &mut Vec<u8>) {
    match output {
        // No event: it only sets the id to come back with.
        Output::Started(cursor) => {
            id(cursor, out);
            out.push(b'\n');
        }
        Output::Next(payloads) => payloads.as_slice().iter().for_each(|payload| shared(payload, b"", b"", out)),
        Output::Error(errors) => {
            next(&[b"{\"errors\":", errors, b"}"], out);
            complete(&[], out);
        }
        Output::Complete => complete(&[], out),
    }
}

/// An output of one of the operations of a stream.
pub(super) fn shared_output(id: &str, output: &Output, out: &mut Vec<u8>) {
    let mut start = b"{\"id\":".to_vec();
    write_text(&mut start, id);
    match output {
        Output::Started(_) => {}
        Output::Next(payloads) => {
            start.extend_from_slice(b",\"payload\":");
            payloads.as_slice().iter().for_each(|payload| shared(payload, &start, b"}", out));
        }
        Output::Error(errors) => {
            next(&[&start, b",\"payload\":{\"errors\":", errors, b"}}"], out);
            complete(&[&start, b"}"], out);
        }
        Output::Complete => complete(&[&start, b"}"], out),
    }
}

/// A comment that says whether what the client has may be stale.
pub(super) fn freshness(stale_since: Option<SystemTime>, out: &mut Vec<u8>) {
    match stale_since {
        Some(since) => comment(&format!("stale since {}", shown(since).unwrap_or_default()), out),
        None => comment("not stale", out),
    }
}

/// A comment, so that nobody on the way takes the connection for dead.
pub(super) fn keep_alive(stale_since: Option<SystemTime>, out: &mut Vec<u8>) {
    match stale_since {
        Some(_) => freshness(stale_since, out),
        None => out.extend_from_slice(b":\n\n"),
    }
}

/// A comment, of one line.
pub(super) fn comment(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b": ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// A result between what its stream puts around it.
fn shared(payload: &Payload, start: &[u8], end: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: next\n");
    if let Some(cursor) = payload.cursor() {
        id(&cursor, out);
    }
    let body = payload.body().as_bytes();
    if payload.is_one_line() {
        out.reserve(start.len() + body.len() + end.len() + 8);
        for piece in [b"data: ", start, body, end, b"\n\n"] {
            out.extend_from_slice(piece);
        }
    } else {
        data(&[start, body, end], out);
    }
}

fn next(pieces: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: next\n");
    data(pieces, out);
}

fn complete(pieces: &[&[u8]], out: &mut Vec<u8>) {
    // A browser drops an event without `data`.
    out.extend_from_slice(b"event: complete\n");
    data(pieces, out);
}

fn id(cursor: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(cursor.as_bytes());
    out.push(b'\n');
}

fn data(pieces: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(if pieces.is_empty() { b"data:" } else { b"data: " });
    for piece in pieces {
        // JSON has line breaks only between its tokens; here each would end the line.
        for (number, line) in piece.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
            if number > 0 {
                out.extend_from_slice(b"\ndata: ");
            }
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::CursorText;

    use crate::live::fake::next_output;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events() {
        let next = next_output("{\"data\":1}", "c1");
        let error = Output::Error("[{}]".into());
        let cases = [
            (Output::Started(CursorText::from("c0").unwrap()), "id: c0\n\n", ""),
            (
                next,
                "event: next\nid: c1\ndata: {\"data\":1}\n\n",
                "event: next\nid: c1\ndata: {\"id\":\"a\",\"payload\":{\"data\":1}}\n\n",
            ),
            (
                error,
                "event: next\ndata: {\"errors\":[{}]}\n\nevent: complete\ndata:\n\n",
                "event: next\ndata: {\"id\":\"a\",\"payload\":{\"errors\":[{}]}}\n\nevent: complete\ndata: {\"id\":\"a\"}\n\n",
            ),
            (Output::Complete, "event: complete\ndata:\n\n", "event: complete\ndata: {\"id\":\"a\"}\n\n"),
        ];
        for (given, distinct, shared) in cases {
            assert_eq!(text(|out| output(&given, out)), distinct);
            assert_eq!(text(|out| shared_output("a", &given, out)), shared);
        }
    }

    #[test]
    fn a_line_break_is_not_the_end_of_the_data() {
        let next = next_output("{\"data\":\n1}", "c1");
        assert_eq!(text(|out| output(&next, out)), "event: next\nid: c1\ndata: {\"data\":\ndata: 1}\n\n");
    }

    #[test]
    fn comments() {
        assert_eq!(text(|out| keep_alive(None, out)), ":\n\n");
        let stale = ": stale since 1970-01-01T00:00:00.000000Z\n\n";
        assert_eq!(text(|out| keep_alive(Some(SystemTime::UNIX_EPOCH), out)), stale);
        assert_eq!(text(|out| freshness(Some(SystemTime::UNIX_EPOCH), out)), stale);
        assert_eq!(text(|out| freshness(None, out)), ": not stale\n\n");
    }
}
