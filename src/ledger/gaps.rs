//! What of a file is not committed yet.
//!
//! The ledger is a set of committed byte ranges. Each begins and ends where a record does, so that
//! the bytes between two of them are whole records, and the number of the first one is known
//! without reading anything before it.

use std::fmt;

use crate::record::ByteRange;
use crate::split::ChunkStart;

/// A committed range, with the records and lines that stand before and in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its bytes.
    pub bytes: ByteRange,
    /// Records of the file before it.
    pub records_before: u64,
    /// Records that begin in it.
    pub records: u64,
    /// Lines of the file before it.
    pub lines_before: u64,
    /// Lines that end in it.
    pub lines: u64,
}

/// Bytes that are yet to be read: `start.byte_offset..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Its first record.
    pub start: ChunkStart,
    /// Byte behind its last record.
    pub end: u64,
    /// What stands behind it: a committed range's end, where the next gap or the end of the file
    /// is. Records and lines in between are known, so that the next gap can be numbered.
    pub next: ChunkStart,
    /// Records of the file before `end`, as the ledger has them; `None` where the gap runs to the
    /// end of the file.
    pub records_at_end: Option<u64>,
}

/// What is left of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remainder {
    /// Ascending.
    pub gaps: Vec<Gap>,
    /// The end of the committed ranges before the first gap.
    pub start: ChunkStart,
}

/// A range of a ledger cannot be: it has bytes in common with another one, is not in the file, or
/// its record and line numbers contradict those of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// The range.
    pub bytes: ByteRange,
    /// Where the one before it ends.
    pub before: u64,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes: ByteRange { start, end }, before } = self;
        write!(f, "the range {start}..{end} of the ledger ")?;
        if start > end {
            write!(f, "ends before it begins")
        } else if start < before {
            write!(f, "begins before byte {before}, up to which others reach")
        } else {
            write!(
                f,
                "is not in the file, or its record and line numbers do not follow those that end \
                 at byte {before}"
            )
        }
    }
}

impl std::error::Error for Overlap {}

/// The gaps between `committed` ranges, in any order, of a file of `length` bytes.
///
/// # Errors
/// Ranges that overlap, reach over the end, or contradict each other: such a ledger is not to be
/// trusted.
pub fn remainder(length: u64, committed: &[Committed]) -> Result<Remainder, Overlap> {
    let mut ranges: Vec<&Committed> = committed.iter().filter(|r| !r.bytes.is_empty()).collect();
    ranges.sort_unstable_by_key(|range| range.bytes.start);
    let mut gaps: Vec<Gap> = Vec::new();
    let mut at = ChunkStart::default();
    let mut first = None;
    for range in ranges {
        let bytes = range.bytes;
        let end = end_behind(range, at, length)
            .ok_or(Overlap { bytes, before: at.byte_offset.min(length) })?;
        if bytes.start > at.byte_offset {
            first.get_or_insert(at);
            let records_at_end = Some(range.records_before);
            gaps.push(Gap { start: at, end: bytes.start, next: end, records_at_end });
        } else if let Some(gap) = gaps.last_mut() {
            gap.next = end;
        }
        at = end;
    }
    if at.byte_offset < length {
        first.get_or_insert(at);
        gaps.push(Gap { start: at, end: length, next: at, records_at_end: None });
    }
    Ok(Remainder { gaps, start: first.unwrap_or(at) })
}

