//! What may be typed. Each flag is one option of [`Options`]; nothing is resolved here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
pub use restart::{AbortArgs, InitLedgerArgs, RestartArgs, StatusArgs};
pub use target::TargetArgs;

use super::bench::Step;
use crate::config::dialect::{BareQuote, Encoding, FieldsRule, Terminator};
use crate::config::options::Options;
use crate::config::setting::{
    ByteRole, ColorMode, ColumnList, ColumnNames, CoreChoice, CountRange, Delimiter, EmptyAsNull,
    JobName, LogFormat, OutputFormat, Pair, Preset, ProgressStyle, Rate, Setting, Size, Span,
    StagingAttributes, StagingChoice, TuneChoice,
};
use crate::config::target::TargetText;
use crate::config::{Duplicates, InputMode, IoWay, Mode, RejectLimit};

mod restart;
mod target;

const AFTER_HELP: &str = "\
Every option may also be given as an environment variable (--batch-rows as FASTLOAD_BATCH_ROWS)
and as a key of a job file (--config). A flag wins over the environment, which wins over the file.
FASTLOAD_PASSWORD holds a password.

Exit status: 0 all loaded, 2 loaded with rejects inside the limit, 4 SQL error, 5 reject limit
passed, 8 system error, 10 cannot connect, 11 job held by another run, 12 login refused, 64 usage,
66 input, 78 configuration, 130/143 signal (143 also --stop-at).";

/// Loads delimited files into databases: Db2 and others through ODBC, and embedded SQLite.
#[derive(Debug, Parser)]
#[command(
    name = "fastload",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// A verb; without one, `load`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of a load without its verb.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load files into a table; the verb may be left out
    Load(Box<LoadArgs>),
    /// Parse everything against the table's columns and load nothing
    Check(Box<CheckArgs>),
    /// Show the columns of a table as they are loaded
    Describe(Box<DescribeArgs>),
    /// Show the jobs of the ledger: what is loaded, what is unfinished
    Status(Box<StatusArgs>),
    /// Give an unfinished job up: what it has committed stays
    Abort(Box<AbortArgs>),
    /// Make the tables of the ledger
    InitLedger(Box<InitLedgerArgs>),
    /// Write sample data: a bank's accounts
    Gen(GenArgs),
    /// Measure reading, splitting and loading of a file
    Bench(Box<BenchArgs>),
    /// Look at ODBC drivers and data sources
    #[command(subcommand)]
    Conn(ConnCommand),
    /// Look at configurations
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `fastload load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Inputs.
    #[command(flatten)]
    pub files: FileArgs,
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What happens to the table.
    #[command(flatten)]
    pub table: TableArgs,
    /// Dialect.
    #[command(flatten)]
    pub dialect: DialectArgs,
    /// Columns.
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// Numbers.
    #[command(flatten)]
    pub work: WorkArgs,
    /// Rejects.
    #[command(flatten)]
    pub errors: ErrorArgs,
    /// The job and its ledger.
    #[command(flatten)]
    pub restart: RestartArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `fastload check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Inputs.
    #[command(flatten)]
    pub files: FileArgs,
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Dialect.
    #[command(flatten)]
    pub dialect: DialectArgs,
    /// Columns.
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// Numbers.
    #[command(flatten)]
    pub work: WorkArgs,
    /// Rejects.
    #[command(flatten)]
    pub errors: ErrorArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `fastload describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// The table
    pub name: String,
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `fastload bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Runs of each measurement; the fastest counts. Each load appends its rows
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub runs: usize,
    /// What to measure, in this order [default: all but sink]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP")]
    pub steps: Vec<Step>,
    /// What a check takes.
    #[command(flatten)]
    pub check: CheckArgs,
}

