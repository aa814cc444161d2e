//! The dialect of one input: its bytes with a role, and what they mean. No I/O.
//!
//! The automaton that gives these fields their meaning is at the head of [`crate::parse::oracle`].

use std::fmt;

/// How records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Terminator {
    /// LF, or CR LF: one CR directly before the LF belongs to the terminator. What `--eol auto`
    /// becomes unless the head of the file has CR only.
    Auto,
    /// LF alone; a CR is data.
    Lf,
    /// CR LF; a lone CR or LF is data.
    CrLf,
    /// CR alone; an LF is data.
    Cr,
}

/// What a quote inside an unquoted field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BareQuote {
    /// The record is malformed.
    Reject,
    /// The quote is an ordinary byte of the field.
    Literal,
}

/// What a record with another number of fields than expected becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldsRule {
    /// Malformed, class `field_count`.
    Exact,
    /// Missing fields are NULL; extra fields are malformed.
    Pad,
    /// Extra fields are dropped; missing fields are malformed.
    Truncate,
}

/// Encoding of the file's text. All of them keep ASCII in place, so splitting works on raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8, checked.
    Utf8,
    /// ISO 8859-1, every byte a character.
    Latin1,
    /// Windows code page 1252 as the WHATWG encoding standard maps it.
    Windows1252,
}

impl Encoding {
    /// Name as `--encoding` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "latin1",
            Self::Windows1252 => "windows-1252",
        }
    }
}

/// The grammar of one file.
///
/// `quote: None` means that no byte quotes. `escape` works inside and outside quotes and makes the
/// next byte literal. A delimiter has one byte or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Bytes between fields; at least one, none of them CR or LF.
    pub delimiter: Vec<u8>,
    /// The quote byte.
    pub quote: Option<u8>,
    /// The escape byte.
    pub escape: Option<u8>,
    /// Whether a doubled quote inside quotes is one quote. Where false, a quote always closes.
    pub double_quote: bool,
    /// Record end.
    pub terminator: Terminator,
    /// A record whose first byte is this is a comment line and no record.
    pub comment: Option<u8>,
    /// Whether the first record after the skipped lines names the columns.
    pub header: bool,
    /// Physical lines to leave out before the header.
    pub skip_lines: u64,
    /// Unquoted texts that mean NULL besides the empty one.
    pub null_values: Vec<Vec<u8>>,
    /// Whether blanks (space and tab) around unquoted fields are dropped.
    pub trim: bool,
    /// Whether each record ends with a delimiter that opens no field (`.tbl`).
    pub trailing_delimiter: bool,
    /// Meaning of a quote inside an unquoted field.
    pub bare_quote: BareQuote,
    /// Meaning of another number of fields.
    pub fields: FieldsRule,
    /// Text encoding.
    pub encoding: Encoding,
    /// Longest record in bytes, terminator not counted.
    pub max_record_bytes: usize,
    /// Longest field in bytes, as it stands in the file without its quotes.
    pub max_field_bytes: usize,
}

impl Default for Dialect {
    /// RFC 4180 with a header: comma, double quote, doubled quotes, LF or CR LF.
    fn default() -> Self {
        Self {
            delimiter: vec![b','],
            quote: Some(b'"'),
            escape: None,
            double_quote: true,
            terminator: Terminator::Auto,
            comment: None,
            header: true,
            skip_lines: 0,
            null_values: Vec::new(),
            trim: false,
            trailing_delimiter: false,
            bare_quote: BareQuote::Reject,
            fields: FieldsRule::Exact,
            encoding: Encoding::Utf8,
            max_record_bytes: crate::limits::MAX_RECORD_BYTES,
            max_field_bytes: crate::limits::MAX_FIELD_BYTES,
        }
    }
}

/// What is wrong with a dialect as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialectError(pub String);

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DialectError {}

impl Dialect {
    /// Checks that no byte has two roles and that the limits are usable.
    ///
    /// # Errors
    /// A sentence that names the two roles or the limit.
    pub fn validate(&self) -> Result<(), DialectError> {
        let err = |text: &str| Err(DialectError(text.to_owned()));
        if self.delimiter.is_empty() {
            return err("the delimiter must have at least one byte");
        }
        if self.delimiter.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            return err("the delimiter must not hold a line end");
        }
        for (role, byte) in
            [("quote", self.quote), ("escape", self.escape), ("comment", self.comment)]
        {
            let Some(byte) = byte else { continue };
            if matches!(byte, b'\r' | b'\n') {
                return Err(DialectError(format!("the {role} must not be a line end")));
            }
            if self.delimiter.contains(&byte) {
                return Err(DialectError(format!("the {role} is also in the delimiter")));
            }
        }
        if self.quote.is_some() && (self.quote == self.escape || self.quote == self.comment) {
            return err("the quote has a second role (for doubled quotes use --double-quote)");
        }
        if self.escape.is_some() && self.escape == self.comment {
            return err("the escape is also the comment");
        }
        for (name, bytes) in [
            ("--max-record-bytes", self.max_record_bytes),
            ("--max-field-bytes", self.max_field_bytes),
        ] {
            if bytes == 0 || bytes > crate::limits::RECORD_BYTES_CEILING {
                return Err(DialectError(format!(
                    "{name} must be from 1 to {}",
                    crate::limits::RECORD_BYTES_CEILING
                )));
            }
        }
        Ok(())
    }
}
