//! Digits eight and sixteen at a time inside ordinary words.
//!
//! A word holds text with its first byte in the lowest place (little endian), aligned to the end
//! of the field: what stands before the field is cleared, and a cleared byte counts as a leading
//! zero.

/// The byte `b` in each place of a 64-bit word.
pub(super) const fn splat8(b: u8) -> u64 {
    u64::from_le_bytes([b; 8])
}

/// The byte `b` in each place of a 128-bit word.
pub(in crate::parse) const fn splat16(b: u8) -> u128 {
    u128::from_le_bytes([b; 16])
}

/// `KEEP_LAST[n]` keeps the last `n` bytes of a 16-byte word.
pub(super) const KEEP_LAST: [u128; 17] = {
    let mut masks = [0; 17];
    let mut n = 1;
    while n <= 16 {
        masks[n] = u128::MAX << (8 * (16 - n));
        n += 1;
    }
    masks
};

/// `KEEP_FIRST[n]` keeps the first `n` bytes of a 16-byte word.
pub(super) const KEEP_FIRST: [u128; 17] = {
    let mut masks = [0; 17];
    let mut n = 1;
    while n <= 16 {
        masks[n] = u128::MAX >> (8 * (16 - n));
        n += 1;
    }
    masks
};

/// Keeps the last `n` bytes of an 8-byte word, 1 to 8.
#[inline(always)]
pub(super) const fn keep_last8(n: usize) -> u64 {
    u64::MAX << (64 - 8 * n)
}

/// Whether each byte is at most 9. Exact.
#[inline(always)]
pub(super) const fn all_digits8(values: u64) -> bool {
    // A byte over 0x7f carries into the next one, but then its own high bit has told already.
    ((values.wrapping_add(splat8(0x76))) | values) & splat8(0x80) == 0
}

/// 0x80 in each byte that is over 9. Exact in each byte.
#[inline(always)]
pub(super) const fn non_digits16(values: u128) -> u128 {
    (((values & splat16(0x7f)) + splat16(0x76)) | values) & splat16(0x80)
}

/// 0x80 in each byte that is over 9. Exact in each byte.
#[inline(always)]
pub(super) const fn non_digits8(values: u64) -> u64 {
    (((values & splat8(0x7f)) + splat8(0x76)) | values) & splat8(0x80)
}

/// Bit `i` is set where byte `i` is `byte` or more.
#[inline(always)]
pub(in crate::parse) const fn at_least8(bytes: u64, byte: u8) -> u64 {
    let (high, low) = (bytes & splat8(0x80), bytes & splat8(0x7f));
    // The low seven bits of a byte plus this carry into its high bit when they are at least the
    // bound's; then the high bits decide unless they are equal.
    let carries = low.wrapping_add(splat8(0x80 - (byte & 0x7f))) & splat8(0x80);
    let holds = if byte < 0x80 { high | carries } else { high & carries };
    // Gathers the eight high bits in the highest byte.
    (holds >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Whether each byte is at most the one in the same place of `most`, which is under 0x80.
#[inline(always)]
pub(in crate::parse) const fn all_at_most16(bytes: u128, most: u128) -> bool {
    let spare = splat16(0x7f) - most;
    (((bytes & splat16(0x7f)) + spare) | bytes) & splat16(0x80) == 0
}

/// Number made of eight digit values (0 to 9 each), the first one in the lowest byte.
#[inline(always)]
pub(super) const fn number8(values: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    // Bytes to numbers under 100 in every other byte, then two multiplications that add up the
    // four pairs in the upper half of the word.
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let first_and_third = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let second_and_fourth = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    first_and_third.wrapping_add(second_and_fourth) >> 32
}

/// 0 when each byte is ASCII and not NUL.
#[inline(always)]
pub(super) const fn unusual_bytes(word: u128) -> u64 {
    let (a, b) = halves(word);
    // The lowest zero byte borrows and becomes 0xff; without one nothing borrows.
    let zeros = a.wrapping_sub(splat8(1)) | b.wrapping_sub(splat8(1));
    (a | b | zeros) & splat8(0x80)
}

/// Whether the first `len` bytes, at most 16, are ASCII and not NUL.
#[inline(always)]
pub(in crate::parse) const fn are_plain_ascii(bytes: u128, len: usize) -> bool {
    let keep = KEEP_FIRST[len];
    unusual_bytes((bytes & keep) | (splat16(1) & !keep)) == 0
}

/// The two halves of a 16-byte word, the one that comes first in the text first.
#[expect(clippy::many_single_char_names, reason = "the bytes of a form, in order")]
#[inline(always)]
pub(in crate::parse) const fn halves(word: u128) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = word.to_le_bytes();
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p]))
}

/// Number made of sixteen digit values.
#[inline(always)]
pub(in crate::parse) const fn number16(values: u128) -> u64 {
    let (first, last) = halves(values);
    number8(first) * 100_000_000 + number8(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_eight_and_sixteen_digits() {
        let values = |text: &[u8; 8]| u64::from_le_bytes(*text) ^ splat8(b'0');
        assert_eq!(number8(values(b"12345678")), 12_345_678);
        assert_eq!(number8(values(b"99999999")), 99_999_999);
        assert_eq!(number8(values(b"00000000")), 0);
        let word = u128::from_le_bytes(*b"1234567890123456") ^ splat16(b'0');
        assert_eq!(number16(word), 1_234_567_890_123_456);
        assert_eq!(number16(word & KEEP_LAST[3]), 456);
        assert_eq!(number16(word & KEEP_LAST[0]), 0);
    }

    #[test]
    fn digits_are_told_from_all_other_bytes() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut text = *b"01987650";
                text[place] = byte;
                let word = u64::from_le_bytes(text) ^ splat8(b'0');
                assert_eq!(all_digits8(word), byte.is_ascii_digit(), "{byte:#x} at {place}");
                let expected = if byte.is_ascii_digit() { 0 } else { 0x80 << (8 * place) };
                assert_eq!(non_digits8(word), expected, "{byte:#x} at {place}");
            }
            for place in 0..16 {
                let mut text = *b"0198765012345678";
                text[place] = byte;
                let found = non_digits16(u128::from_le_bytes(text) ^ splat16(b'0'));
                let expected = if byte.is_ascii_digit() { 0 } else { 0x80 << (8 * place) };
                assert_eq!(found, expected, "{byte:#x} at {place}");
            }
        }
    }
}
