//! Types for a table that does not exist yet, from every value of the file.
//!
//! One rule stands above all: **no inferred type may change the printed form of a value.** So
//!
//! - an integer has no leading zero, no leading plus, is not `-0` and has at most 18 digits;
//! - a decimal has a point with digits on both sides, and every value of the column has the same
//!   number of digits behind it (integers in between would gain zeros, so they make it text);
//! - values with different numbers of fraction digits are DOUBLE only if each of them is the
//!   shortest text that gives its 64-bit float back, in the form that SQL databases print
//!   (no exponent, at most 15 significant digits);
//! - dates are `yyyy-mm-dd`, timestamps `yyyy-mm-dd hh:mm:ss` with the same number of fraction
//!   digits everywhere (at most 6, which every target keeps), both in the calendar;
//! - everything else is text; booleans are never guessed.
//!
//! Quotes say nothing about the type: `"1"` is as good an integer as `1`, because many exports
//! quote every field. Quoted empty text is the one exception: it is a value only of a text column,
//! so it makes the column text. NULL fits every type; a column of NULLs alone is text.
//!
//! Guessed columns take NULL: that no NULL was seen in this file says nothing about the next one.

use crate::config::schema::{LengthUnit, SqlType, TextLength};

/// Most digits of a DECIMAL that every supported database has.
const MAX_DECIMAL_DIGITS: u32 = 31;

/// Most digits of an integer that is taken for one.
const MAX_INTEGER_DIGITS: usize = 18;

/// Significant digits that a 64-bit float always gives back.
const MAX_DOUBLE_DIGITS: usize = 15;

/// Fraction digits of a second that every target keeps.
const MAX_SECOND_DIGITS: usize = 6;

/// Shortest VARCHAR that is guessed.
const MIN_TEXT_CHARACTERS: u64 = 16;

/// Longest text with a declared length; longer values make a column without one. All supported
/// databases take VARCHAR(8192), also in four-byte characters.
const MAX_TEXT_CHARACTERS: u64 = 8192;

/// Where a column stands in the lattice; every step goes towards [`Shape::Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Shape {
    /// Only NULL so far.
    #[default]
    Unknown,
    Integer,
    /// Fixed number of fraction digits.
    Decimal {
        scale: u8,
    },
    /// Fraction digits differ, each value is its float's shortest form.
    Double,
    Date,
    Timestamp {
        precision: u8,
    },
    Text,
}

/// What the values of one column have in common so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnGuess {
    shape: Shape,
    /// Whether every number with a point is the shortest form of its float.
    not_round_trip: bool,
    /// Whether an integer does not fit 32 bits.
    wide_integer: bool,
    /// Most digits before the point.
    integer_digits: u32,
    /// Most characters of any value.
    characters_max: u64,
}

/// What one value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer { digits: u32, wide: bool },
    Decimal { digits: u32, scale: u8 },
    Date,
    Timestamp { precision: u8 },
    Text,
}

impl ColumnGuess {
    /// The guess for values that cannot be looked at: text without a declared length.
    #[must_use]
    pub fn any_text() -> Self {
        Self { shape: Shape::Text, characters_max: u64::MAX, ..Self::default() }
    }

    /// Takes in one value that is not NULL: the bytes of the field with quotes and escapes
    /// resolved.
    #[inline]
    pub fn update(&mut self, field: &[u8]) {
        if self.shape == Shape::Text {
            self.measure(field);
            return;
        }
        self.take(field);
    }

    /// The length in characters; bytes that are not UTF-8 count one each.
    #[inline]
    fn measure(&mut self, field: &[u8]) {
        // A character never has more bytes than this, so most values need no count.
        if field.len() as u64 > self.characters_max {
            let continuation = field.iter().filter(|&&byte| byte & 0xc0 == 0x80).count();
            let characters = match std::str::from_utf8(field) {
                Ok(_) => field.len() - continuation,
                Err(_) => field.len(),
            };
            self.characters_max = self.characters_max.max(characters as u64);
        }
    }

    fn take(&mut self, field: &[u8]) {
        self.measure(field);
        let kind = classify(field);
        if let Kind::Decimal { .. } = kind
            && !self.not_round_trip
        {
            self.not_round_trip = !is_shortest_double(field);
        }
        match kind {
            Kind::Integer { digits, wide } => {
                self.integer_digits = self.integer_digits.max(digits);
                self.wide_integer |= wide;
            }
            Kind::Decimal { digits, .. } => self.integer_digits = self.integer_digits.max(digits),
            Kind::Date | Kind::Timestamp { .. } | Kind::Text => {}
        }
        let shape = match kind {
            Kind::Integer { .. } => Shape::Integer,
            Kind::Decimal { scale, .. } => Shape::Decimal { scale },
            Kind::Date => Shape::Date,
            Kind::Timestamp { precision } => Shape::Timestamp { precision },
            Kind::Text => Shape::Text,
        };
        self.shape = join(self.shape, shape);
        self.leave_double_if_inexact();
    }

