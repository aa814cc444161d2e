//! Sample data: a bank's accounts, with every trouble that such a file has, and the truth about
//! it.
//!
//! Ten columns and about 115 bytes a row: numbers of three widths, exact decimals, dates, names
//! beyond ASCII, notes with delimiters, doubled quotes and the rare newline inside quotes, NULLs
//! in six columns. The same options give the same bytes, on every machine and for ever. Bad
//! records come where they are asked for, so that a test knows what must be in the reject file.

mod words;

use std::io::{self, Write};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::record::RejectClass;
use words::{CURRENCIES, FAMILY_NAMES, GIVEN_NAMES, MEMO_WORDS, STATUSES};

/// Bytes that are written at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Columns of the file.
pub const ACCOUNT_COLUMNS: usize = 10;

const HEADER: &[u8] =
    b"account_id,branch,customer_name,balance,currency,opened,last_txn,status,rate,memo\n";

/// Columns and types of the file as `--schema` takes them.
#[must_use]
pub const fn accounts_schema() -> &'static str {
    "account_id BIGINT NOT NULL, branch SMALLINT, customer_name VARCHAR(60), \
     balance DECIMAL(15,2), currency CHAR(3), opened DATE, last_txn TIMESTAMP(6), \
     status CHAR(1), rate DOUBLE, memo VARCHAR(100)"
}

/// How long the file becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenSize {
    /// So many records, bad ones included.
    Records(u64),
    /// As many records as it takes to reach this length in bytes.
    Bytes(u64),
}

/// Which records are bad. The kinds of [`BadKind::ALL`] follow one another in turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BadRecords {
    /// None.
    #[default]
    None,
    /// Each n-th one, beginning with record n; 0 means none.
    Every(u64),
    /// These record numbers, ascending.
    Numbers(Vec<u64>),
}

impl BadRecords {
    /// What is wrong with a record, which counts from 1.
    #[must_use]
    pub fn kind(&self, record: u64) -> Option<BadKind> {
        let turn = match self {
            Self::None | Self::Every(0) => None,
            Self::Every(n) => record.is_multiple_of(*n).then(|| record / n - 1),
            Self::Numbers(numbers) => numbers.binary_search(&record).ok().map(|at| at as u64),
        }?;
        let kinds = BadKind::ALL.len() as u64;
        BadKind::ALL.get(usize::try_from(turn % kinds).ok()?).copied()
    }
}

/// One way in which a record can be bad. Each stands on one line, whatever it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadKind {
    /// Letters in the account number.
    NotANumber,
    /// The 30th of February.
    ImpossibleDate,
    /// The last field is missing.
    TooFewFields,
    /// A quote inside an unquoted name.
    BareQuote,
    /// A note of 101 characters.
    LongMemo,
    /// A byte in the name that is not UTF-8.
    BadEncoding,
    /// A branch above 32,767.
    OutOfRange,
    /// An amount with three digits after the point.
    TooManyDigits,
    /// No account number.
    MissingKey,
    /// Text behind a closing quote.
    TextAfterQuote,
    /// A field too many.
    TooManyFields,
    /// A quote that is never closed.
    UnterminatedQuote,
}

impl BadKind {
    /// All kinds, in the order in which they come.
    pub const ALL: [Self; 12] = [
        Self::NotANumber,
        Self::ImpossibleDate,
        Self::TooFewFields,
        Self::BareQuote,
        Self::LongMemo,
        Self::BadEncoding,
        Self::OutOfRange,
        Self::TooManyDigits,
        Self::MissingKey,
        Self::TextAfterQuote,
        Self::TooManyFields,
        Self::UnterminatedQuote,
    ];

    /// Class of the reject under [`accounts_schema`] and the default dialect.
    #[must_use]
    pub const fn class(self) -> RejectClass {
        match self {
            Self::NotANumber | Self::ImpossibleDate => RejectClass::Conversion,
            Self::TooFewFields | Self::TooManyFields => RejectClass::FieldCount,
            Self::BareQuote | Self::TextAfterQuote | Self::UnterminatedQuote => {
                RejectClass::Malformed
            }
            Self::LongMemo => RejectClass::Length,
            Self::BadEncoding => RejectClass::Encoding,
            Self::OutOfRange | Self::TooManyDigits => RejectClass::Range,
            Self::MissingKey => RejectClass::Null,
        }
    }
}

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenOptions {
    /// Length.
    pub size: GenSize,
    /// Seed: other seeds, other files.
    pub seed: u64,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Bad records.
    pub bad: BadRecords,
}

/// What is in the file: sums and counts over the good records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Truth {
    /// Bytes written, header included.
    pub bytes: u64,
    /// Good records.
    pub rows: u64,
    /// Bad records.
    pub bad: u64,
    /// Sum of the account numbers.
    pub account_id_sum: i128,
    /// Smallest account number, which is the first one.
    pub account_id_min: i64,
    /// Largest account number, which is the last one.
    pub account_id_max: i64,
    /// Sum of the branches.
    pub branch_sum: i128,
    /// Sum of the balances, in hundredths.
    pub balance_cents: i128,
    /// NULLs in each column.
    pub nulls: [u64; ACCOUNT_COLUMNS],
    /// Notes with a newline inside.
    pub memos_with_newline: u64,
}

