//! The end of each field and of its record: field counts, lengths, and where the fault is.

use super::fields::FieldRef;
use super::record_reader::{Halt, RecordReader, UNKNOWN_FIELD};
use crate::config::dialect::FieldsRule;
use crate::record::Malformed;

/// Appends the fields of one record and holds their number to the dialect's rule.
pub(super) struct FieldWriter<'a> {
    out: &'a mut Vec<FieldRef>,
    start: usize,
    base: usize,
    seen: usize,
    expected: usize,
    rule: FieldsRule,
    trailing_delimiter: bool,
    max_record_bytes: usize,
}

impl<'a> FieldWriter<'a> {
    pub(super) fn new(
        reader: &RecordReader,
        start: usize,
        base: usize,
        out: &'a mut Vec<FieldRef>,
    ) -> Self {
        Self {
            out,
            start,
            base,
            seen: 0,
            expected: reader.field_count(),
            rule: reader.dialect().fields,
            trailing_delimiter: reader.dialect().trailing_delimiter,
            max_record_bytes: reader.dialect().max_record_bytes,
        }
    }

    /// Whether only the record end may follow: a trailing delimiter has closed the last field.
    #[inline]
    pub(super) fn full(&self) -> bool {
        self.seen == self.expected && self.rule != FieldsRule::Truncate
    }

    pub(super) fn seen(&self) -> u32 {
        u32::try_from(self.seen).expect("a record has under 2^29 fields")
    }

    #[inline]
    fn store(&mut self, from: usize, length: usize, quoted: bool, escaped: bool) {
        if self.seen < self.expected {
            // Records are bounded by RECORD_BYTES_CEILING, blocks by a few records more.
            #[expect(clippy::cast_possible_truncation, reason = "blocks are under 4 GiB")]
            let field = FieldRef::new((from - self.base) as u32, length as u32, quoted, escaped);
            self.out.push(field);
        }
        self.seen += 1;
    }

    /// A field that the delimiter at `delimiter_at` ended.
    #[inline]
    pub(super) fn push(
        &mut self,
        from: usize,
        length: usize,
        quoted: bool,
        escaped: bool,
        delimiter_at: usize,
    ) -> Result<(), Halt> {
        if delimiter_at - self.start > self.max_record_bytes {
            return Err(Halt::Bad(Malformed::RecordTooLong, delimiter_at, 0));
        }
        self.store(from, length, quoted, escaped);
        if self.full() && !self.trailing_delimiter {
            return Err(Halt::Bad(Malformed::TooManyFields, delimiter_at, self.seen()));
        }
        Ok(())
    }

    /// Fills in the field in which a violation stands.
    #[cold]
    pub(super) fn blame(&self, halt: Halt) -> Halt {
        match halt {
            Halt::Bad(what, at, UNKNOWN_FIELD) => Halt::Bad(what, at, self.seen()),
            other => other,
        }
    }

    /// The record ends with an unquoted field, or with the trailing delimiter.
    #[inline]
    pub(super) fn finish(&mut self, field_start: usize, content_end: usize) -> Result<(), Halt> {
        self.finish_unquoted(field_start, content_end - field_start, false, content_end)
    }

    /// As [`Self::finish`] for a field that may be shorter than what stands before the record end.
    #[inline]
    pub(super) fn finish_unquoted(
        &mut self,
        from: usize,
        length: usize,
        escaped: bool,
        content_end: usize,
    ) -> Result<(), Halt> {
        self.check_length(content_end)?;
        if self.trailing_delimiter {
            let closed = from == content_end && self.seen > 0;
            if !closed {
                return self.finish_open(content_end);
            }
        } else {
            self.store(from, length, false, escaped);
        }
        self.complete(content_end)
    }

    /// The record ends with a quoted field.
    pub(super) fn finish_quoted(
        &mut self,
        from: usize,
        length: usize,
        escaped: bool,
        content_end: usize,
    ) -> Result<(), Halt> {
        self.check_length(content_end)?;
        if self.trailing_delimiter {
            return self.finish_open(content_end);
        }
        self.store(from, length, true, escaped);
        self.complete(content_end)
    }

    /// The last field lacks its trailing delimiter: fine only where it would be dropped anyway.
    fn finish_open(&self, content_end: usize) -> Result<(), Halt> {
        if self.seen >= self.expected && self.rule == FieldsRule::Truncate {
            return Ok(());
        }
        Err(Halt::Bad(Malformed::TooFewFields, content_end, self.seen()))
    }

    fn check_length(&self, content_end: usize) -> Result<(), Halt> {
        if content_end - self.start > self.max_record_bytes {
            return Err(Halt::Bad(Malformed::RecordTooLong, content_end, 0));
        }
        Ok(())
    }

    #[inline]
    fn complete(&mut self, content_end: usize) -> Result<(), Halt> {
        if self.seen < self.expected {
            if self.rule != FieldsRule::Pad {
                return Err(Halt::Bad(Malformed::TooFewFields, content_end, self.seen()));
            }
            while self.seen < self.expected {
                self.out.push(FieldRef::MISSING);
                self.seen += 1;
            }
        }
        Ok(())
    }
}
