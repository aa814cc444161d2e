//! Sixty-four bytes at a time: the operations that scanning and converting are made of, in the
//! instructions of three kinds of processor.
//!
//! What is to be done is a [`Work`], written once for any [`Lanes`]. [`Kernel::run`] compiles it
//! three times, each time for the instructions of one kernel, and calls the one that was chosen.
//! A kernel holds a token that is made only where the processor has its instructions; so nothing
//! outside this file needs unsafe code. The tests below hold the three equal to loops over bytes.

#![expect(
    unsafe_code,
    reason = "calls of what needs a processor feature, loads and stores of SIMD registers"
)]

use super::convert::swar;

/// Bytes that one step looks at.
pub const STEP_BYTES: usize = 64;

/// Operations on 64 bytes; bit `i` of a mask speaks of byte `i`.
pub trait Lanes: Copy {
    /// 64 bytes in registers.
    type Block: Copy;

    /// Whether a block costs little more than a word: where not, short text goes word by word.
    const IS_WIDE: bool;

    /// Loads 64 bytes.
    fn load(self, bytes: &[u8; STEP_BYTES]) -> Self::Block;

    /// Stores 64 bytes.
    fn store(self, block: Self::Block, to: &mut [u8; STEP_BYTES]);

    /// Where the byte is `byte`.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// Where the byte is `byte` or more.
    fn at_least(self, block: Self::Block, byte: u8) -> u64;

    /// Bit `i` is the parity of the bits `0..=i`.
    fn parity(self, mask: u64) -> u64;

    /// Writes the places of the set bits of `mask`, counted from `offset`, in ascending order.
    /// Entries behind the last one are anything.
    fn write_bits(self, mask: u64, offset: u32, to: &mut [u32; STEP_BYTES]);

    /// Whether each byte is at most the one in the same place of `most`.
    fn all_at_most(self, bytes: u128, most: u128) -> bool;

    /// Bit `i` is set where byte `i` is over 9.
    fn non_digits(self, bytes: u128) -> u32;

    /// Number made of sixteen digit values, the first one in the lowest byte.
    fn number16(self, values: u128) -> u64;

    /// Sums of four neighbours: each byte times its weight of `first`, pairs of these sums times
    /// their weights of `second`. Bytes and weights are so small that nothing overflows.
    fn weigh(self, bytes: u128, first: [i8; 16], second: [i16; 8]) -> [u32; 4];
}

/// Something to do with the operations of any kernel.
pub trait Work {
    /// What comes out.
    type Output;

    /// Does it. `#[inline(always)]`, like all it calls, or it is compiled for no kernel at all.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Which instructions are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// AVX-512 with operations on bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// No special instructions.
    Portable,
}

impl Kernel {
    /// All kernels that this processor can run, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(x86::Avx512::detect().map(Self::Avx512));
            kernels.extend(x86::Avx2::detect().map(Self::Avx2));
        }
        kernels.push(Self::Portable);
        kernels
    }

    /// The fastest kernel of this processor.
    #[must_use]
    pub fn fastest() -> Self {
        Self::available()[0]
    }

    /// A word for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Does `work` with the instructions of this kernel.
    #[inline]
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the token exists, so the processor was asked for these instructions.
            Self::Avx512(lanes) => unsafe { x86::run_avx512(lanes, work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2(lanes) => unsafe { x86::run_avx2(lanes, work) },
            Self::Portable => work.run(Portable),
        }
    }
}

/// The operations in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portable;

impl Lanes for Portable {
    type Block = [u8; STEP_BYTES];

    const IS_WIDE: bool = false;

