//! The `tandem` binary as a child process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::caller::JWT_SECRET;
use crate::case::Logs;
use crate::wait::{DEADLINE, in_time};
use crate::{Caller, Client, Events, Live};

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Settings {
    flags: Vec<(String, String)>,
    variables: Vec<(String, String)>,
}

impl Settings {
    /// The shipped store, any free port of loopback, and webhook retries that a test can wait for.
    pub fn new(data_dir: &Path, database_url: &str) -> Self {
        Self { flags: Vec::new(), variables: Vec::new() }
            .with("--listen", "127.0.0.1:0")
            .with("--log-format", "json")
            .with("--resources", &repository().join("resources.graphql").to_string_lossy())
            .with("--data-dir", &data_dir.to_string_lossy())
            .with("--database-url", database_url)
            .with("--jwt-secret", JWT_SECRET)
            .with("--webhook-retry-schedule", &format!("0s{}", ",100ms".repeat(20)))
    }

    /// Sets a flag, in place of what it was.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        self.flags.retain(|(name, _)| name != flag);
        self.flags.push((flag.to_owned(), value.to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn arguments(&self) -> impl Iterator<Item = String> {
        self.flags.iter().map(|(flag, value)| format!("{flag}={value}"))
    }

    /// Runs a command of the binary that ends by itself, with these flags of these settings, and with their
    /// variables.
    pub async fn command(&self, words: &[&str], flags: &[&str]) -> Output {
        let mut command = binary();
        let chosen = self.flags.iter().filter(|(name, _)| flags.contains(&name.as_str()));
        command.args(words).args(chosen.map(|(flag, value)| format!("{flag}={value}")));
        command.envs(self.variables.iter().cloned());
        in_time("a command of the binary ends", command.output()).await.expect("the binary can be run")
    }
}

/// A running server, or one that was killed and may be started again. Dropping it kills it and waits for its end, so that
/// another one may be started on the same data.
pub struct Server {
    settings: Settings,
    logs: Logs,
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it is ready. Panics with its output if it ends instead.
    pub async fn start(settings: Settings, logs: Logs) -> Self {
        let (child, address) = spawn(&settings, &logs).await;
        Self { settings, logs, child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of one of its pages.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its API, for a caller.
    pub fn client(&self, caller: &Caller) -> Client {
        Client::new(self.address, caller.token())
    }

    /// A socket that a caller has opened to it.
    pub async fn live(&self, caller: &Caller) -> Live {
        Live::connect(self.address, caller.token()).await
    }

    /// A subscription as Server-Sent Events, from after an event that the client already has if it says so.
    pub async fn events(&self, caller: &Caller, query: &str, variables: Value, last_id: Option<&str>) -> Events {
        Events::follow(self.address, caller.token(), query, variables, last_id).await
    }

    /// Ends it as a power cut would: nothing of it runs any more when this returns.
    pub async fn kill9(&mut self) {
        self.child.kill().await.expect("a child that this process started can be killed");
    }

    /// Makes it stand still (SIGSTOP): its connections stay open, and it does not know that time passes.
    pub async fn pause(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn resume(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("the server is running");
        let kill = Command::new("kill").args([signal, &id.to_string()]).status().await;
        assert!(kill.is_ok_and(|status| status.success()), "{signal} can be sent");
    }

    /// How much memory of this machine it takes.
    pub fn resident_bytes(&self) -> u64 {
        let id = self.child.id().expect("the server is running");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux says how a process fares");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("among it, its memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib * 1024
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("-TERM").await;
        in_time("the server stops after SIGTERM", self.child.wait()).await.expect("a child can be waited for")
    }

    /// Starts it again on the same data, at another port.
    pub async fn restart(&mut self) {
        (self.child, self.address) = spawn(&self.settings, &self.logs).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.start_kill();
        let end = Instant::now() + DEADLINE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::yield_now();
        }
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_owned()
}

/// The binary, free of settings that happen to be in the environment.
fn binary() -> Command {
    let mut command = Command::new(binary_path());
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("TANDEM_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Where the binary is.
pub(crate) fn binary_path() -> PathBuf {
    let path = std::env::var_os("TANDEM_BIN").map_or_else(beside_the_tests, PathBuf::from);
    assert!(path.is_file(), "{} is not there: build it, or run `cargo xtask test`", path.display());
    path
}

/// `target/debug/tandem` for tests in `target/debug/deps`.
fn beside_the_tests() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows which program this is");
    let folder = test.parent().and_then(Path::parent).expect("tests are two folders below their profile");
    folder.join(format!("tandem{}", std::env::consts::EXE_SUFFIX))
}

async fn spawn(settings: &Settings, logs: &Logs) -> (Child, SocketAddr) {
    let mut command = binary();
    command.arg("serve").args(settings.arguments()).envs(settings.variables.iter().cloned());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary can be run");
    let (address, mut addresses) = mpsc::channel(1);
    tokio::spawn(read(child.stdout.take(), logs.clone(), address.clone()));
    tokio::spawn(read(child.stderr.take(), logs.clone(), address));
    match in_time("the server is ready", addresses.recv()).await {
        Some(address) => (child, address),
        None => {
            let status = child.wait().await;
            panic!("the server ended before it was ready ({status:?}):\n{}", logs.text());
        }
    }
}

/// Reads what the server prints, for the logs and for the line that says where it listens.
async fn read(from: Option<impl AsyncRead + Unpin>, logs: Logs, address: mpsc::Sender<SocketAddr>) {
    let Some(from) = from else { return };
    let mut lines = BufReader::new(from).lines();
    let mut address = Some(address);
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(found) = listening(&line)
            && let Some(address) = address.take()
        {
            // The receiver is gone if the start was given up; the log still tells why.
            let _ = address.send(found).await;
        }
        logs.push(line);
    }
}

/// The address in the line that a server logs when it is ready.
fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    if fields["message"] != "listening" {
        return None;
    }
    fields["address"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_the_log() {
        for line in [
            r#"{"timestamp":"…","level":"INFO","fields":{"message":"listening","address":"127.0.0.1:4711"},"target":"t"}"#,
            r#"{"message":"listening","address":"127.0.0.1:4711"}"#,
        ] {
            assert_eq!(listening(line), Some("127.0.0.1:4711".parse().unwrap()), "{line}");
        }
        for line in ["", "listening", r#"{"fields":{"message":"started","address":"127.0.0.1:4711"}}"#] {
            assert_eq!(listening(line), None, "{line}");
        }
    }
}
