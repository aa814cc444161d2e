//! A load of a generated file, started over and over until it is done.

use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use crate::data::{Data, Wanted};
use crate::ledger::Ledger;
use crate::place::{Kind, Place};

/// How long anything here may take before it counts as not happening. It is never waited out when
/// all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs of a job that end with an error before it counts as one that does not end.
const RUNS_MAX: usize = 40;

/// How rows come to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each writer in its own transactions, new rows.
    Append,
    /// The same, rows found by their key.
    Upsert,
    /// By a staging table.
    StagedAppend,
    StagedUpsert,
    /// As without, by COPY.
    #[cfg(feature = "postgresql-copy")]
    CopyAppend,
    #[cfg(feature = "postgresql-copy")]
    CopyStaged,
}

impl Way {
    pub(crate) const fn is_staged(self) -> bool {
        #[cfg(feature = "postgresql-copy")]
        if matches!(self, Self::CopyStaged) {
            return true;
        }
        matches!(self, Self::StagedAppend | Self::StagedUpsert)
    }

    pub(crate) const fn has_key(self) -> bool {
        matches!(self, Self::Upsert | Self::StagedUpsert)
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Append => &[],
            Self::Upsert => &["--mode", "upsert", "--key", "id"],
            Self::StagedAppend => &["--staging"],
            #[cfg(feature = "postgresql-copy")]
            Self::CopyAppend => &["--copy"],
            #[cfg(feature = "postgresql-copy")]
            Self::CopyStaged => &["--copy", "--staging"],
            Self::StagedUpsert => {
                &["--staging", "--mode", "upsert", "--key", "id", "--duplicates", "last"]
            }
        }
    }

    /// What a file for it may hold.
    pub(crate) fn wanted(self, records: u32, rng: &mut Rng) -> Wanted {
        Wanted {
            records,
            bad_per_mille: [0, 5, 20, 100][rng.usize(..4)],
            // The move of staged rows is one statement: a row that it refuses ends the load.
            refused_by_database: !self.is_staged(),
            keys_again: self.has_key(),
            crlf: rng.bool(),
        }
    }
}

/// A job: its file, its table, and what must come of it.
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) way: Way,
    pub(crate) data: Data,
    /// Options that each run of it gets.
    options: Vec<String>,
    /// Whether its runs keep a ledger.
    has_ledger: bool,
    /// Environment of the next runs.
    variables: Vec<(&'static str, String)>,
}

