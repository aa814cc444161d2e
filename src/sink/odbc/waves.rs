//! How the rows of an array are sent where a statement may not touch a key twice.

use std::collections::HashMap;
use std::ops::Range;

use super::profile::ArrayOrder;
use crate::arena::{Batch, KeyNumbers};

/// The rows of an array in the order in which they are sent, and where it is cut.
#[derive(Debug, Default)]
pub(super) struct Arrangement {
    /// Rows of the batch.
    pub(super) rows: Vec<usize>,
    /// Positions in `rows`, one range a statement.
    pub(super) statements: Vec<Range<usize>>,
    seen: HashMap<u64, usize>,
}

impl Arrangement {
    /// Arranges `rows` of a batch.
    ///
    /// Rows of one key keep their order in either way. In waves the rows of all keys that come
    /// again are few statements, however they lie in the file; in runs every row comes after all
    /// earlier ones.
    pub(super) fn arrange(
        &mut self,
        order: ArrayOrder,
        rows: Range<usize>,
        number: impl Fn(usize) -> u64,
    ) {
        self.rows.clear();
        self.statements.clear();
        self.seen.clear();
        match order {
            ArrayOrder::AsSent => {
                self.rows.extend(rows);
                self.cut(0);
            }
            ArrayOrder::Waves => self.waves(rows, number),
            ArrayOrder::Runs => self.runs(rows, number),
        }
    }

    /// For the rows of a batch with these keys.
    pub(super) fn of_batch(
        &mut self,
        order: ArrayOrder,
        rows: Range<usize>,
        keys: &KeyNumbers,
        batch: &Batch,
    ) {
        self.arrange(order, rows, |row| keys.of_row(batch, row));
    }

    fn cut(&mut self, start: usize) {
        if start < self.rows.len() {
            self.statements.push(start..self.rows.len());
        }
    }

    fn waves(&mut self, rows: Range<usize>, number: impl Fn(usize) -> u64) {
        let mut waves: Vec<Vec<usize>> = Vec::new();
        for row in rows {
            let count = self.seen.entry(number(row)).or_insert(0);
            if *count == waves.len() {
                waves.push(Vec::new());
            }
            waves[*count].push(row);
            *count += 1;
        }
        for wave in waves {
            let start = self.rows.len();
            self.rows.extend(wave);
            self.cut(start);
        }
    }

    fn runs(&mut self, rows: Range<usize>, number: impl Fn(usize) -> u64) {
        let mut start = 0;
        for row in rows {
            if self.seen.insert(number(row), 1).is_some() {
                self.cut(start);
                start = self.rows.len();
                self.seen.clear();
                self.seen.insert(number(row), 1);
            }
            self.rows.push(row);
        }
        self.cut(start);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn statements(order: ArrayOrder, keys: &[u64]) -> Vec<Vec<usize>> {
        let mut arrangement = Arrangement::default();
        // What a batch before has left must not show.
        arrangement.arrange(order, 0..2, |_| 1);
        arrangement.arrange(order, 0..keys.len(), |row| keys[row]);
        let rows = &arrangement.rows;
        arrangement.statements.iter().map(|range| rows[range.clone()].to_vec()).collect()
    }

    #[test]
    fn the_two_ways() {
        let keys = [1, 2, 1, 3, 2, 1];
        let waves = vec![vec![0, 1, 3], vec![2, 4], vec![5]];
        assert_eq!(statements(ArrayOrder::Waves, &keys), waves);
        let runs = vec![vec![0, 1], vec![2, 3, 4], vec![5]];
        assert_eq!(statements(ArrayOrder::Runs, &keys), runs);
        assert_eq!(statements(ArrayOrder::AsSent, &keys), vec![vec![0, 1, 2, 3, 4, 5]]);
        assert!(statements(ArrayOrder::Waves, &[]).is_empty());
    }

    proptest! {
        #[test]
        fn all_rows_once_no_key_twice_in_order(
            keys in prop::collection::vec(0..9u64, 0..60),
            in_runs in any::<bool>(),
        ) {
            let order = if in_runs { ArrayOrder::Runs } else { ArrayOrder::Waves };
            let statements = statements(order, &keys);
            let sent = statements.concat();
            let mut sorted = sent.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&sorted, &(0..keys.len()).collect::<Vec<_>>());
            if in_runs {
                prop_assert_eq!(&sorted, &sent);
            }
            for statement in &statements {
                let distinct: HashSet<u64> = statement.iter().map(|&row| keys[row]).collect();
                prop_assert_eq!(distinct.len(), statement.len());
            }
            for key in 0..9 {
                let of_key: Vec<_> = sent.iter().filter(|&&row| keys[row] == key).collect();
                prop_assert!(of_key.is_sorted());
            }
        }
    }
}
