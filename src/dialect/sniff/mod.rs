//! From the head of a file to its dialect: what the user said, and where nothing was said, what
//! the head shows.
//!
//! A candidate is good when at least nine of ten records of the head have the same number of two
//! or more fields under it. One good candidate wins; of several, one whose share is higher by more
//! than a twentieth. Anything closer is a tie, and a tie is the user's to break.

use std::path::Path;

use super::head::{HeadField, HeadReader};
use super::presets::{apply, command_line, preset};
use crate::config::dialect::{Dialect, Encoding, Terminator};
use crate::config::dialect_options::DialectOptions;
use crate::config::setting::{Delimiter, Preset, Setting};
use crate::error::{Error, Result};
use crate::infer::ColumnGuess;

/// Records of the head that are looked at.
const MOST_RECORDS: usize = 2000;

/// Share of alike records that makes a candidate good.
const GOOD_SHARE: f64 = 0.9;

/// Difference of shares from which one candidate is simply better than another.
const CLEAR_LEAD: f64 = 0.05;

/// The dialect of a file, and why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// The dialect.
    pub dialect: Dialect,
    /// Bytes of the byte order mark before the first record or line.
    pub body_offset: usize,
    /// Whether anything was found out rather than said.
    pub sniffed: bool,
    /// What was found and why, one sentence each.
    pub evidence: Vec<String>,
    /// The dialect as flags that can be pasted into a shell.
    pub flags: String,
}

/// Finds the dialect of `path` from its head.
///
/// `head` are the first bytes of the file, at most [`crate::limits::SNIFF_BYTES`]; `complete` says
/// that they are all of it. `known_columns` are the table's, where they are known: a first record
/// made of them is a header.
///
/// # Errors
/// An encoding that cannot be read (input); a tie, or roles that contradict each other (usage).
pub fn find_dialect(
    path: &Path,
    head: &[u8],
    complete: bool,
    options: &DialectOptions,
    known_columns: &[&str],
) -> Result<Sniffed> {
    let body_offset = byte_order_mark(path, head, options)?;
    let body = &head[body_offset..];
    let mut sniffer = Sniffer {
        path,
        body,
        complete,
        options,
        known_columns,
        evidence: Vec::new(),
        sniffed: false,
    };
    if body_offset > 0 {
        sniffer.evidence.push("a UTF-8 byte order mark is skipped".to_owned());
    }
    let dialect = sniffer.dialect()?;
    dialect.validate().map_err(|error| {
        Error::usage(format!("the dialect: {error}"), "give other characters to the two roles")
    })?;
    Ok(Sniffed {
        flags: command_line(&dialect),
        body_offset,
        sniffed: sniffer.sniffed,
        evidence: sniffer.evidence,
        dialect,
    })
}

/// Length of the UTF-8 byte order mark; files that are no text of one-byte ASCII are refused.
fn byte_order_mark(path: &Path, head: &[u8], options: &DialectOptions) -> Result<usize> {
    let refuse = |what: &str, help: &str| Err(Error::input(path, what, help));
    let convert = "convert it first, for example with iconv -f UTF-16 -t UTF-8";
    match head {
        [0xef, 0xbb, 0xbf, ..] => match options.encoding {
            None | Some(Encoding::Utf8) => Ok(3),
            Some(other) => refuse(
                &format!(
                    "begins with a UTF-8 byte order mark, but the encoding is {}",
                    other.name()
                ),
                "leave --encoding out",
            ),
        },
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => refuse("is UTF-32", convert),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => refuse("is UTF-16", convert),
        [0x1f, 0x8b, ..] => refuse("is compressed with gzip", "pipe it: zcat FILE | fastload -"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            refuse("is compressed with zstd", "pipe it: zstdcat FILE | fastload -")
        }
        _ if looks_like_zeros(head) => refuse(
            "is no text: it has long runs of zero bytes",
            "it may have been cut short and grown again; have it written anew",
        ),
        _ if looks_like_utf16(head) => {
            refuse("looks like UTF-16 or UTF-32 without a byte order mark", convert)
        }
        _ => Ok(0),
    }
}

