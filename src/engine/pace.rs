//! How many rows a writer puts in one transaction: fewer when the database ran out of room for
//! it, more again when it went well.

/// Commits of a reduced size that must go well before a larger one is tried, at first.
const PATIENCE: u64 = 4;

/// As many at most.
const MOST_PATIENCE: u64 = 1 << 10;

/// The commit size of one writer.
#[derive(Debug)]
pub(super) struct Pace {
    configured_rows: u64,
    rows: u64,
    /// Commits since the size last changed.
    commits: u64,
    patience: u64,
    /// Whether the present size is one that the writer grew to.
    grown: bool,
}

impl Pace {
    pub(super) const fn new(configured_rows: u64) -> Self {
        Self {
            configured_rows,
            rows: configured_rows,
            commits: 0,
            patience: PATIENCE,
            grown: false,
        }
    }

    /// Most rows of a transaction now.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// From now on `rows` is the size to keep to, or to grow back to.
    pub(super) fn configure(&mut self, rows: u64) {
        if rows == self.configured_rows {
            return;
        }
        let is_shrunk = self.rows != self.configured_rows;
        self.rows = if is_shrunk { self.rows.min(rows) } else { rows };
        self.configured_rows = rows;
    }

    /// A transaction of `failed_rows` rows was too large; a single batch has at most `batch_rows`.
    ///
    /// The size becomes half of what was really sent, which is less than the bound when the room
    /// ended early. A size that was grown to and is too large makes the next growth come twice as
    /// late, so that a load near its bound does not send half of its rows twice.
    pub(super) fn shrink(&mut self, failed_rows: u64, batch_rows: u64) {
        if self.grown {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        self.rows = (self.rows.min(failed_rows) / 2).max(batch_rows).max(1);
        self.commits = 0;
        self.grown = false;
    }

    /// A transaction was committed.
    pub(super) fn committed(&mut self) {
        if self.rows == self.configured_rows {
            return;
        }
        self.commits += 1;
        if self.commits >= self.patience {
            self.rows = self.rows.saturating_mul(2).min(self.configured_rows);
            self.commits = 0;
            self.grown = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_was_sent_and_never_less_than_a_batch() {
        let mut pace = Pace::new(100_000);
        pace.shrink(30_000, 5_000);
        assert_eq!(pace.rows(), 15_000);
        pace.shrink(15_000, 5_000);
        assert_eq!(pace.rows(), 7_500);
        pace.shrink(7_500, 5_000);
        assert_eq!(pace.rows(), 5_000);
    }

    #[test]
    fn growth_ends_at_what_was_configured() {
        let mut pace = Pace::new(100);
        pace.shrink(80, 10);
        let mut sizes = Vec::new();
        for _ in 0..12 {
            pace.committed();
            sizes.push(pace.rows());
        }
        assert_eq!(sizes, [40, 40, 40, 80, 80, 80, 80, 100, 100, 100, 100, 100]);
    }

    #[test]
    fn another_size_is_taken_at_once_but_by_one_that_shrank() {
        let mut pace = Pace::new(100);
        pace.configure(400);
        assert_eq!(pace.rows(), 400);
        pace.configure(50);
        assert_eq!(pace.rows(), 50);
        pace.configure(200);
        pace.shrink(160, 10);
        pace.configure(400);
        assert_eq!(pace.rows(), 80);
        pace.configure(60);
        assert_eq!(pace.rows(), 60);
        pace.configure(120);
        assert_eq!(pace.rows(), 120);
    }

    /// Against a database with room for 30 rows: the part of the rows that is sent in vain.
    #[test]
    fn a_bound_that_stays_costs_less_and_less() {
        let mut pace = Pace::new(1_000);
        let (mut sent, mut in_vain) = (0, 0);
        for _ in 0..5_000 {
            if pace.rows() > 30 {
                in_vain += 31;
                pace.shrink(31, 1);
            } else {
                sent += pace.rows();
                pace.committed();
            }
        }
        assert!(in_vain * 20 < sent, "{in_vain} rows in vain, {sent} sent");
    }
}
