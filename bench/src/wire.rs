//! HTTP/1.1 over one kept-alive connection, as far as a load client needs it.
//!
//! A general client costs as much as the server that it measures. This one writes prepared bytes and reads no more of
//! the answer than its status, its length and its body.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer of a measured server is longer.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// One connection with at most one request on its way.
pub struct Connection {
    stream: TcpStream,
    /// What has arrived and belongs to the current answer.
    received: Vec<u8>,
    request: Vec<u8>,
}

/// An answer; the body lies in the connection's buffer.
pub struct Answer<'a> {
    /// 200
    pub status: u16,
    /// All of it.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects, without Nagle's algorithm.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(16 * 1024), request: Vec::with_capacity(1024) })
    }

    /// Sends one POST and waits for its answer. `head` is the request line and the headers but for content-length.
    pub async fn ask(&mut self, head: &str, body: &[u8]) -> Result<Answer<'_>> {
        use std::io::Write;
        self.request.clear();
        write!(self.request, "{head}content-length: {}\r\n\r\n", body.len())?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.received.clear();
        let head = loop {
            self.read_some().await?;
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
            ensure!(self.received.len() <= MAX_HEAD_BYTES, "the head of the answer is too long");
        };
        let end = head.length_bytes + head.body_length_bytes;
        while self.received.len() < end {
            self.read_some().await?;
        }
        ensure!(self.received.len() == end, "more bytes than the answer has");
        Ok(Answer { status: head.status, body: &self.received[head.length_bytes..] })
    }

    async fn read_some(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.received).await?;
        ensure!(count > 0, "the server closed the connection");
        Ok(())
    }
}

/// The start of a request: line and headers, to be followed by content-length.
pub fn post_head(address: SocketAddr, path: &str, headers: &[(String, String)]) -> String {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// With the empty line at its end.
    length_bytes: usize,
    body_length_bytes: usize,
}

impl Head {
    /// `None` as long as its end has not arrived.
    fn parse(received: &[u8]) -> Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&received[..end]).context("the head of the answer is no text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let status = status.context("the answer does not begin as HTTP/1.1 does")?;
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        match length {
            Some(length) if length <= MAX_BODY_BYTES => {
                Ok(Some(Self { status, length_bytes: end + 4, body_length_bytes: length }))
            }
            Some(length) => bail!("the answer has {length} bytes"),
            None => bail!("the answer has no content-length"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heads() {
        let head = |text: &str| Head::parse(text.as_bytes());
        let parsed = head("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello").unwrap();
        assert_eq!(parsed, Some(Head { status: 200, length_bytes: 39, body_length_bytes: 12 }));
        assert_eq!(head("HTTP/1.1 200 OK\r\nContent-Len").unwrap(), None);
        for wrong in ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 2\r\ncontent-length: 1\r\n\r\n"] {
            assert!(head(wrong).is_err(), "{wrong:?}");
        }
    }
}
