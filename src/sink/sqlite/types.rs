//! Declared types and affinities.
//!
//! SQLite converts a value to the affinity of its column when it is stored ("Datatypes In
//! SQLite", sections 3 and 3.1). Tables that we create declare their types so that the affinity
//! never changes a value, and so that the declared type says what the column is when it is read
//! back:
//!
//! | type | declared | affinity |
//! | --- | --- | --- |
//! | SMALLINT, INTEGER, BIGINT | `SMALLINT`, `INT4`, `BIGINT` | INTEGER |
//! | DECIMAL(p,s) | `DECIMAL_TEXT(p,s)` | TEXT |
//! | REAL, DOUBLE | `FLOAT4`, `DOUBLE` | REAL |
//! | CHAR(n), VARCHAR(n) | `CHAR(n)`, `VARCHAR(n)`, counted in bytes `…_OCTETS(n)` | TEXT |
//! | VARCHAR without length | `TEXT` | TEXT |
//! | DATE, TIME, TIMESTAMP(p) | `DATE_TEXT`, `TIME_TEXT`, `TIMESTAMP_TEXT(p)` | TEXT |
//! | BOOLEAN | `BOOLEAN` (0 or 1) | NUMERIC |
//! | BINARY(n), VARBINARY(n) | `BINARY_BLOB(n)`, `VARBINARY_BLOB(n)`, `BLOB` | BLOB |
//!
//! `INTEGER` and `INT` of a table that others made hold 64 bits, as they do in SQLite.

use crate::config::schema::{LengthUnit, SqlType, TextLength};
use crate::limits::DECIMAL_DIGITS;

/// What SQLite converts a stored value to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// The affinity of a declared type, by the five rules of the documentation in their order.
    pub(super) fn of(declared: &str, strict: bool) -> Self {
        let name = declared.to_ascii_uppercase();
        let has = |part: &str| name.contains(part);
        if strict && name == "ANY" {
            Self::Blob
        } else if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || name.is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// Name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
            Self::Real => "REAL",
            Self::Numeric => "NUMERIC",
        }
    }

    /// Whether text that looks like a number becomes one.
    pub(super) const fn converts_text(self) -> bool {
        matches!(self, Self::Integer | Self::Real | Self::Numeric)
    }
}

/// How the type is declared in a table that we create.
pub(super) fn declare(ty: SqlType) -> String {
    let text = |name: &str, length: TextLength| match length.unit {
        LengthUnit::Characters => format!("{name}({})", length.max),
        LengthUnit::Bytes => format!("{name}_OCTETS({})", length.max),
    };
    match ty {
        SqlType::SmallInt => "SMALLINT".to_owned(),
        SqlType::Integer => "INT4".to_owned(),
        SqlType::BigInt => "BIGINT".to_owned(),
        SqlType::Decimal { precision, scale } => format!("DECIMAL_TEXT({precision},{scale})"),
        SqlType::Real => "FLOAT4".to_owned(),
        SqlType::Double => "DOUBLE".to_owned(),
        SqlType::Char(length) => text("CHAR", length),
        SqlType::VarChar(Some(length)) => text("VARCHAR", length),
        SqlType::VarChar(None) => "TEXT".to_owned(),
        SqlType::Date => "DATE_TEXT".to_owned(),
        SqlType::Time => "TIME_TEXT".to_owned(),
        SqlType::Timestamp { precision } => format!("TIMESTAMP_TEXT({precision})"),
        SqlType::Boolean => "BOOLEAN".to_owned(),
        SqlType::Binary(length) => format!("BINARY_BLOB({length})"),
        SqlType::VarBinary(Some(length)) => format!("VARBINARY_BLOB({length})"),
        SqlType::VarBinary(None) => "BLOB".to_owned(),
    }
}

/// The type of a column of an existing table.
///
/// Names that say nothing to us are text without a length: what SQLite then does to a number-like
/// text follows from the affinity and is checked value by value (`exact.rs`). NUMERIC and
/// DECIMAL without a precision take 19 digits before and 19 after the point: any plain number
/// that such a column can hold exactly.
pub(super) fn parse_declared(declared: &str, affinity: Affinity) -> SqlType {
    let (name, arguments) = split_arguments(declared);
    let text_length = |unit| {
        let max = *arguments.first()?;
        Some(TextLength { max, unit })
    };
    let characters = text_length(LengthUnit::Characters);
    match name.as_str() {
        "TINYINT" | "SMALLINT" | "INT2" => SqlType::SmallInt,
        "INT4" => SqlType::Integer,
        "INT" | "INTEGER" | "BIGINT" | "INT8" | "MEDIUMINT" | "BIG INT" | "UNSIGNED BIG INT"
        | "UNSIGNED INT" | "INT UNSIGNED" | "INTEGER UNSIGNED" | "BIGINT UNSIGNED" => {
            SqlType::BigInt
        }
        "FLOAT4" => SqlType::Real,
        _ if affinity == Affinity::Real => SqlType::Double,
        "DECIMAL_TEXT" | "DECIMAL" | "NUMERIC" | "DEC" | "NUMBER" => decimal(&arguments),
        "CHAR" | "CHARACTER" | "NCHAR" | "NATIVE CHARACTER" => {
            characters.map_or(SqlType::VarChar(None), SqlType::Char)
        }
        "VARCHAR" | "VARYING CHARACTER" | "CHARACTER VARYING" | "CHAR VARYING" | "NVARCHAR"
        | "VARCHAR2" | "NVARCHAR2" => SqlType::VarChar(characters),
        "CHAR_OCTETS" => {
            text_length(LengthUnit::Bytes).map_or(SqlType::VarChar(None), SqlType::Char)
        }
        "VARCHAR_OCTETS" => SqlType::VarChar(text_length(LengthUnit::Bytes)),
        "DATE_TEXT" | "DATE" => SqlType::Date,
        "TIME_TEXT" | "TIME" => SqlType::Time,
        "TIMESTAMP_TEXT" | "TIMESTAMP" | "DATETIME" => SqlType::Timestamp {
            precision: arguments
                .first()
                .and_then(|&digits| u8::try_from(digits).ok())
                .map_or(9, |digits| digits.min(9)),
        },
        "BOOLEAN" | "BOOL" => SqlType::Boolean,
        "BINARY_BLOB" | "BINARY" => match arguments.first() {
            Some(&length) => SqlType::Binary(length),
            None => SqlType::VarBinary(None),
        },
        "VARBINARY_BLOB" | "VARBINARY" => SqlType::VarBinary(arguments.first().copied()),
        "BLOB" => SqlType::VarBinary(None),
        _ => SqlType::VarChar(None),
    }
}

