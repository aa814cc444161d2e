//! A writer thread: batches from the rings into one connection, in commit units.
//!
//! A unit is a list of whole batches. Where the target may ask for a replay, the arenas of a unit
//! are kept until its commit is known. A unit ends by rows, bytes or time, or early, when a parser
//! has no arena left: so a commit size larger than memory never blocks the load.
//!
//! A unit that the database undid goes back in front of the queue, and is written again as if it
//! had just come from the parsers: see `recovery.rs`.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::booking::{Booking, Fate, Trouble};
use super::desk::Desk;
use super::pace::Pace;
use super::recovery::Attempts;
use super::rejecting::{self, Rejecting};
use super::shared::{Shared, panicked};
use super::unit::{Unit, UnitEnds};
use crate::arena::Batch;
use crate::error::{Error, ErrorKind};
use crate::failpoint;
use crate::rejects::{RejectFiles, RejectMark};
use crate::ring::{Consumer, Producer, Sleeper};
use crate::sink::{RowReject, Sink, SinkError};

/// An idle writer looks again by itself within this time, at first: a parser that makes batches
/// faster than that is not to wake it for each. It is short beside what a database takes for one.
const DOZE: Duration = Duration::from_micros(500);

/// Longest an idle writer sleeps before it looks at the clock again.
const NAP: Duration = Duration::from_millis(200);

/// Shortest, however often it must commit.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

/// What a writer did with its time.
#[derive(Debug)]
pub(super) struct WriterTimes {
    pub(super) write: Duration,
    pub(super) commit: Duration,
    pub(super) idle: Duration,
    /// In which it was not to get batches, and had none.
    pub(super) away: Duration,
    /// Microseconds of one batch.
    pub(super) batch_us: Histogram<u64>,
    /// Why its transactions ended.
    pub(super) ends: UnitEnds,
}

/// A histogram of microseconds from 1 to an hour, with three digits.
///
/// Of fixed range: what is longer counts as an hour, where a histogram that grows would count a
/// saturated value at the range it happens to have.
pub(super) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(3_600_000_000, 3).expect("the range and the digits are valid")
}

impl WriterTimes {
    fn new() -> Self {
        Self {
            write: Duration::ZERO,
            commit: Duration::ZERO,
            idle: Duration::ZERO,
            away: Duration::ZERO,
            batch_us: new_histogram(),
            ends: UnitEnds::default(),
        }
    }
}

/// One writer thread's things.
pub(super) struct Writer<'s> {
    pub(super) shared: &'s Shared,
    id: usize,
    pub(super) sink: Box<dyn Sink>,
    inbox: Vec<Consumer<Batch>>,
    back: Vec<Producer<Batch>>,
    pub(super) sleeper: Sleeper,
    pub(super) desk: &'s Desk,
    /// Batches that are in the open transaction.
    pub(super) unit: Unit,
    /// Batches that are to be sent before any from the rings: taken from there, or sent before and
    /// undone.
    pub(super) queue: VecDeque<Batch>,
    pub(super) pace: Pace,
    pub(super) attempts: Attempts,
    /// The unit's part of the ledger, where there is one.
    pub(super) booking: Option<Booking>,
    rejects: RejectFiles,
    times: WriterTimes,
    next_inbox: usize,
}

