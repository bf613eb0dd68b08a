//! Request errors that a transport itself finds, before or instead of the engine.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::auth;
use crate::schema::ErrorCode;

/// A request error with its code; the message is safe to give to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `extensions.code`.
    pub code: ErrorCode,
    /// `message`.
    pub message: Cow<'static, str>,
}

impl Problem {
    /// An error with this code.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// A request that is not formed as it should be.
    pub fn bad_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadUserInput, message)
    }

    /// A query or mutation that took longer than it may.
    pub fn timeout() -> Self {
        Self::new(ErrorCode::Timeout, "the operation took too long; a mutation may still be carried out")
    }

    /// The JSON array of errors, as an `error` message carries it.
    pub fn errors(&self) -> Value {
        json!([{ "message": self.message, "extensions": { "code": self.code.name() } }])
    }

    /// The JSON object of a response that has nothing but this error.
    pub fn response(&self) -> Bytes {
        json!({ "errors": self.errors() }).to_string().into()
    }
}

impl From<auth::Error> for Problem {
    fn from(error: auth::Error) -> Self {
        Self::new(ErrorCode::Unauthenticated, error.to_string())
    }
}
