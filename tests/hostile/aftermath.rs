//! What must be true of table, reject files and result after a load that a fault may have ended
//! anywhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Place, start};

/// A file of short records of which every tenth cannot be loaded.
pub(crate) struct Nightly {
    records: u64,
    /// Bytes that each bad record has more.
    bad_padding: usize,
    /// Rows of the first transaction. Where rejects are large, its first batch ends early: with the
    /// window of bytes that the parser scans at a time.
    first_unit_rows: u64,
}

/// Rows of a transaction: four batches.
const UNIT_ROWS: u64 = 40;

/// Stands for the exit status of a process that a signal has ended.
const KILLED: i32 = 128;

const LOAD: [&str; 17] = [
    "in.csv",
    "--table",
    "t",
    "--schema",
    "id INT, name TEXT",
    "--dialect",
    "csv",
    "--max-errors",
    "all",
    "--batch-rows",
    "10",
    "--commit-rows",
    "40",
    "--parsers",
    "1",
    "--output",
    "json",
];

impl Nightly {
    pub(crate) const SMALL: Self = Self { records: 150, bad_padding: 0, first_unit_rows: 40 };

    /// Rejects of a megabyte beside a table of a few pages.
    pub(crate) const WIDE_REJECTS: Self =
        Self { records: 1_000, bad_padding: 10_000, first_unit_rows: 36 };

    fn is_bad(record: u64) -> bool {
        record % 10 == 7
    }

    fn record(&self, record: u64) -> String {
        if Self::is_bad(record) {
            return format!("x{record},bad{}\n", "x".repeat(self.bad_padding));
        }
        format!("{record},name {record}\n")
    }

    fn good(&self) -> Vec<u64> {
        (1..=self.records).filter(|record| !Self::is_bad(*record)).collect()
    }

    /// Bytes of the first bad records.
    fn bad_bytes(&self, number: usize) -> String {
        let bad = (1..=self.records).filter(|record| Self::is_bad(*record));
        bad.take(number).map(|record| self.record(record)).collect()
    }

    pub(crate) fn place(&self) -> Place {
        // Hundreds of loads wait for hundreds of syncs: those of a disk take minutes.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { Place::resuming_in(memory) } else { Place::resuming() };
        let records: String = (1..=self.records).map(|record| self.record(record)).collect();
        place.write("in.csv", format!("id,name\n{records}"));
        place
    }

    /// The load, by way of another program that arranges the fault and then runs its arguments.
    pub(crate) fn run(place: &Place, program: &str, arguments: &[&str]) -> Output {
        Self::run_with(place, program, arguments, &[])
    }

    pub(crate) fn run_with(
        place: &Place,
        program: &str,
        arguments: &[&str],
        more: &[&str],
    ) -> Output {
        // What the environment of the program must be is what a command for it alone has.
        let mut alone = place.command();
        let mut command = Command::new(program);
        command.args(arguments).arg(alone.get_program()).args(LOAD).args(more);
        command.current_dir(place.path("")).env("RUST_BACKTRACE", "0");
        for (name, value) in alone.args(LOAD).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        start(&mut command).wait_with_output().expect("the program ends")
    }

