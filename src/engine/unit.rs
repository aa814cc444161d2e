//! A commit unit: the batches of one transaction, and what is counted when it is committed.

use std::path::Path;
use std::time::Instant;

use crate::arena::Batch;
use crate::error::DoubtfulRange;
use crate::record::{ByteRange, RejectClass};
use crate::rejects::RejectMark;
use crate::sink::RowReject;

/// Counts of one file in an open unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitCount {
    pub(super) file: usize,
    pub(super) bytes: u64,
    pub(super) loaded: u64,
    pub(super) rejected: u64,
}

/// What is in doubt while the answer to a commit is not there.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) ranges: Vec<DoubtfulRange>,
    /// Rejects of the unit by file and by class: they are on the disk, and no part of the doubt.
    pub(super) rejected: Vec<(usize, u64)>,
    pub(super) classes: [u64; RejectClass::ALL.len()],
}

/// A segment of one of the unit's batches.
#[derive(Debug, Clone, Copy)]
struct UnitSegment {
    file: usize,
    bytes: ByteRange,
    /// First and last record number.
    records: Option<(u64, u64)>,
    rows: u64,
}

/// Why transactions ended, how often each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct UnitEnds {
    /// They had their rows.
    pub(super) rows: u64,
    /// Or their bytes.
    pub(super) bytes: u64,
    /// Or their age.
    pub(super) age: u64,
    /// A parser had no arena left, or another writer waited for a lock.
    pub(super) memory: u64,
    /// There were no more rows.
    pub(super) input: u64,
}

impl UnitEnds {
    pub(super) const fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.age += other.age;
        self.memory += other.memory;
        self.input += other.input;
    }
}

/// Batches since the last commit.
#[derive(Debug)]
pub(super) struct Unit {
    /// The arenas, kept where a replay may be asked for.
    pub(super) batches: Vec<Batch>,
    /// Whether `batches` holds every batch of the unit.
    pub(super) complete: bool,
    /// By file.
    pub(super) counts: Vec<UnitCount>,
    /// Rejects by class, in the order of [`RejectClass::ALL`].
    pub(super) classes: [u64; RejectClass::ALL.len()],
    /// Rows that were sent, refused ones included.
    pub(super) rows: u64,
    /// Bytes of input.
    pub(super) bytes: u64,
    /// Rows that the database refused.
    pub(super) database_rejects: u64,
    /// When its first batch went in; `None` for an empty unit.
    pub(super) opened: Option<Instant>,
    /// Where the writer's rejects stood before it.
    pub(super) segment_start: RejectMark,
    segments: Vec<UnitSegment>,
}

impl Unit {
    pub(super) fn new(segment_start: RejectMark) -> Self {
        Self {
            batches: Vec::new(),
            complete: true,
            counts: Vec::new(),
            classes: [0; RejectClass::ALL.len()],
            rows: 0,
            bytes: 0,
            database_rejects: 0,
            opened: None,
            segment_start,
            segments: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.opened.is_none()
    }

    /// Whether every batch of the unit can be sent again.
    pub(super) fn can_replay(&self) -> bool {
        self.complete || self.is_empty()
    }

    /// Books one batch of which `refused` rows stayed out.
    pub(super) fn book(&mut self, batch: &Batch, refused: &[RowReject]) {
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
            let rows = batch.rows_of_segment(index);
            let mut span = RecordSpan::default();
            for row in [rows.clone().next(), rows.clone().next_back()].into_iter().flatten() {
                span.add(batch.row_position(row).record);
            }
            let mut parse_rejects = 0;
            while let Some(reject) = parsed.next_if(|reject| reject.segment == index) {
                span.add(batch.reject_position(reject).record);
                parse_rejects += 1;
            }
            let mut rejected = parse_rejects;
            while refused.next_if(|reject| reject.row < rows.end).is_some() {
                rejected += 1;
            }
            assert_eq!(
                segment.records,
                rows.len() as u64 + parse_rejects,
                "every record of a segment is a row or a reject"
            );
            let loaded = segment.records - rejected;
            self.bytes += segment.counted_bytes();
            self.count(segment.file, segment.counted_bytes(), loaded, rejected);
            self.segments.push(UnitSegment {
                file: segment.file,
                bytes: segment.range,
                records: span.0,
                rows: loaded,
            });
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

    /// What is in doubt while the unit is committed.
    pub(super) fn doubt<'p>(&self, path: impl Fn(usize) -> &'p Path) -> Doubt {
        Doubt {
            ranges: self.ranges(path),
            rejected: self.counts.iter().map(|count| (count.file, count.rejected)).collect(),
            classes: self.classes,
        }
    }

    /// The unit's records in file order, neighbouring ones together.
    fn ranges<'p>(&self, path: impl Fn(usize) -> &'p Path) -> Vec<DoubtfulRange> {
        let mut segments = self.segments.clone();
        segments.sort_unstable_by_key(|segment| (segment.file, segment.bytes.start));
        let mut joined: Vec<UnitSegment> = Vec::new();
        for segment in segments {
            let neighbour = joined
                .last_mut()
                .filter(|last| last.file == segment.file && last.bytes.end == segment.bytes.start);
            if let Some(last) = neighbour {
                let mut span = RecordSpan(last.records);
                segment.records.into_iter().for_each(|(first, end)| {
                    span.add(first);
                    span.add(end);
                });
                last.bytes.end = segment.bytes.end;
                last.records = span.0;
                last.rows += segment.rows;
            } else {
                joined.push(segment);
            }
        }
        let named = joined.into_iter().map(|segment| DoubtfulRange {
            path: path(segment.file).to_path_buf(),
            bytes: segment.bytes,
            records: segment.records,
            rows: segment.rows,
        });
        named.collect()
    }
}

/// Lowest and highest of some record numbers.
#[derive(Default)]
struct RecordSpan(Option<(u64, u64)>);

impl RecordSpan {
    fn add(&mut self, record: u64) {
        let (first, last) = self.0.unwrap_or((record, record));
        self.0 = Some((first.min(record), last.max(record)));
    }
}
