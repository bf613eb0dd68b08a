//! PostGraphile in processes of its own, with a worker for each processor.
//!
//! It and the Node.js that it needs come from npm, in the versions of `bench/postgraphile`, into cargo's target folder.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::process::{self, Server};

const LOCK: &str = include_str!("../../../postgraphile/package-lock.json");
const FILES: [(&str, &str); 4] = [
    ("package.json", include_str!("../../../postgraphile/package.json")),
    ("package-lock.json", LOCK),
    ("graphile.config.mjs", include_str!("../../../postgraphile/graphile.config.mjs")),
    ("server.mjs", include_str!("../../../postgraphile/server.mjs")),
];
/// A copy of the lock of what is installed, in the folder that npm removes before it installs.
const INSTALLED: &str = "node_modules/installed.json";

/// What can be started.
pub struct Installed {
    folder: PathBuf,
}

impl Installed {
    /// Installs it, unless that was done before.
    pub async fn ensure() -> Result<Self> {
        let program = std::env::current_exe().context("this program cannot find itself")?;
        let target = program.ancestors().nth(2).context("builds are two folders below the target folder")?;
        let folder = target.join("postgraphile");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in FILES {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        let installed = Self { folder };
        if fs::read_to_string(installed.folder.join(INSTALLED)).is_ok_and(|lock| lock == LOCK) {
            return Ok(installed);
        }
        installed.install().await?;
        fs::write(installed.folder.join(INSTALLED), LOCK)?;
        Ok(installed)
    }

    async fn install(&self) -> Result<()> {
        eprintln!("installing PostGraphile into {}", self.folder.display());
        let mut npm = Command::new("npm");
        // Nothing of it has to run in order to be installed.
        npm.args(["ci", "--ignore-scripts", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"]);
        let output =
            npm.current_dir(&self.folder).kill_on_drop(true).output().await.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => anyhow::anyhow!(
                    "there is no npm, which installs PostGraphile; on Debian and Ubuntu: apt-get install nodejs npm"
                ),
                _ => anyhow::Error::new(error).context("npm could not be started"),
            })?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "npm could not install PostGraphile: {errors}");
        Ok(())
    }

    /// Serves a database.
    pub async fn start(&self, database_url: &str) -> Result<Server> {
        let node = self.folder.join("node_modules/.bin/node");
        // Where npm has none for the machine, its own may be new enough.
        let mut command = if node.is_file() { Command::new(node) } else { Command::new("node") };
        command.arg(self.folder.join("server.mjs")).env_remove("NODE_OPTIONS");
        command.env("NODE_ENV", "production").env("GRAPHILE_ENV", "production").env("DATABASE_URL", database_url);
        process::start(command, |line| line.trim().parse().ok()).await.context("PostGraphile did not start")
    }
}
