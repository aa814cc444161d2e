//! A slow reader of the records at the head of a file, for sniffing and for the header.
//!
//! It follows the rules of the dialect one byte at a time, but for stretches of bytes without a
//! meaning, and copies every field; it never sees more than [`crate::limits::SNIFF_BYTES`].

use crate::config::dialect::{BareQuote, Dialect, Terminator};
use crate::record::Malformed;

/// One field with its quotes and escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeadField {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it stood in quotes.
    pub quoted: bool,
}

/// One record of the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRecord {
    /// Offset of its first byte in the head.
    pub start: usize,
    /// Offset one past its terminator.
    pub end: usize,
    /// Its fields, or why it is malformed.
    pub fields: Result<Vec<HeadField>, Malformed>,
    /// Whether it ends with a delimiter.
    pub ends_with_delimiter: bool,
}

/// Reads records from the head of a file; comments and empty lines are left out.
#[derive(Debug, Clone)]
pub struct HeadReader<'a> {
    dialect: &'a Dialect,
    bytes: &'a [u8],
    at: usize,
    /// Whether the head is the whole file, so that its last record counts.
    complete: bool,
    /// Whether a byte may mean something: all others stand for themselves wherever they are.
    has_meaning: [bool; 256],
}

impl<'a> HeadReader<'a> {
    /// A reader that stands behind the skipped lines. `bytes` begin behind the byte order mark.
    #[must_use]
    pub fn new(dialect: &'a Dialect, bytes: &'a [u8], complete: bool) -> Self {
        let mut has_meaning = [false; 256];
        let roles = [dialect.quote, dialect.escape, dialect.delimiter.first().copied()];
        for byte in roles.into_iter().flatten().chain(*b"\r\n") {
            has_meaning[usize::from(byte)] = true;
        }
        let mut reader = Self { dialect, bytes, at: 0, complete, has_meaning };
        for _ in 0..dialect.skip_lines {
            reader.at = reader.line_end(reader.at);
        }
        reader
    }

    /// Offset of the next byte to look at.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// Offset behind the first raw line end at or after `from`.
    fn line_end(&self, from: usize) -> usize {
        (from..self.bytes.len())
            .find_map(|at| self.terminator(at).map(|length| at + length))
            .unwrap_or(self.bytes.len())
    }

    /// Length of the terminator that begins at `at`.
    fn terminator(&self, at: usize) -> Option<usize> {
        let rest = &self.bytes[at..];
        let lf = rest.starts_with(b"\n");
        let cr_lf = rest.starts_with(b"\r\n");
        match self.dialect.terminator {
            Terminator::Auto if cr_lf => Some(2),
            Terminator::Auto | Terminator::Lf => lf.then_some(1),
            Terminator::CrLf => cr_lf.then_some(2),
            Terminator::Cr => rest.starts_with(b"\r").then_some(1),
        }
    }

