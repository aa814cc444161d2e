//! Where the fields of a record stand.

/// One field: a range of bytes relative to the start of its block of records, and how it was
/// written.
///
/// The range leaves out the surrounding quotes and, with `--trim`, the blanks around an unquoted
/// field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldRef {
    start: u32,
    /// Length in the low 30 bits, flags above.
    length_and_flags: u32,
}

const QUOTED: u32 = 1 << 31;
const ESCAPED: u32 = 1 << 30;
const LENGTH: u32 = ESCAPED - 1;

impl FieldRef {
    /// A field that the record does not have (`--fields pad`): NULL.
    pub const MISSING: Self = Self { start: 0, length_and_flags: 0 };

    /// An unquoted field of `length` bytes that hold no escape.
    ///
    /// Lengths are under [`crate::limits::RECORD_BYTES_CEILING`].
    #[inline]
    #[must_use]
    pub const fn plain(start: u32, length: u32) -> Self {
        debug_assert!(length <= LENGTH);
        Self { start, length_and_flags: length }
    }

    /// A field with the given flags.
    #[inline]
    #[must_use]
    pub const fn new(start: u32, length: u32, quoted: bool, escaped: bool) -> Self {
        debug_assert!(length <= LENGTH);
        let quoted = if quoted { QUOTED } else { 0 };
        let escaped = if escaped { ESCAPED } else { 0 };
        Self { start, length_and_flags: length | quoted | escaped }
    }

    /// The field without its last byte, which it must have.
    #[inline]
    pub(super) const fn without_last_byte(self) -> Self {
        debug_assert!(!self.is_empty());
        Self { start: self.start, length_and_flags: self.length_and_flags - 1 }
    }

    /// The field between the quotes that it begins and ends with.
    #[inline]
    pub(super) fn without_quotes(self, escaped: bool) -> Self {
        debug_assert!(self.len() >= 2);
        Self::new(self.start + 1, self.length_and_flags - 2, true, escaped)
    }

    /// Offset of the first byte from the start of the block.
    #[inline]
    #[must_use]
    pub const fn start(self) -> usize {
        self.start as usize
    }

    /// Bytes as they stand in the file.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        (self.length_and_flags & LENGTH) as usize
    }

    /// Whether there is no byte.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the field stood in quotes.
    #[inline]
    #[must_use]
    pub const fn is_quoted(self) -> bool {
        self.length_and_flags & QUOTED != 0
    }

    /// Whether the bytes hold doubled quotes or escapes that must be resolved.
    #[inline]
    #[must_use]
    pub const fn is_escaped(self) -> bool {
        self.length_and_flags & ESCAPED != 0
    }

    /// Whether the field is not escaped and has `least` to `most` bytes, quoted or not: the common
    /// case. `most` is under 2^30.
    #[inline]
    #[must_use]
    pub const fn is_unescaped(self, least: u32, most: u32) -> bool {
        debug_assert!(least <= most && most <= LENGTH);
        (self.length_and_flags & !QUOTED).wrapping_sub(least) <= most - least
    }

    /// Whether the field is an empty quoted one.
    #[inline]
    #[must_use]
    pub const fn is_quoted_empty(self) -> bool {
        self.length_and_flags == QUOTED
    }
}
