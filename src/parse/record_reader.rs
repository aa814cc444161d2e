//! The fast reader of records: one record at a time from a window of bytes, fields as positions.
//!
//! It equals `parse/oracle.rs` for every input; read the rules there. Records of the expected shape
//! are taken many at a time from an index (`parse/indexed_walk.rs`). Two walks read one record at a
//! time, whatever it looks like. The *direct* walk goes from one structural byte to the next and
//! serves dialects whose delimiter, quote and newline are single bytes: comma, tab, pipe, `.tbl`.
//! The *general* walk goes byte by byte and serves the rest: escapes, delimiters of several bytes,
//! trimming, strict CR LF.
//!
//! A window is a part of the file that may end in the middle of a record. [`Step::NeedMore`] says
//! so; the caller comes again with a longer window that begins with the same record.

use memchr::{memchr, memchr_iter};

use super::field_writer::FieldWriter;
use super::fields::FieldRef;
use super::indexed_walk::Indexed;
use super::scan::{Positions, Scanner};
use super::simd::Kernel;
use crate::config::dialect::{BareQuote, Dialect, Terminator};
use crate::record::Malformed;

/// Bytes scanned for structure at a time: small enough that bytes and positions stay in cache
/// until the fields are converted.
const WINDOW_BYTES: usize = 16 << 10;

/// Bytes scanned first at a new place: it may be for one record only.
const FIRST_WINDOW_BYTES: usize = 512;

/// What stands at an offset of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A record; its fields were appended to the caller's list.
    Record {
        /// Offset after the terminator.
        end: usize,
        /// Newline bytes in the record, terminator included.
        newlines: u32,
    },
    /// A comment or a blank line.
    Skipped {
        /// Offset after the terminator.
        end: usize,
        /// Newline bytes.
        newlines: u32,
    },
    /// A record that breaks the grammar. No field was appended.
    Malformed {
        /// How.
        what: Malformed,
        /// Offset of the byte at fault.
        at: usize,
        /// Index from 0 of its field.
        field: u32,
        /// Offset after the first raw newline: where reading resumes.
        end: usize,
        /// Newline bytes.
        newlines: u32,
    },
    /// A malformed record (or, without `fault`, a comment) that is longer than the longest record
    /// and whose newline is not in the window. It ends at the next raw newline of the file.
    Endless {
        /// How it is malformed, the offset of the byte at fault, and its field.
        fault: Option<(Malformed, usize, u32)>,
    },
    /// The window ends before the record does.
    NeedMore,
}

/// Why a walk ended without a record.
pub(super) enum Halt {
    /// A violation, the offset of its byte, its field.
    Bad(Malformed, usize, u32),
    /// The window ended; never where the window ends with the file.
    More,
}

/// Field of a violation found where fields are not counted; [`FieldWriter::blame`] fills it in.
pub(super) const UNKNOWN_FIELD: u32 = u32::MAX;

/// Reads records of one dialect.
#[derive(Debug)]
pub struct RecordReader {
    dialect: Dialect,
    field_count: usize,
    delimiter: u8,
    newline: u8,
    direct: bool,
    scanner: Scanner,
    positions: Positions,
    /// Index in `positions` of the next structural byte.
    cursor: usize,
    /// Offset in the window of the first byte that `positions` covers.
    positions_base: usize,
    /// Offset in the window of the first byte not scanned yet.
    scanned_to: usize,
    /// Bytes that are scanned next.
    scan_bytes: usize,
    /// Where the last step ended.
    walked_to: usize,
    /// For dialects that the direct walk serves.
    pub(super) indexed: Option<Indexed>,
}

impl RecordReader {
    /// A reader for records of `field_count` fields.
    ///
    /// # Panics
    /// If the dialect is not valid ([`Dialect::validate`]) or `field_count` is 0.
    #[must_use]
    pub fn new(dialect: &Dialect, field_count: usize) -> Self {
        Self::with_kernel(dialect, field_count, Kernel::fastest())
    }

