//! One value as the user types it: on the command line, in the environment, in a job file. All
//! three are text, and all three are read here, so that a value means the same everywhere.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::dialect::{BareQuote, Encoding, FieldsRule, Terminator};
use super::{Duplicates, InputMode, IoWay, Mode, RejectLimit, StagingAttribute, TlsMode};

mod job;
mod table;
mod tune;

pub use job::{ClockTime, JobName, LedgerTable};
pub use table::{ColumnNames, StagingAttributes, StagingChoice};
pub use tune::CountRange;

/// A value that is read from text and shown as text that reads back to the same value.
pub trait Setting: Sized {
    /// Reads the text.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value as it may be written.
    fn show(&self) -> String;
}

/// Bytes: `8MiB`, `8MB`, `1_000_000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// Bytes a second, at least one: `50MB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u64);

/// A length of time: `30s`, `1m 30s`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A byte with a role in the dialect, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRole(pub Option<u8>);

/// The bytes between two fields: a character as written, `\t`, `0x1f`, `U+0001`, or several
/// ordinary characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiter(pub Vec<u8>);

/// Cores to pin threads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreChoice {
    /// No pinning (`none`).
    None,
    /// All cores that the process may use (`all`, the flag without a value).
    All,
    /// These, in turn (`0,1,2-5`).
    List(Vec<usize>),
}

/// `--columns a,b,-c`: columns to load, or to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnList(pub Vec<ColumnPick>);

/// One name of `--columns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPick {
    /// Load this one.
    Take(String),
    /// Leave this one out (`-c`).
    Leave(String),
}

/// `left=right` of `--map` and `--const`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Before the first `=`.
    pub left: String,
    /// After it.
    pub right: String,
}

/// Columns in which quoted empty text is NULL (`--empty-as-null[=COLS]`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EmptyAsNull {
    /// None.
    #[default]
    Nowhere,
    /// Every column.
    Everywhere,
    /// Columns with these names.
    Columns(Vec<String>),
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident: $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }
        words!(impl $name: $($variant = $word),+);
    };
    (impl $name:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().replace('_', "-").as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(one_of(&[$($word),+])),
                }
            }
            fn show(&self) -> String {
                match self { $(Self::$variant => $word.to_owned()),+ }
            }
        }
    };
}

words! {
    /// A named dialect (`--dialect`), to which single overrides are applied.
    Preset:
    /// Comma, double quotes, header.
    Csv = "csv",
    /// Tab, double quotes, header.
    Tsv = "tsv",
    /// `|`, double quotes, header.
    Pipe = "pipe",
    /// `|` after every field, no quotes, no header: TPC-H's generator.
    Tbl = "tbl",
}
words! {
    /// Which database profile to use in place of the detected one (`--profile`).
    Profile:
    /// Db2.
    Db2 = "db2",
    /// PostgreSQL.
    Postgresql = "postgresql",
    /// MariaDB and `MySQL`.
    Mariadb = "mariadb",
    /// Only what the ODBC standard promises.
    Generic = "generic",
}
words! {
    /// Form of the result on standard output (`--output`).
    OutputFormat:
    /// For people.
    Text = "text",
    /// One JSON object.
    Json = "json",
}
words! {
    /// Form of progress on standard error (`--progress`).
    ProgressStyle:
    /// Bars on a terminal, else plain.
    Auto = "auto",
    /// Bars.
    Bar = "bar",
    /// One line each interval.
    Plain = "plain",
    /// One JSON object each interval.
    Json = "json",
    /// None.
    None = "none",
}
words! {
    /// Whether to colour messages (`--color`).
    ColorMode:
    /// On a terminal, and without `NO_COLOR`.
    Auto = "auto",
    /// Always.
    Always = "always",
    /// Never.
    Never = "never",
}
words! {
    /// Form of the log (`--log-format`).
    LogFormat:
    /// Lines.
    Text = "text",
    /// JSON Lines.
    Json = "json",
}
words! {
    /// What a start does about earlier runs of its job (`--restart`).
    RestartChoice:
    /// Resumes an unfinished run; a finished one of the same content is left as it is.
    Auto = "auto",
    /// Begins a new run.
    New = "new",
    /// Resumes, or is refused.
    Continue = "continue",
    /// Gives an unfinished run up and loads nothing.
    Terminate = "terminate",
    /// Keeps no ledger.
    Off = "off",
}
words! {
    /// Whether numbers that are not given are found while the load runs (`--tune`).
    TuneChoice:
    /// They are.
    Auto = "auto",
    /// They stay.
    Off = "off",
}
words!(impl Terminator: Auto = "auto", Lf = "lf", CrLf = "crlf", Cr = "cr");
words!(impl BareQuote: Reject = "reject", Literal = "literal");
words!(impl FieldsRule: Exact = "exact", Pad = "pad", Truncate = "truncate");
words!(impl IoWay: Auto = "auto", Mmap = "mmap", Read = "read", Uring = "uring");
words!(impl InputMode: Single = "single", Multi = "multi");
words!(impl Mode: Append = "append", Truncate = "truncate", Replace = "replace",
    Upsert = "upsert", Delete = "delete");
