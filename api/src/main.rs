//! The binary `tandem`; everything is in the library.

use std::process::ExitCode;

/// Each request makes many small allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tandem::cli::run(std::env::args_os())
}
