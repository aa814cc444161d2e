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

/// Sends the rows of a range that was refused as a whole, and returns the bad ones; all the
/// others are in.
///
/// Rows go in ascending order, so that the first of two rows with equal keys is the one that
/// stays, whatever the batch size. A stretch known to hold a bad row is halved until the row
/// stands alone; after it the stretches double from one row again. One bad row in `n` costs about
/// `2 log2 n` attempts, and `n` bad rows `n + log2 n`, each of one row: no row is sent again and
/// again for its neighbours' sake.
///
/// # Errors
/// The first one of `attempt`.
pub(super) fn isolate(
    rows: Range<usize>,
    fault: RowFault,
    mut attempt: impl FnMut(Range<usize>) -> Result<Attempt, SinkError>,
) -> Result<Vec<RowReject>, SinkError> {
    if rows.len() == 1 {
        return Ok(vec![fault.of_row(rows.start)]);
    }
    let mut rejects = Vec::new();
    let mut next = rows.start;
    // Where set: the rows from `next` to here hold a bad one.
    let mut bad_end = Some(rows.end);
    let mut stretch = 1;
    while next < rows.end {
        let tried = match bad_end {
            Some(end) => (end - next).div_ceil(2),
            None => stretch.min(rows.end - next),
        };
        let end = next + tried;
        match attempt(next..end)? {
            Attempt::In => {
                next = end;
                if bad_end == Some(end) {
                    bad_end = None;
                }
                stretch *= 2;
            }
            Attempt::Refused(fault) if tried == 1 => {
                rejects.push(fault.of_row(next));
                next = end;
                bad_end = None;
                stretch = 1;
            }
            Attempt::Refused(_) => bad_end = Some(end),
        }
    }
    Ok(rejects)
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

    /// Runs the search against a table that takes each key once, as a database does: the rejects'
    /// rows, the keys that are in, and the number of attempts.
    fn run(keys: &[u32], taken: &BTreeSet<u32>) -> (Vec<usize>, Vec<u32>, usize) {
        let mut table = taken.clone();
        let mut order = Vec::new();
        let mut attempts = 0;
        let mut send = |rows: Range<usize>| {
            attempts += 1;
            let before = table.clone();
            if keys[rows.clone()].iter().all(|&key| table.insert(key)) {
                order.extend_from_slice(&keys[rows]);
                return Ok(Attempt::In);
            }
            table = before;
            Ok(Attempt::Refused(fault()))
        };
        let rejects = match send(0..keys.len()).unwrap() {
            Attempt::In => Vec::new(),
            Attempt::Refused(fault) => isolate(0..keys.len(), fault, &mut send).unwrap(),
        };
        (rejects.iter().map(|reject| reject.row).collect(), order, attempts)
    }

    proptest! {
        #[test]
        fn equals_row_by_row(
            keys in prop::collection::vec(0..60u32, 1..120),
            taken in prop::collection::btree_set(0..60u32, 0..40),
        ) {
            let mut table = taken.clone();
            let bad: Vec<usize> =
                (0..keys.len()).filter(|&row| !table.insert(keys[row])).collect();
            let (rejects, order, attempts) = run(&keys, &taken);
            prop_assert_eq!(&rejects, &bad);
            prop_assert_eq!(order.len() + bad.len(), keys.len());
            prop_assert!(attempts <= 2 * keys.len() + 10);
            prop_assert!(attempts <= 1 + bad.len() * 2 * 9);
        }
    }

    #[test]
    fn cost_of_the_two_ends() {
        let keys: Vec<u32> = (0..5_000).collect();
        let all: BTreeSet<u32> = keys.iter().copied().collect();
        let (rejects, _, attempts) = run(&keys, &all);
        assert_eq!(rejects.len(), 5_000);
        assert!(attempts <= 5_000 + 14, "{attempts}");
        for bad in [0, 1, 2_499, 2_500, 4_998, 4_999] {
            let (rejects, order, attempts) = run(&keys, &BTreeSet::from([bad]));
            assert_eq!(rejects, [usize::try_from(bad).unwrap()]);
            assert_eq!(order.len(), 4_999);
            assert!(attempts <= 2 * 14, "{attempts}");
        }
    }

    #[test]
    fn an_error_ends_the_search() {
        let mut calls = 0;
        let result = isolate(0..10, fault(), |_| {
            calls += 1;
            Err(SinkError::permanent("gone"))
        });
        assert_eq!((result.unwrap_err().message.as_str(), calls), ("gone", 1));
    }
}
