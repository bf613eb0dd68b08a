//! A WebSocket, as far as a load client needs it: `graphql-transport-ws` over whole text frames.
//!
//! What arrives is taken apart where it lies, many frames at a time. An idle socket holds no buffer.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::message::Message;

/// As much as is read at once.
const READ_BYTES: usize = 32 * 1024;
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// No frame of a measured server is longer.
const MAX_FRAME_BYTES: u64 = 64 * 1024 * 1024;

/// How to connect.
#[derive(Debug, Clone, Default)]
pub struct Dial {
    /// The `authorization` header; anonymous without.
    pub authorization: Option<String>,
    /// As over a network. Loopback has segments of 64 KiB, and a server's system takes in megabytes for a client that
    /// does not read.
    pub is_far: bool,
}

/// Of a client that is far away.
const SEGMENT_BYTES: u32 = 1_448;
const RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;

impl Dial {
    pub(super) async fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if self.is_far {
            SockRef::from(&socket).set_tcp_mss(SEGMENT_BYTES)?;
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        let stream = socket.connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub(super) fn headers(&self) -> String {
        self.authorization.as_ref().map(|value| format!("authorization: {value}\r\n")).unwrap_or_default()
    }
}

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Text(&'a [u8]),
    /// The code and the reason.
    Close(u16, &'a str),
    Ping,
    Pong,
}

/// Whether more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Open,
    Ended,
}

/// One socket.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// The beginning of a frame whose end has not arrived.
    partial: Vec<u8>,
    /// Pings that have not been answered.
    pings: usize,
}

impl Socket {
    /// Connects and upgrades; says nothing yet.
    pub async fn open(address: SocketAddr, dial: &Dial) -> Result<Self> {
        Self::open_as(address, dial, "graphql-transport-ws").await
    }