    /// The guess for the values of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut merged = Self {
            shape: join(self.shape, other.shape),
            not_round_trip: self.not_round_trip || other.not_round_trip,
            wide_integer: self.wide_integer || other.wide_integer,
            integer_digits: self.integer_digits.max(other.integer_digits),
            characters_max: self.characters_max.max(other.characters_max),
        };
        merged.leave_double_if_inexact();
        merged
    }

    fn leave_double_if_inexact(&mut self) {
        if self.shape == Shape::Double && self.not_round_trip {
            self.shape = Shape::Text;
        }
    }

    /// Whether nothing but text fits the values seen.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.finish(), SqlType::VarChar(_))
    }

    /// The type that keeps the printed form of every value seen.
    #[must_use]
    pub fn finish(&self) -> SqlType {
        match self.shape {
            Shape::Integer if self.wide_integer => SqlType::BigInt,
            Shape::Integer => SqlType::Integer,
            Shape::Decimal { scale } => {
                let precision = self.integer_digits + u32::from(scale);
                match u8::try_from(precision) {
                    Ok(digits) if precision <= MAX_DECIMAL_DIGITS => {
                        SqlType::Decimal { precision: digits, scale }
                    }
                    _ => self.text(),
                }
            }
            Shape::Double => SqlType::Double,
            Shape::Date => SqlType::Date,
            Shape::Timestamp { precision } => SqlType::Timestamp { precision },
            Shape::Unknown | Shape::Text => self.text(),
        }
    }

    fn text(&self) -> SqlType {
        if self.characters_max > MAX_TEXT_CHARACTERS {
            return SqlType::VarChar(None);
        }
        let max = self.characters_max.max(MIN_TEXT_CHARACTERS).next_power_of_two();
        let max = u32::try_from(max).expect("at most 8192, checked above");
        SqlType::VarChar(Some(TextLength { max, unit: LengthUnit::Characters }))
    }
}

/// The least shape that covers both.
fn join(a: Shape, b: Shape) -> Shape {
    match (a, b) {
        (Shape::Unknown, other) | (other, Shape::Unknown) => other,
        (a, b) if a == b => a,
        (Shape::Decimal { .. } | Shape::Double, Shape::Decimal { .. } | Shape::Double) => {
            Shape::Double
        }
        _ => Shape::Text,
    }
}

fn classify(field: &[u8]) -> Kind {
    let unsigned = field.strip_prefix(b"-").unwrap_or(field);
    let Some(first) = unsigned.first() else {
        return Kind::Text;
    };
    if !first.is_ascii_digit() {
        return Kind::Text;
    }
    let whole = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if whole == unsigned.len() {
        return integer(field, unsigned);
    }
    match unsigned[whole] {
        b'.' => decimal(unsigned, whole, unsigned.len() < field.len()),
        b'-' if unsigned.len() == field.len() => date_or_timestamp(field),
        _ => Kind::Text,
    }
}

fn integer(field: &[u8], digits: &[u8]) -> Kind {
    let zero = digits == b"0";
    let negative = field.len() > digits.len();
    if digits.len() > MAX_INTEGER_DIGITS || (digits[0] == b'0' && !zero) || (zero && negative) {
        return Kind::Text;
    }
    // At most 18 digits: the sum stays below 10^18.
    let value = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let value = if negative { -value } else { value };
    Kind::Integer {
        digits: u32::try_from(digits.len()).expect("at most 18"),
        wide: i32::try_from(value).is_err(),
    }
}

fn decimal(unsigned: &[u8], whole: usize, negative: bool) -> Kind {
    let fraction = &unsigned[whole + 1..];
    let leading_zero = unsigned[0] == b'0' && whole > 1;
    if fraction.is_empty() || leading_zero || !fraction.iter().all(u8::is_ascii_digit) {
        return Kind::Text;
    }
    let is_zero = unsigned.iter().all(|byte| matches!(byte, b'0' | b'.'));
    if negative && is_zero {
        return Kind::Text;
    }
    // A lone zero before the point is no digit of the value: 0.25 is DECIMAL(2,2).
    let digits = if unsigned[0] == b'0' { 0 } else { whole };
    match (u32::try_from(digits), u8::try_from(fraction.len())) {
        (Ok(digits), Ok(scale)) if digits + u32::from(scale) <= MAX_DECIMAL_DIGITS => {
            Kind::Decimal { digits, scale }
        }
        _ => Kind::Text,
    }
}

