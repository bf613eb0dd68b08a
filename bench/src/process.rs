//! Servers in processes of their own, so that they are measured as they run: with their own threads and memory.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A cold start of a debug build on a busy machine takes less.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Ends it; nothing of it runs any more when this returns.
    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("the server could not be ended")
    }
}

/// This program again, as the bare server.
pub async fn start_bare(size_bytes: usize) -> Result<Server> {
    let mut command = Command::new(std::env::current_exe().context("this program cannot find itself")?);
    command.args(["bare-server", "--size-bytes", &size_bytes.to_string()]);
    start(command, |line| line.trim().parse().ok()).await
}

/// Starts a server and waits until it prints a line in which `find_address` finds its address.
pub async fn start(mut command: Command, find_address: impl Fn(&str) -> Option<SocketAddr>) -> Result<Server> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("the server could not be started")?;
    let output = child.stdout.take().context("the server's output is piped")?;
    let mut lines = BufReader::new(output).lines();
    let wait = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = find_address(&line) {
                return Ok(address);
            }
        }
        bail!("the server ended before it listened")
    };
    let address = tokio::time::timeout(START_TIMEOUT, wait).await.context("the server did not listen in time")??;
    // A full pipe would stop the server. This ends when the server does.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(Server { address, child })
}
