//! The binary `tandem`; everything is in the library.

use std::process::ExitCode;

/// Each request makes many small allocations on several threads. Without transparent huge pages: with them a buffer that is
/// hardly used takes its whole page of 2 MiB, and a thousand connections that wait cost twice as much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tandem::cli::run(std::env::args_os())
}
