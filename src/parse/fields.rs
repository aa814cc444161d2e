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
}

/// The fields that are common whatever their type: not escaped, not an empty one in quotes, and of
/// so many bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommonLengths {
    /// Least of twice the length, and 1 more outside quotes.
    least: u32,
    /// How much more it may be.
    more: u32,
}

impl CommonLengths {
    /// Fields of 1 to `most` bytes, and empty ones outside quotes if `takes_missing`. `most` is not
    /// 0 and under 2^30.
    pub(super) const fn new(most: u32, takes_missing: bool) -> Self {
        debug_assert!(0 < most && most <= LENGTH);
        let least = if takes_missing { 1 } else { 2 };
        Self { least, more: 2 * most + 1 - least }
    }

    /// Bytes of a field that is common.
    #[inline]
    pub(super) const fn of(self, field: FieldRef) -> Option<usize> {
        // 0 is the empty field in quotes, and one with the flag of an escaped field is larger than
        // all lengths.
        let length_and_quotes = field.length_and_flags.rotate_left(1) ^ 1;
        if length_and_quotes.wrapping_sub(self.least) <= self.more {
            Some((length_and_quotes >> 1) as usize)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_fields_are_told_by_one_comparison() {
        for takes_missing in [false, true] {
            for most in [1, 7, LENGTH] {
                let common = CommonLengths::new(most, takes_missing);
                for length in [0, 1, 2, 6, 7, 8, LENGTH - 1, LENGTH] {
                    for (quoted, escaped) in
                        [(false, false), (true, false), (false, true), (true, true)]
                    {
                        let has_length =
                            if length == 0 { takes_missing && !quoted } else { length <= most };
                        let expected = (has_length && !escaped).then_some(length as usize);
                        let field = FieldRef::new(5, length, quoted, escaped);
                        assert_eq!(common.of(field), expected, "{field:?} {common:?}");
                    }
                }
            }
        }
    }
}
