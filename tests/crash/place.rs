//! A directory and tables of one case's own in a database, and questions past the program.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastload::config::TlsOptions;
use fastload::error::SinkError;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget};
use fastload::sink::{ErrorClass, SqlSession, Target};
use rusqlite::types::Value as Cell;

use crate::data::{COLUMNS, row_text};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    /// SQLite with a write-ahead log.
    SqliteWal,
    Postgresql,
    Mariadb,
    Db2,
}

/// Rows of a query; every value as text, `None` for NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// Where a case works.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// Name of the table, without quotes, in lower case.
    pub(crate) table: String,
    /// What `--to` gets; another one leads through a proxy.
    pub(crate) url: String,
    directory: tempfile::TempDir,
    target: Option<Arc<dyn Target>>,
}

impl Kind {
    /// Whether its database is a file that this process opens.
    pub(crate) const fn is_sqlite(self) -> bool {
        matches!(self, Self::Sqlite | Self::SqliteWal)
    }

    /// The connection string of the shared server.
    pub(crate) fn connection_text(self) -> String {
        let variable = match self {
            Self::Sqlite | Self::SqliteWal => unreachable!("a file"),
            Self::Postgresql => "FASTLOAD_TEST_POSTGRESQL",
            Self::Mariadb => "FASTLOAD_TEST_MARIADB",
            Self::Db2 => "FASTLOAD_TEST_DB2",
        };
        let text = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: `scripts/databases start` starts the servers, \
                 `eval \"$(scripts/databases env)\"` sets it"
            )
        });
        format!("{};", text.trim_end_matches(';'))
    }
}

/// A connection string with one keyword changed.
pub(crate) fn with(text: &str, keyword: &str, value: &str) -> String {
    let parts = text.split_terminator(';').map(|part| {
        let (key, old) = part.split_once('=').expect("a keyword");
        let same = key.eq_ignore_ascii_case(keyword);
        format!("{key}={};", if same { value } else { old })
    });
    parts.collect()
}

/// The value of a keyword.
pub(crate) fn keyword(text: &str, keyword: &str) -> String {
    let mut parts = text.split_terminator(';').filter_map(|part| part.split_once('='));
    let found = parts.find(|(key, _)| key.eq_ignore_ascii_case(keyword));
    found.unwrap_or_else(|| panic!("no {keyword}")).1.to_owned()
}

impl Place {
    /// A place whose tables begin with `table`, none of which is there.
    pub(crate) fn new(kind: Kind, table: &str) -> Self {
        match kind.is_sqlite() {
            true => Self::in_file(kind, table),
            false => Self::at(kind, &kind.connection_text(), table),
        }
    }

    fn in_file(kind: Kind, table: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", directory.path().join("x.db").display());
        let place = Self { kind, table: table.to_owned(), url, directory, target: None };
        if kind == Kind::SqliteWal {
            let mode = place.query("PRAGMA journal_mode = WAL");
            assert_eq!(mode, [[Some("wal".to_owned())]]);
        }
        place
    }

    /// In the server that a connection string leads to.
    pub(crate) fn at(kind: Kind, text: &str, table: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = connect(text).unwrap_or_else(|error| panic!("no test database: {error}"));
        let url = format!("odbc:{text}");
        let place = Self { kind, table: table.to_owned(), url, directory, target: Some(target) };
        place.drop_all();
        place
    }

    /// Drops every table of the case, its ledger too.
    fn drop_all(&self) {
        for name in self.tables() {
            self.execute(&format!("DROP TABLE {}", self.quoted(&name)));
        }
    }

    /// A name in this database's quotes.
    pub(crate) fn quoted(&self, name: &str) -> String {
        if self.kind == Kind::Mariadb { format!("`{name}`") } else { format!("\"{name}\"") }
    }

