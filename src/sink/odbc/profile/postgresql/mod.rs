//! PostgreSQL through psqlodbc: one array parameter a column, unfolded by the server, because the
//! driver turns parameter arrays into statement texts that the server must parse.

mod errors;
mod key;
mod staging;

use std::time::Duration;

use super::array_literal;
use super::keyed;
use super::{
    Bounds, Counted, ENCRYPTION, Encode, KeyFacts, Profile, ProfileName, RequiredKeyword, RowSql,
    Savepoint, StagingProfile, TextCheck, Verdict, announced, hex, quoted,
};
use crate::arena::{Batch, IndicatorWidth};
use crate::config::schema::{Column, LengthUnit, SqlType, TextLength};
use crate::limits::DECIMAL_DIGITS;
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::clue::Clues;
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::connection_text::Keywords;
use crate::sink::odbc::parameter::{LengthWord, Parameter};
use crate::sink::odbc::raw::Diagnostic;
use crate::sink::{ErrorClass, LedgerForm, RowAction, SinkError};

/// The profile.
pub(super) struct Postgresql;

/// The driver's own rollback after an error is off (`7.4-0`): level 2, its default, would issue
/// savepoints around each statement, level 1 would roll the transaction back behind ours.
const KEYWORDS: &[RequiredKeyword] = &[
    (&["Protocol", "A1"], "7.4-0"),
    (&["UseServerSidePrepare", "C8"], "1"),
    (&["UseDeclareFetch", "B6"], "0"),
];

