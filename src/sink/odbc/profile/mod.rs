//! What is particular to one database: statements, types, error codes, session settings.

mod array_literal;
mod db2;
mod generic;
mod keyed;
mod mariadb;
mod postgresql;
mod staging;
pub(super) mod value_text;
mod verdict;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub(super) use staging::{StagingFacts, StagingProfile};

pub(super) use keyed::{ArrayOrder, Counted, KeyFacts, RowSql};
pub(super) use verdict::{Verdict, telling};
use verdict::{standard_commit_class, standard_verdict};

use super::catalog::{CatalogColumn, TableName};
use super::clue::Clues;
use super::connect::Session;
use super::connection_text::Keywords;
use super::parameter::{Parameter, ParameterType, sql_type};
use super::raw::Diagnostic;
use crate::arena::{Batch, CellType, IndicatorWidth};
use crate::config::schema::{Column, LengthUnit, SqlType, TextLength};
use crate::sink::{ErrorClass, LedgerForm, RowAction, SinkError};

/// Name of a profile, as `--profile` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProfileName {
    /// Db2 through IBM's CLI/ODBC driver.
    Db2,
    /// PostgreSQL through psqlodbc.
    Postgresql,
    /// MariaDB and MySQL through MariaDB Connector/ODBC.
    Mariadb,
    /// Anything that speaks ODBC and standard SQL.
    Generic,
}

impl ProfileName {
    /// All profiles.
    pub const ALL: [Self; 4] = [Self::Db2, Self::Postgresql, Self::Mariadb, Self::Generic];

    /// Name in options, reports and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Db2 => "db2",
            Self::Postgresql => "postgresql",
            Self::Mariadb => "mariadb",
            Self::Generic => "generic",
        }
    }

    /// The profile for what a database calls itself (`SQL_DBMS_NAME`) and the name of its driver
    /// (`SQL_DRIVER_NAME`), which decides where the database says nothing of itself.
    #[must_use]
    pub fn of_database(dbms_name: &str, driver_name: &str) -> Self {
        let name = dbms_name.to_ascii_lowercase();
        let driver = driver_name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if name.starts_with("db2") || driver.starts_with("libdb2") {
            Self::Db2
        } else if name.contains("postgres") {
            Self::Postgresql
        } else if name.contains("mariadb") || name.contains("mysql") {
            Self::Mariadb
        } else {
            Self::Generic
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ProfileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|name| name.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no profile is called {text}; there are {names}")
        })
    }
}

/// The profile of that name.
pub(super) fn profile(name: ProfileName) -> &'static dyn Profile {
    match name {
        ProfileName::Db2 => &db2::Db2,
        ProfileName::Postgresql => &postgresql::Postgresql,
        ProfileName::Mariadb => &mariadb::Mariadb,
        ProfileName::Generic => &generic::Generic,
    }
}

/// Bounds of a database and what it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Columns of a table; `None` is unknown.
    pub(super) columns: Option<usize>,
    /// Length of a name.
    pub(super) name: usize,
    /// What the length of a name counts.
    pub(super) name_unit: LengthUnit,
    /// Rows in a batch that it likes.
    pub(super) batch_rows: usize,
    /// Most rows in a batch.
    pub(super) batch_rows_max: usize,
    /// Whether text may hold NUL.
    pub(super) nul_in_text: bool,
    /// Digits of a second that a timestamp keeps.
    pub(super) timestamp_digits: u8,
    /// Bytes of rows in one request, where a bound is known without asking the server.
    pub(super) request_bytes: Option<u64>,
}

/// A query with one parameter by which the server says how much text it sees in the probe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextCheck {
    /// The query; a server that does not know it is asked the next one.
    pub(super) sql: &'static str,
    /// What a server answers that was sent UTF-8 as UTF-8.
    pub(super) answer: &'static str,
    /// What the length of a text column counts on a server that knows this query.
    pub(super) lengths: LengthUnit,
}

