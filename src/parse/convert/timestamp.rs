//! TIMESTAMP(p): `yyyy-mm-dd hh:mm:ss[.f]`, the same with `T`, Db2's `yyyy-mm-dd-hh.mm.ss[.f]`, and
//! what `--timestamp-format` says.
//!
//! A fraction has 1 to 9 digits, and no more than the column's precision, zeros included. A time
//! zone, a missing second and a date alone are [`Fault::Syntax`]: nothing is made up, unless a
//! format of the user (`yyyy-mm-dd`) says that the rest is zero.

use crate::arena::column::odbc_struct::Timestamp;
use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::date::{self, CivilDay, iso_day};
use super::field::{Decode, Render, Stop, Value};
use super::format::Format;
use super::swar::{KEEP_FIRST, KEEP_LAST, non_digits16, number16, splat16};
use super::time::{self, Clock, iso_clock};

/// `FRACTION_UNIT_NS[n]`: nanoseconds in one unit of the last of `n` digits.
const FRACTION_UNIT_NS: [u32; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// Timestamps of a precision; a format of the user comes first, as for dates.
#[derive(Debug, Clone)]
pub(super) struct Timestamps {
    pub precision: usize,
    pub format: Option<Format>,
}

/// A timestamp and how many digits its fraction is written with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    pub day: CivilDay,
    pub clock: Clock,
    pub fraction_ns: u32,
    pub fraction_digits: usize,
}

/// Bytes of `yyyy-mm-dd hh:mm:ss`.
const SECONDS_LEN: usize = 19;

/// Nanoseconds of the last `count` bytes of `value`; `None` when they are not digits. More than 9
/// digits give 0: they are a fault of the column in any case.
#[inline(always)]
fn fraction_ns(value: Value<'_>, count: usize) -> Option<u32> {
    let Some(&unit) = FRACTION_UNIT_NS.get(count) else {
        let bytes = value.bytes();
        let digits = &bytes[bytes.len() - count..];
        return digits.iter().all(u8::is_ascii_digit).then_some(0);
    };
    let digits = (value.last16() ^ splat16(b'0')) & KEEP_LAST[count];
    if non_digits16(digits) != 0 {
        return None;
    }
    // Nine digits are under 2^30: the low half of the number is all of it.
    let [a, b, c, d, ..] = number16(digits).to_le_bytes();
    Some(u32::from_le_bytes([a, b, c, d]) * unit)
}

/// Writes the moment of a text in one of the built-in forms.
#[expect(clippy::many_single_char_names, reason = "the bytes of a form, in order")]
#[inline(always)]
fn built_in(value: Value<'_>, out: &mut Moment) -> Result<(), Fault> {
    let Some((head, rest)) = value.bytes().split_first_chunk::<SECONDS_LEN>() else {
        return Err(Fault::Syntax);
    };
    let &[a, b, c, d, e, f, g, h, i, j, separator, k, l, m, n, o, p, q, r] = head;
    let clock_separator = match separator {
        b' ' | b'T' => b':',
        b'-' => b'.',
        _ => return Err(Fault::Syntax),
    };
    let (day_has_form, day) = iso_day(&[a, b, c, d, e, f, g, h, i, j]);
    let (clock_has_form, clock) = iso_clock(&[k, l, m, n, o, p, q, r], clock_separator);
    if !(day_has_form & clock_has_form) {
        return Err(Fault::Syntax);
    }
    out.day = day;
    out.clock = clock;
    match rest {
        [] => {
            out.fraction_digits = 0;
            out.fraction_ns = 0;
        }
        [b'.', _, ..] => {
            out.fraction_digits = rest.len() - 1;
            let Some(fraction_ns) = fraction_ns(value, out.fraction_digits) else {
                return Err(Fault::Syntax);
            };
            out.fraction_ns = fraction_ns;
        }
        _ => return Err(Fault::Syntax),
    }
    Ok(())
}

/// What stands in the bytes of each form without their digits: in the first 16, to the end of the
/// minute, and in the rest, from the separator on. By separator: a blank, `T`, `-`; the last one is
/// there for a number of two bits.
const FORMS: [[[u8; 16]; 2]; 4] = [
    [*b"0000-00-00 00:00", *b":00.000000000\0\0\0"],
    [*b"0000-00-00T00:00", *b":00.000000000\0\0\0"],
    [*b"0000-00-00-00.00", *b".00.000000000\0\0\0"],
    [[0; 16]; 2],
];

/// Bit `n`: a text of a form has `n` bytes: none of a fraction, or a point and 1 to 9 digits.
const LENGTHS: u32 = 1 << SECONDS_LEN | 0x1ff << (SECONDS_LEN + 2);