words!(impl TlsMode: Off = "off", Require = "require", Verify = "verify");
words!(impl StagingAttribute: AppendOn = "append-on", NotLogged = "not-logged");
words!(impl Duplicates: Error = "error", Reject = "reject", Skip = "skip", Last = "last");

fn one_of(words: &[&str]) -> String {
    format!("must be one of {}", words.join(", "))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| format!("`{text}` is not a whole number in range"))
}

macro_rules! plain {
    ($($ty:ty: $parse:expr),+ $(,)?) => {
        $(impl Setting for $ty {
            fn parse(text: &str) -> Result<Self, String> { $parse(text) }
            fn show(&self) -> String { show_display(self) }
        })+
    };
}

fn show_display(value: &impl Display) -> String {
    value.to_string()
}

plain! {
    u64: number,
    usize: number,
    u8: number,
    String: |text: &str| Ok(text.to_owned()),
    bool: parse_bool,
    f64: parse_factor,
}

fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn parse_factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 1.0 => Ok(factor),
        _ => Err("must be a number of at least 1".to_owned()),
    }
}

impl Setting for OsString {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
    fn show(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a path must not be empty".to_owned());
        }
        Ok(text.into())
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for Size {
    fn parse(text: &str) -> Result<Self, String> {
        let help = || format!("`{text}` is not a size such as 8MiB, 8MB or 1_000_000");
        let negative_or_fraction_of_byte = text.starts_with('-');
        let size: bytesize::ByteSize = text.replace('_', "").parse().map_err(|_| help())?;
        if negative_or_fraction_of_byte {
            return Err(help());
        }
        Ok(Self(size.as_u64()))
    }
    fn show(&self) -> String {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let unit = UNITS
            .iter()
            .find(|(_, shift)| self.0 >> shift != 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((name, shift)) => format!("{}{name}", self.0 >> shift),
            None => self.0.to_string(),
        }
    }
}

impl Setting for Rate {
    fn parse(text: &str) -> Result<Self, String> {
        let size = text.strip_suffix("/s").map(|size| Size::parse(size.trim_end()));
        match size {
            Some(Ok(Size(bytes))) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(format!("`{text}` is not a rate such as 50MB/s or 8MiB/s")),
        }
    }
    fn show(&self) -> String {
        format!("{}/s", Size(self.0).show())
    }
}

impl Setting for Span {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") || text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| format!("`{text}` is not a length of time such as 30s, 500ms or 2m"))
    }
    fn show(&self) -> String {
        if self.0.is_zero() {
            return "none".to_owned();
        }
        humantime::format_duration(self.0).to_string()
    }
}

