//! `fastload status [JOB]`: what the ledger says of jobs.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::bad_record::escape;
use super::ledger::{self, NotedInput};
use super::load::print;
use super::render::{bytes, grouped, plain_table};
use crate::config::resolve::Resolved;
use crate::config::setting::OutputFormat;
use crate::error::{Error, Result};
use crate::ledger::{Facts, Liveness, Owner, RETRY_OF, RangeRow, RunKey, RunRow, Store};

/// A run as programs get it.
#[derive(Debug, Serialize)]
struct RunStatus {
    job: String,
    run: u64,
    state: &'static str,
    epoch: u64,
    table: String,
    files: Vec<FileStatus>,
    /// Committed ranges; of a finished run one is left a file.
    ranges: usize,
    rows_loaded: u64,
    rows_rejected: u64,
    rows_superseded: u64,
    /// Bytes of the committed ranges.
    bytes: u64,
    /// The run whose mended rejects it loads.
    retry_of: Option<RunName>,
    /// Loads of its mended rejects.
    retries: Vec<RetryStatus>,
    owner: Option<OwnerStatus>,
    started: String,
    updated: String,
    /// What a resume must agree with: dialect, columns, mode and the rest.
    facts: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct RunName {
    job: String,
    run: u64,
}

/// A load of mended rejects, as the run has it that rejected them.
#[derive(Debug, Serialize)]
struct RetryStatus {
    job: String,
    run: u64,
    state: &'static str,
    rows_loaded: u64,
    rows_rejected: u64,
}

#[derive(Debug, Serialize)]
struct FileStatus {
    path: String,
    size_bytes: Option<u64>,
    committed_bytes: u64,
    ranges: usize,
    rows_loaded: u64,
    rows_rejected: u64,
}

#[derive(Debug, Serialize)]
struct OwnerStatus {
    host: String,
    pid: u32,
    /// `None`: it is on another host.
    alive: Option<bool>,
}

/// Shows the runs of a job, or of all.
///
/// # Errors
/// No ledger, no such job, no connection.
pub(super) fn status(resolved: &Resolved, job: Option<&str>) -> Result<()> {
    let (target, mut store) = ledger::open(resolved)?;
    if !store.exists()? {
        return Err(ledger::none(&store, &*target));
    }
    let runs = store.runs(job)?;
    if let (Some(job), true) = (job, runs.is_empty()) {
        return Err(Error::usage(
            format!("the ledger {} knows no job {job}", store.sql().table()),
            "fastload status shows its jobs",
        ));
    }
    let retries = store.retries()?;
    let one = |run| of_run(run, &retries, &mut store);
    let runs = runs.into_iter().map(one).collect::<Result<Vec<_>>>()?;
    store.session().commit()?;
    let text = match resolved.output.format {
        OutputFormat::Json => {
            let json = serde_json::to_string(&runs);
            json.map_err(|source| Error::io("writing the status", source.into()))? + "\n"
        }
        OutputFormat::Text => text(&runs, job.is_some()),
    };
    print(text.as_bytes())
}

fn of_run(run: RunRow, retries: &[(RunKey, RunKey)], store: &mut Store) -> Result<RunStatus> {
    let facts = store.facts(&run.key)?;
    let retry_of = facts.get(RETRY_OF).and_then(RunKey::of_fact);
    let of_this = retries.iter().filter(|(_, of)| *of == run.key);
    let retries = of_this.map(|(retry, _)| of_retry(retry, store)).collect::<Result<Vec<_>>>()?;
    let ranges = store.ranges(&run.key)?;
    let (rows_loaded, rows_rejected) = rows(ranges.iter());
    Ok(RunStatus {
        job: run.key.job,
        run: run.key.run,
        state: run.state.name(),
        epoch: run.epoch,
        table: run.table,
        files: files(&ledger::inputs(&facts), &ranges),
        ranges: ranges.len(),
        rows_loaded,
        rows_rejected,
        rows_superseded: ranges.iter().map(|range| range.superseded).sum(),
        bytes: committed_bytes(ranges.iter()),
        retry_of: retry_of.map(|RunKey { job, run }| RunName { job, run }),
        retries: retries.into_iter().flatten().collect(),
        owner: run.owner.as_ref().map(of_owner),
        started: time(run.started_at),
        updated: time(run.updated_at),
        facts: other_facts(&facts),
    })
}

/// `None`: a run whose facts are there and it is not.
fn of_retry(key: &RunKey, store: &mut Store) -> Result<Option<RetryStatus>> {
    let runs = store.runs(Some(&key.job))?;
    let Some(run) = runs.into_iter().find(|run| run.key == *key) else { return Ok(None) };
    let (rows_loaded, rows_rejected) = rows(store.ranges(key)?.iter());
    let RunKey { job, run: number } = run.key;
    let state = run.state.name();
    Ok(Some(RetryStatus { job, run: number, state, rows_loaded, rows_rejected }))
}

fn of_owner(owner: &Owner) -> OwnerStatus {
    let own = Owner::of_this_process().ok();
    let alive = own.and_then(|own| match owner.liveness(&own) {
        Liveness::Alive => Some(true),
        Liveness::Dead => Some(false),
        Liveness::Unknown => None,
    });
    OwnerStatus { host: owner.host.clone(), pid: owner.pid, alive }
}

/// Facts but those about inputs, which have a place of their own.
fn other_facts(facts: &Facts) -> serde_json::Map<String, serde_json::Value> {
    let others = facts.iter().filter(|(name, _)| !name.starts_with("input ") && *name != RETRY_OF);
    others.map(|(name, text)| (name.to_owned(), text.into())).collect()
}

fn rows<'a>(ranges: impl Iterator<Item = &'a RangeRow>) -> (u64, u64) {
    ranges.fold((0, 0), |(loaded, rejected), range| {
        (loaded + range.loaded, rejected + range.rejected)
    })
}

