//! CHAR and VARCHAR: text of the file's encoding, checked, as UTF-8 in the arena.
//!
//! A CHAR is not padded, and blanks over its length are as much too long as anything else. The
//! order of the faults is: encoding, NUL byte, length.

use crate::config::dialect::Encoding;
use crate::config::schema::{LengthUnit, TextLength};
use crate::parse::simd::{Lanes, STEP_BYTES};
use crate::record::Fault;

use super::field::{Render, Rules, Stop, TWO_STEPS_BYTES, Value};
use super::swar::unusual_bytes;

/// UTF-8 text of a column.
#[derive(Debug, Clone)]
pub(super) struct Utf8 {
    limit: Limit,
}

/// Text of an encoding of one byte a character.
#[derive(Debug, Clone)]
pub(super) struct SingleByte {
    limit: Limit,
    /// UTF-8 of each byte.
    characters: Box<[Character; 256]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Character {
    utf8: [u8; 3],
    len: u8,
}

/// What a column takes.
#[derive(Debug, Clone, Copy)]
struct Limit {
    max: usize,
    unit: LengthUnit,
    nul_in_text: bool,
}

/// Longest text that is copied and checked in at most four words of 16 bytes; what is longer goes
/// through the library routines, whose calls cost nothing beside the work.
const SHORT_BYTES: usize = 64;

impl Limit {
    fn new(length: Option<TextLength>, nul_in_text: bool) -> Self {
        match length {
            Some(length) => Self { max: length.max as usize, unit: length.unit, nul_in_text },
            None => Self { max: usize::MAX, unit: LengthUnit::Bytes, nul_in_text },
        }
    }

    /// All bits set where a NUL byte is a fault.
    #[inline(always)]
    const fn nul_faults(self) -> u64 {
        (self.nul_in_text as u64).wrapping_sub(1)
    }

