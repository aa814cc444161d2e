//! The part that all types share: which fields are NULL or at fault whatever the type, escapes,
//! and the two loops over a block, for cells of fixed size and for text.

use crate::arena::column::NULL_INDICATOR;
use crate::config::dialect::Dialect;
use crate::limits;
use crate::parse::fields::{CommonLengths, FieldRef};
use crate::parse::simd::{Lanes, Portable, STEP_BYTES, Work};
use crate::record::Fault;

use super::swar::halves;
use super::{FieldBlock, NeedStride};

/// One value: `len` bytes at `start` of `window`, with no quotes and no escapes left in it.
///
/// The bytes around it belong to other fields; loads of whole words may touch them.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub window: &'a [u8],
    pub start: usize,
    pub len: usize,
}

impl<'a> Value<'a> {
    /// The bytes of the value.
    #[inline(always)]
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.window[self.start..self.start + self.len]
    }

    /// The last 16 bytes up to the value's end. Those before the value, if it is shorter, are
    /// anything.
    #[inline(always)]
    pub(super) fn last16(self) -> u128 {
        self.last16_in_window().unwrap_or_else(|| last16_alone(self.bytes()))
    }

    /// As [`Self::last16`]; `None` where the value ends in the first bytes of the window.
    ///
    /// For those who have another way then. What [`Self::last16`] may get from two places compilers
    /// bring together in two registers, and not in one for vectors.
    #[inline(always)]
    pub(super) fn last16_in_window(self) -> Option<u128> {
        let bytes = self.window.get(..self.start + self.len)?.last_chunk()?;
        Some(u128::from_le_bytes(*bytes))
    }

    /// The last 8 bytes up to the value's end, as [`Self::last16`].
    #[inline(always)]
    pub(super) fn last8(self) -> u64 {
        let end = self.start + self.len;
        match end.checked_sub(8).and_then(|start| self.window.get(start..end)) {
            Some(bytes) => u64::from_le_bytes(bytes.try_into().expect("a slice of 8 bytes")),
            None => halves(last16_alone(self.bytes())).1,
        }
    }

    /// The byte that `from_end` others of the value follow; of a neighbour, or none, if it has not
    /// so many.
    #[inline(always)]
    pub(super) fn byte_from_end(self, from_end: usize) -> Option<u8> {
        self.window.get((self.start + self.len).wrapping_sub(1 + from_end)).copied()
    }

    /// The value without its sign, and whether the sign is a minus.
    #[inline(always)]
    pub(super) fn split_sign(self) -> (Self, bool) {
        let first = self.window[self.start];
        let negative = first == b'-';
        let signed = usize::from(negative) | usize::from(first == b'+');
        let unsigned =
            Self { window: self.window, start: self.start + signed, len: self.len - signed };
        (unsigned, negative)
    }

    /// Copies the value to the front of `row`; may write up to 15 bytes more, all inside `row`.
    ///
    /// # Panics
    /// If `row` is shorter than the value.
    #[inline(always)]
    pub(super) fn copy_to(self, row: &mut [u8]) {
        let len = self.len;
        if len <= 16
            && let Some(from) = self.window.get(self.start..).and_then(<[u8]>::first_chunk::<16>)
            && let Some(to) = row.first_chunk_mut()
        {
            // A constant size for the compiler: one vector move, no call.
            *to = *from;
            return;
        }
        let (from, to) = (self.bytes(), &mut row[..len]);
        if 16 < len && len <= 32 {
            // Two moves that overlap.
            to[..16].copy_from_slice(&from[..16]);
            to[len - 16..].copy_from_slice(&from[len - 16..]);
        } else {
            to.copy_from_slice(from);
        }
    }
}

// What is out of line takes slices, never a `Value`: a struct behind a pointer would have to stand
// in memory for every field.
#[cold]
#[inline(never)]
fn last16_alone(bytes: &[u8]) -> u128 {
    let last = &bytes[bytes.len().saturating_sub(16)..];
    let mut word = [0; 16];
    word[16 - last.len()..].copy_from_slice(last);
    u128::from_le_bytes(word)
}

