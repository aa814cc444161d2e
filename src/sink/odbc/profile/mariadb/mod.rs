//! MariaDB and MySQL through MariaDB Connector/ODBC: typed arrays, which the driver sends in the
//! server's bulk protocol.

mod errors;
mod key;
mod staging;

use std::time::Duration;

use super::keyed;
use super::{
    Arrays, Bounds, Counted, ENCRYPTION, Encode, KeyFacts, Profile, ProfileName, RequiredKeyword,
    RowSql, StagingProfile, TextCheck, Verdict, announced, hex, quoted,
};
use crate::arena::IndicatorWidth;
use crate::config::schema::{Column, LengthUnit, SqlType, TextLength};
use crate::limits::DECIMAL_DIGITS;
use crate::sink::odbc::catalog::{self, CatalogColumn, TableName};
use crate::sink::odbc::clue::Clues;
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::connection_text::Keywords;
use crate::sink::odbc::raw::Diagnostic;
use crate::sink::{ErrorClass, LedgerForm, RowAction, SinkError};

/// The profile.
pub(super) struct Mariadb;

/// A silent reconnect would lose the open transaction and load half a batch as a whole one.
const KEYWORDS: &[RequiredKeyword] =
    &[(&["AUTO_RECONNECT"], "0"), (&["CHARSET"], "utf8mb4"), (&["NO_PROMPT"], "1")];

/// The driver's options as one number, under its names.
const OPTION: &[&str] = &["OPTION", "OPTIONS"];

/// Rows that a statement finds are counted, not only those that it changes: a row that an upsert
/// leaves as it is counts 1 then, and fewer than were sent are a loss.
const FOUND_ROWS: u64 = 2;

/// The driver asks nobody. Named again, because the number stands above the single keywords.
const NO_PROMPT: u64 = 16;

/// A mode in which nothing is stored but what was sent: no cut or clamped value
/// (`STRICT_ALL_TABLES`), no number made out of 0, and no mode of the server's configuration that
/// turns empty text into NULL.
const SQL_MODE: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
                        ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// Bytes that the fixed part of a row may have (MariaDB documentation, "InnoDB Limitations").
const ROW_BYTES: u64 = 65_535;

