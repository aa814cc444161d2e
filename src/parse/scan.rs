//! Where the bytes with a role stand: offsets of delimiters, quotes, newlines and escapes, found 64
//! bytes at a time.
//!
//! The 64 bytes are compared with each needle, the answers are joined in one 64-bit mask, and the
//! positions of its bits are written out. Which needle it was is read from the byte again by the
//! caller: one list of positions is cheaper than one list a needle.

use super::simd::{Kernel, Lanes, STEP_BYTES, Work};

/// Most different bytes a scanner looks for.
pub const NEEDLES_MAX: usize = 4;

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
    #[inline(always)]
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
        Self::with_kernel(needles, Kernel::fastest())
    }

    /// A scanner with a certain kernel.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_kernel(needles: &[u8], kernel: Kernel) -> Self {
        assert!((1..=NEEDLES_MAX).contains(&needles.len()));
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
        self.kernel.run(Scan { needles: self.needles, window, out });
    }
}

/// One scan, for any kernel.
struct Scan<'a> {
    needles: [u8; NEEDLES_MAX],
    window: &'a [u8],
    out: &'a mut Positions,
}

impl Scan<'_> {
    #[inline(always)]
    fn mask<L: Lanes>(&self, lanes: L, bytes: &[u8; STEP_BYTES]) -> u64 {
        let block = lanes.load(bytes);
        self.needles.iter().fold(0, |mask, &needle| mask | lanes.equal(block, needle))
    }
}

impl Work for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (steps, rest) = self.window.as_chunks::<STEP_BYTES>();
        let mut offset = 0;
        for bytes in steps {
            self.out.push_mask(self.mask(lanes, bytes), offset);
            offset += STEP_OFFSET;
        }
        if !rest.is_empty() {
            let mut last = [0; STEP_BYTES];
            last[..rest.len()].copy_from_slice(rest);
            let mask = self.mask(lanes, &last) & ((1 << rest.len()) - 1);
            self.out.push_mask(mask, offset);
        }
    }
}

/// [`STEP_BYTES`] as positions count.
const STEP_OFFSET: u32 = 64;
const _: () = assert!(STEP_OFFSET as usize == STEP_BYTES);

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