    /// The same with another subprotocol.
    pub async fn open_as(address: SocketAddr, dial: &Dial, protocol: &str) -> Result<Self> {
        let mut stream = dial.connect(address).await?;
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {protocol}\r\n{}\r\n",
            dial.headers()
        );
        stream.write_all(request.as_bytes()).await?;
        let (head, partial) = read_head(&mut stream).await?;
        ensure!(head.starts_with("HTTP/1.1 101 "), "no WebSocket: {head}");
        Ok(Self { stream, partial, pings: 0 })
    }

    /// As [`open`](Self::open), and has it acknowledged.
    pub async fn connect(address: SocketAddr, dial: &Dial) -> Result<Self> {
        let mut socket = Self::open(address, dial).await?;
        socket.send(br#"{"type":"connection_init"}"#).await?;
        let mut is_open = false;
        while !is_open {
            let state = socket.receive(|frame| match frame {
                Frame::Text(text) => {
                    is_open |= Message::parse(text)? == Message::Ack;
                    Ok(())
                }
                Frame::Close(code, reason) => bail!("closed with {code} {reason} instead of acknowledged"),
                Frame::Ping | Frame::Pong => Ok(()),
            });
            let state = state.await?;
            ensure!(state == Connection::Open || is_open, "ended instead of acknowledged");
        }
        Ok(socket)
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: &Value) -> Result<()> {
        let payload = json!({ "query": query, "variables": variables });
        let message = json!({ "type": "subscribe", "id": id, "payload": payload });
        self.send(message.to_string().as_bytes()).await
    }

    /// Sends a text.
    pub async fn send(&mut self, text: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(&frame(1, text)).await?)
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Waits until something arrives, and hands over each whole frame. Can be dropped while it waits, without loss.
    pub async fn receive(&mut self, mut each: impl FnMut(Frame<'_>) -> Result<()>) -> Result<Connection> {
        if self.pong().await.is_err() {
            return Ok(Connection::Ended);
        }
        self.stream.readable().await?;
        self.take(&mut each)
    }

    /// Answers the pings that came.
    async fn pong(&mut self) -> Result<()> {
        while self.pings > 0 {
            self.pings -= 1;
            self.stream.write_all(&frame(10, b"")).await?;
        }
        Ok(())
    }

    fn take(&mut self, each: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<Connection> {
        let mut buffer = [0; READ_BYTES];
        let count = match self.stream.try_read(&mut buffer) {
            Ok(0) => return Ok(Connection::Ended),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(Connection::Open),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(Connection::Ended),
            Err(error) => return Err(error.into()),
        };
        let pings = &mut self.pings;
        let mut each = |frame: Frame<'_>| {
            *pings += usize::from(frame == Frame::Ping);
            each(frame)
        };
        if self.partial.is_empty() {
            let used = frames(&buffer[..count], &mut each)?;
            self.partial.extend_from_slice(&buffer[used..count]);
        } else {
            self.partial.extend_from_slice(&buffer[..count]);
            let used = frames(&self.partial, &mut each)?;
            self.partial.drain(..used);
        }
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
        Ok(Connection::Open)
    }

    /// Breaks the connection as a lost network does; the port is free at once.
    pub fn reset(self) -> Result<()> {
        Ok(self.stream.set_zero_linger()?)
    }

    /// Sends nothing more; may still receive.
    pub async fn finish(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Says goodbye, and leaves.
    pub async fn close(mut self) -> Result<()> {
        self.send_raw(&frame(8, &1000_u16.to_be_bytes())).await
    }
}

/// Reads an HTTP response up to its body, and what has come of that.
pub(super) async fn read_head(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut received = Vec::with_capacity(1024);
    loop {
        if let Some(end) = super::message::find(&received, b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            return Ok((String::from_utf8(received)?, rest));
        }
        ensure!(received.len() <= MAX_HEAD_BYTES, "the head of the answer is too long");
        let count = stream.read_buf(&mut received).await?;
        ensure!(count > 0, "the server closed the connection");
    }
}

/// A frame of a client: masked, with a mask that changes nothing.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Hands over the whole frames at the start of `bytes`. How many bytes they are.
fn frames(bytes: &[u8], each: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<usize> {
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let (header, length) = match rest {
            [_, length @ 0..=125, ..] => (2, u64::from(*length)),
            [_, 126, a, b, ..] => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            [_, 127, length @ ..] if length.len() >= 8 => (10, u64::from_be_bytes(length[..8].try_into()?)),
            [_, 128..=255, ..] => bail!("a server masks nothing"),
            _ => return Ok(used),
        };
        ensure!(length <= MAX_FRAME_BYTES, "a frame of {length} bytes");
        let end = header + length as usize;
        if rest.len() < end {
            return Ok(used);
        }
        let payload = &rest[header..end];
        each(match (rest[0], payload) {
            (0x81, text) => Frame::Text(text),
            (0x88, []) => Frame::Close(1005, ""),
            (0x88, [a, b, reason @ ..]) => Frame::Close(u16::from_be_bytes([*a, *b]), std::str::from_utf8(reason)?),
            (0x89, _) => Frame::Ping,
            (0x8a, _) => Frame::Pong,
            (first, _) => bail!("a frame that begins with {first:#x}"),
        })?;
        used += end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_whole_frames() {
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x89, 0, 0x88, 4, 0x03, 0xf5, b'o', b'k'];
        bytes.extend([0x81, 126, 1, 0]);
        bytes.extend([b'x'; 256]);
        let mut seen = Vec::new();
        let mut each = |frame: Frame<'_>| {
            seen.push(format!("{frame:?}").chars().take(24).collect::<String>());
            Ok(())
        };
        assert_eq!(frames(&bytes[..bytes.len() - 1], &mut each).unwrap(), 12, "the last one is not whole");
        assert_eq!(frames(&bytes[12..], &mut each).unwrap(), 260);
        assert_eq!(seen, ["Text([104, 105])", "Ping", "Close(1013, \"ok\")", "Text([120, 120, 120, 120"]);
        assert!(frames(&[0x81, 0x80, 0, 0, 0, 0], &mut |_| Ok(())).is_err());
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, header) in [(0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            assert_eq!(frame(1, &vec![0; length]).len(), header + length);
        }
    }
}
