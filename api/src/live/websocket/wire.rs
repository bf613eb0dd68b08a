//! A WebSocket as its server sees it: messages of the client come, frames for it go.
//!
//! tungstenite reads and checks what the client sends, and answers pings and close frames. What it has to say is put among
//! our own [`Frames`], whole, and nothing but [`Wire::flush`] gives those to the connection. So frames stay whole and in
//! order, however little the connection takes at a time.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::frames::Frames;

/// Allocated for each socket when it opens, so it decides what an idle one costs. Longer messages get what they need.
const READ_BUFFER_BYTES: usize = 1 << 10;

/// The server's end of a socket.
pub(super) struct Wire<I> {
    io: I,
    protocol: WebSocketContext,
    /// What waits to be written.
    pub(super) frames: Frames,
    is_over: bool,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Wire<I> {
    /// Over a connection whose handshake is done. A longer message of the client is an error.
    pub(super) fn new(io: I, max_message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // What it writes goes among the frames at once.
            .write_buffer_size(0)
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let protocol = WebSocketContext::new(Role::Server, Some(config));
        Self { io, protocol, frames: Frames::default(), is_over: false }
    }

    /// The next message of the client; `None` once there can be none. The answer that the protocol asks for, a pong or a
    /// close frame, goes with the next flush. Can be dropped without loss.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let (protocol, mut ends) = self.parts(context);
        let error = match protocol.read(&mut ends) {
            Ok(message) => return Poll::Ready(Some(Ok(message))),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => error,
        };
        self.is_over = true;
        Poll::Ready(match error {
            Error::ConnectionClosed | Error::AlreadyClosed => None,
            error => Some(Err(error)),
        })
    }

    /// Adds a ping to the frames.
    pub(super) fn ping(&mut self) {
        self.control(Message::Ping(Bytes::new()));
    }

    /// Adds a close frame, after which there is nothing more to say.
    pub(super) fn close(&mut self, frame: CloseFrame) {
        self.control(Message::Close(Some(frame)));
    }

    fn control(&mut self, message: Message) {
        let mut context = Context::from_waker(Waker::noop());
        let (protocol, mut ends) = self.parts(&mut context);
        // All that can be wrong is that the client has closed the socket, and who reads from it is told so.
        let _ = protocol.write(&mut ends, message);
    }

    /// Writes all frames. If the connection takes nothing for `patience`, an error of the kind `TimedOut`; then another
    /// flush goes on where this one was. Can be dropped without loss.
    pub(super) async fn flush(&mut self, patience: Duration) -> io::Result<()> {
        let mut standstill: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            let before = self.frames.waiting().len();
            if let Poll::Ready(outcome) = self.poll_flush(context) {
                return Poll::Ready(outcome);
            }
            if self.frames.waiting().len() < before {
                standstill = None;
            }
            // Nearly always there is room, and no timer is needed.
            let standstill = standstill.get_or_insert_with(|| Box::pin(sleep(patience)));
            standstill.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (protocol, mut ends) = self.parts(context);
        match protocol.flush(&mut ends) {
            // With the answer to a close frame the protocol is over, and the answer is among the frames.
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            Err(error) => return Poll::Ready(Err(io::Error::other(error))),
        }
        while !self.frames.waiting().is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(context, self.frames.waiting()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.frames.wrote(count);
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn parts<'w, 'c>(&'w mut self, context: &'w mut Context<'c>) -> (&'w mut WebSocketContext, Ends<'w, 'c, I>) {
        (&mut self.protocol, Ends { io: &mut self.io, frames: &mut self.frames, context })
    }
}

/// What tungstenite takes for the connection: it reads from there, and writes among the frames, which take everything.
struct Ends<'w, 'c, I> {
    io: &'w mut I,
    frames: &'w mut Frames,
    context: &'w mut Context<'c>,
}

impl<I: AsyncRead + Unpin> Read for Ends<'_, '_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.context, &mut buffer) {
            Poll::Ready(outcome) => outcome.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<I> Write for Ends<'_, '_, I> {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.frames.made(frames);
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
