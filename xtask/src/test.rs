//! `cargo xtask test`: everything that a change has to pass.
//!
//! A step that fails does not hide the others: all run that can, and the failed ones are named at the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::count::{Count, Runner};
use crate::postgres::{Cluster, Durability};
use crate::{packages, process, python};

/// Runs everything, or only the Rust tests whose name contains one of `names`, and prints the count in any case. Whether
/// all went well.
pub fn run(names: &[String]) -> bool {
    let mut run = Run::default();
    let outcome = run.everything(names);
    run.step(outcome);
    for failure in &run.failures {
        eprintln!("FAILED: {failure}");
    }
    print_count(run.count);
    run.failures.is_empty()
}

#[expect(clippy::print_stdout, reason = "the last line of standard output is what the command is for")]
fn print_count(count: Count) {
    println!("{} passed, {} failed", count.passed, count.failed);
}

#[derive(Default)]
struct Run {
    count: Count,
    failures: Vec<String>,
}

impl Run {
    fn everything(&mut self, names: &[String]) -> anyhow::Result<()> {
        packages::ensure()?;
        if names.is_empty() {
            self.step(process::run(cargo(&["fmt", "--all", "--check"]).current_dir(root())));
            let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
            self.step(process::run(&mut cargo(&lints)));
            let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
            self.step(process::run(docs.env("RUSTDOCFLAGS", "--deny warnings")));
        }
        // The tests start these. Built as part of the workspace, so that they share their dependencies with the tests.
        process::run(&mut cargo(&["build", "--workspace", "--bin", "tandem", "--bin", "tandem-bench"]))?;
        let server = std::env::current_exe()?.with_file_name(format!("tandem{}", std::env::consts::EXE_SUFFIX));
        let (postgres_url, _cluster) = match std::env::var("TEST_POSTGRES_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let cluster = Cluster::start(Durability::None)?;
                (cluster.url(), Some(cluster))
            }
        };
        let with_environment = |mut command: Command| {
            command.env("TANDEM_BIN", &server).env("TEST_POSTGRES_URL", &postgres_url).env("RUST_BACKTRACE", "1");
            command
        };
        self.rust_tests(names, with_environment);
        if names.is_empty() {
            self.node_tests(with_environment)?;
            self.python_tests(with_environment)?;
        }
        Ok(())
    }

    fn rust_tests(&mut self, names: &[String], with_environment: impl Fn(Command) -> Command) {
        if process::succeeds(&mut cargo(&["nextest", "--version"])) {
            let mut tests = cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--color", "never"]);
            tests.args(names);
            self.count(Runner::Nextest, with_environment(tests), names);
            if names.is_empty() {
                // Nextest runs no examples in documentation.
                self.count(Runner::CargoTest, cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]), names);
            }
        } else {
            let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--color", "never", "--"]);
            tests.args(names);
            self.count(Runner::CargoTest, with_environment(tests), names);
        }
    }

    fn node_tests(&mut self, with_environment: impl Fn(Command) -> Command) -> anyhow::Result<()> {
        let folder = root().join("tests/node");
        process::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut files: Vec<String> = names.filter(|name| name.ends_with(".test.mjs")).collect();
        files.sort();
        let mut tests = Command::new("node");
        tests.args(["--test", "--test-reporter=tap"]).args(files).current_dir(&folder);
        if let Some(chromium) = packages::chromium() {
            tests.env("CHROMIUM", chromium);
        }
        self.count(Runner::Node, with_environment(tests), &[]);
        Ok(())
    }

    fn python_tests(&mut self, with_environment: impl Fn(Command) -> Command) -> anyhow::Result<()> {
        let folder = root().join("tests/python");
        let packages = folder.join("requirements.txt");
        let packages =
            std::fs::read_to_string(&packages).with_context(|| format!("cannot read {}", packages.display()))?;
        let mut tests = Command::new(python::environment("python", &packages)?);
        tests.args(["-m", "unittest", "discover", "--verbose"]).current_dir(&folder);
        self.count(Runner::Unittest, with_environment(tests), &[]);
        Ok(())
    }

    /// Runs tests and counts them. None at all, or one left out without having been asked to, is a failure.
    fn count(&mut self, runner: Runner, mut command: Command, names: &[String]) {
        let mut count = Count::default();
        let outcome = process::run_seen(&mut command, |line| count.see(runner, line));
        self.step(outcome);
        if names.is_empty() && count.skipped > 0 {
            self.failures.push(format!("{} tests were skipped by {runner:?}", count.skipped));
        }
        self.count.add(count);
    }

    fn step(&mut self, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            self.failures.push(format!("{error:#}"));
        }
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.args(arguments).current_dir(root());
    command
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}