/// Writes a file of accounts.
///
/// # Errors
/// What writing to `out` gave.
pub fn accounts(options: &GenOptions, out: &mut dyn Write) -> io::Result<Truth> {
    let mut accounts = Accounts {
        random: Random(ChaCha8Rng::seed_from_u64(options.seed)),
        out: Vec::with_capacity(BUFFER_BYTES + (1 << 12)),
        account_id: 1_000_000_000,
        truth: Truth::default(),
    };
    if options.header {
        accounts.out.extend_from_slice(HEADER);
    }
    let mut flushed_bytes = 0;
    for record in 1.. {
        let done = match options.size {
            GenSize::Records(records) => record > records,
            GenSize::Bytes(bytes) => flushed_bytes + accounts.out.len() as u64 >= bytes,
        };
        if done {
            break;
        }
        accounts.record(options.bad.kind(record));
        if accounts.out.len() >= BUFFER_BYTES {
            out.write_all(&accounts.out)?;
            flushed_bytes += accounts.out.len() as u64;
            accounts.out.clear();
        }
    }
    out.write_all(&accounts.out)?;
    out.flush()?;
    Ok(Truth { bytes: flushed_bytes + accounts.out.len() as u64, ..accounts.truth })
}

/// Longest note before what may be added at its end; the column takes 100 characters.
const MEMO_BYTES: usize = 85;

struct Random(ChaCha8Rng);

impl Random {
    /// A number from 0 to `bound - 1`.
    fn below(&mut self, bound: u32) -> u32 {
        let product = u64::from(self.0.next_u32()) * u64::from(bound);
        u32::try_from(product >> 32).expect("less than the bound")
    }

