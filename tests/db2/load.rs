//! Loads by the program into a table of the case's own, and what must be true afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PATIENCE, create_table, query_at, variable};

/// Rows of a batch: one array of the driver.
pub(crate) const BATCH_ROWS: u64 = 100;
/// Rows of a transaction.
pub(crate) const COMMIT_ROWS: u64 = 500;

/// A file, the table it goes into, and options.
pub(crate) struct Load {
    directory: tempfile::TempDir,
    table: String,
    /// Connection string past all faults.
    server: String,
    /// Where each record begins, and at last where the file ends.
    offsets: Vec<u64>,
    options: BTreeMap<String, String>,
    environment: Vec<(String, String)>,
}

impl Load {
    /// A file of `rows` rows for a new table in the shared Derby.
    pub(crate) fn new(table: &str, rows: u64) -> Self {
        Self::into_server(&variable("FASTLOAD_TEST_DB2_WIDE"), table, rows)
    }

    /// The same for another server, given by a connection string for questions.
    pub(crate) fn into_server(server: &str, table: &str, rows: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // No key: a row that went in twice must be seen, not refused.
        create_table(server, table, "ID INTEGER NOT NULL, NAME VARCHAR(40)");
        let mut text = "ID,NAME\n".to_owned();
        let mut offsets = Vec::new();
        for number in 1..=rows {
            offsets.push(text.len() as u64);
            writeln!(text, "{number},{}", name(number)).unwrap();
        }
        offsets.push(text.len() as u64);
        std::fs::write(directory.path().join("rows.csv"), text).unwrap();
        Self {
            directory,
            table: table.to_owned(),
            server: format!("{};", server.trim_end_matches(';')),
            offsets,
            options: [("--writers", "1"), ("--retry-budget", "120s")]
                .map(|(flag, value)| (flag.to_owned(), value.to_owned()))
                .into(),
            environment: Vec::new(),
        }
    }

    /// A flag and its value, which is empty where the flag has none.
    pub(crate) fn option(mut self, flag: &str, value: &str) -> Self {
        self.options.insert(flag.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn rows(&self) -> u64 {
        self.offsets.len() as u64 - 1
    }

    /// The bytes of these records, counted from 1, both included.
    pub(crate) fn bytes_of(&self, first: u64, last: u64) -> (u64, u64) {
        let at = |record: u64| self.offsets[usize::try_from(record).unwrap()];
        (at(first - 1), at(last))
    }

    /// Puts a line in place of a record, of the same length.
    pub(crate) fn spoil(&self, record: u64) -> Vec<u8> {
        let path = self.path("rows.csv");
        let mut text = std::fs::read(&path).unwrap();
        let (start, _) = self.bytes_of(record, record);
        text[usize::try_from(start).unwrap()] = b'x';
        std::fs::write(&path, &text).unwrap();
        let (start, end) = self.bytes_of(record, record);
        text[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].to_vec()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the program with this connection string. The driver's environment is the program's
    /// own affair.
    pub(crate) fn start(&self, connection: &str) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastload"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("FASTLOAD_") || name.starts_with("DB2") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.directory.path())
            .env("FASTLOAD_TO", format!("odbc:{connection}"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // What is on the wire is counted here; the ledger has tests of its own.
            .args(["--restart", "off"])
            .args(["rows.csv", "--table", &self.table, "--dialect", "csv", "--header"])
            .args(["--output", "json", "--parsers", "1"])
            .args(["--batch-rows", &BATCH_ROWS.to_string()])
            .args(["--commit-rows", &COMMIT_ROWS.to_string()])
            .args(self.options.iter().flat_map(|pair| [pair.0, pair.1]).filter(|s| !s.is_empty()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running(command.spawn().expect("the program starts"))
    }

    /// Holds the table to all rows of the file, or none.
    #[track_caller]
    pub(crate) fn table_holds_all_or_nothing(&self) {
        let sql = format!("SELECT COUNT(*) FROM {}", self.table);
        let count = query_at(&self.server, &sql)[0][0].clone().unwrap();
        self.table_holds(if count == "0" { 0 } else { self.rows() });
    }

    /// Holds the table to the rows 1 to `last`, each once and unchanged.
    #[track_caller]
    pub(crate) fn table_holds(&self, last: u64) {
        let sql = format!(
            "SELECT COUNT(*), COUNT(DISTINCT ID), MIN(ID), MAX(ID), SUM(LENGTH(NAME)) FROM {}",
            self.table
        );
        let found: Vec<Option<String>> = query_at(&self.server, &sql).remove(0);
        let characters: usize = (1..=last).map(|number| name(number).chars().count()).sum();
        let some = |value: u64| (last > 0).then(|| value.to_string());
        let expected = [
            Some(last.to_string()),
            Some(last.to_string()),
            some(1),
            some(last),
            some(characters as u64),
        ];
        assert_eq!(found, expected, "rows, different ones, first, last, characters");
    }
}

fn name(number: u64) -> String {
    format!("n\u{e4}me {} \u{20ac}", number * 7)
}

/// A load that has been started.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A case that failed meanwhile leaves nothing behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Waits for its end; nothing is asserted about its status.
    pub(crate) fn end(mut self) -> Ended {
        let read = |pipe: Option<Box<dyn Read + Send>>| {
            let pipe = pipe.expect("a pipe");
            std::thread::spawn(|| std::io::read_to_string(pipe).expect("UTF-8"))
        };
        let stdout = read(self.0.stdout.take().map(|pipe| Box::new(pipe) as _));
        let stderr = read(self.0.stderr.take().map(|pipe| Box::new(pipe) as _));
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status.code().expect("no signal ends the program");
            }
            if began.elapsed() > PATIENCE {
                let _ = self.0.kill();
                panic!("the load does not end\n{}", stderr.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let report: Value = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("status {status}: {error}\n{stdout}\n{stderr}"));
        let ended = Ended { status, report, stderr };
        ended.adds_up();
        ended
    }
}

/// What a load left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.report["totals"][name].as_u64().unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn retries(&self, name: &str) -> u64 {
        self.report["retries"][name].as_u64().unwrap_or_else(|| panic!("no {name}"))
    }

    /// Whatever happened: every record read is counted once.
    #[track_caller]
    fn adds_up(&self) {
        let totals = self.report["totals"].as_object().expect("totals");
        let rows = totals.iter().filter(|(name, _)| name.starts_with("rows_"));
        let sum: u64 = rows.map(|(_, count)| count.as_u64().unwrap()).sum();
        assert_eq!(sum, self.total("records_read"), "{self:#?}");
        assert_eq!(self.report["exit_code"], self.status, "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// Rows that a load committed before it failed: some, and not all.
    #[track_caller]
    pub(crate) fn committed_of(&self, load: &Load) -> u64 {
        let committed = self.total("rows_loaded");
        assert!(committed > 0 && committed < load.rows(), "{self:#?}");
        committed
    }

    /// All rows are in, and something was sent again.
    #[track_caller]
    pub(crate) fn recovered(self, load: &Load) -> Self {
        let ended = self.expect(0);
        assert_eq!(ended.total("rows_loaded"), load.rows(), "{ended:#?}");
        assert!(ended.retries("replays") > 0, "{ended:#?}");
        load.table_holds(load.rows());
        ended
    }
}
