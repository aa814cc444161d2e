//! The slow, obvious reader of a dialect: one byte after the other through an explicit automaton,
//! over the whole file, in one thread. It is the specification; `record_reader.rs` and the
//! engine must give the same records for every input, every chunk size and every thread count.
//!
//! # The automaton
//!
//! | state | byte | next |
//! |---|---|---|
//! | field start | quote | quoted |
//! | field start | anything else | as unquoted |
//! | unquoted | delimiter | field start of the next field |
//! | unquoted | terminator, end of file | record end |
//! | unquoted | quote | malformed, or data if the dialect says literal |
//! | unquoted | escape | the next byte is data, whatever it is |
//! | quoted | quote, quote (where doubling is on) | one quote of data |
//! | quoted | quote | after quote |
//! | quoted | escape | the next byte is data |
//! | quoted | end of file | malformed |
//! | after quote | delimiter, terminator, end of file | as unquoted |
//! | after quote | anything else | malformed |
//!
//! With `trim`, blanks (space and tab, unless the delimiter holds them) after field start, around
//! an unquoted field, and after a closing quote belong to no field.
//!
//! A malformed record ends at the first raw newline at or after its own start, and reading resumes
//! there: one stray quote costs one record. The first violation in byte order is the reason.
//! A record whose content passes `max_record_bytes` is malformed by the same rule. A wrong number
//! of fields is a violation too: one too many at the delimiter that opens the extra field, one too
//! few at the record end. The field of a violation is the number of fields that ended before it.
//!
//! A line without any byte is no record, unless records have exactly one field. A line that begins
//! with the comment byte is no record.

use crate::config::dialect::{BareQuote, Dialect, FieldsRule, Terminator};
use crate::record::Malformed;

/// One field as the oracle reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleField {
    /// Value with quotes removed and escapes resolved; the bytes are still in the file's encoding.
    pub value: Vec<u8>,
    /// Whether it stood in quotes.
    pub quoted: bool,
    /// Bytes as they stand in the file, inside the quotes.
    pub raw: Vec<u8>,
}

/// What a record turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Its fields: as many as the record really has, at most the expected number.
    Fields(Vec<OracleField>),
    /// It breaks the grammar: why, the offset of the byte that did it, and the index of its field.
    Malformed {
        /// Why.
        what: Malformed,
        /// Offset of the byte at fault.
        at: usize,
        /// Index from 0 of the field in which it stands.
        field: u32,
    },
}

/// One record of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleRecord {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the terminator.
    pub end: usize,
    /// Number of the physical line on which it starts, from 1.
    pub line: u64,
    /// Fields or fault.
    pub content: Content,
}

/// Reads all records of `bytes` from offset `body` on; each should have `field_count` fields.
///
/// `first_line` is the line number of the byte at `body`.
#[must_use]
pub fn read_records(
    bytes: &[u8],
    body: usize,
    first_line: u64,
    dialect: &Dialect,
    field_count: usize,
) -> Vec<OracleRecord> {
    let mut records = Vec::new();
    let (mut at, mut line) = (body, first_line);
    while at < bytes.len() {
        let (content, end) = read_one(bytes, at, dialect, field_count);
        if let Some(content) = content {
            records.push(OracleRecord { start: at, end, line, content });
        }
        line += bytes[at..end].iter().filter(|&&b| b == line_byte(dialect)).count() as u64;
        at = end;
    }
    records
}

/// The byte whose count gives line numbers.
#[must_use]
pub fn line_byte(dialect: &Dialect) -> u8 {
    if dialect.terminator == Terminator::Cr { b'\r' } else { b'\n' }
}

/// Length of the terminator that begins at `at`, or 0.
fn terminator_at(bytes: &[u8], at: usize, dialect: &Dialect) -> usize {
    let rest = &bytes[at..];
    match dialect.terminator {
        Terminator::Auto if rest.starts_with(b"\r\n") => 2,
        Terminator::Auto | Terminator::Lf => usize::from(rest.starts_with(b"\n")),
        Terminator::CrLf => 2 * usize::from(rest.starts_with(b"\r\n")),
        Terminator::Cr => usize::from(rest.starts_with(b"\r")),
    }
}