/// Whether the text is what its 64-bit float prints as.
fn is_shortest_double(field: &[u8]) -> bool {
    let digits = field.iter().filter(|byte| byte.is_ascii_digit());
    let significant = digits.skip_while(|&&digit| digit == b'0').count();
    if significant > MAX_DOUBLE_DIGITS {
        return false;
    }
    let Ok(value) = fast_float2::parse::<f64, _>(field) else {
        return false;
    };
    zmij::Buffer::new().format_finite(value).as_bytes() == field
}

fn date_or_timestamp(field: &[u8]) -> Kind {
    let Some((date, rest)) = field.split_at_checked(10) else {
        return Kind::Text;
    };
    if !is_date(date) {
        return Kind::Text;
    }
    if rest.is_empty() {
        return Kind::Date;
    }
    let Some((time, fraction)) = rest.split_at_checked(9) else {
        return Kind::Text;
    };
    if time[0] != b' ' || !is_time(&time[1..]) {
        return Kind::Text;
    }
    let digits = match fraction.strip_prefix(b".") {
        None if fraction.is_empty() => &[][..],
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return Kind::Text,
    };
    match u8::try_from(digits.len()) {
        Ok(precision) if digits.len() <= MAX_SECOND_DIGITS => Kind::Timestamp { precision },
        _ => Kind::Text,
    }
}

/// The number that decimal digits stand for; `None` for anything else. At most four digits.
fn small_number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0_i16, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0'))
    })
}

