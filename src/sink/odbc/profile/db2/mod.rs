//! Db2 through IBM's CLI/ODBC driver: typed arrays, not atomic, so that a bad row costs itself.
//!
//! Statements are those of a Db2 server that Derby takes too, wherever Derby has the feature: the
//! tests run this profile through IBM's driver against Derby's network server.

mod columns;
mod errors;
mod staging;
mod types;

use std::time::Duration;

use super::{Arrays, Bounds, Encode, Profile, ProfileName, StagingFacts, TextCheck, Verdict};
use crate::arena::{CellType, IndicatorWidth};
use crate::config::schema::{Column, LengthUnit, SqlType};
use crate::sink::SinkError;
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::raw::Diagnostic;
use crate::sink::odbc::staging::DeclaredType;
use crate::sink::staging::{StagingNames, StagingSql};

/// The profile.
pub(super) struct Db2;

/// `SQL_ATTR_PARAMOPT_ATOMIC` (`sqlcli1.h`), and its value "no". The driver's default is yes: one
/// bad row would undo its array, and no status would tell which row it was.
const PARAMOPT_ATOMIC: (i32, usize) = (1260, 0);

/// Characters of the probe's text, counted by the server: Db2 by `CODEUNITS32`; Derby does not
/// know that function and counts UTF-16 units, of which the last character has two.
const TEXT_CHECKS: &[TextCheck] = &[
    TextCheck { sql: "VALUES CHARACTER_LENGTH(CAST(? AS VARCHAR(40)), CODEUNITS32)", answer: "4" },
    TextCheck { sql: "VALUES LENGTH(CAST(? AS VARCHAR(40)))", answer: "5" },
];

impl Profile for Db2 {
    fn name(&self) -> ProfileName {
        ProfileName::Db2
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            columns: Some(1_012),
            name: 128,
            name_unit: LengthUnit::Bytes,
            batch_rows: 5_000,
            batch_rows_max: 32_767,
            nul_in_text: true,
            timestamp_digits: 9,
            request_bytes: None,
        }
    }

    fn quote(&self) -> Option<char> {
        // The driver says `0` of a server that it does not know.
        Some('"')
    }

    fn folded(&self, name: &str) -> String {
        if is_ordinary(name) { name.to_ascii_uppercase() } else { name.to_owned() }
    }

    fn session_sql(&self, _query_timeout: Duration) -> Vec<String> {
        Vec::new()
    }

    fn statement_attributes(&self) -> &'static [(i32, usize)] {
        &[PARAMOPT_ATOMIC]
    }

    fn savepoint(&self) -> super::Savepoint {
        super::Savepoint {
            // Db2 asks for the clause, and Derby takes it.
            set: "SAVEPOINT fastload_batch ON ROLLBACK RETAIN CURSORS",
            // Derby has one savepoint at a time through this driver: a second one is 3B002.
            undo: &["ROLLBACK TO SAVEPOINT fastload_batch", "RELEASE SAVEPOINT fastload_batch"],
            keep: &["RELEASE SAVEPOINT fastload_batch"],
        }
    }

    fn text_checks(&self) -> &'static [TextCheck] {
        TEXT_CHECKS
    }

    fn width_must_be_measured(&self) -> bool {
        true
    }

    fn columns(
        &self,
        session: &Session,
        table: &TableName,
        quote: char,
    ) -> Result<Option<Vec<CatalogColumn>>, SinkError> {
        columns::columns(session, table, quote)
    }

    fn cell(&self, column: &CatalogColumn) -> CellType {
        match column.column.ty {
            SqlType::SmallInt => CellType::I16,
            SqlType::Integer => CellType::I32,
            SqlType::BigInt => CellType::I64,
            SqlType::Real => CellType::F32,
            SqlType::Double => CellType::F64,
            // The driver refuses SQL_C_NUMERIC and SQL_C_BIT (HYC00, 07006).
            SqlType::Decimal { .. } | SqlType::Char(_) | SqlType::VarChar(_) => CellType::Text,
            SqlType::Boolean => CellType::I32,
            SqlType::Date => CellType::Date,
            SqlType::Time => CellType::Time,
            SqlType::Timestamp { .. } => CellType::Timestamp,
            SqlType::Binary(_) | SqlType::VarBinary(_) => CellType::Bytes,
        }
    }

    fn encoder(&self, columns: &[CatalogColumn], _width: IndicatorWidth) -> Box<dyn Encode> {
        Box::new(Arrays::new(columns.iter().map(|column| column.announced).collect()))
    }

    fn type_names(&self, columns: &[Column], _quote: char) -> Vec<String> {
        columns.iter().map(|column| types::type_name(column.ty)).collect()
    }

    fn declared_types(
        &self,
        session: &Session,
        table: &TableName,
    ) -> Result<Option<Vec<DeclaredType>>, SinkError> {
        staging::declared_types(session, table)
    }

    fn staging_sql(
        &self,
        facts: &StagingFacts<'_>,
        names: StagingNames,
        create: String,
    ) -> Result<Box<dyn StagingSql>, SinkError> {
        Ok(Box::new(staging::Db2Staging::new(facts, names, create)))
    }

    fn verdict(&self, diagnostic: &Diagnostic) -> Verdict {
        errors::verdict(diagnostic)
    }
}

/// Whether Db2 would take the name without quotes, and so fold it to upper case.
fn is_ordinary(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_fold() {
        for (name, folded) in [
            ("orders", "ORDERS"),
            ("l_tax2", "L_TAX2"),
            ("Ärger", "Ärger"),
            ("my-table", "my-table"),
            ("2nd", "2nd"),
            ("a b", "a b"),
            ("", ""),
        ] {
            assert_eq!(Db2.folded(name), folded);
        }
    }
}
