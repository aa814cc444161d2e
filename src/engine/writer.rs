//! A writer thread: batches from the rings into one connection, in commit units.
//!
//! A unit is a list of whole batches. Where the target may ask for a replay, the arenas of a unit
//! are kept until its commit is known. A unit ends by rows, bytes or time, or early, when a parser
//! has no arena left: so a commit size larger than memory never blocks the load.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use hdrhistogram::Histogram;

use super::rejecting::{self, Rejecting};
use super::shared::{Shared, panicked};
use crate::arena::Batch;
use crate::error::{Error, ErrorKind};
use crate::record::{ByteRange, RejectClass};
use crate::rejects::{RejectMark, RejectSegment};
use crate::ring::{Consumer, Producer, Sleeper};
use crate::sink::{ErrorClass, RowReject, Sink, SinkError};

/// Longest an idle writer sleeps before it looks at the clock again.
const NAP: Duration = Duration::from_millis(200);

/// Shortest, however often it must commit.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

/// Longest wait between two replays.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What a writer did with its time.
#[derive(Debug)]
pub(super) struct WriterTimes {
    pub(super) write: Duration,
    pub(super) commit: Duration,
    pub(super) idle: Duration,
    /// Microseconds of one batch.
    pub(super) batch_us: Histogram<u64>,
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
            batch_us: new_histogram(),
        }
    }
}

/// Counts of one file in an open unit.
#[derive(Debug, Clone, Copy)]
struct UnitCount {
    file: usize,
    bytes: u64,
    loaded: u64,
    rejected: u64,
}

/// Batches since the last commit.
#[derive(Debug)]
struct Unit {
    /// The arenas, kept where a replay may be asked for.
    batches: Vec<Batch>,
    /// Whether `batches` holds every batch of the unit.
    complete: bool,
    counts: Vec<UnitCount>,
    /// Rejects by class, in the order of [`RejectClass::ALL`].
    classes: [u64; RejectClass::ALL.len()],
    ranges: Vec<(usize, ByteRange)>,
    rows: u64,
    bytes: u64,
    database_rejects: u64,
    opened: Option<Instant>,
    segment_start: RejectMark,
}

impl Unit {
    fn new(segment_start: RejectMark) -> Self {
        Self {
            batches: Vec::new(),
            complete: true,
            counts: Vec::new(),
            classes: [0; RejectClass::ALL.len()],
            ranges: Vec::new(),
            rows: 0,
            bytes: 0,
            database_rejects: 0,
            opened: None,
            segment_start,
        }
    }

    fn is_empty(&self) -> bool {
        self.opened.is_none()
    }

    /// Books one batch of which `refused` rows stayed out.
    fn book(&mut self, batch: &Batch, refused: &[RowReject]) {
        self.opened.get_or_insert_with(Instant::now);
        self.database_rejects += refused.len() as u64;
        self.rows += batch.rows() as u64;
        let parsed = batch.rejects.iter().map(|reject| reject.reason.class());
        for class in parsed.chain(refused.iter().map(|reject| reject.class)) {
            self.classes[class as usize] += 1;
        }
        let mut refused = refused.iter().peekable();
        // In the order of their segments, as the refused rows are.
        let mut parsed = batch.rejects.iter().peekable();
        for (index, segment) in batch.segments.iter().enumerate() {
            let rows_end =
                batch.segments.get(index + 1).map_or(batch.rows(), |next| next.first_row);
            let mut parse_rejects = 0;
            while parsed.next_if(|reject| reject.segment == index).is_some() {
                parse_rejects += 1;
            }
            let mut rejected = parse_rejects;
            while refused.next_if(|reject| reject.row < rows_end).is_some() {
                rejected += 1;
            }
            assert_eq!(
                segment.records,
                (rows_end - segment.first_row) as u64 + parse_rejects,
                "every record of a segment is a row or a reject"
            );
            self.bytes += segment.range.len();
            self.count(segment.file, segment.range.len(), segment.records - rejected, rejected);
            self.ranges.push((segment.file, segment.range));
        }
    }

    fn count(&mut self, file: usize, bytes: u64, loaded: u64, rejected: u64) {
        match self.counts.iter_mut().find(|count| count.file == file) {
            Some(count) => {
                count.bytes += bytes;
                count.loaded += loaded;
                count.rejected += rejected;
            }
            None => self.counts.push(UnitCount { file, bytes, loaded, rejected }),
        }
    }
}

/// One writer thread's things.
pub(super) struct Writer<'s> {
    shared: &'s Shared,
    sink: Box<dyn Sink>,
    inbox: Vec<Consumer<Batch>>,
    back: Vec<Producer<Batch>>,
    sleeper: Sleeper,
    segment: RejectSegment,
    unit: Unit,
    times: WriterTimes,
    next_inbox: usize,
}

