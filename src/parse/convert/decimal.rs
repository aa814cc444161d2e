//! DECIMAL(p,s) as text: `[+-]digits[.digits]`, checked and copied as it stands, without a leading
//! plus.
//!
//! Digits after the point count as they are written, zeros too: `1.50` is a fault for scale 1,
//! because the column would not give the zero back. Zeros before the first other digit do not
//! count. No exponent, no blanks, no separators of thousands.

use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::field::{Render, Stop, Value};
use super::swar::{KEEP_LAST, splat16};

/// Decimals of a precision and scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal {
    integer_digits: usize,
    scale: usize,
}

/// Digits before and after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    integer_digits: usize,
    fraction_digits: usize,
}

/// Shape of at most 16 digits and points without a sign.
#[inline(always)]
fn shape16<L: Lanes>(lanes: L, digits: Value<'_>) -> Option<Shape> {
    let Some(text) = digits.last16_in_window() else {
        return long_shape(digits.bytes());
    };
    let values = (text ^ splat16(b'0')) & KEEP_LAST[digits.len];
    let others = lanes.non_digits(values);
    if others == 0 {
        return (digits.len > 0)
            .then_some(Shape { integer_digits: digits.len, fraction_digits: 0 });
    }
    let place = others.trailing_zeros() as usize;
    let from_end = 15 - place;
    let one_point = others.is_power_of_two() && digits.byte_from_end(from_end) == Some(b'.');
    (one_point && digits.len > 1)
        .then(|| Shape { integer_digits: digits.len - 1 - from_end, fraction_digits: from_end })
}

/// As [`shape16`] for any length.
#[inline(never)]
fn long_shape(bytes: &[u8]) -> Option<Shape> {
    let point = bytes.iter().position(|&byte| byte == b'.');
    let (integer, fraction) = match point {
        Some(point) => (&bytes[..point], &bytes[point + 1..]),
        None => (bytes, &bytes[..0]),
    };
    let digits_only = integer.iter().chain(fraction).all(u8::is_ascii_digit);
    (digits_only && integer.len() + fraction.len() > 0)
        .then_some(Shape { integer_digits: integer.len(), fraction_digits: fraction.len() })
}

impl Decimal {
    /// Decimals of `precision` digits, `scale` of them after the point.
    pub(super) fn new(precision: u8, scale: u8) -> Self {
        Self {
            integer_digits: usize::from(precision.saturating_sub(scale)),
            scale: usize::from(scale),
        }
    }

    #[cold]
    #[inline(never)]
    fn fault(self, digits: &[u8], shape: Shape) -> Option<Fault> {
        let integer = &digits[..shape.integer_digits];
        let leading_zeros = integer.iter().take_while(|&&byte| byte == b'0').count();
        if shape.integer_digits - leading_zeros > self.integer_digits {
            Some(Fault::TooManyIntegerDigits)
        } else if shape.fraction_digits > self.scale {
            Some(Fault::TooManyFractionDigits)
        } else {
            None
        }
    }
}

impl Render for Decimal {
    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        let (digits, negative) = value.split_sign();
        let shape =
            if digits.len <= 16 { shape16(lanes, digits) } else { long_shape(digits.bytes()) };
        let shape = shape.ok_or(Fault::Syntax)?;
        if (shape.integer_digits > self.integer_digits || shape.fraction_digits > self.scale)
            && let Some(fault) = self.fault(digits.bytes(), shape)
        {
            return Err(fault.into());
        }
        // A minus is kept, a plus is not.
        let text = if negative { value } else { digits };
        if text.len > stride {
            return Err(Stop::NeedStride(text.len));
        }
        text.copy_to(row);
        Ok(text.len)
    }
}