/// Where writers share a range by key each has a row of it: its bytes count once.
fn committed_bytes<'a>(ranges: impl Iterator<Item = &'a RangeRow>) -> u64 {
    let different: BTreeSet<_> =
        ranges.map(|range| (range.file, range.bytes.start, range.bytes.end)).collect();
    different.into_iter().map(|(_, start, end)| end - start).sum()
}

fn files(inputs: &[NotedInput], ranges: &[RangeRow]) -> Vec<FileStatus> {
    let one = |(number, input): (usize, &NotedInput)| {
        let own = || ranges.iter().filter(|range| range.file == number);
        let (rows_loaded, rows_rejected) = rows(own());
        FileStatus {
            path: input.path.clone(),
            size_bytes: input.size_bytes,
            committed_bytes: committed_bytes(own()),
            ranges: own().count(),
            rows_loaded,
            rows_rejected,
        }
    };
    inputs.iter().enumerate().map(one).collect()
}

/// Seconds since 1970 as text.
fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

fn text(runs: &[RunStatus], with_files: bool) -> String {
    let headers = [
        "job", "run", "state", "table", "started", "updated", "owner", "loaded", "rejected", "read",
    ];
    let rows = runs.iter().map(|run| {
        [
            escape(run.job.as_bytes()),
            run.run.to_string(),
            run.state.to_owned(),
            escape(run.table.as_bytes()),
            run.started.clone(),
            run.updated.clone(),
            run.owner.as_ref().map(show_owner).unwrap_or_default(),
            grouped(run.rows_loaded),
            grouped(run.rows_rejected),
            bytes(run.bytes),
        ]
    });
    let mut text = plain_table(&headers, 7, rows);
    if with_files && let Some(last) = runs.last() {
        text.push('\n');
        text.push_str(&file_table(last));
        text.push_str(&retry_lines(last));
        // Notes are of the program to itself.
        let told = last.facts.iter().filter(|(name, _)| !name.starts_with("note "));
        for (name, value) in told {
            let value = value.as_str().unwrap_or_default();
            if !value.is_empty() {
                let (name, value) = (escape(name.as_bytes()), escape(value.as_bytes()));
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
    }
    text
}

/// What became of its rejects, and whose rejects it loads.
fn retry_lines(run: &RunStatus) -> String {
    let name = |job: &str, number: u64| format!("job {}, run {number}", escape(job.as_bytes()));
    let mut text = String::new();
    if let Some(of) = &run.retry_of {
        text.push_str(&format!("mended rejects of: {}\n", name(&of.job, of.run)));
    }
    for retry in &run.retries {
        text.push_str(&format!(
            "rejects retried by: {} ({}): {} loaded, {} rejected again\n",
            name(&retry.job, retry.run),
            retry.state,
            grouped(retry.rows_loaded),
            grouped(retry.rows_rejected)
        ));
    }
    let retried = run.retries.iter().map(|retry| retry.rows_loaded + retry.rows_rejected);
    let retried: u64 = retried.sum();
    if retried > 0 {
        let (left, all) = (run.rows_rejected.saturating_sub(retried), grouped(run.rows_rejected));
        text.push_str(&format!("of {all} rejects, {} are not retried\n", grouped(left)));
    }
    text
}

fn show_owner(owner: &OwnerStatus) -> String {
    let alive = match owner.alive {
        Some(true) => "",
        Some(false) => ", dead",
        None => ", elsewhere",
    };
    format!("{} on {}{alive}", owner.pid, escape(owner.host.as_bytes()))
}

fn file_table(run: &RunStatus) -> String {
    let headers = ["file of the last run", "size", "committed", "ranges", "loaded", "rejected"];
    let rows = run.files.iter().map(|file| {
        [
            escape(file.path.as_bytes()),
            file.size_bytes.map_or_else(|| "unknown".to_owned(), bytes),
            bytes(file.committed_bytes),
            grouped(file.ranges as u64),
            grouped(file.rows_loaded),
            grouped(file.rows_rejected),
        ]
    });
    plain_table(&headers, 1, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ByteRange;

    fn range(file: usize, part: usize, start: u64, end: u64, loaded: u64) -> RangeRow {
        let bytes = ByteRange { start, end };
        RangeRow { file, part, bytes, loaded, rejected: 1, ..RangeRow::default() }
    }

    #[test]
    fn parts_of_a_range_are_counted_once() {
        let ranges = [range(0, 0, 0, 10, 2), range(0, 1, 0, 10, 3), range(1, 0, 0, 10, 4)];
        assert_eq!(committed_bytes(ranges.iter()), 20);
        let input = |path: &str| NotedInput { path: path.to_owned(), size_bytes: Some(10) };
        let files = files(&[input("a"), input("b")], &ranges);
        let shown: Vec<_> = files
            .iter()
            .map(|file| (file.path.as_str(), file.committed_bytes, file.ranges, file.rows_loaded))
            .collect();
        assert_eq!(shown, [("a", 10, 2, 5), ("b", 10, 1, 4)]);
        assert_eq!(files[0].rows_rejected, 2);
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(time(1_795_877_400), "2026-11-28T14:50:00Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
    }
}
