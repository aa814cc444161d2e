//! What must be true of a job's table, reject files and ledger.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::data::{Bad, Data};
use crate::job::{Ended, Job, Way, Work};
use crate::place::Kind;
#[cfg(test)]
use crate::place::Place;

/// At most so many of one kind of problem are told.
const TOLD_MAX: usize = 5;

/// How two sorted lists of rows differ.
pub(crate) fn row_problems(expected: &[String], found: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in expected {
        counts.entry(row).or_default().0 += 1;
    }
    for row in found {
        counts.entry(row).or_default().1 += 1;
    }
    let told = |what: &str, wrong: &dyn Fn(usize, usize) -> bool| {
        let rows: Vec<_> = counts.iter().filter(|(_, (e, f))| wrong(*e, *f)).collect();
        let some: Vec<_> = rows.iter().take(TOLD_MAX).map(|(row, _)| **row).collect();
        (!rows.is_empty()).then(|| format!("{} rows {what}: {some:#?}", rows.len()))
    };
    let problems = [
        told("are lost", &|expected, found| found < expected),
        told("are there too often", &|expected, found| expected > 0 && found > expected),
        told("were never in the file", &|expected, _| expected == 0),
    ];
    problems.into_iter().flatten().collect()
}

/// Rows of an unfinished append that may not be there.
fn early_problems(data: &Data, found: &[String]) -> Vec<String> {
    let problems = row_problems(&data.rows, found);
    problems.into_iter().filter(|problem| !problem.contains("are lost")).collect()
}

/// What is wrong with reject files.
pub(crate) fn reject_problems(
    expected: &[Bad],
    found: Option<&(Vec<u8>, Vec<Value>)>,
) -> Vec<String> {
    let Some((raw, reasons)) = found else {
        let missing = format!("there is no reject file, but {} bad records", expected.len());
        return (!expected.is_empty()).then_some(missing).into_iter().collect();
    };
    let mut problems = Vec::new();
    let bytes: Vec<u8> = expected.iter().flat_map(|bad| bad.bytes.clone()).collect();
    if *raw != bytes {
        let at = raw.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
        problems.push(format!(
            "the reject file has {} bytes and should have {}; they differ from byte {at}: {:?}",
            raw.len(),
            bytes.len(),
            String::from_utf8_lossy(raw.get(at..raw.len().min(at + 80)).unwrap_or_default())
        ));
    }
    let as_reason = |bad: &Bad| {
        (bad.record, bad.line, bad.byte_offset, bad.bytes.len() as u64, bad.class.to_owned())
    };
    let of_line = |reason: &Value| {
        let number = |name: &str| reason[name].as_u64().unwrap_or(u64::MAX);
        let class = reason["class"].as_str().unwrap_or_default().to_owned();
        (number("record"), number("line"), number("byte_offset"), number("byte_length"), class)
    };
    let expected: Vec<_> = expected.iter().map(as_reason).collect();
    let found: Vec<_> = reasons.iter().map(of_line).collect();
    if expected != found {
        let at = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
        problems.push(format!(
            "{} reasons are there and {} should be; number {at} is {:?} and should be {:?}",
            found.len(),
            expected.len(),
            found.get(at),
            expected.get(at)
        ));
    }
    problems
}

/// What is wrong with a job that said it was done.
pub(crate) fn finished_problems(job: &Job) -> Vec<String> {
    let data = &job.data;
    let mut problems = row_problems(&data.rows, &job.place.rows());
    problems.extend(reject_problems(&data.bad, job.rejects().as_ref()));
    problems.extend(left_behind(job));
    problems
}

