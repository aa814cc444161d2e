//! Column types of Db2 and what they are to us.

use crate::config::schema::{LengthUnit, SqlType, TextLength};
use crate::sink::odbc::parameter::{ParameterType, sql_type};

use super::super::announced;

/// Type codes of the driver's own (`sqlcli1.h`).
pub(super) const BLOB: i16 = -98;
pub(super) const CLOB: i16 = -99;
pub(super) const BOOLEAN: i16 = 16;
pub(super) const GRAPHIC: i16 = -95;
pub(super) const VARGRAPHIC: i16 = -96;
pub(super) const DECFLOAT: i16 = -360;

/// Longest VARCHAR, in bytes.
pub(super) const VARCHAR_BYTES: u32 = 32_672;

/// Longest CHAR, in bytes.
pub(super) const CHAR_BYTES: u32 = 255;

/// SQL type to announce for a column: the standard's but for large objects, truth values, and
/// wide characters, which end the connection through this driver.
pub(super) fn announced_for(ty: SqlType) -> ParameterType {
    let code = match ty {
        SqlType::VarChar(None) => CLOB,
        SqlType::VarChar(Some(length)) if length.max > VARCHAR_BYTES => CLOB,
        SqlType::VarBinary(None) => BLOB,
        SqlType::VarBinary(Some(max)) if max > VARCHAR_BYTES => BLOB,
        SqlType::Boolean => BOOLEAN,
        other => return announced(other),
    };
    ParameterType { code, ..announced(ty) }
}

/// The type for a described column; the unit of text lengths is the server's.
pub(super) fn described_type(
    code: i16,
    size: u64,
    digits: i16,
    unit: LengthUnit,
) -> Option<SqlType> {
    let max = u32::try_from(size).ok().filter(|&max| max > 0);
    let text = |unit| max.map(|max| TextLength { max, unit });
    Some(match code {
        sql_type::SMALLINT => SqlType::SmallInt,
        sql_type::INTEGER => SqlType::Integer,
        sql_type::BIGINT => SqlType::BigInt,
        sql_type::REAL => SqlType::Real,
        sql_type::FLOAT | sql_type::DOUBLE => SqlType::Double,
        sql_type::DECIMAL | sql_type::NUMERIC => {
            let (precision, scale) = (u8::try_from(max?).ok()?, u8::try_from(digits).ok()?);
            if scale > precision {
                return None;
            }
            SqlType::Decimal { precision, scale }
        }
        sql_type::CHAR => SqlType::Char(text(unit)?),
        sql_type::VARCHAR | sql_type::LONGVARCHAR => SqlType::VarChar(Some(text(unit)?)),
        GRAPHIC | sql_type::WCHAR => SqlType::Char(text(LengthUnit::Characters)?),
        VARGRAPHIC | sql_type::WVARCHAR => SqlType::VarChar(text(LengthUnit::Characters)),
        CLOB => SqlType::VarChar(text(unit)),
        BOOLEAN | sql_type::BIT => SqlType::Boolean,
        sql_type::DATE => SqlType::Date,
        sql_type::TIME => SqlType::Time,
        sql_type::TIMESTAMP => SqlType::Timestamp { precision: u8::try_from(digits).ok()?.min(9) },
        sql_type::BINARY => SqlType::Binary(max?),
        sql_type::VARBINARY | sql_type::LONGVARBINARY | BLOB => SqlType::VarBinary(max),
        DECFLOAT => decfloat(size),
        _ => return None,
    })
}

/// DECFLOAT keeps 16 or 34 digits and rounds the rest without a word: a text of no more bytes than
/// that has no more digits, and arrives exactly.
pub(super) fn decfloat(digits: u64) -> SqlType {
    let max = if digits <= 16 { 16 } else { 34 };
    SqlType::VarChar(Some(TextLength { max, unit: LengthUnit::Bytes }))
}