impl<'s> Writer<'s> {
    pub(super) fn new(
        shared: &'s Shared,
        sink: Box<dyn Sink>,
        inbox: Vec<Consumer<Batch>>,
        back: Vec<Producer<Batch>>,
        sleeper: Sleeper,
        segment: RejectSegment,
    ) -> Self {
        let unit = Unit::new(segment.mark());
        Self {
            shared,
            sink,
            inbox,
            back,
            sleeper,
            segment,
            unit,
            times: WriterTimes::new(),
            next_inbox: 0,
        }
    }

    /// Writes until all parsers are done or the load is stopped.
    pub(super) fn run(mut self) -> (WriterTimes, RejectSegment) {
        // A panic must not take the rejects of committed units with it.
        match catch_unwind(AssertUnwindSafe(|| self.write_all())) {
            Ok(Ok(())) => {
                if !self.unit.is_empty() {
                    self.roll_back();
                }
            }
            Ok(Err(error)) => {
                self.shared.fail(error);
                self.roll_back();
            }
            Err(panic) => {
                self.shared.fail(panicked(panic.as_ref()));
                // The sink's state is unknown: its connection goes, and the transaction with it.
                self.forget_rejects();
            }
        }
        (self.times, self.segment)
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
        if let Err(error) = self.segment.truncate_to(&self.unit.segment_start) {
            self.shared.fail(error);
        }
    }

    fn write_all(&mut self) -> Result<(), Error> {
        loop {
            if self.shared.is_stopped() {
                return Ok(());
            }
            if let Some(batch) = self.next_batch() {
                self.shared.metrics().batch_taken();
                self.take(batch)?;
            } else if self.inbox.iter().all(Consumer::is_finished) {
                // Parsers that fail leave too: what they sent is not the end of the input then.
                if self.shared.is_stopped() {
                    return Ok(());
                }
                return self.commit();
            } else if self.must_commit_early() {
                self.commit()?;
            } else {
                self.sleep();
            }
        }
    }

    fn next_batch(&mut self) -> Option<Batch> {
        for _ in 0..self.inbox.len() {
            let index = self.next_inbox;
            self.next_inbox = (index + 1) % self.inbox.len();
            if let Some(batch) = self.inbox[index].pop() {
                return Some(batch);
            }
        }
        None
    }

    /// With nothing to write: a parser that waits for an arena, or the age of the unit.
    fn must_commit_early(&self) -> bool {
        let starved = self.shared.starving.load(Ordering::Acquire) > 0;
        !self.unit.is_empty() && (starved && !self.unit.batches.is_empty() || self.is_due())
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
        let (shared, inbox) = (self.shared, &self.inbox);
        let holds_arenas = !self.unit.batches.is_empty();
        self.sleeper.sleep_until_or_timeout(nap, || {
            shared.is_stopped()
                || inbox.iter().any(|ring| !ring.is_empty())
                || inbox.iter().all(Consumer::is_finished)
                || (holds_arenas && shared.starving.load(Ordering::Acquire) > 0)
        });
        self.times.idle += started.elapsed();
    }

    fn take(&mut self, batch: Batch) -> Result<(), Error> {
        let rows = self.unit.rows + batch.rows() as u64;
        if !self.unit.is_empty() && rows > self.shared.config.work.commit_rows {
            self.commit()?;
        }
        let refused = self.write(&batch)?;
        self.book(&batch, &refused)?;
        if self.shared.layout.replays {
            self.unit.batches.push(batch);
        } else {
            self.unit.complete = false;
            self.give_back(batch);
        }
        let work = &self.shared.config.work;
        let full = self.unit.rows >= work.commit_rows
            || work.commit_bytes.is_some_and(|bytes| self.unit.bytes >= bytes);
        if full || self.is_due() { self.commit() } else { Ok(()) }
    }

    /// Sends one batch; transient errors replay the unit.
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, Error> {
        let started = Instant::now();
        let written = if batch.rows() == 0 { Ok(Vec::new()) } else { self.sink.write(batch) };
        let refused = match written {
            Ok(refused) => refused,
            Err(error) => self.retry(error, Some(batch), 0)?,
        };
        let took = started.elapsed();
        self.times.write += took;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.times.batch_us.saturating_record(micros);
        Ok(refused)
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
        Rejecting { shared }.write_all(&mut self.segment, batch, refused)?;
        self.unit.book(batch, refused);
        Ok(())
    }

    /// Replays the unit, and then `batch`, after a transient error that comes behind `replays`
    /// earlier ones. Returns the refused rows of `batch`.
    fn retry(
        &mut self,
        error: SinkError,
        batch: Option<&Batch>,
        replays: usize,
    ) -> Result<Vec<RowReject>, Error> {
        let work = &self.shared.config.work;
        #[expect(clippy::cast_possible_truncation, reason = "a factor needs no 53 bits")]
        let waits = ExponentialBuilder::default()
            .with_min_delay(work.retry_first_wait)
            .with_factor(work.retry_backoff as f32)
            .with_max_delay(LONGEST_RETRY)
            .with_max_times(work.max_retries)
            .with_jitter()
            .build()
            .skip(replays);
        let mut error = error;
        for wait in waits {
            let transient =
                matches!(error.class, ErrorClass::Transient | ErrorClass::ConnectionLost);
            if !transient || !self.can_replay() {
                break;
            }
            tracing::warn!(%error, wait_ms = wait.as_millis(), "the database asks for a replay");
            self.wait(wait);
            if self.shared.is_stopped() {
                return Err(self.shared.stop_reason().unwrap_or_else(|| error.into()));
            }
            match self.replay(error.class, batch) {
                Ok(refused) => return Ok(refused),
                Err(ReplayError::Sink(next)) => error = next,
                Err(ReplayError::Load(fatal)) => return Err(fatal),
            }
        }
        Err(error.into())
    }