    /// Holds what is left to what must be left. `what` names the fault.
    ///
    /// # Panics
    /// When rows, rejects, counts and exit status do not belong together.
    #[track_caller]
    pub(crate) fn check(&self, place: &Place, output: &Output, what: &str) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        // A library that does not look whether it got its memory may die; then it was a kill.
        let is_memory = ["ENOMEM", "ulimit -v"].iter().any(|word| what.contains(word));
        let killed = is_memory.then_some(KILLED);
        let code = output.status.code().or(killed);
        let code = code.unwrap_or_else(|| panic!("{what}: {:?}\n{stderr}", output.status));
        // 64: no reject file could be made. 127: the linker could not start the program.
        let codes = [2, 4, 8, 10, 64, 66, 127, KILLED];
        assert!(codes.contains(&code), "{what}: exit {code}\n{stderr}");
        if code != 2 && code != KILLED {
            assert!(!stderr.is_empty() || what.contains("write"), "{what}: {code} without a word");
        }
        let good = self.good();
        let stored = stored_ids(place);
        let rows = stored.len() as u64;
        assert!(good.starts_with(&stored), "{what}: other rows\n{stored:?}");
        let all = good.len() as u64;
        let behind_first = rows.checked_sub(self.first_unit_rows);
        let whole = rows == 0 || behind_first.is_some_and(|rows| rows.is_multiple_of(UNIT_ROWS));
        assert!(whole || rows == all, "{what}: {rows} rows: half a unit");
        let report = serde_json::from_slice::<Value>(&output.stdout).ok();
        // Rejects of what is in doubt are kept: if the rows are not in, they are too many.
        let in_doubt = |report: &Value| report["in_doubt"]["rows"].as_u64().expect("a count");
        let doubt = report.as_ref().map_or(0, in_doubt);
        let rejects = self.rejects(place, &stored, doubt, what);
        if code == 2 {
            assert_eq!((rows, rejects), (all, self.records - all), "{what}: not everything");
        }
        if let Some(report) = report {
            check_report(&report, code, rows, what);
        } else {
            assert_ne!(code, 2, "{what}: no result\n{stderr}");
        }
    }

    /// The same command again, after a fault that is over: it does the rest, and everything is
    /// there once.
    #[track_caller]
    pub(crate) fn finish(&self, place: &Place, output: &Output, what: &str) {
        if output.status.code() == Some(2) {
            return;
        }
        let what = format!("after {what}");
        let again = Self::run(place, "env", &["--"]);
        let stderr = String::from_utf8_lossy(&again.stderr);
        // An error of the very last commit may come behind its effect: then the job is done.
        let was_done = again.status.code() == Some(0) && stderr.contains("already loaded");
        assert!(was_done || again.status.code() == Some(2), "{what}: {stderr}");
        let stored = stored_ids(place);
        assert_eq!(stored, self.good(), "{what}");
        let all = stored.len() as u64;
        assert_eq!(self.rejects(place, &stored, 0, &what), self.records - all, "{what}");
    }

    /// Rejects that are kept: those of all that is committed must be, in the reject file or, when
    /// it could not be written, in its parts.
    #[track_caller]
    fn rejects(&self, place: &Place, stored: &[u64], doubt: u64, what: &str) -> u64 {
        let file = "in.csv.rejects";
        let is_merged = place.path(file).exists();
        let found = if is_merged { place.read(file) } else { raw_segment(place) };
        let last = stored.last().copied().unwrap_or(0);
        let needed = (1..=last).filter(|record| Self::is_bad(*record)).count();
        let bytes = self.bad_bytes(needed);
        assert!(
            found.starts_with(bytes.as_bytes()),
            "{what}: of {needed} rejects of committed units {} bytes are kept",
            found.len()
        );
        if !is_merged {
            return needed as u64;
        }
        // In the file itself there is none of a unit that is not in the table.
        let certain = stored.len() + usize::try_from(doubt).expect("a count of rows");
        let next = self.good().get(certain).copied().unwrap_or(self.records + 1);
        let most = (1..next).filter(|record| Self::is_bad(*record)).count();
        assert!(
            (needed..=most).any(|number| found == self.bad_bytes(number).as_bytes()),
            "{what}: rejects of units that are not in the table"
        );
        let lines = place.read("in.csv.rejects.jsonl");
        let lines = lines.iter().filter(|&&byte| byte == b'\n').count();
        assert!((needed..=most).contains(&lines), "{what}: {lines} reasons");
        lines as u64
    }
}

/// The records in the one segment of a load that was not merged.
fn raw_segment(place: &Place) -> Vec<u8> {
    let Ok(parts) = fs::read_dir(place.path("in.csv.rejects.parts")) else { return Vec::new() };
    let paths = parts.map(|entry| entry.expect("the directory can be listed").path());
    let mut raw = paths.filter(|path| path.extension().is_some_and(|end| end == "raw"));
    let first = raw.next().map_or_else(Vec::new, |path| place.read(path));
    assert_eq!(raw.next(), None, "there is one writer");
    first
}

/// The rows in their order, and whether the database is sound.
fn stored_ids(place: &Place) -> Vec<u64> {
    if !place.path("fastload.db").exists() {
        return Vec::new();
    }
    assert_eq!(place.sqlite_value("PRAGMA integrity_check"), "ok");
    if place.sqlite_value("SELECT count(*) FROM sqlite_schema WHERE name = 't'") == "0" {
        return Vec::new();
    }
    let rows = place.sqlite("SELECT id, name FROM t ORDER BY rowid");
    let id = |row: &Vec<Option<String>>| {
        let id = row[0].as_ref().expect("no row has a NULL");
        assert_eq!(row[1], Some(format!("name {id}")));
        id.parse().expect("a number")
    };
    rows.iter().map(id).collect()
}

#[track_caller]
fn check_report(report: &Value, code: i32, rows: u64, what: &str) {
    let totals = &report["totals"];
    let count = |name: &str| totals[name].as_u64().expect("a count");
    let doubt = report["in_doubt"]["rows"].as_u64().expect("a count");
    let loaded = count("rows_loaded");
    assert!(rows == loaded || rows == loaded + doubt, "{what}: {rows} rows, {report}");
    assert_eq!(report["exit_code"], code, "{what}");
    let parts = ["loaded", "rejected", "skipped", "filtered", "superseded", "rolled_back"];
    let sum: u64 = parts.iter().map(|part| count(&format!("rows_{part}"))).sum();
    assert_eq!(count("records_read"), sum, "{what}: {totals}");
}