impl Setting for Encoding {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8" | "utf8" => Ok(Self::Utf8),
            "latin1" | "latin-1" | "iso-8859-1" | "iso8859-1" => Ok(Self::Latin1),
            "windows-1252" | "cp1252" => Ok(Self::Windows1252),
            _ => Err(one_of(&["utf-8", "latin1", "windows-1252"])),
        }
    }
    fn show(&self) -> String {
        self.name().to_owned()
    }
}

/// The bytes of a character written as itself, `\t`, `\\`, `\0`, `0x1f` or `U+0001`.
///
/// `U+` names a character: its bytes are UTF-8. `0x` names one byte.
///
/// # Errors
/// What is accepted.
pub fn parse_characters(text: &str) -> Result<Vec<u8>, String> {
    let bad =
        || format!("`{text}` is not a character; write it as it is, or as \\t, 0x1f or U+0001");
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let hex = Some(hex).filter(|hex| !hex.starts_with('+')).ok_or_else(bad)?;
        return u8::from_str_radix(hex, 16).map(|byte| vec![byte]).map_err(|_| bad());
    }
    if let Some(hex) = text.strip_prefix("U+").or_else(|| text.strip_prefix("u+")) {
        let hex = Some(hex).filter(|hex| !hex.starts_with('+')).ok_or_else(bad)?;
        let code = u32::from_str_radix(hex, 16).map_err(|_| bad())?;
        let c = char::from_u32(code).ok_or_else(bad)?;
        return Ok(c.to_string().into_bytes());
    }
    match text {
        "" => Err(bad()),
        "\\t" => Ok(vec![b'\t']),
        "\\\\" | "\\" => Ok(vec![b'\\']),
        "\\0" => Ok(vec![0]),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// Bytes as [`parse_characters`] reads them back.
fn show_characters(bytes: &[u8]) -> String {
    match (bytes, std::str::from_utf8(bytes)) {
        (b"\t", _) => "\\t".to_owned(),
        ([byte], _) if !byte.is_ascii_graphic() => format!("0x{byte:02x}"),
        (_, Ok(text)) => text.to_owned(),
        (_, Err(_)) => bytes.escape_ascii().to_string(),
    }
}

impl Setting for ByteRole {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        match parse_characters(text)?.as_slice() {
            [byte] => Ok(Self(Some(*byte))),
            _ => Err(format!("`{text}` must be one byte, or none")),
        }
    }
    fn show(&self) -> String {
        self.0.map_or_else(|| "none".to_owned(), |byte| show_characters(&[byte]))
    }
}

impl Setting for Delimiter {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tab" => Ok(Self(vec![b'\t'])),
            "comma" => Ok(Self(vec![b','])),
            "semicolon" => Ok(Self(vec![b';'])),
            _ => parse_characters(text).map(Self),
        }
    }
    fn show(&self) -> String {
        show_characters(&self.0)
    }
}

