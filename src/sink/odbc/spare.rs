//! The connection that one short question leaves for the next: making one takes a server longer
//! than most answers, and its client too (SCRAM hashes a password some thousand times).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::session_thread::SessionThread;

/// How long a connection may have been idle: what comes within it is one piece of work, before
/// the first row or after the last. A server, or something on the way to it, may end an idle
/// connection, and a load of hours must not find that out.
const FRESH: Duration = Duration::from_secs(1);

/// At most one connection, without a transaction and without anything of its own in its session.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Option<(SessionThread, Instant)>>);

impl Spare {
    /// The connection, if there is one that is fresh.
    pub(super) fn take(&self) -> Option<SessionThread> {
        let (connection, since) = self.replace(None)?;
        (since.elapsed() < FRESH).then_some(connection)
    }

    /// Leaves a connection for the next question.
    pub(super) fn put(&self, connection: SessionThread) {
        drop(self.replace(Some((connection, Instant::now()))));
    }

    /// Closes what is there.
    pub(super) fn close(&self) {
        drop(self.replace(None));
    }

    /// What was there is dropped by the caller, who does not hold the lock while it is closed.
    fn replace(&self, new: Option<(SessionThread, Instant)>) -> Option<(SessionThread, Instant)> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *spare, new)
    }
}