/// Numbers that a job may change from one start to the next.
#[derive(Debug, Clone)]
pub(crate) struct Work(Vec<(&'static str, String)>);

impl Work {
    /// Any of them.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut work = Vec::new();
        let mut one = |flag, values: &[&str]| {
            work.push((flag, values[rng.usize(..values.len())].to_owned()));
        };
        one("--parsers", &["1", "2", "3", "4"]);
        one("--writers", &["1", "2", "3", "4"]);
        one("--chunk-bytes", &["701", "4KiB", "32KiB", "1MiB"]);
        one("--batch-rows", &["7", "50", "100", "500"]);
        one("--commit-rows", &["100", "250", "1000", "10000000"]);
        one("--ring-batches", &["1", "2", "8"]);
        one("--io", &["mmap", "read", "uring"]);
        Self(work)
    }

    /// The same with one of them given.
    pub(crate) fn and(mut self, flag: &'static str, value: &str) -> Self {
        self.0.retain(|(other, _)| *other != flag);
        self.0.push((flag, value.to_owned()));
        self
    }
}

impl Job {
    /// A job whose table is there, and empty.
    pub(crate) fn new(place: Place, way: Way, data: Data) -> Self {
        place.make_table(way.has_key());
        let (options, variables) = (Vec::new(), Vec::new());
        let job = Self { place, way, data, options, has_ledger: true, variables };
        std::fs::write(job.input(), &job.data.bytes).expect("a file can be written");
        job
    }

    /// The next job in the same place, under another name.
    pub(crate) fn of_seed(kind: Kind, table: &str, way: Way, records: u32, rng: &mut Rng) -> Self {
        let data = Data::generate(way.wanted(records, rng), rng.u64(..));
        Self::new(Place::new(kind, table), way, data)
    }

    /// The same job without a ledger.
    pub(crate) fn without_ledger(mut self) -> Self {
        self.has_ledger = false;
        self
    }

    pub(crate) const fn has_ledger(&self) -> bool {
        self.has_ledger
    }

    pub(crate) fn option(mut self, option: &str, value: &str) -> Self {
        self.options.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// Sets a variable of the next runs, or takes it away.
    pub(crate) fn variable(&mut self, name: &'static str, value: Option<String>) {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.extend(value.map(|value| (name, value)));
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.place.path("rows.csv")
    }

    pub(crate) fn ledger_table(&self) -> String {
        format!("{}_ledger", self.place.table)
    }

    pub(crate) fn command(&self, work: &Work) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastload"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FASTLOAD_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.place.directory())
            .env("FASTLOAD_TO", &self.place.url)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .args(["rows.csv", "--table", &self.place.table, "--output", "json"])
            .args(["--max-errors", "all"])
            .args(self.way.options())
            .args(&self.options)
            .args(work.0.iter().flat_map(|(flag, value)| [*flag, value]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match self.has_ledger {
            true => command.args(["--ledger-table", &self.ledger_table()]),
            false => command.args(["--restart", "off"]),
        };
        command
    }

    pub(crate) fn start(&self, work: &Work) -> Running {
        Running::of(self.command(work))
    }

    /// One run to its end.
    pub(crate) fn run(&self, work: &Work) -> Ended {
        self.start(work).end()
    }

    /// Starts it again until it is done, as a user or a scheduler would; the ends of all runs.
    #[track_caller]
    pub(crate) fn finish(&self, rng: &mut Rng) -> Vec<Ended> {
        let mut ends = Vec::new();
        while ends.len() < RUNS_MAX {
            let end = self.run(&Work::random(rng));
            let is_done = matches!(end.status, 0 | 2);
            ends.push(end);
            if is_done {
                return ends;
            }
        }
        panic!("it does not end; the last run: {:#?}", ends.last());
    }

    /// The reject files, if there are any: records and reasons.
    pub(crate) fn rejects(&self) -> Option<(Vec<u8>, Vec<Value>)> {
        let raw = std::fs::read(self.place.path("rows.csv.rejects")).ok()?;
        let lines = std::fs::read_to_string(self.place.path("rows.csv.rejects.jsonl"))
            .expect("the reasons stand beside the records");
        let reasons = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        Some((raw, reasons.collect()))
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::read(&self.place, &self.ledger_table())
    }
}

/// A run that goes on.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    /// Whether it runs, or is stopped.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("the system knows its children").is_none()
    }

    /// Sends a signal, named as `kill` does.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).stderr(Stdio::null()).status();
        // It may have ended already; then it is not reaped yet, and the signal does nothing.
        assert!(sent.expect("kill runs").success(), "no process {id}");
    }

    /// Waits until the run has stopped itself (SIGSTOP).
    #[cfg(feature = "failpoints")]
    #[track_caller]
    pub(crate) fn await_stop(&mut self) {
        let began = Instant::now();
        let status = format!("/proc/{}/stat", self.0.id());
        loop {
            let text = std::fs::read_to_string(&status).expect("the process is not reaped");
            // The state stands behind the name in parentheses.
            match text.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
                Some('T') => return,
                Some('Z') | None => panic!("it ended instead of stopping"),
                Some(_) => {}
            }
            assert!(began.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn end(self) -> Ended {
        let Self(mut child) = self;
        let stdout = read_all(child.stdout.take().expect("a pipe"));
        let stderr = read_all(child.stderr.take().expect("a pipe"));
        let began = Instant::now();
        let mut is_late = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the system knows its children") {
                break status;
            }
            if !is_late && began.elapsed() > PATIENCE {
                is_late = true;
                child.kill().expect("a child can be killed");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = |output: JoinHandle<String>| output.join().expect("the program prints UTF-8");
        let (stdout, stderr) = (text(stdout), text(stderr));
        assert!(!is_late, "it did not end by itself: {stderr}");
        let signal = status.signal();
        Ended {
            status: status.code().unwrap_or_else(|| 128 + signal.expect("one of both")),
            report: serde_json::from_str(&stdout).unwrap_or(Value::Null),
            signal,
            stderr,
        }
    }
}

/// Reads a pipe to its end, beside everything else.
fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("UTF-8");
        text
    })
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit status, or 128 and the signal that ended it.
    pub(crate) status: i32,
    pub(crate) signal: Option<i32>,
    /// The JSON result; null when it was killed.
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// A number of the result's totals.
    #[track_caller]
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.report["totals"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn retries(&self, name: &str) -> u64 {
        self.report["retries"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}
