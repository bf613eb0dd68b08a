//! The `tandem` binary as people run it: a process of its own, on a new database.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use sea_orm::{Database, DatabaseConnection};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::place::{ENCRYPTION_KEY, NewDatabase, Place};
use crate::process::{self, Server};
use crate::store::RESOURCES;
use crate::wire::{Connection, post_head};

/// Which server is measured.
#[derive(Debug, Clone, Args)]
pub struct Binary {
    /// The `tandem` that is measured; build it in release [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
}

impl Binary {
    /// Where it is.
    pub fn path(&self) -> Result<PathBuf> {
        let path = match &self.server {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name(format!("tandem{}", std::env::consts::EXE_SUFFIX)),
        };
        ensure!(path.is_file(), "there is no server {}: build it, or name it with --server", path.display());
        Ok(path)
    }
}

/// A running server with the store that ships.
pub struct Tandem {
    /// Where it listens.
    pub address: SocketAddr,
    binary: PathBuf,
    folder: TempDir,
    flags: Vec<String>,
    /// The process.
    pub server: Server,
    database: NewDatabase,
}

impl Tandem {
    /// Starts it on a new database, with these flags besides.
    pub async fn start(binary: &Path, place: &Place, flags: &[&str]) -> Result<Self> {
        Self::start_on(binary, place.make().await?, flags).await
    }

    /// Starts it on a database that may hold something already.
    pub async fn start_on(binary: &Path, database: NewDatabase, flags: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tandem-bench-").tempdir()?;
        std::fs::write(folder.path().join("resources.graphql"), RESOURCES)?;
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let server = launch(binary, &folder, &database, &flags).await?;
        Ok(Self { address: server.address, binary: binary.to_owned(), folder, flags, server, database })
    }

    /// Ends it as a power cut would: nothing of it runs any more when this returns.
    pub async fn kill(&mut self) -> Result<()> {
        self.server.kill().await
    }

    /// Starts it again on the same data, at another port.
    pub async fn start_again(&mut self) -> Result<()> {
        self.server = launch(&self.binary, &self.folder, &self.database, &self.flags).await?;
        self.address = self.server.address;
        Ok(())
    }

    /// The same with other flags.
    pub async fn start_again_with(&mut self, flags: &[&str]) -> Result<()> {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.start_again().await
    }

    /// Where its database is.
    pub fn database_url(&self) -> &str {
        &self.database.url
    }

    /// A connection to its database, past the server.
    pub async fn database(&self) -> Result<DatabaseConnection> {
        let mode = if self.database.url.starts_with("sqlite:") { "?mode=ro" } else { "" };
        Ok(Database::connect(format!("{}{mode}", self.database.url)).await?)
    }

    /// A caller's `authorization` header.
    pub async fn authorization(&self, sub: &str, roles: &[&str]) -> Result<String> {
        let mut command = clean(&self.binary);
        command.args(["token", "--sub", sub, "--data-dir"]).arg(self.folder.path());
        command.args(roles.iter().flat_map(|role| ["--role", role]));
        let output = command.output().await?;
        ensure!(output.status.success(), "no token: {}", String::from_utf8_lossy(&output.stderr));
        Ok(format!("Bearer {}", String::from_utf8(output.stdout)?.trim()))
    }

    /// A connection for a caller.
    pub async fn client(&self, authorization: &str) -> Result<Client> {
        Client::open(self.address, Some(authorization)).await
    }

    /// Ends it and removes its database.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await?;
        self.database.remove().await
    }
}

/// A connection for what is asked once, not measured.
pub struct Client {
    connection: Connection,
    head: String,
}

impl Client {
    /// Connects, with an `authorization` header if there is one.
    pub async fn open(address: SocketAddr, authorization: Option<&str>) -> Result<Self> {
        let headers: Vec<_> =
            authorization.map(|value| ("authorization".to_owned(), value.to_owned())).into_iter().collect();
        let head = post_head(address, "/graphql", &headers);
        Ok(Self { connection: Connection::open(address).await?, head })
    }

    /// Asks and returns `data`. Errors of the request and of the user are errors.
    pub async fn ask(&mut self, query: &str, variables: Value) -> Result<Value> {
        let (answer, _) = self.ask_sized(&request(query, &variables)).await?;
        Ok(answer)
    }

    /// As [`ask`](Self::ask), with a prepared request; also returns the length of the body.
    pub async fn ask_sized(&mut self, request: &[u8]) -> Result<(Value, usize)> {
        let answer = self.connection.ask(&self.head, request).await?;
        let text = || String::from_utf8_lossy(answer.body);
        ensure!(answer.status == 200, "{} {}", answer.status, text());
        let mut body: Value = serde_json::from_slice(answer.body)?;
        let payloads = body["data"].as_object().into_iter().flat_map(|data| data.values());
        let is_refused =
            payloads.filter_map(|payload| payload["userErrors"].as_array()).any(|errors| !errors.is_empty());
        ensure!(body.get("errors").is_none() && !is_refused, "not what was asked for: {}", text());
        Ok((body["data"].take(), answer.body.len()))
    }
}

/// The body of a request.
pub fn request(query: &str, variables: &Value) -> Vec<u8> {
    json!({ "query": query, "variables": variables }).to_string().into_bytes()
}

async fn launch(binary: &Path, folder: &TempDir, database: &NewDatabase, flags: &[String]) -> Result<Server> {
    let mut command = clean(binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--database-url", &database.url]);
    command.arg("--resources").arg(folder.path().join("resources.graphql"));
    command.args(["--encryption-key", ENCRYPTION_KEY]);
    command.arg("--data-dir").arg(folder.path()).args(flags);
    process::start(command, address_in).await.context("the server did not start")
}

/// The binary, free of settings that happen to be in the environment.
fn clean(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") {
            command.env_remove(name);
        }
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command
}

/// In the block that a server prints when it starts.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.trim().strip_prefix("GraphQL")?.trim().strip_prefix("http://")?.strip_suffix("/graphql")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_the_start_up_block() {
        assert_eq!(address_in("  GraphQL      http://127.0.0.1:80/graphql"), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(address_in("  Console      http://127.0.0.1:80/"), None);
    }
}