/// `fastload gen`.
#[derive(Debug, Args)]
pub struct GenArgs {
    /// Records to write, bad ones included [default: 100000]
    #[arg(long, value_name = "N", value_parser = setting::<u64>, conflicts_with = "size")]
    pub rows: Option<u64>,
    /// Bytes to write, in place of --rows
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub size: Option<Size>,
    /// Seed: the same options give the same bytes
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Leave out the line with the names
    #[arg(long)]
    pub no_header: bool,
    /// Make every N-th record a bad one, each kind in turn
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub bad_every: u64,
    /// File to write in place of standard output
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// `fastload conn`.
#[derive(Debug, Subcommand)]
pub enum ConnCommand {
    /// Connect and say what driver and database really do
    Test(Box<TestArgs>),
    /// ODBC drivers of this machine
    Drivers,
    /// ODBC data sources of this machine
    Dsns,
}

/// `fastload conn test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `fastload config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a job file and say what is wrong with it
    Check {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show what a job file and the environment set, and where each value comes from
    Show {
        /// The file; without one, the environment alone
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

fn setting<T: Setting>(text: &str) -> Result<T, String> {
    T::parse(text)
}

/// Inputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub struct FileArgs {
    /// Files, globs, @LIST (a file with one path a line), or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub input: Vec<OsString>,
    /// Job file (YAML); the old pipeline's files are understood too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Load at most N records of each file
    #[arg(long, value_name = "N", value_parser = setting::<u64>)]
    pub limit: Option<u64>,
    /// Leave out the first N records of each file
    #[arg(long, value_name = "N", value_parser = setting::<u64>)]
    pub offset_records: Option<u64>,
    /// A file without data is no error
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = setting::<bool>)]
    pub allow_empty: Option<bool>,
}

/// What happens to the table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Table")]
pub struct TableArgs {
    /// append; truncate: delete all rows first; replace: exchange all rows in one transaction;
    /// upsert: change or add rows by their key; delete: delete rows by their key [default: append]
    #[arg(long, value_name = "MODE", value_parser = setting::<Mode>)]
    pub mode: Option<Mode>,
    /// Columns that tell rows apart, for upsert, delete and --duplicates
    #[arg(long, value_name = "COLS", value_parser = setting::<ColumnNames>)]
    pub key: Option<ColumnNames>,
    /// Equal keys in the inputs: error, reject, skip (the first one counts) or last
    /// [default: last for upsert and delete, else error]
    #[arg(long, value_name = "RULE", value_parser = setting::<Duplicates>)]
    pub duplicates: Option<Duplicates>,
    /// Load into a staging table first and move all rows in one transaction
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "TABLE", value_parser = setting::<StagingChoice>)]
    pub staging: Option<StagingChoice>,
    /// Rows moved from the staging table in one transaction; then a load is no longer all or
    /// nothing [default: all]
    #[arg(long, value_name = "N", value_parser = setting::<u64>)]
    pub merge_rows: Option<u64>,
    /// Attributes of a staging table in Db2: append-on, not-logged (one writer, one transaction, no
    /// rejects)
    #[arg(long, value_name = "LIST", value_parser = setting::<StagingAttributes>)]
    pub staging_attributes: Option<StagingAttributes>,
    /// Lock the table while rows are moved to it from the staging table
    #[arg(long)]
    pub lock_table: bool,
    /// Renew the table's statistics after the load
    #[arg(long)]
    pub runstats: bool,
    /// Db2: check the table's constraints after the load (SET INTEGRITY)
    #[arg(long)]
    pub set_integrity: bool,
    /// Agree to the deletion of rows; needed without a terminal
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = setting::<bool>)]
    pub yes: Option<bool>,
    /// Make the table when it is missing [default: only in SQLite]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = setting::<bool>)]
    pub create: Option<bool>,
    /// Statement to run before the load; may repeat
    #[arg(long, value_name = "SQL")]
    pub before: Vec<String>,
    /// Statement to run after the load; may repeat
    #[arg(long, value_name = "SQL")]
    pub after: Vec<String>,
}

