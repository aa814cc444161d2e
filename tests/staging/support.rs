//! One table in one database, the program run against it, and questions to it afterwards.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fastload::config::TlsOptions;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget};
use fastload::sink::sqlite::SqliteTarget;
use fastload::sink::{ErrorClass, SqlSession, Target};
use rusqlite::types::Value as Cell;
use serde_json::Value;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgresql,
    Mariadb,
    Db2,
}

/// A directory and a table name of one case's own, in a database.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// Name of the table, without quotes, in lower case.
    pub(crate) table: String,
    url: String,
    directory: tempfile::TempDir,
    pub(crate) target: Arc<dyn Target>,
}

/// Rows of a query; every value as text, `None` for NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

impl Place {
    /// A place whose tables begin with `table`, none of which is there.
    pub(crate) fn new(kind: Kind, table: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (url, target): (_, Arc<dyn Target>) = match kind {
            Kind::Sqlite => {
                let path = directory.path().join("x.db");
                let target = SqliteTarget::open(&path).expect("a database file");
                (format!("sqlite:{}", path.display()), Arc::new(target))
            }
            _ => {
                let text = connection_text(kind);
                let spec = OdbcSpec {
                    connection: ConnectionText::Keywords(text.clone()),
                    user: None,
                    password: None,
                    tls: TlsOptions::default(),
                    profile: None,
                    connect_timeout: Duration::from_secs(10),
                    query_timeout: Duration::from_secs(60),
                    session_sql: Vec::new(),
                };
                let target = OdbcTarget::connect(spec).expect("the test database is there");
                (format!("odbc:{text}"), Arc::new(target))
            }
        };
        let place = Self { kind, table: table.to_owned(), url, directory, target };
        place.drop_all();
        place
    }

    /// Drops the table and every staging table that an earlier run has left.
    fn drop_all(&self) {
        for name in self.tables_like(&self.table) {
            self.execute(&format!("DROP TABLE {}", self.quoted(&name)));
        }
    }

    fn quoted(&self, name: &str) -> String {
        if self.kind == Kind::Mariadb { format!("`{name}`") } else { format!("\"{name}\"") }
    }

    /// Names of tables that begin so, in whatever case.
    pub(crate) fn tables_like(&self, start: &str) -> Vec<String> {
        let sql = match self.kind {
            Kind::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table'",
            Kind::Postgresql => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
            }
            Kind::Mariadb => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            }
            Kind::Db2 => "SELECT TABLENAME FROM SYS.SYSTABLES WHERE TABLETYPE = 'T'",
        };
        let names = self.query(sql).into_iter().flatten().flatten();
        let own = |name: &String| {
            let rest = name.to_lowercase();
            rest.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        let mut names: Vec<String> = names.filter(own).collect();
        names.sort();
        names
    }

    pub(crate) fn session(&self) -> Box<dyn SqlSession> {
        self.target.session().expect("a connection")
    }

    /// Runs a statement past the program, and commits. `$T` is the table.
    pub(crate) fn execute(&self, sql: &str) {
        let sql = sql.replace("$T", &self.table);
        // Derby's catalogue is one for all tests: DDL of two of them can be a deadlock.
        let mut tries = 0..20;
        loop {
            let mut session = self.session();
            let done = session.execute(&sql).and_then(|_| session.commit());
            match done {
                Ok(()) => return,
                Err(error) if error.class == ErrorClass::Transient && tries.next().is_some() => {}
                Err(error) => panic!("{sql}: {error}"),
            }
        }
    }

    /// The answer to a query past the program. `$T` is the table.
    pub(crate) fn query(&self, sql: &str) -> Rows {
        let sql = sql.replace("$T", &self.table);
        self.try_query(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same, or what the database says.
    pub(crate) fn try_query(&self, sql: &str) -> Result<Rows, String> {
        if self.kind != Kind::Sqlite {
            return self.session().query(sql).map_err(|error| error.to_string());
        }
        // A session of ours would take the write lock.
        let read = || -> rusqlite::Result<Rows> {
            let database = rusqlite::Connection::open(self.path("x.db"))?;
            let mut statement = database.prepare(sql)?;
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
            rows?.collect()
        };
        read().map_err(|error| error.to_string())
    }

    /// All rows of the table, as `id|name|v`, by id.
    pub(crate) fn content(&self) -> Vec<String> {
        texts(&self.query("SELECT id, name, v FROM $T ORDER BY id, v"))
    }

    /// A table with columns `id`, `name`, `v`, the id its primary key, and three rows.
    pub(crate) fn seeded(kind: Kind, table: &str) -> Self {
        let place = Self::new(kind, table);
        let end = if kind == Kind::Mariadb { " ENGINE=InnoDB" } else { "" };
        place.execute(&format!(
            "CREATE TABLE $T (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20), v INTEGER){end}"
        ));
        for row in ["1, 'one', 10", "2, 'two', 20", "9, 'nine', 90"] {
            place.execute(&format!("INSERT INTO $T (id, name, v) VALUES ({row})"));
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The program, told where to load, with the password in the environment only.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_into(&self.table, arguments)
    }

    fn command_into(&self, table: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastload"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FASTLOAD_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.directory.path())
            .env("FASTLOAD_TO", &self.url)
            .env("FASTLOAD_RETRY_BUDGET", "5s")
            // What is left for a resume is a matter of its own: restarts.rs.
            .env("FASTLOAD_RESTART", "off")
            .args(arguments)
            .args(["--table", table, "--output", "json"])
            .stdin(Stdio::null());
        command
    }

    /// Runs a load.
    #[track_caller]
    pub(crate) fn run(&self, status: i32, arguments: &[&str]) -> Run {
        Run::of(self.start(arguments), status)
    }

    /// Runs a load into a table under another name.
    #[track_caller]
    pub(crate) fn run_into(&self, table: &str, status: i32, arguments: &[&str]) -> Run {
        let mut command = self.command_into(table, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Run::of(command.spawn().expect("the program starts"), status)
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.drop_all();
        }
    }
}

fn connection_text(kind: Kind) -> String {
    let variable = match kind {
        Kind::Sqlite => unreachable!("a file"),
        Kind::Postgresql => "FASTLOAD_TEST_POSTGRESQL",
        Kind::Mariadb => "FASTLOAD_TEST_MARIADB",
        Kind::Db2 => "FASTLOAD_TEST_DB2",
    };
    let text = std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: `scripts/databases start` starts the servers, \
             `eval \"$(scripts/databases env)\"` sets it"
        )
    });
    format!("{};", text.trim_end_matches(';'))
}

