//! The binary `tandem`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandem::cli::run(std::env::args_os())
}