/// Dialect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dialect (sniffed where nothing is said)")]
pub struct DialectArgs {
    /// csv, tsv, pipe or tbl; single flags override its parts
    #[arg(long, value_name = "NAME", value_parser = setting::<Preset>)]
    pub dialect: Option<Preset>,
    /// Bytes between fields; characters may be written \t, 0x1f, U+0001
    #[arg(short, long, value_name = "C", allow_hyphen_values = true,
          value_parser = setting::<Delimiter>)]
    pub delimiter: Option<Delimiter>,
    /// Quote, or none
    #[arg(long, value_name = "C", allow_hyphen_values = true, value_parser = setting::<ByteRole>)]
    pub quote: Option<ByteRole>,
    /// Escape that makes the next byte literal, or none
    #[arg(long, value_name = "C", allow_hyphen_values = true, value_parser = setting::<ByteRole>)]
    pub escape: Option<ByteRole>,
    /// Whether a doubled quote inside quotes is one quote
    #[arg(long, value_name = "BOOL", value_parser = setting::<bool>)]
    pub double_quote: Option<bool>,
    /// The first record names the columns
    #[arg(long, overrides_with = "no_header")]
    pub header: bool,
    /// The first record is data
    #[arg(long, overrides_with = "header")]
    pub no_header: bool,
    /// Lines to leave out at the beginning of each file
    #[arg(long, value_name = "N", value_parser = setting::<u64>)]
    pub skip_lines: Option<u64>,
    /// Lines that begin with this are comments
    #[arg(long, value_name = "C", allow_hyphen_values = true, value_parser = setting::<ByteRole>)]
    pub comment: Option<ByteRole>,
    /// Record end: auto, lf, crlf or cr
    #[arg(long, value_name = "EOL", value_parser = setting::<Terminator>)]
    pub eol: Option<Terminator>,
    /// utf-8, latin1 or windows-1252
    #[arg(long, value_name = "NAME", value_parser = setting::<Encoding>)]
    pub encoding: Option<Encoding>,
    /// Unquoted text that means NULL besides the empty one; may repeat
    #[arg(long = "null-value", value_name = "STR", allow_hyphen_values = true)]
    pub null_values: Vec<String>,
    /// Drop blanks around unquoted fields
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = setting::<bool>)]
    pub trim: Option<bool>,
    /// Each record ends with a delimiter that opens no field
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = setting::<bool>)]
    pub trailing_delimiter: Option<bool>,
    /// A quote inside an unquoted field: reject or literal
    #[arg(long, value_name = "RULE", value_parser = setting::<BareQuote>)]
    pub bare_quote: Option<BareQuote>,
    /// Another number of fields: exact (reject), pad or truncate
    #[arg(long, value_name = "RULE", value_parser = setting::<FieldsRule>)]
    pub fields: Option<FieldsRule>,
    /// Longest record [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub max_record_bytes: Option<Size>,
    /// Longest field [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub max_field_bytes: Option<Size>,
}

/// Columns.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub struct ColumnArgs {
    /// Columns to load, a minus leaves one out; without a header, the columns that the fields fill,
    /// in their order
    #[arg(long, value_name = "a,b,-c", allow_hyphen_values = true,
          value_parser = setting::<ColumnList>)]
    pub columns: Option<ColumnList>,
    /// Send a field of the file to a column of the table; may repeat
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = setting::<Pair>)]
    pub map: Vec<Pair>,
    /// Fill a column with the same text in every row; may repeat
    #[arg(long = "const", value_name = "COLUMN=TEXT", value_parser = setting::<Pair>)]
    pub constants: Vec<Pair>,
    /// Quoted empty text is NULL too, everywhere or in these columns
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "",
          value_name = "COLUMNS", value_parser = setting::<EmptyAsNull>)]
    pub empty_as_null: Option<EmptyAsNull>,
    /// Column types as text or a file: `name TYPE [NOT NULL], …` or a CREATE TABLE; for tables that
    /// are made, null: and csv:, in place of inference
    #[arg(long, value_name = "DDL|FILE")]
    pub schema: Option<String>,
    /// Form of dates besides ISO, such as yyyymmdd
    #[arg(long, value_name = "FORMAT")]
    pub date_format: Option<String>,
    /// Form of times besides ISO, such as hhmiss
    #[arg(long, value_name = "FORMAT")]
    pub time_format: Option<String>,
    /// Form of timestamps besides ISO and Db2's, such as yyyymmddhhmiss
    #[arg(long, value_name = "FORMAT")]
    pub timestamp_format: Option<String>,
}