    /// Checks text of valid UTF-8.
    fn check(self, text: &str) -> Result<(), Fault> {
        if !self.nul_in_text && text.as_bytes().contains(&0) {
            return Err(Fault::NulByte);
        }
        // There are no more characters than bytes.
        if text.len() > self.max
            && (self.unit == LengthUnit::Bytes || text.chars().count() > self.max)
        {
            return Err(Fault::TooLong);
        }
        Ok(())
    }
}

/// Copies the 16 bytes at `at`; 0 when all are ASCII and none is NUL.
#[inline(always)]
fn copy16(from: &[u8], to: &mut [u8], at: usize) -> u64 {
    let chunk: [u8; 16] = from[at..at + 16].try_into().expect("a slice of 16 bytes");
    to[at..at + 16].copy_from_slice(&chunk);
    unusual_bytes(u128::from_le_bytes(chunk))
}

/// Copies text of at most [`SHORT_BYTES`] bytes to the front of `row`, which is no shorter, if it
/// is plain ASCII. May write up to 15 bytes more. Where it says `false`, the front of `row` is
/// anything.
#[inline(always)]
fn copy_short_ascii<L: Lanes>(lanes: L, value: Value<'_>, row: &mut [u8]) -> bool {
    let Value { window, start, len } = value;
    if len <= 16 {
        // Needs room on both sides for a whole word.
        let from = window.get(start..).and_then(<[u8]>::first_chunk);
        let (Some(&chunk), Some(to)) = (from, row.first_chunk_mut::<16>()) else {
            return false;
        };
        *to = chunk;
        return lanes.are_plain_ascii(u128::from_le_bytes(chunk), len);
    }
    if len > SHORT_BYTES {
        return false;
    }
    // Words that overlap in the middle: nothing outside the value is touched.
    let (from, to) = (value.bytes(), &mut row[..len]);
    let mut seen = copy16(from, to, 0) | copy16(from, to, len - 16);
    if len > 32 {
        seen |= copy16(from, to, 16) | copy16(from, to, len - 32);
    }
    seen == 0
}

/// Copies and checks short text in the way that suits kernel and stride; `None` where the text is
/// not short, or at fault, or (unless `takes_utf8`) not ASCII. The front of `row` is anything then.
#[inline(always)]
fn copy_short<L: Lanes, const COPY: usize>(
    lanes: L,
    value: Value<'_>,
    limit: Limit,
    takes_utf8: bool,
    row: &mut [u8],
    stride: usize,
) -> Option<usize> {
    // In narrow rows a step would write over lines of rows far behind.
    if L::IS_WIDE && COPY >= STEP_BYTES {
        if COPY > STEP_BYTES
            && let Some(len) = copy_two_steps(lanes, value, limit, row, stride)
        {
            return Some(len);
        }
        return copy_step(lanes, value, limit, takes_utf8, row, stride);
    }
    let fits = value.len <= stride.min(limit.max);
    (fits && copy_short_ascii(lanes, value, row)).then_some(value.len)
}

/// Copies text of at most [`STEP_BYTES`] bytes to the front of `row` and gives its length; `None`
/// where that cannot be done in one step, or where the text is at fault. May write up to
/// [`STEP_BYTES`] bytes more.
#[inline(always)]
fn copy_step<L: Lanes>(
    lanes: L,
    value: Value<'_>,
    limit: Limit,
    takes_utf8: bool,
    row: &mut [u8],
    stride: usize,
) -> Option<usize> {
    let Value { window, start, len } = value;
    if len > stride.min(STEP_BYTES) {
        return None;
    }
    let block = lanes.load(window.get(start..)?.first_chunk()?);
    lanes.store(block, row.first_chunk_mut()?);
    let text = first_bits(len);
    if unusual(lanes, block, limit) & text == 0 && len <= limit.max {
        return Some(len);
    }
    if !takes_utf8 || lanes.equal(block, 0) & text & limit.nul_faults() != 0 {
        return None;
    }
    let characters = utf8_characters(lanes, block, text)?;
    let counted = match limit.unit {
        LengthUnit::Bytes => len,
        LengthUnit::Characters => characters,
    };
    (counted <= limit.max).then_some(len)
}

/// As [`copy_step`] for ASCII of at most twice as many bytes. May write up to that many bytes more.
///
/// Both steps are done whatever the length: which texts are long cannot be predicted.
#[inline(always)]
fn copy_two_steps<L: Lanes>(
    lanes: L,
    value: Value<'_>,
    limit: Limit,
    row: &mut [u8],
    stride: usize,
) -> Option<usize> {
    let Value { window, start, len } = value;
    let from: &[u8; TWO_STEPS_BYTES] = window.get(start..)?.first_chunk()?;
    let to: &mut [u8; TWO_STEPS_BYTES] = row.first_chunk_mut()?;
    if len > stride.min(TWO_STEPS_BYTES).min(limit.max) {
        return None;
    }
    let first = lanes.load(from.first_chunk()?);
    let second = lanes.load(from.last_chunk()?);
    lanes.store(first, to.first_chunk_mut()?);
    lanes.store(second, to.last_chunk_mut()?);
    let beyond = first_bits(len.saturating_sub(STEP_BYTES));
    let found = (unusual(lanes, first, limit) & first_bits(len.min(STEP_BYTES)))
        | (unusual(lanes, second, limit) & beyond);
    (found == 0).then_some(len)
}

/// The lowest `count` bits, at most all 64.
#[inline(always)]
const fn first_bits(count: usize) -> u64 {
    let all = u64::MAX >> (STEP_BYTES.wrapping_sub(count) % STEP_BYTES);
    if count == 0 { 0 } else { all }
}

/// The bytes that are not ASCII, or NUL where that is not taken.
#[inline(always)]
fn unusual<L: Lanes>(lanes: L, block: L::Block, limit: Limit) -> u64 {
    // No branch: compilers keep masks that meet behind one as 64 single bits.
    lanes.at_least(block, 0x80) | (lanes.equal(block, 0) & limit.nul_faults())
}

/// Number of characters in the bytes of a block that `text` names, which are its first ones;
/// `None` when they are not UTF-8 (RFC 3629, section 4).
#[inline(always)]
fn utf8_characters<L: Lanes>(lanes: L, block: L::Block, text: u64) -> Option<usize> {
    // No closures: see `parse/simd/x86.rs`.
    macro_rules! at_least {
        ($byte:expr) => {
            lanes.at_least(block, $byte) & text
        };
    }
    let (from_c0, lead2) = (at_least!(0xc0), at_least!(0xc2));
    let continuation = at_least!(0x80) & !from_c0;
    let (lead3, lead4) = (at_least!(0xe0), at_least!(0xf0));
    let required = lead2 << 1 | lead3 << 2 | lead4 << 3;
    let mut faults = (continuation ^ required) | (from_c0 & !lead2);
    // Leads whose last byte would stand behind the block.
    faults |= lead2 >> 63 | lead3 >> 62 | lead4 >> 61;
    if lead3 != 0 {
        // Not the shortest form, surrogates, beyond U+10FFFF: told by the second byte.
        macro_rules! behind {
            ($byte:expr) => {
                (lanes.equal(block, $byte) & text) << 1
            };
        }
        let (from_90, from_a0) = (at_least!(0x90), at_least!(0xa0));
        faults |= at_least!(0xf5)
            | (behind!(0xe0) & !from_a0)
            | (behind!(0xed) & from_a0)
            | (behind!(0xf0) & !from_90)
            | (behind!(0xf4) & from_90);
    }
    (faults == 0).then(|| (text & !continuation).count_ones() as usize)
}

impl Utf8 {
    pub(super) fn new(length: Option<TextLength>, nul_in_text: bool) -> Self {
        Self { limit: Limit::new(length, nul_in_text) }
    }

