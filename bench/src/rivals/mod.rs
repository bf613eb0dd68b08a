//! What live push is compared with: servers in processes of their own that are told what to send.
//!
//! - `bare`: a broadcast over tokio-tungstenite, as fast as it can be made
//! - `stock`: the same subscription by async-graphql, over the WebSocket layer of async-graphql-axum
//! - `control`: the connection over which messages are published
//!
//! Neither writes anything down, asks for rights, or could go on after a cursor.

mod bare;
mod control;
mod stock;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::{self, Server};
use crate::usage::Usage;

/// Everybody is there sooner.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many as Tandem's ring holds.
const CAPACITY: usize = 16_384;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A broadcast of frames.
    Bare,
    /// async-graphql-axum.
    Stock,
}

/// Serves until the process is killed. The first line on standard output has two addresses: for subscribers, and for who
/// publishes.
pub async fn serve(kind: Kind) -> Result<()> {
    match kind {
        Kind::Bare => bare::serve().await,
        Kind::Stock => stock::serve().await,
    }
}

/// A running one.
pub struct Rival {
    server: Server,
    control: BufReader<TcpStream>,
}

impl Rival {
    /// Starts this program again.
    pub async fn start(kind: Kind) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this program cannot find itself")?);
        let name = kind.to_possible_value().context("no kind is hidden")?;
        command.args(["rival-server", name.get_name()]);
        let control = std::cell::Cell::new(None);
        let server = process::start(command, |line| {
            let (listen, publish) = line.trim().split_once(' ')?;
            control.set(Some(publish.parse::<SocketAddr>().ok()?));
            listen.parse().ok()
        });
        let server = server.await?;
        let address = control.get().context("a rival says where it is controlled")?;
        Ok(Self { server, control: BufReader::new(TcpStream::connect(address).await?) })
    }

    /// Where subscribers connect.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Sends each message to everybody.
    pub async fn publish(&mut self, messages: &[Box<[u8]>]) -> Result<()> {
        let mut lines = Vec::with_capacity(messages.iter().map(|message| message.len() + 1).sum());
        for message in messages {
            ensure!(!message.contains(&b'\n'), "a message is one line");
            lines.extend_from_slice(message);
            lines.push(b'\n');
        }
        Ok(self.control.write_all(&lines).await?)
    }

    /// What it costs.
    pub fn usage(&self) -> Result<Usage> {
        self.server.usage()
    }

    /// Waits until so many are subscribed.
    pub async fn await_listeners(&mut self, count: usize) -> Result<()> {
        let wait = async {
            loop {
                self.control.write_all(b"\n").await?;
                let mut answer = String::new();
                self.control.read_line(&mut answer).await?;
                if answer.trim().parse::<usize>()? >= count {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.context("not everybody is subscribed")?
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}