    /// The bytes from `at` to the first one that may mean something.
    fn plain_bytes(&self, at: usize) -> &'a [u8] {
        let rest = &self.bytes[at..];
        let meaning = rest.iter().position(|&byte| self.has_meaning[usize::from(byte)]);
        &rest[..meaning.unwrap_or(rest.len())]
    }

    /// Reads the record at `start`; `None` when the head ends inside it.
    fn record(&self, start: usize) -> Option<HeadRecord> {
        let mut scan = Scan::default();
        let mut at = start;
        let fault = loop {
            if at == self.bytes.len() {
                if !self.complete {
                    return None;
                }
                break (scan.state == State::Quoted).then_some(Malformed::UnterminatedQuote);
            }
            let plain = if scan.state == State::QuoteInQuoted { &[] } else { self.plain_bytes(at) };
            if !plain.is_empty() {
                scan.field.bytes.extend_from_slice(plain);
                if scan.state == State::FieldStart {
                    scan.state = State::Unquoted;
                }
                at += plain.len();
                continue;
            }
            match self.step(&mut scan, at) {
                Ok(Step::To(next)) => at = next,
                Ok(Step::End(length)) => {
                    at += length;
                    break None;
                }
                Err(fault) => break Some(fault),
            }
        };
        let ends_with_delimiter = scan.state == State::FieldStart && !scan.fields.is_empty();
        if let Some(fault) = fault {
            let end = self.line_end(start);
            return Some(HeadRecord { start, end, fields: Err(fault), ends_with_delimiter: false });
        }
        if !(self.dialect.trailing_delimiter && ends_with_delimiter) {
            self.close(&mut scan);
        }
        Some(HeadRecord { start, end: at, fields: Ok(scan.fields), ends_with_delimiter })
    }

    /// One transition of the automaton.
    fn step(&self, scan: &mut Scan, at: usize) -> Result<Step, Malformed> {
        let byte = self.bytes[at];
        let dialect = self.dialect;
        if scan.state == State::Quoted {
            if dialect.escape == Some(byte) && at + 1 < self.bytes.len() {
                scan.field.bytes.push(self.bytes[at + 1]);
                return Ok(Step::To(at + 2));
            }
            if dialect.quote == Some(byte) {
                scan.state = State::QuoteInQuoted;
            } else {
                scan.field.bytes.push(byte);
            }
            return Ok(Step::To(at + 1));
        }
        if let Some(length) = self.terminator(at) {
            return Ok(Step::End(length));
        }
        if self.bytes[at..].starts_with(&dialect.delimiter) {
            self.close(scan);
            return Ok(Step::To(at + dialect.delimiter.len()));
        }
        let is_quote = dialect.quote == Some(byte);
        match scan.state {
            State::QuoteInQuoted if is_quote && dialect.double_quote => {
                scan.field.bytes.push(byte);
                scan.state = State::Quoted;
                return Ok(Step::To(at + 1));
            }
            State::QuoteInQuoted => return Err(Malformed::TextAfterQuote),
            State::FieldStart if is_quote => {
                scan.field.quoted = true;
                scan.state = State::Quoted;
                return Ok(Step::To(at + 1));
            }
            _ => {}
        }
        scan.state = State::Unquoted;
        if dialect.escape == Some(byte) && at + 1 < self.bytes.len() {
            scan.field.bytes.push(self.bytes[at + 1]);
            return Ok(Step::To(at + 2));
        }
        if is_quote && dialect.bare_quote == BareQuote::Reject {
            return Err(Malformed::BareQuote);
        }
        scan.field.bytes.push(byte);
        Ok(Step::To(at + 1))
    }

    /// Ends the field.
    fn close(&self, scan: &mut Scan) {
        let mut field = std::mem::take(&mut scan.field);
        if self.dialect.trim && !field.quoted {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let end = field.bytes.iter().rposition(|b| !blank(b)).map_or(0, |last| last + 1);
            field.bytes.truncate(end);
            let start = field.bytes.iter().position(|b| !blank(b)).unwrap_or(0);
            field.bytes.drain(..start);
        }
        scan.fields.push(field);
        scan.state = State::FieldStart;
    }
}

impl Iterator for HeadReader<'_> {
    type Item = HeadRecord;

    fn next(&mut self) -> Option<HeadRecord> {
        while self.at < self.bytes.len() {
            let comment = self.dialect.comment == Some(self.bytes[self.at]);
            if comment || self.terminator(self.at).is_some() {
                self.at = self.line_end(self.at);
                continue;
            }
            let record = self.record(self.at)?;
            self.at = record.end;
            return Some(record);
        }
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    FieldStart,
    Unquoted,
    Quoted,
    QuoteInQuoted,
}

#[derive(Debug, Default)]
struct Scan {
    state: State,
    field: HeadField,
    fields: Vec<HeadField>,
}

