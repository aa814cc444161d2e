//! The indexed walk of [`RecordReader`]: records of the expected shape, many at a time.
//!
//! It takes what is plainly right: so many fields as the dialect asks for, no comment, no blank
//! line, not too long. Everything else is left to [`RecordReader::step`], and the walk goes on
//! behind it.

use super::fields::FieldRef;
use super::index::{Index, QuotedField, RecordEnd, STRETCH_BYTES};
use super::record_reader::RecordReader;
use super::simd::Kernel;
use crate::config::dialect::{Dialect, Terminator};

/// An index and how far it is used up.
#[derive(Debug)]
pub(super) struct Indexed {
    index: Index,
    /// Where in the window the indexed stretch begins; `None`: there is none.
    start: Option<usize>,
    /// Records of the stretch that were taken, or read by other means.
    taken: usize,
    /// Quoted fields of the stretch before the next record.
    quoted_taken: usize,
    shape: Shape,
}

/// What a record must look like to be taken.
#[derive(Debug)]
struct Shape {
    field_count: usize,
    /// The last field end closes an empty field that does not count.
    trailing_delimiter: bool,
    takes_cr: bool,
    comment: Option<u8>,
    max_record_bytes: usize,
    /// Whether the number of field ends says all about a record of a stretch.
    is_told_by_ends: bool,
}

/// Records of an indexed stretch that follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// Where in the window the stretch begins.
    stretch: usize,
    ends: &'a [u32],
    /// The end of the record before.
    before: RecordEnd,
    records: &'a [RecordEnd],
    may_hold_cr_lf: bool,
}

/// Where one record of a run stands in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Newline bytes in the records of the run before it.
    pub(super) newlines_before: u32,
}

impl Run<'_> {
    /// Records of the run.
    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    /// The records, one after the other.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        let mut before = self.before;
        self.records.iter().map(move |&record| {
            let span = Span {
                start: start_behind(self.stretch, self.ends, before),
                end: start_behind(self.stretch, self.ends, record),
                newlines_before: before.newlines - self.before.newlines,
            };
            before = record;
            span
        })
    }

    /// Offset in the window behind the last record.
    pub(super) fn end(&self) -> usize {
        start_behind(self.stretch, self.ends, self.last())
    }

    /// Newline bytes in all records of the run.
    pub(super) fn newlines(&self) -> u32 {
        self.last().newlines - self.before.newlines
    }

    fn last(&self) -> RecordEnd {
        self.records.last().copied().unwrap_or(self.before)
    }
}

/// Where the record behind `record` begins.
#[inline]
fn start_behind(stretch: usize, ends: &[u32], record: RecordEnd) -> usize {
    // The entry before the first field is the largest number: one more is 0.
    stretch + ends[record.fields as usize].wrapping_add(1) as usize
}

impl Indexed {
    pub(super) fn new(dialect: &Dialect, field_count: usize, kernel: Kernel) -> Self {
        Self {
            index: Index::new(dialect, kernel),
            start: None,
            taken: 0,
            quoted_taken: 0,
            shape: Shape {
                field_count,
                trailing_delimiter: dialect.trailing_delimiter,
                takes_cr: dialect.terminator == Terminator::Auto,
                comment: dialect.comment,
                max_record_bytes: dialect.max_record_bytes,
                is_told_by_ends: field_count > 1
                    && !dialect.trailing_delimiter
                    && dialect.comment.is_none()
                    && dialect.max_record_bytes >= STRETCH_BYTES,
            },
        }
    }

    /// Forgets the stretch: there is a new window.
    pub(super) fn forget(&mut self) {
        self.start = None;
        self.index.clear();
    }

    fn record_before(&self, taken: usize) -> RecordEnd {
        match taken.checked_sub(1) {
            Some(last) => self.index.records()[last],
            None => RecordEnd::default(),
        }
    }

    /// Brings the index to the record at `at`.
    fn go_to(&mut self, window: &[u8], at: usize) -> usize {
        if let Some(stretch) = self.start {
            let records = self.index.records().len();
            let begins_at =
                |taken| start_behind(stretch, self.index.ends(), self.record_before(taken));
            if begins_at(self.taken) == at {
                if self.taken < records {
                    return stretch;
                }
            } else if self.taken < records && begins_at(self.taken + 1) == at {
                // One record was read by other means, and the index agrees about its end.
                self.taken += 1;
                if self.taken < records {
                    return stretch;
                }
            } else {
                // The record at fault was passed; another may be near.
                self.index.shorten();
            }
        }
        self.index.scan(window, at);
        self.start = Some(at);
        self.taken = 0;
        self.quoted_taken = 0;
        at
    }

