//! A writer after an error that asks for a replay: the transaction undone, a wait, a new connection
//! where there is none, and the unit back in the queue.
//!
//! The transaction is rolled back before the wait, so that its locks are not held meanwhile, and
//! writers with nothing to do commit while another one recovers: what it waits for may be theirs.

use super::booking::{Fate, Trouble};
use super::retry::{Retries, Waits};
use super::unit::{Doubt, Unit};
use super::writer::Writer;
use crate::arena::Batch;
use crate::config::Work;
use crate::error::{Error, Result};
use crate::sink::{ErrorClass, SinkError};

/// What one writer has tried since its last commit.
pub(super) struct Attempts {
    waits: Waits,
    /// Replays, those in smaller commits not counted.
    replays: usize,
    /// File and first byte of a batch that ran into the time limit of a statement.
    timed_out: Option<(usize, u64)>,
    /// Whether the writer is counted among those that recover.
    recovering: bool,
}

impl Attempts {
    pub(super) fn new(work: &Work) -> Self {
        Self { waits: Waits::new(work), replays: 0, timed_out: None, recovering: false }
    }

    /// A transaction was committed.
    pub(super) fn start_over(&mut self) {
        self.replays = 0;
        self.timed_out = None;
        self.waits.start_over();
    }

    fn begin(&mut self, retries: &Retries) {
        if !self.recovering {
            self.recovering = true;
            retries.begin();
        }
    }

    fn end(&mut self, retries: &Retries) {
        if self.recovering {
            self.recovering = false;
            retries.end();
        }
    }
}

/// What a failed transaction was made of.
struct Failed {
    /// Rows that were sent, the failing batch among them.
    rows: u64,
    /// Batches with rows.
    batches: usize,
    /// Rows of the largest of them.
    largest_rows: u64,
}

impl Failed {
    fn new<'b>(batches: impl Iterator<Item = &'b Batch>) -> Self {
        let mut failed = Self { rows: 0, batches: 0, largest_rows: 0 };
        for rows in batches.map(|batch| batch.rows() as u64).filter(|&rows| rows > 0) {
            failed.rows += rows;
            failed.batches += 1;
            failed.largest_rows = failed.largest_rows.max(rows);
        }
        failed
    }
}

