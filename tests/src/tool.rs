//! The load tool, `tandem-bench`, as a process of its own. It judges by itself: a failure is a finding.

use std::process::Stdio;

use tokio::process::Command;

use crate::Backend;
use crate::server::binary_path;

/// The tool, which has to be beside the server.
pub fn tool() -> Command {
    let server = binary_path();
    let path = server.with_file_name(format!("tandem-bench{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is not there: build it, or run `cargo xtask test`", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs one of its commands that start servers of their own, to its end. What it printed.
pub async fn try_out(backend: Backend, words: &[&str]) -> String {
    let mut command = tool();
    command.args(words).arg("--server").arg(binary_path()).env_remove("BENCH_POSTGRES_URL");
    if backend == Backend::Postgres {
        let url = std::env::var("TEST_POSTGRES_URL").expect("a case on PostgreSQL has one");
        command.args(["--database", "postgres", "--postgres-url", &url]);
    }
    let output = command.output().await.expect("the tool can be run");
    let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{words:?} found something:\n{printed}\n{said}");
    printed
}