/// A temporary table of a key that takes no NULL and a text of four, to try a driver's status
/// array with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Experiment {
    /// Makes the table in the open transaction, which takes it away again; the first form that the
    /// server takes counts.
    pub(super) create: &'static [&'static str],
    /// Adds a row of its two columns.
    pub(super) insert: &'static str,
    /// Its keys in ascending order.
    pub(super) read: &'static str,
}

impl Experiment {
    /// The columns of every such table.
    pub(super) fn columns() -> Vec<CatalogColumn> {
        let length = TextLength { max: 4, unit: LengthUnit::Bytes };
        [("ID", SqlType::Integer, false), ("TEXT", SqlType::VarChar(Some(length)), true)]
            .map(|(name, ty, nullable)| CatalogColumn {
                column: Column { name: name.to_owned(), ty, nullable, generated: false },
                server_type: String::new(),
                announced: announced(ty),
            })
            .into()
    }
}

/// Statements around one array, so that all of its rows are in or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Savepoint {
    /// Before it.
    pub(super) set: &'static str,
    /// To undo it.
    pub(super) undo: &'static [&'static str],
    /// To keep it.
    pub(super) keep: &'static [&'static str],
    /// Whether the savepoint still stands after `undo`.
    pub(super) outlives_undo: bool,
}

/// A keyword of the connection string under all its names, and the value it must have.
pub(super) type RequiredKeyword = (&'static [&'static str], &'static str);

/// Turns rows of an arena into parameters; holds the buffers that this takes.
pub(super) trait Encode {
    /// Parameters for some rows, one a column, and how many parameter sets they are.
    ///
    /// Only where [`KeyFacts::order`] asks for it are rows left out between the first and the
    /// last.
    fn encode<'a>(&'a mut self, batch: &'a Batch, rows: &[usize]) -> (Vec<Parameter<'a>>, usize);
}

/// Name of the fact how the server says that this connection is encrypted: `none`, or in what way.
pub(super) const ENCRYPTION: &str = "encryption";

/// One kind of database.
pub(super) trait Profile: Send + Sync {
    /// Its name.
    fn name(&self) -> ProfileName;

    /// Bounds.
    fn bounds(&self) -> Bounds;

