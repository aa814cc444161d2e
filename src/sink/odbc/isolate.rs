//! Finding the bad rows of a refused batch under savepoints, where no driver says which they are.

use std::ops::Range;

use crate::record::RejectClass;
use crate::sink::{RowReject, SinkError};

/// Why the database refused rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowFault {
    /// Class.
    pub(super) class: RejectClass,
    /// Index of the column, where the message tells.
    pub(super) column: Option<usize>,
    /// SQLSTATE, where there is one.
    pub(super) sqlstate: Option<String>,
    /// Native code, where there is one.
    pub(super) native: Option<i32>,
    /// The database's words.
    pub(super) message: String,
}

impl RowFault {
    /// The fault as that of a row of the batch.
    pub(super) fn of_row(self, row: usize) -> RowReject {
        RowReject {
            row,
            class: self.class,
            column: self.column,
            sqlstate: self.sqlstate,
            native: self.native,
            message: self.message,
        }
    }
}

/// What came of sending some rows.
#[derive(Debug)]
pub(super) enum Attempt {
    /// All are in.
    In,
    /// None is in; at least one of them is bad.
    Refused(RowFault),
}

/// Rows that were refused as a whole.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What the database says, of one of them.
    pub(super) fault: RowFault,
    /// Which one it may have meant: its position among those that were tried. A guess, of which
    /// nothing depends but the number of attempts.
    pub(super) suspect: Option<usize>,
}

/// Misleading suspects of one bad row after which no more are asked about.
const MISLEADING_MAX: usize = 3;

/// Sends the rows of a range that was refused as a whole, and returns the bad ones; all the
/// others are in. `attempt` sends some of them: either all are in afterwards, or none.
///
/// Rows go in ascending order, so that the first of two rows with equal keys is the one that
/// stays, whatever the batch size. Where the database's words lead to a row, the rows before it go
/// first and then that row alone; otherwise a stretch known to hold a bad row is halved until the
/// row stands alone. The next stretch is most of the way from one bad row to the next so far, and
/// doubles while it holds none. One bad row in `n` costs three attempts or about `2 log2 n`,
/// and `n` bad rows `n` and a few, each of one row: no row is sent again and again for its
/// neighbours' sake.
///
/// # Errors
/// The first one of `attempt`.
pub(super) fn isolate(
    rows: Range<usize>,
    refusal: Refusal,
    mut attempt: impl FnMut(Range<usize>) -> Result<Option<Refusal>, SinkError>,
) -> Result<Vec<RowReject>, SinkError> {
    if rows.len() == 1 {
        return Ok(vec![refusal.fault.of_row(rows.start)]);
    }
    let mut rejects = Vec::new();
    let mut search = Search::new(&rows, refusal.suspect);
    while search.next < rows.end {
        let tried = search.next..search.end(rows.end);
        match attempt(tried.clone())? {
            None => search.is_in(tried.end),
            Some(refusal) if tried.len() == 1 => {
                rejects.push(refusal.fault.of_row(tried.start));
                search.is_bad();
            }
            Some(refusal) => search.holds_a_bad_one(&tried, refusal.suspect),
        }
    }
    Ok(rejects)
}

/// Where a search stands.
struct Search {
    /// First row that is neither in nor known to be bad.
    next: usize,
    /// Where set: the rows from `next` to here hold a bad one.
    bad_end: Option<usize>,
    /// The row of them that the database seems to mean.
    suspect: Option<usize>,
    /// Suspects that were none, since the last bad row.
    misleading: usize,
    /// Rows to try when nothing is known of them.
    stretch: usize,
    /// About how many rows lead from one bad row to the next.
    distance: usize,
    /// Where the way to the next bad row began.
    way_start: usize,
}

impl Search {
    fn new(rows: &Range<usize>, suspect: Option<usize>) -> Self {
        Self {
            next: rows.start,
            bad_end: Some(rows.end),
            suspect: in_range(suspect, rows),
            misleading: 0,
            stretch: rows.len(),
            distance: rows.len(),
            way_start: rows.start,
        }
    }

    /// End of the rows to try next.
    fn end(&self, rows_end: usize) -> usize {
        match (self.bad_end, self.suspect) {
            (None, _) => rows_end.min(self.next.saturating_add(self.stretch)),
            (Some(_), Some(suspect)) if suspect == self.next => suspect + 1,
            (Some(_), Some(suspect)) => suspect,
            (Some(end), None) => self.next + (end - self.next).div_ceil(2),
        }
    }

    fn is_in(&mut self, end: usize) {
        if self.suspect == Some(self.next) {
            self.mislead();
        }
        self.next = end;
        match self.bad_end {
            None => self.stretch = self.stretch.saturating_mul(2),
            // A server that has changed its mind.
            Some(bad_end) if bad_end <= end => self.bad_end = None,
            Some(_) => {}
        }
    }

    fn is_bad(&mut self) {
        let way = self.next + 1 - self.way_start;
        self.distance = usize::midpoint(self.distance.min(8 * way), way);
        // Rather too short than too long: what is before a bad row is sent twice and undone once.
        self.stretch = (self.distance - self.distance / 4).max(1);
        self.next += 1;
        self.way_start = self.next;
        self.bad_end = None;
        self.suspect = None;
        self.misleading = 0;
    }

