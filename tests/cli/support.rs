//! A directory to work in, the program run in it, and questions to the databases afterwards.

#![expect(clippy::print_stderr, reason = "a case that tests nothing must say so")]

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use odbc_api::{ConnectionOptions, Cursor as _, ResultSetMetadata as _, environment};
use rusqlite::types::ValueRef;
use serde_json::Value;

/// Rows of a query; every value as text, `None` for NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// A directory of its own for one case.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    /// What the environment says to `--restart`.
    restart: Option<&'static str>,
}

impl Place {
    /// A place where the same file again is another load.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, restart: Some("new") }
    }

    /// A place where the same command again resumes, as it does for users.
    pub(crate) fn resuming() -> Self {
        Self::resuming_in(std::env::temp_dir())
    }

    /// The same, below a directory other than that for temporary files.
    pub(crate) fn resuming_in(above: impl AsRef<Path>) -> Self {
        let directory = tempfile::tempdir_in(above).expect("a temporary directory");
        Self { directory, restart: None }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Bytes of a file that the program may not have made yet.
    pub(crate) fn read_if_there(&self, name: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_default()
    }

    /// The program, started in the directory without options of the surroundings.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastload"));
        command.current_dir(self.directory.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FASTLOAD_") {
                command.env_remove(name);
            }
        }
        command.env_remove("NO_COLOR").stdin(Stdio::null());
        if let Some(restart) = self.restart {
            command.env("FASTLOAD_RESTART", restart);
        }
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        Run::of(self.command().args(arguments))
    }

    /// Runs with these bytes in a pipe as standard input.
    pub(crate) fn run_piped(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut child = start(self.command().args(arguments).stdin(Stdio::piped()));
        let mut pipe = child.stdin.take().expect("standard input is a pipe");
        // The program may refuse before it has read everything.
        let _ = pipe.write_all(input);
        drop(pipe);
        Run::end_of(child)
    }

    /// The answer of the SQLite file that is the default target.
    pub(crate) fn sqlite(&self, sql: &str) -> Rows {
        sqlite(&self.path("fastload.db"), sql)
    }

    /// The first value of the answer.
    pub(crate) fn sqlite_value(&self, sql: &str) -> String {
        let rows = self.sqlite(sql);
        let value = rows.first().and_then(|row| row[0].clone());
        value.unwrap_or_else(|| panic!("no value: {sql}"))
    }

    /// Runs statements in the SQLite file that is the default target.
    pub(crate) fn sqlite_run(&self, sql: &str) {
        rusqlite::Connection::open(self.path("fastload.db"))
            .and_then(|database| database.execute_batch(sql))
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

pub(crate) fn sqlite(path: &Path, sql: &str) -> Rows {
    let database = rusqlite::Connection::open(path).expect("the database opens");
    let mut statement = database.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let rows = statement
        .query_map((), |row| {
            let cell = |at| {
                Ok(match row.get_ref(at)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(number) => Some(number.to_string()),
                    ValueRef::Real(number) => Some(number.to_string()),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                        Some(String::from_utf8_lossy(bytes).into_owned())
                    }
                })
            };
            (0..columns).map(cell).collect()
        })
        .expect("the query runs");
    rows.map(|row| row.expect("a row")).collect()
}