/// Conversion to a cell of fixed size.
pub(super) trait Decode<C> {
    /// Writes the cell of a value of at least one byte; after a fault the cell is anything.
    ///
    /// The cell is not returned, because a `Result` of a few bytes would be packed into one
    /// register and taken apart again.
    fn decode<L: Lanes>(&self, lanes: L, value: Value<'_>, cell: &mut C) -> Result<(), Fault>;
}

/// Why a value did not get into its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is at fault.
    Fault(Fault),
    /// It is legal and has so many bytes, more than the stride.
    NeedStride(usize),
}

impl From<Fault> for Stop {
    #[inline]
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Conversion to text or bytes.
pub(super) trait Render {
    /// Whether [`Self::render`] takes an empty value, and gives 0 for it and for no other.
    const TAKES_EMPTY: bool = false;

    /// Writes a value (which may be empty only for text) to the front of `row` and gives its
    /// length, at most `stride`. `row` goes on to the end of the column: the rows behind are not
    /// filled yet and may be written over.
    fn render<L: Lanes>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Result<usize, Stop>;

    /// Whether [`Self::quick`] does something else for each [`copy_bytes`].
    const GOES_BY_STRIDE: bool = false;

    /// As [`Self::render`] where that is quick; `None`: it is not, or there is a fault, and the
    /// front of `row` is anything. `COPY` is the stride's [`copy_bytes`].
    #[inline(always)]
    fn quick<L: Lanes, const COPY: usize>(
        &self,
        lanes: L,
        value: Value<'_>,
        row: &mut [u8],
        stride: usize,
    ) -> Option<usize> {
        self.render(lanes, value, row, stride).ok()
    }

    /// As [`Self::render`] for a field with escapes; `None` where it has to be unescaped first.
    fn render_escaped(
        &self,
        _rules: &Rules,
        _raw: &[u8],
        _quoted: bool,
        _row: &mut [u8],
        _stride: usize,
    ) -> Option<Result<usize, Stop>> {
        None
    }
}

/// Bytes that a text is copied by: a word, a step, or two. They go by the stride, which is the same
/// for all rows of a block, because the length of the next text cannot be predicted.
const fn copy_bytes(stride: usize) -> usize {
    if stride <= WORD_BYTES {
        WORD_BYTES
    } else if stride <= STEP_BYTES {
        STEP_BYTES
    } else {
        TWO_STEPS_BYTES
    }
}

/// Bytes of a word.
const WORD_BYTES: usize = 16;

/// Bytes of two steps.
pub(super) const TWO_STEPS_BYTES: usize = 2 * STEP_BYTES;

/// Length-or-NULL word of either width.
pub(super) trait Word: Copy {
    /// The word of NULL.
    const NULL: Self;
    /// The word of a value of `len` bytes.
    fn length(len: usize) -> Self;
}

impl Word for i64 {
    const NULL: Self = NULL_INDICATOR;
    #[inline(always)]
    fn length(len: usize) -> Self {
        (len as u64).cast_signed()
    }
}

impl Word for i32 {
    const NULL: Self = -1;
    #[inline(always)]
    fn length(len: usize) -> Self {
        Self::try_from(len).expect("lengths are under 2^29")
    }
}

const _: () = assert!(NULL_INDICATOR == -1);
const _: () = assert!(limits::RECORD_BYTES_CEILING <= 1 << 29);

/// What quoted empty text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuotedEmpty {
    /// The empty string.
    Text,
    /// NULL (`--empty-as-null`).
    Null,
    /// No value of the type.
    Fault,
}

