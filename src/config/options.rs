//! Every option as it was given, and the merge of the places where options are given: flag before
//! environment before job file before default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use super::RejectLimit;
use super::dialect::{BareQuote, Encoding, FieldsRule, Terminator};
use super::dialect_options::DialectOptions;
use super::legacy;
use super::setting::{
    ByteRole, ClockTime, ColorMode, ColumnList, ColumnNames, CoreChoice, CountRange, Delimiter,
    EmptyAsNull, JobName, LedgerTable, LogFormat, OutputFormat, Pair, Preset, Profile,
    ProgressStyle, Rate, RestartChoice, Setting, Size, Span, StagingAttributes, StagingChoice,
    TuneChoice,
};
use super::target::TargetText;
use super::{Duplicates, InputMode, IoWay, Mode, TlsMode};
use crate::error::{Error, Result};

/// Where an effective value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Environment(String),
    /// A job file, and the key in it.
    File {
        /// The file.
        path: PathBuf,
        /// The key as a path (`pipeline.batch_size`).
        key: String,
    },
    /// The program's own choice, and why.
    Default(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File { path, key } => write!(f, "{} {key}", path.display()),
            Self::Default(why) => write!(f, "default: {why}"),
        }
    }
}

/// Prefix of the environment variables: `FASTLOAD_BATCH_ROWS` is `--batch-rows`.
pub const ENVIRONMENT_PREFIX: &str = "FASTLOAD_";