impl Setting for RejectLimit {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` must be a number, a percentage such as 0.1%, or all");
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        let Some(percent) = text.strip_suffix('%') else {
            return number(text).map(Self::Count).map_err(|_| bad());
        };
        match percent.trim_end().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Share(percent / 100.0)),
            _ => Err(bad()),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Share(share) => format!("{}%", percent(*share)),
            Self::All => "all".to_owned(),
        }
    }
}

/// The percentage that is read as this share. Neither division nor multiplication by 100 is exact;
/// of the numbers beside the product the one with the fewest digits was meant.
fn percent(share: f64) -> f64 {
    let product = share * 100.0;
    let beside = [product.next_down(), product, product.next_up()];
    let exact = beside.into_iter().filter(|percent| (percent / 100.0).to_bits() == share.to_bits());
    exact.min_by_key(|percent| percent.to_string().len()).unwrap_or(product)
}

impl Setting for CoreChoice {
    fn parse(text: &str) -> Result<Self, String> {
        /// More cores than any machine has; a range past it is a slip.
        const MOST: usize = 4096;
        match text.to_ascii_lowercase().as_str() {
            "all" | "" | "true" => return Ok(Self::All),
            "none" | "false" => return Ok(Self::None),
            _ => {}
        }
        let bad = || format!("`{text}` is not a list of cores such as 0,1,2-5");
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| bad())?;
            let last: usize = last.trim().parse().map_err(|_| bad())?;
            if first > last || last >= MOST {
                return Err(bad());
            }
            for core in first..=last {
                if cores.contains(&core) {
                    return Err(format!("core {core} stands twice in `{text}`"));
                }
                cores.push(core);
            }
        }
        Ok(Self::List(cores))
    }
    fn show(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::All => "all".to_owned(),
            Self::List(cores) => join(cores.iter().map(usize::to_string)),
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// Splits a comma-separated list of names, each with whether a minus stands before it; a name in
/// double quotes may hold commas, begin with a minus, and have blanks at its ends.
fn names(text: &str) -> Result<Vec<(bool, String)>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (minus, body) = match rest.trim_start().strip_prefix('-') {
            Some(body) => (true, body.trim_start()),
            None => (false, rest.trim_start()),
        };
        let (name, after) = match body.strip_prefix('"') {
            None => {
                let end = body.find(',').unwrap_or(body.len());
                (body[..end].trim_end().to_owned(), &body[end..])
            }
            Some(quoted) => {
                let end = quoted.find('"').ok_or_else(|| format!("unclosed quote in `{text}`"))?;
                (quoted[..end].to_owned(), quoted[end + 1..].trim_start())
            }
        };
        if name.is_empty() {
            return Err(format!("an empty name in `{text}`"));
        }
        names.push((minus, name));
        if after.is_empty() {
            return Ok(names);
        }
        rest = after.strip_prefix(',').ok_or_else(|| format!("expected a comma in `{text}`"))?;
    }
}

impl Setting for ColumnList {
    fn parse(text: &str) -> Result<Self, String> {
        let pick = |(minus, name)| match minus {
            true => ColumnPick::Leave(name),
            false => ColumnPick::Take(name),
        };
        let picks: Vec<ColumnPick> = names(text)?.into_iter().map(pick).collect();
        Ok(Self(picks))
    }
    fn show(&self) -> String {
        join(self.0.iter().map(|pick| match pick {
            ColumnPick::Take(name) => show_name(name),
            ColumnPick::Leave(name) => format!("-{}", show_name(name)),
        }))
    }
}

/// A name as [`names`] reads it back. One with a quote in it was written without quotes, and needs
/// none.
fn show_name(name: &str) -> String {
    let needs_quotes = name.contains(',') || name.starts_with('-') || name.trim() != name;
    if needs_quotes && !name.contains('"') { quoted_name(name) } else { name.to_owned() }
}

fn quoted_name(name: &str) -> String {
    format!("\"{name}\"")
}

impl Setting for Pair {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((left, right)) if !left.is_empty() => {
                Ok(Self { left: left.to_owned(), right: right.to_owned() })
            }
            _ => Err(format!("`{text}` must be written name=value")),
        }
    }
    fn show(&self) -> String {
        format!("{}={}", self.left, self.right)
    }
}

/// Names of which none is left out.
fn plain_names(text: &str) -> Result<Vec<String>, String> {
    let names = names(text)?;
    if let Some((_, name)) = names.iter().find(|(minus, _)| *minus) {
        return Err(format!("`-{name}`: columns cannot be left out here"));
    }
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

impl Setting for EmptyAsNull {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "true" | "all" => Ok(Self::Everywhere),
            "false" => Ok(Self::Nowhere),
            _ => plain_names(text).map(Self::Columns),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Nowhere => "false".to_owned(),
            Self::Everywhere => "all".to_owned(),
            // A column with the name of a word.
            Self::Columns(columns) => match columns.as_slice() {
                [name] if matches!(name.as_str(), "true" | "all" | "false") => quoted_name(name),
                _ => join(columns.iter().map(|name| show_name(name))),
            },
        }
    }
}

#[cfg(test)]
mod tests;
