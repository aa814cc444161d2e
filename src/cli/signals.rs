//! SIGINT and SIGTERM stop the load, SIGUSR1 prints its state.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::exit;
use super::progress::line;
use crate::engine::Control;
use crate::error::{Error, Result};

/// Starts the thread that takes the signals of the process. The first SIGINT or SIGTERM asks the
/// load to stop; the second ends the process at once.
///
/// # Errors
/// The system gives no handler or no thread.
pub(super) fn watch(control: &Arc<Control>) -> Result<()> {
    let failed = |source| Error::io("taking signals", source);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(failed)?;
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