fn decimal(arguments: &[u32]) -> SqlType {
    let byte = |index: usize| arguments.get(index).map(|&n| u8::try_from(n).unwrap_or(0));
    let (precision, scale) = match (byte(0), byte(1)) {
        (Some(precision), scale) => (precision, scale.unwrap_or(0)),
        (None, _) => (DECIMAL_DIGITS, DECIMAL_DIGITS / 2),
    };
    if precision == 0 || precision > DECIMAL_DIGITS || scale > precision {
        // Nothing that standard SQL knows: as without arguments.
        return SqlType::Decimal { precision: DECIMAL_DIGITS, scale: DECIMAL_DIGITS / 2 };
    }
    SqlType::Decimal { precision, scale }
}

/// `Numeric ( 10, 2 )` to `NUMERIC` and its numbers; blanks between words become one.
fn split_arguments(declared: &str) -> (String, Vec<u32>) {
    let (name, rest) = declared.split_once('(').unwrap_or((declared, ""));
    let words: Vec<_> = name.split_ascii_whitespace().collect();
    let numbers = rest.split([',', ')']).map_while(|number| number.trim().parse().ok()).collect();
    (words.join(" ").to_ascii_uppercase(), numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sqlite::exact::Exactness;

    #[test]
    fn affinities_follow_the_five_rules() {
        for (declared, affinity) in [
            ("INTEGER", Affinity::Integer),
            ("POINT", Affinity::Integer),
            ("CHARINT", Affinity::Integer),
            ("varchar(20)", Affinity::Text),
            ("DECIMAL_TEXT(31,10)", Affinity::Text),
            ("BLOB", Affinity::Blob),
            ("", Affinity::Blob),
            ("FLOAT", Affinity::Real),
            ("DOUBLE PRECISION", Affinity::Real),
            ("STRING", Affinity::Numeric),
            ("NUMERIC(10,2)", Affinity::Numeric),
            ("ANY", Affinity::Numeric),
        ] {
            assert_eq!(Affinity::of(declared, false), affinity, "{declared}");
        }
        assert_eq!(Affinity::of("ANY", true), Affinity::Blob);
    }

    #[test]
    fn what_we_declare_is_read_back_and_changes_no_value() {
        let length = |unit| TextLength { max: 12, unit };
        for ty in [
            SqlType::SmallInt,
            SqlType::Integer,
            SqlType::BigInt,
            SqlType::Decimal { precision: 31, scale: 10 },
            SqlType::Real,
            SqlType::Double,
            SqlType::Char(length(LengthUnit::Characters)),
            SqlType::Char(length(LengthUnit::Bytes)),
            SqlType::VarChar(Some(length(LengthUnit::Characters))),
            SqlType::VarChar(Some(length(LengthUnit::Bytes))),
            SqlType::VarChar(None),
            SqlType::Date,
            SqlType::Time,
            SqlType::Timestamp { precision: 0 },
            SqlType::Timestamp { precision: 6 },
            SqlType::Boolean,
            SqlType::Binary(4),
            SqlType::VarBinary(Some(9)),
            SqlType::VarBinary(None),
        ] {
            let declared = declare(ty);
            let affinity = Affinity::of(&declared, false);
            assert_eq!(parse_declared(&declared, affinity), ty, "{declared}");
            assert_eq!(Exactness::of(ty, affinity), Exactness::Always, "{declared}");
        }
    }

    #[test]
    fn foreign_declarations_are_understood() {
        let parse = |declared: &str| parse_declared(declared, Affinity::of(declared, false));
        assert_eq!(parse("INTEGER"), SqlType::BigInt);
        assert_eq!(parse("INT8"), SqlType::BigInt);
        assert_eq!(parse("Numeric ( 10, 2 )"), SqlType::Decimal { precision: 10, scale: 2 });
        assert_eq!(parse("DECIMAL(7)"), SqlType::Decimal { precision: 7, scale: 0 });
        assert_eq!(parse("NUMERIC"), SqlType::Decimal { precision: 38, scale: 19 });
        assert_eq!(parse("NUMERIC(99,2)"), SqlType::Decimal { precision: 38, scale: 19 });
        assert_eq!(parse("STRING"), SqlType::VarChar(None));
        assert_eq!(parse("POINT"), SqlType::VarChar(None));
        assert_eq!(parse(""), SqlType::VarChar(None));
        assert_eq!(parse("DATETIME"), SqlType::Timestamp { precision: 9 });
        assert_eq!(parse("FLOAT"), SqlType::Double);
        let length = TextLength { max: 20, unit: LengthUnit::Characters };
        assert_eq!(parse("character  varying(20)"), SqlType::VarChar(Some(length)));
    }
}