    /// Keywords that every connection must have.
    fn connection_keywords(&self) -> &'static [RequiredKeyword] {
        &[]
    }

    /// Completes a connection string with what every connection must have, and with what it
    /// should have where the user says nothing.
    fn complete(&self, keywords: &mut Keywords, _connect_timeout: Duration) {
        for (names, value) in self.connection_keywords() {
            keywords.set(names, value);
        }
    }

    /// Statements run on every connect and reconnect.
    fn session_sql(&self, query_timeout: Duration) -> Vec<String>;

    /// Whether [`Self::session_sql`] has told the server the query timeout; if not, the driver's
    /// statement attribute is set.
    fn server_keeps_query_timeout(&self) -> bool {
        false
    }

    /// Statements run at the start of each transaction.
    fn transaction_sql(&self) -> &'static [&'static str] {
        &[]
    }

    /// Savepoints.
    fn savepoint(&self) -> Savepoint {
        Savepoint {
            set: "SAVEPOINT fastload_batch",
            undo: &["ROLLBACK TO SAVEPOINT fastload_batch"],
            keep: &[],
            outlives_undo: true,
        }
    }

    /// How the server leads to the bad row of a refused array.
    fn clues(&self) -> Clues {
        Clues::None
    }

    /// Attributes that each statement must have: name, number and value.
    fn statement_attributes(&self) -> &'static [(&'static str, i32, usize)] {
        &[]
    }

    /// Character that quotes names, where the driver need not be asked.
    fn quote(&self) -> Option<char> {
        None
    }

    /// A name that stands without quotes, as the catalog has it.
    fn folded(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Queries by which the server tells whether text arrives as it was sent; the first one that
    /// it knows counts.
    fn text_checks(&self) -> &'static [TextCheck] {
        &[]
    }

    /// Whether drivers of this database are known to differ in the width of their length words, so
    /// that none may be assumed.
    fn width_must_be_measured(&self) -> bool {
        false
    }

    /// What connection string and environment say about a connection: name and value.
    fn connection_facts(&self, _keywords: &Keywords) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Facts to ask the server for: name and query. A query that is refused is an unknown fact.
    fn fact_sql(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Query for the most bytes of one request.
    fn request_bytes_sql(&self) -> Option<&'static str> {
        None
    }

    /// Columns of a table, or `None` when there is no such table.
    fn columns(
        &self,
        session: &Session,
        table: &TableName,
        quote: char,
    ) -> Result<Option<Vec<CatalogColumn>>, SinkError>;

    /// A column of a table that is yet to be made.
    fn planned(&self, column: &Column) -> CatalogColumn {
        CatalogColumn {
            column: column.clone(),
            server_type: String::new(),
            announced: announced(column.ty),
        }
    }

    /// Refuses a table that cannot be loaded safely.
    fn check_table(&self, _session: &Session, _table: &TableName) -> Result<(), SinkError> {
        Ok(())
    }

    /// An error of a statement on a table, with what it means for that table in words.
    fn explained(&self, _table: &str, error: SinkError) -> SinkError {
        error
    }

    /// Form of a column's cells. Dates and times are text, which every database reads, unless a
    /// profile says otherwise. (MariaDB's must not: Connector/ODBC 3.1.15 keeps about 45 bytes of
    /// each value that is bound as a struct in an array, for as long as the statement lives.)
    fn cell(&self, column: &CatalogColumn) -> CellType {
        match column.column.ty {
            SqlType::SmallInt => CellType::I16,
            SqlType::Integer => CellType::I32,
            SqlType::BigInt => CellType::I64,
            SqlType::Real => CellType::F32,
            SqlType::Double => CellType::F64,
            SqlType::Boolean => CellType::Bit,
            SqlType::Binary(_) | SqlType::VarBinary(_) => CellType::Bytes,
            SqlType::Decimal { .. }
            | SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::Date
            | SqlType::Time
            | SqlType::Timestamp { .. } => CellType::Text,
        }
    }

    /// The statement that loads rows.
    fn insert_sql(&self, table: &str, columns: &[CatalogColumn], quote: char) -> String {
        let names: Vec<String> =
            columns.iter().map(|column| quoted(&column.column.name, quote)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "))
    }

    /// The statement for the rows of an action.
    ///
    /// # Errors
    /// An action that this database cannot do directly.
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
            RowAction::Delete { .. } => {
                Ok(keyed::delete_sql(table, columns, quote, |_| "?".to_owned()))
            }
            RowAction::Stage { .. } | RowAction::Upsert { .. } => {
                Err(keyed::not_direct(action, self.name().name()))
            }
        }
    }

    /// What is particular about its staging tables.
    fn staging(&self) -> &'static dyn StagingProfile {
        &staging::StandardStaging
    }

    /// What a ledger is like in this database.
    fn ledger(&self) -> LedgerForm {
        LedgerForm { create_end: "", many_rows: true, has_heartbeat: true, patience_sql: None }
    }

    /// Query that takes a lock for `job`, held by the session, without waiting: 1 when it is taken.
    fn hold_sql(&self, _job: &str) -> Option<String> {
        None
    }

    /// Query for what the server calls this connection.
    fn own_id_sql(&self) -> Option<&'static str> {
        None
    }

    /// Statement by which another connection ends what the connection of that id runs.
    fn stop_sql(&self, _id: &str) -> Option<String> {
        None
    }

    /// What the catalog says about finding the rows of `table` by the key of `action`.
    ///
    /// # Errors
    /// A table whose rows cannot be found by it.
    fn key_facts(
        &self,
        _session: &Session,
        _table: &TableName,
        columns: &[CatalogColumn],
        action: &RowAction,
    ) -> Result<KeyFacts, SinkError> {
        let is_text = |&index: &usize| {
            matches!(columns[index].column.ty, SqlType::Char(_) | SqlType::VarChar(_))
        };
        let one_writer = action.key().iter().any(is_text).then(|| {
            "which texts are equal is not known of this database, and the key has one".to_owned()
        });
        Ok(KeyFacts { one_writer, ..KeyFacts::FREE })
    }

    /// Turns batches into the parameters of [`Self::row_sql`], one for each column.
    fn encoder(&self, columns: &[CatalogColumn], width: IndicatorWidth) -> Box<dyn Encode>;

    /// Types for `CREATE TABLE`, one a column, on a server whose text columns count `lengths`.
    fn type_names(&self, columns: &[Column], quote: char, lengths: LengthUnit) -> Vec<String>;

    /// What a user should know about such a table, a sentence each.
    fn remarks(&self, _columns: &[Column], _lengths: LengthUnit) -> Vec<String> {
        Vec::new()
    }

    /// Statements that empty a table, each first in a transaction of its own; the first one that
    /// the server takes does it.
    fn emptying_sql(&self, table: &str) -> Vec<String> {
        vec![format!("DELETE FROM {table}")]
    }

    /// What an error means.
    fn verdict(&self, diagnostic: &Diagnostic) -> Verdict {
        standard_verdict(&diagnostic.sqlstate)
    }

    /// Class of an error outside of a batch, where no row can be at fault.
    fn error_class(&self, diagnostic: &Diagnostic) -> ErrorClass {
        match self.verdict(diagnostic) {
            Verdict::World(class) => class,
            Verdict::Row(_) => ErrorClass::Permanent,
        }
    }

    /// What an error of a commit means: a class that is
    /// [rolled back for certain](ErrorClass::is_rolled_back) only where the database says so, and
    /// anything else where nobody can tell.
    fn commit_class(&self, diagnostic: &Diagnostic) -> ErrorClass {
        standard_commit_class(&diagnostic.sqlstate)
    }

    /// What the operator can do about an error, where its message does not tell.
    fn advice(&self, _diagnostic: &Diagnostic) -> Option<String> {
        None
    }

    /// How the driver's status array is tried; without it none is believed.
    fn status_experiment(&self) -> Option<&'static Experiment> {
        None
    }

    /// Whether `SQLRowCount` after an array is the number of rows inserted, untried.
    fn counts_rows(&self) -> bool {
        false
    }

    /// Query for the warnings of the statement before (level, code, message), where the driver
    /// keeps them to itself.
    fn warnings_sql(&self) -> Option<&'static str> {
        None
    }

    /// Whether a warning of [`Self::warnings_sql`] says that a value was changed or refused.
    fn is_data_warning(&self, _warning: &Diagnostic) -> bool {
        false
    }

    /// Whether what a driver says beside a successful insert leaves every value as it was sent.
    fn is_harmless(&self, diagnostic: &Diagnostic) -> bool {
        HARMLESS_STATES.contains(&diagnostic.sqlstate.as_str())
    }
}