/// As [`built_in`] for a text with 32 readable bytes; `false` where it has none of the forms, and
/// the moment is anything.
#[inline(always)]
fn wide_built_in<L: Lanes>(lanes: L, value: Value<'_>, out: &mut Moment) -> bool {
    const HEAD_MOST: u128 = u128::from_le_bytes([9, 9, 9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9]);
    const REST_MOST: u128 = u128::from_le_bytes([0, 9, 9, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0]);
    const HEAD_WEIGHTS: [i8; 16] = [10, 1, 10, 1, 0, 10, 1, 0, 10, 1, 0, 10, 1, 0, 10, 1];
    const REST_WEIGHTS: [i8; 16] = [0, 10, 1, 0, 10, 1, 10, 1, 10, 1, 10, 1, 1, 0, 0, 0];
    let Value { window, start, len } = value;
    let Some(text) = window.get(start..).and_then(|text| text.first_chunk::<32>()) else {
        return false;
    };
    let (Some(head), Some(rest)) = (text.first_chunk(), text.last_chunk()) else {
        return false;
    };
    // Another separator is not the first form's, and so a byte that does not fit.
    let separator = text[10];
    let form = usize::from(separator == b'T') + 2 * usize::from(separator == b'-');
    if len >= 32 || LENGTHS >> len & 1 == 0 {
        return false;
    }
    let [head_form, rest_form] = &FORMS[form & 3];
    let head = u128::from_le_bytes(*head) ^ u128::from_le_bytes(*head_form);
    let rest = u128::from_le_bytes(*rest) ^ u128::from_le_bytes(*rest_form);
    let rest = rest & KEEP_FIRST[len - 16];
    if !(lanes.all_at_most(head, HEAD_MOST) & lanes.all_at_most(rest, REST_MOST)) {
        return false;
    }
    // A day and an hour's tens, an hour's ones and a minute: two numbers in one sum each.
    let [year, month, day, minute] =
        lanes.weigh(head, HEAD_WEIGHTS, [100, 1, 1, 1, 1, 256, 1, 256]);
    let [second, f1234, f5678, f9] = lanes.weigh(rest, REST_WEIGHTS, [1, 1, 100, 1, 100, 1, 1, 0]);
    out.day = CivilDay::from_words(year, month, day & 0xff);
    out.clock = Clock::from_words((day >> 8) + (minute & 0xff), minute >> 8, second);
    out.fraction_ns = f1234 * 100_000 + f5678 * 10 + f9;
    out.fraction_digits = len.saturating_sub(SECONDS_LEN + 1);
    true
}

impl Timestamps {
    #[inline(always)]
    fn parse<L: Lanes>(&self, lanes: L, value: Value<'_>, out: &mut Moment) -> Result<(), Fault> {
        if let Some(format) = &self.format
            && let Some(moment) = format.parse(value.bytes())
        {
            *out = moment;
        } else if !(L::IS_WIDE && wide_built_in(lanes, value, out)) {
            built_in(value, out)?;
        }
        if !(out.day.is_in_calendar() & out.clock.is_in_day()) {
            return Err(Fault::NotInCalendar);
        }
        if out.fraction_digits > self.precision {
            return Err(Fault::TooManyFractionDigits);
        }
        Ok(())
    }
}

impl Decode<Timestamp> for Timestamps {
    #[inline(always)]
    fn decode<L: Lanes>(
        &self,
        lanes: L,
        value: Value<'_>,
        cell: &mut Timestamp,
    ) -> Result<(), Fault> {
        let mut moment = Moment::default();
        self.parse(lanes, value, &mut moment)?;
        *cell = Timestamp {
            year: moment.day.year.cast_signed(),
            month: u16::from(moment.day.month),
            day: u16::from(moment.day.day),
            hour: u16::from(moment.clock.hour),
            minute: u16::from(moment.clock.minute),
            second: u16::from(moment.clock.second),
            fraction_ns: moment.fraction_ns,
        };
        Ok(())
    }
}

impl Render for Timestamps {
    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        let mut moment = Moment::default();
        self.parse(lanes, value, &mut moment)?;
        let digits = moment.fraction_digits;
        let len = SECONDS_LEN + if digits == 0 { 0 } else { digits + 1 };
        if len > stride {
            return Err(Stop::NeedStride(len));
        }
        if self.format.is_none() {
            // The text stands there already, but for the separators.
            value.copy_to(row);
            (row[10], row[13], row[16]) = (b' ', b':', b':');
        } else {
            moment.write_to(&mut row[..len]);
        }
        Ok(len)
    }
}

impl Moment {
    /// Writes `yyyy-mm-dd hh:mm:ss[.f]` to a row that is as long as this.
    fn write_to(self, row: &mut [u8]) {
        row[..10].copy_from_slice(&date::iso_text(self.day));
        row[10] = b' ';
        row[11..SECONDS_LEN].copy_from_slice(&time::iso_text(self.clock));
        if let Some((point, fraction)) = row[SECONDS_LEN..].split_first_mut() {
            *point = b'.';
            let mut rest_ns = self.fraction_ns;
            for (place, unit) in fraction.iter_mut().zip(&FRACTION_UNIT_NS[1..]) {
                *place = b'0' + (rest_ns / unit).to_le_bytes()[0];
                rest_ns %= unit;
            }
        }
    }
}