macro_rules! options {
    (
        one { $($(#[$one_doc:meta])* $one:ident $one_key:tt $one_alias:tt : $one_ty:ty
                $(where feature $feature:literal)?,)+ }
        many { $($(#[$many_doc:meta])* $many:ident $many_key:tt $many_alias:tt : $many_ty:ty,)+ }
    ) => {
        /// Every option, as given in one place; `None` or empty means "not given here".
        #[derive(Debug, Clone, PartialEq, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Options {
            $(
                $(#[cfg(feature = $feature)])?
                $(#[$one_doc])*
                #[serde(rename = $one_key, alias = $one_alias, deserialize_with = "one")]
                pub $one: Option<$one_ty>,
            )+
            $(
                $(#[$many_doc])*
                #[serde(rename = $many_key, alias = $many_alias, deserialize_with = "many")]
                pub $many: Vec<$many_ty>,
            )+
            /// The old pipeline's section; only in job files.
            pub(crate) pipeline: Option<legacy::Pipeline>,
            /// The old pipeline's database section; only in job files.
            pub(crate) db: Option<legacy::Db>,
        }

        impl Options {
            /// Keys of all options, as they are written in job files, with `-`.
            pub const KEYS: &'static [&'static str] = &[
                $($(#[cfg(feature = $feature)])? $one_key,)+
                $($many_key,)+
            ];

            /// Sets one option from text.
            ///
            /// # Errors
            /// What is wrong with the text, or that there is no such key.
            pub fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $(
                        $(#[cfg(feature = $feature)])?
                        $one_key => self.$one = Some(Setting::parse(text)?),
                    )+
                    $($many_key => self.$many = vec![Setting::parse(text)?],)+
                    _ => return Err(format!("there is no option `{key}`")),
                }
                Ok(())
            }

            /// The options that are given here, as key and text.
            #[must_use]
            pub fn given(&self) -> Vec<(&'static str, String)> {
                let mut given = Vec::new();
                $($(#[cfg(feature = $feature)])? if let Some(value) = &self.$one {
                    given.push(($one_key, value.show()));
                })+
                $(if !self.$many.is_empty() {
                    let all: Vec<String> = self.$many.iter().map(Setting::show).collect();
                    given.push(($many_key, all.join(" ")));
                })+
                given
            }

            /// Takes from `lower` what is not given here, and returns the keys taken.
            fn fill_from(&mut self, lower: Self) -> Vec<&'static str> {
                let mut taken = Vec::new();
                $($(#[cfg(feature = $feature)])? if self.$one.is_none() && lower.$one.is_some() {
                    self.$one = lower.$one;
                    taken.push($one_key);
                })+
                $(if self.$many.is_empty() && !lower.$many.is_empty() {
                    self.$many = lower.$many;
                    taken.push($many_key);
                })+
                taken
            }
        }
    };
}

options! {
    one {
        /// `--table`.
        table "table" "table": String,
        /// `--to`; may hold a password, so it is shown only through `TargetUrl`.
        to "to" "to": TargetText,
        /// `--profile`.
        profile "profile" "profile": Profile,
        /// `--copy`.
        copy "copy" "copy": bool where feature "postgresql-copy",
        /// `--user`.
        user "user" "user": String,
        /// `--password-file`.
        password_file "password-file" "password_file": PathBuf,
        /// `--password-command`.
        password_command "password-command" "password_command": String,
        /// `--tls`.
        tls "tls" "tls": TlsMode,
        /// `--tls-ca`.
        tls_ca "tls-ca" "tls_ca": PathBuf,
        /// `--dialect`.
        dialect "dialect" "dialect": Preset,
        /// `--delimiter`.
        delimiter "delimiter" "delimiter": Delimiter,
        /// `--quote`.
        quote "quote" "quote": ByteRole,
        /// `--escape`.
        escape "escape" "escape": ByteRole,
        /// `--double-quote`.
        double_quote "double-quote" "double_quote": bool,
        /// `--header`, `--no-header`.
        header "header" "header": bool,
        /// `--skip-lines`.
        skip_lines "skip-lines" "skip_lines": u64,
        /// `--comment`.
        comment "comment" "comment": ByteRole,
        /// `--eol`.
        eol "eol" "eol": Terminator,
        /// `--encoding`.
        encoding "encoding" "encoding": Encoding,
        /// `--trim`.
        trim "trim" "trim": bool,
        /// `--trailing-delimiter`.
        trailing_delimiter "trailing-delimiter" "trailing_delimiter": bool,
        /// `--bare-quote`.
        bare_quote "bare-quote" "bare_quote": BareQuote,
        /// `--fields`.
        fields "fields" "fields": FieldsRule,
        /// `--max-record-bytes`.
        max_record_bytes "max-record-bytes" "max_record_bytes": Size,
        /// `--max-field-bytes`.
        max_field_bytes "max-field-bytes" "max_field_bytes": Size,
        /// `--date-format`.
        date_format "date-format" "date_format": String,
        /// `--time-format`.
        time_format "time-format" "time_format": String,
        /// `--timestamp-format`.
        timestamp_format "timestamp-format" "timestamp_format": String,
        /// `--columns`.
        columns "columns" "columns": ColumnList,
        /// `--empty-as-null`.
        empty_as_null "empty-as-null" "empty_as_null": EmptyAsNull,
        /// `--limit`.
        limit "limit" "limit": u64,
        /// `--offset-records`.
        offset_records "offset-records" "offset_records": u64,
        /// `--allow-empty`.
        allow_empty "allow-empty" "allow_empty": bool,
        /// `--schema`.
        schema "schema" "schema": String,
        /// `--create`.
        create "create" "create": bool,
        /// `--mode`.
        mode "mode" "mode": Mode,
        /// `--key`.
        key "key" "key": ColumnNames,
        /// `--duplicates`.
        duplicates "duplicates" "duplicates": Duplicates,
        /// `--staging`.
        staging "staging" "staging": StagingChoice,
        /// `--merge-rows`.
        merge_rows "merge-rows" "merge_rows": u64,
        /// `--staging-attributes`.
        staging_attributes "staging-attributes" "staging_attributes": StagingAttributes,
        /// `--lock-table`.
        lock_table "lock-table" "lock_table": bool,
        /// `--runstats`.
        runstats "runstats" "runstats": bool,
        /// `--set-integrity`.
        set_integrity "set-integrity" "set_integrity": bool,
        /// `--yes`.
        yes "yes" "yes": bool,
        /// `--writers`.
        writers "writers" "writers": usize,
        /// `--parsers`.
        parsers "parsers" "parsers": usize,
        /// `--pin-cores`.
        pin_cores "pin-cores" "pin_cores": CoreChoice,
        /// `--chunk-bytes`.
        chunk_bytes "chunk-bytes" "chunk_bytes": Size,
        /// `--batch-rows`.
        batch_rows "batch-rows" "batch_rows": usize,
        /// `--batch-bytes`.
        batch_bytes "batch-bytes" "batch_bytes": Size,
        /// `--commit-rows`.
        commit_rows "commit-rows" "commit_rows": u64,
        /// `--commit-bytes`.
        commit_bytes "commit-bytes" "commit_bytes": Size,
        /// `--commit-every`.
        commit_every "commit-every" "commit_every": Span,
        /// `--ring-batches`.
        ring_batches "ring-batches" "ring_batches": usize,
        /// `--memory-limit`.
        memory_limit "memory-limit" "memory_limit": Size,
        /// `--io`.
        io "io" "io": IoWay,
        /// `--max-rate`.
        max_rate "max-rate" "max_rate": Rate,
        /// `--tune`.
        tune "tune" "tune": TuneChoice,
        /// `--tune-writers`.
        tune_writers "tune-writers" "tune_writers": CountRange,
        /// `--tune-batch-rows`.
        tune_batch_rows "tune-batch-rows" "tune_batch_rows": CountRange,
        /// `--tune-commit-rows`.
        tune_commit_rows "tune-commit-rows" "tune_commit_rows": CountRange,
        /// `--read-ahead`.
        read_ahead "read-ahead" "read_ahead": usize,
        /// `--input-mode`.
        input_mode "input-mode" "input_mode": InputMode,
        /// `--connect-timeout`.
        connect_timeout "connect-timeout" "connect_timeout": Span,
        /// `--query-timeout`.
        query_timeout "query-timeout" "query_timeout": Span,
        /// `--max-retries`.
        max_retries "max-retries" "max_retries": usize,
        /// `--retry-backoff`.
        retry_backoff "retry-backoff" "retry_backoff": f64,
        /// `--retry-budget`.
        retry_budget "retry-budget" "retry_budget": Span,
        /// `--max-errors`.
        max_errors "max-errors" "max_errors": RejectLimit,
        /// `--rejects`.
        rejects "rejects" "rejects": PathBuf,
        /// `--retry-of`.
        retry_of "retry-of" "retry_of": JobName,
        /// `--job`.
        job "job" "job": JobName,
        /// `--restart`.
        restart "restart" "restart": RestartChoice,
        /// `--ledger-table`.
        ledger_table "ledger-table" "ledger_table": LedgerTable,
        /// `--job-lease`.
        job_lease "job-lease" "job_lease": Span,
        /// `--stop-at`.
        stop_at "stop-at" "stop_at": ClockTime,
        /// `--output`.
        output "output" "output": OutputFormat,
        /// `--progress`.
        progress "progress" "progress": ProgressStyle,
        /// `--progress-interval`.
        progress_interval "progress-interval" "progress_interval": Span,
        /// `--color`.
        color "color" "color": ColorMode,
        /// `--quiet`.
        quiet "quiet" "quiet": bool,
        /// `--verbose`, how many times.
        verbose "verbose" "verbose": u8,
        /// `--log-file`.
        log_file "log-file" "log_file": PathBuf,
        /// `--log-format`.
        log_format "log-format" "log_format": LogFormat,
        /// `--events`.
        events "events" "events": PathBuf,
        /// `--summary`.
        summary "summary" "summary": PathBuf,
        /// `--explain`.
        explain "explain" "explain": bool,
    }
    many {
        /// Inputs: paths, globs, `@LIST`, `-`.
        input "input" "inputs": OsString,
        /// `--null-value`, each.
        null_values "null-value" "null_values": String,
        /// `--map`, each.
        map "map" "map": Pair,
        /// `--const`, each.
        constants "const" "constants": Pair,
        /// `--session-sql`, each.
        session_sql "session-sql" "session_sql": String,
        /// `--before`, each.
        before "before" "before": String,
        /// `--after`, each.
        after "after" "after": String,
    }
}

/// A scalar of a job file, read from its text: `5000`, `no` and `0x1f` arrive as written.
pub(super) fn one<'de, D: Deserializer<'de>, T: Setting>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    T::parse(&text).map(Some).map_err(D::Error::custom)
}

/// A list of scalars of a job file.
fn many<'de, D: Deserializer<'de>, T: Setting>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts (write `~`, `null` and empty text in quotes)")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    let texts = deserializer.deserialize_seq(Texts)?;
    texts.iter().map(|text| T::parse(text).map_err(D::Error::custom)).collect()
}

impl Options {
    /// Options of the environment: every variable named `FASTLOAD_` and an option's key in upper
    /// case. `FASTLOAD_PASSWORD`, `FASTLOAD_CONFIG` and `FASTLOAD_CORE_DUMPS` are no options and
    /// are left alone.
    ///
    /// The second part of the result names variables with the prefix that look like a slip of an
    /// option, with that option. Other variables with the prefix are somebody else's.
    ///
    /// # Errors
    /// A variable whose value does not fit.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<String>)> {
        let mut options = Self::default();
        let mut warnings = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(suffix) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
                continue;
            };
            if matches!(suffix, "PASSWORD" | "CONFIG" | "CORE_DUMPS") {
                continue;
            }
            let key = suffix.to_ascii_lowercase().replace('_', "-");
            if !Self::KEYS.contains(&key.as_str()) {
                if let Some(meant) = slip(&key) {
                    warnings.push(format!(
                        "the environment variable {name} is not an option of fastload; the nearest \
                         is {}",
                        environment_name(meant)
                    ));
                }
                continue;
            }
            let wrong = |why: String| {
                Error::usage(format!("{name}: {why}"), format!("see --{key} in --help"))
            };
            let Some(text) = value.to_str() else {
                return Err(wrong("the value is not UTF-8".to_owned()));
            };
            options.set(&key, text).map_err(wrong)?;
        }
        Ok((options, warnings))
    }

    /// What is shown in place of an option whose value may hold a secret: statements of
    /// `--session-sql` (SET ENCRYPTION PASSWORD, a key of ATTACH), and the shell command for the
    /// password.
    #[must_use]
    pub fn hidden(&self, key: &str) -> Option<String> {
        match key {
            "session-sql" => {
                let count = self.session_sql.len();
                Some(format!("{count} statement{}", if count == 1 { "" } else { "s" }))
            }
            "password-command" => Some("a command".to_owned()),
            _ => None,
        }
    }

    /// The dialect's part.
    #[must_use]
    pub fn dialect_options(&self) -> DialectOptions {
        let bytes = |size: Option<Size>| {
            size.map(|Size(bytes)| usize::try_from(bytes).unwrap_or(usize::MAX))
        };
        DialectOptions {
            preset: self.dialect,
            delimiter: self.delimiter.clone().map(|Delimiter(bytes)| bytes),
            quote: self.quote.map(|ByteRole(byte)| byte),
            escape: self.escape.map(|ByteRole(byte)| byte),
            double_quote: self.double_quote,
            header: self.header,
            skip_lines: self.skip_lines,
            comment: self.comment.map(|ByteRole(byte)| byte),
            eol: self.eol,
            encoding: self.encoding,
            null_values: self.null_values.iter().map(|text| text.clone().into_bytes()).collect(),
            trim: self.trim,
            trailing_delimiter: self.trailing_delimiter,
            bare_quote: self.bare_quote,
            fields: self.fields,
            max_record_bytes: bytes(self.max_record_bytes),
            max_field_bytes: bytes(self.max_field_bytes),
        }
    }
}

