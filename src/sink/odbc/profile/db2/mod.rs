//! Db2 through IBM's CLI/ODBC driver: typed arrays, not atomic, so that a bad row costs itself.
//!
//! Statements are those of a Db2 server that Derby takes too, wherever Derby has the feature: the
//! tests run this profile through IBM's driver against Derby's network server.

mod columns;
mod ddl;
mod errors;
mod key;
mod pending;
mod staging;
mod types;

use std::time::Duration;

use super::{
    Arrays, Bounds, Counted, Encode, Experiment, KeyFacts, Profile, ProfileName, RowSql,
    StagingProfile, TextCheck, Verdict, keyed,
};
use crate::arena::{CellType, IndicatorWidth};
use crate::config::schema::{Column, LengthUnit, SqlType};
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::connection_text::Keywords;
use crate::sink::odbc::environment;
use crate::sink::odbc::raw::Diagnostic;
use crate::sink::{ErrorClass, RowAction, SinkError};

/// The profile.
pub(super) struct Db2;

/// `SQL_ATTR_PARAMOPT_ATOMIC` (`sqlcli1.h`), and its value "no". The driver's default is yes: one
/// bad row would undo its array, and no status would tell which row it was.
const PARAMOPT_ATOMIC: (&str, i32, usize) = ("atomic arrays", 1260, 0);

/// Keywords of the connection string (IBM's CLI/ODBC configuration keywords).
const CONNECT_TIMEOUT: &str = "ConnectTimeout";
const SECURITY: &[&str] = &["Security", "SecurityTransportMode"];
const HOSTNAME_VALIDATION: &str = "SSLClientHostnameValidation";

/// Characters of the probe's text, counted by the server: Db2 by `CODEUNITS32`; Derby does not
/// know that function and counts UTF-16 units, of which the last character has two.
const TEXT_CHECKS: &[TextCheck] = &[
    TextCheck {
        sql: "VALUES CHARACTER_LENGTH(CAST(? AS VARCHAR(40)), CODEUNITS32)",
        answer: "4",
        lengths: LengthUnit::Bytes,
    },
    TextCheck {
        sql: "VALUES LENGTH(CAST(? AS VARCHAR(40)))",
        answer: "5",
        lengths: LengthUnit::Characters,
    },
];