/// What is wrong with the ledger of a job that is done.
pub(crate) fn ledger_problems(job: &Job) -> Vec<String> {
    let (data, ledger) = (&job.data, job.ledger());
    let mut problems = ledger.problems(data.body_offset, data.bytes.len() as u64);
    let mut count = |what: &str, found: u64, expected: u64| {
        if found != expected {
            problems.push(format!("the ledger counts {found} {what}, and there are {expected}"));
        }
    };
    count("records", ledger.sum(|range| range.records), data.records);
    count("rejects", ledger.sum(|range| range.rejected), data.bad.len() as u64);
    let rows = ledger.sum(|range| range.loaded + range.superseded);
    count("rows", rows, data.good);
    let runs: Vec<_> = ledger.0.iter().map(|range| (range.run, range.file)).collect();
    if runs.windows(2).any(|two| two[0] != two[1]) {
        problems.push(format!("there are ranges of several runs or files: {runs:?}"));
    }
    problems
}

/// Files and tables that a finished job must have removed.
fn left_behind(job: &Job) -> Vec<String> {
    let mut problems = Vec::new();
    if job.place.path("rows.csv.rejects.parts").exists() {
        problems.push("the parts of the reject file are left".to_owned());
    }
    let ledger = job.ledger_table();
    let strange = |name: &&String| {
        let name = name.to_lowercase();
        name != job.place.table && !name.starts_with(&ledger)
    };
    let tables = job.place.tables();
    problems.extend(tables.iter().filter(strange).map(|name| format!("table {name} is left")));
    problems
}

/// Holds a job that was cut short to what is true at any moment: no row is there twice, and none
/// that is not in the file.
#[track_caller]
pub(crate) fn assert_sound(job: &Job, what: &str) {
    // An upsert has rows that later ones replace.
    if job.way.has_key() {
        return;
    }
    let rows = job.place.rows();
    let mut problems = early_problems(&job.data, &rows);
    if job.way.is_staged() && !rows.is_empty() && rows.len() != job.data.rows.len() {
        problems.push(format!("{} rows are moved, where all or none may be", rows.len()));
    }
    problems.extend(uneven_ledger(job));
    assert!(problems.is_empty(), "{what}: {}", problems.join("\n"));
}

/// Rows in the table of an append, and rows that its ledger has, in one look: a commit that the
/// server is still at is in both or in none.
fn uneven_ledger(job: &Job) -> Option<String> {
    let ledger = job.ledger_table();
    let is_there = job.place.tables().iter().any(|name| name.eq_ignore_ascii_case(&ledger));
    if job.way != Way::Append || !job.has_ledger() || !is_there {
        return None;
    }
    let from = if job.place.kind == Kind::Db2 { " FROM SYSIBM.SYSDUMMY1" } else { "" };
    let sql =
        format!("SELECT (SELECT COUNT(*) FROM $T), (SELECT SUM(ROWS_LOADED) FROM {ledger}){from}");
    let rows = job.place.query(&sql);
    let number = |at: usize| -> u64 {
        let cell = rows[0][at].as_deref().map_or("0", |cell| cell.trim().trim_end_matches('.'));
        cell.parse().expect("a number")
    };
    let (rows, noted) = (number(0), number(1));
    (rows != noted).then(|| format!("{rows} rows are in the table, and the ledger has {noted}"))
}

/// Holds a finished job to everything, and starts it once more, which must change nothing.
#[track_caller]
pub(crate) fn assert_exact(job: &Job, last: &Ended, what: &str) {
    let problems = finished_problems(job);
    assert!(problems.is_empty(), "{what}: {}\n{last:#?}", problems.join("\n"));
    let problems = ledger_problems(job);
    assert!(problems.is_empty(), "{what}: {}\n{last:#?}\n{:?}", problems.join("\n"), job.ledger());
    // A start that was cut short behind its last state has left nothing to do.
    let is_over = last.report["status"] == "already_loaded";
    let status = if job.data.bad.is_empty() || is_over { 0 } else { 2 };
    assert_eq!(last.status, status, "{what}: {last:#?}");
    assert_counts(job, last, what);
    let before = (job.place.rows(), job.rejects(), job.ledger());
    let again = job.run(&Work::random(&mut fastrand::Rng::with_seed(1)));
    assert_eq!(again.status, 0, "{what}, a further run: {again:#?}");
    assert_eq!(again.report["status"], "already_loaded", "{what}: {again:#?}");
    assert!(before == (job.place.rows(), job.rejects(), job.ledger()), "{what}: it changed");
}