    /// As [`Self::below`], beyond 32 bits.
    fn below_u64(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).expect("less than the bound")
    }

    /// True so many times in 10,000.
    fn chance(&mut self, in_10_000: u32) -> bool {
        self.below(10_000) < in_10_000
    }

    fn pick<const N: usize>(&mut self, from: &[&'static str; N]) -> &'static str {
        let bound = u32::try_from(N).expect("lists are short");
        from[self.below(bound) as usize]
    }
}

struct Accounts {
    random: Random,
    out: Vec<u8>,
    account_id: i64,
    truth: Truth,
}

impl Accounts {
    fn record(&mut self, bad: Option<BadKind>) {
        let before = self.truth;
        self.account_id(bad);
        self.branch(bad);
        self.customer_name(bad);
        self.balance(bad);
        self.text(|random| random.pick(&CURRENCIES));
        self.opened(bad);
        self.last_txn();
        self.text(|random| random.pick(&STATUSES));
        self.rate();
        self.memo(bad);
        match bad {
            None => self.truth.rows += 1,
            Some(kind) => {
                if kind == BadKind::TooFewFields {
                    // The note is empty then: this is the delimiter before it.
                    self.out.pop();
                }
                if kind == BadKind::TooManyFields {
                    self.out.extend_from_slice(b",surplus");
                }
                self.truth = Truth { bad: before.bad + 1, ..before };
            }
        }
        self.out.push(b'\n');
    }

    fn null(&mut self, column: usize) {
        self.truth.nulls[column] += 1;
    }

    fn account_id(&mut self, bad: Option<BadKind>) {
        self.account_id += 1 + i64::from(self.random.below(40));
        match bad {
            Some(BadKind::NotANumber) => self.out.extend_from_slice(b"12E4567890"),
            Some(BadKind::MissingKey) => {}
            _ => push_integer(&mut self.out, self.account_id),
        }
        self.out.push(b',');
        if self.truth.account_id_min == 0 {
            self.truth.account_id_min = self.account_id;
        }
        self.truth.account_id_max = self.account_id;
        self.truth.account_id_sum += i128::from(self.account_id);
    }

    fn branch(&mut self, bad: Option<BadKind>) {
        let branch = match bad {
            Some(BadKind::OutOfRange) => 32_768,
            _ => 1 + i64::from(self.random.below(900)),
        };
        push_integer(&mut self.out, branch);
        self.out.push(b',');
        self.truth.branch_sum += i128::from(branch);
    }

    fn customer_name(&mut self, bad: Option<BadKind>) {
        match bad {
            Some(BadKind::BareQuote) => self.out.extend_from_slice(b"Robert \"Bob\" Hughes"),
            Some(BadKind::BadEncoding) => self.out.extend_from_slice(b"M\xfcller"),
            Some(BadKind::TextAfterQuote) => self.out.extend_from_slice(b"\"Hughes\" Robert"),
            Some(BadKind::UnterminatedQuote) => self.out.extend_from_slice(b"\"Hughes"),
            _ if self.random.chance(50) => self.null(2),
            _ => {
                let given = self.random.pick(&GIVEN_NAMES);
                let family = self.random.pick(&FAMILY_NAMES);
                self.out.extend_from_slice(given.as_bytes());
                self.out.push(b' ');
                self.out.extend_from_slice(family.as_bytes());
            }
        }
        self.out.push(b',');
    }

    fn balance(&mut self, bad: Option<BadKind>) {
        if bad == Some(BadKind::TooManyDigits) {
            self.out.extend_from_slice(b"10.005");
        } else if self.random.chance(100) {
            self.null(3);
        } else {
            let bound = if self.random.chance(300) { 100_000_000_000 } else { 10_000_000 };
            let cents = self.random.below_u64(bound);
            let negative = cents != 0 && self.random.chance(1_200);
            if negative {
                self.out.push(b'-');
            }
            push_integer(&mut self.out, cents / 100);
            self.out.push(b'.');
            push_padded(&mut self.out, cents % 100, 2);
            let signed = i128::from(cents) * if negative { -1 } else { 1 };
            self.truth.balance_cents += signed;
        }
        self.out.push(b',');
    }

    fn text(&mut self, pick: impl FnOnce(&mut Random) -> &'static str) {
        let text = pick(&mut self.random);
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b',');
    }

    fn opened(&mut self, bad: Option<BadKind>) {
        if bad == Some(BadKind::ImpossibleDate) {
            self.out.extend_from_slice(b"2023-02-30");
        } else {
            let year = 1975 + self.random.below(50);
            self.date(year);
        }
        self.out.push(b',');
    }

    /// Days up to the 28th exist in every month.
    fn date(&mut self, year: u32) {
        let (month, day) = (1 + self.random.below(12), 1 + self.random.below(28));
        push_padded(&mut self.out, u64::from(year), 4);
        self.out.push(b'-');
        push_padded(&mut self.out, u64::from(month), 2);
        self.out.push(b'-');
        push_padded(&mut self.out, u64::from(day), 2);
    }

    fn last_txn(&mut self) {
        if self.random.chance(300) {
            self.null(6);
        } else {
            self.date(2025);
            for (before, bound) in [(b' ', 24), (b':', 60), (b':', 60)] {
                let part = self.random.below(bound);
                self.out.push(before);
                push_padded(&mut self.out, u64::from(part), 2);
            }
            if self.random.chance(2_000) {
                let micros = self.random.below(1_000_000);
                self.out.push(b'.');
                push_padded(&mut self.out, u64::from(micros), 6);
            }
        }
        self.out.push(b',');
    }

    /// Short and long fractions, and the exponent form that some programs write.
    fn rate(&mut self) {
        if self.random.chance(500) {
            self.null(8);
            self.out.push(b',');
            return;
        }
        let form = self.random.below(4);
        let whole = match form {
            0 => self.random.below(12),
            1 => 0,
            2 => self.random.below(20),
            _ => 1 + self.random.below(9),
        };
        push_integer(&mut self.out, whole);
        self.out.push(b'.');
        let digits = [2, 5, 12, 2][form as usize];
        let fraction = self.random.below_u64(10_u64.pow(digits));
        push_padded(&mut self.out, fraction, digits as usize);
        if form == 3 {
            self.out.extend_from_slice(b"e-");
            let exponent = 2 + self.random.below(4);
            push_integer(&mut self.out, exponent);
        }
        self.out.push(b',');
    }

    fn memo(&mut self, bad: Option<BadKind>) {
        match bad {
            Some(BadKind::TooFewFields) => return,
            Some(BadKind::LongMemo) => return self.out.extend_from_slice(&[b'm'; 101]),
            _ => {}
        }
        if self.random.chance(3_000) {
            return self.null(9);
        }
        let commas = self.random.chance(1_200);
        let quotes = self.random.chance(300);
        // A bad record ends at its first newline, so it must not have one inside.
        let newline = self.random.chance(5) && bad.is_none();
        let in_quotes = commas || quotes || newline;
        if in_quotes {
            self.out.push(b'"');
        }
        self.memo_words(commas, quotes);
        if newline {
            self.out.extend_from_slice(b"\nline two");
            self.truth.memos_with_newline += 1;
        }
        if in_quotes {
            self.out.push(b'"');
        }
    }

    fn memo_words(&mut self, commas: bool, quotes: bool) {
        let start = self.out.len();
        for index in 0..=self.random.below(9) {
            let end = self.out.len();
            if index > 0 {
                let comma = commas && self.random.chance(4_000);
                self.out.extend_from_slice(if comma { b", " } else { b" " });
            }
            let word = self.random.pick(&MEMO_WORDS).as_bytes();
            if quotes && index == 0 {
                self.out.extend_from_slice(b"\"\"");
                self.out.extend_from_slice(word);
                self.out.extend_from_slice(b"\"\"");
            } else {
                self.out.extend_from_slice(word);
            }
            if self.random.chance(2_500) {
                let number = self.random.below(100_000);
                self.out.push(b' ');
                push_integer(&mut self.out, number);
            }
            if self.out.len() - start > MEMO_BYTES {
                self.out.truncate(end);
                break;
            }
        }
    }
}

fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Decimal digits with zeros in front, at most 20.
fn push_padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    for place in digits[..width].iter_mut().rev() {
        *place = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

#[cfg(test)]
mod tests;