/// Offset after the first raw newline at or after `at`, or the end of the file.
fn after_raw_newline(bytes: &[u8], mut at: usize, dialect: &Dialect) -> usize {
    while at < bytes.len() {
        // In a dialect of LF or CR LF the newline byte is the LF; its CR is no newline of its own.
        let found = terminator_at(bytes, at, dialect);
        if found > 0 {
            return at + found;
        }
        at += 1;
    }
    at
}

fn is_blank(byte: u8, dialect: &Dialect) -> bool {
    matches!(byte, b' ' | b'\t') && !dialect.delimiter.contains(&byte)
}

#[derive(PartialEq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted { opened_at: usize },
    AfterQuote,
}

/// Reads what begins at `at`: its content (`None` for a comment or blank line) and its end.
fn read_one(
    bytes: &[u8],
    at: usize,
    dialect: &Dialect,
    field_count: usize,
) -> (Option<Content>, usize) {
    let newline = after_raw_newline(bytes, at, dialect);
    if dialect.comment == Some(bytes[at]) {
        return (None, newline);
    }
    let blank_is_record = field_count == 1 && !dialect.trailing_delimiter;
    if terminator_at(bytes, at, dialect) > 0 && !blank_is_record {
        return (None, newline);
    }
    match Walk::new(bytes, at, dialect, field_count).run() {
        Ok((fields, end)) => (Some(Content::Fields(fields)), end),
        Err((what, fault_at, field)) => {
            (Some(Content::Malformed { what, at: fault_at, field }), newline)
        }
    }
}

type Violation = (Malformed, usize, u32);

