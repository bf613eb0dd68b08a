//! Multipart responses: one part for each result.
//!
//! Parts are written with the delimiter that ends them, so that a client has each as soon as it is there; what is
//! written last is always a delimiter. A result stands in `payload`; what ends the stream too early stands in `errors`
//! beside a `payload` that is null.

use serde_json::json;

use crate::live::Problem;
use crate::live::operation::Output;

const DELIMITER: &[u8] = b"\r\n--graphql";
const PART: &[u8] = b"\r\ncontent-type: application/json\r\n\r\n";

/// Writes parts.
pub(super) struct Parts {
    /// Whether the client leaves out parts that are an empty object.
    has_spec: bool,
    /// Whether the last delimiter has padding, and so cannot become the last one of all.
    is_padded: bool,
}

impl Parts {
    pub(super) fn new(has_spec: bool) -> Self {
        Self { has_spec, is_padded: false }
    }

    pub(super) fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(DELIMITER);
    }

    pub(super) fn output(&mut self, output: &Output, out: &mut Vec<u8>) {
        match output {
            Output::Started(_) => {}
            Output::Next(payloads) => {
                for payload in payloads.as_slice() {
                    self.part(&[b"{\"payload\":", payload.body().as_bytes(), b"}"], out);
                }
            }
            Output::Error(errors) => {
                self.part(&[b"{\"payload\":null,\"errors\":", errors, b"}"], out);
                self.end(out);
            }
            Output::Complete => self.end(out),
        }
    }

    pub(super) fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.has_spec {
            self.part(&[b"{}"], out);
        } else {
            // RFC 2046, section 5.1.1: a delimiter may be followed by white space. A heartbeat would be taken for a result.
            out.push(b' ');
            self.is_padded = true;
        }
    }

    /// Ends the stream although the operation is not over.
    pub(super) fn break_off(&mut self, problem: &Problem, cursor: Option<&str>, out: &mut Vec<u8>) {
        let mut errors = problem.errors();
        if let Some(cursor) = cursor {
            errors[0]["extensions"]["cursor"] = json!(cursor);
        }
        self.output(&Output::Error(errors.to_string().into()), out);
    }

    fn part(&mut self, pieces: &[&[u8]], out: &mut Vec<u8>) {
        out.extend_from_slice(PART);
        for piece in pieces {
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(DELIMITER);
        self.is_padded = false;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.is_padded {
            self.part(&[b"{}"], out);
        }
        out.extend_from_slice(b"--\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::fake::next_output;
    use crate::log::CursorText;
    use crate::schema::ErrorCode;

    fn written(has_spec: bool, write: impl FnOnce(&mut Parts, &mut Vec<u8>)) -> String {
        let (mut parts, mut out) = (Parts::new(has_spec), Vec::new());
        parts.open(&mut out);
        write(&mut parts, &mut out);
        String::from_utf8(out).unwrap().replace("\r\ncontent-type: application/json\r\n\r\n", "|")
    }

    #[test]
    fn parts() {
        let next = next_output("{\"data\":1}", "c1");
        let all = |parts: &mut Parts, out: &mut Vec<u8>| {
            parts.output(&Output::Started(CursorText::from("c0").unwrap()), out);
            parts.keep_alive(out);
            parts.output(&next, out);
            parts.keep_alive(out);
            parts.output(&Output::Complete, out);
        };
        assert_eq!(
            written(true, all),
            "\r\n--graphql|{}\r\n--graphql|{\"payload\":{\"data\":1}}\r\n--graphql|{}\r\n--graphql--\r\n"
        );
        assert_eq!(
            written(false, all),
            "\r\n--graphql |{\"payload\":{\"data\":1}}\r\n--graphql |{}\r\n--graphql--\r\n"
        );
    }

    #[test]
    fn what_ends_too_early_says_why() {
        let problem = Problem::new(ErrorCode::RateLimited, "stopping");
        let errors = r#"[{"message":"stopping","extensions":{"code":"RATE_LIMITED","cursor":"c1"}}]"#;
        assert_eq!(
            written(true, |parts, out| parts.break_off(&problem, Some("c1"), out)),
            format!("\r\n--graphql|{{\"payload\":null,\"errors\":{errors}}}\r\n--graphql--\r\n")
        );
    }
}