/// Text in wide units has a NUL in every second byte or in more; NUL bytes as data are rare.
fn looks_like_utf16(head: &[u8]) -> bool {
    let start = &head[..head.len().min(4096)];
    let nuls = start.iter().filter(|&&byte| byte == 0).count();
    start.len() >= 8 && nuls * 5 >= start.len() * 2
}

/// As many NUL bytes, but not between others: what a file holds where nobody has written.
fn looks_like_zeros(head: &[u8]) -> bool {
    let start = &head[..head.len().min(4096)];
    looks_like_utf16(head) && start.windows(16).any(|window| window.iter().all(|&byte| byte == 0))
}

struct Sniffer<'a> {
    path: &'a Path,
    body: &'a [u8],
    complete: bool,
    options: &'a DialectOptions,
    known_columns: &'a [&'a str],
    evidence: Vec<String>,
    sniffed: bool,
}

/// A candidate and how well it fits.
#[derive(Debug, Clone)]
struct Candidate {
    dialect: Dialect,
    fields: usize,
    alike: usize,
    records: usize,
}

impl Candidate {
    fn share(&self) -> f64 {
        if self.records == 0 {
            return 0.0;
        }
        // At most MOST_RECORDS, which a float holds exactly.
        f64::from(u32::try_from(self.alike).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(self.records).unwrap_or(u32::MAX))
    }

    fn is_good(&self) -> bool {
        self.fields >= 2 && self.share() >= GOOD_SHARE
    }

    fn describe(&self) -> String {
        format!(
            "{} of {} records have {} fields with delimiter {}",
            self.alike,
            self.records,
            self.fields,
            Delimiter(self.dialect.delimiter.clone()).show()
        )
    }
}

