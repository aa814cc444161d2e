//! One record of each key is left in the staging table; the ledger notes what came of the others.

use super::notes::{SETTLED_SEGMENT, segment_text};
use super::staged::Staged;
use super::watch::Watch;
use crate::config::Duplicates;
use crate::error::{ErrorKind, Result};
use crate::ledger::State;
use crate::rejects::{RejectSegment, SegmentId};

/// Note of what is left of each input after equal keys were settled.
const SETTLED: &str = "note settled";

/// The text of [`SETTLED`]: rows and rejects of each input.
fn settled_text(rows: &[u64], rejected: &[u64]) -> String {
    let pairs = rows.iter().zip(rejected).map(|(rows, rejected)| format!("{rows} {rejected}"));
    pairs.collect::<Vec<_>>().join(" ")
}

impl Staged<'_> {
    /// Leaves one record of each key in the staging table, in one transaction, and notes in the
    /// ledger what came of it. Of each input `rejected` records are in the reject file for it, the
    /// others are superseded.
    pub(super) fn leave_one(
        &mut self,
        watch: &Watch,
        rule: Duplicates,
        rejected: &[u64],
        segment: &mut RejectSegment,
    ) -> Result<()> {
        let files = self.rows.len();
        segment.flush()?;
        let job = self.shared.job.clone();
        let segment_text = job.as_ref().map(|job| {
            let mark = segment.mark();
            let lengths = (0..files).map(|file| self.files.lengths(&mark, file));
            let writer = self.shared.config.work.writers_max();
            let id = SegmentId { epoch: job.epoch(), writer };
            segment_text(id, lengths)
        });
        let rows = self.attempt(watch, |staging, session| {
            staging.delete_losers(session, rule)?;
            let rows = staging.count(session, None, files)?;
            if let (Some(job), Some(text)) = (&job, &segment_text) {
                job.note_in(session, SETTLED, &settled_text(&rows, rejected))?;
                job.note_in(session, SETTLED_SEGMENT, text)?;
                job.advance_in(session, State::Settled, 0)?;
            }
            Ok(rows)
        })?;
        self.is_noted = job.is_some();
        self.recount(rows, rejected)
    }

    /// Takes over what an earlier start has settled.
    pub(super) fn take_settled(&mut self) -> Result<()> {
        let noted = self.run.and_then(|run| run.facts.get(SETTLED));
        let Some(noted) = noted else { return Ok(()) };
        let numbers: Vec<u64> = noted.split(' ').filter_map(|word| word.parse().ok()).collect();
        let (rows, rejected): (Vec<u64>, Vec<u64>) =
            numbers.as_chunks::<2>().0.iter().map(|[rows, rejected]| (*rows, *rejected)).unzip();
        if rows.len() != self.rows.len() {
            let message = format!("the ledger's note of settled keys is damaged: {noted}");
            return Err(ErrorKind::Internal(message).into());
        }
        self.recount(rows, &rejected)
    }

    /// Takes the rows by input as they are after losers were deleted: what is missing is
    /// superseded, but for `rejected` of each input.
    fn recount(&mut self, rows: Vec<u64>, rejected: &[u64]) -> Result<()> {
        for (index, file) in self.shared.files.iter().enumerate() {
            let gone = self.rows[index].checked_sub(rows[index]);
            let superseded = gone.and_then(|gone| gone.checked_sub(rejected[index]));
            let superseded = superseded.ok_or_else(|| {
                ErrorKind::Internal(format!(
                    "{} rows of {} are staged after equal keys were settled, {} before",
                    rows[index],
                    file.path.display(),
                    self.rows[index]
                ))
            })?;
            file.settle(rejected[index], superseded);
        }
        self.rejected.copy_from_slice(rejected);
        self.rows = rows;
        Ok(())
    }
}