/// The lines of a file, one for each number.
pub(crate) fn lines(ids: std::ops::Range<u32>, line: impl Fn(u32) -> String) -> String {
    ids.map(line).collect::<Vec<_>>().concat()
}

/// Cells of each row, with bars between them; NULL is nothing.
pub(crate) fn texts(rows: &Rows) -> Vec<String> {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_default().trim_end().to_owned();
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")).collect()
}

/// What a finished run left.
pub(crate) struct Run {
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn of(child: Child, status: i32) -> Self {
        let output = child.wait_with_output().expect("the program ends");
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(status), "\n{stdout}\n{stderr}");
        let report = serde_json::from_str(&stdout).unwrap_or(Value::Null);
        let run = Self { report, stderr };
        if !run.report.is_null() {
            run.check_counts();
        }
        run
    }

    /// The counts add up, in sum and for each file.
    #[track_caller]
    fn check_counts(&self) {
        let files = self.report["files"].as_array().expect("a list").iter();
        for counts in files.chain([&self.report["totals"]]) {
            let count = |name: &str| counts[name].as_u64().expect("a number");
            let parts = ["loaded", "rejected", "skipped", "filtered", "superseded", "rolled_back"];
            let sum: u64 = parts.iter().map(|part| count(&format!("rows_{part}"))).sum();
            assert_eq!(count("records_read"), sum, "{counts}");
        }
    }

    pub(crate) fn total(&self, name: &str) -> u64 {
        self.report["totals"][name].as_u64().expect("a number")
    }

    /// Loaded, rejected, superseded, rolled back.
    pub(crate) fn totals(&self) -> [u64; 4] {
        ["rows_loaded", "rows_rejected", "rows_superseded", "rows_rolled_back"]
            .map(|name| self.total(name))
    }

    pub(crate) fn staging(&self, name: &str) -> &Value {
        &self.report["staging"][name]
    }

    /// Holds standard error to these pieces of text.
    #[track_caller]
    pub(crate) fn says(self, pieces: &[&str]) -> Self {
        for piece in pieces {
            assert!(self.stderr.contains(piece), "{piece:?} is not in\n{}", self.stderr);
        }
        self
    }
}
