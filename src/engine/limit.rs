//! The reject limit of a load, and the lowest bad record seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::config::RejectLimit;
use crate::error::BadRecord;

/// Records read before a share of rejects means anything.
const SHARE_TESTED_FROM: u64 = 1_000;

/// Counts rejects of all threads against `--max-errors`.
#[derive(Debug)]
pub(super) struct RejectCounter {
    limit: RejectLimit,
    rejects: AtomicU64,
    records: AtomicU64,
    /// Of those that passed the limit.
    lowest: Lowest,
    /// Of all, where the limit is a share.
    any: Lowest,
}

impl RejectCounter {
    pub(super) const fn new(limit: RejectLimit) -> Self {
        Self {
            limit,
            rejects: AtomicU64::new(0),
            records: AtomicU64::new(0),
            lowest: Lowest::new(),
            any: Lowest::new(),
        }
    }

    /// Counts what earlier starts of the job have committed.
    pub(super) fn preset(&self, records: u64, rejects: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.rejects.fetch_add(rejects, Ordering::Relaxed);
    }

    /// Counts records that are read for certain; returns how many there were before.
    pub(super) fn add_records(&self, records: u64) -> u64 {
        self.records.fetch_add(records, Ordering::Relaxed)
    }

    /// Counts `rejects` more and tells which one of them, from 0, passed the limit. `records_at`
    /// says how many records are read up to and including the one of a reject.
    pub(super) fn add_rejects(&self, rejects: u64, records_at: impl Fn(u64) -> u64) -> Option<u64> {
        let before = self.rejects.fetch_add(rejects, Ordering::Relaxed);
        match self.limit {
            RejectLimit::Count(limit) if before + rejects > limit => {
                Some(limit.saturating_sub(before))
            }
            RejectLimit::Count(_) | RejectLimit::All => None,
            RejectLimit::Share(share) => (0..rejects).find(|&index| {
                let records = records_at(index);
                records >= SHARE_TESTED_FROM && is_more(before + index + 1, records, share)
            }),
        }
    }

    /// Records read so far.
    pub(super) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Takes back rejects of a unit that is sent again.
    pub(super) fn take_back(&self, rejects: u64) {
        self.rejects.fetch_sub(rejects, Ordering::Relaxed);
    }

    /// Whether the share of rejects among all records read is too high, at the end of a load.
    pub(super) fn passed_at_end(&self) -> bool {
        let (rejects, records) = (self.rejects.load(Ordering::Relaxed), self.records());
        matches!(self.limit, RejectLimit::Share(share) if is_more(rejects, records, share))
    }

    /// The limit as a number, for messages: 0 for a share.
    pub(super) const fn limit_count(&self) -> u64 {
        match self.limit {
            RejectLimit::Count(limit) => limit,
            RejectLimit::Share(_) | RejectLimit::All => 0,
        }
    }

    /// Remembers a bad record that passed the limit if it stands before the one remembered.
    pub(super) fn note_lowest(&self, file: usize, bad: BadRecord) {
        self.lowest.note(file, bad);
    }

    /// The lowest bad record of all that passed the limit.
    pub(super) fn lowest(&self) -> Option<BadRecord> {
        self.lowest.get()
    }

    /// Remembers a bad record, lazily made, for a limit that may turn out at the end to be passed.
    pub(super) fn note_any(&self, file: usize, record: u64, bad: impl FnOnce() -> BadRecord) {
        if matches!(self.limit, RejectLimit::Share(_)) && self.any.would_take(file, record) {
            self.any.note(file, bad());
        }
    }

    /// The lowest bad record of all, where the limit is a share.
    pub(super) fn lowest_of_all(&self) -> Option<BadRecord> {
        self.any.get()
    }
}

/// Whether `rejects` are a larger part of `records` than `share`.
fn is_more(rejects: u64, records: u64, share: f64) -> bool {
    // Counts stay far below 2^53, so that the quotient is exact enough for a percentage.
    #[expect(clippy::cast_precision_loss, reason = "counts under 2^53")]
    let found = rejects as f64 / records.max(1) as f64;
    found > share
}

/// The lowest bad record, by file and number.
#[derive(Debug, Default)]
struct Lowest(Mutex<Option<(usize, BadRecord)>>);

impl Lowest {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(usize, BadRecord)>> {
        // A record is put in whole or not at all.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn would_take(&self, file: usize, record: u64) -> bool {
        self.lock()
            .as_ref()
            .is_none_or(|(known, bad)| (file, record) < (*known, bad.position.record))
    }

    fn note(&self, file: usize, bad: BadRecord) {
        let mut lowest = self.lock();
        if lowest.as_ref().is_none_or(|(known, lower)| {
            (file, bad.position.record) < (*known, lower.position.record)
        }) {
            *lowest = Some((file, bad));
        }
    }

    fn get(&self) -> Option<BadRecord> {
        self.lock().as_ref().map(|(_, bad)| bad.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reject_after_the_last_allowed_one_passes_the_limit() {
        let counter = RejectCounter::new(RejectLimit::Count(2));
        assert_eq!(counter.add_rejects(2, |_| 0), None);
        assert_eq!(counter.add_rejects(3, |_| 0), Some(0));
        let counter = RejectCounter::new(RejectLimit::Count(2));
        assert_eq!(counter.add_rejects(5, |_| 0), Some(2));
        let counter = RejectCounter::new(RejectLimit::Count(0));
        assert_eq!(counter.add_rejects(1, |_| 0), Some(0));
    }

    #[test]
    fn what_is_sent_again_counts_once() {
        let counter = RejectCounter::new(RejectLimit::Count(2));
        assert_eq!(counter.add_rejects(2, |_| 0), None);
        counter.take_back(2);
        assert_eq!(counter.add_rejects(2, |_| 0), None);
    }

    #[test]
    fn a_share_is_tested_from_a_thousand_records_on() {
        let counter = RejectCounter::new(RejectLimit::Share(0.01));
        assert_eq!(counter.add_records(100), 0);
        assert_eq!(counter.add_rejects(5, |index| index + 1), None);
        assert!(counter.passed_at_end());
        assert_eq!(counter.add_records(950), 100);
        // The tenth is 1 % of 1,000; the eleventh is more, the twelfth would be too.
        let read =
            |index| [900, 910, 920, 930, 1_000, 1_010, 1_050][usize::try_from(index).unwrap()];
        assert_eq!(counter.add_rejects(7, read), Some(5));
    }
}