impl<'s> Writer<'s> {
    pub(super) fn new(
        (shared, id): (&'s Shared, usize),
        sink: Box<dyn Sink>,
        inbox: Vec<Consumer<Batch>>,
        back: Vec<Producer<Batch>>,
        sleeper: Sleeper,
        desk: &'s Desk,
        (booking, rejects): (Option<Booking>, RejectFiles),
    ) -> Result<Self, Error> {
        let unit = Unit::new(desk.rejects(|segment| Ok(segment.mark()))?);
        Ok(Self {
            shared,
            id,
            sink,
            inbox,
            back,
            sleeper,
            desk,
            unit,
            queue: VecDeque::new(),
            pace: Pace::new(shared.config.work.commit_rows),
            attempts: Attempts::new(&shared.config.work),
            booking,
            rejects,
            times: WriterTimes::new(),
            next_inbox: 0,
        })
    }

    /// Writes until all parsers are done or the load is stopped; before it was not needed for
    /// `away`.
    pub(super) fn run_after(mut self, away: Duration) -> WriterTimes {
        self.times.away = away;
        // A panic must not take the rejects of committed units with it.
        match catch_unwind(AssertUnwindSafe(|| self.write_all())) {
            Ok(Ok(())) => {
                if !self.unit.is_empty() {
                    self.roll_back();
                }
            }
            Ok(Err(error)) => {
                let is_in_doubt = matches!(error.kind(), ErrorKind::InDoubt { .. });
                self.shared.fail(error);
                if !is_in_doubt {
                    self.roll_back();
                }
            }
            Err(panic) => {
                self.shared.fail(panicked(panic.as_ref()));
                // The sink's state is unknown: its connection goes, and the transaction with it.
                // But a commit may have taken effect already: then its rejects must be there, and
                // with a ledger the next start cuts what is too much.
                if self.booking.is_none() || !self.desk.is_committing() {
                    self.forget_rejects();
                }
            }
        }
        self.recovered();
        self.times
    }

    /// Undoes what is not committed; it is counted as rolled back.
    fn roll_back(&mut self) {
        // A rollback that fails is one that the database does itself when the connection goes.
        if let Err(error) = self.sink.rollback() {
            tracing::debug!(%error, "rollback");
        }
        self.forget_rejects();
    }

    fn forget_rejects(&mut self) {
        let start = &self.unit.segment_start;
        if let Err(error) = self.desk.rejects(|segment| segment.truncate_to(start)) {
            self.shared.fail(error);
        }
    }

    fn write_all(&mut self) -> Result<(), Error> {
        loop {
            if self.shared.is_stopped() {
                return Ok(());
            }
            if let Some(batch) = self.next_batch() {
                self.take(batch)?;
            } else if self.inbox.iter().all(Consumer::is_finished) {
                // Parsers that fail leave too: what they sent is not the end of the input then.
                if self.shared.is_stopped() {
                    return Ok(());
                }
                self.times.ends.input += u64::from(!self.unit.is_empty());
                self.commit()?;
                // A unit that was undone stands in the queue again.
                if self.queue.is_empty() {
                    return Ok(());
                }
            } else if self.must_commit_early() {
                self.note_early_end();
                self.commit()?;
            } else {
                self.sleep();
            }
        }
    }

    fn next_batch(&mut self) -> Option<Batch> {
        if let Some(batch) = self.queue.pop_front() {
            return Some(batch);
        }
        for _ in 0..self.inbox.len() {
            let index = self.next_inbox;
            self.next_inbox = (index + 1) % self.inbox.len();
            if let Some(batch) = self.inbox[index].pop() {
                self.shared.metrics().batch_taken();
                return Some(batch);
            }
        }
        None
    }

    /// Whether it is to get batches.
    fn is_counted_in(&self) -> bool {
        self.id < self.shared.writers()
    }

    /// With nothing to write: a parser that waits for an arena, the age of the unit, another writer
    /// in trouble, which may wait for a lock or for log space that this one holds, or that no more
    /// batches are to come.
    fn must_commit_early(&self) -> bool {
        let starved = self.shared.starving.load(Ordering::Acquire) > 0;
        !self.unit.is_empty()
            && (starved && !self.unit.batches.is_empty()
                || self.is_due()
                || self.shared.retries.is_any_recovering()
                || !self.is_counted_in())
    }

    fn note_early_end(&mut self) {
        let (is_due, is_counted_in) = (self.is_due(), self.is_counted_in());
        let ends = &mut self.times.ends;
        if is_due {
            ends.age += 1;
        } else if is_counted_in {
            ends.memory += 1;
        }
    }

    fn is_due(&self) -> bool {
        match (self.shared.config.work.commit_every, self.unit.opened) {
            (Some(every), Some(opened)) => opened.elapsed() >= every,
            _ => false,
        }
    }

    fn sleep(&mut self) {
        let started = Instant::now();
        let nap = self
            .shared
            .config
            .work
            .commit_every
            .map_or(NAP, |every| every.clamp(SHORTEST_NAP, NAP));
        let (shared, id, inbox) = (self.shared, self.id, &self.inbox);
        let is_counted_in = self.is_counted_in();
        let holds_arenas = !self.unit.batches.is_empty();
        let holds_unit = !self.unit.is_empty();
        let mut has_something_to_do = || {
            shared.is_stopped()
                || inbox.iter().any(|ring| !ring.is_empty())
                || inbox.iter().all(Consumer::is_finished)
                || (holds_arenas && shared.starving.load(Ordering::Acquire) > 0)
                || (holds_unit && shared.retries.is_any_recovering())
                || (id < shared.writers()) != is_counted_in
        };
        if !self.sleeper.doze(DOZE, &mut has_something_to_do) {
            self.sleeper.sleep_until_or_timeout(nap.saturating_sub(DOZE), has_something_to_do);
        }
        let slept = started.elapsed();
        if is_counted_in {
            self.times.idle += slept;
            self.shared.control.dial.tally.idled(slept);
        } else {
            self.times.away += slept;
        }
    }

    /// Brings a batch into the transaction, after the commit of one that it would make too large.
    fn take(&mut self, batch: Batch) -> Result<(), Error> {
        if self.unit.is_empty()
            && let Some(rows) = self.shared.control.dial.commit_rows()
        {
            self.pace.configure(rows);
        }
        let rows = self.unit.rows + batch.rows() as u64;
        if !self.unit.is_empty() && rows > self.pace.rows() {
            self.queue.push_front(batch);
            self.times.ends.rows += 1;
            return self.commit();
        }
        match self.enter(&batch) {
            Ok(()) => {}
            Err(Trouble::Sink(error)) => return self.recover(error, Some(batch)),
            Err(Trouble::Load(error)) => return Err(error),
        }
        let refused = match self.write(&batch) {
            Ok(refused) => refused,
            Err(error) => return self.recover(error, Some(batch)),
        };
        failpoint::reach("after-execute");
        self.book(&batch, &refused)?;
        if self.shared.layout.replays {
            self.unit.batches.push(batch);
        } else {
            self.unit.complete = false;
            self.give_back(batch);
        }
        if self.queue.is_empty() {
            self.recovered();
        }
        if self.note_end() { self.commit() } else { Ok(()) }
    }

    /// Whether the unit is complete, and counts why.
    fn note_end(&mut self) -> bool {
        let bytes_max = self.shared.config.work.commit_bytes;
        let is_due = self.is_due();
        let ends = &mut self.times.ends;
        let end = if self.unit.rows >= self.pace.rows() {
            &mut ends.rows
        } else if bytes_max.is_some_and(|bytes| self.unit.bytes >= bytes) {
            &mut ends.bytes
        } else if is_due {
            &mut ends.age
        } else {
            return false;
        };
        *end += 1;
        true
    }

    /// Brings the batch's ranges into the transaction.
    fn enter(&mut self, batch: &Batch) -> Result<(), Trouble> {
        let Some(booking) = &mut self.booking else { return Ok(()) };
        let started = Instant::now();
        let entered = booking.enter(&mut *self.sink, batch);
        let took = started.elapsed();
        self.times.commit += took;
        // It comes with every batch, so that fewer batches make less of it.
        self.shared.control.dial.tally.took_to_write(took);
        entered
    }

    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        if batch.rows() == 0 {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let written = self.sink.write(batch);
        let took = started.elapsed();
        self.times.write += took;
        let tally = &self.shared.control.dial.tally;
        tally.took_to_write(took);
        if written.is_ok() {
            tally.wrote(batch.rows(), self.unit.rows + batch.rows() as u64);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.times.batch_us.saturating_record(micros);
        written
    }

    /// Books a batch that is in the transaction: limit, rejects, counts.
    fn book(&mut self, batch: &Batch, refused: &[RowReject]) -> Result<(), Error> {
        let shared = self.shared;
        if let Some(first) = refused.first() {
            let file = batch.segment_of_row(first.row).file;
            let record = batch.row_position(first.row).record;
            let bad = || rejecting::bad_row(shared, batch, first);
            shared.counter.note_any(file, record, bad);
            // Counted before the commit, so that writers do not pass the limit together.
            let records = shared.counter.records();
            let rejects = refused.len() as u64;
            if let Some(index) = shared.counter.add_rejects(rejects, |_| records) {
                let index = usize::try_from(index).expect("rejects of a batch fit in memory");
                let passed = refused.get(index).unwrap_or(first);
                let file = batch.segment_of_row(passed.row).file;
                let bad = rejecting::bad_row(shared, batch, passed);
                return Err(rejecting::limit_error(shared, file, bad));
            }
        }
        self.desk.rejects(|segment| Rejecting { shared }.write_all(segment, batch, refused))?;
        self.unit.book(batch, refused);
        if let Some(booking) = &mut self.booking {
            booking.refused(batch, refused);
        }
        Ok(())
    }

    /// Ends the transaction. A unit that the database undid for certain stands in the queue
    /// afterwards; everything else that goes wrong ends the load.
    fn commit(&mut self) -> Result<(), Error> {
        if self.unit.is_empty() {
            return Ok(());
        }
        self.shared.check_inputs()?;
        let mark = self.desk.rejects(|segment| {
            segment.flush()?;
            Ok(segment.mark())
        })?;
        if self.unit.rows > 0 || self.booking.is_some() {
            let started = Instant::now();
            match self.complete(&mark) {
                Ok(()) => {}
                Err(Trouble::Sink(error)) => return self.recover(error, None),
                Err(Trouble::Load(error)) => return Err(error),
            }
            self.desk.begin_commit(self.unit.doubt(|file| &self.shared.files[file].path))?;
            failpoint::reach("before-commit");
            let committed = self.sink.commit();
            let took = started.elapsed();
            self.times.commit += took;
            self.shared.control.dial.tally.took_to_commit(took);
            if let Err(error) = committed {
                match self.refused(error)? {
                    Fate::Committed => {}
                    Fate::Undone => return Ok(()),
                }
            }
            failpoint::reach("after-commit");
            self.pace.committed();
            self.shared.control.dial.tally.committed(self.unit.rows);
            self.attempts.start_over();
        }
        self.count_committed()
    }

    /// Gives the ranges of the unit their counts, and the lengths of the reject segment.
    fn complete(&mut self, mark: &RejectMark) -> Result<(), Trouble> {
        let Some(booking) = &mut self.booking else { return Ok(()) };
        let rejects = &self.rejects;
        booking.complete(&mut *self.sink, |file| rejects.lengths(mark, file))
    }

    /// The unit is committed.
    fn count_committed(&mut self) -> Result<(), Error> {
        let (shared, unit) = (self.shared, &self.unit);
        let mark = self.desk.committed(|| {
            for count in &unit.counts {
                shared.committed(count.file, count.bytes, count.loaded, count.rejected);
            }
            shared.committed_classes(&unit.classes);
        })?;
        let unit = std::mem::replace(&mut self.unit, Unit::new(mark));
        if let Some(booking) = &mut self.booking {
            booking.clear();
        }
        for batch in unit.batches {
            self.give_back(batch);
        }
        Ok(())
    }

    /// What follows from the error of a commit: what became of the unit. One that is undone stands
    /// in the queue again.
    fn refused(&mut self, error: SinkError) -> Result<Fate, Error> {
        let doubt = self.desk.end_commit()?;
        let undone = |()| Fate::Undone;
        match (error.class.is_rolled_back(), error.class.asks_for_replay()) {
            (true, true) => self.recover(error, None).map(undone),
            (true, false) => Err(error.into()),
            (false, _) if self.booking.as_ref().is_some_and(|booking| !booking.is_empty()) => {
                self.settle(error, doubt)
            }
            (false, _) => Err(self.shared.in_doubt(doubt, error)),
        }
    }

    fn give_back(&mut self, mut batch: Batch) {
        batch.clear();
        let parser = batch.parser;
        // A parser that is done does not want its arenas any more.
        drop(self.back[parser].push(batch));
    }
}