impl Profile for Mariadb {
    fn name(&self) -> ProfileName {
        ProfileName::Mariadb
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            columns: Some(1_017),
            name: 64,
            name_unit: LengthUnit::Characters,
            batch_rows: 2_000,
            nul_in_text: true,
            batch_rows_max: 1 << 20,
            timestamp_digits: 6,
            request_bytes: None,
        }
    }

    fn connection_keywords(&self) -> &'static [RequiredKeyword] {
        KEYWORDS
    }

    fn complete(&self, keywords: &mut Keywords, _connect_timeout: Duration) {
        for (names, value) in self.connection_keywords() {
            keywords.set(names, value);
        }
        let given = keywords.get(OPTION).and_then(|text| text.trim().parse::<u64>().ok());
        let option = given.unwrap_or(0) | FOUND_ROWS | NO_PROMPT;
        keywords.set(OPTION, &option.to_string());
    }

    fn session_sql(&self, query_timeout: Duration) -> Vec<String> {
        vec![
            format!("SET SESSION sql_mode = '{SQL_MODE}'"),
            format!(
                "SET SESSION max_statement_time = {}.{:03}",
                query_timeout.as_secs(),
                query_timeout.subsec_millis()
            ),
        ]
    }

    fn server_keeps_query_timeout(&self) -> bool {
        true
    }

    fn text_checks(&self) -> &'static [TextCheck] {
        &[TextCheck { sql: "SELECT CHAR_LENGTH(?)", answer: "4", lengths: LengthUnit::Characters }]
    }

    fn connection_facts(&self, _keywords: &Keywords) -> Vec<(&'static str, String)> {
        vec![("reconnection", "never by the driver (AUTO_RECONNECT=0)".to_owned())]
    }

    fn fact_sql(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("sql_mode", "SELECT @@SESSION.sql_mode"),
            ("character set", "SELECT @@SESSION.character_set_client"),
            ("time zone", "SELECT @@SESSION.time_zone"),
            (
                ENCRYPTION,
                "SELECT COALESCE(NULLIF(TRIM(GROUP_CONCAT(variable_value ORDER BY variable_name \
                 DESC SEPARATOR ' ')), ''), 'none') FROM information_schema.session_status \
                 WHERE variable_name IN ('SSL_VERSION', 'SSL_CIPHER')",
            ),
            ("innodb_flush_log_at_trx_commit", "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"),
        ]
    }

    fn request_bytes_sql(&self) -> Option<&'static str> {
        Some("SELECT @@SESSION.max_allowed_packet")
    }

    fn columns(
        &self,
        session: &Session,
        table: &TableName,
        quote: char,
    ) -> Result<Option<Vec<CatalogColumn>>, SinkError> {
        if catalog::describe(session, table, quote)?.is_none() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT column_name, data_type, column_type, character_maximum_length, \
             numeric_precision, numeric_scale, datetime_precision, is_nullable, extra \
             FROM information_schema.columns WHERE {} ORDER BY ordinal_position",
            name_condition(table)
        );
        let rows = session.query(&sql)?;
        let columns: Result<Vec<_>, _> = rows.iter().map(|row| catalog_column(row)).collect();
        columns.map(Some)
    }

    fn check_table(&self, session: &Session, table: &TableName) -> Result<(), SinkError> {
        let sql = format!(
            "SELECT t.engine, e.transactions FROM information_schema.tables t \
             JOIN information_schema.engines e ON e.engine = t.engine WHERE {}",
            name_condition(table)
        );
        for row in session.query(&sql)? {
            if let [Some(engine), transactions] = row.as_slice()
                && transactions.as_deref() != Some("YES")
            {
                return Err(SinkError::permanent(format!(
                    "table {}: its engine {engine} has no transactions, so a stopped load could \
                     not be undone; ALTER TABLE … ENGINE=InnoDB",
                    table.table
                )));
            }
        }
        Ok(())
    }

    fn row_sql(
        &self,
        action: &RowAction,
        table: &str,
        columns: &[CatalogColumn],
        quote: char,
    ) -> Result<RowSql, SinkError> {
        let insert = self.insert_sql(table, columns, quote);
        match action {
            RowAction::Insert => Ok(RowSql::new(insert, columns.len(), Counted::Each)),
            RowAction::Stage { .. } => Err(keyed::not_direct(action, self.name().name())),
            RowAction::Upsert { key } => {
                let text = format!("{insert} {}", key::duplicate_sql(columns, key, quote));
                Ok(RowSql::new(text, columns.len(), key::COUNTED))
            }
            RowAction::Delete { .. } => Ok(key::delete_sql(table, columns, quote)),
        }
    }

    fn key_facts(
        &self,
        session: &Session,
        table: &TableName,
        columns: &[CatalogColumn],
        action: &RowAction,
    ) -> Result<KeyFacts, SinkError> {
        key::facts(session, table, columns, action)
    }

    fn ledger(&self) -> LedgerForm {
        // Whatever the server's default engine is.
        let create_end = " ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin";
        LedgerForm { create_end, many_rows: true, has_heartbeat: true, patience_sql: None }
    }

    fn hold_sql(&self, job: &str) -> Option<String> {
        let job = job.replace('\\', "\\\\").replace('\'', "''");
        // Names of locks are short, and one for all databases of the server.
        Some(format!("SELECT GET_LOCK(CONCAT('fastload:', MD5(CONCAT(DATABASE(), '{job}'))), 0)"))
    }

    fn own_id_sql(&self) -> Option<&'static str> {
        Some("SELECT CONNECTION_ID()")
    }

    fn stop_sql(&self, id: &str) -> Option<String> {
        Some(format!("KILL QUERY {id}"))
    }

    fn staging(&self) -> &'static dyn StagingProfile {
        &staging::MariadbTables
    }

    fn encoder(&self, columns: &[CatalogColumn], _width: IndicatorWidth) -> Box<dyn Encode> {
        Box::new(Arrays::new(columns.iter().map(|column| announced(column.column.ty)).collect()))
    }

    fn type_names(&self, columns: &[Column], quote: char, _lengths: LengthUnit) -> Vec<String> {
        let mut bytes: u64 = columns.iter().map(|column| row_bytes(column.ty)).sum();
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(row_bytes(columns[index].ty)));
        let mut names: Vec<String> = columns.iter().map(|column| type_name(column.ty)).collect();
        // The widest texts leave the row until it fits; a check keeps their length.
        for index in order {
            let (column, own) = (&columns[index], row_bytes(columns[index].ty));
            if bytes <= ROW_BYTES || own <= POINTER_BYTES {
                break;
            }
            let name = quoted(&column.name, quote);
            names[index] = match column.ty {
                SqlType::Char(length) | SqlType::VarChar(Some(length)) => {
                    let max = length.max;
                    format!(
                        "{} CHECK (CHAR_LENGTH({name}) <= {max})",
                        text_type(u64::from(max) * 4)
                    )
                }
                SqlType::Binary(max) | SqlType::VarBinary(Some(max)) => {
                    format!("LONGBLOB CHECK (LENGTH({name}) <= {max})")
                }
                _ => break,
            };
            bytes = bytes - own + POINTER_BYTES;
        }
        names
    }

    fn verdict(&self, diagnostic: &Diagnostic) -> Verdict {
        errors::verdict(diagnostic)
    }

    fn commit_class(&self, diagnostic: &Diagnostic) -> ErrorClass {
        errors::commit_class(diagnostic)
    }

    fn advice(&self, diagnostic: &Diagnostic) -> Option<String> {
        errors::advice(diagnostic)
    }

    fn counts_rows(&self) -> bool {
        true
    }

    fn clues(&self) -> Clues {
        // Since MariaDB 10.7, for arrays too.
        Clues::Asked {
            statements: &["GET DIAGNOSTICS CONDITION 1 @fastload_row = ROW_NUMBER"],
            query: "SELECT @fastload_row",
        }
    }

    fn warnings_sql(&self) -> Option<&'static str> {
        // Errors among them: the driver reports one whose state is 01000 (1265, data truncated, an
        // error in strict mode) as success, though no row of the array went in.
        Some("SHOW WARNINGS LIMIT 16")
    }

    fn is_data_warning(&self, warning: &Diagnostic) -> bool {
        matches!(errors::native_verdict(warning), Some(Verdict::Row(_)))
    }
}

