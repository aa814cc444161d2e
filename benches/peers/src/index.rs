//! The field index: positions of all delimiters and newlines outside quotes, 64 bytes at a time.
//!
//! Masks by vector comparison, quoting by carry-less multiplication (the prefix XOR of the quotes),
//! positions written out with four stores a round. The positions of a window of 16 KiB are written
//! over by those of the next, as a parser would read them in between.

use std::arch::x86_64::*;

use crate::Failure;
use crate::columns::COLUMNS;

const WINDOW_BYTES: usize = 16 << 10;
const BLOCK_BYTES: usize = 64;
/// Stores of the last round may go beyond the positions that there are.
const STORES_A_ROUND: usize = 4;

/// One bit a byte of a block.
struct Masks {
    separators: u64,
    quotes: u64,
}

/// Records of `body` with AVX-512.
///
/// # Errors
/// The processor has no AVX-512.
pub fn count_avx512(body: &[u8]) -> Result<u64, Failure> {
    if !(is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("pclmulqdq")) {
        return Err("the processor has no AVX-512".into());
    }
    // SAFETY: the features were just found.
    Ok(unsafe { avx512(body) })
}

/// Records of `body` with AVX2.
///
/// # Errors
/// The processor has no AVX2.
pub fn count_avx2(body: &[u8]) -> Result<u64, Failure> {
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("pclmulqdq")) {
        return Err("the processor has no AVX2".into());
    }
    // SAFETY: the features were just found.
    Ok(unsafe { avx2(body) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,pclmulqdq,popcnt,bmi1,bmi2,lzcnt")]
fn avx512(body: &[u8]) -> u64 {
    count(
        body,
        #[inline(always)]
        |block| {
            // SAFETY: a block has 64 bytes; the callers have looked for the features.
            unsafe {
                let bytes = _mm512_loadu_si512(block.as_ptr().cast());
                let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
                Masks { separators: equal(b',') | equal(b'\n'), quotes: equal(b'"') }
            }
        },
    )
}

#[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1,bmi2,lzcnt")]
fn avx2(body: &[u8]) -> u64 {
    count(
        body,
        #[inline(always)]
        |block| {
            // SAFETY: a block has 64 bytes; the callers have looked for the features.
            unsafe {
                let low = _mm256_loadu_si256(block.as_ptr().cast());
                let high = _mm256_loadu_si256(block.as_ptr().add(32).cast());
                let equal = |byte: u8| {
                    let wanted = _mm256_set1_epi8(byte as i8);
                    let half = |bytes| {
                        let equal = _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, wanted));
                        u64::from(equal.cast_unsigned())
                    };
                    half(low) | half(high) << 32
                };
                Masks { separators: equal(b',') | equal(b'\n'), quotes: equal(b'"') }
            }
        },
    )
}

/// Bit n of the result: whether an odd number of bits up to and with n are set.
#[inline(always)]
fn prefix_xor(bits: u64) -> u64 {
    // SAFETY: the callers have looked for the feature.
    unsafe {
        let bits = _mm_set_epi64x(0, bits.cast_signed());
        _mm_cvtsi128_si64(_mm_clmulepi64_si128(bits, _mm_set1_epi8(-1), 0)).cast_unsigned()
    }
}

#[inline(always)]
fn count(body: &[u8], masks: impl Fn(&[u8; BLOCK_BYTES]) -> Masks) -> u64 {
    let mut positions = vec![0_u32; 2 * WINDOW_BYTES + STORES_A_ROUND + BLOCK_BYTES];
    let (mut found, mut inside, mut records) = (0, 0_u64, 0);
    let mut window = 0;
    let blocks = body.chunks_exact(BLOCK_BYTES);
    let rest = blocks.remainder();
    for (number, block) in blocks.enumerate() {
        let block = block.first_chunk().expect("chunks of this length");
        let at = number * BLOCK_BYTES;
        if at - window >= WINDOW_BYTES {
            // What a parser does here: the fields of whole records are its to read, and the
            // separators of the record that goes on stand first in the next window.
            let whole = found / COLUMNS * COLUMNS;
            records += (found / COLUMNS) as u64;
            std::hint::black_box(&positions[..whole]);
            let moved = (at - window) as u32;
            for index in whole..found {
                positions[index - whole] = positions[index].wrapping_sub(moved);
            }
            (found, window) = (found - whole, at);
        }
        let Masks { separators, quotes } = masks(block);
        let quoted = prefix_xor(quotes) ^ inside;
        inside = (quoted.cast_signed() >> 63).cast_unsigned();
        let mut left = separators & !quoted;
        let ends = found + left.count_ones() as usize;
        let base = (at - window) as u32;
        while found < ends {
            // SAFETY: a window adds at most one position a byte to the few that were left over,
            // and there is room for a round and for more than a block beyond that.
            let round = unsafe { positions.get_unchecked_mut(found..found + STORES_A_ROUND) };
            for store in round {
                *store = base + left.trailing_zeros();
                left &= left.wrapping_sub(1);
            }
            found += STORES_A_ROUND;
        }
        found = ends;
    }
    for &byte in rest {
        match byte {
            b'"' => inside = !inside,
            b',' | b'\n' if inside == 0 => found += 1,
            _ => {}
        }
    }
    std::hint::black_box(&positions);
    records + (found / COLUMNS) as u64
}