/// Numbers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Work (--explain shows the effective values)")]
pub struct WorkArgs {
    /// Connections that write
    #[arg(short, long, value_name = "N", value_parser = setting::<usize>)]
    pub writers: Option<usize>,
    /// Threads that parse
    #[arg(short, long, value_name = "N", value_parser = setting::<usize>)]
    pub parsers: Option<usize>,
    /// Pin threads to cores: all, or a list such as 0,1,2-5
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "all",
          value_name = "LIST", value_parser = setting::<CoreChoice>)]
    pub pin_cores: Option<CoreChoice>,
    /// Slice of a file given to a parser; any size is right
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub chunk_bytes: Option<Size>,
    /// Most rows in a batch
    #[arg(long, value_name = "N", value_parser = setting::<usize>)]
    pub batch_rows: Option<usize>,
    /// Most bytes of columns in a batch
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub batch_bytes: Option<Size>,
    /// Most rows in a transaction
    #[arg(long, value_name = "N", value_parser = setting::<u64>)]
    pub commit_rows: Option<u64>,
    /// Most bytes of input in a transaction
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub commit_bytes: Option<Size>,
    /// Longest time between commits
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub commit_every: Option<Span>,
    /// Full batches that may wait between a parser and a writer
    #[arg(long, value_name = "N", value_parser = setting::<usize>)]
    pub ring_batches: Option<usize>,
    /// Memory for batches and input
    #[arg(long, value_name = "SIZE", value_parser = setting::<Size>)]
    pub memory_limit: Option<Size>,
    /// How files are read: auto, mmap, read or uring
    #[arg(long, value_name = "WAY", value_parser = setting::<IoWay>)]
    pub io: Option<IoWay>,
    /// Most bytes of input a second, all parsers together, such as 50MB/s
    #[arg(long, value_name = "SIZE/s", value_parser = setting::<Rate>)]
    pub max_rate: Option<Rate>,
    /// auto: writers, batch and commit rows that are not given are found while the load runs; off:
    /// they stay [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = setting::<TuneChoice>)]
    pub tune: Option<TuneChoice>,
    /// Range in which --writers is found
    #[arg(long, value_name = "MIN..MAX", value_parser = setting::<CountRange>)]
    pub tune_writers: Option<CountRange>,
    /// Range in which --batch-rows is found
    #[arg(long, value_name = "MIN..MAX", value_parser = setting::<CountRange>)]
    pub tune_batch_rows: Option<CountRange>,
    /// Range in which --commit-rows is found
    #[arg(long, value_name = "MIN..MAX", value_parser = setting::<CountRange>)]
    pub tune_commit_rows: Option<CountRange>,
    /// Chunks in flight before the parsers
    #[arg(long, value_name = "N", value_parser = setting::<usize>)]
    pub read_ahead: Option<usize>,
    /// single: all parsers on one file after the other; multi: one parser a file
    #[arg(long, value_name = "MODE", value_parser = setting::<InputMode>)]
    pub input_mode: Option<InputMode>,
    /// Replays of a transaction after transient errors
    #[arg(long, value_name = "N", value_parser = setting::<usize>)]
    pub max_retries: Option<usize>,
    /// Factor between the longest two waits, the first of which is one second
    #[arg(long, value_name = "FACTOR", value_parser = setting::<f64>)]
    pub retry_backoff: Option<f64>,
    /// Time that the whole load may spend waiting and replaying
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub retry_budget: Option<Span>,
    /// Print every effective value and why, and load nothing
    #[arg(long)]
    pub explain: bool,
}

/// Rejects.
#[derive(Debug, Args)]
#[command(next_help_heading = "Errors")]
pub struct ErrorArgs {
    /// Rejects to survive: N, N% or all [default: 0]
    #[arg(long, value_name = "LIMIT", value_parser = setting::<RejectLimit>)]
    pub max_errors: Option<RejectLimit>,
    /// File for the rejected records, a directory for several inputs [default: FILE.rejects]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub rejects: Option<PathBuf>,
    /// The file is a mended reject file of this job, which tells table, dialect and columns
    #[arg(long, value_name = "JOB", value_parser = setting::<JobName>)]
    pub retry_of: Option<JobName>,
}

/// Output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Result on standard output: text or json [default: text]
    #[arg(long, value_name = "FORM", value_parser = setting::<OutputFormat>)]
    pub output: Option<OutputFormat>,
    /// Progress on standard error: auto, bar, plain, json or none [default: auto]
    #[arg(long, value_name = "FORM", value_parser = setting::<ProgressStyle>)]
    pub progress: Option<ProgressStyle>,
    /// Time between lines of progress [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub progress_interval: Option<Span>,
    /// Print nothing on success
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more; twice for still more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// File for the log, in place of standard error
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub log_file: Option<PathBuf>,
    /// Form of the log: text or json [default: text]
    #[arg(long, value_name = "FORM", value_parser = setting::<LogFormat>)]
    pub log_format: Option<LogFormat>,
    /// Colour: auto, always or never; NO_COLOR is heeded [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = setting::<ColorMode>)]
    pub color: Option<ColorMode>,
    /// File for progress and result as JSON Lines
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub events: Option<PathBuf>,
    /// File for the result, PATH.json or PATH.csv
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub summary: Option<PathBuf>,
}

