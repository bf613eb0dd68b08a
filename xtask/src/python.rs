//! Python with the packages that tests need, apart from those of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::process;

/// Where the environment is, beside what cargo builds.
const FOLDER: &str = "python";
/// A copy of what is installed in it.
const INSTALLED: &str = "requirements.txt";

/// The interpreter of an environment in which these packages are installed; made anew when the list has changed.
pub fn environment(requirements: &Path) -> anyhow::Result<PathBuf> {
    let tool = std::env::current_exe()?;
    let target = tool.ancestors().nth(2).context("this program is two folders below cargo's target")?;
    let folder = target.join(FOLDER);
    let python = folder.join("bin/python");
    let wanted = std::fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    if std::fs::read(folder.join(INSTALLED)).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    process::run(Command::new(&python).args(install).arg(requirements))?;
    std::fs::write(folder.join(INSTALLED), wanted)?;
    Ok(python)
}