/// A declared table belongs to the session, needs no privilege but a user temporary table space,
/// and goes with the transaction. Derby's takes only the second form, which on Db2 would lose all
/// rows with the first bad one.
const EXPERIMENT: Experiment = Experiment {
    create: &[
        "DECLARE GLOBAL TEMPORARY TABLE SESSION.FASTLOAD_PROBE (ID INTEGER NOT NULL, \
         TEXT VARCHAR(4)) ON COMMIT DELETE ROWS LOGGED",
        "DECLARE GLOBAL TEMPORARY TABLE SESSION.FASTLOAD_PROBE (ID INTEGER NOT NULL, \
         TEXT VARCHAR(4)) ON COMMIT DELETE ROWS NOT LOGGED",
    ],
    insert: "INSERT INTO SESSION.FASTLOAD_PROBE (ID, TEXT) VALUES (?, ?)",
    read: "SELECT ID FROM SESSION.FASTLOAD_PROBE ORDER BY ID",
};

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

    fn complete(&self, keywords: &mut Keywords, connect_timeout: Duration) {
        if keywords.get(&[CONNECT_TIMEOUT]).is_none() {
            let seconds = connect_timeout.as_secs().max(1);
            keywords.set(&[CONNECT_TIMEOUT], &seconds.to_string());
        }
        let encrypted = keywords.get(SECURITY).is_some_and(|way| way.eq_ignore_ascii_case("ssl"));
        if encrypted && keywords.get(&[HOSTNAME_VALIDATION]).is_none() {
            // The driver's default takes any certificate that it trusts for any host.
            keywords.set(&[HOSTNAME_VALIDATION], "Basic");
        }
    }

    fn connection_facts(&self, keywords: &Keywords) -> Vec<(&'static str, String)> {
        let [code_page, retries] = environment::shown();
        let reconnection = match retries.1.as_str() {
            "0" => "never by the driver",
            _ => "by the driver, without a word but an error 08506; a commit after that is not one",
        };
        vec![
            ("code page of the driver", format!("{}={}", code_page.0, code_page.1)),
            ("reconnection", format!("{reconnection} ({}={})", retries.0, retries.1)),
            ("encryption", encryption(keywords)),
        ]
    }

    fn session_sql(&self, _query_timeout: Duration) -> Vec<String> {
        Vec::new()
    }

    fn statement_attributes(&self) -> &'static [(&'static str, i32, usize)] {
        &[PARAMOPT_ATOMIC]
    }

    fn savepoint(&self) -> super::Savepoint {
        super::Savepoint {
            // Db2 asks for the clause, and Derby takes it.
            set: "SAVEPOINT fastload_batch ON ROLLBACK RETAIN CURSORS",
            // Derby has one savepoint at a time through this driver: a second one is 3B002.
            undo: &["ROLLBACK TO SAVEPOINT fastload_batch", "RELEASE SAVEPOINT fastload_batch"],
            keep: &["RELEASE SAVEPOINT fastload_batch"],
            outlives_undo: false,
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

    fn check_table(&self, session: &Session, table: &TableName) -> Result<(), SinkError> {
        match columns::pending(session, table)? {
            Some(pending) => Err(pending::error(&table.sql('"'), pending, None)),
            None => Ok(()),
        }
    }

    fn explained(&self, table: &str, error: SinkError) -> SinkError {
        match pending::of_error(&error) {
            Some(pending) => pending::error(table, pending, Some(&error)),
            None => error,
        }
    }

    fn cell(&self, column: &CatalogColumn) -> CellType {
        match column.column.ty {
            SqlType::SmallInt => CellType::I16,
            // The driver refuses SQL_C_BIT (07006).
            SqlType::Integer | SqlType::Boolean => CellType::I32,
            SqlType::BigInt => CellType::I64,
            SqlType::Real => CellType::F32,
            SqlType::Double => CellType::F64,
            // The driver refuses SQL_C_NUMERIC (HYC00).
            SqlType::Decimal { .. } | SqlType::Char(_) | SqlType::VarChar(_) => CellType::Text,
            SqlType::Date => CellType::Date,
            SqlType::Time => CellType::Time,
            SqlType::Timestamp { .. } => CellType::Timestamp,
            SqlType::Binary(_) | SqlType::VarBinary(_) => CellType::Bytes,
        }
    }

    fn row_sql(
        &self,
        action: &RowAction,
        table: &str,
        columns: &[CatalogColumn],
        quote: char,
    ) -> Result<RowSql, SinkError> {
        match action {
            RowAction::Insert => {
                let text = self.insert_sql(table, columns, quote);
                Ok(RowSql::new(text, columns.len(), Counted::Each))
            }
            RowAction::Stage { .. } => Err(keyed::not_direct(action, self.name().name())),
            RowAction::Upsert { key } => Ok(key::merge_sql(table, columns, key, quote)),
            RowAction::Delete { .. } => {
                Ok(keyed::delete_sql(table, columns, quote, |_| "?".to_owned()))
            }
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

    fn staging(&self) -> &'static dyn StagingProfile {
        &staging::Db2Tables
    }

    fn encoder(&self, columns: &[CatalogColumn], _width: IndicatorWidth) -> Box<dyn Encode> {
        Box::new(Arrays::new(columns.iter().map(|column| column.announced).collect()))
    }

    fn type_names(&self, columns: &[Column], _quote: char, lengths: LengthUnit) -> Vec<String> {
        ddl::type_names(columns, lengths)
    }

    fn remarks(&self, columns: &[Column], lengths: LengthUnit) -> Vec<String> {
        ddl::remarks(columns, lengths)
    }

    fn emptying_sql(&self, table: &str) -> Vec<String> {
        vec![
            // Nothing is logged but the extents, so no table is too large for the log. It must be
            // first in its transaction, cannot be undone, and does not call delete triggers:
            // where there are any, or a foreign key points here, it is refused. Derby does not
            // know this form.
            format!("TRUNCATE TABLE {table} RESTRICT WHEN DELETE TRIGGERS IMMEDIATE"),
            format!("DELETE FROM {table}"),
        ]
    }

    fn status_experiment(&self) -> Option<&'static Experiment> {
        Some(&EXPERIMENT)
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
}

/// What the connection string says about encryption: the driver tells no cipher.
fn encryption(keywords: &Keywords) -> String {
    let value = |names: &[&str]| keywords.get(names).unwrap_or("not set").to_owned();
    match keywords.get(SECURITY) {
        Some(way) if way.eq_ignore_ascii_case("ssl") => format!(
            "TLS by the connection string; host name validation {}; the driver tells no cipher",
            value(&[HOSTNAME_VALIDATION])
        ),
        None if keywords.get(&["DSN"]).is_some() => {
            "not set in the connection string; see the data source's own settings".to_owned()
        }
        other => format!("none by the connection string (Security={})", other.unwrap_or("not set")),
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
    use crate::sink::odbc::connection_text::ConnectionText;

    fn completed(text: &str) -> Keywords {
        let text = ConnectionText::Keywords(text.to_owned());
        let mut keywords = Keywords::parse(&text).unwrap();
        Db2.complete(&mut keywords, Duration::from_secs(30));
        keywords
    }

    #[test]
    fn host_names_are_validated_unless_the_user_says_otherwise() {
        let of = |text: &str| completed(text).get(&[HOSTNAME_VALIDATION]).map(str::to_owned);
        assert_eq!(of("HOSTNAME=h"), None);
        assert_eq!(of("HOSTNAME=h;security=ssl").as_deref(), Some("Basic"));
        assert_eq!(of("SecurityTransportMode=SSL").as_deref(), Some("Basic"));
        let chosen = "Security=SSL;sslclienthostnamevalidation=OFF";
        assert_eq!(of(chosen).as_deref(), Some("OFF"));
    }

    #[test]
    fn the_connect_timeout_is_passed_on() {
        let of = |text: &str| completed(text).get(&["connecttimeout"]).map(str::to_owned);
        assert_eq!(of("HOSTNAME=h").as_deref(), Some("30"));
        assert_eq!(of("CONNECTTIMEOUT=3").as_deref(), Some("3"));
    }

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
