//! The general walk of [`RecordReader`]: byte by byte, for dialects with an escape, a delimiter of
//! several bytes, trimming, or strict CR LF.

use super::field_writer::FieldWriter;
use super::fields::FieldRef;
use super::record_reader::{Halt, RecordReader, terminator_at};
use crate::config::dialect::{BareQuote, Dialect};
use crate::record::Malformed;

/// One field as the walk saw it.
struct Field {
    from: usize,
    to: usize,
    quoted: bool,
    escaped: bool,
    then: Then,
}

enum Then {
    Delimiter { at: usize },
    RecordEnd { at: usize, terminator_bytes: usize },
}

struct Walk<'a> {
    window: &'a [u8],
    last: bool,
    dialect: &'a Dialect,
    reader: &'a RecordReader,
    start: usize,
}

impl RecordReader {
    /// Reads the record at `start`; as the direct walk, slower.
    pub(super) fn walk_general(
        &mut self,
        window: &[u8],
        last: bool,
        start: usize,
        base: usize,
        out: &mut Vec<FieldRef>,
    ) -> Result<(usize, u32), Halt> {
        let mut fields = FieldWriter::new(self, start, base, out);
        let walk = Walk { window, last, dialect: self.dialect(), reader: self, start };
        let mut at = start;
        loop {
            if fields.full() {
                // Behind the trailing delimiter there must be the record end.
                let Some(terminator_bytes) = walk.record_end(at)? else {
                    return Err(Halt::Bad(Malformed::TooManyFields, at, fields.seen()));
                };
                fields.finish(at, at)?;
                return Ok(walk.ended(at, terminator_bytes));
            }
            let field = walk.field(at).map_err(|halt| fields.blame(halt))?;
            let length = field.to - field.from;
            match field.then {
                Then::Delimiter { at: delimiter_at } => {
                    fields.push(field.from, length, field.quoted, field.escaped, delimiter_at)?;
                    at = delimiter_at + self.dialect().delimiter.len();
                }
                Then::RecordEnd { at: content_end, terminator_bytes } => {
                    if field.quoted {
                        fields.finish_quoted(field.from, length, field.escaped, content_end)?;
                    } else {
                        let (from, escaped) = (field.from, field.escaped);
                        fields.finish_unquoted(from, length, escaped, content_end)?;
                    }
                    return Ok(walk.ended(content_end, terminator_bytes));
                }
            }
        }
    }
}

impl Walk<'_> {
    fn ended(&self, content_end: usize, terminator_bytes: usize) -> (usize, u32) {
        let end = content_end + terminator_bytes;
        (end, self.reader.count_newlines(&self.window[self.start..end]))
    }

    fn bad(&self, what: Malformed, at: usize) -> Halt {
        if at - self.start >= self.dialect.max_record_bytes {
            return Halt::Bad(Malformed::RecordTooLong, at, 0);
        }
        Halt::Bad(what, at, super::record_reader::UNKNOWN_FIELD)
    }

    /// Stops a walk that has passed the longest record.
    fn bounded(&self, at: usize) -> Result<(), Halt> {
        if at - self.start > self.dialect.max_record_bytes {
            return Err(Halt::Bad(Malformed::RecordTooLong, at, 0));
        }
        Ok(())
    }

    /// Bytes of the terminator at `at` (0 at the end of the file), `None` if no record ends there.
    fn record_end(&self, at: usize) -> Result<Option<usize>, Halt> {
        if at == self.window.len() {
            return if self.last { Ok(Some(0)) } else { Err(Halt::More) };
        }
        match terminator_at(self.dialect.terminator, self.window, self.last, at) {
            None => Err(Halt::More),
            Some(0) => Ok(None),
            Some(bytes) => Ok(Some(bytes)),
        }
    }

    fn delimiter_at(&self, at: usize) -> Result<bool, Halt> {
        let (rest, delimiter) = (&self.window[at..], &self.dialect.delimiter);
        if rest.len() < delimiter.len() && !self.last && delimiter.starts_with(rest) {
            return Err(Halt::More);
        }
        Ok(rest.starts_with(delimiter))
    }

    /// What ends a field at `at`, if anything does.
    fn end_at(&self, at: usize) -> Result<Option<Then>, Halt> {
        if let Some(terminator_bytes) = self.record_end(at)? {
            return Ok(Some(Then::RecordEnd { at, terminator_bytes }));
        }
        if self.delimiter_at(at)? {
            return Ok(Some(Then::Delimiter { at }));
        }
        Ok(None)
    }

    fn skip_blanks(&self, mut at: usize) -> usize {
        if self.dialect.trim {
            while self.window.get(at).is_some_and(|&byte| self.is_blank(byte)) {
                at += 1;
            }
        }
        at
    }

    fn is_blank(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t') && !self.dialect.delimiter.contains(&byte)
    }

    fn field(&self, at: usize) -> Result<Field, Halt> {
        let from = self.skip_blanks(at);
        let opens = self.window.get(from).is_some_and(|&byte| Some(byte) == self.dialect.quote);
        if opens { self.quoted(from) } else { self.unquoted(from) }
    }

    fn unquoted(&self, from: usize) -> Result<Field, Halt> {
        let (mut at, mut escaped, mut to) = (from, false, from);
        loop {
            if let Some(then) = self.end_at(at)? {
                let to = if self.dialect.trim { to } else { at };
                return Ok(Field { from, to, quoted: false, escaped, then });
            }
            self.bounded(at)?;
            let byte = self.window[at];
            if Some(byte) == self.dialect.escape {
                self.escaped_byte(at, at)?;
                escaped = true;
                at += 2;
                to = at;
                continue;
            }
            let is_quote = Some(byte) == self.dialect.quote;
            if is_quote && self.dialect.bare_quote == BareQuote::Reject {
                return Err(self.bad(Malformed::BareQuote, at));
            }
            at += 1;
            if !self.is_blank(byte) {
                to = at;
            }
        }
    }

    /// There must be a byte behind the escape at `at`.
    fn escaped_byte(&self, at: usize, fault_at: usize) -> Result<(), Halt> {
        if at + 1 < self.window.len() {
            return Ok(());
        }
        if !self.last {
            return Err(Halt::More);
        }
        if at - self.start >= self.dialect.max_record_bytes {
            return Err(Halt::Bad(Malformed::RecordTooLong, at, 0));
        }
        Err(self.bad(Malformed::UnterminatedQuote, fault_at))
    }

    fn quoted(&self, opened_at: usize) -> Result<Field, Halt> {
        let (mut at, mut escaped) = (opened_at + 1, false);
        loop {
            let Some(&byte) = self.window.get(at) else {
                return Err(self.reader.unterminated(
                    self.window,
                    self.last,
                    self.start,
                    opened_at,
                ));
            };
            self.bounded(at)?;
            if Some(byte) == self.dialect.escape {
                self.escaped_byte(at, opened_at)?;
                escaped = true;
                at += 2;
            } else if Some(byte) != self.dialect.quote {
                at += 1;
            } else if !self.dialect.double_quote {
                break;
            } else {
                match self.window.get(at + 1) {
                    Some(next) if *next == byte => {
                        escaped = true;
                        at += 2;
                    }
                    None if !self.last => return Err(Halt::More),
                    _ => break,
                }
            }
        }
        let after = self.skip_blanks(at + 1);
        let Some(then) = self.end_at(after)? else {
            return Err(self.bad(Malformed::TextAfterQuote, after));
        };
        Ok(Field { from: opened_at + 1, to: at, quoted: true, escaped, then })
    }
}
