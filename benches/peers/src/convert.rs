//! Conversions of the accounts file's types, eight digits at a time.
//!
//! All functions read up to [`SLACK_BYTES`] before and behind a field; their callers see to it that
//! these bytes are there.

/// Bytes that must be readable around a field.
pub const SLACK_BYTES: usize = 64;

const ZEROS: u64 = 0x3030_3030_3030_3030;
const POWERS: [u64; 16] = {
    let mut powers = [1; 16];
    let mut n = 1;
    while n < 16 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// Digits of one number that are converted without a general reader.
const DIGITS_MAX: usize = 18;

/// # Safety
/// Eight bytes can be read at `at`.
#[inline(always)]
unsafe fn eight(at: *const u8) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { at.cast::<u64>().read_unaligned() }
}

/// # Safety
/// Two bytes can be read at `at`.
#[inline(always)]
unsafe fn two(at: *const u8) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { u32::from(*at & 15) * 10 + u32::from(*at.add(1) & 15) }
}

/// The number that eight digits are, the first of them in the low byte.
#[inline(always)]
const fn value_of_eight(digits: u64) -> u64 {
    let pairs = (digits & 0x0F0F_0F0F_0F0F_0F0F).wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    (fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32
}

#[inline(always)]
const fn are_digits(bytes: u64) -> bool {
    let high = bytes & 0xF0F0_F0F0_F0F0_F0F0;
    let carried = bytes.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0;
    high | carried >> 4 == 0x3333_3333_3333_3333
}

/// The last `count` (8 at most) digits that end before `end`, filled with zeros in front.
///
/// # Safety
/// Eight bytes can be read before `end`.
#[inline(always)]
unsafe fn tail(end: *const u8, count: usize) -> u64 {
    if count == 0 {
        return ZEROS;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { eight(end.sub(8)) };
    let shift = (8 - count) * 8;
    bytes >> shift << shift | ZEROS & (1_u64 << shift).wrapping_sub(1)
}

/// A number without a sign.
///
/// # Safety
/// `length` bytes at `at`, and the slack before them, can be read.
#[inline(always)]
pub unsafe fn digits(at: *const u8, length: usize) -> Option<u64> {
    if length == 0 || length > DIGITS_MAX {
        return None;
    }
    // SAFETY: the caller's promise: at most 24 bytes before the end are read.
    let (low, middle, high) = unsafe {
        let end = at.add(length);
        match length {
            0..=8 => (tail(end, length), ZEROS, ZEROS),
            9..=16 => (eight(end.sub(8)), tail(end.sub(8), length - 8), ZEROS),
            _ => (eight(end.sub(8)), eight(end.sub(16)), tail(end.sub(16), length - 16)),
        }
    };
    if !(are_digits(low) && are_digits(middle) && are_digits(high)) {
        return None;
    }
    let above = match length {
        0..=8 => return Some(value_of_eight(low)),
        9..=16 => value_of_eight(middle),
        _ => value_of_eight(high) * 100_000_000 + value_of_eight(middle),
    };
    Some(above * 100_000_000 + value_of_eight(low))
}

/// An integer with an optional minus.
///
/// # Safety
/// As [`digits`].
#[inline(always)]
pub unsafe fn integer(at: *const u8, length: usize) -> Option<i64> {
    // SAFETY: the caller's promise; a field that is converted has a byte.
    unsafe {
        if *at == b'-' {
            digits(at.add(1), length - 1).map(|value| -value.cast_signed())
        } else {
            digits(at, length).map(u64::cast_signed)
        }
    }
}

/// A decimal with two digits after its point, or none, in hundredths.
///
/// # Safety
/// As [`digits`].
#[inline(always)]
pub unsafe fn hundredths(at: *const u8, length: usize) -> Option<i64> {
    // SAFETY: the caller's promise; a field that is converted has a byte.
    unsafe {
        let negative = *at == b'-';
        let (at, length) = if negative { (at.add(1), length - 1) } else { (at, length) };
        let value = if length > 3 && *at.add(length - 3) == b'.' {
            let fraction = at.add(length - 2);
            if !(*fraction).is_ascii_digit() || !(*fraction.add(1)).is_ascii_digit() {
                return None;
            }
            digits(at, length - 3)? * 100 + u64::from(two(fraction))
        } else {
            digits(at, length)? * 100
        };
        let value = value.cast_signed();
        Some(if negative { -value } else { value })
    }
}

/// Days from 1970-01-01 (Howard Hinnant's `days_from_civil`).
#[inline(always)]
const fn days(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400).cast_unsigned();
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + day_of_era.cast_signed() - 719_468
}

/// `YYYY-MM-DD`, in days from 1970-01-01.
///
/// # Safety
/// As [`digits`].
#[inline(always)]
pub unsafe fn date(at: *const u8, length: usize) -> Option<i32> {
    if length != 10 {
        return None;
    }
    // SAFETY: the caller's promise: ten bytes are read.
    let (year, month, day) = unsafe {
        let head = eight(at);
        if head & 0xFF00_00FF_0000_0000 != 0x2D00_002D_0000_0000
            || !are_digits(head & 0x00FF_FF00_FFFF_FFFF | 0x3000_0030_0000_0000)
            || !(*at.add(8)).is_ascii_digit()
            || !(*at.add(9)).is_ascii_digit()
        {
            return None;
        }
        (two(at) * 100 + two(at.add(2)), two(at.add(5)), two(at.add(8)))
    };
    if month.wrapping_sub(1) > 11 || day.wrapping_sub(1) > 30 {
        return None;
    }
    Some(days(year.cast_signed(), month, day))
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]`, in microseconds from 1970-01-01.
///
/// # Safety
/// As [`digits`].
#[inline(always)]
pub unsafe fn timestamp(at: *const u8, length: usize) -> Option<i64> {
    if length < 19 {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let days = i64::from(date(at, 10)?);
        let time = eight(at.add(11));
        if time & 0x0000_FF00_00FF_0000 != 0x0000_3A00_003A_0000
            || !are_digits(time & 0xFFFF_00FF_FF00_FFFF | 0x0000_3000_0030_0000)
        {
            return None;
        }
        let of_day = two(at.add(11)) * 3600 + two(at.add(14)) * 60 + two(at.add(17));
        let mut micros = 0;
        if length > 19 {
            let places = length - 20;
            if *at.add(19) != b'.' || places == 0 || places > 6 {
                return None;
            }
            micros = digits(at.add(20), places)? * POWERS[6 - places];
        }
        Some((days * 86_400 + i64::from(of_day)) * 1_000_000 + micros.cast_signed())
    }
}

/// A number with a point: by two integers where that is exact, else by the standard library.
///
/// # Safety
/// As [`digits`].
#[inline(always)]
pub unsafe fn float(at: *const u8, length: usize) -> Option<f64> {
    // SAFETY: the caller's promise.
    unsafe {
        let apart = eight(at) ^ 0x2E2E_2E2E_2E2E_2E2E;
        let point = apart.wrapping_sub(0x0101_0101_0101_0101) & !apart & 0x8080_8080_8080_8080;
        let whole = (point.trailing_zeros() >> 3) as usize;
        if whole > 0 && whole + 1 < length && length <= 16 {
            let places = length - whole - 1;
            let parts = (digits(at, whole), digits(at.add(whole + 1), places));
            if let (Some(before), Some(after)) = parts {
                let all = before * POWERS[places] + after;
                return Some(all as f64 / POWERS[places] as f64);
            }
        }
        std::str::from_utf8(std::slice::from_raw_parts(at, length)).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of `text` with zeros around it.
    fn on<T>(text: &str, convert: unsafe fn(*const u8, usize) -> Option<T>) -> Option<T> {
        let mut bytes = vec![0; SLACK_BYTES];
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&[0; SLACK_BYTES]);
        // SAFETY: the slack is there.
        unsafe { convert(bytes.as_ptr().add(SLACK_BYTES), text.len()) }
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        for text in ["0", "-7", "12345678", "123456789", "-1234567890123456", "123456789012345678"]
        {
            assert_eq!(on(text, integer), text.parse().ok(), "{text}");
        }
        for text in ["0.5", "12.75", "-3.125", "0.0345", "1e-3", "123456.789012"] {
            assert_eq!(on(text, float), text.parse().ok(), "{text}");
        }
        for text in ["", "1a", "12345678x", "1234567890123456789"] {
            assert_eq!(on(text, digits), None, "{text}");
        }
    }

    #[test]
    fn amounts_and_moments() {
        assert_eq!(on("-1234567.89", hundredths), Some(-123_456_789));
        assert_eq!(on("12", hundredths), Some(1_200));
        assert_eq!(on("1.2x", hundredths), None);
        assert_eq!(on("1970-01-02", date), Some(1));
        assert_eq!(on("2000-03-01", date), Some(11_017));
        assert_eq!(on("2000-13-01", date), None);
        assert_eq!(on("1970-01-02 00:00:01.5", timestamp), Some(86_401_500_000));
        assert_eq!(on("1970-01-02 00:00:01.", timestamp), None);
    }
}
