//! DATE: `yyyy-mm-dd`, years 0001 to 9999 of the proleptic Gregorian calendar, and what
//! `--date-format` says.

use crate::arena::column::odbc_struct::Date;
use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::field::{Decode, Render, Stop, Value};
use super::format::Format;
use super::swar::{KEEP_FIRST, all_digits8};

/// Dates.
///
/// Where there is a format of the user and a text has its shape, it decides; the built-in form is
/// for the other texts. So `yyyy-dd-mm` never reads a date two ways.
#[derive(Debug, Clone)]
pub(super) struct Dates {
    pub format: Option<Format>,
}

/// Days of the months of a common year; no month is over 12, no day fits month 0.
const DAYS: [u8; 16] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0];

const fn is_leap(year: u16) -> bool {
    // A multiple of 100 is one of 400 exactly when 16 divides it too.
    year.is_multiple_of(4) && (!year.is_multiple_of(25) || year.is_multiple_of(16))
}

/// Year, month and day as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CivilDay {
    pub year: u16,
    pub month: u8,
    pub day: u8,
}

impl CivilDay {
    /// Whether the calendar has the day.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "one branch, not three: which part is wrong cannot be predicted, that none is can"
    )]
    #[inline(always)]
    pub(super) fn is_in_calendar(self) -> bool {
        let Self { year, month, day } = self;
        let leap_day = u8::from(month == 2) & u8::from(is_leap(year));
        let days = DAYS[usize::from(month & 15)] + leap_day;
        (year.wrapping_sub(1) < 9999) & (month < 16) & (day.wrapping_sub(1) < days)
    }
}

impl CivilDay {
    /// The day of three numbers, the first under 10,000, the others under 256.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "two and four digits")]
    pub(super) const fn from_words(year: u32, month: u32, day: u32) -> Self {
        Self { year: year as u16, month: month as u8, day: day as u8 }
    }
}

impl From<CivilDay> for Date {
    #[inline(always)]
    fn from(day: CivilDay) -> Self {
        Self { year: day.year.cast_signed(), month: u16::from(day.month), day: u16::from(day.day) }
    }
}

/// The day of `yyyy-mm-dd` and whether the text has this form; if not, the day is anything.
#[expect(clippy::many_single_char_names, reason = "the bytes of a form, in order")]
#[inline(always)]
pub(super) fn iso_day(text: &[u8; 10]) -> (bool, CivilDay) {
    const HEAD: u64 = u64::from_le_bytes(*b"0000-00-");
    const TAIL: u64 = u64::from_le_bytes(*b"00-00-00");
    const HEAD_SEPARATORS: u64 = u64::from_le_bytes([0, 0, 0, 0, 255, 0, 0, 255]);
    const TAIL_SEPARATORS: u64 = u64::from_le_bytes([0, 0, 255, 0, 0, 255, 0, 0]);
    let &[a, b, c, d, e, f, g, h, i, j] = text;
    // Two words that overlap: digits become their values, separators 0.
    let head = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ HEAD;
    let tail = u64::from_le_bytes([c, d, e, f, g, h, i, j]) ^ TAIL;
    let separators = (head & HEAD_SEPARATORS) | (tail & TAIL_SEPARATORS);
    let has_form = (separators == 0) & all_digits8(head) & all_digits8(tail);
    let [century, ..] = pairs(head);
    let [year, _, _, month, _, _, day, _] = pairs(tail);
    let year = u16::from(century).wrapping_mul(100).wrapping_add(u16::from(year));
    (has_form, CivilDay { year, month, day })
}

/// As [`iso_day`], for a text with 16 readable bytes; `None` where it has not the form.
#[inline(always)]
fn wide_iso_day<L: Lanes>(lanes: L, value: Value<'_>) -> Option<CivilDay> {
    const FORM: u128 = u128::from_le_bytes(*b"0000-00-00\0\0\0\0\0\0");
    const MOST: u128 = u128::from_le_bytes([9, 9, 9, 9, 0, 9, 9, 0, 9, 9, 0, 0, 0, 0, 0, 0]);
    let from = value.window.get(value.start..)?.first_chunk()?;
    let digits = (u128::from_le_bytes(*from) & KEEP_FIRST[10]) ^ FORM;
    if value.len != 10 || !lanes.all_at_most(digits, MOST) {
        return None;
    }
    let [year, month, day, _] = lanes.weigh(digits, DAY_WEIGHTS, [100, 1, 1, 1, 1, 0, 0, 0]);
    Some(CivilDay::from_words(year, month, day))
}

/// Weights of the digits of `yyyy-mm-dd` in pairs of bytes: a month lies across two of them.
const DAY_WEIGHTS: [i8; 16] = [10, 1, 10, 1, 0, 10, 1, 0, 10, 1, 0, 0, 0, 0, 0, 0];

/// In each byte ten times its digit plus the next one.
#[inline(always)]
pub(super) const fn pairs(digits: u64) -> [u8; 8] {
    digits.wrapping_mul(10).wrapping_add(digits >> 8).to_le_bytes()
}

impl Dates {
    /// Writes the day of a text; tells whether it stands there as `yyyy-mm-dd` already.
    #[inline(always)]
    fn parse<L: Lanes>(
        &self,
        lanes: L,
        value: Value<'_>,
        out: &mut CivilDay,
    ) -> Result<bool, Fault> {
        let formatted = match &self.format {
            Some(format) => format.parse(value.bytes()),
            None => None,
        };
        if let Some(moment) = &formatted {
            *out = moment.day;
        } else if L::IS_WIDE
            && let Some(day) = wide_iso_day(lanes, value)
        {
            *out = day;
        } else if let Ok(text) = value.bytes().try_into() {
            let (has_form, day) = iso_day(text);
            if !has_form {
                return Err(Fault::Syntax);
            }
            *out = day;
        } else {
            return Err(Fault::Syntax);
        }
        if !out.is_in_calendar() {
            return Err(Fault::NotInCalendar);
        }
        Ok(formatted.is_none())
    }
}

impl Decode<Date> for Dates {
    #[inline(always)]
    fn decode<L: Lanes>(&self, lanes: L, value: Value<'_>, cell: &mut Date) -> Result<(), Fault> {
        let mut day = CivilDay::default();
        self.parse(lanes, value, &mut day)?;
        *cell = day.into();
        Ok(())
    }
}

impl Render for Dates {
    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        let mut day = CivilDay::default();
        let is_iso = self.parse(lanes, value, &mut day)?;
        if stride < 10 {
            return Err(Stop::NeedStride(10));
        }
        if is_iso {
            value.copy_to(row);
        } else {
            row[..10].copy_from_slice(&iso_text(day));
        }
        Ok(10)
    }
}

/// Two decimal digits of a number under 100.
#[inline]
pub(super) const fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// `yyyy-mm-dd`.
#[expect(clippy::many_single_char_names, reason = "the bytes of a form, in order")]
pub(super) const fn iso_text(day: CivilDay) -> [u8; 10] {
    let [a, b] = two_digits((day.year / 100).to_le_bytes()[0]);
    let [c, d] = two_digits((day.year % 100).to_le_bytes()[0]);
    let [e, f] = two_digits(day.month);
    let [g, h] = two_digits(day.day);
    [a, b, c, d, b'-', e, f, b'-', g, h]
}