/// States of successful calls that concern no value: an option was replaced (01S02), NULL was
/// left out by an aggregate (01003), a privilege was not revoked or granted (01006, 01007).
const HARMLESS_STATES: &[&str] = &["01S02", "01003", "01006", "01007"];

/// A name in quotes, with quotes inside doubled.
pub(super) fn quoted(name: &str, quote: char) -> String {
    if quote == ' ' {
        // The driver says that its database knows no quoted names.
        return name.to_owned();
    }
    let doubled = format!("{quote}{quote}");
    format!("{quote}{}{quote}", name.replace(quote, &doubled))
}

/// The bytes of a text in hexadecimal: how names get into catalog queries, where the rules of
/// string literals depend on settings.
pub(super) fn hex(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a String cannot fail");
        out
    })
}

/// Plain arrays: the arena's columns are the parameters.
pub(super) struct Arrays {
    types: Vec<ParameterType>,
}

impl Arrays {
    /// For columns whose announced types are known.
    pub(super) fn new(types: Vec<ParameterType>) -> Self {
        Self { types }
    }
}

impl Encode for Arrays {
    fn encode<'a>(&'a mut self, batch: &'a Batch, rows: &[usize]) -> (Vec<Parameter<'a>>, usize) {
        let first = rows.first().copied().unwrap_or(0);
        assert!(
            rows.last().is_none_or(|&last| last + 1 - first == rows.len()),
            "plain arrays hold rows that follow each other"
        );
        let parameters = batch.columns.iter().zip(&self.types);
        let parameters = parameters
            .map(|(column, announced)| {
                let size =
                    if announced.size == 0 { column.stride().max(1) } else { announced.size };
                let announced = ParameterType { size, ..*announced };
                Parameter::of_column(column, first, rows.len(), announced)
            })
            .collect();
        (parameters, rows.len())
    }
}