/// Job file and options of a verb.
#[derive(Debug, Default)]
pub struct Given {
    /// `--config`.
    pub job_file: Option<PathBuf>,
    /// The flags.
    pub flags: Options,
}

/// A flag without a value: given or not given.
fn given(flag: bool) -> Option<bool> {
    flag.then_some(true)
}

impl From<LoadArgs> for Given {
    fn from(args: LoadArgs) -> Self {
        let table = args.table;
        let mut given = Self::from(CheckArgs {
            files: args.files,
            target: args.target,
            dialect: args.dialect,
            columns: args.columns,
            work: args.work,
            errors: args.errors,
            output: args.output,
        });
        given.flags = Options {
            create: table.create,
            mode: table.mode,
            key: table.key,
            duplicates: table.duplicates,
            staging: table.staging,
            merge_rows: table.merge_rows,
            staging_attributes: table.staging_attributes,
            lock_table: self::given(table.lock_table),
            runstats: self::given(table.runstats),
            set_integrity: self::given(table.set_integrity),
            yes: table.yes,
            before: table.before,
            after: table.after,
            ..given.flags
        };
        args.restart.fill(&mut given.flags);
        given
    }
}

impl From<CheckArgs> for Given {
    fn from(args: CheckArgs) -> Self {
        let mut flags = Options {
            input: args.files.input,
            limit: args.files.limit,
            offset_records: args.files.offset_records,
            allow_empty: args.files.allow_empty,
            max_errors: args.errors.max_errors,
            rejects: args.errors.rejects,
            retry_of: args.errors.retry_of,
            ..Options::default()
        };
        args.target.fill(&mut flags);
        args.dialect.fill(&mut flags);
        args.columns.fill(&mut flags);
        args.work.fill(&mut flags);
        args.output.fill(&mut flags);
        Self { job_file: args.files.config, flags }
    }
}

impl From<TestArgs> for Given {
    fn from(args: TestArgs) -> Self {
        let mut flags = Options::default();
        args.target.fill(&mut flags);
        args.output.fill(&mut flags);
        Self { job_file: None, flags }
    }
}

impl From<DescribeArgs> for Given {
    fn from(args: DescribeArgs) -> Self {
        let mut flags = Options::default();
        args.target.fill(&mut flags);
        args.output.fill(&mut flags);
        flags.table = Some(args.name);
        Self { job_file: None, flags }
    }
}

impl TargetArgs {
    fn fill(self, flags: &mut Options) {
        flags.to = self.to.map(TargetText);
        flags.table = self.table;
        flags.profile = self.profile;
        #[cfg(feature = "postgresql-copy")]
        {
            flags.copy = self.copy.then_some(true);
        }
        flags.user = self.user;
        flags.password_file = self.password_file;
        flags.password_command = self.password_command;
        flags.tls = self.tls;
        flags.tls_ca = self.tls_ca;
        flags.connect_timeout = self.connect_timeout;
        flags.query_timeout = self.query_timeout;
        flags.session_sql = self.session_sql;
    }
}

impl DialectArgs {
    fn fill(self, flags: &mut Options) {
        flags.dialect = self.dialect;
        flags.delimiter = self.delimiter;
        flags.quote = self.quote;
        flags.escape = self.escape;
        flags.double_quote = self.double_quote;
        flags.header = (self.header || self.no_header).then_some(self.header);
        flags.skip_lines = self.skip_lines;
        flags.comment = self.comment;
        flags.eol = self.eol;
        flags.encoding = self.encoding;
        flags.null_values = self.null_values;
        flags.trim = self.trim;
        flags.trailing_delimiter = self.trailing_delimiter;
        flags.bare_quote = self.bare_quote;
        flags.fields = self.fields;
        flags.max_record_bytes = self.max_record_bytes;
        flags.max_field_bytes = self.max_field_bytes;
    }
}

impl ColumnArgs {
    fn fill(self, flags: &mut Options) {
        flags.columns = self.columns;
        flags.map = self.map;
        flags.constants = self.constants;
        flags.empty_as_null = self.empty_as_null;
        flags.schema = self.schema;
        flags.date_format = self.date_format;
        flags.time_format = self.time_format;
        flags.timestamp_format = self.timestamp_format;
    }
}

