//! The operations on 64 bytes in the instructions of x86-64: AVX-512, and AVX2.

#![expect(unsafe_code, reason = "loads and stores of SIMD registers")]

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _MM_HINT_T0, _mm_clmulepi64_si128, _mm_cmpeq_epi8,
    _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16,
    _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_packus_epi32, _mm_prefetch, _mm_set1_epi8,
    _mm_set1_epi16, _mm_set1_epi32, _mm_setzero_si128, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm_subs_epu8, _mm_testz_si128, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8,
    _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_cmpeq_epi8_mask, _mm512_cmpge_epu8_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_storeu_si512,
};

use super::{Lanes, STEP_BYTES, Work, write_bits};

/// Proof that the processor has AVX-512 for bytes with their compression (Intel since Ice Lake,
/// AMD since Zen 4), and AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx512(Avx2);

/// Proof that the processor has AVX2, and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi2");
        Avx2::detect().filter(|_| has).map(Self)
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has.then_some(Self(()))
    }
}

#[target_feature(
    enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq"
)]
pub(super) fn run_avx512<W: Work>(lanes: Avx512, work: W) -> W::Output {
    work.run(lanes)
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
pub(super) fn run_avx2<W: Work>(lanes: Avx2, work: W) -> W::Output {
    work.run(lanes)
}

#[inline(always)]
fn vector(bytes: u128) -> __m128i {
    let bytes = bytes.to_le_bytes();
    // SAFETY: the array has the 16 bytes that are loaded; the load takes any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

impl Lanes for Avx2 {
    type Block = [__m256i; 2];

    const IS_WIDE: bool = true;

    #[inline(always)]
    fn load(self, bytes: &[u8; STEP_BYTES]) -> Self::Block {
        let (halves, _) = bytes.as_chunks::<32>();
        // SAFETY: each half is an array of the 32 bytes that are loaded, at any alignment. The
        // token says that the processor has AVX2.
        unsafe {
            [
                _mm256_loadu_si256(halves[0].as_ptr().cast()),
                _mm256_loadu_si256(halves[1].as_ptr().cast()),
            ]
        }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8; STEP_BYTES]) {
        // SAFETY: a hint, which changes nothing; the address is one of bytes that are there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8; STEP_BYTES]) {
        let (halves, _) = to.as_chunks_mut::<32>();
        // SAFETY: each half is an array of the 32 bytes that are stored, at any alignment. The
        // token says that the processor has AVX2.
        unsafe {
            _mm256_storeu_si256(halves[0].as_mut_ptr().cast(), block[0]);
            _mm256_storeu_si256(halves[1].as_mut_ptr().cast(), block[1]);
        }
    }

    // No closures: what is not compiled for the kernel as a whole cannot take the
    // instructions in, and calls them one by one.
    #[inline(always)]
    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        // SAFETY: the token says that the processor has AVX2.
        let (low, high) = unsafe {
            let needle = _mm256_set1_epi8(byte.cast_signed());
            (
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(block[0], needle)),
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(block[1], needle)),
            )
        };
        u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
    }

    #[inline(always)]
    fn at_least(self, block: Self::Block, byte: u8) -> u64 {
        // SAFETY: the token says that the processor has AVX2.
        let (low, high) = unsafe {
            if byte == 0x80 {
                (_mm256_movemask_epi8(block[0]), _mm256_movemask_epi8(block[1]))
            } else {
                let bound = _mm256_set1_epi8(byte.cast_signed());
                let (low, high) =
                    (_mm256_max_epu8(block[0], bound), _mm256_max_epu8(block[1], bound));
                (
                    _mm256_movemask_epi8(_mm256_cmpeq_epi8(block[0], low)),
                    _mm256_movemask_epi8(_mm256_cmpeq_epi8(block[1], high)),
                )
            }
        };
        u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        // SAFETY: the token says that the processor has PCLMULQDQ.
        unsafe {
            let product =
                _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(mask.cast_signed()), _mm_set1_epi8(-1));
            _mm_cvtsi128_si64(product).cast_unsigned()
        }
    }

    #[inline(always)]
    fn write_bits(self, mask: u64, offset: u32, to: &mut [u32; STEP_BYTES]) {
        write_bits(mask, offset, to);
    }

    #[inline(always)]
    fn all_at_most(self, bytes: u128, most: u128) -> bool {
        let (bytes, most) = (vector(bytes), vector(most));
        // SAFETY: the token says that the processor has AVX2, and so SSE4.1.
        unsafe {
            let over = _mm_subs_epu8(bytes, most);
            _mm_testz_si128(over, over) != 0
        }
    }

    #[inline(always)]
    fn non_digits(self, bytes: u128) -> u32 {
        let bytes = vector(bytes);
        // SAFETY: the token says that the processor has AVX2.
        let digits = unsafe {
            let nine = _mm_set1_epi8(9);
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(bytes, nine), nine))
        };
        digits.cast_unsigned() ^ 0xffff
    }

    #[inline(always)]
    fn are_plain_ascii(self, bytes: u128, len: usize) -> bool {
        let bytes = vector(bytes);
        // SAFETY: the token says that the processor has AVX2.
        let unusual = unsafe {
            let nul = _mm_cmpeq_epi8(bytes, _mm_setzero_si128());
            _mm_movemask_epi8(_mm_or_si128(bytes, nul))
        };
        unusual.cast_unsigned() & ((1 << len) - 1) == 0
    }

    #[inline(always)]
    fn weigh(self, bytes: u128, first: [i8; 16], second: [i16; 8]) -> [u32; 4] {
        let mut sums = [0; 4];
        // SAFETY: the arrays have the 16 bytes that are loaded and stored, at any alignment.
        // The token says that the processor has AVX2, and so SSSE3.
        unsafe {
            let first = _mm_loadu_si128(first.as_ptr().cast());
            let second = _mm_loadu_si128(second.as_ptr().cast());
            let weighed = _mm_madd_epi16(_mm_maddubs_epi16(vector(bytes), first), second);
            _mm_storeu_si128(sums.as_mut_ptr().cast(), weighed);
        }
        sums
    }

    #[inline(always)]
    fn number16_without(self, values: u128, place: usize) -> u64 {
        let from = u128::from_le_bytes(WITHOUT[place & 15]);
        // SAFETY: the token says that the processor has AVX2, and so SSSE3.
        let moved = unsafe { _mm_shuffle_epi8(vector(values), vector(from)) };
        self.number_of(moved)
    }

    #[inline(always)]
    fn number16(self, values: u128) -> u64 {
        self.number_of(vector(values))
    }
}