    /// Names of the case's tables, as they are written there.
    pub(crate) fn tables(&self) -> Vec<String> {
        let sql = match self.kind {
            Kind::Sqlite | Kind::SqliteWal => "SELECT name FROM sqlite_schema WHERE type = 'table'",
            Kind::Postgresql => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
            }
            Kind::Mariadb => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            }
            Kind::Db2 => "SELECT TABLENAME FROM SYS.SYSTABLES WHERE TABLETYPE = 'T'",
        };
        let own = |name: &String| {
            let rest = name.to_lowercase();
            rest.strip_prefix(&self.table)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        self.query(sql).into_iter().flatten().flatten().filter(own).collect()
    }

    /// Makes the table anew: a primary key where rows are found by it, else none, so that a row
    /// that is there twice shows.
    pub(crate) fn make_table(&self, has_key: bool) {
        self.drop_all();
        let key = if has_key { " PRIMARY KEY" } else { "" };
        let end = if self.kind == Kind::Mariadb { " ENGINE=InnoDB" } else { "" };
        self.execute(&format!(
            "CREATE TABLE $T (id INTEGER NOT NULL{key}, name VARCHAR(100), v INTEGER CHECK (v >= \
             0), day DATE){end}"
        ));
    }

    /// A connection of the test's own to a server.
    pub(crate) fn session(&self) -> Box<dyn SqlSession> {
        let target = self.target.as_ref().expect("a server");
        target.session().unwrap_or_else(|error| panic!("no connection: {error}"))
    }

    fn sqlite(&self) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(self.path("x.db")).expect("a database file");
        database.busy_timeout(Duration::from_secs(30)).expect("a time limit");
        database
    }

    /// Runs a statement past the program, and commits. `$T` is the table.
    pub(crate) fn execute(&self, sql: &str) {
        let sql = sql.replace("$T", &self.table);
        if self.kind.is_sqlite() {
            return self.sqlite().execute_batch(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        self.in_peace(&sql, |session| session.execute(&sql).and_then(|_| session.commit()));
    }

    /// Derby's catalogue is one for all tests: it is locked by tables that others make or drop, and
    /// two of them can be a deadlock.
    fn in_peace<T>(
        &self,
        sql: &str,
        mut run: impl FnMut(&mut dyn SqlSession) -> Result<T, SinkError>,
    ) -> T {
        let mut tries = 0..20;
        loop {
            match run(&mut *self.session()) {
                Ok(answer) => return answer,
                Err(error) if error.class == ErrorClass::Transient && tries.next().is_some() => {}
                Err(error) => panic!("{sql}: {error}"),
            }
        }
    }

    /// The answer to a query past the program. `$T` is the table.
    pub(crate) fn query(&self, sql: &str) -> Rows {
        let sql = sql.replace("$T", &self.table);
        if !self.kind.is_sqlite() {
            return self.in_peace(&sql, |session| session.query(&sql));
        }
        let database = self.sqlite();
        let mut statement = database.prepare(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let columns = statement.column_count();
        let rows = statement.query_map((), |row| {
            (0..columns)
                .map(|at| {
                    Ok(match row.get(at)? {
                        Cell::Null => None,
                        Cell::Integer(number) => Some(number.to_string()),
                        Cell::Real(number) => Some(number.to_string()),
                        Cell::Text(text) => Some(text),
                        Cell::Blob(bytes) => Some(format!("{bytes:?}")),
                    })
                })
                .collect()
        });
        rows.and_then(Iterator::collect).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// One number.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let rows = self.query(sql);
        let cell = rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
        cell.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| panic!("{sql}: {rows:?}"))
    }

    /// All rows of the table, each as [`row_text`] has it, sorted.
    pub(crate) fn rows(&self) -> Vec<String> {
        let rows = self.query(&format!("SELECT {} FROM $T", COLUMNS.join(", ")));
        let mut texts: Vec<String> = rows.iter().map(|row| row_text(row)).collect();
        texts.sort();
        texts
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.kind.is_sqlite() {
            self.drop_all();
        }
    }
}

/// A target of the test's own, for its questions.
pub(crate) fn connect(text: &str) -> Result<Arc<dyn Target>, String> {
    let spec = OdbcSpec {
        connection: ConnectionText::Keywords(text.to_owned()),
        user: None,
        password: None,
        profile: None,
        connect_timeout: Duration::from_secs(10),
        query_timeout: Duration::from_secs(60),
        session_sql: Vec::new(),
        tls: TlsOptions::default(),
    };
    let target = OdbcTarget::connect(spec).map_err(|error| error.to_string())?;
    Ok(Arc::new(target))
}