impl Profile for Postgresql {
    fn name(&self) -> ProfileName {
        ProfileName::Postgresql
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            // MaxHeapAttributeNumber, NAMEDATALEN - 1: longer names are cut with a notice.
            columns: Some(1_600),
            name: 63,
            name_unit: LengthUnit::Bytes,
            batch_rows: 5_000,
            nul_in_text: false,
            batch_rows_max: 1 << 20,
            timestamp_digits: 6,
            // A message is under 1 GiB, and escaping at most doubles a value.
            request_bytes: Some(400 << 20),
        }
    }

    fn connection_keywords(&self) -> &'static [RequiredKeyword] {
        KEYWORDS
    }

    fn session_sql(&self, query_timeout: Duration) -> Vec<String> {
        vec![
            "SET standard_conforming_strings = on".to_owned(),
            "SET DateStyle = 'ISO, YMD'".to_owned(),
            format!("SET statement_timeout = {}", query_timeout.as_millis()),
        ]
    }

    fn server_keeps_query_timeout(&self) -> bool {
        true
    }

    fn transaction_sql(&self) -> &'static [&'static str] {
        // A deferred constraint would otherwise fail at the commit, where no row can be named.
        &["SET CONSTRAINTS ALL IMMEDIATE"]
    }

    fn savepoint(&self) -> Savepoint {
        Savepoint {
            set: "SAVEPOINT fastload_batch",
            undo: &["ROLLBACK TO SAVEPOINT fastload_batch"],
            // Savepoints of one name pile up.
            keep: &["RELEASE SAVEPOINT fastload_batch"],
            outlives_undo: true,
        }
    }

    fn clues(&self) -> Clues {
        // DETAIL: Key (id)=(7) already exists.
        Clues::Words
    }

    fn text_checks(&self) -> &'static [TextCheck] {
        // SQL_ASCII counts bytes and stores them as they come.
        &[TextCheck {
            sql: "SELECT CASE WHEN getdatabaseencoding() = 'SQL_ASCII' AND octet_length(t) = 10 \
                  THEN 4 ELSE char_length(t) END FROM (SELECT ?::text AS t) AS s",
            answer: "4",
            lengths: LengthUnit::Characters,
        }]
    }

    fn connection_facts(&self, _keywords: &Keywords) -> Vec<(&'static str, String)> {
        vec![("reconnection", "never by the driver".to_owned())]
    }

    fn fact_sql(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("server encoding", "SHOW server_encoding"),
            ("time zone", "SHOW TimeZone"),
            ("synchronous_commit", "SHOW synchronous_commit"),
            (
                ENCRYPTION,
                "SELECT CASE WHEN ssl THEN version || ' ' || cipher ELSE 'none' END \
                 FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            ),
        ]
    }

    fn columns(
        &self,
        session: &Session,
        table: &TableName,
        _quote: char,
    ) -> Result<Option<Vec<CatalogColumn>>, SinkError> {
        let name = hex(&table.sql('"'));
        let rows = session.query(&CATALOG_SQL.replace("$NAME", &name))?;
        let columns: Result<Vec<_>, _> = rows.iter().map(|row| catalog_column(row)).collect();
        Ok(Some(columns?).filter(|columns| !columns.is_empty()))
    }

    fn insert_sql(&self, table: &str, columns: &[CatalogColumn], quote: char) -> String {
        let Unfolded { names, cells, rows } = Unfolded::new(columns, quote);
        format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {rows}",
            names.join(", "),
            cells.join(", "),
        )
    }

    fn ledger(&self) -> LedgerForm {
        LedgerForm {
            create_end: "",
            many_rows: true,
            has_heartbeat: true,
            patience_sql: Some("SET LOCAL lock_timeout = '30s'"),
        }
    }

    fn hold_sql(&self, job: &str) -> Option<String> {
        let job = job.replace('\'', "''");
        // Two numbers name the lock: ours, and one of the job's name.
        Some(format!(
            "SELECT CASE WHEN pg_try_advisory_lock(1179403596, hashtext('{job}')) THEN 1 ELSE 0 END"
        ))
    }

    fn own_id_sql(&self) -> Option<&'static str> {
        Some("SELECT pg_backend_pid()")
    }

    fn stop_sql(&self, id: &str) -> Option<String> {
        Some(format!("SELECT pg_cancel_backend({id})"))
    }

    fn row_sql(
        &self,
        action: &RowAction,
        table: &str,
        columns: &[CatalogColumn],
        quote: char,
    ) -> Result<RowSql, SinkError> {
        let insert = || self.insert_sql(table, columns, quote);
        let (text, counted) = match action {
            RowAction::Insert => (insert(), Counted::Each),
            RowAction::Stage { .. } => return Err(keyed::not_direct(action, self.name().name())),
            RowAction::Upsert { key } => {
                let names = Unfolded::new(columns, quote).names;
                let (then, counted) = key::conflict_sql(&names, key);
                (format!("{} {then}", insert()), counted)
            }
            RowAction::Delete { .. } => (key::delete_sql(table, columns, quote), Counted::Free),
        };
        Ok(RowSql::new(text, columns.len(), counted))
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

    fn staging(&self) -> &'static dyn StagingProfile {
        &staging::PostgresqlTables
    }

    fn encoder(&self, columns: &[CatalogColumn], width: IndicatorWidth) -> Box<dyn Encode> {
        Box::new(Literals {
            texts: vec![Vec::new(); columns.len()],
            lengths: Vec::with_capacity(columns.len()),
            width,
        })
    }

    fn type_names(&self, columns: &[Column], _quote: char, _lengths: LengthUnit) -> Vec<String> {
        columns.iter().map(|column| type_name(column.ty)).collect()
    }

    fn emptying_sql(&self, table: &str) -> Vec<String> {
        // Part of the transaction, and free of the dead rows that DELETE leaves.
        vec![format!("TRUNCATE TABLE {table}")]
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

    fn is_harmless(&self, diagnostic: &Diagnostic) -> bool {
        // NOTICE and WARNING of triggers: the server refuses values, it never warns about them.
        super::HARMLESS_STATES.contains(&diagnostic.sqlstate.as_str())
            || diagnostic.sqlstate == "01000"
            || diagnostic.sqlstate == "00000"
    }
}

/// The parts of a statement that unfolds one array a column.
struct Unfolded {
    /// Columns of the table.
    names: Vec<String>,
    /// What is assigned to each.
    cells: Vec<String>,
    /// Where the cells come from.
    rows: String,
}

impl Unfolded {
    fn new(columns: &[CatalogColumn], quote: char) -> Self {
        let arrays: Vec<String> = columns
            .iter()
            .map(|column| format!("?::{}[]", element_type(column.column.ty)))
            .collect();
        let aliases: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
        let cells = columns.iter().zip(&aliases);
        let cells = cells.map(|(column, alias)| match column.server_type.as_str() {
            "" => format!("u.{alias}"),
            cast => format!("u.{alias}::{cast}"),
        });
        Self {
            names: columns.iter().map(|column| quoted(&column.column.name, quote)).collect(),
            cells: cells.collect(),
            rows: format!("unnest({}) AS u({})", arrays.join(", "), aliases.join(", ")),
        }
    }
}

