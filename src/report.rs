//! The result of a load as data: the JSON object of cli.md, field for field. Fields are only ever
//! added.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every record is a row.
    Loaded,
    /// Every record is a row or a reject, inside the limit.
    LoadedWithRejects,
    /// An earlier run has loaded the same content: nothing was done.
    AlreadyLoaded,
    /// A limit or a signal stopped the load.
    Stopped,
    /// An error stopped the load.
    #[default]
    Failed,
}

/// Counts of records; they always add up (design invariant 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Counts {
    /// Bytes of input covered.
    pub bytes: u64,
    /// Records read: the sum of the six that follow.
    pub records_read: u64,
    /// Committed as rows.
    pub rows_loaded: u64,
    /// In the reject file.
    pub rows_rejected: u64,
    /// Committed by an earlier run.
    pub rows_skipped: u64,
    /// Left out by the user's filter.
    pub rows_filtered: u64,
    /// Replaced by another record with the same key.
    pub rows_superseded: u64,
    /// Read, not known to be committed: rolled back, or in doubt.
    pub rows_rolled_back: u64,
}

impl Counts {
    /// Whether the parts add up to the records read.
    #[must_use]
    pub const fn add_up(&self) -> bool {
        self.records_read
            == self.rows_loaded
                + self.rows_rejected
                + self.rows_skipped
                + self.rows_filtered
                + self.rows_superseded
                + self.rows_rolled_back
    }

    /// Adds another count, part by part.
    pub const fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.records_read += other.records_read;
        self.rows_loaded += other.rows_loaded;
        self.rows_rejected += other.rows_rejected;
        self.rows_skipped += other.rows_skipped;
        self.rows_filtered += other.rows_filtered;
        self.rows_superseded += other.rows_superseded;
        self.rows_rolled_back += other.rows_rolled_back;
    }
}

/// Paths need not be UTF-8, but JSON is: bytes that are not show as U+FFFD.
#[expect(clippy::ref_option, reason = "the form in which serde hands over a field")]
fn text_of_some<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

fn text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    path.to_string_lossy().serialize(serializer)
}

/// One input and its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct FileReport {
    /// The path as given; `-` for standard input.
    #[serde(serialize_with = "text")]
    pub path: PathBuf,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Its reject file, if one was needed.
    #[serde(serialize_with = "text_of_some")]
    pub rejects: Option<PathBuf>,
}

/// The place the rows went to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct TargetReport {
    /// URL without secrets.
    pub url: String,
    /// Table.
    pub table: String,
    /// Database profile.
    pub profile: String,
}

/// Time of the parsers, all together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct ParseStage {
    /// Seconds spent splitting and converting.
    pub busy_seconds: f64,
    /// Seconds spent waiting for input: for blocks, and for pages of a mapped file that are not in
    /// memory.
    pub input_seconds: f64,
    /// Seconds spent waiting because of `--max-rate`.
    pub paced_seconds: f64,
    /// Seconds spent waiting for the parser of the part before.
    pub proof_seconds: f64,
}

/// Time at the rings, all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct RingStage {
    /// Seconds in which parsers waited for room or for an arena.
    pub full_seconds: f64,
    /// Seconds in which writers waited for a batch.
    pub empty_seconds: f64,
    /// Most full batches seen waiting.
    pub high_water: usize,
}

/// Time of the writers, all together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct WriteStage {
    /// Seconds in executes.
    pub busy_seconds: f64,
    /// Median of one batch.
    pub batch_p50_ms: f64,
    /// 99th percentile of one batch.
    pub batch_p99_ms: f64,
}

/// Time in commits, all writers together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct CommitStage {
    /// Seconds in commits.
    pub busy_seconds: f64,
}

/// Time of a phase between the staging table and the target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct StagingStage {
    /// Seconds.
    pub busy_seconds: f64,
}

/// Time by stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Stages {
    /// Parsers.
    pub parse: ParseStage,
    /// Rings.
    pub ring: RingStage,
    /// Writers.
    pub write: WriteStage,
    /// Commits.
    pub commit: CommitStage,
    /// Settling equal keys in the staging table.
    pub settle: StagingStage,
    /// Moving the staged rows to the target.
    pub r#move: StagingStage,
}

/// What of a load's rows has reached the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum MoveState {
    /// Nothing: it is as it was before the load.
    #[default]
    Nothing,
    /// Nothing of this load; the rows that were in it are deleted.
    Emptied,
    /// Some of the rows (`--merge-rows`).
    Part,
    /// All of them.
    Everything,
    /// Nobody knows whether the last transaction took effect.
    InDoubt,
}