impl Sniffer<'_> {
    fn dialect(&mut self) -> Result<Dialect> {
        let terminator = self.terminator();
        let mut dialect = match (self.options.preset, &self.options.delimiter) {
            (Some(name), _) => apply(self.options, Dialect { terminator, ..preset(name) }),
            (None, Some(_)) => {
                let base = Dialect { terminator, ..preset(Preset::Csv) };
                let plain = apply(self.options, base);
                self.trailing(plain)
            }
            (None, None) => self.delimiter(terminator)?,
        };
        if self.options.preset.is_none() && self.options.header.is_none() {
            self.sniffed = true;
            dialect.header = self.header(&dialect);
        }
        self.look_at_text(&dialect);
        Ok(dialect)
    }

    fn terminator(&mut self) -> Terminator {
        match self.options.eol {
            None | Some(Terminator::Auto) => {
                let has = |byte| self.body.contains(&byte);
                if has(b'\r') && !has(b'\n') {
                    self.sniffed = true;
                    self.evidence.push("lines end with CR alone".to_owned());
                    return Terminator::Cr;
                }
                Terminator::Auto
            }
            Some(given) => given,
        }
    }

    /// Every way in which the delimiter may stand, tried on the head.
    fn delimiter(&mut self, terminator: Terminator) -> Result<Dialect> {
        self.sniffed = true;
        let base = |name| apply(self.options, Dialect { terminator, ..preset(name) });
        let mut tried: Vec<Candidate> = [Preset::Csv, Preset::Tsv, Preset::Pipe]
            .into_iter()
            .map(|name| {
                let plain = base(name);
                let dialect = self.trailing(plain);
                self.measure(dialect)
            })
            .collect();
        tried.sort_by(|a, b| b.share().total_cmp(&a.share()));
        let good: Vec<&Candidate> = tried.iter().filter(|candidate| candidate.is_good()).collect();
        match good.as_slice() {
            [] => self.one_column(base(Preset::Csv)),
            [first, second, ..] if first.share() - second.share() <= CLEAR_LEAD => {
                Err(self.tie(first, second))
            }
            [first, ..] => {
                self.evidence.push(first.describe());
                Ok(first.dialect.clone())
            }
        }
    }

    fn tie(&self, first: &Candidate, second: &Candidate) -> Error {
        let flags = |candidate: &Candidate| {
            let mut dialect = candidate.dialect.clone();
            if self.options.header.is_none() {
                dialect.header = self.guess_header(&dialect).0;
            }
            command_line(&dialect)
        };
        Error::usage(
            format!(
                "{}: two dialects fit equally well: {}; {}",
                self.path.display(),
                first.describe(),
                second.describe()
            ),
            format!("say which one it is: {} or {}", flags(first), flags(second)),
        )
    }

    /// No delimiter of the presets splits the records.
    fn one_column(&mut self, csv: Dialect) -> Result<Dialect> {
        let semicolons = Dialect { delimiter: b";".to_vec(), ..csv.clone() };
        let semicolons = self.measure(semicolons);
        if semicolons.is_good() {
            return Err(Error::usage(
                format!("{}: {}", self.path.display(), semicolons.describe()),
                "give the delimiter: -d ';'",
            ));
        }
        let alone = self.measure(csv);
        if alone.records > 0 && (alone.fields != 1 || alone.share() < GOOD_SHARE) {
            return Err(Error::usage(
                format!("{}: no dialect fits its first records", self.path.display()),
                "say what it is with --dialect or -d, --quote and --skip-lines",
            ));
        }
        self.evidence.push("no delimiter splits the records: one column".to_owned());
        Ok(alone.dialect)
    }

    /// The dialect with a trailing delimiter where every record of the head ends with one.
    ///
    /// Such records may as well have an empty last field. The number of the table's columns tells;
    /// where it is not known, only `|` is taken for a trailing delimiter, as TPC-H's generator and
    /// its likes write it.
    fn trailing(&mut self, mut dialect: Dialect) -> Dialect {
        if self.options.trailing_delimiter.is_some() || self.body.is_empty() {
            return dialect;
        }
        let mut records = 0;
        let mut quoted = false;
        let reader = HeadReader::new(&dialect, self.body, self.complete);
        let all = reader.take(MOST_RECORDS).all(|record| {
            records += 1;
            if let Ok(fields) = &record.fields {
                quoted |= fields.iter().any(|field| field.quoted);
            }
            // A quote may stand anywhere in a file that does not quote.
            record.ends_with_delimiter || record.fields.is_err()
        });
        let fits = || match self.known_columns.len() {
            0 => dialect.delimiter == b"|",
            known => self.measure(dialect.clone()).fields == known + 1,
        };
        if all && records > 0 && fits() && self.ends_with_delimiters(&dialect) {
            dialect.trailing_delimiter = true;
            if !quoted && self.options.quote.is_none() {
                dialect.quote = None;
            }
        }
        dialect
    }

    /// Whether every line ends with the delimiter, quotes or not, or nearly every one.
    fn ends_with_delimiters(&self, dialect: &Dialect) -> bool {
        let plain = Dialect { quote: None, ..dialect.clone() };
        let reader = HeadReader::new(&plain, self.body, self.complete);
        let (mut ends, mut records) = (0_usize, 0_usize);
        for record in reader.take(MOST_RECORDS) {
            records += 1;
            ends += usize::from(record.ends_with_delimiter);
        }
        ends * 10 >= records * 9
    }

    fn measure(&self, dialect: Dialect) -> Candidate {
        let mut counts: Vec<usize> = Vec::new();
        let mut records = 0;
        for record in HeadReader::new(&dialect, self.body, self.complete).take(MOST_RECORDS) {
            records += 1;
            if let Ok(fields) = record.fields {
                counts.push(fields.len());
            }
        }
        let (fields, alike) = most_frequent(&mut counts);
        Candidate { dialect, fields, alike, records }
    }

    fn header(&mut self, dialect: &Dialect) -> bool {
        let (header, why) = self.guess_header(dialect);
        self.evidence.push(why);
        header
    }

    /// Whether the first record names the columns, and how one can tell.
    fn guess_header(&self, dialect: &Dialect) -> (bool, String) {
        let mut records = HeadReader::new(dialect, self.body, self.complete)
            .take(MOST_RECORDS)
            .filter_map(|record| record.fields.ok());
        let Some(first) = records.next() else {
            return (dialect.header, "no record to tell a header by".to_owned());
        };
        let texts: Vec<String> = first.iter().map(text).collect();
        let known = |name: &String| {
            self.known_columns.iter().any(|column| column.eq_ignore_ascii_case(name))
        };
        if !self.known_columns.is_empty() && texts.iter().all(known) {
            return (true, "the first record holds names of the table's columns".to_owned());
        }
        if let Some(value) = first.iter().find(|field| is_value(field)) {
            return (false, format!("the first record holds a value: {}", shown(value)));
        }
        let mut guesses = vec![ColumnGuess::default(); first.len()];
        let mut seen = vec![false; first.len()];
        for record in records {
            for (index, field) in record.iter().enumerate().take(first.len()) {
                if !field.bytes.is_empty() {
                    guesses[index].update(&field.bytes);
                    seen[index] = true;
                }
            }
        }
        if let Some(index) = (0..first.len()).find(|&i| seen[i] && !guesses[i].is_text()) {
            let ty = guesses[index].finish();
            return (true, format!("field {} is {ty} in all records but the first", index + 1));
        }
        if texts.iter().all(|name| looks_like_name(name)) && all_different(&texts) {
            return (
                true,
                "the first record looks like names, and all columns are text".to_owned(),
            );
        }
        (false, "the first record does not look like names".to_owned())
    }

    /// Says when the head is not valid in the encoding.
    fn look_at_text(&mut self, dialect: &Dialect) {
        if dialect.encoding != Encoding::Utf8 {
            return;
        }
        if let Err(error) = simdutf8::compat::from_utf8(self.body)
            && error.error_len().is_some()
        {
            self.evidence.push(format!(
                "byte {} is not UTF-8: such records are rejected unless --encoding latin1 or \
                 windows-1252 is given",
                error.valid_up_to()
            ));
        }
    }
}

