//! One file of bytes, and what must become of each of its records.

use serde_json::Value;

use crate::support::{Place, Rows, Run};

/// A cell that is NULL, in the rows that a case expects.
pub(crate) const NULL: &str = "\u{2205}";

/// A record that must be refused: its number, its line, the code, its bytes.
pub(crate) type Reject<'a> = (u64, u64, &'a str, &'a [u8]);

/// Ways of input, parsers and sizes of chunks that must all come to the same end.
const WAYS: [[&str; 6]; 3] = [
    ["--io", "mmap", "--parsers", "1", "--chunk-bytes", "4MiB"],
    ["--io", "read", "--parsers", "3", "--chunk-bytes", "7"],
    ["--io", "uring", "--parsers", "2", "--chunk-bytes", "1"],
];

const ALWAYS: [&str; 7] = ["in.csv", "--table", "t", "--max-errors", "all", "--output", "json"];

/// A text of many lines, each made from its number.
pub(crate) fn lines(numbers: impl Iterator<Item = u64>, line: impl Fn(u64) -> String) -> String {
    numbers.map(line).collect()
}

/// A file that is loaded into SQLite.
pub(crate) struct Case<'a> {
    bytes: Vec<u8>,
    flags: Vec<&'a str>,
}

impl<'a> Case<'a> {
    /// A file of the dialect `csv` for a table of an `id` and a `name`.
    pub(crate) fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self::with(bytes, &["--dialect", "csv", "--schema", "id INT, name TEXT"])
    }

    /// A file with all flags that say how it is to be read.
    pub(crate) fn with(bytes: impl AsRef<[u8]>, flags: &[&'a str]) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), flags: flags.to_vec() }
    }

    pub(crate) fn flag(mut self, flags: &[&'a str]) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Loads the file in each of the ways and holds table, reject files and counts to this.
    #[track_caller]
    pub(crate) fn gives(&self, rows: &[&[&str]], rejects: &[Reject<'_>]) {
        for way in WAYS {
            let place = Place::new();
            place.write("in.csv", &self.bytes);
            let run = load(&place, self.flags.iter().chain(&way));
            let run = run.expect(if rejects.is_empty() { 0 } else { 2 });
            let mut stored = place.sqlite("SELECT * FROM t");
            stored.sort();
            assert_eq!(stored, expected(rows), "{way:?}\n{}", run.stderr);
            check_rejects(&place, &self.bytes, rejects);
            check_counts(&run.json(), self.bytes.len(), rows.len(), rejects.len());
        }
    }

    /// Loads the file in each of the ways; none may load a row.
    #[track_caller]
    pub(crate) fn is_refused(&self, status: i32, says: &[&str]) {
        for way in WAYS {
            let place = Place::new();
            place.write("in.csv", &self.bytes);
            let run = load(&place, self.flags.iter().chain(&way)).expect(status);
            assert!(
                says.iter().all(|piece| run.stderr.contains(piece)),
                "{way:?} {says:?}\n{}",
                run.stderr
            );
            if place.path("fastload.db").exists()
                && place.sqlite_value("SELECT count(*) FROM sqlite_schema WHERE name = 't'") == "1"
            {
                assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "0", "{way:?}");
            }
        }
    }
}

fn load<'a>(place: &Place, flags: impl Iterator<Item = &'a &'a str>) -> Run {
    place.run(ALWAYS.iter().chain(flags))
}

/// Rows as the database gives them, in the order of their cells.
pub(crate) fn expected(rows: &[&[&str]]) -> Rows {
    let cell = |cell: &&str| (*cell != NULL).then(|| (*cell).to_owned());
    let mut rows: Rows = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    rows.sort();
    rows
}

/// The reasons, one object for each reject.
pub(crate) fn reasons(place: &Place, rejects: &str) -> Vec<Value> {
    let text = String::from_utf8(place.read(format!("{rejects}.jsonl"))).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// Holds the reject files to the records that must be in them. Where each stands in the input is
/// found by its line.
#[track_caller]
fn check_rejects(place: &Place, input: &[u8], rejects: &[Reject<'_>]) {
    let raw = "in.csv.rejects";
    if rejects.is_empty() {
        assert!(!place.path(raw).exists() && !place.path("in.csv.rejects.jsonl").exists());
        return;
    }
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let number = |value: &Value| value.as_u64().expect("a number");
    let found: Vec<_> = reasons(place, raw)
        .iter()
        .map(|reason| {
            let place = (number(&reason["byte_offset"]), number(&reason["byte_length"]));
            (number(&reason["record"]), number(&reason["line"]), text(&reason["code"]), place)
        })
        .collect();
    let wanted: Vec<_> = rejects
        .iter()
        .map(|&(record, line, code, bytes)| {
            let at = place_of(input, line, bytes);
            (record, line, code.to_owned(), (at as u64, bytes.len() as u64))
        })
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(place.read(raw), rejects.iter().map(|reject| reject.3).collect::<Vec<_>>().concat());
}

/// Where these bytes begin the line of this number; lines end with LF, or with CR where there is
/// none.
#[track_caller]
fn place_of(input: &[u8], line: u64, bytes: &[u8]) -> usize {
    let end = if input.contains(&b'\n') { b'\n' } else { b'\r' };
    let before = usize::try_from(line - 1).expect("a line of a short file");
    let lines = input.split_inclusive(|&byte| byte == end).take(before);
    let at = lines.map(<[u8]>::len).sum();
    assert!(input[at..].starts_with(bytes), "line {line} is another one");
    at
}

#[track_caller]
fn check_counts(report: &Value, bytes: usize, rows: usize, rejects: usize) {
    let totals = &report["totals"];
    let count = |name: &str| totals[name].as_u64().expect("a count");
    assert_eq!(
        (count("bytes"), count("records_read"), count("rows_loaded"), count("rows_rejected")),
        (bytes as u64, (rows + rejects) as u64, rows as u64, rejects as u64),
        "{totals}"
    );
}
