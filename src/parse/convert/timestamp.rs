//! TIMESTAMP(p): `yyyy-mm-dd hh:mm:ss[.f]`, the same with `T`, Db2's `yyyy-mm-dd-hh.mm.ss[.f]`, and
//! what `--timestamp-format` says.
//!
//! A fraction has 1 to 9 digits, and no more than the column's precision, zeros included. A time
//! zone, a missing second and a date alone are [`Fault::Syntax`]: nothing is made up, unless a
//! format of the user (`yyyy-mm-dd`) says that the rest is zero.

use crate::arena::column::odbc_struct::{Date, Time, Timestamp};
use crate::record::Fault;

use super::date::{self, calendar_date, iso_parts};
use super::field::{Decode, Render, Stop, Value};
use super::format::Format;
use super::swar::{KEEP_LAST, non_digits16, number16, splat16};
use super::time::{self, clock_parts, clock_time};

/// `FRACTION_UNIT_NS[n]`: nanoseconds in one unit of the last of `n` digits.
const FRACTION_UNIT_NS: [u32; 10] = [
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1_000,
    100,
    10,
    1,
];

/// Timestamps of a precision; a format of the user comes first, as for dates.
#[derive(Debug, Clone)]
pub(super) struct Timestamps {
    pub precision: usize,
    pub format: Option<Format>,
}

/// A timestamp and how many digits its fraction is written with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub date: Date,
    pub time: Time,
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

#[inline(always)]
fn built_in(value: Value<'_>) -> Result<Moment, Fault> {
    let text = value.bytes();
    let (day, rest) = text.split_first_chunk::<10>().ok_or(Fault::Syntax)?;
    let (&[separator], rest) = rest.split_first_chunk::<1>().ok_or(Fault::Syntax)?;
    let (clock, rest) = rest.split_first_chunk::<8>().ok_or(Fault::Syntax)?;
    let clock_separator = match separator {
        b' ' | b'T' => b':',
        b'-' => b'.',
        _ => return Err(Fault::Syntax),
    };
    let fraction_digits = match rest {
        [] => 0,
        [b'.', _, ..] => rest.len() - 1,
        _ => return Err(Fault::Syntax),
    };
    let (year, month, day) = iso_parts(day).ok_or(Fault::Syntax)?;
    let (hour, minute, second) = clock_parts(clock, clock_separator).ok_or(Fault::Syntax)?;
    let fraction_ns = if fraction_digits == 0 {
        0
    } else {
        fraction_ns(value, fraction_digits).ok_or(Fault::Syntax)?
    };
    Ok(Moment {
        date: calendar_date(year, month, day)?,
        time: clock_time(hour, minute, second)?,
        fraction_ns,
        fraction_digits,
    })
}

impl Timestamps {
    #[inline(always)]
    fn parse(&self, value: Value<'_>) -> Result<Moment, Fault> {
        let moment = match self.formatted(value) {
            Some(moment) => moment?,
            None => built_in(value)?,
        };
        if moment.fraction_digits > self.precision {
            return Err(Fault::TooManyFractionDigits);
        }
        Ok(moment)
    }

    #[inline(always)]
    fn formatted(&self, value: Value<'_>) -> Option<Result<Moment, Fault>> {
        let civil = self.format.as_ref()?.parse(value.bytes())?;
        Some(civil.moment())
    }
}

impl Decode<Timestamp> for Timestamps {
    #[inline(always)]
    fn decode(&self, value: Value<'_>) -> Result<Timestamp, Fault> {
        let Moment {
            date,
            time,
            fraction_ns,
            fraction_digits: _,
        } = self.parse(value)?;
        Ok(Timestamp {
            year: date.year,
            month: date.month,
            day: date.day,
            hour: time.hour,
            minute: time.minute,
            second: time.second,
            fraction_ns,
        })
    }
}

impl Render for Timestamps {
    #[inline(always)]
    fn render(&self, value: Value<'_>, row: &mut [u8], stride: usize) -> Result<usize, Stop> {
        let moment = self.parse(value)?;
        let digits = moment.fraction_digits;
        let len = SECONDS_LEN + if digits == 0 { 0 } else { digits + 1 };
        if len > stride {
            return Err(Stop::NeedStride(len));
        }
        row[..10].copy_from_slice(&date::iso_text(moment.date));
        row[10] = b' ';
        row[11..SECONDS_LEN].copy_from_slice(&time::iso_text(moment.time));
        if digits > 0 {
            row[SECONDS_LEN] = b'.';
            let mut rest_ns = moment.fraction_ns;
            for (place, unit) in row[SECONDS_LEN + 1..len]
                .iter_mut()
                .zip(&FRACTION_UNIT_NS[1..])
            {
                *place = b'0' + (rest_ns / unit).to_le_bytes()[0];
                rest_ns %= unit;
            }
        }
        Ok(len)
    }
}