/// The counts of the last run, those of earlier ones included, add up to the file's.
#[track_caller]
fn assert_counts(job: &Job, last: &Ended, what: &str) {
    let total = |name: &str| last.total(&format!("rows_{name}"));
    let read = last.total("records_read");
    let parts = ["loaded", "rejected", "skipped", "filtered", "superseded", "rolled_back"];
    assert_eq!(read, parts.iter().map(|part| total(part)).sum::<u64>(), "{what}: {last:#?}");
    assert_eq!(read, job.data.records, "{what}: {last:#?}");
    assert_eq!(total("rolled_back"), 0, "{what}: {last:#?}");
    if job.way == Way::Append && total("skipped") == 0 {
        assert_eq!(total("loaded"), job.data.good, "{what}: {last:#?}");
    }
}

#[test]
fn lost_doubled_and_strange_rows_are_found() {
    let rows = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected = rows(&["1 a", "2 b", "2 b", "3 c"]);
    assert!(row_problems(&expected, &expected).is_empty());
    let found = |texts: &[&str]| row_problems(&expected, &rows(texts)).join("; ");
    assert!(found(&["1 a", "2 b", "3 c"]).contains("1 rows are lost"));
    assert!(found(&["1 a", "1 a", "2 b", "2 b", "3 c"]).contains("1 rows are there too often"));
    let changed = found(&["1 a", "2 b", "2 b", "3 C"]);
    assert!(changed.contains("are lost") && changed.contains("were never in the file"));
}

#[test]
fn missing_doubled_and_shuffled_rejects_are_found() {
    let bad = |record: u64| Bad {
        record,
        line: record + 1,
        byte_offset: record * 10,
        bytes: format!("bad {record}\n").into_bytes(),
        class: "malformed",
    };
    let expected = [bad(3), bad(5), bad(8)];
    let files = |records: &[u64]| {
        let raw = records.iter().flat_map(|&record| bad(record).bytes).collect();
        let reason = |&record: &u64| {
            serde_json::json!({
                "record": record, "line": record + 1, "byte_offset": record * 10,
                "byte_length": bad(record).bytes.len(), "class": "malformed",
            })
        };
        (raw, records.iter().map(reason).collect())
    };
    let problems = |records: &[u64]| reject_problems(&expected, Some(&files(records))).len();
    assert_eq!(problems(&[3, 5, 8]), 0);
    assert_eq!(problems(&[3, 8]), 2);
    assert_eq!(problems(&[3, 5, 5, 8]), 2);
    assert_eq!(problems(&[5, 3, 8]), 2);
    assert_eq!(reject_problems(&expected, None).len(), 1);
    assert_eq!(reject_problems(&[], None).len(), 0);
    assert_eq!(reject_problems(&[], Some(&files(&[3]))).len(), 2);
    // Each file for itself.
    let half = (files(&[3, 5, 8]).0, files(&[3, 5]).1);
    assert_eq!(reject_problems(&expected, Some(&half)).len(), 1);
}

/// The checks find what a start without a ledger does: each of its rows is there twice.
#[test]
fn a_second_load_is_found() {
    for kind in [Kind::Sqlite, Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
        let mut rng = crate::kills::seeded(&format!("{kind:?}, twice"));
        let data = Data::generate(Way::Append.wanted(500, &mut rng), rng.u64(..));
        let job = Job::new(Place::new(kind, "crash_twice"), Way::Append, data).without_ledger();
        let status = if job.data.bad.is_empty() { 0 } else { 2 };
        job.run(&Work::random(&mut rng)).expect(status);
        let problems = finished_problems(&job);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        job.run(&Work::random(&mut rng)).expect(status);
        let problems = finished_problems(&job).join("\n");
        assert!(problems.contains("there too often"), "nothing was found: {problems}");
    }
}
