//! A batch: rows in bound columns, where each row came from, and the records of the same range
//! that could not become rows.

use super::column::{CellType, ColumnBuffer, IndicatorWidth};
use crate::input::RawSource;
use crate::record::{ByteRange, Fault, Malformed, Position, RejectClass};

/// Where the record of one row stands; numbers relative to the base of its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowSource {
    /// Offset of the record in its file.
    pub byte_offset: u64,
    /// Length of the record, terminator included.
    pub byte_length: u32,
    /// Record number, relative.
    pub record: u32,
    /// Line number, relative.
    pub line: u32,
}

/// A contiguous byte range of one file whose records stand in a batch.
///
/// The segments of all batches of a finished load cover each file exactly once.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Index of the file among the inputs of the load.
    pub file: usize,
    /// Bytes covered: records, terminators, comments, blank lines.
    pub range: ByteRange,
    /// Records before `records`' first one, in the file: added to the relative record numbers.
    /// Known once the chunk's start is verified.
    pub base_record: u64,
    /// Lines before the chunk's first one: added to the relative line numbers.
    pub base_line: u64,
    /// Records that begin in the range: rows and rejects.
    pub records: u64,
    /// Records of the chunk before the range: with `base_record`, those of the file.
    pub records_before: u32,
    /// Records in the range, those included that the load leaves out.
    pub numbered: u32,
    /// Lines of the chunk before the range: with `base_line`, those of the file.
    pub lines_before: u32,
    /// Lines that end in the range.
    pub lines: u32,
    /// Hash of its bytes; 0: it was not asked for, or they were not held together.
    pub digest: u64,
    /// Index of the segment's first row in the batch.
    pub first_row: usize,
    /// The bytes themselves, for the reject file.
    pub source: RawSource,
    /// Bytes that are counted with this segment, where the rows of its range are shared among
    /// several batches; `None`: all of the range.
    pub share_bytes: Option<u64>,
}

/// Why a record did not become a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It breaks the grammar.
    Malformed {
        /// How.
        what: Malformed,
        /// Offset in the file of the byte that did it.
        byte_offset: u64,
        /// Index from 0 of the field in which it stands.
        field: u32,
    },
    /// A field does not fit its column.
    Fault {
        /// How.
        what: Fault,
        /// Index of the column in the batch.
        column: u32,
        /// Offset in the file of the field's first byte.
        byte_offset: u64,
        /// Length of the field as it stands in the file.
        byte_length: u32,
    },
}

impl Reason {
    /// Class of the reject.
    #[must_use]
    pub const fn class(&self) -> RejectClass {
        match self {
            Self::Malformed { what, .. } => what.class(),
            Self::Fault { what, .. } => what.class(),
        }
    }
}

/// A record refused before it reached the database.
#[derive(Debug, Clone, Copy)]
pub struct ParseReject {
    /// Index of the segment in the batch.
    pub segment: usize,
    /// Offset of the record in its file.
    pub byte_offset: u64,
    /// Length of the record, terminator included. A record that is too long may pass 4 GiB.
    pub byte_length: u64,
    /// Record number, relative to the segment's base.
    pub record: u32,
    /// Line number, relative to the segment's base.
    pub line: u32,
    /// Why.
    pub reason: Reason,
}

/// The memory of one batch; circulates between its parser and the writers.
///
/// Invariant: every column has room for `capacity` rows, the first `rows` of them are filled, and
/// `row_sources[..rows]` says where they came from.
#[derive(Debug)]
pub struct Batch {
    /// Bound columns, in the order of the target's column list.
    pub columns: Vec<ColumnBuffer>,
    /// One for each row.
    pub row_sources: Vec<RowSource>,
    /// Byte ranges, in the order in which their rows stand.
    pub segments: Vec<Segment>,
    /// Records of these ranges that became no row.
    pub rejects: Vec<ParseReject>,
    /// Parser that owns the arena and wants it back.
    pub parser: usize,
    rows: usize,
    capacity: usize,
}

/// What a batch held at one moment; [`Batch::truncate`] goes back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    rows: usize,
    segments: usize,
    rejects: usize,
}

impl Batch {
    /// An arena without room: [`Self::lay_out`] comes first.
    #[must_use]
    pub fn new(cells: &[CellType], width: IndicatorWidth, parser: usize) -> Self {
        Self {
            columns: cells.iter().map(|&cell| ColumnBuffer::new(cell, width)).collect(),
            row_sources: Vec::new(),
            segments: Vec::new(),
            rejects: Vec::new(),
            parser,
            rows: 0,
            capacity: 0,
        }
    }

