//! What a column of numeric affinity gives back unchanged.

use super::types::Affinity;
use crate::config::schema::SqlType;
use crate::limits::DECIMAL_DIGITS;

/// Which texts a column gives back as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exactness {
    /// All of them.
    Always,
    /// SQLite's own text of the stored value must be the text byte for byte.
    Printed,
    /// The text is a decimal number: the stored integer must equal it, or the shortest decimal
    /// that names the stored double must.
    Value,
}

impl Exactness {
    /// What must be checked for texts of a type that go into a column of an affinity.
    pub(super) fn of(ty: SqlType, affinity: Affinity) -> Self {
        match ty {
            _ if !affinity.converts_text() => Self::Always,
            SqlType::Decimal { .. } => Self::Value,
            SqlType::Char(_) | SqlType::VarChar(_) => Self::Printed,
            // Numbers and bytes are not sent as text, and an ISO date is not number-like.
            _ => Self::Always,
        }
    }

    /// Whether the column gives `text` back.
    pub(super) fn holds(self, text: &[u8]) -> bool {
        match self {
            Self::Always => true,
            Self::Printed => match Number::parse(text) {
                Some(number) => number.prints_the_same(text),
                // Not a number to SQLite either: it stays text.
                None => true,
            },
            Self::Value => Number::parse(text).is_some_and(|number| number.keeps_its_value()),
        }
    }
}

/// Digits up to which SQLite's text of a double is the text it came from. SQLite 3.54
/// writes 17 digits and cuts a tail of noise only behind the 13th (4100.1222188021 comes back as
/// 4100.1222188021002); with the 15 digits of older versions this many are safe too.
const PRINTED_DIGITS: usize = 13;

/// Digits that any decimal number keeps on its way through a double and back (`DBL_DIG`).
const DOUBLE_DIGITS: usize = 15;

/// A text in which SQLite's numeric conversion finds a number. At least all of those: a text that
/// is taken for a number here and not there is refused without need, never changed.
struct Number<'a> {
    negative: bool,
    /// Whether it begins with a plus sign.
    plus: bool,
    integer: &'a [u8],
    fraction: Option<&'a [u8]>,
    /// Neither exponent nor blanks.
    plain: bool,
}

impl<'a> Number<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let trimmed = trim_blanks(text);
        let (negative, plus, rest) = match trimmed {
            [b'-', rest @ ..] => (true, false, rest),
            [b'+', rest @ ..] => (false, true, rest),
            rest => (false, false, rest),
        };
        let (integer, rest) = split_digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = split_digits(rest);
                (Some(fraction), rest)
            }
            rest => (None, rest),
        };
        if integer.is_empty() && fraction.is_none_or(<[u8]>::is_empty) {
            return None;
        }
        let exponent = match rest {
            [] => false,
            [b'e' | b'E', rest @ ..] => {
                let sign = usize::from(matches!(rest, [b'+' | b'-', ..]));
                let digits = &rest[sign..];
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                true
            }
            _ => return None,
        };
        Some(Self {
            negative,
            plus,
            integer,
            fraction,
            plain: !exponent && trimmed.len() == text.len(),
        })
    }

    /// Whether SQLite's text of the stored number is the text it was made from.
    fn prints_the_same(&self, text: &[u8]) -> bool {
        let leading_zero = self.integer.len() > 1 && self.integer[0] == b'0';
        if !self.plain || self.plus || leading_zero || self.integer.is_empty() {
            return false;
        }
        match self.fraction {
            None => fits_i64(text) && text != b"-0",
            Some(fraction) => {
                // A double is printed plainly from 1e-4 on, with no zero at the end; 1.0 becomes
                // the integer 1.
                let zeros = fraction.iter().take_while(|&&digit| digit == b'0').count();
                fraction.last().is_some_and(|&digit| digit != b'0')
                    && (self.integer != b"0" || zeros < 4)
                    && self.significant_digits() <= PRINTED_DIGITS
            }
        }
    }

    /// Whether the stored number, an integer or a double, is this number to the last digit.
    fn keeps_its_value(&self) -> bool {
        if !self.plain {
            return false;
        }
        let fraction = self.fraction.unwrap_or_default();
        if self.fraction.is_none() && fits_i64_digits(self.negative, self.integer) {
            return true;
        }
        self.integer.len() + fraction.len() <= 2 * usize::from(DECIMAL_DIGITS)
            && self.significant_digits() <= DOUBLE_DIGITS
    }

    /// Digits from the first to the last one that is not zero.
    fn significant_digits(&self) -> usize {
        let fraction = self.fraction.unwrap_or_default();
        let digits = || self.integer.iter().chain(fraction);
        let total = self.integer.len() + fraction.len();
        let leading = digits().take_while(|&&digit| digit == b'0').count();
        let trailing = digits().rev().take_while(|&&digit| digit == b'0').count();
        total.saturating_sub(leading + trailing)
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// Without the bytes that SQLite skips around a number: space, and 9 to 13.
fn trim_blanks(text: &[u8]) -> &[u8] {
    let is_data = |byte: &u8| !matches!(byte, b' ' | 9..=13);
    let Some(start) = text.iter().position(is_data) else {
        return &[];
    };
    let end = text.iter().rposition(is_data).map_or(start, |last| last + 1);
    &text[start..end]
}

fn fits_i64(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<i64>().is_ok())
}