/// Starts a command with its outputs kept.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// What a finished run left.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; 128 and the signal when one ended it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from_output(command.output().expect("the program starts"))
    }

    pub(crate) fn end_of(child: Child) -> Self {
        Self::from_output(child.wait_with_output().expect("the program ends"))
    }

    fn from_output(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self {
            status: output.status.code().expect("no signal ends the program"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Holds the exit status to what it must be.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Holds standard error to these pieces of text.
    #[track_caller]
    pub(crate) fn says(self, pieces: &[&str]) -> Self {
        for piece in pieces {
            assert!(self.stderr.contains(piece), "{piece:?} is not in\n{}", self.stderr);
        }
        self
    }

    /// The JSON result, which must be all of standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// A load from a named pipe that has taken some records and waits for more.
pub(crate) struct Waiting {
    pub(crate) place: Place,
    pub(crate) child: Child,
    pub(crate) pipe: File,
}

impl Waiting {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in("UTC0", arguments)
    }

    /// Starts it in a time zone.
    pub(crate) fn start_in(zone: &str, arguments: &[&str]) -> Self {
        let place = Place::resuming();
        let fifo = place.path("pipe");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let mut command = place.command();
        command.env("TZ", zone);
        command.args(["pipe", "--table", "t", "--schema", "id INT", "--dialect", "csv"]);
        let child = start(command.arg("--no-header").args(arguments));
        let mut pipe = OpenOptions::new().write(true).open(&fifo).expect("the program opens it");
        // More than a sniff and a block, so that the load itself is under way.
        let text = "1234567\n".repeat(1 << 18);
        pipe.write_all(text.as_bytes()).expect("the program reads");
        Self { place, child, pipe }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// A database server of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgresql,
    Mariadb,
}

/// Its connection string.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Server {
    /// Runs a case against each server that is there; each must be there when the surroundings
    /// say so.
    pub(crate) fn each(case: impl Fn(&Self)) {
        for (kind, variable) in [
            (Kind::Postgresql, "FASTLOAD_TEST_POSTGRESQL"),
            (Kind::Mariadb, "FASTLOAD_TEST_MARIADB"),
        ] {
            if let Ok(text) = std::env::var(variable) {
                // The driver manager drops the last character of a value at the very end.
                let text = format!("{};", text.trim_end_matches(';'));
                case(&Self { kind, text });
                continue;
            }
            let why = format!(
                "{variable} is not set: `scripts/databases start` starts the servers, \
                 `eval \"$(scripts/databases env)\"` sets it"
            );
            assert!(std::env::var_os("FASTLOAD_TEST_REQUIRE_DATABASES").is_none(), "{why}");
            eprintln!("nothing was tested: {why}");
        }
    }

    /// The connection string with one keyword changed.
    pub(crate) fn with(&self, keyword: &str, value: &str) -> String {
        let parts = self.text.split_terminator(';').map(|part| {
            let (key, old) = part.split_once('=').expect("a keyword");
            let same = key.eq_ignore_ascii_case(keyword);
            format!("{key}={};", if same { value } else { old })
        });
        parts.collect()
    }

    /// A load into this server, started in a place; the password goes through the environment.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        place: &Place,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run {
        let mut command = place.command();
        command.env("FASTLOAD_TO", format!("odbc:{}", self.text));
        Run::of(command.args(arguments))
    }

    pub(crate) fn query(&self, sql: &str) -> Rows {
        let connection = environment()
            .expect("a driver manager")
            .connect_with_connection_string(&self.text, ConnectionOptions::default())
            .expect("the test database takes connections");
        let answer =
            connection.execute(sql, (), None).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Some(mut cursor) = answer else {
            return Vec::new();
        };
        let columns = cursor.num_result_cols().expect("a result");
        let columns = u16::try_from(columns).expect("columns");
        let mut rows = Vec::new();
        while let Some(mut row) = cursor.next_row().expect("a row") {
            let cells = (1..=columns).map(|number| {
                let mut text = Vec::new();
                let there = row.get_text(number, &mut text).expect("a value");
                there.then(|| String::from_utf8(text).expect("UTF-8"))
            });
            rows.push(cells.collect());
        }
        rows
    }

    pub(crate) fn value(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().expect("a value")
    }

    /// A name in this database's quotes.
    pub(crate) fn quoted(&self, name: &str) -> String {
        match self.kind {
            Kind::Postgresql => format!("\"{}\"", name.replace('"', "\"\"")),
            Kind::Mariadb => format!("`{}`", name.replace('`', "``")),
        }
    }

    pub(crate) fn drop_table(&self, name: &str) {
        self.query(&format!("DROP TABLE IF EXISTS {}", self.quoted(name)));
    }
}

/// Texts of a row of a query.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<Option<String>> {
    cells.iter().map(|cell| Some((*cell).to_owned())).collect()
}
