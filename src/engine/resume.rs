//! The rest of a run: what earlier starts have committed is neither read nor counted twice.

use super::files::OpenFile;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::ledger::{Committed, RangeRow, Run, State, remainder};

/// Leaves in each file what is not committed. Where rows are shared among `parts` writers: up to
/// which file and byte the rows of each are committed.
///
/// `is_staged`: committed rows wait in a staging table, and reach the target in this run.
///
/// # Errors
/// A ledger whose ranges contradict each other.
pub(super) fn skip_committed(
    run: &Run,
    files: &mut [OpenFile],
    parts: usize,
    is_staged: bool,
) -> Result<Vec<(usize, u64)>> {
    if !run.is_resumed || run.state < State::Loading {
        return Ok(Vec::new());
    }
    if run.state > State::Loading {
        for file in files {
            file.take_as_read(&run.ranges, is_staged, parts > 1);
        }
        return Ok(Vec::new());
    }
    if parts > 1 {
        for file in files {
            file.note_earlier(&run.ranges);
        }
        return Ok(frontiers(&run.ranges, parts));
    }
    for file in files {
        let own = run.ranges.iter().filter(|range| range.file == file.index);
        let own: Vec<Committed> = own.map(RangeRow::committed).collect();
        let length = file.length.ok_or_else(|| {
            Error::input(&file.path, "is a stream, of which nothing can be skipped", "")
        })?;
        let left = remainder(length, &own)
            .map_err(|overlap| Error::input(&file.path, overlap.to_string(), ""))?;
        file.resume(&left, &run.ranges, is_staged);
    }
    Ok(Vec::new())
}

/// Each writer commits its rows in the order of the files, so that all of them before its last
/// range are committed. A range of the first one may hold no record, as it has the bytes between
/// those of the others.
fn frontiers(ranges: &[RangeRow], parts: usize) -> Vec<(usize, u64)> {
    let frontier = |part| {
        let own = ranges.iter().filter(|range| range.part == part);
        own.map(|range| (range.file, range.bytes.end)).max().unwrap_or_default()
    };
    (0..parts).map(frontier).collect()
}

/// Counts what is committed against the reject limit.
pub(super) fn preset(shared: &Shared, run: &Run) {
    let rejects = run.ranges.iter().map(|range| range.rejected).sum();
    let records = run.ranges.iter().map(|range| range.loaded + range.rejected).sum();
    // Where records are read again they are counted as they come.
    let records = if shared.skipped.is_empty() { records } else { 0 };
    shared.counter.preset(records, rejects);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ByteRange;

    #[test]
    fn a_range_without_records_is_committed_too() {
        let range = |file, part, (start, end), records| RangeRow {
            file,
            part,
            bytes: ByteRange { start, end },
            records,
            ..RangeRow::default()
        };
        let ranges = [
            range(0, 0, (0, 14), 0),
            range(0, 0, (14, 100), 2),
            range(0, 0, (100, 200), 0),
            range(0, 1, (14, 100), 3),
            range(1, 1, (5, 20), 1),
        ];
        assert_eq!(frontiers(&ranges, 3), [(0, 200), (1, 20), (0, 0)]);
    }
}
