//! The words everybody shares: positions, faults of a record, rejects.

use std::fmt;

/// Class of a reject: the `class` field of the reject file (cli.md, Errors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectClass {
    /// The record breaks the grammar of the dialect.
    Malformed,
    /// The record has too few or too many fields.
    FieldCount,
    /// A text is not valid in the encoding of the file.
    Encoding,
    /// A value is not of the column's type at all.
    Conversion,
    /// A value is of the type but outside what the column holds.
    Range,
    /// A text or binary value is longer than the column.
    Length,
    /// NULL for a column that takes none.
    Null,
    /// The database refused the row for a constraint.
    Constraint,
    /// The database refused the row for an equal key.
    Duplicate,
    /// The database refused the row for another reason.
    Other,
}

impl RejectClass {
    /// All classes, in the order of the report.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::FieldCount,
        Self::Encoding,
        Self::Conversion,
        Self::Range,
        Self::Length,
        Self::Null,
        Self::Constraint,
        Self::Duplicate,
        Self::Other,
    ];

    /// Name in reject files, JSON and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::FieldCount => "field_count",
            Self::Encoding => "encoding",
            Self::Conversion => "conversion",
            Self::Range => "range",
            Self::Length => "length",
            Self::Null => "null",
            Self::Constraint => "constraint",
            Self::Duplicate => "duplicate",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for RejectClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a record breaks the grammar. The first violation in byte order is the one that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// A quote inside an unquoted field, in a dialect where that is not literal.
    BareQuote,
    /// Something other than a delimiter or a record end after a closing quote.
    TextAfterQuote,
    /// No closing quote before the end of the file.
    UnterminatedQuote,
    /// No record end within the longest record that is accepted.
    RecordTooLong,
    /// Fewer fields than the dialect asks for.
    TooFewFields,
    /// More fields than the dialect allows.
    TooManyFields,
}

impl Malformed {
    /// Class under which the record is rejected.
    #[must_use]
    pub const fn class(self) -> RejectClass {
        match self {
            Self::TooFewFields | Self::TooManyFields => RejectClass::FieldCount,
            Self::BareQuote
            | Self::TextAfterQuote
            | Self::UnterminatedQuote
            | Self::RecordTooLong => RejectClass::Malformed,
        }
    }
}

/// Why the bytes of a field cannot become a cell of its column.
///
/// Conversions return this one word; the message with the column's type and limits is made from it
/// only when the record is really rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Not a number, date, hexadecimal text… at all.
    Syntax,
    /// An integer or float outside the type.
    OutOfRange,
    /// More integer digits than precision minus scale.
    TooManyIntegerDigits,
    /// More digits after the point than the scale.
    TooManyFractionDigits,
    /// A date that is not in the calendar, an hour past 23.
    NotInCalendar,
    /// Text or binary longer than the column.
    TooLong,
    /// Longer than `--max-field-bytes`.
    FieldTooLong,
    /// Not valid in the file's encoding.
    Encoding,
    /// A NUL byte in a text column of a target that cannot hold it.
    NulByte,
    /// NULL (or nothing) for a NOT NULL column.
    Null,
    /// A quoted empty string for a column that is not of character type.
    QuotedEmpty,
    /// The value is valid but the target column would not give it back unchanged.
    NotExact,
}

impl Fault {
    /// Class under which the record is rejected.
    #[must_use]
    pub const fn class(self) -> RejectClass {
        match self {
            Self::Syntax | Self::NotInCalendar | Self::QuotedEmpty => RejectClass::Conversion,
            Self::OutOfRange
            | Self::TooManyIntegerDigits
            | Self::TooManyFractionDigits
            | Self::NotExact => RejectClass::Range,
            Self::TooLong | Self::FieldTooLong => RejectClass::Length,
            Self::Encoding | Self::NulByte => RejectClass::Encoding,
            Self::Null => RejectClass::Null,
        }
    }
}

/// Half-open range of byte offsets in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl ByteRange {
    /// Bytes in the range.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether the byte at `offset` is in the range.
    #[must_use]
    pub const fn contains(self, offset: u64) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Whether the range holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Where a record stands in its file.
///
/// Byte offsets count from 0; records and lines from 1. Lines are physical: what `sed -n` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position {
    /// Offset of the record's first byte.
    pub byte_offset: u64,
    /// Number of the record among the data records of its file.
    pub record: u64,
    /// Number of the line on which the record begins.
    pub line: u64,
}
