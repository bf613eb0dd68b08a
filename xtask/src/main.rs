//! Project commands: `cargo xtask test`, `cargo xtask fuzz`, `cargo xtask bench`, `cargo xtask postgres`.
//!
//! It depends on next to nothing, so that a fresh machine has it in seconds. What a command prints for people goes to
//! standard error; standard output carries the output of the tools and, as its last line, the count of the tests.

mod count;
mod fuzz;
mod packages;
mod postgres;
mod process;
mod python;
mod test;

use std::process::ExitCode;

use crate::postgres::{Cluster, Durability};

const USAGE: &str = "\
Usage: cargo xtask <command>

  test [name…]  Everything that a change has to pass: format, lints, docs, Rust tests and Node tests, on SQLite and on
                PostgreSQL. The last line counts the tests. With names: only the Rust tests that contain one of them.
  bench …       The load tool, in release, with a throw-away PostgreSQL that is durable. `cargo xtask bench all`
                measures everything that there is a target for; `disconnects`, `replicas` and `fuzz` are the chaos of
                the tests in full size; `cargo xtask bench help` has the rest.
  fuzz [seconds]
                Schemathesis (from PyPI, installed into the target folder) for so long against each database, 600 if
                not said otherwise, and then garbage of our own.
  postgres      A throw-away PostgreSQL for running single tests by hand, until standard input ends.

  TEST_POSTGRES_URL, and BENCH_POSTGRES_URL for bench, take the place of the throw-away PostgreSQL; the user has to be
  allowed to create databases.
  CHROMIUM names the browser, if it is not where it is usually installed.";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "test" => return if test::run(&arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        "bench" => bench(&arguments),
        "fuzz" => fuzz::run(&arguments),
        "postgres" => postgres::serve(),
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[String]) -> anyhow::Result<()> {
    process::run(process::cargo().args(["build", "--release", "--package", "tandem", "--package", "tandem-bench"]))?;
    // `cargo run` knows where the program is, wherever builds are put.
    let mut command = process::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tandem-bench", "--"]).args(arguments);
    let measures = ["all", "writer", "http", "reads", "live", "hostile", "webhooks", "disconnects", "replicas", "fuzz"]
        .contains(&arguments.first().map_or("", String::as_str));
    let has_database = std::env::var_os("BENCH_POSTGRES_URL").is_some()
        || arguments.iter().any(|argument| argument.starts_with("--postgres-url") || argument == "--help");
    let cluster = (measures && !has_database).then(|| Cluster::start(Durability::Full)).transpose()?;
    if let Some(cluster) = &cluster {
        command.env("BENCH_POSTGRES_URL", cluster.url());
    }
    process::run(&mut command)
}
