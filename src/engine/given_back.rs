//! How far the pages of a mapped file were given back.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::ByteRange;

/// Bytes of a map that are read before a call gives them back: each call makes the other cores wait
/// for a moment, so that there is not one for every chunk.
const STEP_BYTES: u64 = 4 << 20;

/// The end of what was given back of one file; shared by its parsers.
#[derive(Debug, Default)]
pub(super) struct GivenBack {
    until: AtomicU64,
}

impl GivenBack {
    /// What is to be given back after a chunk was `read`, all bytes before which are read too.
    ///
    /// Nobody comes behind the last chunk. The step before is given back once more, for pages that
    /// came in again with others behind them.
    pub(super) fn after(&self, read: ByteRange, is_last: bool) -> Option<ByteRange> {
        let until = self.until.load(Ordering::Relaxed);
        if !is_last && read.end < until.saturating_add(STEP_BYTES) {
            return None;
        }
        // Of two parsers here at once each gives back what the other one has not.
        let from = self.until.fetch_max(read.end, Ordering::Relaxed).min(read.start);
        Some(ByteRange { start: from.saturating_sub(STEP_BYTES), end: read.end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks of any size, with gaps between them: what was read and not given back stays small,
    /// nothing is left, and there are few calls.
    #[test]
    fn what_is_read_is_given_back() {
        const MIB: u64 = 1 << 20;
        for (length, chunk_bytes, gap) in [
            (300 * MIB, MIB, 0..0),
            (300 * MIB + 1, MIB, 0..0),
            (300_000_007, 77_777, 0..0),
            (300 * MIB, 64 * MIB, 0..0),
            (300 * MIB, MIB, 3 * MIB..200 * MIB),
            // The end was committed before.
            (300 * MIB, MIB, 201 * MIB..300 * MIB),
            (9_999_999, MIB, 0..0),
            (5, 2, 0..0),
        ] {
            let given_back = GivenBack::default();
            let mut chunks = Vec::new();
            let mut at = 0;
            while at < length {
                let end = length.min(at + chunk_bytes);
                if !gap.contains(&at) {
                    chunks.push(ByteRange { start: at, end });
                }
                at = end;
            }
            let last = *chunks.last().expect("there are chunks");
            let (mut held, mut calls) = (Vec::new(), 0);
            for &read in &chunks {
                held.push(read);
                if let Some(range) = given_back.after(read, read == last) {
                    let is_within =
                        |held: ByteRange| range.start <= held.start && held.end <= range.end;
                    assert!(held.drain(..).all(is_within), "{range:?} leaves some");
                    calls += 1;
                }
                let bytes: u64 = held.iter().map(|range| range.len()).sum();
                assert!(bytes < STEP_BYTES + chunk_bytes, "{bytes} bytes, {chunk_bytes}");
            }
            assert_eq!(held, []);
            assert!(calls <= length / STEP_BYTES.max(chunk_bytes) + 2, "{calls}, {chunk_bytes}");
        }
    }
}