/// Name of the environment variable of an option.
#[must_use]
pub fn environment_name(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// The option that a variable's key is a slip of: at most two letters differ. The likeness of
/// [`nearest`] would take a common beginning (`test-mariadb`) for one.
fn slip(key: &str) -> Option<&'static str> {
    const LETTERS: usize = 2;
    Options::KEYS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), *known))
        .filter(|(letters, known)| *letters <= LETTERS && known.len() > 2 * letters)
        .min()
        .map(|(_, known)| known)
}

/// The known name nearest to a misspelled one, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Jaro-Winkler similarity above which two names look like a slip of each other.
    const ALIKE: f64 = 0.8;
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Options merged from several places, each with where it came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layered {
    /// The merged options.
    pub options: Options,
    /// Origin by key.
    pub origins: BTreeMap<&'static str, Origin>,
}

impl Layered {
    /// Adds a place whose options give way to those already here.
    pub fn add(&mut self, options: Options, mut origin: impl FnMut(&'static str) -> Origin) {
        for key in self.options.fill_from(options) {
            self.origins.insert(key, origin(key));
        }
    }

    /// Origin of a key, if it was given anywhere.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<(Options, Vec<String>)> {
        Options::from_environment(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    #[test]
    fn the_environment_mirrors_the_flags() {
        let (options, warnings) = environment(&[
            ("FASTLOAD_BATCH_ROWS", "5_000"),
            ("FASTLOAD_NULL_VALUE", "\\N"),
            ("FASTLOAD_PASSWORD", "secret"),
            ("FASTLOAD_WRITRES", "3"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(options.batch_rows, Some(5000));
        assert_eq!(options.null_values, ["\\N"]);
        assert_eq!(options.given().len(), 2);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("FASTLOAD_WRITERS"), "{warnings:?}");
        let error = environment(&[("FASTLOAD_WRITERS", "many")]).unwrap_err();
        assert!(error.to_string().starts_with("FASTLOAD_WRITERS: "));
    }

    #[test]
    fn higher_places_win_and_origins_are_kept() {
        let mut layered = Layered::default();
        let flags = Options { writers: Some(3), ..Options::default() };
        let file = Options { writers: Some(1), parsers: Some(2), ..Options::default() };
        layered.add(flags, |_| Origin::Flag);
        layered.add(file, |key| Origin::File { path: "job.yaml".into(), key: key.to_owned() });
        assert_eq!(layered.options.writers, Some(3));
        assert_eq!(layered.options.parsers, Some(2));
        assert_eq!(layered.origin("writers"), Some(&Origin::Flag));
        assert_eq!(layered.origin("parsers").unwrap().to_string(), "job.yaml parsers");
        assert_eq!(layered.origin("table"), None);
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        assert_eq!(nearest("bacth_rows", ["batch-rows", "ring-batches"]), Some("batch-rows"));
        assert_eq!(nearest("xyzzy", ["batch-rows", "table"]), None);
    }
}
