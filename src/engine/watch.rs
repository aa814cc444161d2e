//! A watch over statements that may run for hours: a stopped load ends them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::control::Control;
use crate::sink::{SqlSession, StatementStop};

/// How often the watch looks, and asks again: a statement may begin just after it was asked to end.
const INTERVAL: Duration = Duration::from_millis(100);

/// What runs, for the thread that ends it.
#[derive(Default)]
pub(super) struct Watch {
    running: Mutex<Option<Box<dyn StatementStop>>>,
    is_over: AtomicBool,
}

impl Watch {
    fn running(&self) -> MutexGuard<'_, Option<Box<dyn StatementStop>>> {
        // It is replaced in whole.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a stopped load ends what runs in `session`.
    pub(super) fn follow(&self, session: &dyn SqlSession) {
        *self.running() = session.statement_stop();
    }

    /// What runs from now on is not ended: a commit, whose outcome would not be known.
    pub(super) fn look_away(&self) {
        *self.running() = None;
    }

    /// Runs `work` with a thread that looks on.
    pub(super) fn over<T>(&self, control: &Control, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let looking = thread::Builder::new()
                .name("fastload-watch".into())
                .spawn_scoped(scope, || self.look(control));
            // Without the thread a signal waits for the end of the statement.
            let _end =
                End { watch: self, thread: looking.ok().map(|handle| handle.thread().clone()) };
            work()
        })
    }

    fn look(&self, control: &Control) {
        while !self.is_over.load(Ordering::Acquire) {
            if control.is_stopped()
                && let Some(statement) = self.running().as_ref()
            {
                statement.stop();
            }
            thread::park_timeout(INTERVAL);
        }
    }
}

/// Ends the watch however the work ends.
struct End<'a> {
    watch: &'a Watch,
    thread: Option<Thread>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.watch.is_over.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}