/// The staging table's part in a load.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct StagingReport {
    /// The staging table.
    pub table: String,
    /// Id of this run's rows in it.
    pub run_id: String,
    /// Rows that the writers committed to it.
    pub rows_staged: u64,
    /// Rows of them that reached the target.
    pub rows_moved: u64,
    /// Rows of the target that the database says were added, changed or deleted; a change may
    /// count twice (MariaDB). `None`: it does not say.
    pub rows_changed: Option<u64>,
    /// Seconds in which equal keys were settled.
    pub settle_seconds: f64,
    /// Seconds in which rows were moved to the target.
    pub move_seconds: f64,
    /// Whether the target sees all rows of the load at once, or none.
    pub all_or_nothing: bool,
    /// What has reached the target.
    pub moved: MoveState,
    /// Whether rows of this run are still in the staging table.
    pub rows_left: bool,
}

/// Which stage limits the load and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Bottleneck {
    /// `input`, `parse`, `write`, `commit`, `settle` or `move`; empty where nothing ran.
    pub stage: String,
    /// A sentence.
    pub advice: String,
}

/// Rejects in sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct RejectReport {
    /// The reject file (the first, when several inputs have one).
    #[serde(serialize_with = "text_of_some")]
    pub path: Option<PathBuf>,
    /// Count by class name.
    pub by_class: BTreeMap<String, u64>,
}

/// What was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct RetryReport {
    /// Transactions that the database undid and that were sent again.
    pub replays: u64,
    /// Connections made again.
    pub reconnects: u64,
    /// Times that a writer went over to smaller commits, because log or locks ran out.
    pub shrinks: u64,
    /// Smallest commit size in rows that a writer went down to.
    pub smallest_commit_rows: Option<u64>,
    /// Wall seconds in which at least one writer waited or replayed.
    pub seconds: f64,
}

/// A number that was found while the load ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct TunedNumber {
    /// What it was at the start.
    pub start: u64,
    /// What it was at the end.
    pub end: u64,
}

/// What became of the numbers that were found while the load ran.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct TuningReport {
    /// Writers that get batches; `None`: that number was given, or there can be one only.
    pub writers: Option<TunedNumber>,
    /// Most rows of a batch; `None`: that number was given.
    pub batch_rows: Option<TunedNumber>,
    /// Most rows of a transaction.
    pub commit_rows: Option<TunedNumber>,
    /// How often a number changed; a trial that was taken back changed it twice.
    pub changes: u64,
    /// Seconds after which the numbers stayed; `None`: the load ended before, or its writers were
    /// not what limited it.
    pub settled_seconds: Option<f64>,
}

/// Neighbouring records whose rows are all in the table, or none of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct InDoubtRange {
    /// The input.
    #[serde(serialize_with = "text")]
    pub path: PathBuf,
    /// First byte.
    pub byte_from: u64,
    /// Byte behind the last one.
    pub byte_to: u64,
    /// Number of the first record, from 1.
    pub record_from: Option<u64>,
    /// Number of the last record.
    pub record_to: Option<u64>,
    /// Rows that were sent. Rejected records of the range are in the reject file and not among
    /// them.
    pub rows: u64,
}

/// Commits whose outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct InDoubtReport {
    /// Rows in doubt. The counts have them as rolled back: they are not known to be in.
    pub rows: u64,
    /// Where they stand in the inputs.
    pub ranges: Vec<InDoubtRange>,
}

/// The ledger's part; 0 ranges until there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct LedgerReport {
    /// Committed ranges.
    pub ranges: u64,
}

/// The result of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Report {
    /// Name of the job.
    pub job: String,
    /// How it ended.
    pub status: Status,
    /// Exit status of the process.
    pub exit_code: i32,
    /// Where the rows went.
    pub target: TargetReport,
    /// By input.
    pub files: Vec<FileReport>,
    /// Sums.
    pub totals: Counts,
    /// Wall time.
    pub seconds: f64,
    /// `totals.rows_loaded / seconds`.
    pub rows_per_second: f64,
    /// `totals.bytes / seconds`.
    pub bytes_per_second: f64,
    /// Most resident memory of the process so far.
    pub peak_rss_bytes: u64,
    /// Time by stage.
    pub stages: Stages,
    /// The limiting stage.
    pub bottleneck: Bottleneck,
    /// Rejects.
    pub rejects: RejectReport,
    /// Effective dialect, as flag and value.
    pub dialect: BTreeMap<String, String>,
    /// Ledger.
    pub ledger: LedgerReport,
    /// What the user should know: fallbacks, ignored counts, durability settings.
    pub warnings: Vec<String>,
    /// The error that ended the load.
    pub error: Option<String>,
    /// The staging table's part; `None`: rows went to the target directly.
    pub staging: Option<StagingReport>,
    /// What was sent again.
    pub retries: RetryReport,
    /// Numbers that were found while it ran; `None`: all were given, or none may change.
    pub tuning: Option<TuningReport>,
    /// Commits whose outcome is unknown.
    pub in_doubt: InDoubtReport,
}