    fn check(&self, bytes: &[u8]) -> Result<(), Fault> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| Fault::Encoding)?;
        self.limit.check(text)
    }

    #[inline(never)]
    fn render_checked(&self, bytes: &[u8], row: &mut [u8], stride: usize) -> Result<usize, Stop> {
        self.check(bytes)?;
        if bytes.len() > stride {
            return Err(Stop::NeedStride(bytes.len()));
        }
        row[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Render for Utf8 {
    const TAKES_EMPTY: bool = true;
    const GOES_BY_STRIDE: bool = true;

    #[inline(always)]
    fn quick<L: Lanes, const COPY: usize>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Option<usize> {
        copy_short::<L, COPY>(lanes, value, self.limit, true, row, stride)
    }

    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        _lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        self.render_checked(value.bytes(), row, stride)
    }

    fn render_escaped(
        &self,
        rules: &Rules,
        raw: &[u8],
        quoted: bool,
        row: &mut [u8],
        stride: usize,
    ) -> Option<Result<usize, Stop>> {
        let room = row.get_mut(..raw.len()).filter(|_| raw.len() <= stride)?;
        let len = rules.unescape(raw, quoted, room);
        Some(self.check(&room[..len]).map(|()| len).map_err(Stop::from))
    }
}

impl SingleByte {
    /// Text of `encoding`, or `None` for one of several bytes a character.
    pub(super) fn new(
        encoding: Encoding,
        length: Option<TextLength>,
        nul_in_text: bool,
    ) -> Option<Self> {
        let mut characters = Box::new([Character::default(); 256]);
        for (byte, character) in (0..=u8::MAX).zip(characters.iter_mut()) {
            let decoded = match encoding {
                Encoding::Utf8 => return None,
                Encoding::Latin1 => char::from(byte),
                Encoding::Windows1252 => windows_1252(byte),
            };
            let mut utf8 = [0; 3];
            let len = decoded.encode_utf8(&mut utf8).len();
            *character = Character {
                len: u8::try_from(len).expect("a character has at most 4 bytes"),
                utf8,
            };
        }
        Some(Self { limit: Limit::new(length, nul_in_text), characters })
    }

    fn characters(&self, bytes: &[u8]) -> impl Iterator<Item = &Character> {
        bytes.iter().map(|&byte| &self.characters[usize::from(byte)])
    }

    #[inline(never)]
    fn render_transcoded(
        &self,
        bytes: &[u8],
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        if !self.limit.nul_in_text && bytes.contains(&0) {
            return Err(Fault::NulByte.into());
        }
        let len: usize = self.characters(bytes).map(|c| usize::from(c.len)).sum();
        let counted = match self.limit.unit {
            LengthUnit::Bytes => len,
            LengthUnit::Characters => bytes.len(),
        };
        if counted > self.limit.max {
            return Err(Fault::TooLong.into());
        }
        if len > stride {
            return Err(Stop::NeedStride(len));
        }
        let mut room = &mut row[..len];
        for character in self.characters(bytes) {
            let (place, rest) = room.split_at_mut(usize::from(character.len));
            place.copy_from_slice(&character.utf8[..place.len()]);
            room = rest;
        }
        Ok(len)
    }
}

/// The character of a byte as the WHATWG encoding standard maps it; bytes without a character of
/// their own are the control characters of the same number.
fn windows_1252(byte: u8) -> char {
    encoding_rs::WINDOWS_1252
        .decode_without_bom_handling(&[byte])
        .0
        .chars()
        .next()
        .expect("each byte of windows-1252 is a character")
}

impl Render for SingleByte {
    const TAKES_EMPTY: bool = true;
    const GOES_BY_STRIDE: bool = true;

    #[inline(always)]
    fn quick<L: Lanes, const COPY: usize>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Option<usize> {
        copy_short::<L, COPY>(lanes, value, self.limit, false, row, stride)
    }

    #[inline(always)]
    fn render<L: Lanes>(
        &self,
        _lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop> {
        self.render_transcoded(value.bytes(), row, stride)
    }
}
