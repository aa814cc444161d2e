//! SIGINT, SIGTERM and SIGHUP stop the load, SIGUSR1 prints its state; limits of the process become
//! errors.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::core_dumps;
use super::exit;
use super::progress::line;
use crate::engine::Control;
use crate::error::{Error, Result};

/// Gives what runs into a limit of the process its exit status. Without memory Rust says so and
/// aborts: that is a system error like others, not a crash, unless a core dump is asked for. A file
/// over `ulimit -f` is a write that fails, not a signal that ends the process between two units.
///
/// # Errors
/// The system gives no handler.
pub(super) fn take_limits() -> Result<()> {
    let failed = |source| Error::io("taking signals", source);
    if !core_dumps::are_asked_for() {
        let always = Arc::new(AtomicBool::new(true));
        flag::register_conditional_shutdown(SIGABRT, i32::from(exit::SYSTEM), always)
            .map_err(failed)?;
    }
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map_err(failed)?;
    Ok(())
}

/// Whether the process was started with this signal ignored, as by nohup.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Starts the thread that takes the signals of the process. The first SIGINT, SIGTERM or SIGHUP
/// asks the load to stop; the second ends the process at once.
///
/// # Errors
/// The system gives no handler or no thread.
pub(super) fn watch(control: &Arc<Control>) -> Result<()> {
    let failed = |source| Error::io("taking signals", source);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(failed)?;
    // A terminal that goes away ends the load in good order, unless nohup said that it may go.
    if !is_ignored(SIGHUP) {
        signals.add_signal(SIGHUP).map_err(failed)?;
    }
    let control = Arc::clone(control);
    let started = Instant::now();
    let body = move || {
        let mut asked = false;
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                let state = line(&control.snapshot(), started.elapsed());
                // A closed standard error must not end a load.
                let _ = writeln!(std::io::stderr().lock(), "fastload: {state}");
            } else if asked {
                #[expect(clippy::exit, reason = "the second signal does not wait for the load")]
                std::process::exit(i32::from(exit::of_signal(signal)));
            } else {
                asked = true;
                control.stop(signal);
            }
        }
    };
    thread::Builder::new().name("fastload-signals".to_owned()).spawn(body).map_err(failed)?;
    Ok(())
}
