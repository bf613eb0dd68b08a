//! `cargo xtask fuzz`: looks for requests that make the server fail, for as long as it is told.
//!
//! Schemathesis makes requests of the schema, our own tests make garbage; both against SQLite and PostgreSQL. What they
//! need of Python is installed into the target folder.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::postgres::{Cluster, Durability};
use crate::{process, python};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Seconds for each database, if the command line does not say.
const DEFAULT_SECONDS: u32 = 600;

/// Requests of garbage for each second of Schemathesis; about as many as take that long.
const GARBAGE_PER_SECOND: u32 = 200;

/// Runs both against both databases. Fails if anything fails, after everything has run.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let seconds = match arguments.first() {
        Some(text) => text.parse().with_context(|| format!("{text} is no number of seconds"))?,
        None => DEFAULT_SECONDS,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace");
    process::run(process::cargo().args(["build", "--workspace", "--bin", "tandem"]).current_dir(root))?;
    let server = std::env::current_exe()?.with_file_name(format!("tandem{}", std::env::consts::EXE_SUFFIX));
    let python = python::environment("schemathesis", SCHEMATHESIS)?;
    let cluster = Cluster::start(Durability::None)?;

    let mut outcomes = Vec::new();
    for database_url in [None, Some(cluster.url())] {
        let mut schemathesis = Command::new(&python);
        schemathesis.arg(root.join("tests/schemathesis/run.py")).arg(&server).arg(seconds.to_string());
        outcomes.push(process::run(schemathesis.args(database_url)));
    }
    let mut garbage = process::cargo();
    garbage.args(["test", "--package", "tandem-tests", "--test", "e2e", "--", "garbage"]).current_dir(root);
    garbage.env("TANDEM_BIN", &server).env("TEST_POSTGRES_URL", cluster.url());
    garbage.env("GARBAGE_SEED", std::process::id().to_string());
    garbage.env("GARBAGE_REQUESTS", (GARBAGE_PER_SECOND * seconds).to_string());
    outcomes.push(process::run(&mut garbage));
    outcomes.into_iter().collect()
}
