//! What all threads of one load share.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::control::{Control, Metrics};
use super::crew::Crew;
use super::files::{Chunk, OpenFile};
use super::job::Job;
use super::limit::RejectCounter;
use super::rate::RateLimit;
use super::retry::Retries;
use super::stock::Supply;
use super::unit::Doubt;
use crate::config::{InputMode, LoadConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::record::RejectClass;
use crate::ring::Waker;
use crate::sink::{Layout, SinkError};

/// Shared by reference among parsers and writers.
pub(super) struct Shared {
    pub(super) config: LoadConfig,
    pub(super) layout: Layout,
    pub(super) files: Vec<Arc<OpenFile>>,
    pub(super) control: Arc<Control>,
    pub(super) counter: RejectCounter,
    pub(super) retries: Retries,
    /// Of the input, where there is one.
    pub(super) rate: Option<RateLimit>,
    pub(super) supply: Supply,
    pub(super) crew: Crew,
    /// The run in the ledger; `None`: there is none.
    pub(super) job: Option<Arc<Job>>,
    /// Where rows are shared among writers by key: up to which file and byte each writer's rows
    /// were committed by earlier starts of the job. Empty: nothing is read twice.
    pub(super) skipped: Vec<(usize, u64)>,
    /// Parsers that wait for an arena.
    pub(super) starving: AtomicUsize,
    writer_wakers: Vec<Waker>,
    next_file: AtomicUsize,
    classes: [AtomicU64; RejectClass::ALL.len()],
    error: Mutex<Option<Error>>,
}

impl Shared {
    pub(super) fn new(
        config: LoadConfig,
        layout: Layout,
        files: Vec<Arc<OpenFile>>,
        control: Arc<Control>,
        supply: Supply,
        writer_wakers: Vec<Waker>,
        (job, skipped): (Option<Arc<Job>>, Vec<(usize, u64)>),
    ) -> Self {
        Self {
            counter: RejectCounter::new(config.max_errors),
            retries: Retries::new(config.work.retry_budget),
            rate: config.work.max_rate.map(RateLimit::new),
            crew: Crew::new(&config.work),
            config,
            layout,
            files,
            control,
            supply,
            job,
            skipped,
            starving: AtomicUsize::new(0),
            writer_wakers,
            next_file: AtomicUsize::new(0),
            classes: Default::default(),
            error: Mutex::new(None),
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.control.metrics
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.control.is_stopped()
    }

    /// Ends the load with `error`; the first one stays, but for a commit in doubt: that comes
    /// before everything else, and all of them are told.
    pub(super) fn fail(&self, error: Error) {
        let mut first = self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *first = Some(match first.take() {
            None => error,
            Some(known) => worse(known, error),
        });
        drop(first);
        self.control.halt();
    }

    /// The error that ended the load. Of bad records the lowest one seen, unless an input changed:
    /// then they may be none.
    pub(super) fn take_error(&self) -> Option<Error> {
        let mut first = self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let error = first.take()?;
        match (error.kind(), self.counter.lowest()) {
            (ErrorKind::RejectLimit(_), Some(lowest)) => {
                let bad = ErrorKind::RejectLimit(Box::new(lowest)).into();
                Some(self.check_inputs().err().unwrap_or(bad))
            }
            _ => Some(error),
        }
    }

    /// Why the load ends, if it is asked to from outside.
    pub(super) fn stop_reason(&self) -> Option<Error> {
        let signal = self.control.signal();
        (signal != 0).then(|| ErrorKind::Interrupted { signal }.into())
    }

    /// Why the load ends before its inputs do, if it was wound down. `waits`: even where they are
    /// read to their ends, rows are yet to be moved.
    pub(super) fn cut_short(&self, waits: bool) -> Option<Error> {
        let signal = self.control.winding_down()?;
        let is_left = waits || !self.files.iter().all(|file| file.is_read_to_its_end());
        is_left.then(|| ErrorKind::Interrupted { signal }.into())
    }

    /// Whether the record of `part` at this byte of a file is committed already.
    pub(super) fn is_skipped(&self, part: usize, file: usize, byte_offset: u64) -> bool {
        self.skipped.get(part).is_some_and(|&frontier| (file, byte_offset) < frontier)
    }

    pub(super) fn wake_writers(&self) {
        for waker in &self.writer_wakers {
            waker.wake();
        }
    }

    /// Whether a record's number decides about it, so that nothing may be parsed on a guess.
    pub(super) const fn needs_record_numbers(&self) -> bool {
        self.config.limit.is_some() || self.config.offset_records > 0
    }

    /// The next chunk of the load; `own` is the file of a parser that takes whole files.
    pub(super) fn next_chunk(&self, own: &mut Option<usize>) -> Result<Option<(&OpenFile, Chunk)>> {
        if self.control.winding_down().is_some() {
            return Ok(None);
        }
        match self.config.work.input_mode {
            InputMode::Single => self.next_chunk_of_all(),
            InputMode::Multi => self.next_chunk_of_own(own),
        }
    }

    fn next_chunk_of_all(&self) -> Result<Option<(&OpenFile, Chunk)>> {
        loop {
            let index = self.next_file.load(Ordering::Acquire);
            let Some(file) = self.files.get(index) else {
                return Ok(None);
            };
            if let Some(chunk) = file.take_chunk()? {
                return Ok(Some((file, chunk)));
            }
            // Whoever comes first moves on; the others look again.
            let next = index + 1;
            let moved =
                self.next_file.compare_exchange(index, next, Ordering::AcqRel, Ordering::Acquire);
            tracing::trace!(file = index, moved = moved.is_ok(), "no further chunk");
        }
    }

    fn next_chunk_of_own(&self, own: &mut Option<usize>) -> Result<Option<(&OpenFile, Chunk)>> {
        loop {
            let index = *own.get_or_insert_with(|| self.next_file.fetch_add(1, Ordering::AcqRel));
            let Some(file) = self.files.get(index) else {
                return Ok(None);
            };
            if let Some(chunk) = file.take_chunk()? {
                return Ok(Some((file, chunk)));
            }
            *own = None;
        }
    }

    /// Records that are read for certain; returns how many were read before, of all files.
    pub(super) fn read(&self, file: usize, bytes: u64, records: u64) -> u64 {
        let counts = &self.files[file].counts;
        counts.records_read.fetch_add(records, Ordering::Relaxed);
        counts.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        self.metrics().records_read.fetch_add(records, Ordering::Relaxed);
        self.metrics().bytes_read.fetch_add(bytes, Ordering::Relaxed);
        self.counter.add_records(records)
    }

    /// Records before `--offset-records`.
    pub(super) fn filtered(&self, file: usize, records: u64) {
        let counts = &self.files[file].counts;
        counts.filtered.fetch_add(records, Ordering::Relaxed);
        counts.records_read.fetch_add(records, Ordering::Relaxed);
        self.metrics().records_read.fetch_add(records, Ordering::Relaxed);
    }

    /// Records of a committed unit.
    pub(super) fn committed(&self, file: usize, bytes: u64, loaded: u64, rejected: u64) {
        let counts = &self.files[file].counts;
        counts.bytes_committed.fetch_add(bytes, Ordering::Relaxed);
        counts.loaded.fetch_add(loaded, Ordering::Relaxed);
        counts.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.metrics().rows_loaded.fetch_add(loaded, Ordering::Relaxed);
        self.metrics().rows_rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    /// The error of a commit whose outcome is not known. Without a ledger nobody can tell whether
    /// it took effect, so that it is never tried again.
    ///
    /// Its rejects count: better in the reject file than nowhere, should the rows be in.
    pub(super) fn in_doubt(&self, doubt: Doubt, error: SinkError) -> Error {
        for (file, rejected) in doubt.rejected {
            self.committed(file, 0, 0, rejected);
        }
        self.committed_classes(&doubt.classes);
        ErrorKind::InDoubt { error, ranges: doubt.ranges }.into()
    }

    /// Rejects of a committed unit, in the order of [`RejectClass::ALL`].
    pub(super) fn committed_classes(&self, classes: &[u64]) {
        for (sum, &count) in self.classes.iter().zip(classes) {
            sum.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Committed rejects by the name of their class; classes without any are left out.
    pub(super) fn rejects_by_class(&self) -> BTreeMap<String, u64> {
        let counts = RejectClass::ALL.iter().zip(&self.classes);
        counts
            .map(|(class, count)| (class.name().to_owned(), count.load(Ordering::Relaxed)))
            .filter(|&(_, count)| count > 0)
            .collect()
    }

    /// Before a commit: are the inputs still what was opened?
    pub(super) fn check_inputs(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| file.check_unchanged())
    }
}

/// The error that a load ends with, of two.
fn worse(known: Error, new: Error) -> Error {
    match (known.into_kind(), new.into_kind()) {
        (ErrorKind::InDoubt { error, mut ranges }, ErrorKind::InDoubt { ranges: more, .. }) => {
            ranges.extend(more);
            ranges.sort_by(|a, b| (&a.path, a.bytes.start).cmp(&(&b.path, b.bytes.start)));
            ErrorKind::InDoubt { error, ranges }
        }
        (_, doubt @ ErrorKind::InDoubt { .. }) => doubt,
        (known, _) => known,
    }
    .into()
}

/// The error of a load in which a thread panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    ErrorKind::Internal(text.unwrap_or_else(|| "a thread panicked".to_owned())).into()
}
