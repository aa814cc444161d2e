//! From what was typed to resolved pieces: everything that can be known before an input or a
//! database is opened.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::credentials::find_credentials;
use super::dialect_options::DialectOptions;
use super::encryption::tls_options;
use super::file::add_job_file;
use super::inputs::expand;
use super::job_rules::{check_job, job_defaults, ledger};
use super::options::{Layered, Options, Origin, environment_name};
use super::outputs::check_apart;
use super::schema::Column;
use super::schema_text::parse_schema;
use super::setting::{
    ClockTime, ColorMode, ColumnNames, ColumnPick, EmptyAsNull, JobName, LogFormat, OutputFormat,
    Pair, Profile, ProgressStyle, Setting as _, Span,
};
use super::table_rules::{check_keys, staging};
use super::target::{
    Credentials, DEFAULT_TARGET, TargetText, TargetUrl, refuse_password_on_command_line,
};
use super::work::{CONNECT_TIMEOUT, Effective, QUERY_TIMEOUT, WorkOptions};
use super::{
    DateFormats, Duplicates, InputSpec, LedgerConfig, Mode, RejectLimit, StagingConfig, TableCare,
    TlsOptions,
};
use crate::error::{Error, ErrorKind, Result};

/// Which columns are loaded from where, as the user said it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// `--columns`.
    pub columns: Vec<ColumnPick>,
    /// `--map`: file column, table column.
    pub map: Vec<Pair>,
    /// `--const`: table column, text.
    pub constants: Vec<Pair>,
    /// `--empty-as-null`.
    pub empty_as_null: EmptyAsNull,
}

/// What is printed where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputOptions {
    /// `--output`.
    pub format: OutputFormat,
    /// `--progress`.
    pub progress: ProgressStyle,
    /// `--progress-interval`.
    pub progress_interval: Duration,
    /// `--color`.
    pub color: ColorMode,
    /// `--quiet`.
    pub quiet: bool,
    /// `--verbose`, how many times.
    pub verbose: u8,
    /// `--log-file`.
    pub log_file: Option<PathBuf>,
    /// `--log-format`.
    pub log_format: LogFormat,
    /// `--events`.
    pub events: Option<PathBuf>,
    /// `--summary`.
    pub summary: Option<PathBuf>,
    /// `--explain`.
    pub explain: bool,
}

/// The resolved pieces of a command.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Inputs, globs expanded. Empty when none were given: verbs that need one call
    /// [`Resolved::require_inputs`].
    pub inputs: Vec<InputSpec>,
    /// `--table` as written.
    pub table: Option<String>,
    /// Where the rows go.
    pub target: TargetUrl,
    /// Who logs in there.
    pub credentials: Credentials,
    /// What is asked of the encryption on the way there.
    pub tls: TlsOptions,
    /// `--profile`.
    pub profile: Option<Profile>,
    /// `--copy`.
    #[cfg(feature = "postgresql-copy")]
    pub copy: bool,
    /// What was said about the dialect.
    pub dialect: DialectOptions,
    /// What was said about columns.
    pub selection: Selection,
    /// `--schema`.
    pub schema: Option<Vec<Column>>,
    /// Whether a missing table is made: `--create`, by default only in SQLite.
    pub create: bool,
    /// Formats of dates and times.
    pub formats: DateFormats,
    /// Numbers for the engine.
    pub work: WorkOptions,
    /// What happens to the rows in the table.
    pub mode: Mode,
    /// `--key`, by name; empty: none.
    pub key: Vec<String>,
    /// `--duplicates`.
    pub duplicates: Duplicates,
    /// `--staging` and `--merge-rows`.
    pub staging: Option<StagingConfig>,
    /// Whether the user agreed to lose them (`--yes`).
    pub yes: bool,
    /// Statements on every connect and reconnect (`--session-sql`).
    pub session_sql: Vec<String>,
    /// `--lock-table`, `--runstats` and `--set-integrity`.
    pub care: TableCare,
    /// Statements before the load.
    pub before: Vec<String>,
    /// Statements after it.
    pub after: Vec<String>,
    /// Rejects that the load survives.
    pub max_errors: RejectLimit,
    /// `--rejects`.
    pub rejects: Option<PathBuf>,
    /// What is kept in the ledger; `None`: nothing, by `--restart off` or for want of a database.
    pub ledger: Option<LedgerConfig>,
    /// The job whose mended rejects the inputs are (`--retry-of`).
    pub retry_of: Option<String>,
    /// `--stop-at`.
    pub stop_at: Option<ClockTime>,
    /// `--limit`.
    pub limit: Option<u64>,
    /// `--offset-records`.
    pub offset_records: u64,
    /// `--allow-empty`.
    pub allow_empty: bool,
    /// What is printed where.
    pub output: OutputOptions,
    /// Options that were given, or have a fixed default, with their origin. The engine's numbers
    /// are not among them: [`WorkOptions::settle`] gives those.
    pub effective: Vec<Effective>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Keys that [`WorkOptions::settle`] writes down by itself.
