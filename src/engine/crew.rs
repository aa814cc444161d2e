//! Which writers get batches: the first ones, as many as the dial says.
//!
//! A load has a thread for every writer that there may be. Those beyond the number of the start
//! sleep without a connection until they are counted in, and get batches when they have one. A
//! connection that is refused then ends no load: there were fewer before, and the load goes on with
//! so many. A writer that is not counted in any more writes and commits what it was given, and
//! keeps its connection.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::shared::Shared;
use crate::arena::Batch;
use crate::config::Work;
use crate::ring::{Consumer, Sleeper};
use crate::sink::SinkError;

/// The writers of a load.
#[derive(Debug)]
pub(super) struct Crew {
    /// Which of them may be given batches: they have a connection, or the load fails without.
    ready: Vec<AtomicBool>,
    /// The first writer in vain, and why.
    refused: Mutex<Option<(usize, SinkError)>>,
}

impl Crew {
    pub(super) fn new(work: &Work) -> Self {
        let ready = (0..work.writers_max()).map(|writer| AtomicBool::new(writer < work.writers));
        Self { ready: ready.collect(), refused: Mutex::default() }
    }

    /// What the user should know of connections that could not be had.
    pub(super) fn warning(&self) -> Option<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (writers, error) = refused.as_ref()?;
        Some(format!(
            "no connection for more than {writers} writers, so that no more are tried: {error}"
        ))
    }
}

impl Shared {
    /// Writers that are to get batches now.
    pub(super) fn writers(&self) -> usize {
        self.control.dial.writers().unwrap_or(self.config.work.writers)
    }

    /// Whether batches may go to a writer.
    pub(super) fn may_have_batches(&self, writer: usize) -> bool {
        let is_ready = || self.crew.ready.get(writer).is_some_and(|it| it.load(Ordering::Acquire));
        writer < self.writers() && is_ready()
    }

    /// Whether all that are to get batches may have them.
    pub(super) fn is_crew_ready(&self) -> bool {
        (0..self.writers()).all(|writer| self.may_have_batches(writer))
    }

    /// A writer that was counted in while the load runs has its connection.
    pub(super) fn writer_is_ready(&self, writer: usize) {
        self.crew.ready[writer].store(true, Ordering::Release);
    }

    /// One has got none.
    pub(super) fn refuse_writer(&self, writer: usize, error: SinkError) {
        tracing::warn!(%error, "no connection for another writer: the load goes on with {writer}");
        let mut refused = self.crew.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.as_ref().is_none_or(|(first, _)| writer < *first) {
            *refused = Some((writer, error));
        }
        drop(refused);
        self.control.hold_writers(writer);
    }

    /// How many writers there can be at most, where more were asked for in vain.
    pub(super) fn writers_refused(&self) -> Option<usize> {
        let refused = self.crew.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().map(|(writer, _)| *writer)
    }

    /// Waits until a writer is counted in; false: the load ends without it.
    pub(super) fn wait_for_call(
        &self,
        writer: usize,
        inbox: &[Consumer<Batch>],
        sleeper: &mut Sleeper,
    ) -> bool {
        let is_over = || self.is_stopped() || inbox.iter().all(Consumer::is_finished);
        // Each of these is followed by a wake-up.
        sleeper.sleep_until(|| is_over() || self.writers() > writer);
        !is_over()
    }
}