impl WorkArgs {
    fn fill(self, flags: &mut Options) {
        flags.writers = self.writers;
        flags.parsers = self.parsers;
        flags.pin_cores = self.pin_cores;
        flags.chunk_bytes = self.chunk_bytes;
        flags.batch_rows = self.batch_rows;
        flags.batch_bytes = self.batch_bytes;
        flags.commit_rows = self.commit_rows;
        flags.commit_bytes = self.commit_bytes;
        flags.commit_every = self.commit_every;
        flags.ring_batches = self.ring_batches;
        flags.memory_limit = self.memory_limit;
        flags.io = self.io;
        flags.max_rate = self.max_rate;
        flags.tune = self.tune;
        flags.tune_writers = self.tune_writers;
        flags.tune_batch_rows = self.tune_batch_rows;
        flags.tune_commit_rows = self.tune_commit_rows;
        flags.read_ahead = self.read_ahead;
        flags.input_mode = self.input_mode;
        flags.max_retries = self.max_retries;
        flags.retry_backoff = self.retry_backoff;
        flags.retry_budget = self.retry_budget;
        flags.explain = given(self.explain);
    }
}

impl OutputArgs {
    fn fill(self, flags: &mut Options) {
        flags.output = self.output;
        flags.progress = self.progress;
        flags.progress_interval = self.progress_interval;
        flags.quiet = given(self.quiet);
        flags.verbose = (self.verbose > 0).then_some(self.verbose);
        flags.log_file = self.log_file;
        flags.log_format = self.log_format;
        flags.color = self.color;
        flags.events = self.events;
        flags.summary = self.summary;
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn load(arguments: &[&str]) -> Given {
        let all = std::iter::once("fastload").chain(arguments.iter().copied());
        let cli = Cli::try_parse_from(all).expect("the arguments are right");
        match cli.command {
            None => cli.load.into(),
            Some(Command::Load(args)) => (*args).into(),
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_verb_may_be_left_out() {
        for arguments in [&["a.csv", "--table", "t"][..], &["load", "a.csv", "--table", "t"]] {
            let given = load(arguments);
            assert_eq!(given.flags.input, ["a.csv"]);
            assert_eq!(given.flags.table.as_deref(), Some("t"));
        }
    }

    #[test]
    fn optional_values_need_an_equals_sign() {
        let given = load(&["--pin-cores", "a.csv", "--empty-as-null", "--table", "t"]);
        assert_eq!(given.flags.input, ["a.csv"]);
        assert_eq!(given.flags.pin_cores, Some(CoreChoice::All));
        assert_eq!(given.flags.empty_as_null, Some(EmptyAsNull::Everywhere));
        let given = load(&["--pin-cores=0,2-3", "a.csv", "--trim=false", "--create"]);
        assert_eq!(given.flags.pin_cores, Some(CoreChoice::List(vec![0, 2, 3])));
        assert_eq!((given.flags.trim, given.flags.create), (Some(false), Some(true)));
    }

    #[test]
    fn odd_values_get_through() {
        let given =
            load(&["-", "--columns", "-c,a", "-d", "-", "--null-value", "-", "--quote", "none"]);
        assert_eq!(given.flags.input, ["-"]);
        assert_eq!(given.flags.columns.unwrap().0.len(), 2);
        assert_eq!(given.flags.delimiter.unwrap().0, b"-");
        assert_eq!(given.flags.quote, Some(ByteRole(None)));
        assert_eq!(load(&["a", "--no-header"]).flags.header, Some(false));
        assert_eq!(load(&["a", "--no-header", "--header"]).flags.header, Some(true));
        assert_eq!(load(&["a"]).flags.header, None);
    }

    #[test]
    fn every_flag_of_a_load_is_an_option() {
        let command = Cli::command();
        let load = command.find_subcommand("load").expect("a verb");
        for argument in load.get_arguments() {
            let Some(flag) = argument.get_long() else {
                continue;
            };
            let known = Options::KEYS.contains(&flag);
            assert!(known || matches!(flag, "config" | "no-header" | "help"), "--{flag}");
        }
        for key in Options::KEYS {
            let known = load.get_arguments().any(|argument| argument.get_long() == Some(*key));
            assert!(known || *key == "input", "--{key}");
        }
    }

    #[test]
    fn what_works_later_is_absent() {
        for flag in ["--password", "--metrics", "--format"] {
            assert!(Cli::try_parse_from(["fastload", "a", flag, "x"]).is_err(), "{flag}");
        }
    }
}
