//! A writer's part of the ledger: the ranges of its open transaction.
//!
//! Ranges are inserted before their rows are sent, with the counts that they will have if the
//! database refuses nothing. What turns out otherwise is put right before the commit.

use std::sync::Arc;

use super::job::Job;
use crate::arena::Batch;
use crate::error::{Error, ErrorKind};
use crate::ledger::{RangeRow, is_duplicate};
use crate::record::ByteRange;
use crate::rejects::SegmentLengths;
use crate::sink::{RowReject, Sink, SinkError};

/// Ranges of one batch that are inserted one by one; neighbours are put together beyond, as very
/// small chunks make many.
const RANGES_MAX: usize = 64;

/// What keeps a batch out of the transaction.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the database says.
    Sink(SinkError),
    /// The load is over.
    Load(Error),
}

impl From<SinkError> for Trouble {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// The fate of a unit whose commit was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is committed.
    Committed,
    /// It is undone, and can be sent again.
    Undone,
}

/// The ranges of one writer's open transaction.
pub(super) struct Booking {
    job: Arc<Job>,
    writer: usize,
    /// Whose rows of each range these are, where rows are shared by key.
    part: usize,
    rows: Vec<RangeRow>,
    /// Which of them are not as they were inserted.
    changed: Vec<bool>,
    /// First row of the batch that came last.
    batch_start: usize,
    /// The segments of that batch by the row that has them.
    row_of_segment: Vec<usize>,
    has_passed: bool,
}

impl Booking {
    pub(super) const fn new(job: Arc<Job>, writer: usize, part: usize) -> Self {
        Self {
            job,
            writer,
            part,
            rows: Vec::new(),
            changed: Vec::new(),
            batch_start: 0,
            row_of_segment: Vec::new(),
            has_passed: false,
        }
    }

    /// Brings the ranges of a batch into the open transaction.
    pub(super) fn enter(&mut self, sink: &mut dyn Sink, batch: &Batch) -> Result<(), Trouble> {
        self.pass_fence(sink)?;
        self.take_ranges(batch);
        let new = &self.rows[self.batch_start..];
        if new.is_empty() {
            return Ok(());
        }
        for statement in self.job.add_ranges(new) {
            if let Err(error) = sink.execute(&statement) {
                if is_duplicate(&error) {
                    let message = format!("a range of the ledger is committed twice: {error}");
                    return Err(Trouble::Load(ErrorKind::Internal(message).into()));
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn pass_fence(&mut self, sink: &mut dyn Sink) -> Result<(), Trouble> {
        if self.has_passed {
            return Ok(());
        }
        match sink.execute(&self.job.pass_fence(self.writer))? {
            Some(1) => self.has_passed = true,
            Some(0) => return Err(Trouble::Load(self.job.taken())),
            other => {
                return Err(Trouble::Sink(SinkError::permanent(format!(
                    "the driver says that {other:?} rows of the ledger changed, where one must; \
                     load with --restart off"
                ))));
            }
        }
        Ok(())
    }

    /// Makes rows of the batch's segments.
    fn take_ranges(&mut self, batch: &Batch) {
        self.batch_start = self.rows.len();
        self.row_of_segment.clear();
        let mut rejects = batch.rejects.as_slice();
        let joins = batch.segments.len() > RANGES_MAX && self.part == 0;
        for (index, segment) in batch.segments.iter().enumerate() {
            let (own, behind) =
                rejects.split_at(rejects.partition_point(|reject| reject.segment <= index));
            rejects = behind;
            let row = RangeRow {
                file: segment.file,
                part: self.part,
                bytes: segment.range,
                records_before: segment.base_record + u64::from(segment.records_before),
                records: u64::from(segment.numbered),
                lines_before: segment.base_line + u64::from(segment.lines_before),
                lines: u64::from(segment.lines),
                loaded: batch.rows_of_segment(index).len() as u64,
                rejected: own.len() as u64,
                epoch: self.job.epoch(),
                writer: self.writer,
                digest: segment.digest,
                ..RangeRow::default()
            };
            if joins && self.join(&row) {
                self.row_of_segment.push(self.rows.len() - 1);
                continue;
            }
            self.row_of_segment.push(self.rows.len());
            self.rows.push(row);
            self.changed.push(false);
        }
    }

    /// Puts a range at the end of the last one of the batch, if it stands there.
    fn join(&mut self, row: &RangeRow) -> bool {
        let Some(last) = self.rows[self.batch_start..].last_mut() else { return false };
        if (last.file, last.bytes.end) != (row.file, row.bytes.start) {
            return false;
        }
        last.bytes.end = row.bytes.end;
        last.records += row.records;
        last.lines += row.lines;
        last.loaded += row.loaded;
        last.rejected += row.rejected;
        last.digest = 0;
        true
    }

    /// Rows of the batch that came last were refused.
    pub(super) fn refused(&mut self, batch: &Batch, refused: &[RowReject]) {
        for reject in refused {
            let segment =
                batch.segments.partition_point(|segment| segment.first_row <= reject.row) - 1;
            let at = self.row_of_segment[segment];
            self.rows[at].loaded -= 1;
            self.rows[at].rejected += 1;
            self.changed[at] = true;
        }
    }

    /// Gives the ranges their final counts; `lengths` says how long the reject segment of an
    /// input's reject file is now.
    pub(super) fn complete(
        &mut self,
        sink: &mut dyn Sink,
        lengths: impl Fn(usize) -> SegmentLengths,
    ) -> Result<(), Trouble> {
        // A unit without any row has no transaction yet.
        self.pass_fence(sink)?;
        let mut seen = Vec::new();
        for at in (0..self.rows.len()).rev() {
            let row = &mut self.rows[at];
            if row.rejected > 0 && !seen.contains(&row.file) {
                seen.push(row.file);
                row.rejects = lengths(row.file);
                self.changed[at] = true;
            }
        }
        for (row, changed) in self.rows.iter().zip(&mut self.changed) {
            if !*changed {
                continue;
            }
            match sink.execute(&self.job.complete_range(row))? {
                // MariaDB counts no row that has its values already.
                Some(0 | 1) => {}
                other => {
                    let ByteRange { start, end } = row.bytes;
                    return Err(Trouble::Sink(SinkError::permanent(format!(
                        "{other:?} rows of the ledger are the range {start}..{end}"
                    ))));
                }
            }
        }
        Ok(())
    }

    /// Asks what became of the transaction, over a new connection, by inserting its ranges again.
    /// Whatever the answer, the new transaction is to be rolled back.
    pub(super) fn ask(&mut self, sink: &mut dyn Sink) -> Result<Fate, Trouble> {
        self.has_passed = false;
        self.pass_fence(sink)?;
        for statement in self.job.add_ranges(&self.rows) {
            match sink.execute(&statement) {
                Ok(_) => {}
                Err(error) if is_duplicate(&error) => return Ok(Fate::Committed),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Fate::Undone)
    }

    /// Whether the open transaction has any range.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The transaction is over.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.changed.clear();
        self.batch_start = 0;
        self.has_passed = false;
    }
}
