//! Python with the packages that tests need, apart from those of the machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::process;

/// A copy of what is installed in an environment.
const INSTALLED: &str = "requirements.txt";

/// The interpreter of an environment in cargo's target folder, with these packages, one in each line. It is made anew when
/// they have changed.
pub fn environment(name: &str, packages: &str) -> anyhow::Result<PathBuf> {
    let tool = std::env::current_exe()?;
    let target = tool.ancestors().nth(2).context("builds are two folders below the target folder")?;
    let folder = target.join(name);
    let python = folder.join("bin/python");
    if std::fs::read_to_string(folder.join(INSTALLED)).is_ok_and(|installed| installed == packages) {
        return Ok(python);
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("Python 3.10 or newer is needed, with venv; on Debian and Ubuntu: apt-get install python3-venv")?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    process::run(Command::new(&python).args(install).args(packages.lines()))?;
    std::fs::write(folder.join(INSTALLED), packages)?;
    Ok(python)
}
