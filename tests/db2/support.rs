//! The rig of `scripts/databases`, shims of a case's own, questions past the program, and loads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use odbc_api::{Connection, ConnectionOptions, Cursor as _, Environment, ResultSetMetadata as _};
use serde_json::Value;

/// Rows of a query; every value as text, `None` for NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// How long anything here may take before it counts as not happening. It is never waited out when
/// all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A variable of the rig.
///
/// # Panics
/// When it is not set.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: `scripts/databases start db2` starts the rig, \
             `eval \"$(scripts/databases env db2)\"` sets it"
        )
    })
}

/// A connection string with one keyword changed. The driver manager drops the last character of a
/// value at the very end, so the text ends with a semicolon.
pub(crate) fn with(text: &str, keyword: &str, value: &str) -> String {
    let parts = text.split_terminator(';').map(|part| {
        let (key, old) = part.split_once('=').expect("a keyword");
        let same = key.eq_ignore_ascii_case(keyword);
        format!("{key}={};", if same { value } else { old })
    });
    parts.collect()
}

/// The driver manager, one a process. The driver reads its code page when it is loaded.
pub(crate) fn environment() -> &'static Environment {
    assert_eq!(variable("DB2CODEPAGE"), "1208", "set by `scripts/databases env`");
    odbc_api::environment().expect("a driver manager")
}

/// A connection of the test's own, past the program.
pub(crate) fn connect(text: &str) -> Result<Connection<'static>, odbc_api::Error> {
    environment().connect_with_connection_string(text, ConnectionOptions::default())
}

/// Asks over a connection of its own that no fault of a case reaches: through the shared shim and
/// the stand-in with the lengths that odbc-api expects.
pub(crate) fn query(sql: &str) -> Rows {
    query_at(&variable("FASTLOAD_TEST_DB2_WIDE"), sql)
}

/// Asks over a new connection. Derby locks rows of its catalogue for every statement that is
/// prepared, and for changes of it; cases that run side by side wait for each other, or are
/// deadlocked and try again.
pub(crate) fn query_at(text: &str, sql: &str) -> Rows {
    let began = Instant::now();
    loop {
        let error = match ask(text, sql) {
            Ok(rows) => return rows,
            Err(error) => error.to_string(),
        };
        let is_busy = error.contains("State: 40XL1") || error.contains("State: 40001");
        assert!(is_busy && began.elapsed() < PATIENCE, "{sql}: {error}");
    }
}

fn ask(text: &str, sql: &str) -> Result<Rows, odbc_api::Error> {
    let connection = connect(&format!("{};", text.trim_end_matches(';')))?;
    let Some(mut cursor) = connection.execute(sql, (), None)? else {
        return Ok(Vec::new());
    };
    let columns = u16::try_from(cursor.num_result_cols()?).unwrap();
    let mut rows = Vec::new();
    while let Some(mut row) = cursor.next_row()? {
        let mut cells = Vec::new();
        for number in 1..=columns {
            let mut text = Vec::new();
            let there = row.get_text(number, &mut text)?;
            cells.push(there.then(|| String::from_utf8(text).expect("UTF-8")));
        }
        rows.push(cells);
    }
    Ok(rows)
}

/// A new table; one of this name from an earlier run is dropped.
pub(crate) fn create_table(server: &str, name: &str, columns: &str) {
    drop_table(server, name);
    query_at(server, &format!("CREATE TABLE {name} ({columns})"));
}

/// Drops a table if it is there.
pub(crate) fn drop_table(server: &str, name: &str) {
    let there = format!("SELECT 1 FROM SYS.SYSTABLES WHERE TABLENAME = '{name}'");
    if !query_at(server, &there).is_empty() {
        query_at(server, &format!("DROP TABLE {name}"));
    }
}

/// A shim of a case's own, in front of a Derby.
pub(crate) struct Shim {
    process: Child,
    port: String,
    control: String,
}

impl Shim {
    /// In front of the Derby that all tests share.
    pub(crate) fn start() -> Self {
        Self::before(&variable("FASTLOAD_TEST_DB2_SERVER"))
    }

    /// In front of the Derby at `host:port`.
    pub(crate) fn before(server: &str) -> Self {
        let (_, port) = server.split_once(':').expect("host:port");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/drda_shim.py");
        let mut process = Command::new("python3")
            .arg("-B")
            .arg(script)
            .args(["--server", port])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["listening", port, "control", control] = words[..] else {
            panic!("the shim does not listen: {line:?}");
        };
        Self { port: port.to_owned(), control: format!("127.0.0.1:{control}"), process }
    }

    /// A connection string of the rig, led through this shim.
    pub(crate) fn through(&self, variable_name: &str) -> String {
        with(&variable(variable_name), "Port", &self.port)
    }

    /// Gives a command, which must be understood; `tests/rig/drda_shim.py` lists them.
    pub(crate) fn tell(&self, command: &str) -> String {
        let mut control = TcpStream::connect(&self.control).expect("the control port answers");
        writeln!(control, "{command}").unwrap();
        let mut answer = String::new();
        BufReader::new(control).read_line(&mut answer).unwrap();
        let answer = answer.trim();
        assert!(answer.starts_with("ok"), "{command}: {answer}");
        answer["ok".len()..].trim().to_owned()
    }

    /// One of the shim's counts.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let stats: Value = serde_json::from_str(&self.tell("stats")).expect("JSON");
        stats[name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    /// Waits until a count has reached a value.
    #[track_caller]
    pub(crate) fn await_count(&self, name: &str, value: u64) {
        let began = Instant::now();
        while self.count(name) < value {
            assert!(
                began.elapsed() < PATIENCE,
                "{name} stays below {value}: {}",
                self.tell("stats")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Derby of a case's own, to be killed: another instance of `scripts/databases`, with the driver
/// of the shared one.
pub(crate) struct OwnServer {
    directory: tempfile::TempDir,
}

impl OwnServer {
    pub(crate) fn start() -> Self {
        let server = Self { directory: tempfile::tempdir().unwrap() };
        let shared = PathBuf::from(variable("ODBCSYSINI"));
        let driver = shared.parent().expect("the working directory").join("db2");
        std::os::unix::fs::symlink(driver, server.directory.path().join("db2")).unwrap();
        server.start_again();
        server
    }

    /// Starts it on its data and its port.
    pub(crate) fn start_again(&self) {
        self.databases(&["start", "db2"]);
    }

    /// Ends it without warning.
    pub(crate) fn kill(&self) {
        let file = self.variable("FASTLOAD_TEST_DB2_PID_FILE");
        let pid = std::fs::read_to_string(file).unwrap();
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
        assert!(killed.success(), "the server could not be killed");
    }

    /// A variable of its environment.
    pub(crate) fn variable(&self, name: &str) -> String {
        let script = "eval \"$(scripts/databases env db2)\"; printf %s \"${!1}\"";
        let mut command = self.in_repository("bash");
        let output = command.args(["-c", script, "-", name]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn databases(&self, arguments: &[&str]) {
        let output = self.in_repository("scripts/databases").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn in_repository(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("FASTLOAD_DEV_DIR", self.directory.path());
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.in_repository("scripts/databases").args(["stop"]).output();
    }
}