    #[inline(always)]
    fn load(self, bytes: &[u8; STEP_BYTES]) -> Self::Block {
        *bytes
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8; STEP_BYTES]) {
        *to = block;
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        // A byte that is equal becomes 0, and only 0 is not at least 1.
        !self.at_least(block.map(|other| other ^ byte), 1)
    }

    #[inline(always)]
    fn at_least(self, block: Self::Block, byte: u8) -> u64 {
        let (words, _) = block.as_chunks::<8>();
        words.iter().enumerate().fold(0, |mask, (index, &word)| {
            mask | swar::at_least8(u64::from_le_bytes(word), byte) << (8 * index)
        })
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        [1, 2, 4, 8, 16, 32].iter().fold(mask, |parity, shift| parity ^ (parity << shift))
    }

    #[inline(always)]
    fn write_bits(self, mask: u64, offset: u32, to: &mut [u32; STEP_BYTES]) {
        write_bits(mask, offset, to);
    }

    #[inline(always)]
    fn all_at_most(self, bytes: u128, most: u128) -> bool {
        swar::all_at_most16(bytes, most)
    }

    #[inline(always)]
    fn non_digits(self, bytes: u128) -> u32 {
        let (first, last) = swar::halves(bytes);
        let mask = swar::at_least8(first, 10) | swar::at_least8(last, 10) << 8;
        u32::try_from(mask).expect("a bit for each of 16 bytes")
    }

    #[inline(always)]
    fn number16(self, values: u128) -> u64 {
        swar::number16(values)
    }

    #[inline(always)]
    fn weigh(self, bytes: u128, first: [i8; 16], second: [i16; 8]) -> [u32; 4] {
        let bytes = bytes.to_le_bytes();
        std::array::from_fn(|sum| {
            let terms = 4 * sum..4 * sum + 4;
            let terms = terms
                .map(|at| i32::from(bytes[at]) * i32::from(first[at]) * i32::from(second[at / 2]));
            terms.sum::<i32>().cast_unsigned()
        })
    }
}

/// [`Lanes::write_bits`] one bit at a time.
#[inline(always)]
fn write_bits(mask: u64, offset: u32, to: &mut [u32; STEP_BYTES]) {
    let mut left = mask;
    let (eights, _) = to.as_chunks_mut::<8>();
    // Eight at a time without asking whether there are so many.
    for eight in eights {
        for entry in eight {
            *entry = offset.wrapping_add(left.trailing_zeros());
            left &= left.wrapping_sub(1);
        }
        if left == 0 {
            break;
        }
    }
}