    /// As [`Self::new`], with a certain kernel.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_kernel(dialect: &Dialect, field_count: usize, kernel: Kernel) -> Self {
        assert!(field_count > 0, "a record has at least one field");
        dialect.validate().expect("dialects are validated where they are made");
        let newline = super::oracle::line_byte(dialect);
        let delimiter = dialect.delimiter[0];
        let direct = dialect.delimiter.len() == 1
            && dialect.escape.is_none()
            && !dialect.trim
            && dialect.terminator != Terminator::CrLf;
        let scanner = match dialect.quote {
            Some(quote) => Scanner::with_kernel(&[delimiter, newline, quote], kernel),
            None => Scanner::with_kernel(&[delimiter, newline], kernel),
        };
        Self {
            dialect: dialect.clone(),
            field_count,
            delimiter,
            newline,
            direct,
            scanner,
            positions: Positions::with_window(WINDOW_BYTES),
            cursor: 0,
            positions_base: 0,
            scanned_to: 0,
            scan_bytes: FIRST_WINDOW_BYTES,
            walked_to: 0,
            indexed: direct.then(|| Indexed::new(dialect, field_count, kernel)),
        }
    }

    /// Fields in a record.
    #[must_use]
    pub const fn field_count(&self) -> usize {
        self.field_count
    }

    /// The dialect.
    #[must_use]
    pub const fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Prepares for a new window, or for another place in the same one.
    pub fn seek(&mut self, at: usize) {
        if let Some(indexed) = &mut self.indexed {
            indexed.forget();
        }
        self.seek_walk(at);
    }

    /// Prepares the walk for another place in the same window.
    fn seek_walk(&mut self, at: usize) {
        self.positions_base = at;
        self.scanned_to = at;
        self.scan_bytes = FIRST_WINDOW_BYTES;
        self.cursor = usize::MAX;
        self.walked_to = at;
    }

    /// Reads what begins at `at`: where the last step ended or [`Self::seek`] went, or where the
    /// records that were taken from the index end.
    ///
    /// `last` says that the window ends with the file. Fields are appended to `out` as offsets
    /// from `base`, exactly `field_count` of them for a record.
    ///
    /// # Panics
    /// If `at` is not inside the window.
    pub fn step(
        &mut self,
        window: &[u8],
        last: bool,
        at: usize,
        base: usize,
        out: &mut Vec<FieldRef>,
    ) -> Step {
        if at != self.walked_to {
            self.seek_walk(at);
        }
        let step = self.step_from(window, last, at, base, out);
        if let Step::Record { end, .. } | Step::Skipped { end, .. } | Step::Malformed { end, .. } =
            step
        {
            self.walked_to = end;
        }
        step
    }

    fn step_from(
        &mut self,
        window: &[u8],
        last: bool,
        at: usize,
        base: usize,
        out: &mut Vec<FieldRef>,
    ) -> Step {
        let first = window[at];
        if self.dialect.comment == Some(first) {
            return self.skip_line(window, last, at);
        }
        if matches!(first, b'\r' | b'\n') {
            let blank_is_record = self.field_count == 1 && !self.dialect.trailing_delimiter;
            match terminator_at(self.dialect.terminator, window, last, at) {
                None => return Step::NeedMore,
                Some(length) if length > 0 && !blank_is_record => {
                    return self.skip_line(window, last, at);
                }
                Some(_) => {}
            }
        }
        let fields_before = out.len();
        let walked = if self.direct {
            self.walk_direct(window, last, at, base, out)
        } else {
            self.walk_general(window, last, at, base, out)
        };
        match walked {
            Ok((end, newlines)) => Step::Record { end, newlines },
            Err(Halt::More) if window.len() - at <= self.dialect.max_record_bytes + 2 => {
                out.truncate(fields_before);
                Step::NeedMore
            }
            Err(halt) => {
                out.truncate(fields_before);
                self.malformed(window, last, at, &halt)
            }
        }
    }

    /// Ends a malformed record at its first raw newline.
    fn malformed(&mut self, window: &[u8], last: bool, start: usize, halt: &Halt) -> Step {
        let too_long_at = start + self.dialect.max_record_bytes;
        let (what, at, field) = match *halt {
            Halt::Bad(what, at, field) if at < too_long_at || what == Malformed::TooFewFields => {
                (what, at, field)
            }
            Halt::Bad(..) | Halt::More => (Malformed::RecordTooLong, too_long_at, 0),
        };
        match self.raw_newline(window, last, start) {
            Some(end) => {
                self.seek_walk(end);
                let newlines = self.count_newlines(&window[start..end]);
                Step::Malformed { what, at, field, end, newlines }
            }
            None if window.len() - start > self.dialect.max_record_bytes + 2 => {
                Step::Endless { fault: Some((what, at, field)) }
            }
            None => Step::NeedMore,
        }
    }

    fn skip_line(&mut self, window: &[u8], last: bool, start: usize) -> Step {
        match self.raw_newline(window, last, start) {
            Some(end) => {
                if !self.positions_cover_line(window, start, end) {
                    self.seek_walk(end);
                }
                Step::Skipped { end, newlines: self.count_newlines(&window[start..end]) }
            }
            None if window.len() - start > self.dialect.max_record_bytes + 2 => {
                Step::Endless { fault: None }
            }
            None => Step::NeedMore,
        }
    }

    /// Steps over the structural bytes of a skipped blank line without scanning again.
    fn positions_cover_line(&mut self, window: &[u8], start: usize, end: usize) -> bool {
        if !self.direct || window[start..end].len() > 2 {
            return false;
        }
        self.next_structural(window) == Some(end - 1)
    }

    /// Offset after the first raw newline at or after `from`; at the end of the file, its length.
    fn raw_newline(&self, window: &[u8], last: bool, from: usize) -> Option<usize> {
        let found = if self.dialect.terminator == Terminator::CrLf {
            memchr::memmem::find(&window[from..], b"\r\n").map(|at| from + at + 2)
        } else {
            memchr(self.newline, &window[from..]).map(|at| from + at + 1)
        };
        found.or(if last { Some(window.len()) } else { None })
    }

    pub(super) fn count_newlines(&self, bytes: &[u8]) -> u32 {
        u32::try_from(memchr_iter(self.newline, bytes).count()).expect("a record is under 4 GiB")
    }

    /// The next delimiter, newline or quote.
    #[inline]
    fn next_structural(&mut self, window: &[u8]) -> Option<usize> {
        if let Some(position) = self.positions.get(self.cursor) {
            self.cursor += 1;
            return Some(self.positions_base + position as usize);
        }
        self.refill(window)
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, window: &[u8]) -> Option<usize> {
        while self.scanned_to < window.len() {
            let end = window.len().min(self.scanned_to + self.scan_bytes);
            self.scan_bytes = WINDOW_BYTES.min(2 * self.scan_bytes);
            self.scanner.scan(&window[self.scanned_to..end], &mut self.positions);
            self.positions_base = self.scanned_to;
            self.scanned_to = end;
            if let Some(position) = self.positions.get(0) {
                self.cursor = 1;
                return Some(self.positions_base + position as usize);
            }
        }
        self.cursor = usize::MAX;
        None
    }

    /// The walk from one structural byte to the next.
    #[inline]
    fn walk_direct(
        &mut self,
        window: &[u8],
        last: bool,
        start: usize,
        base: usize,
        out: &mut Vec<FieldRef>,
    ) -> Result<(usize, u32), Halt> {
        let mut fields = FieldWriter::new(self, start, base, out);
        let mut field_start = start;
        let mut newlines = 0;
        loop {
            let Some(at) = self.next_structural(window) else {
                return self.end_of_window(window, last, field_start, &mut fields, newlines);
            };
            let byte = window[at];
            if byte == self.delimiter {
                fields.push(field_start, at - field_start, false, false, at)?;
                field_start = at + 1;
                if fields.full() {
                    self.expect_end(window, last, start, field_start, &fields)?;
                }
            } else if byte == self.newline {
                let content_end = self.content_end(window, field_start, at);
                fields.finish(field_start, content_end)?;
                return Ok((at + 1, newlines + 1));
            } else if at == field_start {
                let quoted =
                    self.quoted(window, last, start, at).map_err(|halt| fields.blame(halt))?;
                newlines += quoted.newlines;
                let (from, length) = (at + 1, quoted.closed_at - at - 1);
                match quoted.then {
                    Then::Delimiter(delimiter_at) => {
                        fields.push(from, length, true, quoted.escaped, delimiter_at)?;
                        field_start = delimiter_at + 1;
                        if fields.full() {
                            self.expect_end(window, last, start, field_start, &fields)?;
                        }
                    }
                    Then::RecordEnd { content_end, end, newlines: at_end } => {
                        fields.finish_quoted(from, length, quoted.escaped, content_end)?;
                        return Ok((end, newlines + at_end));
                    }
                }
            } else if self.dialect.bare_quote == BareQuote::Reject {
                return Err(Halt::Bad(Malformed::BareQuote, at, fields.seen()));
            }
        }
    }

    /// Behind the trailing delimiter, at `at`, there must be the record end.
    fn expect_end(
        &self,
        window: &[u8],
        last: bool,
        start: usize,
        at: usize,
        fields: &FieldWriter<'_>,
    ) -> Result<(), Halt> {
        if at == window.len() && last {
            return Ok(());
        }
        match terminator_at(self.dialect.terminator, window, last, at) {
            None if at - start > self.dialect.max_record_bytes => {
                Err(Halt::Bad(Malformed::RecordTooLong, at, 0))
            }
            None => Err(Halt::More),
            Some(0) => Err(Halt::Bad(Malformed::TooManyFields, at, fields.seen())),
            Some(_) => Ok(()),
        }
    }

    /// Without the CR that belongs to the terminator.
    #[inline]
    fn content_end(&self, window: &[u8], field_start: usize, newline_at: usize) -> usize {
        let cr = self.dialect.terminator == Terminator::Auto
            && newline_at > field_start
            && window[newline_at - 1] == b'\r';
        newline_at - usize::from(cr)
    }

    #[cold]
    fn end_of_window(
        &self,
        window: &[u8],
        last: bool,
        field_start: usize,
        fields: &mut FieldWriter<'_>,
        newlines: u32,
    ) -> Result<(usize, u32), Halt> {
        if !last {
            return Err(Halt::More);
        }
        debug_assert!(self.scanned_to == window.len());
        fields.finish(field_start, window.len())?;
        Ok((window.len(), newlines))
    }

    /// Reads a quoted field whose opening quote stands at `opened_at`.
    fn quoted(
        &mut self,
        window: &[u8],
        last: bool,
        start: usize,
        opened_at: usize,
    ) -> Result<Quoted, Halt> {
        let (mut newlines, mut escaped) = (0, false);
        let closed_at = loop {
            let Some(at) = self.next_structural(window) else {
                return Err(self.unterminated(window, last, start, opened_at));
            };
            if at - start > self.dialect.max_record_bytes {
                return Err(Halt::Bad(Malformed::RecordTooLong, at, 0));
            }
            if Some(window[at]) != self.dialect.quote {
                newlines += u32::from(window[at] == self.newline);
                continue;
            }
            if self.dialect.double_quote {
                match window.get(at + 1) {
                    Some(next) if *next == window[at] => {
                        escaped = true;
                        let second = self.next_structural(window);
                        debug_assert_eq!(second, Some(at + 1));
                        continue;
                    }
                    None if !last => return Err(Halt::More),
                    _ => {}
                }
            }
            break at;
        };
        let then = self.after_quote(window, last, closed_at + 1)?;
        Ok(Quoted { closed_at, escaped, newlines, then })
    }

    /// The window ended inside quotes.
    #[cold]
    pub(super) fn unterminated(
        &self,
        window: &[u8],
        last: bool,
        start: usize,
        opened_at: usize,
    ) -> Halt {
        if !last {
            return Halt::More;
        }
        if window.len() - start > self.dialect.max_record_bytes {
            return Halt::Bad(Malformed::RecordTooLong, window.len(), 0);
        }
        Halt::Bad(Malformed::UnterminatedQuote, opened_at, UNKNOWN_FIELD)
    }

    /// What follows a closing quote, at `at`. Its structural byte is consumed.
    fn after_quote(&mut self, window: &[u8], last: bool, at: usize) -> Result<Then, Halt> {
        let Some(&byte) = window.get(at) else {
            return if last {
                Ok(Then::RecordEnd { content_end: at, end: at, newlines: 0 })
            } else {
                Err(Halt::More)
            };
        };
        if byte == self.delimiter {
            let consumed = self.next_structural(window);
            debug_assert_eq!(consumed, Some(at));
            return Ok(Then::Delimiter(at));
        }
        match terminator_at(self.dialect.terminator, window, last, at) {
            None => Err(Halt::More),
            Some(0) => Err(Halt::Bad(Malformed::TextAfterQuote, at, UNKNOWN_FIELD)),
            Some(length) => {
                let consumed = self.next_structural(window);
                debug_assert_eq!(consumed, Some(at + length - 1));
                Ok(Then::RecordEnd { content_end: at, end: at + length, newlines: 1 })
            }
        }
    }
}

/// A quoted field and what follows it.
struct Quoted {
    closed_at: usize,
    escaped: bool,
    newlines: u32,
    then: Then,
}

enum Then {
    Delimiter(usize),
    RecordEnd { content_end: usize, end: usize, newlines: u32 },
}

/// Length of the terminator at `at`, 0 if there is none, `None` if the window ends too early to
/// tell.
pub(super) fn terminator_at(
    terminator: Terminator,
    window: &[u8],
    last: bool,
    at: usize,
) -> Option<usize> {
    let byte = *window.get(at)?;
    let crlf = || match window.get(at + 1) {
        Some(b'\n') => Some(2),
        Some(_) => Some(0),
        None if last => Some(0),
        None => None,
    };
    match (terminator, byte) {
        (Terminator::Auto | Terminator::Lf, b'\n') | (Terminator::Cr, b'\r') => Some(1),
        (Terminator::Auto | Terminator::CrLf, b'\r') => crlf(),
        _ => Some(0),
    }
}
