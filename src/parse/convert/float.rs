//! REAL and DOUBLE: decimal text to the nearest binary float, ties to even.
//!
//! `[+-]digits[.digits][e[+-]digits]` with at least one digit before the exponent. The words for
//! infinity and not-a-number, hexadecimal floats and blanks are [`Fault::Syntax`]. A value that
//! would become infinite, or a value other than zero that would become zero, is
//! [`Fault::OutOfRange`]: the column would hold something else than the file says. Subnormal
//! results are kept.

use crate::record::Fault;

use super::field::{Decode, Value};
use super::swar::{KEEP_LAST, non_digits16, number16, splat16};

/// Powers of ten that are exact in 64 bits of float.
const POWERS_F64: [f64; 17] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];

/// Powers of ten that are exact in 32 bits of float.
const POWERS_F32: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// DOUBLE.
#[derive(Debug, Clone, Copy)]
pub(super) struct Double;

/// REAL.
///
/// In a 64-bit cell (a target whose REAL has 8 bytes) it is rounded once, to 64 bits, and still
/// held to the range of 32 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Real;

/// A number as an integer and a count of digits after the point.
#[derive(Clone, Copy)]
struct Scaled {
    mantissa: u64,
    fraction_digits: usize,
}

/// Up to 16 digits and points as a scaled integer; `None` when they are anything else.
#[inline(always)]
fn scaled16(digits: Value<'_>) -> Option<Scaled> {
    if digits.len == 0 || digits.len > 16 {
        return None;
    }
    let values = (digits.last16() ^ splat16(b'0')) & KEEP_LAST[digits.len];
    let others = non_digits16(values);
    if others == 0 {
        return Some(Scaled { mantissa: number16(values), fraction_digits: 0 });
    }
    let from_end = others.leading_zeros() as usize / 8;
    let point = digits.start + digits.len - 1 - from_end;
    if !others.is_power_of_two() || digits.window[point] != b'.' || digits.len == 1 {
        return None;
    }
    // Move the digits before the point one place towards the end, over the point.
    let fraction = values & KEEP_LAST[from_end];
    let integer = (values & !KEEP_LAST[from_end + 1]) << 8;
    Some(Scaled { mantissa: number16(integer | fraction), fraction_digits: from_end })
}

/// Whether the text is a decimal number with optional point and exponent, as far as its bytes
/// tell: what is left for the number parser to refuse is their order.
fn is_number_alphabet(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}

/// Whether the number is written with a digit other than 0 before its exponent.
fn has_non_zero_digit(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .any(|byte| matches!(byte, b'1'..=b'9'))
}

#[inline(never)]
fn general<F: fast_float2::FastFloat + Into<f64>>(bytes: &[u8]) -> Result<F, Fault> {
    if !is_number_alphabet(bytes) {
        return Err(Fault::Syntax);
    }
    let number: F = fast_float2::parse(bytes).map_err(|_| Fault::Syntax)?;
    let wide: f64 = number.into();
    if wide.is_infinite() || (wide == 0.0 && has_non_zero_digit(bytes)) {
        return Err(Fault::OutOfRange);
    }
    Ok(number)
}

impl Decode<f64> for Double {
    #[inline(always)]
    fn decode(&self, value: Value<'_>, cell: &mut f64) -> Result<(), Fault> {
        let (digits, negative) = value.split_sign();
        match scaled16(digits) {
            Some(scaled) => {
                #[expect(clippy::cast_precision_loss, reason = "see below")]
                let mantissa = scaled.mantissa as f64;
                // One rounding in either case. With a point there are at most 15 digits: both
                // operands are exact and the division rounds. Without one the conversion of at
                // most 16 digits rounds and the divisor is 1.
                let magnitude = mantissa / POWERS_F64[scaled.fraction_digits];
                *cell = if negative { -magnitude } else { magnitude };
            }
            None => *cell = general(value.bytes())?,
        }
        Ok(())
    }
}

impl Decode<f32> for Real {
    #[inline(always)]
    fn decode(&self, value: Value<'_>, cell: &mut f32) -> Result<(), Fault> {
        let (digits, negative) = value.split_sign();
        match scaled16(digits) {
            Some(scaled) if scaled.mantissa < 1 << 24 && scaled.fraction_digits <= 10 => {
                #[expect(clippy::cast_precision_loss, reason = "exact under 2^24")]
                let mantissa = scaled.mantissa as f32;
                let magnitude = mantissa / POWERS_F32[scaled.fraction_digits];
                *cell = if negative { -magnitude } else { magnitude };
            }
            _ => *cell = general(value.bytes())?,
        }
        Ok(())
    }
}

impl Decode<f64> for Real {
    #[inline(always)]
    fn decode(&self, value: Value<'_>, cell: &mut f64) -> Result<(), Fault> {
        let mut narrow: f32 = 0.0;
        self.decode(value, &mut narrow)?;
        Double.decode(value, cell)
    }
}