/// Columns with the base types of domains. `to_jsonb` reads attributes that old servers lack.
const CATALOG_SQL: &str = "\
WITH RECURSIVE typ(attnum, oid, typmod, is_required) AS ( \
  SELECT a.attnum, a.atttypid, a.atttypmod, a.attnotnull \
  FROM pg_catalog.pg_attribute a \
  WHERE a.attrelid = to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) \
    AND a.attnum > 0 AND NOT a.attisdropped \
  UNION ALL \
  SELECT typ.attnum, t.typbasetype, \
    CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE typ.typmod END, \
    typ.is_required OR t.typnotnull \
  FROM typ JOIN pg_catalog.pg_type t ON t.oid = typ.oid WHERE t.typtype = 'd') \
SELECT a.attname::text, n.nspname::text, t.typname::text, typ.typmod::text, \
  CASE WHEN typ.is_required THEN 'y' ELSE 'n' END, \
  CASE WHEN coalesce(to_jsonb(a)->>'attidentity', '') <> '' \
         OR coalesce(to_jsonb(a)->>'attgenerated', '') <> '' THEN 'y' ELSE 'n' END \
FROM typ \
JOIN pg_catalog.pg_type t ON t.oid = typ.oid AND t.typtype <> 'd' \
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
JOIN pg_catalog.pg_attribute a ON a.attnum = typ.attnum \
  AND a.attrelid = to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) \
ORDER BY typ.attnum";

fn catalog_column(row: &[Option<String>]) -> Result<CatalogColumn, SinkError> {
    let cell = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or("");
    let (name, schema, type_name) = (cell(0), cell(1), cell(2));
    let typmod: i32 = cell(3).parse().unwrap_or(-1);
    let known = if schema == "pg_catalog" { base_type(name, type_name, typmod)? } else { None };
    // A cast may not carry a length: it would cut what the column's assignment refuses. The bare
    // name of the catalog in quotes is the type without one, also where the grammar knows better
    // (`bit` is `bit(1)`, `"bit"` is not).
    let (ty, server_type) = known.map_or_else(
        || {
            let cast = format!("{}.{}", quoted(schema, '"'), quoted(type_name, '"'));
            (SqlType::VarChar(None), cast)
        },
        |ty| (ty, String::new()),
    );
    Ok(CatalogColumn {
        column: Column {
            name: name.to_owned(),
            ty,
            nullable: cell(4) == "n",
            generated: cell(5) == "y",
        },
        server_type,
        announced: announced(ty),
    })
}

/// Our type for a type of the server, or `None` for one that is loaded as text with a cast.
fn base_type(column: &str, name: &str, typmod: i32) -> Result<Option<SqlType>, SinkError> {
    // `typmod` of character types and numeric counts from 4 (VARHDRSZ).
    let characters = |typmod: i32| {
        let max = u32::try_from(typmod - 4).ok()?;
        Some(TextLength { max, unit: LengthUnit::Characters })
    };
    Ok(Some(match name {
        "int2" => SqlType::SmallInt,
        "int4" => SqlType::Integer,
        "int8" => SqlType::BigInt,
        "float4" => SqlType::Real,
        "float8" => SqlType::Double,
        "bool" => SqlType::Boolean,
        "text" => SqlType::VarChar(None),
        "varchar" => SqlType::VarChar(characters(typmod)),
        // Without a length it is loaded as text with a cast: its blanks do not count.
        "bpchar" => match characters(typmod) {
            Some(length) => SqlType::Char(length),
            None => return Ok(None),
        },
        "name" => SqlType::VarChar(Some(TextLength { max: 63, unit: LengthUnit::Bytes })),
        "char" => SqlType::Char(TextLength { max: 1, unit: LengthUnit::Bytes }),
        "bytea" => SqlType::VarBinary(None),
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "timestamp" => SqlType::Timestamp { precision: u8::try_from(typmod).unwrap_or(6) },
        // Without precision any value is kept as it is: the server reads the text.
        "numeric" if typmod >= 4 => numeric(column, typmod - 4)?,
        _ => return Ok(None),
    }))
}

