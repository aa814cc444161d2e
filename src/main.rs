//! The program: its allocator, and the command line of the library.

#![cfg_attr(
    not(fastload_asan),
    expect(unsafe_code, reason = "an option of the allocator is set through its C interface")
)]

/// Parsers allocate on one thread what writers free on another (reject records, widened arenas);
/// mimalloc gives such memory back to its own thread without a lock, and keeps less of it than the
/// system's allocator. The sanitizer sees only what is allocated through its own (`scripts/asan`).
#[cfg(not(fastload_asan))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which the bindings do not name.
#[cfg(not(fastload_asan))]
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// What it is when nobody has set it: another value says that it is another option.
#[cfg(not(fastload_asan))]
const DEFAULT_MILLISECONDS: std::ffi::c_long = 1_000;

/// Lets the allocator give freed memory back to the system at once, not after a second: while
/// batches change their size, arenas of the size before would stay beside the new ones. In a load
/// at rest arenas go round, nothing large is freed. `MIMALLOC_PURGE_DELAY` of the user stands.
#[cfg(not(fastload_asan))]
fn purge_at_once() {
    // SAFETY: both take a number of an option, look it up in a static table whose length they
    // check, and set or return a plain integer; no other thread is there yet.
    unsafe {
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == DEFAULT_MILLISECONDS {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, 0);
        }
    }
}

fn main() -> std::process::ExitCode {
    #[cfg(not(fastload_asan))]
    purge_at_once();
    // First of all, while this is the only thread; what it has to say is said again by the command
    // line, to those who load into Db2.
    let _ = fastload::sink::odbc::environment::prepare();
    // Without it a file that is cut short ends the process; the load says that it has none.
    let _ = fastload::input::guard::install();
    fastload::cli::run(fastload::cli::core_dumps::forbid()).into()
}

#[cfg(all(test, not(fastload_asan)))]
mod tests {
    use super::*;

    /// Another option at this number has another default, and would be left as it is.
    #[test]
    fn the_option_is_the_one_it_is_taken_for() {
        // SAFETY: a look into a static table, at a number that it checks.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), DEFAULT_MILLISECONDS, "unless MIMALLOC_PURGE_DELAY is set");
        purge_at_once();
        assert_eq!(delay(), 0);
    }
}