fn fits_i64_digits(negative: bool, digits: &[u8]) -> bool {
    let start = digits.iter().position(|&digit| digit != b'0');
    let digits = &digits[start.unwrap_or(digits.len())..];
    if digits.is_empty() {
        return true;
    }
    if digits.len() > 19 {
        return false;
    }
    let magnitude = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    magnitude <= i64::MAX.unsigned_abs() + u64::from(negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::Connection;
    use rusqlite::types::Value;

    /// Reads `a` as `expression` after the text was stored in a column of NUMERIC affinity.
    fn through_numeric<T: rusqlite::types::FromSql>(text: &str, expression: &str) -> T {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a NUMERIC)").unwrap();
        connection.execute("INSERT INTO t VALUES (?1)", [text]).unwrap();
        connection.query_row(&format!("SELECT {expression} FROM t"), [], |row| row.get(0)).unwrap()
    }

    /// Sign, and the digits before and after the point without useless zeros.
    fn normal(text: &str) -> (bool, String, String) {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let integer = integer.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let zero = integer.is_empty() && fraction.is_empty();
        (negative && !zero, integer, fraction)
    }

    #[test]
    fn the_known_traps_are_refused() {
        for text in [
            "00123",
            "+5",
            "1.50",
            "1.0",
            "1e5",
            " 7",
            "7 ",
            ".5",
            "5.",
            "-0",
            "0.00001",
            "9223372036854775808",
            "1234567890.1234567",
        ] {
            assert!(!Exactness::Printed.holds(text.as_bytes()), "{text}");
        }
        for text in ["", "abc", "123", "-5", "0", "0.5", "12-34", "1 2", "0x10", "1.5.2", "-", "."]
        {
            assert!(Exactness::Printed.holds(text.as_bytes()), "{text}");
        }
        assert!(Exactness::Value.holds(b"123.40"));
        assert!(Exactness::Value.holds(b"9223372036854775807"));
        assert!(!Exactness::Value.holds(b"9007199254740993.00"));
        assert!(Exactness::Value.holds(b"1234567890123.45"));
        assert!(!Exactness::Value.holds(b"1234567890123456789012345678901"));
    }

    proptest! {
        #[test]
        fn accepted_text_comes_back_byte_for_byte(
            text in r"[ +-]?[0-9]{0,20}(\.[0-9]{0,18})?(e-?[0-9]{1,2})?[ a]?"
        ) {
            if Exactness::Printed.holds(text.as_bytes()) {
                let back: String = through_numeric(&text, "CAST(a AS TEXT)");
                prop_assert_eq!(back, text);
            }
        }

        #[test]
        fn accepted_decimals_keep_their_value(text in r"-?[0-9]{1,20}(\.[0-9]{1,18})?") {
            if Exactness::Value.holds(text.as_bytes()) {
                let back = match through_numeric(&text, "a") {
                    Value::Integer(number) => number.to_string(),
                    // Rust writes the shortest decimal that names the double.
                    Value::Real(number) => number.to_string(),
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(normal(&back), normal(&text));
            }
        }
    }
}