    /// A unit whose arenas were given back can be sent again only if it has no other batch.
    fn can_replay(&self) -> bool {
        self.unit.complete || self.unit.is_empty()
    }

    fn wait(&mut self, wait: Duration) {
        let shared = self.shared;
        self.sleeper.sleep_until_or_timeout(wait, || shared.is_stopped());
    }

    fn replay(
        &mut self,
        class: ErrorClass,
        batch: Option<&Batch>,
    ) -> Result<Vec<RowReject>, ReplayError> {
        if class == ErrorClass::ConnectionLost {
            // A database that restarts is away for a moment: that is worth another wait.
            self.sink.reconnect().map_err(|error| match error.class {
                ErrorClass::CannotConnect => {
                    SinkError { class: ErrorClass::ConnectionLost, ..error }
                }
                _ => error,
            })?;
        } else {
            self.sink.rollback()?;
        }
        let start = self.unit.segment_start.clone();
        self.segment.truncate_to(&start)?;
        self.shared.counter.take_back(self.unit.database_rejects);
        let batches = std::mem::take(&mut self.unit.batches);
        let opened = self.unit.opened;
        self.unit = Unit::new(start);
        self.unit.opened = opened;
        let mut failed = None;
        for batch in batches {
            if failed.is_none() {
                let refused =
                    if batch.rows() == 0 { Ok(Vec::new()) } else { self.sink.write(&batch) };
                let booked = refused
                    .map_err(ReplayError::from)
                    .and_then(|refused| self.book(&batch, &refused).map_err(ReplayError::from));
                failed = booked.err();
            }
            // Kept even after a failure: the next replay needs the whole unit.
            self.unit.batches.push(batch);
        }
        match (failed, batch) {
            (Some(error), _) => Err(error),
            (None, Some(batch)) if batch.rows() > 0 => Ok(self.sink.write(batch)?),
            (None, _) => Ok(Vec::new()),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.unit.is_empty() {
            return Ok(());
        }
        self.shared.check_inputs()?;
        self.segment.flush()?;
        let started = Instant::now();
        let committed = self.commit_or_replay();
        self.times.commit += started.elapsed();
        committed?;
        for count in &self.unit.counts {
            self.shared.committed(count.file, count.bytes, count.loaded, count.rejected);
        }
        self.shared.committed_classes(&self.unit.classes);
        let unit = std::mem::replace(&mut self.unit, Unit::new(self.segment.mark()));
        for batch in unit.batches {
            self.give_back(batch);
        }
        Ok(())
    }

    /// Commits; a unit that the database rolled back for certain is sent again.
    fn commit_or_replay(&mut self) -> Result<(), Error> {
        if self.unit.rows == 0 {
            // Nothing was sent: there is no transaction.
            return Ok(());
        }
        let mut replays = 0;
        while let Err(error) = self.sink.commit() {
            if error.class != ErrorClass::Transient {
                return Err(self.in_doubt(error));
            }
            if !self.can_replay() || replays == self.shared.config.work.max_retries {
                return Err(error.into());
            }
            self.retry(error, None, replays)?;
            replays += 1;
            self.segment.flush()?;
        }
        Ok(())
    }

    /// Without a ledger nobody can tell whether the commit took effect: it is never tried again.
    fn in_doubt(&self, error: SinkError) -> Error {
        let mut segments = self.unit.ranges.clone();
        segments.sort_unstable_by_key(|&(file, range)| (file, range.start));
        let mut ranges: Vec<(usize, ByteRange)> = Vec::new();
        for (file, range) in segments {
            match ranges.last_mut() {
                Some((last, before)) if *last == file && before.end == range.start => {
                    before.end = range.end;
                }
                _ => ranges.push((file, range)),
            }
        }
        let name = |(file, range): (usize, _)| (self.shared.files[file].path.clone(), range);
        ErrorKind::InDoubt { error, ranges: ranges.into_iter().map(name).collect() }.into()
    }

    fn give_back(&mut self, mut batch: Batch) {
        batch.clear();
        let parser = batch.parser;
        // A parser that is done does not want its arenas any more.
        drop(self.back[parser].push(batch));
    }
}

/// Why a replay ended.
enum ReplayError {
    Sink(SinkError),
    Load(Error),
}

impl From<SinkError> for ReplayError {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl From<Error> for ReplayError {
    fn from(error: Error) -> Self {
        Self::Load(error)
    }
}
