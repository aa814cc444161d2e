//! The reject limit of a load, and the lowest bad record seen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

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
    lowest: Mutex<Option<(usize, BadRecord)>>,
}

impl RejectCounter {
    pub(super) const fn new(limit: RejectLimit) -> Self {
        Self {
            limit,
            rejects: AtomicU64::new(0),
            records: AtomicU64::new(0),
            lowest: Mutex::new(None),
        }
    }

    /// Counts records that are read for certain.
    pub(super) fn add_records(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// Counts `rejects` more and tells which one of them, from 0, passed the limit.
    pub(super) fn add_rejects(&self, rejects: u64) -> Option<u64> {
        let before = self.rejects.fetch_add(rejects, Ordering::Relaxed);
        match self.limit {
            RejectLimit::All => None,
            RejectLimit::Count(limit) if before + rejects > limit => {
                Some(limit.saturating_sub(before))
            }
            RejectLimit::Count(_) => None,
            RejectLimit::Share(_) => {
                let records = self.records.load(Ordering::Relaxed);
                let passed = records >= SHARE_TESTED_FROM && self.share_passed(records);
                (passed && rejects > 0).then(|| rejects - 1)
            }
        }
    }

    /// As [`Self::add_rejects`] without counting: would `rejects` more pass the limit?
    pub(super) fn peek(&self, rejects: u64) -> Option<u64> {
        let before = self.rejects.load(Ordering::Relaxed);
        match self.limit {
            RejectLimit::Count(limit) if before + rejects > limit => {
                Some(limit.saturating_sub(before))
            }
            RejectLimit::Count(_) | RejectLimit::Share(_) | RejectLimit::All => None,
        }
    }

    /// Whether the share of rejects among all records read is too high, at the end of a load.
    pub(super) fn passed_at_end(&self) -> bool {
        let records = self.records.load(Ordering::Relaxed);
        matches!(self.limit, RejectLimit::Share(_)) && records > 0 && self.share_passed(records)
    }

    fn share_passed(&self, records: u64) -> bool {
        let RejectLimit::Share(share) = self.limit else {
            return false;
        };
        // Counts stay far below 2^53, so that the quotient is exact enough for a percentage.
        #[expect(clippy::cast_precision_loss, reason = "counts under 2^53")]
        let found = self.rejects.load(Ordering::Relaxed) as f64 / records as f64;
        found > share
    }

    /// The limit as a number, for messages: 0 for a share.
    pub(super) const fn limit_count(&self) -> u64 {
        match self.limit {
            RejectLimit::Count(limit) => limit,
            RejectLimit::Share(_) | RejectLimit::All => 0,
        }
    }

    /// Whether any reject at all stops the load.
    pub(super) const fn stops_at_first(&self) -> bool {
        matches!(self.limit, RejectLimit::Count(0))
    }

    /// Remembers a bad record if it stands before the one remembered.
    pub(super) fn note_lowest(&self, file: usize, bad: BadRecord) {
        let mut lowest = self
            .lowest
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (file, bad.position.record);
        if lowest
            .as_ref()
            .is_none_or(|(file, known)| key < (*file, known.position.record))
        {
            *lowest = Some((file, bad));
        }
    }

    /// The lowest bad record of all that passed the limit.
    pub(super) fn lowest(&self) -> Option<BadRecord> {
        let lowest = self
            .lowest
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        lowest.as_ref().map(|(_, bad)| bad.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reject_after_the_last_allowed_one_passes_the_limit() {
        let counter = RejectCounter::new(RejectLimit::Count(2));
        assert_eq!(counter.add_rejects(2), None);
        assert_eq!(counter.add_rejects(3), Some(0));
        assert_eq!(
            RejectCounter::new(RejectLimit::Count(2)).add_rejects(5),
            Some(2)
        );
        assert_eq!(
            RejectCounter::new(RejectLimit::Count(0)).add_rejects(1),
            Some(0)
        );
    }

    #[test]
    fn a_share_is_tested_from_a_thousand_records_on() {
        let counter = RejectCounter::new(RejectLimit::Share(0.01));
        counter.add_records(100);
        assert_eq!(counter.add_rejects(5), None);
        assert!(counter.passed_at_end());
        counter.add_records(900);
        assert_eq!(counter.add_rejects(4), None, "9 of 1,000");
        assert_eq!(counter.add_rejects(2), Some(1), "11 of 1,000");
    }
}
