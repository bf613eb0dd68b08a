//! How a socket ends.

use std::borrow::Cow;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tungstenite::Error;
use tungstenite::error::CapacityError;
use tungstenite::protocol::CloseFrame;

use super::wire::Wire;

/// How long a client may take to answer a close frame.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// RFC 6455, section 5.5: a control frame has at most 125 bytes, two of which are the code.
const MAX_REASON_BYTES: usize = 123;

/// How a socket ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone, or said goodbye.
    Gone,
    /// The server closes it, with a code and a reason.
    Close(u16, Cow<'static, str>),
}

impl End {
    pub(super) fn close(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Close(code, reason.into())
    }

    /// For a frame that could not be read.
    pub(super) fn unreadable(error: &Error) -> Self {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Self::close(1009, "Message too big"),
            Error::Utf8(_) => Self::close(1007, "Text must be UTF-8"),
            error => {
                tracing::debug!(%error, "a WebSocket ended with an error");
                Self::close(1002, "Protocol error")
            }
        }
    }

    /// Says goodbye, if there is something to say.
    pub(super) async fn carry_out<I: AsyncRead + AsyncWrite + Unpin>(self, mut wire: Wire<I>) {
        let Self::Close(code, reason) = self else { return };
        tracing::debug!(code, %reason, "closing a WebSocket");
        let mut end = reason.len().min(MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        wire.close(CloseFrame { code: code.into(), reason: reason[..end].into() });
        let goodbye = async {
            wire.flush(CLOSE_TIMEOUT).await?;
            // To leave while the client still sends would reset the connection, and could take the close frame with it.
            while let Some(Ok(_)) = wire.next().await {}
            Ok::<_, std::io::Error>(())
        };
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}
