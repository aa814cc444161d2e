//! BINARY(n) and VARBINARY(n): an even number of hexadecimal digits in either case, after an
//! optional `0x`, `0X` or `\x`; the prefix alone is a value of no bytes.
//!
//! A BINARY shorter than its column is handed over as it is. In a dialect whose escape is the
//! backslash, `\x41` reaches this place as `x41` and is refused; such files write `\\x41` or
//! `0x41`.

use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::field::{Render, Stop, Value};

/// Hexadecimal text of at most `max_bytes` bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binary {
    pub max_bytes: usize,
}

/// No value of a digit.
const BAD: u8 = 0xff;

const DIGITS: [u8; 256] = {
    let mut digits = [BAD; 256];
    let mut n = 0;
    while n < 16 {
        digits[b"0123456789abcdef"[n as usize] as usize] = n;
        digits[b"0123456789ABCDEF"[n as usize] as usize] = n;
        n += 1;
    }
    digits
};

impl Render for Binary {
    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        _: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        let text = value.bytes();
        let ([b'0', b'x' | b'X', text @ ..] | [b'\\', b'x', text @ ..] | text) = text;
        let len = text.len() / 2;
        let is_digit = |byte: &u8| DIGITS[usize::from(*byte)] != BAD;
        if text.len() % 2 != 0 {
            return Err(Fault::Syntax.into());
        }
        if len > self.max_bytes || len > stride {
            return Err(if !text.iter().all(is_digit) {
                Fault::Syntax.into()
            } else if len > self.max_bytes {
                Fault::TooLong.into()
            } else {
                Stop::NeedStride(len)
            });
        }
        let mut seen = 0;
        for (pair, byte) in text.chunks_exact(2).zip(&mut row[..len]) {
            let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
            seen |= high | low;
            *byte = high << 4 | low;
        }
        if seen == BAD { Err(Fault::Syntax.into()) } else { Ok(len) }
    }
}
