//! What the tests need from the machine: found, else installed where that is possible, else named with the command.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::{postgres, process};

const OLDEST_NODE: u32 = 20;

/// One thing that has to be there.
struct Need {
    what: &'static str,
    /// Packages of Debian and its relatives that bring it.
    packages: &'static [&'static str],
    is_there: fn() -> bool,
}

const NEEDS: [Need; 4] = [
    Need {
        what: "a PostgreSQL server, version 15 or newer (or TEST_POSTGRES_URL)",
        packages: &["postgresql"],
        is_there: || std::env::var_os("TEST_POSTGRES_URL").is_some() || postgres::binaries().is_some(),
    },
    Need { what: "Node.js, version 20 or newer, with npm", packages: &["nodejs", "npm"], is_there: has_node },
    Need { what: "Python 3 with venv", packages: &["python3", "python3-venv"], is_there: has_python },
    Need { what: "Chromium (or CHROMIUM, its path)", packages: &["chromium"], is_there: || chromium().is_some() },
];

/// Makes sure that everything is there, or says what is missing and how to get it.
pub fn ensure() -> anyhow::Result<()> {
    ensure_component("rustfmt", &["fmt", "--version"])?;
    ensure_component("clippy", &["clippy", "--version"])?;
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let has_apt = process::succeeds(Command::new("apt-get").arg("--version"));
    if has_apt && process::is_root() {
        process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(&packages);
        process::run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    let missing: Vec<&str> = missing.iter().filter(|need| !(need.is_there)()).map(|need| need.what).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("sudo apt-get install {}", packages.join(" "));
    bail!("missing: {}\nOn Debian and Ubuntu: {command}", missing.join("; "));
}

/// A component of the Rust toolchain that a minimal installation leaves out.
fn ensure_component(name: &str, probe: &[&str]) -> anyhow::Result<()> {
    if process::succeeds(process::cargo().args(probe)) {
        return Ok(());
    }
    process::run(Command::new("rustup").args(["component", "add", name]))
}

fn has_node() -> bool {
    let version = process::output(Command::new("node").arg("--version"));
    let major = version.and_then(|text| text.trim_start_matches('v').split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= OLDEST_NODE) && process::succeeds(Command::new("npm").arg("--version"))
}

/// Debian has the module for environments without what fills them in a package of its own.
fn has_python() -> bool {
    process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}

/// The path of the browser.
pub fn chromium() -> Option<String> {
    if let Ok(path) = std::env::var("CHROMIUM") {
        return Some(path);
    }
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];
    usual.into_iter().find(|path| Path::new(path).is_file()).map(str::to_owned)
}