/// Condition on `table_schema` and `table_name`. The names stand in hexadecimal, whatever the
/// rules of string literals are, and are compared byte by byte unless the server folds names.
fn name_condition(table: &TableName) -> String {
    let literal = |name: &str| format!("CONVERT(X'{}' USING utf8mb4)", hex(name));
    let schema = table.schema.as_ref();
    let schema = schema.map_or_else(|| "DATABASE()".to_owned(), |name| literal(name));
    let folded = |name: String| {
        format!("BINARY CASE @@lower_case_table_names WHEN 0 THEN {name} ELSE LOWER({name}) END")
    };
    format!(
        "BINARY table_schema = {} AND BINARY table_name = {}",
        folded(schema),
        folded(literal(&table.table))
    )
}

fn catalog_column(row: &[Option<String>]) -> Result<CatalogColumn, SinkError> {
    let cell = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or("");
    let number = |index: usize| cell(index).parse::<u64>().ok();
    let (name, data_type, column_type) = (cell(0), cell(1), cell(2).to_ascii_lowercase());
    let length = || number(3).and_then(|n| u32::try_from(n).ok());
    let text = |unit| length().map(|max| TextLength { max, unit });
    let unsigned = column_type.contains("unsigned");
    let refused = |why: &str| {
        Err(SinkError::permanent(format!("column {name:?} is of type {column_type}: {why}")))
    };
    let ty = match data_type.to_ascii_lowercase().as_str() {
        "tinyint" if column_type == "tinyint(1)" => SqlType::Boolean,
        "tinyint" | "year" => SqlType::SmallInt,
        "smallint" if !unsigned => SqlType::SmallInt,
        "smallint" | "mediumint" => SqlType::Integer,
        "int" if !unsigned => SqlType::Integer,
        "int" => SqlType::BigInt,
        "bigint" if !unsigned => SqlType::BigInt,
        "bigint" => SqlType::Decimal { precision: 20, scale: 0 },
        "decimal" => match number(5).and_then(|scale| u8::try_from(scale).ok()) {
            Some(scale) if scale <= DECIMAL_DIGITS => SqlType::Decimal {
                // More digits than we count are refused by us, never cut.
                precision: number(4)
                    .and_then(|precision| u8::try_from(precision).ok())
                    .map_or(DECIMAL_DIGITS, |precision| precision.min(DECIMAL_DIGITS)),
                scale,
            },
            _ => return refused("its scale is too large"),
        },
        "float" | "double" if number(5).is_some() => {
            return refused("a float with a scale rounds what it stores");
        }
        "float" => SqlType::Real,
        "double" => SqlType::Double,
        "char" => text(LengthUnit::Characters).map_or(SqlType::VarChar(None), SqlType::Char),
        "varchar" => SqlType::VarChar(text(LengthUnit::Characters)),
        "tinytext" | "text" | "mediumtext" | "longtext" => {
            SqlType::VarChar(text(LengthUnit::Bytes))
        }
        // Read by the server, which refuses in strict mode what it would change.
        "enum" | "set" | "uuid" | "inet4" | "inet6" | "json" => SqlType::VarChar(None),
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "datetime" | "timestamp" => SqlType::Timestamp {
            precision: number(6).and_then(|p| u8::try_from(p).ok()).unwrap_or(0),
        },
        "bit" if column_type == "bit(1)" => SqlType::Boolean,
        "binary" => SqlType::Binary(length().unwrap_or(1)),
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            SqlType::VarBinary(length())
        }
        _ => return refused("such columns cannot be loaded from text; leave it out or cast it"),
    };
    let extra = cell(8).to_ascii_lowercase();
    Ok(CatalogColumn {
        column: Column {
            name: name.to_owned(),
            ty,
            nullable: cell(7) == "YES",
            generated: ["auto_increment", "generated", "virtual", "persistent"]
                .iter()
                .any(|word| extra.contains(word)),
        },
        server_type: String::new(),
        announced: announced(ty),
    })
}

