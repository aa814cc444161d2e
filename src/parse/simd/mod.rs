//! Sixty-four bytes at a time: the operations that scanning and converting are made of, in the
//! instructions of three kinds of processor.
//!
//! What is to be done is a [`Work`], written once for any [`Lanes`]. [`Kernel::run`] compiles it
//! three times, each time for the instructions of one kernel, and calls the one that was chosen.
//! A kernel holds a token that is made only where the processor has its instructions; so nothing
//! outside this module needs unsafe code. The tests below hold the three equal to loops over bytes.

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

    /// Has 64 bytes brought near that will be loaded soon.
    #[inline(always)]
    fn prefetch(self, bytes: &[u8; STEP_BYTES]) {
        let _ = (self, bytes);
    }

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

    /// Whether the first `len` bytes, at most 16, are ASCII and not NUL.
    fn are_plain_ascii(self, bytes: u128, len: usize) -> bool;

    /// Number made of sixteen digit values, the first one in the lowest byte.
    fn number16(self, values: u128) -> u64;

    /// As [`Self::number16`] without the value at `place`, under 16: those before it move up.
    fn number16_without(self, values: u128, place: usize) -> u64;

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
    fn are_plain_ascii(self, bytes: u128, len: usize) -> bool {
        swar::are_plain_ascii(bytes, len)
    }

    #[inline(always)]
    fn number16_without(self, values: u128, place: usize) -> u64 {
        let behind = u128::MAX << 8 << (8 * place);
        swar::number16((values & behind) | (values & !(u128::MAX << (8 * place))) << 8)
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
pub mod x86;

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

    struct Without(u128, usize);

    impl Work for Without {
        type Output = u64;

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            lanes.number16_without(self.0, self.1)
        }
    }

    struct Plain(u128, usize);

    impl Work for Plain {
        type Output = bool;

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            lanes.are_plain_ascii(self.0, self.1)
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

    #[test]
    fn plain_ascii_is_told_from_every_other_byte() {
        for byte in 0..=u8::MAX {
            for place in 0..16 {
                let mut bytes = *b"account,ok,12 \x01\x7f";
                bytes[place] = byte;
                for len in 0..=16 {
                    let expected = bytes[..len].iter().all(|&byte| byte.is_ascii() && byte != 0);
                    for kernel in Kernel::available() {
                        let found = kernel.run(Plain(u128::from_le_bytes(bytes), len));
                        assert_eq!(found, expected, "{kernel:?} {byte} at {place} of {len}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_digit_is_taken_out(number in 0..10_000_000_000_000_000_u64, place in 0..16_usize,
            byte: u8) {
            let mut digits = format!("{number:016}").into_bytes();
            digits.remove(place);
            let expected: u64 = String::from_utf8(digits.clone()).unwrap().parse().unwrap();
            for digit in &mut digits {
                *digit -= b'0';
            }
            digits.insert(place, byte);
            let values = u128::from_le_bytes(digits.try_into().expect("16 values"));
            for kernel in Kernel::available() {
                prop_assert_eq!(kernel.run(Without(values, place)), expected, "{:?}", kernel);
            }
        }

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