/// `yyyy-mm-dd` in the calendar; ten bytes.
fn is_date(date: &[u8]) -> bool {
    let parts = (small_number(&date[..4]), small_number(&date[5..7]), small_number(&date[8..]));
    let (Some(year), Some(month), Some(day)) = parts else {
        return false;
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    date[4] == b'-'
        && date[7] == b'-'
        && year >= 1
        && jiff::civil::Date::new(year, month, day).is_ok()
}

/// `hh:mm:ss`; eight bytes.
fn is_time(time: &[u8]) -> bool {
    let below = |digits: &[u8], limit| small_number(digits).is_some_and(|number| number < limit);
    time[2] == b':'
        && time[5] == b':'
        && below(&time[..2], 24)
        && below(&time[3..5], 60)
        && below(&time[6..], 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn guess(values: &[&str]) -> ColumnGuess {
        let mut guess = ColumnGuess::default();
        for value in values {
            guess.update(value.as_bytes());
        }
        guess
    }

    fn name(values: &[&str]) -> String {
        guess(values).finish().to_string()
    }

    #[test]
    fn integers() {
        assert_eq!(name(&["0", "-1", "2147483647", "-2147483648"]), "INTEGER");
        assert_eq!(name(&["1", "2147483648"]), "BIGINT");
        assert_eq!(name(&["999999999999999999"]), "BIGINT");
        for text in ["1000000000000000000", "007", "+1", "-0", "-", "1 ", "0x1", "1e3"] {
            assert_eq!(
                name(&["1", text]),
                "VARCHAR(32)".replace("32", if text.len() > 16 { "32" } else { "16" }),
                "{text}"
            );
        }
    }

    #[test]
    fn decimals_and_doubles() {
        assert_eq!(name(&["1.25", "-100.00"]), "DECIMAL(5,2)");
        assert_eq!(name(&["0.25"]), "DECIMAL(2,2)");
        assert_eq!(name(&["1.5", "1.25"]), "DOUBLE");
        assert_eq!(name(&["1.50", "1.125"]), "VARCHAR(16)", "1.50 would print as 1.5");
        assert_eq!(name(&["1.125", "1.50"]), "VARCHAR(16)");
        assert_eq!(name(&["1", "1.50"]), "VARCHAR(16)", "1 would print as 1.00");
        for text in [".5", "5.", "-0.0", "00.5", "1.2.3", "1.5e3", "+1.5", "NaN", "inf"] {
            assert_eq!(name(&[text]), "VARCHAR(16)", "{text}");
        }
        let digits31 = "1234567890123456789012345678901";
        assert_eq!(name(&[&format!("{}.{}", &digits31[..21], &digits31[21..])]), "DECIMAL(31,10)");
        assert_eq!(name(&[&format!("{}.{}", digits31, "5")]), "VARCHAR(64)");
        assert_eq!(name(&["0.1", "0.12345678901234567"]), "VARCHAR(32)");
    }

    #[test]
    fn dates_and_timestamps() {
        assert_eq!(name(&["2024-02-29", "0001-01-01"]), "DATE");
        assert_eq!(name(&["2024-02-29 23:59:59"]), "TIMESTAMP(0)");
        assert_eq!(name(&["2024-02-29 23:59:59.120"]), "TIMESTAMP(3)");
        for values in [
            &["2023-02-29"][..],
            &["0000-01-01"],
            &["2024-1-1"],
            &["2024-01-01T00:00:00"],
            &["2024-01-01 24:00:00"],
            &["2024-01-01", "2024-01-01 00:00:00"],
            &["2024-01-01 00:00:00.1", "2024-01-01 00:00:00.12"],
            &["2024-01-01 00:00:00.1234567"],
            &["2024-01-01", "1"],
        ] {
            assert!(guess(values).is_text(), "{values:?}");
        }
    }

    #[test]
    fn text() {
        assert_eq!(name(&[]), "VARCHAR(16)");
        assert_eq!(name(&[""]), "VARCHAR(16)");
        assert_eq!(name(&["true", "false"]), "VARCHAR(16)");
        assert_eq!(name(&["ääääääääääääääää"]), "VARCHAR(16)");
        assert_eq!(name(&["12345678901234567"]), "BIGINT");
        assert_eq!(name(&["x", "12345678901234567"]), "VARCHAR(32)");
        assert_eq!(name(&["12345678901234567", "x"]), "VARCHAR(32)");
        assert_eq!(name(&[&"x".repeat(8193)]), "VARCHAR");
    }

    /// What a database prints for a value of the guessed type, by the slow and obvious way.
    fn printed(text: &str, ty: SqlType) -> String {
        match ty {
            SqlType::Integer => text.parse::<i32>().unwrap().to_string(),
            SqlType::BigInt => text.parse::<i64>().unwrap().to_string(),
            SqlType::Double => {
                let value: f64 = text.parse().unwrap();
                let shown = value.to_string();
                if shown.contains('.') { shown } else { format!("{shown}.0") }
            }
            SqlType::Decimal { precision, scale } => {
                let negative = text.starts_with('-');
                let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap();
                assert!(fraction.len() == usize::from(scale));
                let whole: u128 = whole.parse().unwrap();
                let whole_digits = if whole == 0 { 0 } else { whole.to_string().len() };
                assert!(whole_digits + fraction.len() <= usize::from(precision));
                format!("{}{whole}.{fraction}", if negative { "-" } else { "" })
            }
            SqlType::Date => text.parse::<jiff::civil::Date>().unwrap().to_string(),
            SqlType::Timestamp { precision } => {
                let value: jiff::civil::DateTime = text.parse().unwrap();
                format!("{value:.*}", usize::from(precision)).replace('T', " ")
            }
            _ => {
                let SqlType::VarChar(length) = ty else { panic!("{ty} is never guessed") };
                assert!(length.is_none_or(|l| text.chars().count() <= l.max as usize));
                text.to_owned()
            }
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<i16>().prop_map(|n| n.to_string()),
            "-?[0-9]{1,4}\\.[0-9]{1,3}",
            "-?0?[0-9]{1,20}",
            "[+-]?[0-9]{0,3}\\.?[0-9]{0,3}(e[0-9])?",
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]",
            "20[0-9]{2}-0[1-9]-[012][0-9] [012][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,7})?",
            any::<f64>().prop_map(|x| x.to_string()),
            (-1000.0..1000.0).prop_map(|x: f64| x.to_string()),
            "\\PC{0,40}",
        ]
    }

    proptest! {
        #[test]
        fn the_printed_form_is_preserved(values in prop::collection::vec(value(), 1..4)) {
            let mut guess = ColumnGuess::default();
            for value in &values {
                guess.update(value.as_bytes());
            }
            for value in &values {
                prop_assert_eq!(&printed(value, guess.finish()), value);
            }
        }

        #[test]
        fn merging_is_as_good_as_one_pass(
            left in prop::collection::vec(value(), 0..4),
            right in prop::collection::vec(value(), 0..4),
        ) {
            let of = |values: &[String]| {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                guess(&values)
            };
            let all: Vec<String> = left.iter().chain(&right).cloned().collect();
            prop_assert_eq!(of(&left).merge(of(&right)).finish(), of(&all).finish());
            prop_assert_eq!(of(&right).merge(of(&left)).finish(), of(&all).finish());
        }
    }
}
