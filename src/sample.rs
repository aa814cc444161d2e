//! Sample data: a bank's accounts, the same bytes for the same seed on every machine.
//!
//! Ten columns: `id` bigint, `branch` smallint, `customer_name` varchar, `balance` decimal(15,2),
//! `currency` char(3), `opened` date, `last_txn` timestamp, `status` char(1), `rate` double, `memo`
//! varchar(100) with quotes, commas, doubled quotes and, rarely, quoted newlines. Some cells are
//! NULL. Bad rows are known: every `bad_every`-th row is one, each kind of [`BAD_KINDS`] in turn.

use std::io::{self, Write};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The header record, without its line end.
pub const HEADER: &str =
    "id,branch,customer_name,balance,currency,opened,last_txn,status,rate,memo";

/// Column types as `--schema` takes them.
pub const SCHEMA: &str = "id BIGINT NOT NULL, branch SMALLINT NOT NULL, customer_name VARCHAR(40), \
     balance DECIMAL(15,2), currency CHAR(3) NOT NULL, opened DATE NOT NULL, \
     last_txn TIMESTAMP(6), status CHAR(1) NOT NULL, rate DOUBLE, memo VARCHAR(100)";

/// What is wrong with a bad row: the class under which it is rejected, in turn.
pub const BAD_KINDS: [&str; 6] =
    ["conversion", "range", "conversion", "field_count", "malformed", "null"];

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Jürgen", "Mei", "Olu", "Ines", "Søren", "Priya", "Noah", "Zoë", "Ivan", "Lucía", "Tom",
    "Aiko", "Fatma", "José", "Eve",
];
const LAST_NAMES: [&str; 16] = [
    "Moreau", "Okafor", "Schmidt", "García", "Lindqvist", "O'Neill", "Novák", "Tanaka", "Rossi",
    "Yılmaz", "Smith", "Kowalski", "Haddad", "Nguyen", "Silva", "Weiß",
];
const CURRENCIES: [&str; 6] = ["EUR", "USD", "GBP", "CHF", "JPY", "SEK"];
const MEMO_WORDS: [&str; 16] = [
    "salary", "rent", "joint account", "reviewed", "premium", "branch transfer", "closed by phone",
    "loan", "pension", "student", "business", "overdraft agreed", "card lost", "new address",
    "dormant", "gift",
];

/// Writes `rows` accounts with a header.
///
/// `bad_every` 0 writes no bad row. Returns the number of bad rows.
///
/// # Errors
/// What the writer gives.
pub fn write_accounts(
    out: &mut impl Write,
    rows: u64,
    seed: u64,
    bad_every: u64,
) -> io::Result<u64> {
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let mut line = Vec::with_capacity(512);
    writeln!(out, "{HEADER}")?;
    let mut bad_rows = 0;
    for id in 1..=rows {
        let bad = bad_every > 0 && id % bad_every == 0;
        let kind = bad.then(|| index(bad_rows, BAD_KINDS.len()));
        line.clear();
        account(&mut line, &mut random, id, kind)?;
        out.write_all(&line)?;
        bad_rows += u64::from(bad);
    }
    Ok(bad_rows)
}

/// `number` modulo `length`, as an index.
fn index(number: u64, length: usize) -> usize {
    usize::try_from(number % length as u64).expect("smaller than a usize")
}

