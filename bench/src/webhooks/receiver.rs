//! Who receives webhooks: a process of its own that does as little as a receiver can.
//!
//! It answers HTTP/1.1 over connections that are kept, and writes down which message came when and by which path; what is
//! said of that is worked out afterwards. The path of a webhook is its number. Over a second connection it is asked what it
//! has seen: a line for a question, and one or more for the answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::spawn_local;

use crate::process::{self, Server};
use crate::usage::Usage;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const MAX_HEAD_BYTES: usize = 16 * 1024;
const ID: &[u8] = b"webhook-id";
const LENGTH: &[u8] = b"content-length";

#[derive(Default)]
struct Seen {
    counts: Counts,
    messages: HashMap<Box<[u8]>, Vec<Arrival>>,
}

/// How much has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests with the id of a message.
    pub messages: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
}

/// A message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The number of its webhook.
    pub hook: u32,
    /// In microseconds since 1970.
    pub at: i64,
}

/// Microseconds since 1970, by the clock that all processes of a machine share.
pub fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as i64)
}

/// Receives until the process is killed. The first line on standard output has two addresses: for webhooks, and for
/// questions. To be run in a `LocalSet`.
pub async fn serve() -> Result<()> {
    let (webhooks, questions) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{} {}", webhooks.local_addr()?, questions.local_addr()?);
    let seen = Rc::new(RefCell::new(Seen::default()));
    let asked = Rc::clone(&seen);
    spawn_local(async move {
        while let Ok((stream, _)) = questions.accept().await {
            let _ = answer(stream, &asked).await;
        }
    });
    loop {
        let (stream, _) = webhooks.accept().await?;
        stream.set_nodelay(true)?;
        let seen = Rc::clone(&seen);
        spawn_local(async move {
            // Whoever sends something else than HTTP is left alone.
            let _ = receive(stream, &seen).await;
        });
    }
}

async fn receive(mut stream: TcpStream, seen: &RefCell<Seen>) -> Result<()> {
    let mut received = Vec::with_capacity(8 * 1024);
    while stream.read_buf(&mut received).await? > 0 {
        let mut begin = 0;
        while let Some(request) = Request::parse(&received[begin..])? {
            seen.borrow_mut().note(&request);
            begin += request.length_bytes;
            stream.write_all(ANSWER).await?;
        }
        received.drain(..begin);
        received.reserve(4 * 1024);
    }
    Ok(())
}

impl Seen {
    fn note(&mut self, request: &Request<'_>) {
        let Some(id) = request.id else { return };
        self.counts.messages += 1;
        self.counts.body_bytes += request.body_bytes as u64;
        let arrival = Arrival { hook: request.hook, at: now_micros() };
        match self.messages.get_mut(id) {
            Some(arrivals) => arrivals.push(arrival),
            None => {
                self.messages.insert(id.into(), vec![arrival]);
            }
        }
    }
}

/// As much of a request as matters here.
#[derive(Debug, PartialEq, Eq)]
struct Request<'a> {
    hook: u32,
    id: Option<&'a [u8]>,
    body_bytes: usize,
    /// All of it.
    length_bytes: usize,
}

impl<'a> Request<'a> {
    /// `None` as long as it has not arrived as a whole.
    fn parse(received: &'a [u8]) -> Result<Option<Self>> {
        let (mut hook, mut id, mut body_bytes) = (None, None, 0);
        let mut begin = 0;
        while let Some(length) = received[begin..].iter().position(|byte| *byte == b'\n') {
            let line = received[begin..begin + length].trim_ascii_end();
            begin += length + 1;
            if hook.is_none() {
                hook = Some(path(line).context("the path of a webhook is its number")?);
            } else if line.is_empty() {
                let length_bytes = begin + body_bytes;
                let request = Self { hook: hook.unwrap_or_default(), id, body_bytes, length_bytes };
                return Ok((received.len() >= length_bytes).then_some(request));
            } else if let Some(value) = header(line, ID) {
                id = Some(value);
            } else if let Some(value) = header(line, LENGTH) {
                body_bytes = std::str::from_utf8(value)?.parse()?;
            }
        }
        ensure!(begin > 0 || received.len() <= MAX_HEAD_BYTES, "the head is too long");
        Ok(None)
    }
}