impl Writer<'_> {
    /// What became of a unit whose commit was not answered: the ledger is asked, over a new
    /// connection, until it answers or the budget is spent.
    ///
    /// # Errors
    /// Nobody answers, or the unit is undone and cannot be sent again.
    pub(super) fn settle(&mut self, error: SinkError, doubt: Doubt) -> Result<Fate> {
        tracing::warn!(%error, "the outcome of a commit is not known; the ledger is asked");
        self.attempts.begin(&self.shared.retries);
        self.shared.wake_writers();
        let mut last = error;
        loop {
            match self.ask() {
                Ok(Fate::Committed) => {
                    self.recovered();
                    return Ok(Fate::Committed);
                }
                Ok(Fate::Undone) if self.unit.can_replay() => {
                    self.shared.retries.count_replay();
                    self.undo_unit(None)?;
                    return Ok(Fate::Undone);
                }
                // The rows are not in, and that is all there is to say of them.
                Ok(Fate::Undone) => return Err(last.into()),
                Err(Trouble::Load(error)) => return Err(error),
                Err(Trouble::Sink(error)) if may_pass(&error) => last = error,
                Err(Trouble::Sink(error)) => return Err(self.shared.in_doubt(doubt, error)),
            }
            if self.wait(&last).is_err() {
                let note = "the ledger could not be asked; the next start of the same command \
                            finds out and goes on";
                return Err(self.shared.in_doubt(doubt, last.with_note(note)));
            }
        }
    }

    fn ask(&mut self) -> std::result::Result<Fate, Trouble> {
        self.sink.reconnect()?;
        self.shared.retries.count_reconnect();
        let booking = self.booking.as_mut().expect("who settles has a ledger");
        let fate = booking.ask(&mut *self.sink);
        if self.sink.rollback().is_err() {
            tracing::debug!("the asking transaction ends with its connection");
        }
        fate
    }

    /// Undoes the open transaction and puts its batches, and then `batch`, which failed, in front
    /// of the queue, if `error` allows it and there are attempts and time left.
    ///
    /// # Errors
    /// `error`, with what was tried, or that the load was stopped meanwhile.
    pub(super) fn recover(&mut self, error: SinkError, batch: Option<Batch>) -> Result<()> {
        if !error.class.asks_for_replay() || !self.unit.can_replay() {
            return Err(error.into());
        }
        self.count_attempt(&error, batch.as_ref())?;
        let retries = &self.shared.retries;
        self.attempts.begin(retries);
        self.shared.wake_writers();
        retries.count_replay();
        tracing::warn!(%error, "the database asks for a replay");
        let is_lost = error.class == ErrorClass::ConnectionLost || self.undo_transaction();
        self.undo_unit(batch)?;
        self.wait(&error)?;
        if is_lost { self.reconnect() } else { Ok(()) }
    }

    /// What was undone has been sent again: other writers need not hurry any more, and the time of
    /// the job's budget stands still.
    pub(super) fn recovered(&mut self) {
        self.attempts.end(&self.shared.retries);
    }

    /// Counts one more attempt, or makes the commits smaller instead.
    fn count_attempt(&mut self, error: &SinkError, batch: Option<&Batch>) -> Result<()> {
        let work = &self.shared.config.work;
        let failed = Failed::new(self.unit.batches.iter().chain(batch));
        if error.class == ErrorClass::Resources && failed.batches > 1 && work.max_retries > 0 {
            self.pace.shrink(failed.rows, failed.largest_rows);
            self.shared.retries.count_shrink(self.pace.rows());
            tracing::warn!(rows = self.pace.rows(), "smaller commits");
            return Ok(());
        }
        if error.class == ErrorClass::TimedOut {
            self.note_timeout(error, batch)?;
        }
        if self.attempts.replays >= work.max_retries {
            return Err(given_up(error, self.attempts.replays, &failed));
        }
        self.attempts.replays += 1;
        Ok(())
    }

    /// A batch that runs into the time limit twice would do so for ever.
    fn note_timeout(&mut self, error: &SinkError, batch: Option<&Batch>) -> Result<()> {
        let start = |batch: &Batch| {
            batch.segments.first().map(|segment| (segment.file, segment.range.start))
        };
        let place = batch.and_then(start);
        if place.is_some() && self.attempts.timed_out == place {
            let note = "the same batch ran into --query-timeout twice; give it more time, or fewer \
                        rows with --batch-rows";
            return Err(error.clone().with_note(note).into());
        }
        self.attempts.timed_out = place;
        Ok(())
    }

    /// Rolls back; true when even that failed, so that only a new connection helps.
    fn undo_transaction(&mut self) -> bool {
        let undone = self.sink.rollback();
        if let Err(error) = &undone {
            tracing::warn!(%error, "the rollback failed too");
        }
        undone.is_err()
    }

    /// Takes rejects and counts of the unit back, and queues its batches.
    fn undo_unit(&mut self, batch: Option<Batch>) -> Result<()> {
        let start = self.unit.segment_start.clone();
        self.desk.rejects(|segment| segment.truncate_to(&start))?;
        self.shared.counter.take_back(self.unit.database_rejects);
        let unit = std::mem::replace(&mut self.unit, Unit::new(start));
        if let Some(booking) = &mut self.booking {
            booking.clear();
        }
        for batch in unit.batches.into_iter().chain(batch).rev() {
            self.queue.push_front(batch);
        }
        Ok(())
    }

    /// Waits, as far as the budget goes and until the load is stopped.
    fn wait(&mut self, error: &SinkError) -> Result<()> {
        let shared = self.shared;
        let Some(left) = shared.retries.left() else {
            let budget = humantime::format_duration(shared.retries.budget());
            let note = format!(
                "given up: the job's time for replays is spent ({budget}, \
                                --retry-budget)"
            );
            return Err(error.clone().with_note(&note).into());
        };
        let wait = self.attempts.waits.take().min(left);
        tracing::debug!(wait_ms = wait.as_millis(), "before the next attempt");
        self.sleeper.sleep_until_or_timeout(wait, || shared.is_stopped());
        if shared.is_stopped() {
            return Err(shared.stop_reason().unwrap_or_else(|| error.clone().into()));
        }
        Ok(())
    }

    /// Connects again. A database that is away, or starting, is asked until the budget is spent.
    fn reconnect(&mut self) -> Result<()> {
        while let Err(error) = self.sink.reconnect() {
            if !error.class.asks_for_replay() && error.class != ErrorClass::CannotConnect {
                return Err(error.into());
            }
            tracing::warn!(%error, "no new connection yet");
            self.wait(&error)?;
        }
        self.shared.retries.count_reconnect();
        Ok(())
    }
}

/// Whether the same question may be answered later.
fn may_pass(error: &SinkError) -> bool {
    error.class.asks_for_replay() || error.class == ErrorClass::CannotConnect
}

fn given_up(error: &SinkError, replays: usize, failed: &Failed) -> Error {
    let mut error = error.clone();
    if error.class == ErrorClass::TimedOut {
        error = error.with_note("--query-timeout gives a statement more time");
    }
    if replays > 0 {
        let times = if replays == 1 { "replay" } else { "replays" };
        error = error.with_note(&format!("given up after {replays} {times} (--max-retries)"));
    }
    if error.class == ErrorClass::Resources && failed.batches <= 1 {
        let rows = failed.rows;
        error = error.with_note(&format!(
            "even a commit of one batch ({rows} rows) is too large: give the database more room, \
             or load with a smaller --batch-rows"
        ));
    }
    error.into()
}
