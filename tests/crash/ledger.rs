//! The ledger's rows as the tests read them: its names stand here and nowhere else.

use crate::place::Place;

/// Columns of a committed range that are looked at.
const COLUMNS: &str = "RUN_NO, FILE_NO, PART_NO, BYTE_FROM, BYTE_TO, RECORDS, ROWS_LOADED, \
                       ROWS_REJECTED, ROWS_SUPERSEDED";

/// A committed range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) run: u64,
    pub(crate) file: u64,
    pub(crate) byte_from: u64,
    pub(crate) byte_to: u64,
    /// Whose rows of the range these are, where rows are shared out by key.
    pub(crate) part: u64,
    pub(crate) records: u64,
    pub(crate) loaded: u64,
    pub(crate) rejected: u64,
    pub(crate) superseded: u64,
}

/// All ranges of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ledger(pub(crate) Vec<Range>);

impl Ledger {
    pub(crate) fn read(place: &Place, table: &str) -> Self {
        let rows = place.query(&format!("SELECT {COLUMNS} FROM {table}"));
        let one = |row: &Vec<Option<String>>| {
            let number = |at: usize| {
                let cell = row[at].as_deref().expect("no column of it is NULL");
                cell.trim().parse().expect("a number")
            };
            Range {
                run: number(0),
                file: number(1),
                part: number(2),
                byte_from: number(3),
                byte_to: number(4),
                records: number(5),
                loaded: number(6),
                rejected: number(7),
                superseded: number(8),
            }
        };
        let mut ranges: Vec<Range> = rows.iter().map(one).collect();
        ranges.sort_unstable();
        Self(ranges)
    }

    /// What is wrong with the ranges of one finished run over one file.
    pub(crate) fn problems(&self, body_offset: u64, file_bytes: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let mut at = None;
        let mut spans: Vec<(u64, u64)> =
            self.0.iter().map(|range| (range.byte_from, range.byte_to)).collect();
        // Writers that share a range each have a row of it.
        let parts: Vec<_> =
            self.0.iter().map(|range| (range.byte_from, range.byte_to, range.part)).collect();
        if parts.windows(2).any(|two| two[0] == two[1]) {
            problems.push("a range of the ledger is there twice".to_owned());
        }
        spans.dedup();
        for (from, to) in spans {
            let end = at.unwrap_or(from);
            if at.is_none() && from != 0 && from != body_offset {
                problems.push(format!("the ledger begins at byte {from}"));
            }
            if from < end {
                problems.push(format!("ranges of the ledger overlap at byte {from}"));
            }
            if from > end {
                problems.push(format!("bytes {end}..{from} are in no range of the ledger"));
            }
            at = Some(to.max(end));
        }
        if at != Some(file_bytes) {
            problems.push(format!("the ledger ends at {at:?} of {file_bytes} bytes"));
        }
        problems
    }

    pub(crate) fn sum(&self, count: impl Fn(&Range) -> u64) -> u64 {
        self.0.iter().map(count).sum()
    }
}

#[test]
fn gaps_and_overlaps_are_found() {
    let range = |byte_from, byte_to, part| Range {
        run: 1,
        file: 0,
        byte_from,
        byte_to,
        part,
        records: 1,
        loaded: 1,
        rejected: 0,
        superseded: 0,
    };
    let problems = |ranges: &[(u64, u64, u64)]| {
        let mut ranges: Vec<_> = ranges.iter().map(|&(f, t, p)| range(f, t, p)).collect();
        ranges.sort_unstable();
        Ledger(ranges).problems(10, 100).len()
    };
    assert_eq!(problems(&[(10, 50, 0), (50, 100, 0)]), 0);
    assert_eq!(problems(&[(0, 50, 0), (50, 100, 0)]), 0);
    assert_eq!(problems(&[(10, 50, 0), (10, 50, 1), (50, 100, 1)]), 0);
    assert_eq!(problems(&[(12, 50, 0), (50, 100, 0)]), 1);
    assert_eq!(problems(&[(10, 50, 0), (51, 100, 0)]), 1);
    assert_eq!(problems(&[(10, 50, 0), (49, 100, 0)]), 1);
    assert_eq!(problems(&[(10, 50, 0), (10, 50, 0), (50, 100, 0)]), 1);
    assert_eq!(problems(&[(10, 99, 0)]), 1);
    assert_eq!(problems(&[]), 1);
}
