//! How many rows go in one statement.
//!
//! A statement costs more than a row. But SQLite checks foreign keys by a count of the statement's
//! violations: what one row breaks another one may mend, and the first is then stored although it
//! would have been refused alone. And what a statement changes is kept until its end, beyond 64 KiB
//! of pages (`SQLITE_STMTJRNL_SPILL`) in a file of the directory for temporary files: rows of a
//! table without a key go to its last page, keys and indexes in no order need a page for each row.

use std::iter::successors;

use rusqlite::{Connection, ffi};

use super::bind;
use super::catalog::TableName;
use super::rows::Rows;
use crate::sink::SinkError;

/// Most rows of a table without key and index: a load of 1,000,000 takes 0.81 of the time with 100
/// as with 4.
const MOST_ROWS: usize = 100;

/// Most rows of one with them. 4 are 1.18 times as fast as 1, 100 in no order 0.91 times as 4.
const MOST_KEYED_ROWS: usize = 4;

/// So many times smaller are the groups in which the rows of a refused one are sent again.
const STEP: usize = 5;

/// Groups without a refused row after which larger ones are tried again.
const CLEAN_GROUPS: usize = 10;

/// Rows of the groups on a table that is not delicate, from the largest to 1.
///
/// # Errors
/// SQLite does not tell what the table is.
pub(super) fn sizes(
    connection: &Connection,
    name: &TableName,
    rows: &Rows,
    columns: usize,
) -> Result<Vec<usize>, SinkError> {
    let alone = match rows {
        // Looked for one by one: a list of keys in one statement is a scan without an index.
        Rows::Delete => true,
        Rows::Upsert(_) => name.has_foreign_keys(connection)? || name.is_parent(connection)?,
        Rows::Insert | Rows::Stage { .. } => {
            name.has_foreign_keys(connection)? && name.is_parent(connection)?
        }
    };
    if alone {
        return Ok(vec![1]);
    }
    let variables = bind::limit(connection, ffi::SQLITE_LIMIT_VARIABLE_NUMBER);
    let most = if name.has_keys(connection)? { MOST_KEYED_ROWS } else { MOST_ROWS };
    Ok(steps((variables / rows.parameters(columns)).clamp(1, most)))
}

fn steps(most: usize) -> Vec<usize> {
    successors(Some(most), |&size| (size > 1).then(|| (size / STEP).max(1))).collect()
}

/// The size that rows are sent in at first: smaller for a while where some were refused.
#[derive(Debug)]
pub(super) struct Level {
    /// Index of the size.
    at: usize,
    /// Index of the smallest size of several rows.
    last: usize,
    clean: usize,
}

impl Level {
    /// Of so many sizes.
    pub(super) const fn new(sizes: usize) -> Self {
        Self { at: 0, last: sizes.saturating_sub(2), clean: 0 }
    }

    /// Index of the size to begin with.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// A group of the size at `index` went in.
    pub(super) const fn passed(&mut self, index: usize) {
        if index == self.at && index > 0 {
            self.clean += 1;
            if self.clean == CLEAN_GROUPS {
                self.at -= 1;
                self.clean = 0;
            }
        }
    }

    /// A group of the size at `index` was refused.
    pub(super) fn refused(&mut self, index: usize) {
        self.at = self.at.max(index + 1).min(self.last);
        self.clean = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_smaller_down_to_one_row() {
        assert_eq!(steps(100), [100, 20, 4, 1]);
        assert_eq!(steps(16), [16, 3, 1]);
        assert_eq!(steps(4), [4, 1]);
        assert_eq!(steps(1), [1]);
    }

    #[test]
    fn a_refused_group_makes_the_next_ones_smaller_for_a_while() {
        let mut level = Level::new(4);
        level.refused(0);
        level.refused(1);
        level.refused(2);
        assert_eq!(level.at(), 2, "single rows only where a group of several was refused");
        for _ in 0..CLEAN_GROUPS {
            assert_eq!(level.at(), 2);
            level.passed(2);
        }
        assert_eq!(level.at(), 1);
        // The rest of a batch goes in smaller groups.
        (0..99).for_each(|_| level.passed(2));
        assert_eq!(level.at(), 1);
        let mut only = Level::new(1);
        only.passed(0);
        assert_eq!(only.at(), 0);
    }
}