enum Step {
    To(usize),
    End(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: &Dialect, text: &str) -> Vec<String> {
        HeadReader::new(dialect, text.as_bytes(), true)
            .map(|record| match record.fields {
                Err(fault) => format!("{fault:?}"),
                Ok(fields) => fields
                    .iter()
                    .map(|field| {
                        let text = String::from_utf8_lossy(&field.bytes).into_owned();
                        if field.quoted { format!("<{text}>") } else { text }
                    })
                    .collect::<Vec<_>>()
                    .join("/"),
            })
            .collect()
    }

    #[test]
    fn the_rules_of_the_grammar() {
        let csv = Dialect::default();
        assert_eq!(read(&csv, "a,b\r\n\n1,\"x\"\"y\nz\"\n"), ["a/b", "1/<x\"y\nz>"]);
        assert_eq!(read(&csv, "a,\n,\nb"), ["a/", "/", "b"]);
        assert_eq!(read(&csv, "a\"b,c\nd\n"), ["BareQuote", "d"]);
        assert_eq!(read(&csv, "\"a\"b\nc\n"), ["TextAfterQuote", "c"]);
        assert_eq!(read(&csv, "\"a,b\nc\n"), ["UnterminatedQuote", "c"]);
        assert_eq!(read(&csv, "\"\",\n"), ["<>/"]);
    }

    /// Stretches of plain bytes change nothing: the same with every byte looked at.
    #[test]
    fn plain_stretches_are_as_byte_by_byte() {
        let dialects = [
            Dialect::default(),
            Dialect { escape: Some(b'\\'), trim: true, ..Dialect::default() },
            Dialect { bare_quote: BareQuote::Literal, comment: Some(b'#'), ..Dialect::default() },
            Dialect { delimiter: b"|a".to_vec(), quote: None, ..Dialect::default() },
            Dialect { escape: Some(b'\\'), quote: None, ..Dialect::default() },
            Dialect { terminator: Terminator::CrLf, double_quote: false, ..Dialect::default() },
            Dialect { terminator: Terminator::Cr, trailing_delimiter: true, ..Dialect::default() },
        ];
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..20_000 {
            let text: Vec<u8> = (0..random.usize(..40))
                .map(|_| *random.choice(b",,|ab \"\\\r\n\n#").unwrap())
                .collect();
            let dialect = &dialects[round % dialects.len()];
            let quick = HeadReader::new(dialect, &text, random.bool());
            let slow = HeadReader { has_meaning: [true; 256], ..quick.clone() };
            let shown = text.escape_ascii();
            assert_eq!(quick.collect::<Vec<_>>(), slow.collect::<Vec<_>>(), "{shown} {dialect:?}");
        }
    }

    #[test]
    fn skipped_lines_comments_and_incomplete_heads() {
        let dialect = Dialect { skip_lines: 1, comment: Some(b'#'), ..Dialect::default() };
        assert_eq!(read(&dialect, "junk \"\n#c\na,b\n"), ["a/b"]);
        let csv = Dialect::default();
        let half = HeadReader::new(&csv, b"a,b\nc,", false);
        assert_eq!(half.count(), 1);
    }

    #[test]
    fn other_dialects() {
        let tbl = Dialect {
            delimiter: b"|".to_vec(),
            quote: None,
            trailing_delimiter: true,
            ..Dialect::default()
        };
        assert_eq!(read(&tbl, "1|a\"|\n2||\n"), ["1/a\"", "2/"]);
        let escaped = Dialect { escape: Some(b'\\'), ..Dialect::default() };
        assert_eq!(read(&escaped, "a\\,b,\"c\\\"d\"\n"), ["a,b/<c\"d>"]);
        let trim = Dialect { trim: true, ..Dialect::default() };
        assert_eq!(read(&trim, " a\t, , b c \n"), ["a//b c"]);
        let cr = Dialect { terminator: Terminator::Cr, ..Dialect::default() };
        assert_eq!(read(&cr, "a\rb\r"), ["a", "b"]);
        let wide = Dialect { delimiter: b"||".to_vec(), ..Dialect::default() };
        assert_eq!(read(&wide, "a||b|c\n"), ["a/b|c"]);
    }
}
