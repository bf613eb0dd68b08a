//! Servers in processes of their own, so that they are measured as they run: with their own threads and memory.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};

use crate::usage::Usage;

/// A cold start of a debug build on a busy machine takes less.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    complaints: Complaints,
}

/// Lines in which a server says that something is wrong with itself.
#[derive(Debug, Clone, Default)]
pub struct Complaints(Arc<Mutex<Vec<String>>>);

impl Complaints {
    /// Those so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn see(&self, line: &str) {
        if line.contains("panicked") || line.contains("ERROR") {
            eprintln!("{line}");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        }
    }
}

impl Server {
    /// The id of the process.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// What it costs, as the system sees it.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id()?)
    }

    /// What it has complained of.
    pub fn complaints(&self) -> Complaints {
        self.complaints.clone()
    }

    /// Ends it; nothing of it runs any more when this returns.
    pub async fn stop(mut self) -> Result<()> {
        self.kill().await
    }

    /// The same, of one that is kept to be asked what it has said.
    pub async fn kill(&mut self) -> Result<()> {
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
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("the server could not be started")?;
    let output = child.stdout.take().context("the server's output is piped")?;
    let complaints = Complaints::default();
    if let Some(errors) = child.stderr.take() {
        tokio::spawn(watch(BufReader::new(errors).lines(), complaints.clone()));
    }
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
    tokio::spawn(watch(lines, complaints.clone()));
    Ok(Server { address, child, complaints })
}

/// A full pipe would stop the server. This ends when the server does.
async fn watch(mut lines: Lines<BufReader<impl AsyncRead + Unpin>>, complaints: Complaints) {
    while let Ok(Some(line)) = lines.next_line().await {
        complaints.see(&line);
    }
}
