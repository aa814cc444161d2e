//! SMALLINT, INTEGER, BIGINT: an optional sign and decimal digits, nothing else.

use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::field::{Decode, Value};
use super::swar::{KEEP_LAST, all_digits8, keep_last8, number8, splat8, splat16};

/// Integers up to the limit of their SQL type, whatever the width of the cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integer {
    /// Largest value; the smallest is one below its negative.
    max: u64,
}

impl Integer {
    /// Integers from `-max - 1` to `max`.
    pub(super) fn up_to(max: i64) -> Self {
        Self { max: max.unsigned_abs() }
    }

    #[inline(always)]
    fn parse<L: Lanes>(self, lanes: L, value: Value<'_>) -> Result<i64, Fault> {
        let (digits, negative) = value.split_sign();
        let magnitude = match digits.len {
            // Of a short type longer ones are rare; of others the length cannot be predicted.
            1..=8 if !L::IS_WIDE || self.max < 100_000_000 => {
                let values = (digits.last8() ^ splat8(b'0')) & keep_last8(digits.len);
                if !all_digits8(values) {
                    return Err(Fault::Syntax);
                }
                number8(values)
            }
            1..=16 => match digits.last16_in_window() {
                Some(text) => {
                    let values = (text ^ splat16(b'0')) & KEEP_LAST[digits.len];
                    if !lanes.all_at_most(values, splat16(9)) {
                        return Err(Fault::Syntax);
                    }
                    lanes.number16(values)
                }
                None => any_magnitude(digits.bytes())?,
            },
            _ => any_magnitude(digits.bytes())?,
        };
        if magnitude > self.max + u64::from(negative) {
            return Err(Fault::OutOfRange);
        }
        let signed = magnitude.cast_signed();
        Ok(if negative { signed.wrapping_neg() } else { signed })
    }
}

/// Number of any length; of no digits: a fault.
#[inline(never)]
fn any_magnitude(bytes: &[u8]) -> Result<u64, Fault> {
    if bytes.is_empty() {
        return Err(Fault::Syntax);
    }
    let mut magnitude = Some(0_u64);
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Fault::Syntax);
        }
        magnitude = magnitude
            .and_then(|number| number.checked_mul(10))
            .and_then(|number| number.checked_add(u64::from(digit)));
    }
    magnitude.ok_or(Fault::OutOfRange)
}

impl<C: TryFrom<i64>> Decode<C> for Integer {
    #[inline(always)]
    fn decode<L: Lanes>(&self, lanes: L, value: Value<'_>, cell: &mut C) -> Result<(), Fault> {
        let number = self.parse(lanes, value)?;
        let Ok(number) = C::try_from(number) else {
            return Err(Fault::OutOfRange);
        };
        *cell = number;
        Ok(())
    }
}