    fn holds_a_bad_one(&mut self, tried: &Range<usize>, suspect: Option<usize>) {
        if self.suspect.is_some() {
            self.mislead();
        }
        self.bad_end = Some(tried.end);
        self.suspect = in_range(suspect, tried).filter(|_| self.misleading < MISLEADING_MAX);
    }

    fn mislead(&mut self) {
        self.suspect = None;
        self.misleading += 1;
    }
}

/// The row at a position of a range.
fn in_range(position: Option<usize>, rows: &Range<usize>) -> Option<usize> {
    position.filter(|&position| position < rows.len()).map(|position| rows.start + position)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn fault() -> RowFault {
        RowFault {
            class: RejectClass::Duplicate,
            column: None,
            sqlstate: Some("23505".to_owned()),
            native: Some(7),
            message: "twice".to_owned(),
        }
    }

    fn refusal(suspect: Option<usize>) -> Refusal {
        Refusal { fault: fault(), suspect }
    }

    /// Runs the search against a table that takes each key once, as a database does, and whose
    /// words lead to the row that `suspect` makes of the one at fault: the rejects' rows, the keys
    /// that are in, and the number of attempts.
    fn run(
        keys: &[u32],
        taken: &BTreeSet<u32>,
        suspect: impl Fn(usize) -> Option<usize>,
    ) -> (Vec<usize>, Vec<u32>, usize) {
        let mut table = taken.clone();
        let mut order = Vec::new();
        let mut attempts = 0;
        let mut send = |rows: Range<usize>| {
            attempts += 1;
            let before = table.clone();
            if let Some(position) = keys[rows.clone()].iter().position(|&key| !table.insert(key)) {
                table = before;
                return Ok(Some(refusal(suspect(position))));
            }
            order.extend_from_slice(&keys[rows]);
            Ok(None)
        };
        let rejects = match send(0..keys.len()).unwrap() {
            None => Vec::new(),
            Some(refusal) => isolate(0..keys.len(), refusal, &mut send).unwrap(),
        };
        (rejects.iter().map(|reject| reject.row).collect(), order, attempts)
    }

    proptest! {
        /// Whatever the database's words lead to.
        #[test]
        fn equals_row_by_row(
            keys in prop::collection::vec(0..60u32, 1..120),
            taken in prop::collection::btree_set(0..60u32, 0..40),
            lies in prop::collection::vec(prop::option::of(0..130usize), 8),
            honest in 0..8usize,
        ) {
            let mut table = taken.clone();
            let bad: Vec<usize> =
                (0..keys.len()).filter(|&row| !table.insert(keys[row])).collect();
            let asked = std::cell::Cell::new(0);
            let (rejects, order, attempts) = run(&keys, &taken, |row| {
                asked.set(asked.get() + 1);
                let turn = asked.get() % lies.len();
                if turn < honest { Some(row) } else { lies[turn] }
            });
            prop_assert_eq!(&rejects, &bad);
            prop_assert_eq!(order.len() + bad.len(), keys.len());
            prop_assert!(attempts <= 1 + bad.len() * (2 * 9 + 2 * MISLEADING_MAX), "{}", attempts);
        }
    }

    #[test]
    fn cost_of_the_two_ends() {
        let keys: Vec<u32> = (0..5_000).collect();
        let all: BTreeSet<u32> = keys.iter().copied().collect();
        for honest in [false, true] {
            let suspect = |row| honest.then_some(row);
            let (rejects, _, attempts) = run(&keys, &all, suspect);
            assert_eq!(rejects.len(), 5_000);
            assert!(attempts <= 5_000 + 40, "{attempts}");
            for bad in [0, 1, 2_499, 2_500, 4_998, 4_999] {
                let (rejects, order, attempts) = run(&keys, &BTreeSet::from([bad]), suspect);
                assert_eq!(rejects, [usize::try_from(bad).unwrap()]);
                assert_eq!(order.len(), 4_999);
                assert!(attempts <= if honest { 14 } else { 2 * 14 }, "{bad}: {attempts}");
            }
        }
    }

    /// One bad row in a hundred, as the bar has it.
    #[test]
    fn cost_of_one_in_a_hundred() {
        let keys: Vec<u32> = (0..5_000).collect();
        for (every, honest, most) in
            [(100, true, 4), (100, false, 10), (10, true, 4), (2, false, 4)]
        {
            let bad: BTreeSet<u32> = keys.iter().copied().filter(|key| key % every == 1).collect();
            let (rejects, _, attempts) = run(&keys, &bad, |row| honest.then_some(row));
            assert_eq!(rejects.len(), bad.len());
            assert!(attempts <= most * bad.len() + 30, "1 in {every}: {attempts}");
        }
    }

    #[test]
    fn an_error_ends_the_search() {
        let mut calls = 0;
        let result = isolate(0..10, refusal(None), |_| {
            calls += 1;
            Err(SinkError::permanent("gone"))
        });
        assert_eq!((result.unwrap_err().message.as_str(), calls), ("gone", 1));
    }
}