    /// Empties the arena and gives it room for `capacity` rows; `strides` has one entry a column,
    /// read for text and byte columns.
    ///
    /// # Panics
    /// If `strides` has another length than the columns.
    pub fn lay_out(&mut self, capacity: usize, strides: &[usize]) {
        assert_eq!(strides.len(), self.columns.len());
        self.clear();
        for (column, &stride) in self.columns.iter_mut().zip(strides) {
            column.lay_out(capacity, stride);
        }
        self.row_sources.resize(capacity, RowSource::default());
        self.capacity = capacity;
    }

    /// Forgets rows, segments and rejects; the room stays.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.segments.clear();
        self.rejects.clear();
    }

    /// Rows filled.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that fit.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Declares the first `rows` rows filled.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn set_rows(&mut self, rows: usize) {
        assert!(rows <= self.capacity);
        self.rows = rows;
    }

    /// Where the batch stands now.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark { rows: self.rows, segments: self.segments.len(), rejects: self.rejects.len() }
    }

    /// Forgets everything added since `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.rows = mark.rows;
        self.segments.truncate(mark.segments);
        self.rejects.truncate(mark.rejects);
    }

    /// Keeps of one segment only the records whose relative number is in `keep`; returns how many
    /// were left out.
    ///
    /// # Panics
    /// If the segment is not the last one.
    pub fn keep_records(&mut self, segment: usize, keep: std::ops::RangeInclusive<u64>) -> u64 {
        assert_eq!(segment + 1, self.segments.len(), "only the last segment is cut");
        let first_row = self.segments[segment].first_row;
        let mut to = first_row;
        for from in first_row..self.rows {
            if !keep.contains(&u64::from(self.row_sources[from].record)) {
                continue;
            }
            if from != to {
                for column in &mut self.columns {
                    column.copy_row(from, to);
                }
                self.row_sources[to] = self.row_sources[from];
            }
            to += 1;
        }
        let rows_before = self.rows - self.segments[segment].first_row;
        let rejects_before = self.rejects.iter().filter(|r| r.segment == segment).count();
        self.rows = to;
        self.rejects
            .retain(|reject| reject.segment != segment || keep.contains(&u64::from(reject.record)));
        let rows = to - self.segments[segment].first_row;
        let rejects = self.rejects.iter().filter(|r| r.segment == segment).count();
        self.segments[segment].records = (rows + rejects) as u64;
        (rows_before + rejects_before - rows - rejects) as u64
    }

    /// Adds `rows` of another batch behind the rows that are there; segments are the caller's
    /// business.
    ///
    /// # Panics
    /// If they do not fit, or the columns differ.
    pub fn append_rows(&mut self, from: &Self, rows: &[usize]) {
        let end = self.rows + rows.len();
        assert!(end <= self.capacity && self.columns.len() == from.columns.len());
        for (column, other) in self.columns.iter_mut().zip(&from.columns) {
            column.copy_rows(self.rows, other, rows);
        }
        for (source, &row) in self.row_sources[self.rows..end].iter_mut().zip(rows) {
            *source = from.row_sources[row];
        }
        self.rows = end;
    }

    /// Rows of a segment.
    ///
    /// # Panics
    /// If there is no such segment.
    #[must_use]
    pub fn rows_of_segment(&self, segment: usize) -> std::ops::Range<usize> {
        let next = self.segments.get(segment + 1);
        self.segments[segment].first_row..next.map_or(self.rows, |next| next.first_row)
    }

    /// Records in the batch: rows and rejects.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Whether the batch carries nothing at all, not even a byte range.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The segment in which a row stands.
    ///
    /// # Panics
    /// If the batch has no such row.
    #[must_use]
    pub fn segment_of_row(&self, row: usize) -> &Segment {
        assert!(row < self.rows);
        let after = self.segments.partition_point(|segment| segment.first_row <= row);
        &self.segments[after - 1]
    }

    /// Position in its file of the record of a row.
    #[must_use]
    pub fn row_position(&self, row: usize) -> Position {
        let (segment, source) = (self.segment_of_row(row), self.row_sources[row]);
        segment.position(source.byte_offset, source.record, source.line)
    }

    /// Position in its file of a rejected record.
    #[must_use]
    pub fn reject_position(&self, reject: &ParseReject) -> Position {
        let segment = &self.segments[reject.segment];
        segment.position(reject.byte_offset, reject.record, reject.line)
    }
}

impl Segment {
    /// Bytes that are counted with this segment: over all batches each byte of a file once.
    #[must_use]
    pub fn counted_bytes(&self) -> u64 {
        self.share_bytes.unwrap_or_else(|| self.range.len())
    }

    /// Position from numbers relative to this segment's base. Relative numbers count from 1.
    #[must_use]
    pub fn position(&self, byte_offset: u64, record: u32, line: u32) -> Position {
        Position {
            byte_offset,
            record: self.base_record + u64::from(record),
            line: self.base_line + u64::from(line),
        }
    }
}