/// `POST /17 HTTP/1.1`
fn path(line: &[u8]) -> Option<u32> {
    let path = line.split(|byte| *byte == b' ').nth(1)?.strip_prefix(b"/")?;
    std::str::from_utf8(path).ok()?.parse().ok()
}

fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    rest.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

/// Answers questions, until whoever asks goes.
async fn answer(stream: TcpStream, seen: &RefCell<Seen>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let mut text = String::new();
        match line.trim_end() {
            "count" => {
                let Counts { messages, body_bytes } = seen.borrow().counts;
                writeln!(text, "{messages} {body_bytes}")?;
            }
            "arrivals" => {
                for (id, arrivals) in &seen.borrow().messages {
                    write!(text, "{}", String::from_utf8_lossy(id))?;
                    for Arrival { hook, at } in arrivals {
                        write!(text, " {hook}:{at}")?;
                    }
                    text.push('\n');
                }
                text.push('\n');
            }
            other => bail!("not a question: {other}"),
        }
        stream.write_all(text.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// A running receiver.
pub struct Receiver {
    server: Server,
    questions: BufReader<TcpStream>,
}

/// By the ids of messages, when each came and for whom.
pub type Arrivals = HashMap<String, Vec<Arrival>>;

impl Receiver {
    /// Starts this program again.
    pub async fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this program cannot find itself")?);
        command.arg("webhook-receiver");
        let questions = std::cell::Cell::new(None);
        let server = process::start(command, |line| {
            let (listen, ask) = line.trim().split_once(' ')?;
            questions.set(Some(ask.parse::<SocketAddr>().ok()?));
            listen.parse().ok()
        });
        let server = server.await?;
        let address = questions.get().context("a receiver says where it is asked")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { server, questions: BufReader::new(stream) })
    }

    /// Where webhooks are sent.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What it costs.
    pub fn usage(&self) -> Result<Usage> {
        self.server.usage()
    }

    /// How much has come.
    pub async fn count(&mut self) -> Result<Counts> {
        self.questions.write_all(b"count\n").await?;
        let line = self.line().await?;
        let (messages, body_bytes) = line.split_once(' ').context("two numbers are counts")?;
        Ok(Counts { messages: messages.parse()?, body_bytes: body_bytes.parse()? })
    }

    /// All that has come, by message.
    pub async fn arrivals(&mut self) -> Result<Arrivals> {
        self.questions.write_all(b"arrivals\n").await?;
        let mut all = Arrivals::new();
        loop {
            let line = self.line().await?;
            let mut words = line.split(' ');
            let id = words.next().unwrap_or_default();
            if id.is_empty() {
                return Ok(all);
            }
            let arrival = |word: &str| {
                let (hook, at) = word.split_once(':')?;
                Some(Arrival { hook: hook.parse().ok()?, at: at.parse().ok()? })
            };
            let arrivals = words.map(arrival).collect::<Option<Vec<_>>>().context("arrivals cannot be read")?;
            all.insert(id.to_owned(), arrivals);
        }
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.questions.read_line(&mut line).await? > 0, "the receiver has ended");
        Ok(line.trim_end().to_owned())
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_when_they_are_whole() {
        let text = b"POST /17 HTTP/1.1\r\nHost: a\r\nWebhook-Id: evt_1\r\nContent-Length: 3\r\n\r\nabcPOST";
        let whole = Request::parse(text).unwrap();
        let expected = Request { hook: 17, id: Some(b"evt_1".as_slice()), body_bytes: 3, length_bytes: text.len() - 4 };
        assert_eq!(whole, Some(expected));
        for end in 0..text.len() - 4 {
            assert_eq!(Request::parse(&text[..end]).unwrap(), None, "{end}");
        }
        assert!(Request::parse(b"POST /hook HTTP/1.1\r\n").is_err());
    }
}