/// What holds for the fields of a column whatever its type.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Unquoted texts that mean NULL.
    pub null_values: Vec<Vec<u8>>,
    /// Bit `n`: one of them has `n` bytes; the last bit stands for all lengths from 63.
    pub null_lengths: u64,
    pub quoted_empty: QuotedEmpty,
    pub nullable: bool,
    pub max_field_bytes: usize,
    /// The same, as far as a length can tell.
    plain_bytes_max: u32,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    pub double_quote: bool,
}

/// What a field is before its type is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    Escaped,
    Empty,
    Null,
    Fault(Fault),
}

const fn length_bit(len: usize) -> u64 {
    1 << if len < 63 { len } else { 63 }
}

/// The fields that nothing need be asked about: a copy of some [`Rules`] that a loop can hold in
/// registers.
#[derive(Clone, Copy)]
struct Common {
    lengths: CommonLengths,
    null_lengths: u64,
}

impl Common {
    /// Bytes of a field that is certainly a value with no escape in it, or certainly NULL and has
    /// no bytes.
    #[inline(always)]
    fn len_of(self, field: FieldRef) -> Option<usize> {
        let len = self.lengths.of(field)?;
        if self.null_lengths != 0 && !field.is_quoted() && self.null_lengths & length_bit(len) != 0
        {
            return None;
        }
        Some(len)
    }
}

impl Rules {
    pub(super) fn new(dialect: &Dialect, quoted_empty: QuotedEmpty, nullable: bool) -> Self {
        let null_values = dialect.null_values.clone();
        let bits = null_values.iter().map(|text| length_bit(text.len()));
        Self {
            null_lengths: bits.fold(0, |all, bit| all | bit),
            null_values,
            quoted_empty,
            nullable,
            max_field_bytes: dialect.max_field_bytes,
            plain_bytes_max: u32::try_from(
                dialect.max_field_bytes.min(limits::RECORD_BYTES_CEILING),
            )
            .expect("the ceiling is under 2^30"),
            quote: dialect.quote,
            escape: dialect.escape,
            double_quote: dialect.double_quote,
        }
    }

    /// The common fields; with `takes_missing` an empty one is common too where that is NULL.
    const fn common(&self, takes_missing: bool) -> Common {
        let lengths = CommonLengths::new(self.plain_bytes_max, takes_missing && self.nullable);
        Common { lengths, null_lengths: self.null_lengths }
    }

    /// Whether the field is certainly NULL.
    #[inline(always)]
    const fn is_missing(&self, field: FieldRef) -> bool {
        field.is_empty() && !field.is_quoted() && self.nullable
    }

    #[inline(never)]
    fn kind(&self, field: FieldRef, block: &FieldBlock<'_>) -> Kind {
        let null = || {
            if self.nullable { Kind::Null } else { Kind::Fault(Fault::Null) }
        };
        if field.is_empty() {
            return match (field.is_quoted(), self.quoted_empty) {
                (false, _) | (true, QuotedEmpty::Null) => null(),
                (true, QuotedEmpty::Text) => Kind::Empty,
                (true, QuotedEmpty::Fault) => Kind::Fault(Fault::QuotedEmpty),
            };
        }
        if field.len() > self.max_field_bytes {
            return Kind::Fault(Fault::FieldTooLong);
        }
        if !field.is_quoted() {
            let raw = block.value(field).bytes();
            if self.null_values.iter().any(|text| text == raw) {
                return null();
            }
        }
        if field.is_escaped() { Kind::Escaped } else { Kind::Value }
    }

    /// Resolves doubled quotes and escapes of `raw` into `out`, as far as it has room, and gives
    /// the length of the result. `out` of the length of `raw` always has room.
    pub(super) fn unescape(&self, raw: &[u8], quoted: bool, out: &mut [u8]) -> usize {
        let doubled = if quoted && self.double_quote { self.quote } else { None };
        let mut from = 0;
        let mut len = 0;
        while from < raw.len() {
            let byte = raw[from];
            let next = raw.get(from + 1).copied();
            let literal = match next {
                // An escape makes the next byte literal; alone at the end it is itself.
                Some(next) if Some(byte) == self.escape => Some(next),
                Some(next) if Some(byte) == doubled && next == byte => Some(byte),
                _ => None,
            };
            if let Some(room) = out.get_mut(len) {
                *room = literal.unwrap_or(byte);
            }
            len += 1;
            from += if literal.is_some() { 2 } else { 1 };
        }
        len
    }