fn account(line: &mut Vec<u8>, random: &mut Random, id: u64, bad: Option<usize>) -> io::Result<()> {
    // Wide numbers, so that the column is a BIGINT from the first row on.
    let account = 4_000_000_000 + id;
    write!(line, "{account},{},", 1 + random.below(900))?;
    if !random.one_in(50) {
        let first = random.pick(&FIRST_NAMES);
        write!(line, "{first} {}", random.pick(&LAST_NAMES))?;
    }
    line.push(b',');
    match bad {
        Some(0) => line.extend_from_slice(b"12.345.67"),
        Some(1) => line.extend_from_slice(b"99999999999999999.99"),
        _ if random.one_in(100) => {}
        _ => {
            let sign = if random.one_in(5) { "-" } else { "" };
            write!(line, "{sign}{}.{:02}", 1 + random.below(5_000_000), random.below(100))?;
        }
    }
    let currency = if bad == Some(5) { "" } else { random.pick(&CURRENCIES) };
    write!(line, ",{currency},")?;
    let (year, month, day) = (1995 + random.below(30), 1 + random.below(12), 1 + random.below(28));
    let day = if bad == Some(2) { 31 + day } else { day };
    write!(line, "{year:04}-{month:02}-{day:02},")?;
    if !random.one_in(20) {
        let (month, day) = (1 + random.below(12), 1 + random.below(28));
        let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
        let micros = random.below(1_000_000);
        write!(line, "2025-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")?;
    }
    write!(line, ",{},", random.pick(&["A", "B", "C", "D"]))?;
    if !random.one_in(30) {
        // The shortest text of its float: no zero at the end.
        write!(line, "0.{:03}{}", random.below(1000), 1 + random.below(9))?;
    }
    line.push(b',');
    memo(line, random)?;
    match bad {
        Some(3) => line.extend_from_slice(b",extra"),
        Some(4) => line.extend_from_slice(b" stray\" quote"),
        _ => {}
    }
    line.push(b'\n');
    Ok(())
}

/// At most 100 characters: five texts of at most 16, their separators, and the quotes.
fn memo(line: &mut Vec<u8>, random: &mut Random) -> io::Result<()> {
    match random.below(100) {
        // NULL, and the quoted empty text, which is no NULL.
        0..10 => Ok(()),
        10..12 => write!(line, "\"\""),
        12..60 => write!(line, "{}", random.pick(&MEMO_WORDS)),
        60..85 => {
            let (a, b, c) =
                (random.pick(&MEMO_WORDS), random.pick(&MEMO_WORDS), random.pick(&MEMO_WORDS));
            write!(line, "\"{a}, {b}, {c}\"")
        }
        85..99 => {
            let (a, b) = (random.pick(&MEMO_WORDS), random.pick(&MEMO_WORDS));
            write!(line, "\"said \"\"{a}\"\", then {b}\"")
        }
        _ => {
            let (a, b) = (random.pick(&MEMO_WORDS), random.pick(&MEMO_WORDS));
            write!(line, "\"{a}\n{b}\"")
        }
    }
}

struct Random(ChaCha8Rng);

impl Random {
    /// A number below `limit`; the bias of the remainder does not matter here.
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let number = self.0.next_u64();
        from[index(number, from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema_text::parse_schema;

    fn accounts(rows: u64, seed: u64, bad_every: u64) -> (Vec<u8>, u64) {
        let mut out = Vec::new();
        let bad = write_accounts(&mut out, rows, seed, bad_every).unwrap();
        (out, bad)
    }

    #[test]
    fn the_seed_decides_every_byte() {
        assert_eq!(accounts(500, 1, 0), accounts(500, 1, 0));
        assert_ne!(accounts(500, 1, 0), accounts(500, 2, 0));
        assert_eq!(parse_schema(SCHEMA).unwrap().len(), HEADER.split(',').count());
    }

    #[test]
    fn another_reader_finds_every_row_and_every_feature() {
        let (text, bad) = accounts(20_000, 7, 0);
        assert_eq!(bad, 0);
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let (mut rows, mut newlines, mut quotes, mut commas) = (0, 0, 0, 0);
        for record in reader.records() {
            let record = record.unwrap();
            rows += 1;
            assert_eq!(record.len(), 10);
            let memo = &record[9];
            assert!(memo.chars().count() <= 100);
            newlines += usize::from(memo.contains('\n'));
            quotes += usize::from(memo.contains('"'));
            commas += usize::from(memo.contains(','));
        }
        assert_eq!(rows, 20_000);
        assert!(newlines > 100 && quotes > 2000 && commas > 4000);
    }

    #[test]
    fn bad_rows_are_counted() {
        let (text, bad) = accounts(1000, 1, 100);
        assert_eq!(bad, 10);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches(",extra\n").count(), 1);
        assert_eq!(text.matches(" stray\" quote\n").count(), 1);
    }
}