/// Precision stands in the upper 16 bits, the scale in the lower 11 as a signed number
/// (PostgreSQL source, `make_numeric_typmod`).
fn numeric(column: &str, packed: i32) -> Result<SqlType, SinkError> {
    let precision = (packed >> 16) & 0xffff;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    let held = u8::try_from(scale).ok().filter(|&scale| scale <= DECIMAL_DIGITS);
    match held {
        Some(held) if scale <= precision => Ok(SqlType::Decimal {
            // More digits than we count are refused by us, never cut.
            precision: u8::try_from(precision).map_or(DECIMAL_DIGITS, |p| p.min(DECIMAL_DIGITS)),
            scale: held,
        }),
        _ => Err(SinkError::permanent(format!(
            "column {column:?}: numeric({precision},{scale}) rounds what it stores; scales from 0 \
             to the precision, at most {DECIMAL_DIGITS}, can be loaded"
        ))),
    }
}

fn element_type(ty: SqlType) -> &'static str {
    match ty {
        SqlType::SmallInt => "int2",
        SqlType::Integer => "int4",
        SqlType::BigInt => "int8",
        SqlType::Decimal { .. } => "numeric",
        SqlType::Real => "float4",
        SqlType::Double => "float8",
        SqlType::Char(_) | SqlType::VarChar(_) => "text",
        SqlType::Date => "date",
        SqlType::Time => "time",
        SqlType::Timestamp { .. } => "timestamp",
        SqlType::Boolean => "bool",
        SqlType::Binary(_) | SqlType::VarBinary(_) => "bytea",
    }
}

fn type_name(ty: SqlType) -> String {
    match ty {
        SqlType::SmallInt => "smallint".to_owned(),
        SqlType::Integer => "integer".to_owned(),
        SqlType::BigInt => "bigint".to_owned(),
        SqlType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        SqlType::Real => "real".to_owned(),
        SqlType::Double => "double precision".to_owned(),
        SqlType::Char(length) => format!("char({})", length.max),
        // 10,485,760 is the longest length that the server lets a column declare.
        SqlType::VarChar(Some(length)) if length.max <= 10_485_760 => {
            format!("varchar({})", length.max)
        }
        SqlType::VarChar(_) => "text".to_owned(),
        SqlType::Date => "date".to_owned(),
        SqlType::Time => "time(0)".to_owned(),
        SqlType::Timestamp { precision } => format!("timestamp({precision})"),
        SqlType::Boolean => "boolean".to_owned(),
        SqlType::Binary(_) | SqlType::VarBinary(_) => "bytea".to_owned(),
    }
}

/// One array literal a column, in buffers that are used again.
struct Literals {
    texts: Vec<Vec<u8>>,
    lengths: Vec<LengthWord>,
    width: IndicatorWidth,
}

impl Encode for Literals {
    fn encode<'a>(&'a mut self, batch: &'a Batch, rows: &[usize]) -> (Vec<Parameter<'a>>, usize) {
        self.lengths.clear();
        for (column, text) in batch.columns.iter().zip(&mut self.texts) {
            array_literal::render(column, rows, text);
            self.lengths.push(LengthWord::length(text.len(), self.width));
        }
        let parameters = self.texts.iter().zip(&self.lengths);
        let parameters =
            parameters.map(|(text, length)| Parameter::of_text(text, length, self.width)).collect();
        (parameters, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_carry_no_length() {
        let length = TextLength { max: 5, unit: LengthUnit::Characters };
        let columns = [
            CatalogColumn::nullable("a\"b", SqlType::VarChar(Some(length)), ""),
            CatalogColumn::nullable("u", SqlType::VarChar(None), "\"pg_catalog\".\"uuid\""),
            CatalogColumn::nullable("d", SqlType::Decimal { precision: 31, scale: 10 }, ""),
        ];
        assert_eq!(
            Postgresql.insert_sql("\"t\"", &columns, '"'),
            "INSERT INTO \"t\" (\"a\"\"b\", \"u\", \"d\") \
             SELECT u.c1, u.c2::\"pg_catalog\".\"uuid\", u.c3 \
             FROM unnest(?::text[], ?::text[], ?::numeric[]) AS u(c1, c2, c3)"
        );
    }

    #[test]
    fn numeric_precision_is_unpacked() {
        let pack = |precision: i32, scale: i32| (precision << 16) | (scale & 0x7ff);
        let decimal = |precision, scale| Ok(SqlType::Decimal { precision, scale });
        assert_eq!(numeric("c", pack(15, 2)), decimal(15, 2));
        assert_eq!(numeric("c", pack(31, 10)), decimal(31, 10));
        assert_eq!(numeric("c", pack(1000, 10)), decimal(38, 10));
        assert!(numeric("c", pack(5, -2)).is_err());
        assert!(numeric("c", pack(3, 5)).is_err());
    }
}