/// SQL type to announce for a column by its own type. Size 0 is as wide as the arena's stride.
pub(super) fn announced(ty: SqlType) -> ParameterType {
    let (code, size, digits) = match ty {
        SqlType::SmallInt => (sql_type::SMALLINT, 5, 0),
        SqlType::Integer => (sql_type::INTEGER, 10, 0),
        SqlType::BigInt => (sql_type::BIGINT, 19, 0),
        SqlType::Decimal { precision, scale } => {
            (sql_type::DECIMAL, usize::from(precision), i16::from(scale))
        }
        SqlType::Real => (sql_type::REAL, 7, 0),
        SqlType::Double => (sql_type::DOUBLE, 15, 0),
        SqlType::Char(_) => (sql_type::CHAR, 0, 0),
        SqlType::VarChar(Some(_)) => (sql_type::VARCHAR, 0, 0),
        SqlType::VarChar(None) => (sql_type::LONGVARCHAR, 0, 0),
        SqlType::Date => (sql_type::DATE, 10, 0),
        SqlType::Time => (sql_type::TIME, 8, 0),
        SqlType::Timestamp { precision: 0 } => (sql_type::TIMESTAMP, 19, 0),
        SqlType::Timestamp { precision } => {
            (sql_type::TIMESTAMP, 20 + usize::from(precision), i16::from(precision))
        }
        SqlType::Boolean => (sql_type::BIT, 1, 0),
        SqlType::Binary(_) => (sql_type::BINARY, 0, 0),
        SqlType::VarBinary(Some(_)) => (sql_type::VARBINARY, 0, 0),
        SqlType::VarBinary(None) => (sql_type::LONGVARBINARY, 0, 0),
    };
    ParameterType { code, size, digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_profiles() {
        for (dbms, driver, name) in [
            ("PostgreSQL", "psqlodbcw.so", ProfileName::Postgresql),
            ("MariaDB", "libmaodbc.so", ProfileName::Mariadb),
            ("MySQL", "libmaodbc.so", ProfileName::Mariadb),
            ("DB2/LINUXX8664", "libdb2o.so", ProfileName::Db2),
            ("DB2", "other.so", ProfileName::Db2),
            ("", "libdb2.a", ProfileName::Db2),
            ("Apache Derby", "/opt/lib/libdb2.so.1", ProfileName::Db2),
            ("", "", ProfileName::Generic),
            ("SQLite", "libsqlite3odbc.so", ProfileName::Generic),
        ] {
            assert_eq!(ProfileName::of_database(dbms, driver), name, "{dbms} {driver}");
        }
        for name in ProfileName::ALL {
            assert_eq!(name.name().parse(), Ok(name));
        }
        assert!("oracle".parse::<ProfileName>().is_err());
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quoted("a\"b\"; DROP", '"'), "\"a\"\"b\"\"; DROP\"");
        assert_eq!(quoted("a`b", '`'), "`a``b`");
    }
}
