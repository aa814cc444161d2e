//! DATE: `yyyy-mm-dd`, years 0001 to 9999 of the proleptic Gregorian calendar, and what
//! `--date-format` says.

use crate::arena::column::odbc_struct::Date;
use crate::record::Fault;

use super::field::{Decode, Render, Stop, Value};
use super::format::Format;
use super::swar::all_digits8;

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
    year & 3 == 0 && (!year.is_multiple_of(25) || year & 15 == 0)
}

/// A date of the calendar.
#[inline(always)]
pub(super) fn calendar_date(year: u16, month: u8, day: u8) -> Result<Date, Fault> {
    let leap_day = u8::from(month == 2 && is_leap(year));
    let days = DAYS[usize::from(month & 15)] + leap_day;
    let valid = year.wrapping_sub(1) < 9999 && month < 16 && day.wrapping_sub(1) < days;
    if !valid {
        return Err(Fault::NotInCalendar);
    }
    Ok(Date {
        year: year.cast_signed(),
        month: u16::from(month),
        day: u16::from(day),
    })
}

/// Year, month and day of `yyyy-mm-dd`, not checked against the calendar.
#[inline(always)]
pub(super) fn iso_parts(text: &[u8; 10]) -> Option<(u16, u8, u8)> {
    const HEAD: u64 = u64::from_le_bytes(*b"0000-00-");
    const TAIL: u64 = u64::from_le_bytes(*b"00-00-00");
    const HEAD_SEPARATORS: u64 = u64::from_le_bytes([0, 0, 0, 0, 255, 0, 0, 255]);
    const TAIL_SEPARATORS: u64 = u64::from_le_bytes([0, 0, 255, 0, 0, 255, 0, 0]);
    let &[a, b, c, d, e, f, g, h, i, j] = text;
    // Two words that overlap: digits become their values, separators 0.
    let head = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ HEAD;
    let tail = u64::from_le_bytes([c, d, e, f, g, h, i, j]) ^ TAIL;
    let separators = (head & HEAD_SEPARATORS) | (tail & TAIL_SEPARATORS);
    if separators != 0 || !all_digits8(head) || !all_digits8(tail) {
        return None;
    }
    let [century, ..] = pairs(head);
    let [year, _, _, month, _, _, day, _] = pairs(tail);
    Some((u16::from(century) * 100 + u16::from(year), month, day))
}

/// In each byte ten times its digit plus the next one.
#[inline(always)]
pub(super) const fn pairs(digits: u64) -> [u8; 8] {
    digits
        .wrapping_mul(10)
        .wrapping_add(digits >> 8)
        .to_le_bytes()
}

#[inline(always)]
fn iso_date(value: Value<'_>) -> Result<Date, Fault> {
    let text = value.bytes().try_into().map_err(|_| Fault::Syntax)?;
    let (year, month, day) = iso_parts(text).ok_or(Fault::Syntax)?;
    calendar_date(year, month, day)
}

impl Dates {
    /// The date by the user's format, if the text has its shape.
    #[inline(always)]
    fn formatted(&self, value: Value<'_>) -> Option<Result<Date, Fault>> {
        let civil = self.format.as_ref()?.parse(value.bytes())?;
        Some(civil.date())
    }
}

impl Decode<Date> for Dates {
    #[inline(always)]
    fn decode(&self, value: Value<'_>) -> Result<Date, Fault> {
        self.formatted(value).unwrap_or_else(|| iso_date(value))
    }
}

impl Render for Dates {
    #[inline(always)]
    fn render(&self, value: Value<'_>, row: &mut [u8], stride: usize) -> Result<usize, Stop> {
        let formatted = self.formatted(value);
        if stride < 10 {
            formatted.unwrap_or_else(|| iso_date(value))?;
            return Err(Stop::NeedStride(10));
        }
        if let Some(date) = formatted {
            row[..10].copy_from_slice(&iso_text(date?));
        } else {
            iso_date(value)?;
            value.copy_to(row);
        }
        Ok(10)
    }
}

/// Two decimal digits of a number under 100.
#[inline]
pub(super) fn two_digits(number: u16) -> [u8; 2] {
    let digit = |n: u16| b'0' + (n % 10).to_le_bytes()[0];
    [digit(number / 10), digit(number)]
}

/// `yyyy-mm-dd`.
pub(super) fn iso_text(date: Date) -> [u8; 10] {
    let year = date.year.unsigned_abs();
    let [a, b] = two_digits(year / 100);
    let [c, d] = two_digits(year % 100);
    let [e, f] = two_digits(date.month);
    let [g, h] = two_digits(date.day);
    [a, b, c, d, b'-', e, f, b'-', g, h]
}
