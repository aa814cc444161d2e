//! Where the bytes with a role stand: offsets of delimiters, quotes, newlines and escapes, found 64
//! bytes at a time.
//!
//! A kernel compares 64 bytes with each needle, joins the answers in one 64-bit mask and writes out
//! the positions of its bits. Which needle it was is read from the byte again by the caller: one
//! list of positions is cheaper than one list a needle. Three kernels, chosen at run time: AVX-512,
//! AVX2, portable. Each is held equal to a loop over the bytes by the tests below.

#![expect(
    unsafe_code,
    reason = "loads of SIMD registers and calls of what needs a processor feature"
)]

/// Most different bytes a scanner looks for.
pub const NEEDLES_MAX: usize = 4;

/// Bytes that one kernel step looks at.
pub const STEP_BYTES: usize = 64;

/// Entries that a kernel may write beyond the positions it reports: the unrolled writer overshoots.
const SLACK: usize = STEP_BYTES;

/// A list of positions with room for one window.
#[derive(Debug)]
pub struct Positions {
    entries: Box<[u32]>,
    filled: usize,
}

impl Positions {
    /// Room for the positions of `window_bytes` bytes, all of which may be needles.
    #[must_use]
    pub fn with_window(window_bytes: usize) -> Self {
        let room = window_bytes.next_multiple_of(STEP_BYTES) + SLACK;
        Self { entries: vec![0; room].into_boxed_slice(), filled: 0 }
    }

    /// The positions found, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.entries[..self.filled]
    }

    /// The positions found, ascending, and the room behind them.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u32> {
        if index < self.filled { Some(self.entries[index]) } else { None }
    }

    /// Appends the set bits of `mask` as positions from `offset` on.
    #[inline]
    fn push_mask(&mut self, mut mask: u64, offset: u32) {
        let count = mask.count_ones() as usize;
        let room = &mut self.entries[self.filled..self.filled + STEP_BYTES];
        // Eight at a time without asking: what is written too much is overwritten later.
        for eight in room.chunks_exact_mut(8) {
            if mask == 0 {
                break;
            }
            for entry in eight {
                *entry = offset.wrapping_add(mask.trailing_zeros());
                mask &= mask.wrapping_sub(1);
            }
        }
        self.filled += count;
    }
}

/// Which instructions a scanner uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// AVX-512 with byte comparisons.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
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
            if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512f") {
                kernels.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                kernels.push(Self::Avx2);
            }
        }
        kernels.push(Self::Portable);
        kernels
    }
}

/// Looks for up to [`NEEDLES_MAX`] bytes.
#[derive(Debug, Clone)]
pub struct Scanner {
    needles: [u8; NEEDLES_MAX],
    kernel: Kernel,
}

impl Scanner {
    /// A scanner for `needles` with the fastest kernel that this processor has.
    ///
    /// # Panics
    /// If there is no needle, or more than [`NEEDLES_MAX`].
    #[must_use]
    pub fn new(needles: &[u8]) -> Self {
        Self::with_kernel(needles, Kernel::available()[0])
    }

    /// A scanner with a certain kernel, which must be one of [`Kernel::available`].
    ///
    /// # Panics
    /// As [`Self::new`], and if the processor cannot run the kernel.
    #[must_use]
    pub fn with_kernel(needles: &[u8], kernel: Kernel) -> Self {
        assert!((1..=NEEDLES_MAX).contains(&needles.len()));
        assert!(Kernel::available().contains(&kernel), "this processor lacks {kernel:?}");
        let mut padded = [needles[0]; NEEDLES_MAX];
        padded[..needles.len()].copy_from_slice(needles);
        Self { needles: padded, kernel }
    }

