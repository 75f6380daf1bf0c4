//! The `tollgate` binary: composition and command line, nothing else.

mod cli;
mod demo;
mod run;
mod say;

/// Requests allocate many small things; the system's allocator costs a tenth of a request more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
