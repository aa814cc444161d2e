//! Says in the ledger, from time to time, that the owner of a run lives.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::job::Job;
use super::shared::Shared;
use crate::error::ErrorKind;
use std::sync::Arc;

/// Beats within a lease.
const BEATS: u32 = 4;

/// How long the thread's end is waited for, and how long between two looks.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);

/// Shortest time between two.
const SHORTEST: Duration = Duration::from_millis(200);

/// The beating thread.
pub(super) struct Heartbeat {
    /// Dropped to end it.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts the thread, where the place wants it. A job that was taken ends the load.
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let silent = Self { end: None, thread: None };
        let Some(job) = shared.job.clone().filter(|job| job.has_heartbeat()) else {
            return silent;
        };
        let (end, ended) = channel::<()>();
        let interval = (job.config().lease / BEATS).max(SHORTEST);
        let shared = Arc::clone(shared);
        let body = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                beat(&shared, &job);
            }
        };
        match thread::Builder::new().name("fastload-heartbeat".into()).spawn(body) {
            Ok(thread) => Self { end: Some(end), thread: Some(thread) },
            Err(error) => {
                // Only another host's start would miss it.
                tracing::warn!(%error, "no thread for the heartbeat of the job");
                silent
            }
        }
    }

    /// Ends the thread. Returns how many are left behind: one that waits for a server that does not
    /// answer.
    pub(super) fn end(mut self) -> usize {
        drop(self.end.take());
        let Some(thread) = self.thread.take() else { return 0 };
        let begun = Instant::now();
        while !thread.is_finished() {
            if begun.elapsed() > PATIENCE {
                return 1;
            }
            thread::sleep(LOOK);
        }
        drop(thread.join());
        0
    }
}

fn beat(shared: &Shared, job: &Job) {
    let done = job.store().and_then(|mut store| job.touch(&mut store));
    job.close_idle();
    match done {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::JobHeld(_)) => shared.fail(error),
        Err(error) => tracing::debug!(%error, "a heartbeat of the job is left out"),
    }
}
