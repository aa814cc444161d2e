//! The part that all types share: which fields are NULL or at fault whatever the type, escapes,
//! and the two loops over a block, for cells of fixed size and for text.

use crate::arena::column::NULL_INDICATOR;
use crate::config::dialect::Dialect;
use crate::limits;
use crate::parse::fields::FieldRef;
use crate::record::Fault;

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
    pub fn bytes(self) -> &'a [u8] {
        &self.window[self.start..self.start + self.len]
    }

    /// The last 16 bytes up to the value's end. Those before the value, if it is shorter, are
    /// anything.
    #[inline(always)]
    pub fn last16(self) -> u128 {
        let end = self.start + self.len;
        match end
            .checked_sub(16)
            .and_then(|start| self.window.get(start..end))
        {
            Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("a slice of 16 bytes")),
            None => self.last16_at_window_start(),
        }
    }

    #[cold]
    #[inline(never)]
    fn last16_at_window_start(self) -> u128 {
        let bytes = self.bytes();
        let last = &bytes[bytes.len().saturating_sub(16)..];
        let mut word = [0; 16];
        word[16 - last.len()..].copy_from_slice(last);
        u128::from_le_bytes(word)
    }

    /// The value without its sign, and whether the sign is a minus.
    #[inline(always)]
    pub fn split_sign(self) -> (Self, bool) {
        let first = self.window[self.start];
        let negative = first == b'-';
        let signed = usize::from(negative | (first == b'+'));
        let unsigned = Self {
            window: self.window,
            start: self.start + signed,
            len: self.len - signed,
        };
        (unsigned, negative)
    }

    /// Copies the value to the front of `row`; may write up to 31 bytes more, all inside `row`.
    ///
    /// # Panics
    /// If `row` is shorter than the value.
    #[inline(always)]
    pub fn copy_to(self, row: &mut [u8]) {
        let padded = if self.len <= 16 { 16 } else { 32 };
        if self.len <= 32
            && let Some(from) = self.window.get(self.start..self.start + padded)
            && let Some(to) = row.get_mut(..padded)
        {
            // A constant size for the compiler: one or two vector moves, no call.
            if padded == 16 {
                to.copy_from_slice(&from[..16]);
            } else {
                to.copy_from_slice(&from[..32]);
            }
        } else {
            row[..self.len].copy_from_slice(self.bytes());
        }
    }
}

