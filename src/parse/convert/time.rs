//! TIME: `hh:mm:ss` or `hh.mm.ss`, 00:00:00 to 23:59:59, and what `--time-format` says.
//!
//! Hour 24 and second 60 are not in the day of a database.

use crate::arena::column::odbc_struct::Time;
use crate::parse::simd::Lanes;
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

/// Hour, minute and second as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Clock {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl Clock {
    /// The time of three numbers under 256.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "two digits each")]
    pub(super) const fn from_words(hour: u32, minute: u32, second: u32) -> Self {
        Self { hour: hour as u8, minute: minute as u8, second: second as u8 }
    }

    /// Whether a day has the time.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "one branch, not three: which part is wrong cannot be predicted, that none is can"
    )]
    #[inline(always)]
    pub(super) const fn is_in_day(self) -> bool {
        (self.hour < 24) & (self.minute < 60) & (self.second < 60)
    }
}

impl From<Clock> for Time {
    #[inline(always)]
    fn from(clock: Clock) -> Self {
        Self {
            hour: u16::from(clock.hour),
            minute: u16::from(clock.minute),
            second: u16::from(clock.second),
        }
    }
}

/// The time of `hh:mm:ss` with the given separator and whether the text has this form; if not, the
/// time is anything.
#[inline(always)]
pub(super) fn iso_clock(text: &[u8; 8], separator: u8) -> (bool, Clock) {
    const SEPARATORS: u64 = u64::from_le_bytes([0, 0, 255, 0, 0, 255, 0, 0]);
    let s = separator;
    let form = u64::from_le_bytes([b'0', b'0', s, b'0', b'0', s, b'0', b'0']);
    let digits = u64::from_le_bytes(*text) ^ form;
    let has_form = (digits & SEPARATORS == 0) & all_digits8(digits);
    let [hour, _, _, minute, _, _, second, _] = pairs(digits);
    let clock = Clock { hour, minute, second };
    (has_form, clock)
}

impl Times {
    #[inline(always)]
    fn parse(&self, value: Value<'_>, out: &mut Clock) -> Result<(), Fault> {
        if let Some(format) = &self.format
            && let Some(moment) = format.parse(value.bytes())
        {
            *out = moment.clock;
        } else if let Ok(text) = <&[u8; 8]>::try_from(value.bytes()) {
            let separator = if text[2] == b'.' { b'.' } else { b':' };
            let (has_form, clock) = iso_clock(text, separator);
            if !has_form {
                return Err(Fault::Syntax);
            }
            *out = clock;
        } else {
            return Err(Fault::Syntax);
        }
        if !out.is_in_day() {
            return Err(Fault::NotInCalendar);
        }
        Ok(())
    }
}

impl Decode<Time> for Times {
    #[inline(always)]
    fn decode<L: Lanes>(&self, _: L, value: Value<'_>, cell: &mut Time) -> Result<(), Fault> {
        let mut clock = Clock::default();
        self.parse(value, &mut clock)?;
        *cell = clock.into();
        Ok(())
    }
}

impl Render for Times {
    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        _: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        let mut clock = Clock::default();
        self.parse(value, &mut clock)?;
        let text = iso_text(clock);
        if stride < text.len() {
            return Err(Stop::NeedStride(text.len()));
        }
        row[..text.len()].copy_from_slice(&text);
        Ok(text.len())
    }
}

/// `hh:mm:ss`.
#[expect(clippy::many_single_char_names, reason = "the bytes of a form, in order")]
pub(super) const fn iso_text(clock: Clock) -> [u8; 8] {
    let [a, b] = two_digits(clock.hour);
    let [c, d] = two_digits(clock.minute);
    let [e, f] = two_digits(clock.second);
    [a, b, b':', c, d, b':', e, f]
}