    /// Takes the records from `at` on that have the expected shape, at most `room` and only those
    /// that begin at or before `until`, and appends their fields.
    fn take(
        &mut self,
        window: &[u8],
        at: usize,
        until: usize,
        room: usize,
        base: usize,
        out: &mut Vec<FieldRef>,
    ) -> Run<'_> {
        let stretch = self.go_to(window, at);
        let before = self.record_before(self.taken);
        let first = self.taken;
        let ends = self.index.ends();
        let next = &self.index.records()[first..];
        let next = &next[..next.len().min(room)];
        let begins_at = |record: usize| match record.checked_sub(1) {
            Some(last) => start_behind(stretch, ends, next[last]),
            None => at,
        };
        let mut taken = if self.shape.is_told_by_ends {
            self.shape.hold_by_ends(before, next)
        } else {
            let own_ends = |record: usize| {
                let first = record.checked_sub(1).map_or(before, |last| next[last]).fields;
                &ends[first as usize..=next[record].fields as usize]
            };
            let bytes = |record| &window[begins_at(record)..begins_at(record + 1)];
            let holds = |&record: &usize| self.shape.holds(own_ends(record), bytes(record));
            (0..next.len()).take_while(holds).count()
        };
        if taken > 0 && begins_at(taken - 1) > until {
            taken = (0..taken).take_while(|&record| begins_at(record) <= until).count();
        }
        self.taken += taken;
        let records = &self.index.records()[first..self.taken];
        let may_hold_cr_lf = self.index.may_hold_cr_lf();
        let run = Run { stretch, ends, before, records, may_hold_cr_lf };
        let first_field = out.len();
        self.shape.append_fields(&run, window, base, out);
        let quoted = &self.index.quoted()[self.quoted_taken..];
        self.quoted_taken += self.shape.mark_quoted(&run, quoted, &mut out[first_field..]);
        run
    }
}

impl RecordReader {
    /// Takes records from the index, as [`Indexed::take`]; `None` where there is no index for the
    /// dialect, or where the next record is not one that can be taken.
    pub(super) fn take_run(
        &mut self,
        window: &[u8],
        at: usize,
        until: usize,
        room: usize,
        base: usize,
        out: &mut Vec<FieldRef>,
    ) -> Option<Run<'_>> {
        let run = self.indexed.as_mut()?.take(window, at, until, room, base, out);
        (run.len() > 0).then_some(run)
    }
}

impl Shape {
    const fn ends_of_record(&self) -> usize {
        self.field_count + if self.trailing_delimiter { 1 } else { 0 }
    }

    /// How many of the next records can be taken as they are, where their field ends say all.
    fn hold_by_ends(&self, before: RecordEnd, next: &[RecordEnd]) -> usize {
        let Ok(ends_of_record) = u32::try_from(self.ends_of_record()) else { return 0 };
        let mut expected = before.fields;
        next.iter()
            .take_while(|record| {
                expected += ends_of_record;
                record.fields == expected
            })
            .count()
    }

    /// Whether a record can be taken as it is. `ends` begins with the end before its first field.
    #[inline]
    fn holds(&self, ends: &[u32], record: &[u8]) -> bool {
        ends.len() == self.ends_of_record() + 1
            && record.len() <= self.max_record_bytes
            && self.comment != Some(record[0])
            && (self.field_count > 1 || !matches!(record[0], b'\r' | b'\n'))
            && (!self.trailing_delimiter || self.is_closed(ends, record))
    }

    /// Whether nothing stands between the last delimiter and the record end.
    fn is_closed(&self, ends: &[u32], record: &[u8]) -> bool {
        let [.., delimiter, newline] = ends else {
            return false;
        };
        match newline - delimiter {
            1 => true,
            2 => self.takes_cr && record[record.len() - 2] == b'\r',
            _ => false,
        }
    }

    /// Appends the fields of a run as if none were quoted.
    fn append_fields(&self, run: &Run<'_>, window: &[u8], base: usize, out: &mut Vec<FieldRef>) {
        // Modulo 2^32: a stretch may begin before the block, its next record does not.
        #[expect(clippy::cast_possible_truncation, reason = "blocks are under 4 GiB")]
        let offset = run.stretch.wrapping_sub(base) as u32;
        let ends = &run.ends[run.before.fields as usize..=run.last().fields as usize];
        let field = |(&before, &end): (&u32, &u32)| {
            let start = before.wrapping_add(1);
            FieldRef::plain(offset.wrapping_add(start), end - start)
        };
        if self.trailing_delimiter {
            let records = ends[..ends.len() - 1].chunks_exact(self.ends_of_record());
            let records = records.zip(ends[1..].chunks_exact(self.ends_of_record()));
            for (before, own) in records {
                out.extend(before.iter().zip(own).map(field).take(self.field_count));
            }
            return;
        }
        let first_field = out.len();
        out.extend(ends.iter().zip(&ends[1..]).map(field));
        if self.takes_cr && run.may_hold_cr_lf {
            let bytes = &window[base..];
            for record in out[first_field..].chunks_exact_mut(self.field_count) {
                let last = &mut record[self.field_count - 1];
                if bytes[..last.start() + last.len()].ends_with(b"\r") && !last.is_empty() {
                    *last = last.without_last_byte();
                }
            }
        }
    }

    /// Takes the quotes off the fields that have them; returns how many entries are used up.
    fn mark_quoted(&self, run: &Run<'_>, quoted: &[QuotedField], out: &mut [FieldRef]) -> usize {
        let (first, behind) = (run.before.fields, run.last().fields);
        let mut used_up = 0;
        for quoted in quoted.iter().take_while(|quoted| quoted.field < behind) {
            used_up += 1;
            // Fields of records that were read by other means are passed.
            let Some(end) = quoted.field.checked_sub(first) else { continue };
            let mut field = end as usize;
            if self.trailing_delimiter {
                field -= field / self.ends_of_record();
            }
            out[field] = out[field].without_quotes(quoted.escaped);
        }
        used_up
    }
}
