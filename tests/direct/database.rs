//! The four databases, and what differs in asking them.

use std::ffi::OsStr;
use std::process::Command;

use odbc_api::{ConnectionOptions, Cursor as _, ResultSetMetadata as _, environment};

use crate::support::{Place, Rows, Run};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgresql,
    Mariadb,
    Db2,
}

/// A database with a directory in which the program runs.
pub(crate) struct Database {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    /// The case's own table: cases run at the same time, in the same database.
    name: String,
    /// Connection string of the program, and of the test's own questions.
    texts: Option<(String, String)>,
}

impl Database {
    /// # Panics
    /// When its server is not there.
    pub(crate) fn get(kind: Kind) -> Self {
        let variable = |name: &str| {
            let text = std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: `scripts/databases start` starts the servers, \
                     `eval \"$(scripts/databases env)\"` sets it"
                )
            });
            // The driver manager drops the last character of a value at the very end.
            format!("{};", text.trim_end_matches(';'))
        };
        let one = |name: &str| Some((variable(name), variable(name)));
        let texts = match kind {
            Kind::Sqlite => None,
            Kind::Postgresql => one("FASTLOAD_TEST_POSTGRESQL"),
            Kind::Mariadb => one("FASTLOAD_TEST_MARIADB"),
            // IBM's driver has 4-byte length words, which odbc-api cannot read.
            Kind::Db2 => Some((variable("FASTLOAD_TEST_DB2"), variable("FASTLOAD_TEST_DB2_WIDE"))),
        };
        let case = std::thread::current().name().unwrap_or("main").to_owned();
        let case = case.rsplit("::").next().unwrap_or_default().to_owned();
        Self { kind, place: Place::new(), name: format!("{case} \"t"), texts }
    }

    /// Runs a case on each database.
    pub(crate) fn each(case: impl Fn(&Self)) {
        for kind in [Kind::Sqlite, Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
            case(&Self::get(kind));
        }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.place.command();
        if let Some((text, _)) = &self.texts {
            command.env("FASTLOAD_TO", format!("odbc:{text}"));
        }
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        Run::of(self.command().args(arguments))
    }

    /// The answer to a query; a statement has none.
    pub(crate) fn sql(&self, sql: &str) -> Rows {
        let Some((_, text)) = &self.texts else {
            if sql.trim_start().to_ascii_uppercase().starts_with("SELECT") {
                return self.place.sqlite(sql);
            }
            self.place.sqlite_run(sql);
            return Vec::new();
        };
        let connection = environment()
            .unwrap()
            .connect_with_connection_string(text, ConnectionOptions::default())
            .expect("the test database takes connections");
        let answer = connection.execute(sql, (), None);
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Some(mut cursor) = answer else { return Vec::new() };
        let columns = u16::try_from(cursor.num_result_cols().unwrap()).unwrap();
        let mut rows = Vec::new();
        while let Some(mut row) = cursor.next_row().unwrap() {
            let cells = (1..=columns).map(|number| {
                let mut text = Vec::new();
                let there = row.get_text(number, &mut text).unwrap();
                there.then(|| String::from_utf8(text).unwrap())
            });
            rows.push(cells.collect());
        }
        rows
    }

    /// A name in this database's quotes.
    pub(crate) fn quoted(&self, name: &str) -> String {
        match self.kind {
            Kind::Mariadb => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// Makes the case's table; one of an earlier run goes.
    pub(crate) fn create(&self, columns: &str) {
        let table = self.table();
        if self.kind == Kind::Db2 {
            let there = format!("SELECT 1 FROM SYS.SYSTABLES WHERE TABLENAME = '{}'", self.name);
            if !self.sql(&there).is_empty() {
                self.sql(&format!("DROP TABLE {table}"));
            }
        } else {
            self.sql(&format!("DROP TABLE IF EXISTS {table}"));
        }
        self.sql(&format!("CREATE TABLE {table} ({columns})"));
    }

    /// The case's table in a statement.
    pub(crate) fn table(&self) -> String {
        self.quoted(&self.name)
    }

    /// The case's table as `--table` takes it.
    pub(crate) fn flag(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }
}