/// The end of a range of a file of `length` bytes, if the range can come behind `at`.
fn end_behind(range: &Committed, at: ChunkStart, length: u64) -> Option<ChunkStart> {
    let Committed { bytes, records_before, records, lines_before, lines } = *range;
    let is_in_file = bytes.start <= bytes.end && bytes.end <= length;
    let is_behind = bytes.start >= at.byte_offset;
    let follows = if bytes.start == at.byte_offset {
        // No byte is left for a record or a line in between.
        (records_before, lines_before) == (at.records, at.lines)
    } else {
        records_before >= at.records && lines_before >= at.lines
    };
    (is_in_file && is_behind && follows).then_some(())?;
    Some(ChunkStart {
        byte_offset: bytes.end,
        records: records_before.checked_add(records)?,
        lines: lines_before.checked_add(lines)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: u64, end: u64, records_before: u64, records: u64) -> Committed {
        let bytes = ByteRange { start, end };
        Committed { bytes, records_before, records, lines_before: records_before, lines: records }
    }

    #[test]
    fn what_lies_between_is_left() {
        let left = remainder(100, &[range(60, 80, 6, 2), range(0, 10, 0, 1)]).expect("disjoint");
        let at = |byte_offset, records| ChunkStart { byte_offset, records, lines: records };
        assert_eq!(left.start, at(10, 1));
        assert_eq!(
            left.gaps,
            [
                Gap { start: at(10, 1), end: 60, next: at(80, 8), records_at_end: Some(6) },
                Gap { start: at(80, 8), end: 100, next: at(80, 8), records_at_end: None },
            ]
        );
    }

    #[test]
    fn nothing_is_left_of_a_file_that_is_covered() {
        let left = remainder(20, &[range(0, 20, 0, 2)]).expect("disjoint");
        assert!(left.gaps.is_empty());
        assert_eq!((left.start.byte_offset, left.start.records), (20, 2));
        assert!(remainder(0, &[]).expect("empty").gaps.is_empty());
    }

    #[test]
    fn a_ledger_that_contradicts_itself_is_refused() {
        assert!(remainder(100, &[range(0, 10, 0, 1), range(9, 20, 1, 1)]).is_err());
        assert!(remainder(15, &[range(0, 16, 0, 1)]).is_err());
        assert!(remainder(100, &[range(0, 10, 0, 3), range(20, 30, 2, 1)]).is_err());
        // Where two touch, nothing lies between them.
        assert!(remainder(100, &[range(0, 10, 0, 1), range(10, 20, 3, 1)]).is_err());
        let backwards = remainder(100, &[range(10, 5, 0, 1)]).expect_err("it holds no byte");
        assert!(backwards.to_string().contains("10..5") && backwards.to_string().contains("ends"));
        assert!(remainder(100, &[range(0, 10, 0, u64::MAX), range(10, 20, u64::MAX, 1)]).is_err());
    }

    proptest! {
        /// Ranges and gaps together are the file, byte for byte, by a slow count of each byte.
        #[test]
        fn ranges_and_gaps_are_the_file(
            cuts in prop::collection::btree_set(0_u64..200, 0..20),
            kept in prop::collection::vec(any::<bool>(), 21),
            length in 200_u64..220,
        ) {
            let mut edges: Vec<u64> = cuts.into_iter().collect();
            edges.insert(0, 0);
            edges.push(length);
            edges.dedup();
            let ranges: Vec<Committed> = edges
                .windows(2)
                .zip(&kept)
                .filter(|(_, kept)| **kept)
                .map(|(edge, _)| range(edge[0], edge[1], edge[0], edge[1] - edge[0]))
                .collect();
            let left = remainder(length, &ranges).expect("disjoint");
            let mut times = vec![0; usize::try_from(length).expect("small")];
            let own = ranges.iter().map(|range| (range.bytes.start, range.bytes.end));
            let gaps = left.gaps.iter().map(|gap| (gap.start.byte_offset, gap.end));
            for (start, end) in own.chain(gaps) {
                for at in start..end {
                    times[usize::try_from(at).expect("small")] += 1;
                }
            }
            prop_assert!(times.iter().all(|&times| times == 1));
            // Here each byte is a record, so numbers are offsets.
            for gap in &left.gaps {
                prop_assert_eq!(gap.start.records, gap.start.byte_offset);
                prop_assert!(gap.records_at_end.is_none_or(|records| records == gap.end));
            }
        }
    }
}