/// Bytes in the row of what stands outside of it: pointer and length.
const POINTER_BYTES: u64 = 12;

/// Most bytes that a column takes of the row.
fn row_bytes(ty: SqlType) -> u64 {
    match ty {
        SqlType::SmallInt => 2,
        SqlType::Integer | SqlType::Real => 4,
        SqlType::BigInt | SqlType::Double | SqlType::Timestamp { .. } => 8,
        SqlType::Decimal { precision, .. } => 4 + u64::from(precision),
        SqlType::Date | SqlType::Time => 3,
        SqlType::Boolean => 1,
        SqlType::VarChar(None) | SqlType::VarBinary(None) => POINTER_BYTES,
        SqlType::Char(length) | SqlType::VarChar(Some(length)) if length.max <= 16_383 => {
            u64::from(length.max) * 4 + 2
        }
        SqlType::Binary(length) | SqlType::VarBinary(Some(length)) if length <= 65_000 => {
            u64::from(length) + 2
        }
        // These are declared as TEXT or BLOB from the start.
        SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Binary(_) | SqlType::VarBinary(_) => {
            POINTER_BYTES
        }
    }
}

fn text_type(bytes: u64) -> &'static str {
    match bytes {
        0..=65_535 => "TEXT",
        65_536..=16_777_215 => "MEDIUMTEXT",
        _ => "LONGTEXT",
    }
}

fn type_name(ty: SqlType) -> String {
    match ty {
        SqlType::SmallInt => "SMALLINT".to_owned(),
        SqlType::Integer => "INTEGER".to_owned(),
        SqlType::BigInt => "BIGINT".to_owned(),
        SqlType::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        SqlType::Real => "FLOAT".to_owned(),
        SqlType::Double => "DOUBLE".to_owned(),
        SqlType::Char(length) if length.max <= 255 => format!("CHAR({})", length.max),
        SqlType::Char(length) | SqlType::VarChar(Some(length)) if length.max <= 16_383 => {
            format!("VARCHAR({})", length.max)
        }
        SqlType::Char(length) | SqlType::VarChar(Some(length)) => {
            text_type(u64::from(length.max) * 4).to_owned()
        }
        SqlType::VarChar(None) => "LONGTEXT".to_owned(),
        SqlType::Date => "DATE".to_owned(),
        SqlType::Time => "TIME".to_owned(),
        SqlType::Timestamp { precision } => format!("DATETIME({precision})"),
        SqlType::Boolean => "BOOLEAN".to_owned(),
        SqlType::Binary(length) if length <= 255 => format!("BINARY({length})"),
        SqlType::Binary(length) | SqlType::VarBinary(Some(length)) if length <= 65_000 => {
            format!("VARBINARY({length})")
        }
        SqlType::Binary(_) | SqlType::VarBinary(_) => "LONGBLOB".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_rows_leave_the_page() {
        let length = TextLength { max: 4_000, unit: LengthUnit::Characters };
        let columns: Vec<Column> = (0..20)
            .map(|n| Column {
                name: format!("c{n}"),
                ty: SqlType::VarChar(Some(length)),
                nullable: true,
                generated: false,
            })
            .collect();
        let names = Mariadb.type_names(&columns, '`', LengthUnit::Characters);
        let inside = names.iter().filter(|name| name.as_str() == "VARCHAR(4000)").count();
        assert_eq!(inside, 4);
        assert_eq!(names[0], "TEXT CHECK (CHAR_LENGTH(`c0`) <= 4000)");
    }
}