/// Kernels of x86-64.
#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cvtsi64_si128,
        _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16, _mm_max_epu8,
        _mm_movemask_epi8, _mm_packus_epi32, _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32,
        _mm_storeu_si128, _mm_subs_epu8, _mm_testz_si128, _mm256_cmpeq_epi8, _mm256_loadu_si256,
        _mm256_max_epu8, _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_storeu_si256,
        _mm512_add_epi32, _mm512_cmpeq_epi8_mask, _mm512_cmpge_epu8_mask, _mm512_loadu_si512,
        _mm512_maskz_compress_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_storeu_si512,
    };

    use super::{Lanes, STEP_BYTES, Work, write_bits};

    /// Proof that the processor has AVX-512 for bytes, and what belongs to it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Avx512(Avx2);

    /// Proof that the processor has AVX2, and what belongs to it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Avx2(());

    impl Avx512 {
        pub(super) fn detect() -> Option<Self> {
            let has = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
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

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
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
                let product = _mm_clmulepi64_si128::<0>(
                    _mm_cvtsi64_si128(mask.cast_signed()),
                    _mm_set1_epi8(-1),
                );
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
        fn number16(self, values: u128) -> u64 {
            const TENS: i16 = i16::from_le_bytes([10, 1]);
            const HUNDREDS: i32 = 0x64 | 1 << 16;
            const MYRIADS: i32 = 0x2710 | 1 << 16;
            let values = vector(values);
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

    const ORDER: [i32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

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

        // Sixteen places at a time, however many bits are set: the number cannot be predicted.
        #[inline(always)]
        fn write_bits(self, mask: u64, offset: u32, to: &mut [u32; STEP_BYTES]) {
            let mut filled = 0;
            for quarter in 0..4 {
                let [low, high, ..] = (mask >> (16 * quarter)).to_le_bytes();
                let bits = u16::from_le_bytes([low, high]);
                // No more than 16 of each quarter before.
                let room = &mut to[filled..filled + 16];
                // SAFETY: `room` has the 16 entries of 4 bytes that are stored, at any alignment.
                // The token says that the processor has AVX-512.
                unsafe {
                    let first = offset.wrapping_add(16 * quarter).cast_signed();
                    let places = _mm512_add_epi32(
                        _mm512_loadu_si512(ORDER.as_ptr().cast()),
                        _mm512_set1_epi32(first),
                    );
                    let set = _mm512_maskz_compress_epi32(bits, places);
                    _mm512_storeu_si512(room.as_mut_ptr().cast(), set);
                }
                filled += bits.count_ones() as usize;
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
        fn number16(self, values: u128) -> u64 {
            self.0.number16(values)
        }

        #[inline(always)]
        fn weigh(self, bytes: u128, first: [i8; 16], second: [i16; 8]) -> [u32; 4] {
            self.0.weigh(bytes, first, second)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Masks([u8; STEP_BYTES], u8);

    impl Work for Masks {
        type Output = (u64, u64, u64, [u8; STEP_BYTES], Vec<u32>);

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            let Self(bytes, byte) = self;
            let block = lanes.load(&bytes);
            let mut stored = [0; STEP_BYTES];
            lanes.store(block, &mut stored);
            let equal = lanes.equal(block, byte);
            let mut places = [0; STEP_BYTES];
            lanes.write_bits(equal, 7, &mut places);
            let places = places[..equal.count_ones() as usize].to_vec();
            (equal, lanes.at_least(block, byte), lanes.parity(equal), stored, places)
        }
    }

    struct Digits(u128);

    const FIRST: [i8; 16] = [10, 1, 10, 1, 0, 10, 1, 0, 10, 1, 0, 10, 1, 0, 10, 1];
    const SECOND: [i16; 8] = [100, 1, 1, 1, 1, 256, 1, 256];

    impl Work for Digits {
        type Output = (bool, u32, Option<u64>, [u32; 4]);

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            let digits = lanes.all_at_most(self.0, swar::splat16(9));
            let weighed = if digits { lanes.weigh(self.0, FIRST, SECOND) } else { [0; 4] };
            (digits, lanes.non_digits(self.0), digits.then(|| lanes.number16(self.0)), weighed)
        }
    }

    fn mask(holds: impl Fn(usize) -> bool) -> u64 {
        (0..STEP_BYTES).fold(0, |mask, bit| mask | u64::from(holds(bit)) << bit)
    }

    fn check(bytes: [u8; STEP_BYTES], byte: u8) {
        let equal = mask(|at| bytes[at] == byte);
        let expected = (
            equal,
            mask(|at| bytes[at] >= byte),
            mask(|at| bytes[..=at].iter().filter(|&&other| other == byte).count() % 2 == 1),
            bytes,
            (7..).zip(bytes).filter(|&(_, other)| other == byte).map(|(at, _)| at).collect(),
        );
        for kernel in Kernel::available() {
            assert_eq!(kernel.run(Masks(bytes, byte)), expected, "{kernel:?}");
        }
    }

    #[test]
    fn every_byte_against_every_bound() {
        for bound in 0..=u8::MAX {
            for first in [0, 64, 128, 192_u8] {
                check(std::array::from_fn(|at| first + u8::try_from(at).expect("small")), bound);
            }
        }
    }

    proptest! {
        #[test]
        fn masks_equal_loops(
            bytes in prop::collection::vec(prop_oneof![Just(b','), any::<u8>()], STEP_BYTES),
            byte: u8,
        ) {
            let bytes = bytes.try_into().expect("64 bytes");
            check(bytes, byte);
            check(bytes, b',');
        }

        #[test]
        fn numbers_equal_parsed_text(number in 0..10_000_000_000_000_000_u64,
            place in 0..16_u32, byte: u8) {
            let text = format!("{number:016}").into_bytes();
            let text: [u8; 16] = text.try_into().expect("16 digits");
            let digits = u128::from_le_bytes(text) ^ swar::splat16(b'0');
            let other = digits & !(0xff_u128 << (8 * place)) | u128::from(byte) << (8 * place);
            for kernel in Kernel::available() {
                let d = digits.to_le_bytes().map(u32::from);
                let sums = [
                    1000 * d[0] + 100 * d[1] + 10 * d[2] + d[3],
                    10 * d[5] + d[6],
                    10 * d[8] + d[9] + 256 * 10 * d[11],
                    d[12] + 256 * (10 * d[14] + d[15]),
                ];
                prop_assert_eq!(kernel.run(Digits(digits)), (true, 0, Some(number), sums));
                let (are_digits, non_digits, ..) = kernel.run(Digits(other));
                prop_assert_eq!(are_digits, byte <= 9);
                prop_assert_eq!(non_digits, u32::from(byte > 9) << place);
            }
        }
    }
}
