//! Any other database: plain arrays and standard SQL, text for whatever is not a plain number,
//! types by what the driver describes.

use std::time::Duration;

use super::{Arrays, Bounds, Encode, Profile, ProfileName, announced};
use crate::arena::IndicatorWidth;
use crate::config::schema::{Column, LengthUnit, SqlType, TextLength};
use crate::limits::DECIMAL_DIGITS;
use crate::sink::odbc::catalog::{self, CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::parameter::{ParameterType, sql_type};
use crate::sink::odbc::raw::DescribedColumn;
use crate::sink::{LedgerForm, SinkError};

/// The profile.
pub(super) struct Generic;

impl Profile for Generic {
    fn name(&self) -> ProfileName {
        ProfileName::Generic
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            columns: None,
            name: 128,
            name_unit: LengthUnit::Characters,
            batch_rows: 1_000,
            // Some drivers cut text at its first NUL.
            nul_in_text: false,
            // Some drivers count the rows of an array in 16 bits.
            batch_rows_max: 65_535,
            timestamp_digits: 9,
            request_bytes: None,
        }
    }

    fn ledger(&self) -> LedgerForm {
        LedgerForm { create_end: "", many_rows: false, has_heartbeat: true, patience_sql: None }
    }

    fn session_sql(&self, _query_timeout: Duration) -> Vec<String> {
        Vec::new()
    }

    fn columns(
        &self,
        session: &Session,
        table: &TableName,
        quote: char,
    ) -> Result<Option<Vec<CatalogColumn>>, SinkError> {
        let Some(described) = catalog::describe(session, table, quote)? else {
            return Ok(None);
        };
        let columns: Result<Vec<_>, _> = described.iter().map(catalog_column).collect();
        columns.map(Some)
    }

    fn encoder(&self, columns: &[CatalogColumn], _width: IndicatorWidth) -> Box<dyn Encode> {
        Box::new(Arrays::new(columns.iter().map(|column| column.announced).collect()))
    }

    fn type_names(&self, columns: &[Column], _quote: char, _lengths: LengthUnit) -> Vec<String> {
        columns.iter().map(|column| type_name(column.ty)).collect()
    }
}

fn catalog_column(described: &DescribedColumn) -> Result<CatalogColumn, SinkError> {
    let ty = sql_type_of(described).ok_or_else(|| {
        SinkError::permanent(format!(
            "column {:?} is of SQL type {}, size {}, digits {}: such columns cannot be loaded from \
             text; leave it out",
            described.name, described.code, described.size, described.digits
        ))
    })?;
    let declared = announced(ty);
    Ok(CatalogColumn {
        column: Column {
            name: described.name.clone(),
            ty,
            nullable: described.nullable,
            generated: false,
        },
        server_type: String::new(),
        announced: ParameterType {
            // The driver's own word for the column, but for wide characters: the arena holds
            // UTF-8, and one driver ends the connection over them.
            code: match described.code {
                sql_type::WCHAR => sql_type::CHAR,
                sql_type::WVARCHAR => sql_type::VARCHAR,
                sql_type::WLONGVARCHAR => sql_type::LONGVARCHAR,
                code => code,
            },
            ..declared
        },
    })
}

fn sql_type_of(described: &DescribedColumn) -> Option<SqlType> {
    // A size of 0 or about 2 GiB is how drivers say that there is no bound.
    let size = u32::try_from(described.size).ok();
    let size = size.filter(|&size| size > 0 && size < 0x3fff_ffff);
    let text = |unit| size.map(|max| TextLength { max, unit });
    Some(match described.code {
        sql_type::TINYINT | sql_type::SMALLINT => SqlType::SmallInt,
        sql_type::INTEGER => SqlType::Integer,
        sql_type::BIGINT => SqlType::BigInt,
        sql_type::REAL => SqlType::Real,
        sql_type::FLOAT | sql_type::DOUBLE => SqlType::Double,
        sql_type::DECIMAL | sql_type::NUMERIC => {
            let scale = u8::try_from(described.digits).ok()?;
            let precision = u8::try_from(size?).ok()?.min(DECIMAL_DIGITS);
            if scale > precision {
                return None;
            }
            SqlType::Decimal { precision, scale }
        }
        // Whether a narrow column counts bytes or characters is not known: bytes never overflow.
        sql_type::CHAR => text(LengthUnit::Bytes).map_or(SqlType::VarChar(None), SqlType::Char),
        sql_type::WCHAR => {
            text(LengthUnit::Characters).map_or(SqlType::VarChar(None), SqlType::Char)
        }
        sql_type::VARCHAR | sql_type::LONGVARCHAR => SqlType::VarChar(text(LengthUnit::Bytes)),
        sql_type::WVARCHAR | sql_type::WLONGVARCHAR => {
            SqlType::VarChar(text(LengthUnit::Characters))
        }
        sql_type::DATE => SqlType::Date,
        sql_type::TIME => SqlType::Time,
        sql_type::TIMESTAMP => {
            SqlType::Timestamp { precision: u8::try_from(described.digits).ok()?.min(9) }
        }
        sql_type::BIT => SqlType::Boolean,
        sql_type::BINARY => size.map_or(SqlType::VarBinary(None), SqlType::Binary),
        sql_type::VARBINARY | sql_type::LONGVARBINARY => SqlType::VarBinary(size),
        _ => return None,
    })
}

fn type_name(ty: SqlType) -> String {
    match ty {
        SqlType::SmallInt => "SMALLINT".to_owned(),
        SqlType::Integer => "INTEGER".to_owned(),
        SqlType::BigInt => "BIGINT".to_owned(),
        SqlType::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        SqlType::Real => "REAL".to_owned(),
        SqlType::Double => "DOUBLE PRECISION".to_owned(),
        SqlType::Char(length) => format!("CHAR({})", length.max),
        SqlType::VarChar(Some(length)) => format!("VARCHAR({})", length.max),
        SqlType::VarChar(None) => "CLOB".to_owned(),
        SqlType::Date => "DATE".to_owned(),
        SqlType::Time => "TIME".to_owned(),
        SqlType::Timestamp { precision } => format!("TIMESTAMP({precision})"),
        SqlType::Boolean => "BOOLEAN".to_owned(),
        SqlType::Binary(length) => format!("BINARY({length})"),
        SqlType::VarBinary(Some(length)) => format!("VARBINARY({length})"),
        SqlType::VarBinary(None) => "BLOB".to_owned(),
    }
}
