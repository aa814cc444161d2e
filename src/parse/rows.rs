//! Records to rows: splits a block of records, converts it column by column into an arena, and
//! closes the arena over the records that could not be converted.

use super::convert::{Converter, FieldBlock, NeedStride};
use super::fields::FieldRef;
use super::record_reader::{RecordReader, Step};
use crate::arena::{Batch, ParseReject, Reason, RowSource};
use crate::limits::BLOCK_RECORDS;
use crate::record::{Fault, Malformed};

/// Bytes of one block of records after which it is converted, however few its records are: what
/// was split should still be in cache.
const BLOCK_SPAN_BYTES: usize = 64 << 10;

/// Rejects after which a batch is closed, so that a file of nothing but bad records is not
/// collected in memory.
const BATCH_REJECTS: usize = 4_096;

const _: () = assert!(BLOCK_RECORDS <= 128, "the records of a block are bits of a u128");

/// The part of a file that can be seen.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Offset in the file of its first byte.
    pub byte_offset: u64,
    /// Whether it ends with the file.
    pub last: bool,
}

/// How far a chunk is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Offset in the window of the next record.
    pub at: usize,
    /// Records of the chunk before it.
    pub records: u32,
    /// Lines of the chunk before it.
    pub lines: u32,
}

/// Why [`RowParser::parse`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The next record begins behind `until`, or the file is over.
    ChunkEnd,
    /// The batch has no room for another record.
    BatchFull,
    /// The next record has a value of `bytes` bytes in `column`, longer than the arena's stride.
    NeedStride {
        /// Index of the column in the batch.
        column: usize,
        /// Bytes of the value.
        bytes: usize,
    },
    /// The next record goes on behind the window.
    NeedMore,
    /// The next record is malformed (`fault`) or a comment, ends at the next raw newline of the
    /// file, and that is far behind the window.
    Endless {
        /// How it is malformed, offset in the window of the byte at fault, field.
        fault: Option<(Malformed, usize, u32)>,
    },
}

/// Parses chunks into batches. One for each parser thread; reused for all its chunks.
#[derive(Debug)]
pub struct RowParser {
    reader: RecordReader,
    converters: Vec<Converter>,
    /// Field of the file for each column, `None` for a constant.
    column_fields: Vec<Option<usize>>,
    fields: Vec<FieldRef>,
    /// Records of the block; their sources stand in the batch behind its rows.
    records: usize,
    faults: Vec<(u32, Fault)>,
    /// First fault of each bad record of the block: (record in block, column, fault).
    block_faults: Vec<(u32, u32, Fault)>,
}

impl RowParser {
    /// A parser whose columns are filled by `converters`, each from the field named beside it.
    ///
    /// # Panics
    /// If the two lists differ in length.
    #[must_use]
    pub fn new(
        reader: RecordReader,
        converters: Vec<Converter>,
        column_fields: Vec<Option<usize>>,
    ) -> Self {
        assert_eq!(converters.len(), column_fields.len());
        let fields = Vec::with_capacity(BLOCK_RECORDS * reader.field_count());
        Self {
            reader,
            converters,
            column_fields,
            fields,
            records: 0,
            faults: Vec::new(),
            block_faults: Vec::new(),
        }
    }

    /// The reader's dialect.
    #[must_use]
    pub const fn dialect(&self) -> &crate::config::dialect::Dialect {
        self.reader.dialect()
    }

    /// Prepares for a new window or another place.
    pub fn seek(&mut self, at: usize) {
        self.reader.seek(at);
    }

