//! A target whose every call can be interfered with, files of known content, and the checks that
//! every load must pass.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastload::arena::Batch;
use fastload::config::dialect::Dialect;
use fastload::config::schema::Column;
use fastload::config::{LedgerConfig, LoadConfig, Restart};
use fastload::engine::Outcome;
use fastload::report::Counts;
use fastload::sink::memory::MemoryTarget;
use fastload::sink::{
    ErrorClass, Holding, JobHold, Layout, LedgerForm, RowAction, RowReject, Sink, SinkError,
    SqlSession, Target, TargetInfo,
};
use tempfile::TempDir;

use crate::common::{config, open, reject_path, run, text};

/// A call of the engine to a sink, and of those to a target the one that makes sinks and the one
/// question that is asked in between.
pub enum Call<'a> {
    Columns,
    Open,
    Write(&'a Batch),
    Commit,
    Rollback,
    Reconnect,
}

type Hook = dyn Fn(&Call<'_>) -> Result<(), SinkError> + Send + Sync;

/// A table, in memory or elsewhere, whose every call first runs a hook; it may fail, wait, panic or
/// look.
pub struct Hooked<T = MemoryTarget> {
    pub table: T,
    /// `None`: as the table does.
    pub replays: Option<bool>,
    /// Calls that are said not to come back.
    pub stuck: Arc<Mutex<Vec<SinkError>>>,
    hook: Arc<Hook>,
}

impl Hooked {
    pub fn new(hook: impl Fn(&Call<'_>) -> Result<(), SinkError> + Send + Sync + 'static) -> Self {
        Self { replays: Some(true), ..Self::over(MemoryTarget::new(None), hook) }
    }
}

impl<T> Hooked<T> {
    pub fn over(
        table: T,
        hook: impl Fn(&Call<'_>) -> Result<(), SinkError> + Send + Sync + 'static,
    ) -> Self {
        Self { table, replays: None, stuck: Arc::default(), hook: Arc::new(hook) }
    }
}

pub fn failure(class: ErrorClass) -> SinkError {
    SinkError { class, ..SinkError::permanent("on demand") }
}

impl<T: Target> Target for Hooked<T> {
    fn info(&self) -> TargetInfo {
        self.table.info()
    }
    fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, SinkError> {
        (self.hook)(&Call::Columns)?;
        self.table.columns(table)
    }
    fn has_tables(&self) -> bool {
        self.table.has_tables()
    }
    fn create_table_sql(&self, table: &str, columns: &[Column]) -> String {
        self.table.create_table_sql(table, columns)
    }
    fn create_table(&self, table: &str, columns: &[Column]) -> Result<(), SinkError> {
        self.table.create_table(table, columns)
    }
    fn truncate(&self, table: &str) -> Result<(), SinkError> {
        self.table.truncate(table)
    }
    fn run_sql(&self, sql: &str) -> Result<(), SinkError> {
        self.table.run_sql(sql)
    }
    fn layout(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError> {
        let mut layout = self.table.layout(table, columns, action)?;
        layout.replays = self.replays.unwrap_or(layout.replays);
        Ok(layout)
    }
    fn open(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        (self.hook)(&Call::Open)?;
        Ok(Box::new(HookedSink {
            inner: self.table.open(table, columns, action)?,
            hook: Arc::clone(&self.hook),
        }))
    }
    fn session(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        self.table.session()
    }
    fn ledger(&self) -> Option<LedgerForm> {
        self.table.ledger()
    }
    fn hold_job(&self, job: &str) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
        self.table.hold_job(job)
    }
    fn table_sql(&self, table: &str) -> Result<String, SinkError> {
        self.table.table_sql(table)
    }
    fn stuck_calls(&self) -> Vec<SinkError> {
        self.stuck.lock().expect("no panic").clone()
    }
    fn finish(&self) -> Result<(), SinkError> {
        self.table.finish()
    }
}

struct HookedSink {
    inner: Box<dyn Sink>,
    hook: Arc<Hook>,
}

impl Sink for HookedSink {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        (self.hook)(&Call::Write(batch))?;
        self.inner.write(batch)
    }
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        self.inner.execute(sql)
    }
    fn commit(&mut self) -> Result<(), SinkError> {
        (self.hook)(&Call::Commit)?;
        self.inner.commit()
    }
    fn rollback(&mut self) -> Result<(), SinkError> {
        (self.hook)(&Call::Rollback)?;
        self.inner.rollback()
    }
    fn reconnect(&mut self) -> Result<(), SinkError> {
        (self.hook)(&Call::Reconnect)?;
        self.inner.reconnect()
    }
}

/// Line `record` of the test files: two fields, or one in a bad record.
pub fn line(record: u64, bad: &[u64]) -> String {
    if bad.contains(&record) { format!("{record}\n") } else { format!("{record},v{record}\n") }
}

pub fn lines(records: u64, bad: &[u64]) -> Vec<u8> {
    (1..=records).map(|record| line(record, bad)).collect::<String>().into_bytes()
}

/// A directory with one input.
pub struct Given {
    /// Held so that it is there until the test ends.
    pub _dir: TempDir,
    pub path: PathBuf,
}

pub fn given(bytes: &[u8]) -> Given {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("in.csv");
    std::fs::write(&path, bytes).expect("a file");
    Given { _dir: dir, path }
}

pub fn two_columns() -> Vec<Column> {
    vec![text("a", 40), text("b", 40)]
}

/// Batches of 10 rows, units of 50.
pub fn small(path: &Path) -> LoadConfig {
    let mut config = config(&[path], &two_columns(), Dialect::default());
    config.work.batch_rows = 10;
    config.work.commit_rows = 50;
    config
}

/// A job in the target's own ledger.
pub const fn ledger() -> LedgerConfig {
    LedgerConfig {
        job: None,
        restart: Restart::Auto,
        table: None,
        lease: Duration::from_secs(60),
        retry_of: None,
    }
}

pub fn load(config: LoadConfig, target: Arc<dyn Target>) -> Outcome {
    let block_bytes = usize::try_from(config.work.chunk_bytes).expect("it is small");
    let inputs = open(&config, block_bytes);
    run(config, inputs, target)
}

/// What is true of every report, however the load ended.
pub fn check_report(outcome: &Outcome) -> Counts {
    let report = &outcome.report;
    let mut sum = Counts::default();
    for file in &report.files {
        assert!(file.counts.add_up(), "{:?}", file.counts);
        sum.add(&file.counts);
    }
    assert_eq!(report.totals, sum);
    let stages = &report.stages;
    for seconds in [
        report.seconds,
        stages.parse.busy_seconds,
        stages.parse.input_seconds,
        stages.parse.paced_seconds,
        stages.ring.full_seconds,
        stages.ring.empty_seconds,
        stages.write.busy_seconds,
        stages.commit.busy_seconds,
    ] {
        assert!(seconds.is_finite() && seconds >= 0.0, "{stages:?}");
    }
    assert_eq!(report.error.is_some(), outcome.error.is_some());
    let by_class: u64 = report.rejects.by_class.values().sum();
    assert_eq!(by_class, sum.rows_rejected);
    sum
}

pub fn loaded_records(table: &MemoryTarget) -> Vec<u64> {
    table.rows().iter().map(|row| row.position.record).collect()
}

/// All of `records` lines are rows once, but for `rejected` ones, which are in the reject file once
/// and in order.
pub fn check_all(
    outcome: &Outcome,
    table: &MemoryTarget,
    path: &Path,
    records: u64,
    bad: &[u64],
    refused: &[u64],
) {
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let counts = check_report(outcome);
    let mut rejected: Vec<u64> = bad.iter().chain(refused).copied().collect();
    rejected.sort_unstable();
    let rows: Vec<u64> = (1..=records).filter(|n| !rejected.contains(n)).collect();
    assert_eq!(loaded_records(table), rows);
    assert_eq!(counts.records_read, records);
    assert_eq!(counts.rows_rejected, rejected.len() as u64);
    assert_eq!(counts.rows_rolled_back, 0);
    assert_eq!(counts.bytes, std::fs::metadata(path).expect("it exists").len());
    check_reject_file(path, &rejected, bad);
    assert!(table.is_finished());
}

/// The reject file of `path` holds the lines of `rejected`, in this order.
pub fn check_reject_file(path: &Path, rejected: &[u64], bad: &[u64]) {
    let file = reject_path(path);
    if rejected.is_empty() {
        assert!(!file.exists());
        return;
    }
    let expected: String = rejected.iter().map(|&record| line(record, bad)).collect();
    assert_eq!(std::fs::read_to_string(&file).expect("it exists"), expected);
    assert_eq!(described_records(path), rejected);
    let mut parts = file.into_os_string();
    parts.push(".parts");
    assert!(!Path::new(&parts).exists());
}

/// Record numbers in the description of the reject file.
pub fn described_records(path: &Path) -> Vec<u64> {
    let mut described = reject_path(path).into_os_string();
    described.push(".jsonl");
    std::fs::read_to_string(described)
        .expect("it stands beside the reject file")
        .lines()
        .map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).expect("an object");
            object["record"].as_u64().expect("a number")
        })
        .collect()
}

/// A FIFO in a directory of its own.
pub fn fifo() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("in.csv");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo runs").success());
    (dir, path)
}