const WORK_KEYS: &[&str] = &[
    "writers",
    "parsers",
    "pin-cores",
    "batch-rows",
    "chunk-bytes",
    "batch-bytes",
    "ring-batches",
    "read-ahead",
    "commit-rows",
    "commit-bytes",
    "commit-every",
    "io",
    "max-rate",
    "tune",
    "tune-writers",
    "tune-batch-rows",
    "tune-commit-rows",
    "input-mode",
    "max-retries",
    "retry-backoff",
    "retry-budget",
    "memory-limit",
];

/// Merges flags, environment and job file and resolves the result.
///
/// `flags` are the options of the command line; `environment` is the process's environment;
/// `job_file` is `--config`, else `FASTLOAD_CONFIG`.
///
/// # Errors
/// Usage and configuration errors, and inputs that are not there.
pub fn resolve(
    flags: Options,
    environment: &[(OsString, OsString)],
    job_file: Option<PathBuf>,
) -> Result<Resolved> {
    if let Some(TargetText(to)) = &flags.to {
        refuse_password_on_command_line(to)?;
    }
    let (layered, warnings) = merge(flags, environment, job_file)?;
    let password = variable(environment, "FASTLOAD_PASSWORD");
    build(&layered, password, warnings)
}

/// Merges flags, environment and job file.
///
/// # Errors
/// A variable or a file that does not fit.
pub fn merge(
    flags: Options,
    environment: &[(OsString, OsString)],
    job_file: Option<PathBuf>,
) -> Result<(Layered, Vec<String>)> {
    let mut layered = Layered::default();
    layered.add(flags, |_| Origin::Flag);
    let (variables, warnings) = Options::from_environment(environment.iter().cloned())?;
    layered.add(variables, |key| Origin::Environment(environment_name(key)));
    let job_file = job_file.or_else(|| variable(environment, "FASTLOAD_CONFIG").map(PathBuf::from));
    if let Some(path) = job_file {
        add_job_file(&mut layered, &path)?;
    }
    Ok((layered, warnings))
}

