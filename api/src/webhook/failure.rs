//! Why an attempt failed, in words for the owner of the webhook.
//!
//! Invariant: messages are our own fixed texts and never hold an address or what the operating system says about one,
//! since a webhook must not be a way to look around in the server's network.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::str::FromStr;

use super::egress::{Blocked, ResolveError};

/// The kinds of failure of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The egress guard refuses all addresses of the host.
    BlockedAddress,
    /// The name of the host does not resolve.
    Dns,
    /// No connection, or it was lost.
    Connect,
    /// No TLS session: an invalid certificate, or no TLS at the other side.
    Tls,
    /// The deadline passed before the status arrived.
    Timeout,
    /// A status other than 2xx and 3xx.
    Status,
    /// A 3xx status; redirects are not followed.
    Redirect,
    /// What was answered is no HTTP.
    Protocol,
}

impl ErrorCode {
    const ALL: [Self; 8] = [
        Self::BlockedAddress,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Status,
        Self::Redirect,
        Self::Protocol,
    ];

    /// Its name in the API and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::BlockedAddress => "BLOCKED_ADDRESS",
            Self::Dns => "DNS",
            Self::Connect => "CONNECT",
            Self::Tls => "TLS",
            Self::Timeout => "TIMEOUT",
            Self::Status => "STATUS",
            Self::Redirect => "REDIRECT",
            Self::Protocol => "PROTOCOL",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ErrorCode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|code| code.name() == name).ok_or(())
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptError {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl AttemptError {
    /// An error of this kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn blocked() -> Self {
        Self::new(ErrorCode::BlockedAddress, Blocked.to_string())
    }

    pub(super) fn timeout(timeout: std::time::Duration) -> Self {
        Self::new(ErrorCode::Timeout, format!("no answer within {timeout:?}"))
    }

    /// The verdict on an answer: nothing if its status is 2xx.
    pub(super) fn of_status(status: http::StatusCode) -> Option<Self> {
        let code = status.as_u16();
        if status.is_success() {
            None
        } else if status.is_redirection() {
            let message = format!("the receiver answered with a redirect ({code}), which is not followed");
            Some(Self::new(ErrorCode::Redirect, message))
        } else {
            Some(Self::new(ErrorCode::Status, format!("the receiver answered with status {code}")))
        }
    }

    /// Reads the chain of causes of a connection that was not made.
    pub(super) fn of_connecting(error: &(dyn StdError + 'static), is_tls: bool) -> Self {
        let causes = || std::iter::successors(Some(error), |e| (**e).source());
        match causes().find_map(|e| e.downcast_ref::<ResolveError>()) {
            Some(ResolveError::Blocked(_)) => return Self::blocked(),
            Some(unknown @ ResolveError::Unknown(_)) => return Self::new(ErrorCode::Dns, unknown.to_string()),
            None => {}
        }
        match causes().find_map(|e| e.downcast_ref::<io::Error>()).map(innermost) {
            // rustls hands its errors on as invalid data. They speak of certificates, not of addresses.
            Some(io) if io.kind() == io::ErrorKind::InvalidData => {
                Self::new(ErrorCode::Tls, format!("TLS failed: {io}"))
            }
            Some(io) => Self::of_io(io.kind(), is_tls),
            None => Self::new(ErrorCode::Connect, "no connection could be made"),
        }
    }

    /// Reads the chain of causes of a request that got no status over a connection that was there.
    pub(super) fn of_exchange(error: &hyper::Error) -> Self {
        let mut causes = std::iter::successors(error.source(), |e| (**e).source());
        match causes.find_map(|e| e.downcast_ref::<io::Error>()) {
            Some(io) => Self::of_io(innermost(io).kind(), false),
            None => Self::new(
                ErrorCode::Protocol,
                "the answer was no valid HTTP, or the connection was closed before there was one",
            ),
        }
    }

    fn of_io(kind: io::ErrorKind, in_handshake: bool) -> Self {
        match kind {
            io::ErrorKind::UnexpectedEof if in_handshake => {
                Self::new(ErrorCode::Tls, "TLS failed: the connection was closed during the handshake")
            }
            io::ErrorKind::TimedOut => Self::new(ErrorCode::Timeout, "the connection timed out"),
            io::ErrorKind::ConnectionRefused => Self::new(ErrorCode::Connect, "the connection was refused"),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::new(ErrorCode::Connect, "the connection was reset")
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Self::new(ErrorCode::Connect, "the host cannot be reached")
            }
            _ => Self::new(ErrorCode::Connect, "no connection could be made, or it was lost"),
        }
    }
}

/// The TLS layer wraps the errors of its connection in another one of no kind.
fn innermost(mut error: &io::Error) -> &io::Error {
    while let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<io::Error>()) {
        error = inner;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_their_names() {
        for code in ErrorCode::ALL {
            assert_eq!(code.name().parse(), Ok(code));
        }
        assert_eq!("OTHER".parse::<ErrorCode>(), Err(()));
    }
}