    /// Runs `convert` on the value of a field with escapes.
    ///
    /// The value stands on the stack; only one of more than 480 bytes takes memory from the heap,
    /// which is no number or date that anybody writes.
    #[cold]
    #[inline(never)]
    fn unescaped<T>(
        &self,
        raw: Value<'_>,
        quoted: bool,
        convert: impl FnOnce(Value<'_>) -> T,
    ) -> T {
        const SLACK: usize = 16;
        let mut stack = [0; 512];
        let mut heap = Vec::new();
        let raw = raw.bytes();
        let window = if raw.len() + 2 * SLACK <= stack.len() {
            &mut stack[..]
        } else {
            heap.resize(raw.len() + 2 * SLACK, 0);
            &mut heap[..]
        };
        let len = self.unescape(raw, quoted, &mut window[SLACK..]);
        convert(Value { window, start: SLACK, len })
    }
}

impl<'a> FieldBlock<'a> {
    #[inline(always)]
    pub(super) fn value(&self, field: FieldRef) -> Value<'a> {
        self.value_of(field, field.len())
    }

    /// As [`Self::value`] where the length is known.
    #[inline(always)]
    fn value_of(&self, field: FieldRef, len: usize) -> Value<'a> {
        Value { window: self.bytes, start: self.base + field.start(), len }
    }
}

/// Where the cells of one column of a block go.
pub(super) struct Rows<'r, W> {
    /// Index of the field in each record.
    pub index: usize,
    /// Words of the block's rows.
    pub words: &'r mut [W],
}

/// Converts one field of each record into cells of fixed size.
pub(super) struct DecodeBlock<'a, C, D, W> {
    pub decode: &'a D,
    pub rules: &'a Rules,
    pub block: FieldBlock<'a>,
    pub rows: Rows<'a, W>,
    pub cells: &'a mut [C],
    pub faults: &'a mut Vec<(u32, Fault)>,
}

impl<C, D: Decode<C>, W: Word> Work for DecodeBlock<'_, C, D, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { decode, rules, block, rows, cells, faults } = self;
        let cell_word = W::length(size_of::<C>());
        // Indices instead of zipped iterators: one counter in a register instead of four.
        let mut at = rows.index;
        let common = rules.common(false);
        for (record, (cell, word)) in cells.iter_mut().zip(rows.words).enumerate() {
            let field = block.fields[at];
            at += block.field_count;
            *word = cell_word;
            let converted = if let Some(len) = common.len_of(field) {
                decode.decode(lanes, block.value_of(field, len), cell)
            } else if rules.is_missing(field) {
                *word = W::NULL;
                Ok(())
            } else {
                decode_uncommon(decode, rules, &block, field, cell).map(|is_null| {
                    if is_null {
                        *word = W::NULL;
                    }
                })
            };
            if let Err(fault) = converted {
                *word = W::NULL;
                push_fault(faults, record, fault);
            }
        }
    }
}

/// Converts a field that is not a common one; tells whether it is NULL.
#[cold]
#[inline(never)]
fn decode_uncommon<C, D: Decode<C>>(
    decode: &D,
    rules: &Rules,
    block: &FieldBlock<'_>,
    field: FieldRef,
    cell: &mut C,
) -> Result<bool, Fault> {
    let value = block.value(field);
    match rules.kind(field, block) {
        Kind::Value => decode.decode(Portable, value, cell)?,
        Kind::Escaped => {
            rules.unescaped(value, field.is_quoted(), |value| {
                decode.decode(Portable, value, cell)
            })?;
        }
        Kind::Null => return Ok(true),
        Kind::Empty => return Err(Fault::QuotedEmpty),
        Kind::Fault(fault) => return Err(fault),
    }
    Ok(false)
}

