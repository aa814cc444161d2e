//! Keys of rows as numbers: equal keys have equal numbers, whatever way a value is written.
//!
//! Two texts may be one value to a database: `1.0` and `1.00` as decimals, `a` and `a ` where
//! blanks at the end do not count. The number is at least as coarse as any such rule, so that
//! equal keys are never taken for different ones; unequal keys may share a number, which costs
//! time and nothing else. What no rule of ours covers (letters that a collation takes for equal)
//! is the target's business: it asks for one writer then.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Batch, CellRef};
use crate::config::schema::{Column, SqlType};

/// Numbers the keys of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNumbers {
    columns: Vec<(usize, Form)>,
}

/// How a text is brought to one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Digits, a point, a sign.
    Decimal,
    /// A time whose fraction may end in zeros.
    Moment,
    /// Anything else: padding at the end is left out.
    Padded,
}

impl KeyNumbers {
    /// For the columns of a load and the indices of its key.
    ///
    /// # Panics
    /// If there is no column of an index.
    #[must_use]
    pub fn new(columns: &[Column], key: &[usize]) -> Self {
        let form = |ty| match ty {
            SqlType::Decimal { .. } => Form::Decimal,
            SqlType::Timestamp { .. } | SqlType::Time => Form::Moment,
            _ => Form::Padded,
        };
        Self { columns: key.iter().map(|&index| (index, form(columns[index].ty))).collect() }
    }

    /// The number of one row's key.
    #[must_use]
    pub fn of_row(&self, batch: &Batch, row: usize) -> u64 {
        // Its keys are fixed: a file is always routed the same way.
        let mut hasher = DefaultHasher::new();
        for &(index, form) in &self.columns {
            add(&mut hasher, batch.columns[index].cell(row), form);
        }
        hasher.finish()
    }
}

fn add(hasher: &mut DefaultHasher, cell: CellRef<'_>, form: Form) {
    match cell {
        CellRef::Null => hasher.write_u8(0),
        CellRef::Integer(value) => value.hash(hasher),
        CellRef::F32(value) => add_float(hasher, f64::from(value)),
        CellRef::F64(value) => add_float(hasher, value),
        CellRef::Text(text) => match form {
            Form::Decimal => add_decimal(hasher, text),
            Form::Moment => add_end(hasher, fraction_trimmed(text)),
            Form::Padded => add_end(hasher, padding_trimmed(text)),
        },
        CellRef::Bytes(bytes) => add_end(hasher, padding_trimmed(bytes)),
        CellRef::Date(d) => (d.year, d.month, d.day).hash(hasher),
        CellRef::Time(t) => (t.hour, t.minute, t.second).hash(hasher),
        CellRef::Timestamp(t) => {
            (t.year, t.month, t.day, t.hour, t.minute, t.second, t.fraction_ns).hash(hasher);
        }
        CellRef::Bit(value) => value.hash(hasher),
    }
}

/// Bytes and an end, so that `ab`, `c` is not `a`, `bc`.
fn add_end(hasher: &mut DefaultHasher, bytes: &[u8]) {
    hasher.write(bytes);
    hasher.write_u8(0xff);
}

fn add_float(hasher: &mut DefaultHasher, value: f64) {
    let one = if value == 0.0 {
        0.0
    } else if value.is_nan() {
        f64::NAN
    } else {
        value
    };
    hasher.write_u64(one.to_bits());
}

/// A sign where the value is negative, digits without zeros at either end, and between them a
/// point.
fn add_decimal(hasher: &mut DefaultHasher, text: &[u8]) {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|&byte| byte == b'.');
    let (integer, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &digits[..0]),
    };
    let leading = integer.iter().take_while(|&&byte| byte == b'0').count();
    let integer = &integer[leading..];
    let fraction = trimmed(fraction, |byte| byte == b'0');
    hasher.write_u8(u8::from(is_negative && !(integer.is_empty() && fraction.is_empty())));
    add_end(hasher, integer);
    add_end(hasher, fraction);
}

fn fraction_trimmed(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') {
        return text;
    }
    let text = trimmed(text, |byte| byte == b'0');
    text.strip_suffix(b".").unwrap_or(text)
}

/// CHAR columns are filled up with blanks, fixed binary ones with blanks or zero bytes.
fn padding_trimmed(text: &[u8]) -> &[u8] {
    trimmed(text, |byte| byte == b' ' || byte == 0)
}

fn trimmed(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| !is_end(byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, IndicatorWidth, Values};

    fn column(ty: SqlType) -> Column {
        Column { name: "k".to_owned(), ty, nullable: false, generated: false }
    }

    fn text_numbers(ty: SqlType, values: &[&str]) -> Vec<u64> {
        let mut batch = Batch::new(&[CellType::Text], IndicatorWidth::Wide, 0);
        batch.lay_out(values.len(), &[40]);
        for (row, value) in values.iter().enumerate() {
            let Values::Bytes { data, .. } = &mut batch.columns[0].values else { unreachable!() };
            data[row * 40..][..value.len()].copy_from_slice(value.as_bytes());
            batch.columns[0].indicators.set(row, i64::try_from(value.len()).unwrap());
        }
        batch.set_rows(values.len());
        let numbers = KeyNumbers::new(&[column(ty)], &[0]);
        (0..values.len()).map(|row| numbers.of_row(&batch, row)).collect()
    }

    fn float_number(value: f64) -> u64 {
        let mut batch = Batch::new(&[CellType::F64], IndicatorWidth::Wide, 0);
        batch.lay_out(1, &[0]);
        batch.columns[0].values = Values::F64(vec![value]);
        batch.columns[0].indicators.set(0, 8);
        batch.set_rows(1);
        KeyNumbers::new(&[column(SqlType::Double)], &[0]).of_row(&batch, 0)
    }

    #[test]
    fn one_value_has_one_number() {
        let decimal = SqlType::Decimal { precision: 9, scale: 3 };
        for (ty, same) in [
            (decimal, &["1", "1.0", "001.000", "+1"][..]),
            (decimal, &["0", "-0", "0.00", "-.0", "000"]),
            (decimal, &["-0.5", "-.5", "-00.50"]),
            (decimal, &["100", "0100.0"]),
            (SqlType::VarChar(None), &["a b", "a b ", "a b   "]),
            (SqlType::VarChar(None), &["", "  "]),
            (
                SqlType::Timestamp { precision: 6 },
                &["2026-01-10 10:00:00", "2026-01-10 10:00:00.0", "2026-01-10 10:00:00.000000"],
            ),
        ] {
            let numbers = text_numbers(ty, same);
            assert!(numbers.iter().all(|&number| number == numbers[0]), "{same:?}");
        }
        assert_eq!(float_number(0.0), float_number(-0.0));
        assert_eq!(float_number(f64::NAN), float_number(-f64::NAN));
    }

    #[test]
    fn other_values_have_others() {
        let decimal = SqlType::Decimal { precision: 9, scale: 3 };
        for (ty, others) in [
            (decimal, &["1", "10", "100", "0.1", "0.01", "-1", "1.001", "0"][..]),
            (SqlType::VarChar(None), &["a", "A", " a", "1.0", "1.00", "b"]),
            (
                SqlType::Timestamp { precision: 6 },
                &["2026-01-10 10:00:00", "2026-01-10 10:00:01", "2026-01-10 10:00:00.1"],
            ),
        ] {
            let mut numbers = text_numbers(ty, others);
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), others.len(), "{others:?}");
        }
        assert_ne!(float_number(1.0), float_number(-1.0));
    }
}