struct Walk<'a> {
    bytes: &'a [u8],
    start: usize,
    at: usize,
    dialect: &'a Dialect,
    field_count: usize,
    state: State,
    field: OracleField,
    fields: Vec<OracleField>,
    fields_seen: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], start: usize, dialect: &'a Dialect, field_count: usize) -> Self {
        let field = OracleField { value: Vec::new(), quoted: false, raw: Vec::new() };
        Self {
            bytes,
            start,
            at: start,
            dialect,
            field_count,
            state: State::FieldStart,
            field,
            fields: Vec::new(),
            fields_seen: 0,
        }
    }

    fn run(mut self) -> Result<(Vec<OracleField>, usize), Violation> {
        loop {
            let at_end = self.at == self.bytes.len();
            let ends_here = at_end || terminator_at(self.bytes, self.at, self.dialect) > 0;
            let quoted = matches!(self.state, State::Quoted { .. });
            if at_end && quoted {
                // A record that is both endless and too long is too long.
                return Err(self.unterminated());
            }
            if ends_here && !quoted {
                return self.finish();
            }
            if self.at - self.start >= self.dialect.max_record_bytes {
                return Err(self.too_long());
            }
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), Violation> {
        let byte = self.bytes[self.at];
        let is_quote = Some(byte) == self.dialect.quote;
        match self.state {
            // Only a trailing delimiter leads here: behind it there must be the record end.
            State::FieldStart if self.is_full() => {
                return Err(self.violation(Malformed::TooManyFields, self.at));
            }
            State::FieldStart if self.dialect.trim && is_blank(byte, self.dialect) => self.at += 1,
            State::FieldStart if is_quote => {
                self.field.quoted = true;
                self.state = State::Quoted { opened_at: self.at };
                self.at += 1;
            }
            State::FieldStart | State::Unquoted => self.step_unquoted(byte, is_quote)?,
            State::Quoted { .. } => self.step_quoted(byte, is_quote)?,
            State::AfterQuote => {
                if self.at_delimiter() {
                    self.end_field_at_delimiter()?;
                } else if self.dialect.trim && is_blank(byte, self.dialect) {
                    self.at += 1;
                } else {
                    return Err(self.violation(Malformed::TextAfterQuote, self.at));
                }
            }
        }
        Ok(())
    }

    fn step_unquoted(&mut self, byte: u8, is_quote: bool) -> Result<(), Violation> {
        if self.at_delimiter() {
            return self.end_field_at_delimiter();
        }
        self.state = State::Unquoted;
        if Some(byte) == self.dialect.escape {
            return self.take_escaped(self.at);
        }
        if is_quote && self.dialect.bare_quote == BareQuote::Reject {
            return Err(self.violation(Malformed::BareQuote, self.at));
        }
        self.take_data(byte);
        Ok(())
    }

    fn step_quoted(&mut self, byte: u8, is_quote: bool) -> Result<(), Violation> {
        let State::Quoted { opened_at } = self.state else { unreachable!("only called there") };
        if Some(byte) == self.dialect.escape {
            return self.take_escaped(opened_at);
        }
        if !is_quote {
            self.take_data(byte);
            return Ok(());
        }
        let doubled = self.dialect.double_quote && self.bytes.get(self.at + 1) == Some(&byte);
        if doubled {
            self.field.value.push(byte);
            self.field.raw.extend([byte, byte]);
            self.at += 2;
        } else {
            self.state = State::AfterQuote;
            self.at += 1;
        }
        Ok(())
    }

    fn take_data(&mut self, byte: u8) {
        self.field.value.push(byte);
        self.field.raw.push(byte);
        self.at += 1;
    }

    fn take_escaped(&mut self, fault_at: usize) -> Result<(), Violation> {
        let Some(&next) = self.bytes.get(self.at + 1) else {
            return Err(self.violation(Malformed::UnterminatedQuote, fault_at));
        };
        self.field.value.push(next);
        self.field.raw.extend([self.bytes[self.at], next]);
        self.at += 2;
        Ok(())
    }

    fn at_delimiter(&self) -> bool {
        self.bytes[self.at..].starts_with(&self.dialect.delimiter)
    }

    fn end_field_at_delimiter(&mut self) -> Result<(), Violation> {
        let delimiter_at = self.at;
        self.at += self.dialect.delimiter.len();
        self.push_field();
        if self.is_full() && !self.dialect.trailing_delimiter {
            return Err(self.violation(Malformed::TooManyFields, delimiter_at));
        }
        self.state = State::FieldStart;
        Ok(())
    }

    /// Whether another field would be one too many.
    fn is_full(&self) -> bool {
        self.fields_seen == self.field_count && self.dialect.fields != FieldsRule::Truncate
    }

    fn push_field(&mut self) {
        let mut field = std::mem::replace(
            &mut self.field,
            OracleField { value: Vec::new(), quoted: false, raw: Vec::new() },
        );
        if self.dialect.trim && !field.quoted {
            // Escaped blanks count as blanks here only if they were written plainly.
            while field.raw.last().is_some_and(|&b| is_blank(b, self.dialect))
                && !ends_with_escape(&field.raw, self.dialect)
            {
                field.raw.pop();
                field.value.pop();
            }
        }
        if self.fields_seen < self.field_count {
            self.fields.push(field);
        }
        self.fields_seen += 1;
    }

    /// The record ends at `self.at`.
    fn finish(mut self) -> Result<(Vec<OracleField>, usize), Violation> {
        let content_end = self.at;
        if content_end - self.start > self.dialect.max_record_bytes {
            return Err(self.too_long());
        }
        let end = if content_end == self.bytes.len() {
            content_end
        } else {
            content_end + terminator_at(self.bytes, content_end, self.dialect)
        };
        let closed = self.state == State::FieldStart && self.fields_seen > 0;
        let dropped = self.fields_seen >= self.field_count;
        if !self.dialect.trailing_delimiter {
            self.push_field();
        } else if !closed && !dropped {
            return Err(self.violation(Malformed::TooFewFields, content_end));
        }
        if self.fields_seen < self.field_count && self.dialect.fields != FieldsRule::Pad {
            return Err(self.violation(Malformed::TooFewFields, content_end));
        }
        Ok((self.fields, end))
    }

    fn unterminated(&self) -> Violation {
        let State::Quoted { opened_at } = self.state else { unreachable!("only called there") };
        if self.at - self.start > self.dialect.max_record_bytes {
            return self.too_long();
        }
        self.violation(Malformed::UnterminatedQuote, opened_at)
    }

    /// A record that is too long has no field to blame.
    fn too_long(&self) -> Violation {
        (Malformed::RecordTooLong, self.start + self.dialect.max_record_bytes, 0)
    }

    fn violation(&self, what: Malformed, at: usize) -> Violation {
        (what, at, u32::try_from(self.fields_seen).expect("a record has under 2^29 fields"))
    }
}

fn ends_with_escape(raw: &[u8], dialect: &Dialect) -> bool {
    // raw is made of plain bytes and of pairs escape, byte; the last byte is escaped if an odd
    // run of escape bytes stands before it.
    let Some(escape) = dialect.escape else {
        return false;
    };
    let before = &raw[..raw.len() - 1];
    before.iter().rev().take_while(|&&b| b == escape).count() % 2 == 1
}