/// Conversion to a cell of fixed size.
pub(super) trait Decode<C> {
    /// The cell of a value of at least one byte.
    fn decode(&self, value: Value<'_>) -> Result<C, Fault>;
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
    /// Writes a value (which may be empty only for text) to the front of `row` and gives its
    /// length, at most `stride`. `row` goes on to the end of the column: the rows behind are not
    /// filled yet and may be written over.
    fn render(&self, value: Value<'_>, row: &mut [u8], stride: usize) -> Result<usize, Stop>;

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

impl Rules {
    pub fn new(dialect: &Dialect, quoted_empty: QuotedEmpty, nullable: bool) -> Self {
        let null_values = dialect.null_values.clone();
        let bits = null_values.iter().map(|text| length_bit(text.len()));
        Self {
            null_lengths: bits.fold(0, |all, bit| all | bit),
            null_values,
            quoted_empty,
            nullable,
            max_field_bytes: dialect.max_field_bytes,
            quote: dialect.quote,
            escape: dialect.escape,
            double_quote: dialect.double_quote,
        }
    }

    #[inline(always)]
    fn kind(&self, field: FieldRef, block: &FieldBlock<'_>) -> Kind {
        let len = field.len();
        let common = if field.is_plain_value() {
            len <= self.max_field_bytes && self.null_lengths & length_bit(len) == 0
        } else {
            field.is_quoted() && !field.is_escaped() && len.wrapping_sub(1) < self.max_field_bytes
        };
        if common {
            Kind::Value
        } else {
            self.uncommon_kind(field, block)
        }
    }

    #[inline(never)]
    fn uncommon_kind(&self, field: FieldRef, block: &FieldBlock<'_>) -> Kind {
        let null = || {
            if self.nullable {
                Kind::Null
            } else {
                Kind::Fault(Fault::Null)
            }
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
        if field.is_escaped() {
            Kind::Escaped
        } else {
            Kind::Value
        }
    }

    /// Resolves doubled quotes and escapes of `raw` into `out`, as far as it has room, and gives
    /// the length of the result. `out` of the length of `raw` always has room.
    pub fn unescape(&self, raw: &[u8], quoted: bool, out: &mut [u8]) -> usize {
        let doubled = if quoted && self.double_quote {
            self.quote
        } else {
            None
        };
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
        convert(Value {
            window,
            start: SLACK,
            len,
        })
    }
}

impl<'a> FieldBlock<'a> {
    #[inline(always)]
    pub(super) fn value(&self, field: FieldRef) -> Value<'a> {
        Value {
            window: self.bytes,
            start: self.base + field.start(),
            len: field.len(),
        }
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
pub(super) fn decode_block<C, D: Decode<C>, W: Word>(
    decode: &D,
    rules: &Rules,
    block: &FieldBlock<'_>,
    rows: Rows<'_, W>,
    cells: &mut [C],
    faults: &mut Vec<(u32, Fault)>,
) {
    let cell_word = W::length(size_of::<C>());
    let records = block.fields.chunks_exact(block.field_count);
    let rows_out = cells.iter_mut().zip(rows.words);
    for ((record, fields), (cell, word)) in (0_u32..).zip(records).zip(rows_out) {
        let field = fields[rows.index];
        let value = block.value(field);
        let converted = match rules.kind(field, block) {
            Kind::Value => decode.decode(value),
            Kind::Escaped => rules.unescaped(value, field.is_quoted(), |v| decode.decode(v)),
            Kind::Null => {
                *word = W::NULL;
                continue;
            }
            Kind::Empty => Err(Fault::QuotedEmpty),
            Kind::Fault(fault) => Err(fault),
        };
        match converted {
            Ok(converted) => {
                *cell = converted;
                *word = cell_word;
            }
            Err(fault) => {
                *word = W::NULL;
                faults.push((record, fault));
            }
        }
    }
}

/// Converts one field of each record into text or bytes of `stride` bytes a row; `data` begins at
/// the block's first row.
pub(super) fn render_block<R: Render, W: Word>(
    render: &R,
    rules: &Rules,
    block: &FieldBlock<'_>,
    rows: Rows<'_, W>,
    (data, stride): (&mut [u8], usize),
    faults: &mut Vec<(u32, Fault)>,
) -> Result<(), NeedStride> {
    let records = block.fields.chunks_exact(block.field_count);
    let mut row_start = 0;
    for ((record, fields), word) in (0_u32..).zip(records).zip(rows.words) {
        let field = fields[rows.index];
        let value = block.value(field);
        let row = &mut data[row_start..];
        row_start += stride;
        let rendered = match rules.kind(field, block) {
            Kind::Value => render.render(value, row, stride),
            Kind::Escaped => {
                let quoted = field.is_quoted();
                render
                    .render_escaped(rules, value.bytes(), quoted, row, stride)
                    .unwrap_or_else(|| {
                        rules.unescaped(value, quoted, |v| render.render(v, row, stride))
                    })
            }
            Kind::Empty => Ok(0),
            Kind::Null => {
                *word = W::NULL;
                continue;
            }
            Kind::Fault(fault) => Err(Stop::Fault(fault)),
        };
        match rendered {
            Ok(len) => *word = W::length(len),
            Err(Stop::Fault(fault)) => {
                *word = W::NULL;
                faults.push((record, fault));
            }
            Err(Stop::NeedStride(bytes)) => return Err(NeedStride { record, bytes }),
        }
    }
    Ok(())
}
