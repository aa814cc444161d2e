//! TIME: `hh:mm:ss` or `hh.mm.ss`, 00:00:00 to 23:59:59, and what `--time-format` says.
//!
//! Hour 24 and second 60 are not in the day of a database.

use crate::arena::column::odbc_struct::Time;
use crate::record::Fault;

use super::date::{pairs, two_digits};
use super::field::{Decode, Render, Stop, Value};
use super::format::Format;
use super::swar::all_digits8;

/// Times of day; a format of the user comes first, as for dates.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub format: Option<Format>,
}

/// A time of day.
#[inline(always)]
pub(super) fn clock_time(hour: u8, minute: u8, second: u8) -> Result<Time, Fault> {
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Fault::NotInCalendar);
    }
    Ok(Time {
        hour: u16::from(hour),
        minute: u16::from(minute),
        second: u16::from(second),
    })
}

/// Hour, minute and second of `hh:mm:ss` with the given separator, not checked against the clock.
#[inline(always)]
pub(super) fn clock_parts(text: &[u8; 8], separator: u8) -> Option<(u8, u8, u8)> {
    const SEPARATORS: u64 = u64::from_le_bytes([0, 0, 255, 0, 0, 255, 0, 0]);
    let s = separator;
    let form = u64::from_le_bytes([b'0', b'0', s, b'0', b'0', s, b'0', b'0']);
    let digits = u64::from_le_bytes(*text) ^ form;
    if digits & SEPARATORS != 0 || !all_digits8(digits) {
        return None;
    }
    let [hour, _, _, minute, _, _, second, _] = pairs(digits);
    Some((hour, minute, second))
}

#[inline(always)]
fn built_in(value: Value<'_>) -> Result<Time, Fault> {
    let text: &[u8; 8] = value.bytes().try_into().map_err(|_| Fault::Syntax)?;
    let separator = if text[2] == b'.' { b'.' } else { b':' };
    let (hour, minute, second) = clock_parts(text, separator).ok_or(Fault::Syntax)?;
    clock_time(hour, minute, second)
}

impl Times {
    #[inline(always)]
    fn parse(&self, value: Value<'_>) -> Result<Time, Fault> {
        if let Some(format) = &self.format
            && let Some(civil) = format.parse(value.bytes())
        {
            return civil.time();
        }
        built_in(value)
    }
}

impl Decode<Time> for Times {
    #[inline(always)]
    fn decode(&self, value: Value<'_>) -> Result<Time, Fault> {
        self.parse(value)
    }
}

impl Render for Times {
    #[inline(always)]
    fn render(&self, value: Value<'_>, row: &mut [u8], stride: usize) -> Result<usize, Stop> {
        let text = iso_text(self.parse(value)?);
        if stride < text.len() {
            return Err(Stop::NeedStride(text.len()));
        }
        row[..text.len()].copy_from_slice(&text);
        Ok(text.len())
    }
}

/// `hh:mm:ss`.
pub(super) fn iso_text(time: Time) -> [u8; 8] {
    let [a, b] = two_digits(time.hour);
    let [c, d] = two_digits(time.minute);
    let [e, f] = two_digits(time.second);
    [a, b, b':', c, d, b':', e, f]
}
