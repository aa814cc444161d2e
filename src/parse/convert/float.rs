//! REAL and DOUBLE: decimal text to the nearest binary float, ties to even.
//!
//! `[+-]digits[.digits][e[+-]digits]` with at least one digit before the exponent. The words for
//! infinity and not-a-number, hexadecimal floats and blanks are [`Fault::Syntax`]. A value that
//! would become infinite, or a value other than zero that would become zero, is
//! [`Fault::OutOfRange`]: the column would hold something else than the file says. Subnormal
//! results are kept.

use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::field::{Decode, Value};
use super::swar::{
    KEEP_LAST, halves, keep_last8, non_digits8, non_digits16, number8, splat8, splat16,
};

/// Powers of ten that are exact in 64 bits of float.
const POWERS_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

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

/// A number as an integer and the negative power of ten that it is multiplied with.
#[derive(Clone, Copy)]
struct Scaled {
    mantissa: u64,
    /// At most 15 digits after the point, and an exponent of at most 9, with at most 16 bytes for
    /// both: no more than 22.
    scale: usize,
}

/// Up to 16 bytes of digits, a point, and a short negative exponent (`e-5`), as a scaled integer;
/// `None` when they are anything else.
#[inline(always)]
fn scaled<L: Lanes>(lanes: L, digits: Value<'_>) -> Option<Scaled> {
    match digits.len {
        1..=16 if L::IS_WIDE => wide_scaled(lanes, digits),
        1..=8 => scaled8(digits),
        9..=16 => scaled16(lanes, digits),
        _ => None,
    }
}

/// The exponent of a text whose last 8 bytes these are, and how many bytes it takes; 0 of both
/// where there is none, or not a short negative one.
///
/// Which numbers have an exponent cannot be predicted: no branch.
#[expect(clippy::needless_bitwise_bool, reason = "no branch")]
#[inline(always)]
const fn short_exponent(last8: u64, len: usize) -> (usize, usize) {
    const EXPONENT: u64 = u64::from_le_bytes([0, 0, 0, 0, 0, b'E', b'-', 0]);
    const LETTER_CASE: u64 = 0x20 << (8 * 5);
    let is_exponent = (last8 & !LETTER_CASE) >> 40 & 0xffff == EXPONENT >> 40;
    let exponent = ((last8 >> 56) as u8).wrapping_sub(b'0') as usize;
    // Four bytes at the least: one digit before it.
    if is_exponent & (len > 3) & (exponent <= 9) { (exponent, 3) } else { (0, 0) }
}

/// As [`scaled`] for 1 to 16 bytes where vectors are at hand: all lengths go the same way.
#[inline(always)]
fn wide_scaled<L: Lanes>(lanes: L, digits: Value<'_>) -> Option<Scaled> {
    let (exponent, cut) = short_exponent(digits.last8(), digits.len);
    let digits = Value { len: digits.len - cut, ..digits };
    let values = (digits.last16_in_window()? ^ splat16(b'0')) & KEEP_LAST[digits.len];
    let others = lanes.non_digits(values);
    if others == 0 {
        return Some(Scaled { mantissa: lanes.number16(values), scale: exponent });
    }
    let place = others.trailing_zeros() as usize & 15;
    let from_end = 15 - place;
    let one_point = others.is_power_of_two() && digits.byte_from_end(from_end) == Some(b'.');
    (one_point && digits.len > 1).then(|| Scaled {
        mantissa: lanes.number16_without(values, place),
        scale: from_end + exponent,
    })
}

/// As [`scaled`] for 9 to 16 bytes, in plain words.
#[inline(always)]
fn scaled16<L: Lanes>(lanes: L, digits: Value<'_>) -> Option<Scaled> {
    const POINT: u128 = (b'.' ^ b'0') as u128;
    let text = digits.last16();
    let (exponent, cut) = short_exponent(halves(text).1, digits.len);
    let values = ((text ^ splat16(b'0')) & KEEP_LAST[digits.len]) << (8 * cut);
    let len = digits.len - cut;
    let others = non_digits16(values);
    if others == 0 {
        return Some(Scaled { mantissa: lanes.number16(values), scale: exponent });
    }
    let from_end = others.leading_zeros() as usize / 8;
    let point = values << (8 * from_end) >> 120;
    if !others.is_power_of_two() || point != POINT || len == 1 {
        return None;
    }
    // Move the digits before the point one place towards the end, over the point.
    let fraction = values & KEEP_LAST[from_end];
    let integer = (values & !KEEP_LAST[from_end + 1]) << 8;
    Some(Scaled { mantissa: lanes.number16(integer | fraction), scale: from_end + exponent })
}

/// As [`scaled`] for 1 to 8 bytes, in plain words.
#[inline(always)]
fn scaled8(digits: Value<'_>) -> Option<Scaled> {
    const POINT: u64 = (b'.' ^ b'0') as u64;
    let text = digits.last8();
    let (exponent, cut) = short_exponent(text, digits.len);
    let values = ((text ^ splat8(b'0')) & keep_last8(digits.len)) << (8 * cut);
    let others = non_digits8(values);
    if others == 0 {
        return Some(Scaled { mantissa: number8(values), scale: exponent });
    }
    let from_end = others.leading_zeros() as usize / 8;
    let point = values << (8 * from_end) >> 56;
    if !others.is_power_of_two() || point != POINT || digits.len - cut == 1 {
        return None;
    }
    let fraction = values & !(u64::MAX >> (8 * from_end));
    let integer = (values & !keep_last8(from_end + 1)) << 8;
    Some(Scaled { mantissa: number8(integer | fraction), scale: from_end + exponent })
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
    fn decode<L: Lanes>(&self, lanes: L, value: Value<'_>, cell: &mut f64) -> Result<(), Fault> {
        let (digits, negative) = value.split_sign();
        match scaled(lanes, digits) {
            Some(scaled) => {
                #[expect(clippy::cast_precision_loss, reason = "see below")]
                let mantissa = scaled.mantissa as f64;
                // One rounding in any case. With a point or an exponent there are at most 15
                // digits: both operands are exact and the division rounds. Without either the
                // conversion of at most 16 digits rounds and the divisor is 1.
                let magnitude = mantissa / POWERS_F64[scaled.scale];
                *cell = if negative { -magnitude } else { magnitude };
            }
            None => *cell = general(value.bytes())?,
        }
        Ok(())
    }
}

impl Decode<f32> for Real {
    #[inline(always)]
    fn decode<L: Lanes>(&self, lanes: L, value: Value<'_>, cell: &mut f32) -> Result<(), Fault> {
        let (digits, negative) = value.split_sign();
        match scaled(lanes, digits) {
            Some(scaled) if scaled.mantissa < 1 << 24 && scaled.scale <= 10 => {
                #[expect(clippy::cast_precision_loss, reason = "exact under 2^24")]
                let mantissa = scaled.mantissa as f32;
                let magnitude = mantissa / POWERS_F32[scaled.scale];
                *cell = if negative { -magnitude } else { magnitude };
            }
            _ => *cell = general(value.bytes())?,
        }
        Ok(())
    }
}

impl Decode<f64> for Real {
    #[inline(always)]
    fn decode<L: Lanes>(&self, lanes: L, value: Value<'_>, cell: &mut f64) -> Result<(), Fault> {
        let mut narrow: f32 = 0.0;
        self.decode(lanes, value, &mut narrow)?;
        Double.decode(lanes, value, cell)
    }
}
