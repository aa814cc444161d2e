//! Columns of the accounts file, filled row by row and emptied again.

use std::ops::Range;

use crate::convert::{date, digits, float, hundredths, integer, timestamp};

/// Columns of the file.
pub const COLUMNS: usize = 10;
/// Rows after which the columns are summed and emptied.
pub const BATCH_ROWS: usize = 8192;

/// Bytes that a short text is copied as, whatever its length.
const SHORT_BYTES: usize = 32;

/// Sums over what was read, for a comparison with other readers.
#[derive(Debug, Default)]
pub struct Sums {
    /// Sum of `account_id`.
    pub account_id: i128,
    /// Sum of `balance` in hundredths.
    pub balance_cents: i128,
    /// Sum of what the other columns hold: keeps their work from being left out.
    pub others: f64,
}

/// Texts one after the other, and where each ends.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Texts {
    /// # Safety
    /// `length` bytes at `at`, and 32 at the least, can be read.
    #[inline(always)]
    unsafe fn push(&mut self, at: *const u8, length: usize) {
        let filled = self.bytes.len();
        self.bytes.reserve(length + SHORT_BYTES);
        // SAFETY: there is room for both copies, and the caller promises their sources.
        unsafe {
            let to = self.bytes.as_mut_ptr().add(filled);
            at.copy_to_nonoverlapping(to, SHORT_BYTES);
            if length > SHORT_BYTES {
                let rest = length - SHORT_BYTES;
                at.add(SHORT_BYTES).copy_to_nonoverlapping(to.add(SHORT_BYTES), rest);
            }
            self.bytes.set_len(filled + length);
        }
        self.ends.push((filled + length) as u32);
    }

    /// A quoted field, with its quotes, those inside doubled.
    fn push_quoted(&mut self, field: &[u8]) {
        let mut rest = &field[1..field.len() - 1];
        while let Some(quote) = memchr::memchr(b'"', rest) {
            self.bytes.extend_from_slice(&rest[..=quote]);
            rest = rest.get(quote + 2..).unwrap_or_default();
        }
        self.bytes.extend_from_slice(rest);
        self.ends.push(self.bytes.len() as u32);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// One batch of the file.
#[derive(Debug, Default)]
pub struct Columns {
    account_id: Vec<i64>,
    branch: Vec<i16>,
    customer_name: Texts,
    balance: Vec<i64>,
    currency: Texts,
    opened: Vec<i32>,
    last_txn: Vec<i64>,
    status: Vec<u8>,
    rate: Vec<f64>,
    memo: Texts,
    nulls: [Vec<bool>; COLUMNS],
    bad: usize,
}

impl Columns {
    /// Rows in the batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.account_id.len()
    }

    /// Values so far that could not be converted.
    #[must_use]
    pub fn bad(&self) -> usize {
        self.bad
    }

    /// Adds one record, whose fields are these ranges of `bytes`.
    ///
    /// # Safety
    /// All ranges, and [`crate::convert::SLACK_BYTES`] before and behind them, are inside `bytes`.
    #[inline(always)]
    pub unsafe fn push(&mut self, bytes: &[u8], fields: &[Range<usize>; COLUMNS]) {
        let at = bytes.as_ptr();
        macro_rules! value {
            ($column:expr, $into:ident, $convert:expr) => {{
                let field = &fields[$column];
                let null = field.is_empty();
                self.nulls[$column].push(null);
                let value = if null {
                    Some(Default::default())
                } else {
                    // SAFETY: the caller's promise.
                    unsafe { $convert(at.add(field.start), field.len()) }
                };
                self.bad += usize::from(value.is_none());
                self.$into.push(value.unwrap_or_default());
            }};
        }
        macro_rules! text {
            ($column:expr, $into:ident) => {{
                let field = &fields[$column];
                self.nulls[$column].push(field.is_empty());
                if field.len() >= 2 && bytes[field.start] == b'"' {
                    self.$into.push_quoted(&bytes[field.clone()]);
                } else {
                    // SAFETY: the caller's promise; the slack is longer than the short copy.
                    unsafe { self.$into.push(at.add(field.start), field.len()) }
                }
            }};
        }
        value!(0, account_id, integer);
        value!(1, branch, |at, length| digits(at, length).and_then(|value| value.try_into().ok()));
        text!(2, customer_name);
        value!(3, balance, hundredths);
        text!(4, currency);
        value!(5, opened, date);
        value!(6, last_txn, timestamp);
        value!(7, status, |at: *const u8, _| Some(*at));
        value!(8, rate, float);
        text!(9, memo);
    }

    /// Adds the batch to the sums.
    pub fn add_to(&self, sums: &mut Sums) {
        sums.account_id += self.account_id.iter().copied().map(i128::from).sum::<i128>();
        sums.balance_cents += self.balance.iter().copied().map(i128::from).sum::<i128>();
        let texts = [&self.customer_name, &self.currency, &self.memo];
        sums.others += self.rate.iter().sum::<f64>()
            + self.opened.iter().copied().map(f64::from).sum::<f64>()
            + self.last_txn.iter().map(|&micros| micros as f64).sum::<f64>()
            + self.branch.iter().copied().map(f64::from).sum::<f64>()
            + texts.iter().map(|texts| texts.bytes.len() as f64).sum::<f64>();
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.account_id.clear();
        self.branch.clear();
        self.customer_name.clear();
        self.balance.clear();
        self.currency.clear();
        self.opened.clear();
        self.last_txn.clear();
        self.status.clear();
        self.rate.clear();
        self.memo.clear();
        self.nulls.iter_mut().for_each(Vec::clear);
    }
}