    /// Parses the records that begin at `cursor.at` up to and including offset `until` into
    /// `batch`, whose last segment they belong to.
    ///
    /// When it pauses, `cursor` stands at the first record that is not in the batch. After
    /// [`Pause::NeedStride`], [`Pause::NeedMore`] and [`Pause::Endless`], and for a new window,
    /// [`Self::seek`] comes first.
    ///
    /// # Panics
    /// If the batch has no segment, or was laid out for other columns.
    pub fn parse(
        &mut self,
        window: Window<'_>,
        until: usize,
        cursor: &mut Cursor,
        batch: &mut Batch,
    ) -> Pause {
        loop {
            let room = batch.capacity() - batch.rows();
            if room == 0 || batch.rejects.len() >= BATCH_REJECTS {
                return Pause::BatchFull;
            }
            let rejects_before = batch.rejects.len();
            let base = cursor.at;
            let pause = self.split_block(window, until, room.min(BLOCK_RECORDS), cursor, batch);
            if let Some(stopped) = self.convert_block(window.bytes, base, batch) {
                let source = batch.row_sources[batch.rows() + stopped.record as usize];
                let at = usize::try_from(source.byte_offset - window.byte_offset)
                    .expect("a record of the window begins in it");
                *cursor = Cursor { at, records: source.record - 1, lines: source.line - 1 };
                self.records = stopped.record as usize;
                let kept = batch.rejects[rejects_before..]
                    .partition_point(|reject| reject.record < source.record);
                batch.rejects.truncate(rejects_before + kept);
                self.accept_block(window, base, rejects_before, batch);
                return Pause::NeedStride { column: stopped.column, bytes: stopped.bytes };
            }
            self.accept_block(window, base, rejects_before, batch);
            if let Some(pause) = pause {
                return pause;
            }
        }
    }

    /// Finds the fields of the next records, at most `records_max`. Malformed ones become rejects.
    fn split_block(
        &mut self,
        window: Window<'_>,
        until: usize,
        records_max: usize,
        cursor: &mut Cursor,
        batch: &mut Batch,
    ) -> Option<Pause> {
        self.fields.clear();
        self.records = 0;
        let (base, first_row) = (cursor.at, batch.rows());
        while self.records < records_max && cursor.at - base < BLOCK_SPAN_BYTES {
            if cursor.at > until || (window.last && cursor.at == window.bytes.len()) {
                return Some(Pause::ChunkEnd);
            }
            if cursor.at == window.bytes.len() {
                return Some(Pause::NeedMore);
            }
            let sources = &mut batch.row_sources[first_row + self.records..];
            if self.take_run(window, until, records_max, base, cursor, sources) {
                continue;
            }
            let start = cursor.at;
            let step = self.reader.step(window.bytes, window.last, start, base, &mut self.fields);
            let (end, newlines) = match step {
                Step::Record { end, newlines } => {
                    cursor.records += 1;
                    let (record, line) = (cursor.records, cursor.lines + 1);
                    sources[0] = row_source(window, start, end, record, line);
                    self.records += 1;
                    (end, newlines)
                }
                Step::Skipped { end, newlines } => (end, newlines),
                Step::Malformed { what, at, field, end, newlines } => {
                    cursor.records += 1;
                    batch.rejects.push(ParseReject {
                        segment: batch.segments.len() - 1,
                        byte_offset: window.byte_offset + start as u64,
                        byte_length: (end - start) as u64,
                        record: cursor.records,
                        line: cursor.lines + 1,
                        reason: Reason::Malformed {
                            what,
                            byte_offset: window.byte_offset + at as u64,
                            field,
                        },
                    });
                    (end, newlines)
                }
                Step::NeedMore => return Some(Pause::NeedMore),
                Step::Endless { fault } => return Some(Pause::Endless { fault }),
            };
            cursor.at = end;
            cursor.lines += newlines;
            if batch.rejects.len() >= BATCH_REJECTS {
                break;
            }
        }
        None
    }

    /// Takes records of the expected shape, many at a time; tells whether there were any.
    fn take_run(
        &mut self,
        window: Window<'_>,
        until: usize,
        records_max: usize,
        base: usize,
        cursor: &mut Cursor,
        sources: &mut [RowSource],
    ) -> bool {
        let room = records_max - self.records;
        let Some(run) =
            self.reader.take_run(window.bytes, cursor.at, until, room, base, &mut self.fields)
        else {
            return false;
        };
        for (source, span) in sources.iter_mut().zip(run.spans()) {
            cursor.records += 1;
            let line = cursor.lines + span.newlines_before + 1;
            *source = row_source(window, span.start, span.end, cursor.records, line);
        }
        cursor.at = run.end();
        cursor.lines += run.newlines();
        self.records += run.len();
        true
    }

