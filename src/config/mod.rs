//! The resolved configuration of a load: validated once, then read only.

pub mod connection_keywords;
pub mod credentials;
mod defaults;
pub mod dialect;
pub mod dialect_options;
mod encryption;
pub mod file;
pub mod inputs;
mod job_rules;
mod legacy;
pub mod options;
mod outputs;
pub mod resolve;
pub mod schema;
pub mod schema_text;
pub mod setting;
mod table_rules;
pub mod target;
pub mod work;

use std::path::PathBuf;
use std::time::Duration;

use dialect::Dialect;
use schema::Column;

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSpec {
    /// A file, or anything that opens by its path.
    Path(PathBuf),
    /// Standard input (`-`).
    Stdin,
}

/// How the bytes of the inputs are brought in (`--io`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoWay {
    /// One of the others for each file, by where its bytes are when it is opened.
    #[default]
    Auto,
    /// Memory map; what cannot be mapped (pipes) is read in blocks.
    Mmap,
    /// Owned blocks by `read`.
    Read,
    /// Owned blocks by `io_uring`, of a file past the page cache where its file system takes that;
    /// plain `read` when the kernel forbids `io_uring`, and it says so.
    Uring,
}

/// Who parses which file (`--input-mode`, the old `reading_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputMode {
    /// All parsers work on one file after the other.
    #[default]
    Single,
    /// One parser takes one whole file.
    Multi,
}

/// What happens to the rows that stand in the table before the load (`--mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They stay.
    #[default]
    Append,
    /// They are deleted first, in a transaction of their own.
    Truncate,
    /// They are exchanged for the file's in one transaction, by way of a staging table.
    Replace,
    /// Those with a key of the file get the file's values; other keys are added.
    Upsert,
    /// Those with a key of the file are deleted.
    Delete,
}

impl Mode {
    /// Whether rows that the file does not hold may disappear.
    #[must_use]
    pub const fn removes_rows(self) -> bool {
        matches!(self, Self::Truncate | Self::Replace | Self::Delete)
    }
}

/// What becomes of records with equal keys in the inputs (`--duplicates`). The order of records
/// is that of the inputs, then of the records in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The load stops, and nothing reaches the target.
    Error,
    /// The first one counts, the others are rejects.
    Reject,
    /// The first one counts, the others are superseded.
    Skip,
    /// The last one counts, the others are superseded.
    Last,
}

/// The table in which rows wait until all of them are there (`--staging`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StagingConfig {
    /// Its name; `None`: one is derived from the target's, made for the load and dropped after it.
    pub table: Option<String>,
    /// Id that the rows of this run carry in it: letters, digits and `-`, at most 40.
    pub run_id: String,
    /// Records moved to the target in one transaction (`--merge-rows`); `None`: all of them, so
    /// that the load is all or nothing.
    pub merge_rows: Option<u64>,
    /// What is particular about the table (`--staging-attributes`).
    pub attributes: Vec<StagingAttribute>,
}

/// What a load does to its table as a whole, around the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCare {
    /// Nobody else writes to it while rows are moved to it (`--lock-table`).
    pub lock: bool,
    /// Its statistics are renewed after the last commit (`--runstats`).
    pub statistics: bool,
    /// Its constraints are checked after the last commit (`--set-integrity`).
    pub integrity: bool,
}

/// What is particular about a staging table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StagingAttribute {
    /// Rows go to the end of the table, free space is not searched for (Db2).
    AppendOn,
    /// The rows of its first transaction are not logged (Db2): any error makes the table unusable,
    /// so that it is dropped and the load is over.
    NotLogged,
}

/// What a start does about earlier runs of its job (`--restart`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Resumes an unfinished run; a finished one of the same content is left as it is.
    #[default]
    Auto,
    /// Begins a new run, whatever is there; an unfinished one is given up.
    New,
    /// Resumes an unfinished run; without one the load is refused.
    Continue,
    /// Gives an unfinished run up and loads nothing.
    Terminate,
}

/// What the ledger keeps of a load. A load without one cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Name of the job (`--job`); `None`: it is known by target, table, inputs and mode.
    pub job: Option<String>,
    /// What earlier runs mean.
    pub restart: Restart,
    /// The ledger's table (`--ledger-table`), `NAME` or `SCHEMA.NAME` of letters, digits and `_`;
    /// `None`: `FASTLOAD_LEDGER` where unqualified names lead.
    pub table: Option<String>,
    /// How long a run that cannot be asked may be silent before another takes its job
    /// (`--job-lease`).
    pub lease: Duration,
    /// The run whose mended rejects are loaded (`--retry-of`): its number, a blank, its job.
    pub retry_of: Option<String>,
}

/// What is asked of the encryption of a connection (`--tls`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    Off,
    /// It is encrypted, with whoever answers.
    Require,
    /// It is encrypted, and the server has a certificate of a trusted authority for its host name.
    Verify,
}

/// Encryption of the connections to a database; without a mode it is what connection string and
/// driver make of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// `--tls`.
    pub mode: Option<TlsMode>,
    /// File of the authorities that are trusted (`--tls-ca`), with [`TlsMode::Verify`] only;
    /// `None`: those that the driver trusts by itself.
    pub ca: Option<PathBuf>,
}

/// How many rejects a load survives (`--max-errors`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RejectLimit {
    /// At most this many.
    Count(u64),
    /// At most this share of the records read (0 to 1); tested after 1,000 records and at the end.
    Share(f64),
    /// Any number.
    All,
}

/// Which table column a cell is filled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSource {
    /// Field of the file, counted from 0.
    Field(usize),
    /// The same text in every row (`--const`).
    Constant(Vec<u8>),
}