// Out of line, so that the growth of the list takes no registers from the loop.
#[cold]
#[inline(never)]
fn push_fault(faults: &mut Vec<(u32, Fault)>, record: usize, fault: Fault) {
    faults.push((record_index(record), fault));
}

fn record_index(record: usize) -> u32 {
    u32::try_from(record).expect("a block has fewer records than bytes, which are under 2^32")
}

/// Converts one field of each record into text or bytes of `stride` bytes a row; `data` begins at
/// the block's first row.
pub(super) struct RenderBlock<'a, R, W> {
    pub render: &'a R,
    pub rules: &'a Rules,
    pub block: FieldBlock<'a>,
    pub rows: Rows<'a, W>,
    pub data: &'a mut [u8],
    pub stride: usize,
    pub faults: &'a mut Vec<(u32, Fault)>,
}

impl<R: Render, W: Word> Work for RenderBlock<'_, R, W> {
    type Output = Result<(), NeedStride>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        if !R::GOES_BY_STRIDE {
            return self.each::<L, WORD_BYTES>(lanes);
        }
        match copy_bytes(self.stride) {
            WORD_BYTES => self.each::<L, WORD_BYTES>(lanes),
            STEP_BYTES => self.each::<L, STEP_BYTES>(lanes),
            _ => self.each::<L, TWO_STEPS_BYTES>(lanes),
        }
    }
}

impl<R: Render, W: Word> RenderBlock<'_, R, W> {
    #[inline(always)]
    fn each<L: Lanes, const COPY: usize>(self, lanes: L) -> Result<(), NeedStride> {
        let Self { render, rules, block, rows, data, stride, faults } = self;
        let Rows { index, words } = rows;
        let mut at = index;
        let mut row_start = 0;
        let common = rules.common(R::TAKES_EMPTY);
        for (record, word) in words.iter_mut().enumerate() {
            let field = block.fields[at];
            at += block.field_count;
            let row = &mut data[row_start..];
            row_start += stride;
            if let Some(len) = common.len_of(field)
                && let Some(len) =
                    render.quick::<L, COPY>(lanes, block.value_of(field, len), row, stride)
            {
                // No branch: which texts are missing cannot be predicted.
                let is_missing = u8::from(R::TAKES_EMPTY) & u8::from(len == 0) != 0;
                *word = if is_missing { W::NULL } else { W::length(len) };
            } else if rules.is_missing(field) {
                *word = W::NULL;
            } else {
                match render_uncommon(render, rules, &block, field, row, stride) {
                    Ok(len) => *word = len.map_or(W::NULL, W::length),
                    Err(Stop::Fault(fault)) => {
                        *word = W::NULL;
                        push_fault(faults, record, fault);
                    }
                    Err(Stop::NeedStride(bytes)) => {
                        let record = record_index(record);
                        return Err(NeedStride { record, bytes });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Length of the text of a field that is not a common one, or not a quick one; `None` is
/// NULL.
#[cold]
#[inline(never)]
fn render_uncommon<R: Render>(
    render: &R,
    rules: &Rules,
    block: &FieldBlock<'_>,
    field: FieldRef,
    row: &mut [u8],
    stride: usize,
) -> Result<Option<usize>, Stop> {
    let (value, quoted) = (block.value(field), field.is_quoted());
    let rendered = match rules.kind(field, block) {
        Kind::Value => render.render(Portable, value, row, stride),
        Kind::Escaped => {
            render.render_escaped(rules, value.bytes(), quoted, row, stride).unwrap_or_else(|| {
                rules.unescaped(value, quoted, |value| render.render(Portable, value, row, stride))
            })
        }
        Kind::Empty => Ok(0),
        Kind::Null => return Ok(None),
        Kind::Fault(fault) => Err(Stop::Fault(fault)),
    };
    rendered.map(Some)
}
