//! A subscription as Server-Sent Events, as far as a load client needs it: HTTP/1.1 with a chunked body.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::message::find;
use super::socket::{Connection, Dial, read_head};

const MAX_CHUNK_BYTES: usize = 64 * 1024 * 1024;

/// What stands between two empty lines.
#[derive(Debug, PartialEq, Eq)]
pub enum Block<'a> {
    Next(&'a [u8]),
    Complete,
    /// A comment, or an id alone.
    Notice,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    stream: TcpStream,
    /// What has arrived of a chunk whose end has not.
    raw: Vec<u8>,
    /// The body as far as it has not been handed over.
    body: Vec<u8>,
    is_over: bool,
    /// Whether something came with the head.
    is_unread: bool,
}

impl Stream {
    /// Starts a subscription, from after an event that the client already has if it says so.
    pub async fn open(
        address: SocketAddr,
        dial: &Dial,
        query: &str,
        variables: &Value,
        last_id: Option<&str>,
    ) -> Result<Self> {
        let mut stream = dial.connect(address).await?;
        let body = json!({ "query": query, "variables": variables }).to_string();
        let last_id = last_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             accept: text/event-stream\r\n{last_id}{}content-length: {}\r\n\r\n{body}",
            dial.headers(),
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let (head, raw) = read_head(&mut stream).await?;
        let head = head.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200 ") && head.contains("text/event-stream"), "no stream: {head}");
        ensure!(head.contains("transfer-encoding: chunked"), "a stream without chunks: {head}");
        let is_unread = !raw.is_empty();
        Ok(Self { stream, raw, body: Vec::new(), is_over: false, is_unread })
    }

    /// Waits until something arrives, and hands over each whole block. Can be dropped while it waits, without loss.
    pub async fn receive(&mut self, mut each: impl FnMut(Block<'_>) -> Result<()>) -> Result<Connection> {
        if !self.is_unread {
            let count = match self.stream.read_buf(&mut self.raw).await {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(error.into()),
            };
            if count == 0 {
                return Ok(Connection::Ended);
            }
        }
        self.is_unread = false;
        self.unwrap_chunks()?;
        let mut used = 0;
        while let Some(length) = find(&self.body[used..], b"\n\n") {
            each(block(&self.body[used..used + length])?)?;
            used += length + 2;
        }
        self.body.drain(..used);
        Ok(if self.is_over { Connection::Ended } else { Connection::Open })
    }

    /// Moves whole chunks into the body.
    fn unwrap_chunks(&mut self) -> Result<()> {
        let mut used = 0;
        while let Some(line) = find(&self.raw[used..], b"\r\n") {
            let size = std::str::from_utf8(&self.raw[used..used + line])?;
            let size = usize::from_str_radix(size, 16).with_context(|| format!("no size of a chunk: {size:?}"))?;
            ensure!(size <= MAX_CHUNK_BYTES, "a chunk of {size} bytes");
            let start = used + line + 2;
            if self.raw.len() < start + size + 2 {
                break;
            }
            self.body.extend_from_slice(&self.raw[start..start + size]);
            self.is_over |= size == 0;
            used = start + size + 2;
        }
        self.raw.drain(..used);
        Ok(())
    }

    /// Breaks the connection as a lost network does; the port is free at once.
    pub fn reset(self) -> Result<()> {
        Ok(self.stream.set_zero_linger()?)
    }
}

fn block(bytes: &[u8]) -> Result<Block<'_>> {
    let field = |name: &[u8]| bytes.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name));
    Ok(match field(b"event: ") {
        None => Block::Notice,
        Some(b"next") => Block::Next(field(b"data: ").context("a result has data")?),
        Some(b"complete") => Block::Complete,
        Some(other) => bail!("a server does not send {}", String::from_utf8_lossy(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        assert_eq!(block(b"event: next\nid: c\ndata: {}").unwrap(), Block::Next(b"{}"));
        assert_eq!(block(b"event: complete\ndata:").unwrap(), Block::Complete);
        assert_eq!(block(b": still here").unwrap(), Block::Notice);
        assert_eq!(block(b"id: c").unwrap(), Block::Notice);
        assert!(block(b"event: other\ndata: 1").is_err());
    }
}
