//! What a receiver of webhooks can do instead of answering.

use std::io;
use std::time::Duration;

use clap::ValueEnum;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Harm {
    /// It reads, and says nothing.
    Hang,
    /// One byte of the head each second.
    SlowHead,
    /// 200, then one byte of the body each second.
    SlowBody,
    /// 200, then bytes for as long as they are taken.
    EndlessBody,
    /// 200, then what would be much more if it were decompressed.
    Bomb,
    /// It accepts a connection for TLS, and says nothing.
    TlsStall,
    /// 200, half of a body, and a reset.
    Reset,
    /// To where only the server can go.
    Redirect,
    /// 100 KiB of head.
    LongHead,
    /// 100 KiB of head, then one byte of it each second: what is worst for whoever has to keep what has come.
    LongHeadStall,
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
/// The head of a gzip stream; zeros after it are blocks that would be much more.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

impl Harm {
    /// What is asked for when one speaks of hostile receivers; the others are chosen by name.
    pub const USUAL: [Self; 9] = [
        Self::Hang,
        Self::SlowHead,
        Self::SlowBody,
        Self::EndlessBody,
        Self::Bomb,
        Self::TlsStall,
        Self::Reset,
        Self::Redirect,
        Self::LongHead,
    ];

    /// Of its URL.
    pub fn scheme(self) -> &'static str {
        if self == Self::TlsStall { "https" } else { "http" }
    }

    /// As it is called on the command line and in tables.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Takes the request, as far as it wants one.
    pub(super) async fn take_request(self, stream: &mut TcpStream) -> io::Result<()> {
        if self != Self::TlsStall {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await?;
        }
        Ok(())
    }

    /// Does its harm to one connection, until the other side has enough. Redirects lead to `location`.
    pub(super) async fn inflict(self, mut stream: TcpStream, location: &str) -> io::Result<()> {
        match self {
            Self::Hang | Self::TlsStall => read_on(stream).await,
            Self::SlowHead => drip(stream, b"HTTP/1.1 200 OK\r\nx-filler: ").await,
            Self::SlowBody => {
                stream.write_all(OK).await?;
                drip(stream, b"one byte at a time").await
            }
            Self::EndlessBody => {
                stream.write_all(OK).await?;
                loop {
                    stream.write_all(&[b'x'; 16 * 1024]).await?;
                }
            }
            Self::Bomb => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: gzip\r\n\r\n").await?;
                stream.write_all(&GZIP).await?;
                stream.write_all(&[0; 65_526]).await?;
                read_on(stream).await
            }
            Self::Reset => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it").await?;
                stream.flush().await?;
                // A socket that does not linger is closed by a reset.
                stream.set_zero_linger()
            }
            Self::Redirect => {
                let head = format!(
                    "HTTP/1.1 302 Found\r\nlocation: {location}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                read_on(stream).await
            }
            Self::LongHead => {
                stream.write_all(&long_head()).await?;
                stream.write_all(b"\r\n").await?;
                read_on(stream).await
            }
            Self::LongHeadStall => {
                stream.write_all(&long_head()).await?;
                drip(stream, b"x-filler: ").await
            }
        }
    }
}

/// 100 KiB of a head that lacks its end.
fn long_head() -> Vec<u8> {
    let mut head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n".to_vec();
    for number in 0..90 {
        head.extend_from_slice(format!("x-filler-{number}: {}\r\n", "x".repeat(1120)).as_bytes());
    }
    head
}

async fn read_on(mut stream: TcpStream) -> io::Result<()> {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// One byte each second, over and over.
async fn drip(mut stream: TcpStream, text: &[u8]) -> io::Result<()> {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut rest = [0; 4096];
    for byte in text.iter().cycle() {
        tokio::select! {
            _ = second.tick() => stream.write_all(&[*byte]).await?,
            // That the other side has closed is seen at once, not with the next byte.
            read = stream.read(&mut rest) => if read? == 0 { return Ok(()) },
        }
    }
    Ok(())
}