/// One loaded column: the table's column and where its cells come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadColumn {
    /// The table's column.
    pub column: Column,
    /// Field or constant.
    pub source: FieldSource,
    /// Whether quoted empty text means NULL too (`--empty-as-null`).
    pub empty_as_null: bool,
}

/// Formats of dates and times besides ISO and Db2's own, in the letters `yyyy mm dd hh mi ss f`
/// as they stand in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DateFormats {
    /// `--date-format`.
    pub date: Option<String>,
    /// `--time-format`.
    pub time: Option<String>,
    /// `--timestamp-format`.
    pub timestamp: Option<String>,
}

/// Numbers that steer the engine; the defaults have been filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Connections (`--writers`).
    pub writers: usize,
    /// Parser threads (`--parsers`).
    pub parsers: usize,
    /// Cores to pin parser and writer threads to, in turn; empty: not pinned.
    pub pin_cores: Vec<usize>,
    /// Nominal slice of a file given to a parser (`--chunk-bytes`).
    pub chunk_bytes: u64,
    /// Chunks in flight before the parsers (`--read-ahead`).
    pub read_ahead: usize,
    /// Rows in a batch, at most (`--batch-rows`).
    pub batch_rows: usize,
    /// Bytes of bound columns in a batch, at most (`--batch-bytes`).
    pub batch_bytes: usize,
    /// Rows in a transaction, at most (`--commit-rows`).
    pub commit_rows: u64,
    /// Bytes of input in a transaction, at most (`--commit-bytes`); `None`: no such bound.
    pub commit_bytes: Option<u64>,
    /// Age of a transaction, at most (`--commit-every`).
    pub commit_every: Option<Duration>,
    /// Full batches that may wait in one ring (`--ring-batches`).
    pub ring_batches: usize,
    /// Bytes that arenas and blocks may take in all (`--memory-limit`).
    pub memory_limit: usize,
    /// Way of input.
    pub io: IoWay,
    /// Bytes of input a second, at most (`--max-rate`); `None`: as fast as it goes.
    pub max_rate: Option<u64>,
    /// Who parses which file.
    pub input_mode: InputMode,
    /// Replays of a commit unit after transient errors (`--max-retries`).
    pub max_retries: usize,
    /// Factor between two waits (`--retry-backoff`).
    pub retry_backoff: f64,
    /// Longest wait before the first replay; how long it is is left to chance, so that writers do
    /// not come back together.
    pub retry_first_wait: Duration,
    /// Wall time that a load may spend in waits and replays (`--retry-budget`).
    pub retry_budget: Duration,
    /// Numbers that are found while the load runs (`--tune`); `None`: all stay.
    pub tuning: Option<Tuning>,
}

impl Work {
    /// Most writers that there may be at a time.
    #[must_use]
    pub fn writers_max(&self) -> usize {
        let tuned = self.tuning.and_then(|tuning| tuning.writers);
        tuned.map_or(self.writers, |(_, most)| most.max(self.writers))
    }
}

/// The numbers that may change while a load runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Writers that get batches.
    pub writers: usize,
    /// Most rows of a batch.
    pub batch_rows: usize,
    /// Most rows of a transaction.
    pub commit_rows: u64,
}

/// Bounds inside which numbers are found while a load runs; `None`: the number stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Writers that get batches, at least and at most.
    pub writers: Option<(usize, usize)>,
    /// Rows of a batch.
    pub batch_rows: Option<(usize, usize)>,
    /// Rows of a transaction.
    pub commit_rows: Option<(u64, u64)>,
    /// Shortest time of a measurement; `None`: nothing is measured, and numbers change only as
    /// [`crate::engine::Control::retune`] says.
    pub window: Option<Duration>,
}

impl Tuning {
    /// Whether any number may change.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.writers.is_some() || self.batch_rows.is_some() || self.commit_rows.is_some()
    }
}

/// Everything a load is asked to do, after flags, environment, file and defaults are merged, the
/// dialect is known and the columns are mapped.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadConfig {
    /// Inputs, in order.
    pub inputs: Vec<InputSpec>,
    /// Table name as the user wrote it (`schema.table` or `table`).
    pub table: String,
    /// Grammar of the files.
    pub dialect: Dialect,
    /// Fields that each record has.
    pub field_count: usize,
    /// Columns that are loaded, in the order in which they are bound.
    pub columns: Vec<LoadColumn>,
    /// Accepted formats.
    pub formats: DateFormats,
    /// Numbers.
    pub work: Work,
    /// What happens to the rows in the table.
    pub mode: Mode,
    /// Columns that tell records apart (`--key`), as indices into `columns`; they take no NULL.
    pub key: Vec<usize>,
    /// What becomes of equal keys in the inputs. Without a key nothing is compared.
    pub duplicates: Duplicates,
    /// Where rows wait before they reach the table; `None`: they go there directly.
    pub staging: Option<StagingConfig>,
    /// What is done to the table as a whole.
    pub care: TableCare,
    /// What is kept in the ledger; `None`: nothing (`--restart off`).
    pub ledger: Option<LedgerConfig>,
    /// Statements before the first row, each in a transaction of its own (`--before`).
    pub before: Vec<String>,
    /// Statements after the last commit of a load that ended well (`--after`).
    pub after: Vec<String>,
    /// Rejects that the load survives.
    pub max_errors: RejectLimit,
    /// Path of the reject file of each input, in the order of `inputs`.
    pub rejects: Vec<PathBuf>,
    /// Stop after so many records of each file (`--limit`).
    pub limit: Option<u64>,
    /// Records of each file to read without loading them (`--offset-records`).
    pub offset_records: u64,
    /// Whether a file without data is fine (`--allow-empty`).
    pub allow_empty: bool,
}