    /// Converts the split records column by column. Returns the first record, if any, with a value
    /// that does not fit the arena's strides.
    fn convert_block(&mut self, bytes: &[u8], base: usize, batch: &mut Batch) -> Option<Stopped> {
        self.block_faults.clear();
        let mut stopped: Option<Stopped> = None;
        let mut records = self.records;
        let mut bad_records = 0_u128;
        let first_row = batch.rows();
        for (column, converter) in self.converters.iter().enumerate() {
            let block = FieldBlock {
                bytes,
                base,
                fields: &self.fields,
                field_count: self.reader.field_count(),
                records,
            };
            self.faults.clear();
            let converted =
                converter.convert(&block, &mut batch.columns[column], first_row, &mut self.faults);
            if let Err(NeedStride { record, bytes }) = converted {
                records = record as usize;
                stopped = Some(Stopped { record, column, bytes });
            }
            for &(record, fault) in &self.faults {
                let bit = 1 << record;
                if bad_records & bit == 0 {
                    bad_records |= bit;
                    let column = u32::try_from(column).expect("columns are under 65,536");
                    self.block_faults.push((record, column, fault));
                }
            }
        }
        if let Some(stopped) = &stopped {
            self.block_faults.retain(|&(record, ..)| record < stopped.record);
        }
        stopped
    }

    /// Declares the converted records rows; bad ones become rejects and the rows close over them.
    fn accept_block(
        &mut self,
        window: Window<'_>,
        base: usize,
        rejects_before: usize,
        batch: &mut Batch,
    ) {
        let first_row = batch.rows();
        let mut rows = self.records;
        if !self.block_faults.is_empty() {
            self.block_faults.sort_unstable_by_key(|&(record, ..)| record);
            self.reject_faults(window, base, batch);
            rows = self.close_rows(first_row, batch);
            batch.rejects[rejects_before..].sort_unstable_by_key(|reject| reject.record);
        }
        batch.set_rows(first_row + rows);
    }

    /// Moves the good rows of the block together; returns how many there are.
    fn close_rows(&self, first_row: usize, batch: &mut Batch) -> usize {
        let mut bad = self.block_faults.iter().map(|&(record, ..)| record as usize).peekable();
        let mut to = 0;
        for from in 0..self.records {
            if bad.next_if_eq(&from).is_some() {
                continue;
            }
            if from != to {
                for column in &mut batch.columns {
                    column.copy_row(first_row + from, first_row + to);
                }
                batch.row_sources[first_row + to] = batch.row_sources[first_row + from];
            }
            to += 1;
        }
        to
    }

    fn reject_faults(&self, window: Window<'_>, base: usize, batch: &mut Batch) {
        for &(record, column, what) in &self.block_faults {
            let source = batch.row_sources[batch.rows() + record as usize];
            let field = self.column_fields[column as usize]
                .map(|field| self.fields[record as usize * self.reader.field_count() + field]);
            let (byte_offset, byte_length) = field.map_or((source.byte_offset, 0), |field| {
                let length = u32::try_from(field.len()).expect("a field is under 2^29 bytes");
                (window.byte_offset + (base + field.start()) as u64, length)
            });
            batch.rejects.push(ParseReject {
                segment: batch.segments.len() - 1,
                byte_offset: source.byte_offset,
                byte_length: u64::from(source.byte_length),
                record: source.record,
                line: source.line,
                reason: Reason::Fault { what, column, byte_offset, byte_length },
            });
        }
    }
}

#[inline]
fn row_source(window: Window<'_>, start: usize, end: usize, record: u32, line: u32) -> RowSource {
    #[expect(clippy::cast_possible_truncation, reason = "a record is under 2^29 bytes")]
    let byte_length = (end - start) as u32;
    RowSource { byte_offset: window.byte_offset + start as u64, byte_length, record, line }
}

/// A value that does not fit its stride.
struct Stopped {
    record: u32,
    column: usize,
    bytes: usize,
}