/// For each place of 16 where bytes come from if that one is taken out: those before it from one
/// place earlier, the first from nowhere.
const WITHOUT: [[u8; 16]; 16] = {
    const NOWHERE: u8 = 0x80;
    let mut all = [[0; 16]; 16];
    let mut place = 0;
    while place < 16 {
        let mut to = 0;
        while to < 16 {
            #[expect(clippy::cast_possible_truncation, reason = "under 16")]
            let (same, before) =
                (to as u8, (to as u8).wrapping_sub(1) | (NOWHERE * (to == 0) as u8));
            all[place][to] = if to <= place { before } else { same };
            to += 1;
        }
        place += 1;
    }
    all
};

impl Avx2 {
    /// Number made of sixteen digit values.
    #[expect(clippy::unused_self, reason = "the token is the proof that it may be called")]
    #[inline(always)]
    fn number_of(self, values: __m128i) -> u64 {
        const TENS: i16 = i16::from_le_bytes([10, 1]);
        const HUNDREDS: i32 = 0x64 | 1 << 16;
        const MYRIADS: i32 = 0x2710 | 1 << 16;
        // SAFETY: the token says that the processor has AVX2, and so SSSE3 and SSE4.1.
        let eights = unsafe {
            let pairs = _mm_maddubs_epi16(values, _mm_set1_epi16(TENS));
            let fours = _mm_madd_epi16(pairs, _mm_set1_epi32(HUNDREDS));
            let fours = _mm_packus_epi32(fours, fours);
            _mm_cvtsi128_si64(_mm_madd_epi16(fours, _mm_set1_epi32(MYRIADS))).cast_unsigned()
        };
        (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32)
    }
}

