//! How a socket ends.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::StreamExt;
use tokio::time::timeout;

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
    pub(super) fn unreadable(error: &axum::Error) -> Self {
        // The type of the error is not public; a test holds this text.
        if error.to_string().contains("Message too long") {
            Self::close(1009, "Message too big")
        } else {
            tracing::debug!(%error, "a WebSocket ended with an error");
            Self::close(1002, "Protocol error")
        }
    }

    /// Says goodbye, if there is something to say.
    pub(super) async fn carry_out(self, mut socket: WebSocket) {
        let Self::Close(code, reason) = self else { return };
        tracing::debug!(code, %reason, "closing a WebSocket");
        let mut end = reason.len().min(MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let frame = CloseFrame { code, reason: reason[..end].into() };
        let goodbye = async {
            socket.send(Message::Close(Some(frame))).await?;
            // To leave while the client still sends would reset the connection, and could take the close frame with it.
            while let Some(Ok(_)) = socket.next().await {}
            Ok::<_, axum::Error>(())
        };
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}
