//! BOOLEAN: `true`/`false`, `t`/`f`, `yes`/`no`, `y`/`n`, `on`/`off`, `1`/`0` in any case.

use crate::parse::simd::Lanes;
use crate::record::Fault;

use super::field::{Decode, Render, Stop, Value};

/// Truth values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boolean;

#[inline(always)]
fn parse(value: Value<'_>) -> Result<bool, Fault> {
    let text = value.bytes();
    match text {
        [b'1' | b't' | b'T' | b'y' | b'Y'] => Ok(true),
        [b'0' | b'f' | b'F' | b'n' | b'N'] => Ok(false),
        _ => parse_word(text),
    }
}

#[inline(never)]
fn parse_word(text: &[u8]) -> Result<bool, Fault> {
    let is_one_of = |words: [&[u8]; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of([b"true", b"yes", b"on"]) {
        Ok(true)
    } else if is_one_of([b"false", b"no", b"off"]) {
        Ok(false)
    } else {
        Err(Fault::Syntax)
    }
}

impl<C: From<bool>> Decode<C> for Boolean {
    #[inline(always)]
    fn decode<L: Lanes>(&self, _: L, value: Value<'_>, cell: &mut C) -> Result<(), Fault> {
        *cell = parse(value)?.into();
        Ok(())
    }
}

impl Render for Boolean {
    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        _: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        let text: &[u8] = if parse(value)? { b"true" } else { b"false" };
        if text.len() > stride {
            return Err(Stop::NeedStride(text.len()));
        }
        row[..text.len()].copy_from_slice(text);
        Ok(text.len())
    }
}