fn variable(environment: &[(OsString, OsString)], name: &str) -> Option<OsString> {
    environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

fn build(layered: &Layered, password: Option<OsString>, warnings: Vec<String>) -> Result<Resolved> {
    let options = &layered.options;
    let target = TargetUrl::parse(options.to.as_ref().map_or(DEFAULT_TARGET, |to| &to.0))?;
    check_combinations(options, &target)?;
    let mode = options.mode.unwrap_or_default();
    check_keys(options, mode)?;
    check_job(options, &target)?;
    let credentials = if target.takes_credentials() {
        find_credentials(options, password)?
    } else {
        Credentials::default()
    };
    let inputs = if options.input.is_empty() { Vec::new() } else { expand(&options.input)? };
    let output = output(options);
    check_apart(&inputs, &target, options.rejects.as_deref(), &output)?;
    Ok(Resolved {
        inputs,
        table: options.table.clone(),
        credentials,
        tls: tls_options(options, &target)?,
        profile: options.profile,
        #[cfg(feature = "postgresql-copy")]
        copy: options.copy.unwrap_or_default(),
        dialect: options.dialect_options(),
        selection: Selection {
            columns: options.columns.clone().map(|list| list.0).unwrap_or_default(),
            map: options.map.clone(),
            constants: options.constants.clone(),
            empty_as_null: options.empty_as_null.clone().unwrap_or_default(),
        },
        schema: options.schema.as_deref().map(read_schema).transpose()?,
        create: options.create.unwrap_or(matches!(target, TargetUrl::Sqlite(_))),
        formats: DateFormats {
            date: options.date_format.clone(),
            time: options.time_format.clone(),
            timestamp: options.timestamp_format.clone(),
        },
        work: WorkOptions::new(layered)?,
        mode,
        key: options.key.clone().map(|ColumnNames(names)| names).unwrap_or_default(),
        duplicates: options.duplicates.unwrap_or(match mode {
            // Keys come again in a file of changes, and the last one is what holds.
            Mode::Upsert | Mode::Delete => Duplicates::Last,
            Mode::Append | Mode::Truncate | Mode::Replace => Duplicates::Error,
        }),
        staging: staging(options, mode),
        session_sql: options.session_sql.clone(),
        yes: options.yes.unwrap_or_default(),
        care: TableCare {
            lock: options.lock_table.unwrap_or_default(),
            statistics: options.runstats.unwrap_or_default(),
            integrity: options.set_integrity.unwrap_or_default(),
        },
        before: options.before.clone(),
        after: options.after.clone(),
        max_errors: options.max_errors.unwrap_or(RejectLimit::Count(0)),
        rejects: options.rejects.clone(),
        ledger: ledger(options, &target),
        retry_of: options.retry_of.clone().map(|JobName(name)| name),
        stop_at: options.stop_at,
        limit: options.limit,
        offset_records: options.offset_records.unwrap_or_default(),
        allow_empty: options.allow_empty.unwrap_or_default(),
        output,
        effective: effective(layered, &target),
        target,
        warnings,
    })
}

fn output(options: &Options) -> OutputOptions {
    OutputOptions {
        format: options.output.unwrap_or(OutputFormat::Text),
        progress: options.progress.unwrap_or(ProgressStyle::Auto),
        progress_interval: options
            .progress_interval
            .map_or(Duration::from_secs(60), |Span(time)| time),
        color: options.color.unwrap_or(ColorMode::Auto),
        quiet: options.quiet.unwrap_or_default(),
        verbose: options.verbose.unwrap_or_default(),
        log_file: options.log_file.clone(),
        log_format: options.log_format.unwrap_or(LogFormat::Text),
        events: options.events.clone(),
        summary: options.summary.clone(),
        explain: options.explain.unwrap_or_default(),
    }
}

fn check_combinations(options: &Options, target: &TargetUrl) -> Result<()> {
    if options.quiet == Some(true) && options.verbose.unwrap_or_default() > 0 {
        return Err(Error::usage(
            "--quiet and --verbose contradict each other",
            "keep one of them",
        ));
    }
    if options.progress_interval.is_some_and(|Span(time)| time.is_zero()) {
        return Err(Error::usage("--progress-interval must be longer than nothing", "write 60s"));
    }
    if let Some(path) = &options.summary {
        let known = path.extension().is_some_and(|end| end == "json" || end == "csv");
        if !known {
            return Err(Error::usage(
                format!("--summary {}: the form follows from the ending", path.display()),
                "end the name in .json or .csv",
            ));
        }
    }
    let has_tables = target.has_tables();
    for (flag, given) in [
        ("--before", !options.before.is_empty()),
        ("--after", !options.after.is_empty()),
        ("--create", options.create == Some(true)),
        ("--key", options.key.is_some()),
        ("--staging", options.staging.is_some()),
        ("--runstats", options.runstats == Some(true)),
        ("--set-integrity", options.set_integrity == Some(true)),
        ("--session-sql", !options.session_sql.is_empty()),
    ] {
        if given && !has_tables {
            return Err(Error::usage(
                format!("{flag} means nothing for {target}"),
                "leave it out, or name a database with --to",
            ));
        }
    }
    if let Some(mode) = options.mode.filter(|mode| *mode != Mode::Append)
        && !has_tables
        && (mode != Mode::Truncate || matches!(target, TargetUrl::Null))
    {
        let what = format!("--mode {} means nothing for {target}", mode.show());
        return Err(Error::usage(what, "leave it out"));
    }
    if options.profile.is_some() && !target.takes_credentials() {
        return Err(Error::usage(
            format!("--profile means nothing for {target}"),
            "it belongs to odbc: and dsn: targets",
        ));
    }
    #[cfg(feature = "postgresql-copy")]
    check_copy(options, target)?;
    Ok(())
}

#[cfg(feature = "postgresql-copy")]
fn check_copy(options: &Options, target: &TargetUrl) -> Result<()> {
    if options.copy != Some(true) {
        return Ok(());
    }
    if !target.takes_credentials() {
        let what = format!("--copy means nothing for {target}");
        return Err(Error::usage(what, "it belongs to odbc: and dsn: targets of PostgreSQL"));
    }
    if let Some(tls @ (super::TlsMode::Require | super::TlsMode::Verify)) = options.tls {
        return Err(Error::usage(
            format!("--copy has no encryption, and --tls {} asks for it", tls.show()),
            "leave out --copy, or say --tls off where rows may travel in the clear",
        ));
    }
    Ok(())
}

/// `--schema`: a file when one has that name, else the text itself.
fn read_schema(text_or_file: &str) -> Result<Vec<Column>> {
    let wrong = |message: String| Error::from(ErrorKind::Config(message));
    match fs::read_to_string(text_or_file) {
        Ok(text) => parse_schema(&text).map_err(|why| wrong(format!("{text_or_file}: {why}"))),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound || is_text(text_or_file) => {
            parse_schema(text_or_file).map_err(|why| {
                let hint = if is_text(text_or_file) { "" } else { " (and there is no such file)" };
                Error::usage(format!("--schema: {why}{hint}"), "write name TYPE [NOT NULL], …")
            })
        }
        Err(source) => Err(wrong(format!("--schema {text_or_file}: {source}"))),
    }
}

/// Whether a schema argument can only be the text: a name and a type have a blank between them.
fn is_text(argument: &str) -> bool {
    argument.trim().contains(char::is_whitespace)
}

fn effective(layered: &Layered, target: &TargetUrl) -> Vec<Effective> {
    let mut effective = vec![Effective {
        key: "to",
        value: target.to_string(),
        origin: layered
            .origin("to")
            .cloned()
            .unwrap_or_else(|| Origin::Default("a database in a file".to_owned())),
    }];
    for (key, mut value) in layered.options.given() {
        if let Some(count) = layered.options.hidden(key) {
            value = count;
        }
        if key != "to" && !WORK_KEYS.contains(&key) {
            let origin = layered.origin(key).cloned().unwrap_or(Origin::Flag);
            effective.push(Effective { key, value, origin });
        }
    }
    let defaults = [
        ("mode", "append".to_owned(), "nothing is deleted unasked"),
        ("max-errors", "0".to_owned(), "stop at a bad record"),
        ("connect-timeout", Span(CONNECT_TIMEOUT).show(), "a fixed number"),
        ("query-timeout", Span(QUERY_TIMEOUT).show(), "a fixed number"),
    ];
    for (key, value, why) in defaults.into_iter().chain(job_defaults(target)) {
        if layered.origin(key).is_none() {
            let origin = Origin::Default(why.to_owned());
            effective.push(Effective { key, value, origin });
        }
    }
    effective
}

impl Resolved {
    /// The inputs, of which there must be one.
    ///
    /// # Errors
    /// A usage error when none was given.
    pub fn require_inputs(&self) -> Result<&[InputSpec]> {
        if self.inputs.is_empty() {
            return Err(Error::usage("no input is given", "name a file, a glob, @LIST or -"));
        }
        Ok(&self.inputs)
    }

    /// The table, which must be given for places that have tables.
    ///
    /// # Errors
    /// A usage error when it is missing or holds a NUL byte.
    pub fn require_table(&self) -> Result<&str> {
        match self.table.as_deref() {
            Some(name) if name.contains('\0') => Err(Error::usage(
                "--table holds a NUL byte",
                "name the table as the catalog has it",
            )),
            Some("") | None if matches!(self.target, TargetUrl::Null | TargetUrl::Csv(_)) => Ok(""),
            Some("") | None => Err(Error::usage("no table is given", "name it with --table")),
            Some(name) => Ok(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn flags(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (key, value) in pairs {
            options.set(key, value).expect(key);
        }
        options
    }

    #[test]
    fn flag_before_environment_before_file_before_default() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("job.yaml");
        fs::write(&file, "table: from_file\nmax-errors: all\nmode: append\nto: 'null:'\n").unwrap();
        let environment = environment(&[
            ("FASTLOAD_TABLE", "from_environment"),
            ("FASTLOAD_MAX_ERRORS", "5"),
            ("FASTLOAD_CONFIG", file.to_str().unwrap()),
        ]);
        let resolved = resolve(flags(&[("table", "from_flag")]), &environment, None).unwrap();
        assert_eq!(resolved.table.as_deref(), Some("from_flag"));
        assert_eq!(resolved.max_errors, RejectLimit::Count(5));
        assert!(matches!(resolved.target, TargetUrl::Null));
        let origin = |key: &str| {
            let found = resolved.effective.iter().find(|e| e.key == key);
            found.map(|e| e.origin.to_string()).unwrap_or_default()
        };
        assert_eq!(origin("table"), "flag");
        assert_eq!(origin("max-errors"), "environment FASTLOAD_MAX_ERRORS");
        assert!(origin("to").ends_with("job.yaml to"));
        assert!(origin("query-timeout").starts_with("default"));
    }

    #[test]
    fn a_password_in_the_environment_is_fine_on_the_command_line_not() {
        let secret = "odbc:DSN=x;PWD=y";
        let resolved = resolve(Options::default(), &environment(&[("FASTLOAD_TO", secret)]), None);
        let shown = resolved.unwrap().effective[0].value.clone();
        assert_eq!(shown, "odbc:DSN=x;PWD=***");
        let error = resolve(flags(&[("to", secret)]), &[], None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Usage { .. }));
    }

    #[test]
    fn schema_is_text_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.sql");
        fs::write(&file, "create table t (a int)").unwrap();
        assert_eq!(read_schema(file.to_str().unwrap()).unwrap().len(), 1);
        assert_eq!(read_schema("a int, b text").unwrap().len(), 2);
        assert!(read_schema("none.sql").unwrap_err().to_string().contains("no such file"));
        assert!(read_schema(&format!("a {}", "x".repeat(5000))).is_err());
    }

    #[test]
    fn contradictions_are_refused() {
        for pairs in [
            &[("quiet", "true"), ("verbose", "1")][..],
            &[("to", "null:"), ("before", "DELETE FROM t")],
            &[("to", "null:"), ("mode", "truncate")],
            &[("summary", "s.html")],
            &[("profile", "generic")],
        ] {
            assert!(resolve(flags(pairs), &[], None).is_err(), "{pairs:?}");
        }
        let resolved = resolve(Options::default(), &[], None).unwrap();
        assert!(resolved.require_inputs().is_err());
        assert!(resolved.require_table().is_err());
        assert!(resolved.create);
    }
}
