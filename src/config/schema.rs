//! Column types: what a table's columns are, whatever database holds it.

use std::fmt;

/// What the length of a character column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LengthUnit {
    /// Bytes of UTF-8 (Db2 by default).
    Bytes,
    /// Unicode code points (PostgreSQL, MariaDB, SQL standard).
    Characters,
}

/// Longest text a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextLength {
    /// Count, in `unit`.
    pub max: u32,
    /// What is counted.
    pub unit: LengthUnit,
}

/// SQL type of a column, with the lengths that values are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// 16-bit integer.
    SmallInt,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    BigInt,
    /// Exact decimal: `precision` digits in all, `scale` of them after the point.
    Decimal {
        /// Digits in all, 1 to [`crate::limits::DECIMAL_DIGITS`].
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// 32-bit binary float.
    Real,
    /// 64-bit binary float.
    Double,
    /// Fixed-length text.
    Char(TextLength),
    /// Variable-length text; `None` is without a declared length (TEXT, CLOB).
    VarChar(Option<TextLength>),
    /// Calendar date, years 0001 to 9999.
    Date,
    /// Time of day, whole seconds.
    Time,
    /// Date and time with `precision` digits of a second (0 to 9).
    Timestamp {
        /// Digits after the second.
        precision: u8,
    },
    /// Truth value.
    Boolean,
    /// Fixed-length bytes, written in the file as hexadecimal digits.
    Binary(u32),
    /// Variable-length bytes, written in the file as hexadecimal digits; `None` is without a
    /// declared length (BYTEA, BLOB).
    VarBinary(Option<u32>),
}

impl SqlType {
    /// Whether quoted empty text is a value of this type.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Char(_) | Self::VarChar(_))
    }
}

impl fmt::Display for SqlType {
    /// Standard SQL spelling; a length in bytes is written `n OCTETS`, in characters plainly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |f: &mut fmt::Formatter<'_>, name: &str, length: TextLength| match length.unit {
            LengthUnit::Bytes => write!(f, "{name}({} OCTETS)", length.max),
            LengthUnit::Characters => write!(f, "{name}({})", length.max),
        };
        match *self {
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Real => f.write_str("REAL"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Char(length) => text(f, "CHAR", length),
            Self::VarChar(Some(length)) => text(f, "VARCHAR", length),
            Self::VarChar(None) => f.write_str("VARCHAR"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp { precision } => write!(f, "TIMESTAMP({precision})"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Binary(length) => write!(f, "BINARY({length})"),
            Self::VarBinary(Some(length)) => write!(f, "VARBINARY({length})"),
            Self::VarBinary(None) => f.write_str("VARBINARY"),
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name exactly as the catalog has it, not quoted.
    pub name: String,
    /// Type.
    pub ty: SqlType,
    /// Whether the column takes NULL.
    pub nullable: bool,
    /// Whether the database fills the column by itself (identity, generated): left out of the
    /// load unless the user maps a field to it.
    pub generated: bool,
}
