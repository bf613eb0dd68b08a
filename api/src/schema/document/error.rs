//! GraphQL errors, in the shape in which responses carry them.
//!
//! Messages are for clients: whatever may not leave the server is logged where it happens and never gets here.

use std::sync::Arc;

use std::fmt;

use apollo_compiler::parser::{SourceMap, SourceSpan};
use bytes::Bytes;

use crate::schema::Response;

/// One GraphQL error, in the shape of the response.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct GraphqlError {
    /// What is wrong, for people.
    pub message: String,
    /// Where in the document; empty if it is not about a place in it.
    pub locations: Vec<Location>,
    /// Where in the response; empty if it is not about a field.
    pub path: Vec<PathSegment>,
    /// What kind of error it is, for programs.
    pub code: ErrorCode,
}

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// 1 for the first.
    pub line: u32,
    /// 1 for the first; counts Unicode code points.
    pub column: u32,
}

/// One step on the way from the root of a response to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// A response key; shared, since writing a response passes through very many.
    Field(Arc<str>),
    /// An item of a list, 0 for the first.
    Index(usize),
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The document is not GraphQL, or is too large.
    ParseFailed,
    /// The document does not fit the schema, or exceeds a limit.
    ValidationFailed,
    /// The operation name, a variable or an argument is wrong.
    BadUserInput,
    /// The token is missing or not valid.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The server does not know the document with this hash.
    PersistedQueryNotFound,
    /// The server keeps no documents under their hashes.
    PersistedQueryNotSupported,
    /// The operation would read too much.
    CostLimitExceeded,
    /// Too many requests.
    RateLimited,
    /// It took too long.
    Timeout,
    /// What follows the cursor is no longer kept.
    CursorExpired,
    /// The cursor is none, or not of this log.
    CursorInvalid,
    /// The server failed; its log says why.
    Internal,
}

impl ErrorCode {
    /// As it stands in `extensions.code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::CostLimitExceeded => "COST_LIMIT_EXCEEDED",
            Self::RateLimited => "RATE_LIMITED",
            Self::Timeout => "TIMEOUT",
            Self::CursorExpired => "CURSOR_EXPIRED",
            Self::CursorInvalid => "CURSOR_INVALID",
            Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl GraphqlError {
    /// An error without a place.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), locations: Vec::new(), path: Vec::new(), code }
    }

    /// With one more place in the document, if there is one.
    #[must_use]
    pub fn at(mut self, location: impl Into<Option<Location>>) -> Self {
        self.locations.extend(location.into());
        self
    }

    /// With this place, if it has none yet.
    #[must_use]
    pub fn or_at(self, location: Location) -> Self {
        if self.locations.is_empty() { self.at(location) } else { self }
    }

    /// With the field of the response that it is about.
    #[must_use]
    pub fn with_path(mut self, path: Vec<PathSegment>) -> Self {
        self.path = path;
        self
    }

    /// Writes it as JSON: `message`, `locations`, `path` and `extensions.code`; without those that are empty.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":");
        write_text(out, &self.message);
        if !self.locations.is_empty() {
            out.extend_from_slice(b",\"locations\":");
            write_list(out, &self.locations, |out, Location { line, column }| {
                out.extend_from_slice(format!("{{\"line\":{line},\"column\":{column}}}").as_bytes());
            });
        }
        if !self.path.is_empty() {
            out.extend_from_slice(b",\"path\":");
            write_list(out, &self.path, |out, segment| match segment {
                PathSegment::Field(name) => write_text(out, name),
                PathSegment::Index(index) => out.extend_from_slice(index.to_string().as_bytes()),
            });
        }
        out.extend_from_slice(b",\"extensions\":{\"code\":\"");
        out.extend_from_slice(self.code.name().as_bytes());
        out.extend_from_slice(b"\"}}");
    }
}

impl Location {
    /// Where the span begins, if the sources hold its text.
    pub(super) fn of(span: Option<SourceSpan>, sources: &SourceMap) -> Option<Self> {
        let span = span?;
        Self::at_offset(sources.get(&span.file_id())?.source_text(), span.offset())
    }

    /// The place of a byte of the text.
    pub(super) fn at_offset(text: &str, offset: usize) -> Option<Self> {
        let before = text.get(..offset)?;
        let mut place = Self { line: 1, column: 1 };
        let mut characters = before.chars().peekable();
        while let Some(character) = characters.next() {
            // "\r\n" is one line terminator, and so is "\r" alone.
            if character == '\n' || (character == '\r' && characters.peek() != Some(&'\n')) {
                place = Self { line: place.line + 1, column: 1 };
            } else {
                place.column += 1;
            }
        }
        Some(place)
    }
}

/// Writes the JSON array of these errors.
pub fn write_errors(errors: &[GraphqlError], out: &mut Vec<u8>) {
    write_list(out, errors, |out, error| error.write_json(out));
}

/// The response to a request that was not run.
pub fn request_error(errors: &[GraphqlError]) -> Response {
    let mut body = b"{\"errors\":".to_vec();
    write_errors(errors, &mut body);
    body.push(b'}');
    Response { body: Bytes::from(body), is_request_error: true }
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string can always be written to memory");
}