/// The most frequent number, and how often it stands there; the larger one of two.
fn most_frequent(numbers: &mut [usize]) -> (usize, usize) {
    numbers.sort_unstable();
    numbers
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .max_by_key(|&(number, times)| (times, number))
        .unwrap_or_default()
}

/// The number of fields that most records of the head have, without the header.
#[must_use]
pub fn field_count(dialect: &Dialect, body: &[u8], complete: bool) -> Option<usize> {
    let mut counts: Vec<usize> = HeadReader::new(dialect, body, complete)
        .take(MOST_RECORDS)
        .skip(usize::from(dialect.header))
        .filter_map(|record| record.fields.ok().map(|fields| fields.len()))
        .collect();
    let (fields, times) = most_frequent(&mut counts);
    (times > 0).then_some(fields)
}

fn text(field: &HeadField) -> String {
    String::from_utf8_lossy(&field.bytes).into_owned()
}

fn shown(field: &HeadField) -> String {
    let short = &field.bytes[..field.bytes.len().min(40)];
    format!("`{}`", short.escape_ascii())
}

/// Whether the field can be nothing but data: a number or a date.
fn is_value(field: &HeadField) -> bool {
    let mut guess = ColumnGuess::default();
    guess.update(&field.bytes);
    !guess.is_text() || (!field.bytes.is_empty() && field.bytes.iter().all(u8::is_ascii_digit))
}

fn looks_like_name(text: &str) -> bool {
    let first = text.chars().next();
    first.is_some_and(|c| c.is_alphabetic() || c == '_')
        && text.chars().count() <= 128
        && text.chars().all(|c| c.is_alphanumeric() || " _-.#$/()%".contains(c))
}

fn all_different(names: &[String]) -> bool {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests;
