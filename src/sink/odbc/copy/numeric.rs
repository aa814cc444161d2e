//! Decimals as PostgreSQL's `numeric_recv` reads them: number of digits to base 10,000, weight of
//! the first one, sign, digits after the point; then the digits. All of them in 16 bits.

/// The sign of values below zero.
const NEGATIVE: u16 = 0x4000;

/// Decimal digits in one digit to base 10,000.
const GROUP: usize = 4;

/// Bytes before the digits.
const HEAD_BYTES: usize = 8;

/// Writes `[-]digits[.digits]`, with at least one digit. Nothing is lost: as many digits after the
/// point as are written are kept, zeros too.
pub(super) fn put(text: &[u8], out: &mut Vec<u8>) {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|&byte| byte == b'.');
    let (integer, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &digits[..0]),
    };
    let zeros = integer.iter().take_while(|&&byte| byte == b'0').count();
    let integer = &integer[zeros..];
    let head = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let start = out.len();
    // The first group of the integer part is short, the last one of the fraction filled up.
    let (first, rest) = integer.split_at(integer.len() % GROUP);
    let mut weight = small(integer.len().div_ceil(GROUP)) - 1;
    let groups = Some(first).filter(|first| !first.is_empty()).into_iter();
    let groups = groups.chain(rest.chunks_exact(GROUP)).map(|group| (group, 1));
    let fractions = fraction.chunks(GROUP).map(|group| (group, filling(group.len())));
    for (group, filling) in groups.chain(fractions) {
        let value = group.iter().fold(0, |sum: u16, byte| sum * 10 + u16::from(byte - b'0'));
        if value == 0 && out.len() == start {
            weight -= 1;
        } else {
            out.extend_from_slice(&(value * filling).to_be_bytes());
        }
    }
    while out.len() > start && out.ends_with(&[0, 0]) {
        out.truncate(out.len() - 2);
    }
    let count = small((out.len() - start) / 2);
    let is_zero = count == 0;
    let sign = if negative && !is_zero { NEGATIVE } else { 0 };
    let weight = if is_zero { 0 } else { weight };
    let scale = small(fraction.len());
    for (at, word) in [count.cast_unsigned(), weight.cast_unsigned(), sign, scale.cast_unsigned()]
        .into_iter()
        .enumerate()
    {
        out[head + 2 * at..][..2].copy_from_slice(&word.to_be_bytes());
    }
}

fn small(count: usize) -> i16 {
    i16::try_from(count).expect("a decimal of ours has few digits")
}

/// What a group of the fraction's end is short of.
const fn filling(digits: usize) -> u16 {
    match digits {
        1 => 1_000,
        2 => 100,
        3 => 10,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value by the definition of the form: digit `i` counts 10,000 to the power of
    /// `weight - i`.
    fn read(bytes: &[u8]) -> String {
        let word = |at: usize| i16::from_be_bytes([bytes[2 * at], bytes[2 * at + 1]]);
        let (count, weight, scale) = (word(0), i32::from(word(1)), word(3));
        let digits: Vec<i16> =
            (0..usize::try_from(count).unwrap()).map(|at| word(4 + at)).collect();
        assert_eq!(bytes.len(), 8 + 2 * digits.len());
        assert!(digits.iter().all(|digit| (0..10_000).contains(digit)), "{digits:?}");
        let digit = |power: i32| {
            usize::try_from(weight - power).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0)
        };
        let group = |power: i32| format!("{:04}", digit(power));
        let integer = (0..=weight.max(0)).rev().map(group).collect::<Vec<_>>().concat();
        let places = i32::from(scale).div_euclid(4) + 1;
        let fraction = (1..=places).map(|place| group(-place)).collect::<Vec<_>>().concat();
        let (kept, cut) = fraction.split_at(usize::try_from(scale).unwrap());
        assert!(cut.bytes().all(|byte| byte == b'0'), "{fraction}");
        let integer = integer.trim_start_matches('0');
        let integer = if integer.is_empty() { "0" } else { integer };
        let sign = match word(2).cast_unsigned() {
            0 => "",
            NEGATIVE => "-",
            other => panic!("sign {other}"),
        };
        let point = if kept.is_empty() { "" } else { "." };
        format!("{sign}{integer}{point}{kept}")
    }

    fn written(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put(text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn forms() {
        // 12345.678: digits 1, 2345, 6780.
        assert_eq!(
            written("-12345.678"),
            [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]
        );
        assert_eq!(written("0"), [0; 8]);
        assert_eq!(written("-0.00"), [0, 0, 0, 0, 0, 0, 0, 2]);
        // 0.00001: one digit 1000 of weight -2.
        assert_eq!(written(".00001"), [0, 1, 0xff, 0xfe, 0, 0, 0, 5, 0x03, 0xe8]);
        assert_eq!(written("10000"), [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
    }

    proptest! {
        #[test]
        fn values_come_back(
            negative in any::<bool>(),
            zeros in 0..5usize,
            integer in "0|[1-9][0-9]{0,37}",
            fraction in "[0-9]{0,38}|0{0,9}[0-9]{0,9}0{0,9}",
        ) {
            let sign = if negative { "-" } else { "" };
            let point = if fraction.is_empty() { "" } else { "." };
            let text = format!("{sign}{}{integer}{point}{fraction}", "0".repeat(zeros));
            let is_zero = !integer.bytes().chain(fraction.bytes()).any(|byte| byte != b'0');
            let sign = if is_zero { "" } else { sign };
            prop_assert_eq!(read(&written(&text)), format!("{sign}{integer}{point}{fraction}"));
        }
    }
}