    /// Replaces what is in `out` by the positions of needles in `window`, counted from its start.
    ///
    /// # Panics
    /// If `out` was made for a smaller window.
    pub fn scan(&self, window: &[u8], out: &mut Positions) {
        assert!(window.len().next_multiple_of(STEP_BYTES) + SLACK <= out.entries.len());
        out.filled = 0;
        let (steps, rest) = window.as_chunks::<STEP_BYTES>();
        match self.kernel {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `with_kernel` made sure that this processor has the instructions.
            Kernel::Avx512 => unsafe { x86::scan_avx512(self.needles, steps, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Kernel::Avx2 => unsafe { x86::scan_avx2(self.needles, steps, out) },
            Kernel::Portable => portable(self.needles, steps, out),
        }
        if !rest.is_empty() {
            let mut last = [0; STEP_BYTES];
            last[..rest.len()].copy_from_slice(rest);
            let mask = mask_portable(self.needles, &last) & ((1 << rest.len()) - 1);
            out.push_mask(mask, step_offset(steps.len()));
        }
    }
}

#[inline]
fn step_offset(step: usize) -> u32 {
    u32::try_from(step * STEP_BYTES).expect("a window is far smaller than 4 GiB")
}

fn portable(needles: [u8; NEEDLES_MAX], steps: &[[u8; STEP_BYTES]], out: &mut Positions) {
    for (step, bytes) in steps.iter().enumerate() {
        out.push_mask(mask_portable(needles, bytes), step_offset(step));
    }
}

/// Bit `i` is set where byte `i` is one of the needles.
#[inline]
fn mask_portable(needles: [u8; NEEDLES_MAX], bytes: &[u8; STEP_BYTES]) -> u64 {
    let mut mask = 0;
    for (bit, &byte) in bytes.iter().enumerate() {
        let hit = needles.iter().fold(0, |hit, &needle| hit | u64::from(needle == byte));
        mask |= hit << bit;
    }
    mask
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_loadu_si512,
        _mm512_set1_epi8,
    };

    use super::{NEEDLES_MAX, Positions, STEP_BYTES, step_offset};

    #[target_feature(enable = "avx512f,avx512bw,bmi1,popcnt")]
    pub(super) fn scan_avx512(
        needles: [u8; NEEDLES_MAX],
        steps: &[[u8; STEP_BYTES]],
        out: &mut Positions,
    ) {
        let needles: [__m512i; NEEDLES_MAX] =
            needles.map(|needle| _mm512_set1_epi8(needle.cast_signed()));
        for (step, bytes) in steps.iter().enumerate() {
            // SAFETY: `bytes` is an array of exactly the 64 bytes that are loaded; the load takes
            // any alignment.
            let loaded = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
            let mask = needles
                .iter()
                .fold(0, |mask, &needle| mask | _mm512_cmpeq_epi8_mask(loaded, needle));
            out.push_mask(mask, step_offset(step));
        }
    }

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    pub(super) fn scan_avx2(
        needles: [u8; NEEDLES_MAX],
        steps: &[[u8; STEP_BYTES]],
        out: &mut Positions,
    ) {
        let needles: [__m256i; NEEDLES_MAX] =
            needles.map(|needle| _mm256_set1_epi8(needle.cast_signed()));
        for (step, bytes) in steps.iter().enumerate() {
            let (halves, _) = bytes.as_chunks::<32>();
            let mut mask = 0;
            for (half, bytes) in halves.iter().enumerate() {
                // SAFETY: `bytes` is an array of exactly the 32 bytes that are loaded; the load
                // takes any alignment.
                let loaded = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
                let hits = needles.iter().fold(_mm256_set1_epi8(0), |hits, &needle| {
                    _mm256_or_si256(hits, _mm256_cmpeq_epi8(loaded, needle))
                });
                let bits = _mm256_movemask_epi8(hits).cast_unsigned();
                mask |= u64::from(bits) << (32 * half);
            }
            out.push_mask(mask, step_offset(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(needles: &[u8], window: &[u8]) -> Vec<u32> {
        (0..).zip(window).filter(|(_, byte)| needles.contains(byte)).map(|(at, _)| at).collect()
    }

    fn check(needles: &[u8], window: &[u8]) {
        for kernel in Kernel::available() {
            let mut out = Positions::with_window(window.len());
            Scanner::with_kernel(needles, kernel).scan(window, &mut out);
            assert_eq!(out.as_slice(), naive(needles, window), "{kernel:?}");
        }
    }

    #[test]
    fn every_byte_is_a_needle() {
        for length in 0..200 {
            check(b",", &vec![b','; length]);
        }
    }

    #[test]
    fn one_needle_at_every_place_of_every_alignment() {
        for length in 1..140 {
            for at in 0..length {
                let mut window = vec![b'x'; length];
                window[at] = b'\n';
                check(b",\n\"", &window);
            }
        }
    }

    #[test]
    fn the_list_is_replaced_by_each_scan() {
        let scanner = Scanner::new(b",");
        let mut out = Positions::with_window(64);
        scanner.scan(b",,,", &mut out);
        scanner.scan(b"a,", &mut out);
        assert_eq!(out.as_slice(), [1]);
    }

    proptest! {
        #[test]
        fn kernels_equal_the_loop(
            window in proptest::collection::vec(
                prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), any::<u8>()], 0..400),
            needles in proptest::collection::vec(any::<u8>(), 1..=NEEDLES_MAX),
        ) {
            check(&needles, &window);
            check(b",\n\"", &window);
        }
    }
}
