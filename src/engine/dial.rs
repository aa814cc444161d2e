//! The numbers of a running load that may change, and what its writers have done under them.
//!
//! Parsers and writers read a number when they begin something new, a batch or a transaction, so
//! that what is begun ends under the number it began with.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::{Numbers, Tuning, Work};
use crate::report::{TunedNumber, TuningReport};

/// What the writers have done so far, all of them together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    batches: AtomicU64,
    rows_written: AtomicU64,
    write_ns: AtomicU64,
    commits: AtomicU64,
    rows_committed: AtomicU64,
    commit_ns: AtomicU64,
    idle_ns: AtomicU64,
    largest_unit_rows: AtomicU64,
}

/// A [`Tally`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Done {
    pub(super) batches: u64,
    pub(super) rows_written: u64,
    pub(super) write_ns: u64,
    pub(super) commits: u64,
    pub(super) rows_committed: u64,
    pub(super) commit_ns: u64,
    pub(super) idle_ns: u64,
    /// Rows of the largest transaction, ended or not.
    pub(super) largest_unit_rows: u64,
}

fn add_time(sum: &AtomicU64, time: Duration) {
    sum.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl Tally {
    /// A batch of `rows` rows went in; its transaction has `unit_rows` then.
    pub(super) fn wrote(&self, rows: usize, unit_rows: u64) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.rows_written.fetch_add(rows as u64, Ordering::Relaxed);
        self.largest_unit_rows.fetch_max(unit_rows, Ordering::Relaxed);
    }

    /// Time of a write, or of what the ledger is told of its batch.
    pub(super) fn took_to_write(&self, time: Duration) {
        add_time(&self.write_ns, time);
    }

    /// Time of a commit.
    pub(super) fn took_to_commit(&self, time: Duration) {
        add_time(&self.commit_ns, time);
    }

    pub(super) fn committed(&self, rows: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.rows_committed.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn idled(&self, time: Duration) {
        add_time(&self.idle_ns, time);
    }

    pub(super) fn now(&self) -> Done {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Done {
            batches: read(&self.batches),
            rows_written: read(&self.rows_written),
            write_ns: read(&self.write_ns),
            commits: read(&self.commits),
            rows_committed: read(&self.rows_committed),
            commit_ns: read(&self.commit_ns),
            idle_ns: read(&self.idle_ns),
            largest_unit_rows: read(&self.largest_unit_rows),
        }
    }
}

/// What may change, and what has.
#[derive(Debug)]
struct Range {
    limits: Tuning,
    start: Numbers,
    changes: u64,
    settled: Option<Duration>,
}

/// The numbers in force; without a range nothing changes.
#[derive(Debug, Default)]
pub(super) struct Dial {
    /// 0: as many as the configuration says.
    writers: AtomicUsize,
    /// 0: batches are what the configuration says.
    batch_rows: AtomicUsize,
    /// 0: so are transactions.
    commit_rows: AtomicU64,
    range: Mutex<Option<Range>>,
    pub(super) tally: Tally,
}

impl Dial {
    fn range(&self) -> MutexGuard<'_, Option<Range>> {
        // Every change is complete before the lock is given up.
        self.range.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with the numbers of the configuration.
    pub(super) fn begin(&self, work: &Work) {
        let Some(limits) = work.tuning else { return };
        let Work { writers, batch_rows, commit_rows, .. } = *work;
        let start = Numbers { writers, batch_rows, commit_rows };
        *self.range() = Some(Range { limits, start, changes: 0, settled: None });
        self.store(&limits, start);
    }

    fn store(&self, limits: &Tuning, numbers: Numbers) {
        if limits.writers.is_some() {
            self.writers.store(numbers.writers, Ordering::Relaxed);
        }
        if limits.batch_rows.is_some() {
            self.batch_rows.store(numbers.batch_rows, Ordering::Relaxed);
        }
        if limits.commit_rows.is_some() {
            self.commit_rows.store(numbers.commit_rows, Ordering::Relaxed);
        }
    }

    /// Writers that get batches, where that number may change.
    pub(super) fn writers(&self) -> Option<usize> {
        Some(self.writers.load(Ordering::Relaxed)).filter(|&writers| writers > 0)
    }

    /// Most rows of the next batch, where that number may change.
    pub(super) fn batch_rows(&self) -> Option<usize> {
        Some(self.batch_rows.load(Ordering::Relaxed)).filter(|&rows| rows > 0)
    }

    /// Most rows of the next transaction, where that number may change.
    pub(super) fn commit_rows(&self) -> Option<u64> {
        Some(self.commit_rows.load(Ordering::Relaxed)).filter(|&rows| rows > 0)
    }

    /// What is in force.
    fn present(&self, start: Numbers) -> Numbers {
        Numbers {
            writers: self.writers().unwrap_or(start.writers),
            batch_rows: self.batch_rows().unwrap_or(start.batch_rows),
            commit_rows: self.commit_rows().unwrap_or(start.commit_rows),
        }
    }

    /// Changes what may change, inside its limits; a batch is never larger than a transaction.
    /// What is in force now, where the load may change anything.
    pub(super) fn set(&self, numbers: Numbers) -> Option<Numbers> {
        let mut range = self.range();
        let range = range.as_mut()?;
        let (limits, present) = (range.limits, self.present(range.start));
        let mut next = Numbers {
            writers: limits
                .writers
                .map_or(present.writers, |(low, high)| numbers.writers.clamp(low, high)),
            batch_rows: limits
                .batch_rows
                .map_or(present.batch_rows, |(low, high)| numbers.batch_rows.clamp(low, high)),
            commit_rows: limits
                .commit_rows
                .map_or(present.commit_rows, |(low, high)| numbers.commit_rows.clamp(low, high)),
        };
        // Where batches stay as they are, transactions give way.
        if limits.batch_rows.is_some() {
            let commit_rows = usize::try_from(next.commit_rows).unwrap_or(usize::MAX);
            next.batch_rows = next.batch_rows.min(commit_rows);
        } else {
            next.commit_rows = next.commit_rows.max(next.batch_rows as u64);
        }
        if next != present {
            range.changes += 1;
            self.store(&range.limits, next);
        }
        Some(next)
    }

    /// There cannot be more than `most` writers.
    pub(super) fn hold_writers(&self, most: usize) {
        let mut range = self.range();
        let Some(range) = range.as_mut() else { return };
        let Some((low, high)) = &mut range.limits.writers else { return };
        (*low, *high) = ((*low).min(most), (*high).min(most));
        let numbers = self.present(range.start);
        if numbers.writers > most {
            range.changes += 1;
            self.store(&range.limits, Numbers { writers: most, ..numbers });
        }
    }

    /// The numbers stay from `elapsed` on; `None`: they are looked for again.
    pub(super) fn settle(&self, elapsed: Option<Duration>) {
        if let Some(range) = self.range().as_mut() {
            range.settled = elapsed;
        }
    }

    /// For the report; `None` where nothing may change.
    pub(super) fn report(&self) -> Option<TuningReport> {
        let range = self.range();
        let range = range.as_ref()?;
        let Numbers { writers, batch_rows, commit_rows } = range.start;
        let counted =
            |start: usize, end: usize| TunedNumber { start: start as u64, end: end as u64 };
        Some(TuningReport {
            writers: self.writers().map(|end| counted(writers, end)),
            batch_rows: self.batch_rows().map(|end| counted(batch_rows, end)),
            commit_rows: self.commit_rows().map(|end| TunedNumber { start: commit_rows, end }),
            changes: range.changes,
            settled_seconds: range.settled.map(|time| time.as_secs_f64()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(tuning: Tuning) -> Dial {
        let layered = crate::config::options::Layered::default();
        let options = crate::config::work::WorkOptions::new(&layered).unwrap();
        let around = crate::config::work::Surroundings::of_machine(1);
        let mut work = options.settle(&around).unwrap().work;
        (work.writers, work.batch_rows, work.commit_rows) = (2, 100, 1_000);
        work.tuning = Some(tuning);
        let dial = Dial::default();
        dial.begin(&work);
        dial
    }

    const NONE: Tuning =
        Tuning { writers: None, batch_rows: None, commit_rows: None, window: None };

    const ALL: Tuning = Tuning {
        writers: Some((1, 5)),
        batch_rows: Some((10, 400)),
        commit_rows: Some((50, 4_000)),
        window: None,
    };

    const fn numbers(writers: usize, batch_rows: usize, commit_rows: u64) -> Numbers {
        Numbers { writers, batch_rows, commit_rows }
    }

    #[test]
    fn limits_hold_and_no_batch_is_larger_than_a_transaction() {
        let all = dial(ALL);
        assert_eq!(all.set(numbers(0, 1, 1)), Some(numbers(1, 10, 50)));
        assert_eq!(all.set(numbers(9, 9_999, 9_999)), Some(numbers(5, 400, 4_000)));
        assert_eq!(all.set(numbers(3, 9_999, 60)), Some(numbers(3, 60, 60)));
        assert_eq!(
            (all.writers(), all.batch_rows(), all.commit_rows()),
            (Some(3), Some(60), Some(60))
        );
        assert_eq!(all.set(numbers(3, 60, 60)), Some(numbers(3, 60, 60)));
        let report = all.report().unwrap();
        assert_eq!(report.changes, 3);
        assert_eq!(report.writers, Some(TunedNumber { start: 2, end: 3 }));
        assert_eq!(report.batch_rows, Some(TunedNumber { start: 100, end: 60 }));
        assert_eq!(report.commit_rows, Some(TunedNumber { start: 1_000, end: 60 }));
    }

    #[test]
    fn what_is_given_stays() {
        let batches = dial(Tuning { batch_rows: Some((10, 5_000)), ..NONE });
        assert_eq!(batches.set(numbers(7, 4_000, 7)), Some(numbers(2, 1_000, 1_000)));
        assert_eq!((batches.batch_rows(), batches.commit_rows()), (Some(1_000), None));
        let commits = dial(Tuning { commit_rows: Some((10, 5_000)), ..NONE });
        assert_eq!(commits.set(numbers(7, 4_000, 7)), Some(numbers(2, 100, 100)));
        assert_eq!((commits.batch_rows(), commits.commit_rows()), (None, Some(100)));
        let writers = dial(Tuning { writers: Some((1, 9)), ..NONE });
        assert_eq!(writers.set(numbers(7, 4_000, 7)), Some(numbers(7, 100, 1_000)));
        assert_eq!((writers.writers(), writers.batch_rows()), (Some(7), None));
        let none = Dial::default();
        assert_eq!((none.set(numbers(1, 1, 1)), none.report()), (None, None));
    }

    #[test]
    fn writers_that_cannot_be_had_are_not_asked_for_again() {
        let all = dial(ALL);
        all.set(numbers(5, 100, 1_000));
        all.hold_writers(3);
        assert_eq!(all.writers(), Some(3));
        assert_eq!(all.set(numbers(5, 100, 1_000)), Some(numbers(3, 100, 1_000)));
        assert_eq!(all.set(numbers(1, 100, 1_000)), Some(numbers(1, 100, 1_000)));
        all.hold_writers(2);
        assert_eq!((all.writers(), all.report().unwrap().changes), (Some(1), 3));
    }
}
