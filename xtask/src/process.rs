//! Running other programs.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, bail};

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program that writes straight to the terminal. An exit status other than 0 is an error.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let begun_at = Instant::now();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    took(begun_at);
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a program, passes its output through and shows every line of it to `see`.
pub fn run_seen(command: &mut Command, see: impl FnMut(&str) + Send) -> anyhow::Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun_at = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run `{shown}`"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let see = Mutex::new(see);
    std::thread::scope(|scope| {
        scope.spawn(|| pass(out, std::io::stdout(), &see));
        scope.spawn(|| pass(err, std::io::stderr(), &see));
    });
    let status = child.wait()?;
    took(begun_at);
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

fn pass(from: Option<impl Read>, mut to: impl Write, see: &Mutex<impl FnMut(&str)>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    // Bytes, not text: a tool may print what is no UTF-8, and that must not hide the lines after it.
    while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
        // A closed terminal is no reason to stop counting.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        if let Ok(mut see) = see.lock() {
            see(String::from_utf8_lossy(&line).trim_end());
        }
        line.clear();
    }
}

/// What a program prints, without the white space around it; `None` if it cannot be run or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program can be run and succeeds, without showing what it prints.
pub fn succeeds(command: &mut Command) -> bool {
    output(command).is_some()
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// Says how long a program ran, so that one sees where the time goes.
fn took(begun_at: Instant) {
    eprintln!("  took {:.1} s", begun_at.elapsed().as_secs_f64());
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = program.file_name().into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
