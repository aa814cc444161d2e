//! The program: its allocator, and the command line of the library.

/// Parsers allocate on one thread what writers free on another (reject records, widened arenas);
/// mimalloc gives such memory back to its own thread without a lock, and keeps less of it than the
/// system's allocator. The sanitizer sees only what is allocated through its own (`scripts/asan`).
#[cfg(not(fastload_asan))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // First of all, while this is the only thread; what it has to say is said again by the command
    // line, to those who load into Db2.
    let _ = fastload::sink::odbc::environment::prepare();
    // Without it a file that is cut short ends the process; the load says that it has none.
    let _ = fastload::input::guard::install();
    fastload::cli::run(fastload::cli::core_dumps::forbid()).into()
}