/// Each place in its place.
const IDENTITY: [u8; STEP_BYTES] = {
    let mut places = [0; STEP_BYTES];
    let mut place = 0;
    while place < STEP_BYTES {
        #[expect(clippy::cast_possible_truncation, reason = "under 64")]
        let byte = place as u8;
        places[place] = byte;
        place += 1;
    }
    places
};

impl Lanes for Avx512 {
    type Block = __m512i;

    const IS_WIDE: bool = true;

    #[inline(always)]
    fn load(self, bytes: &[u8; STEP_BYTES]) -> Self::Block {
        // SAFETY: `bytes` is an array of the 64 bytes that are loaded, at any alignment. The
        // token says that the processor has AVX-512.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8; STEP_BYTES]) {
        // SAFETY: a hint, which changes nothing; the address is one of bytes that are there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8; STEP_BYTES]) {
        // SAFETY: `to` is an array of the 64 bytes that are stored, at any alignment. The token
        // says that the processor has AVX-512.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), block) }
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        // SAFETY: the token says that the processor has AVX-512 for bytes.
        unsafe { _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(byte.cast_signed())) }
    }

    #[inline(always)]
    fn at_least(self, block: Self::Block, byte: u8) -> u64 {
        // SAFETY: the token says that the processor has AVX-512 for bytes.
        unsafe { _mm512_cmpge_epu8_mask(block, _mm512_set1_epi8(byte.cast_signed())) }
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        self.0.parity(mask)
    }

    // Sixteen places at a time. Text has so few separators that once is nearly always enough;
    // going on for each bit could not be predicted.
    #[inline(always)]
    fn write_bits(self, mask: u64, offset: u32, to: &mut [u32; STEP_BYTES]) {
        let count = mask.count_ones();
        let (quarters, _) = to.as_chunks_mut::<16>();
        // SAFETY: `IDENTITY` has the 64 bytes that are loaded, at any alignment. The token says
        // that the processor has AVX-512 for bytes and their compression.
        let (places, offset) = unsafe {
            let all = _mm512_loadu_si512(IDENTITY.as_ptr().cast());
            (_mm512_maskz_compress_epi8(mask, all), _mm512_set1_epi32(offset.cast_signed()))
        };
        macro_rules! write {
            ($quarter:literal) => {
                // SAFETY: a quarter has the 16 entries of 4 bytes that are stored, at any
                // alignment. The token says that the processor has AVX-512.
                unsafe {
                    let some = _mm512_extracti32x4_epi32::<$quarter>(places);
                    let some = _mm512_add_epi32(_mm512_cvtepu8_epi32(some), offset);
                    _mm512_storeu_si512(quarters[$quarter].as_mut_ptr().cast(), some);
                }
            };
        }
        write!(0);
        if count > 16 {
            write!(1);
            if count > 32 {
                write!(2);
                write!(3);
            }
        }
    }

    #[inline(always)]
    fn all_at_most(self, bytes: u128, most: u128) -> bool {
        self.0.all_at_most(bytes, most)
    }

    #[inline(always)]
    fn non_digits(self, bytes: u128) -> u32 {
        self.0.non_digits(bytes)
    }

    #[inline(always)]
    fn are_plain_ascii(self, bytes: u128, len: usize) -> bool {
        self.0.are_plain_ascii(bytes, len)
    }

    #[inline(always)]
    fn number16_without(self, values: u128, place: usize) -> u64 {
        self.0.number16_without(values, place)
    }

    #[inline(always)]
    fn number16(self, values: u128) -> u64 {
        self.0.number16(values)
    }

    #[inline(always)]
    fn weigh(self, bytes: u128, first: [i8; 16], second: [i16; 8]) -> [u32; 4] {
        self.0.weigh(bytes, first, second)
    }
}
