//! What a writer keeps where the load can reach it, should the writer's thread be lost in a driver:
//! its rejects, and the commit that it is waiting for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::unit::Doubt;
use crate::error::{ErrorKind, Result};
use crate::rejects::{RejectMark, RejectSegment};

/// One writer's desk. It is locked for moments, and never while the database is called.
#[derive(Debug)]
pub(super) struct Desk(Mutex<Papers>);

#[derive(Debug)]
struct Papers {
    /// `None`: the load has ended without the writer.
    segment: Option<RejectSegment>,
    /// Where the segment stood at the last commit.
    committed: RejectMark,
    /// What would be in doubt now.
    commit: Option<Doubt>,
}

impl Desk {
    pub(super) fn new(segment: RejectSegment) -> Self {
        let committed = segment.mark();
        Self(Mutex::new(Papers { segment: Some(segment), committed, commit: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Papers> {
        // A writer that panics in the middle of a reject is cut back to its last commit.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the writer's rejects.
    ///
    /// # Errors
    /// Those of `work`, or that the load has ended without this writer.
    pub(super) fn rejects<T>(
        &self,
        work: impl FnOnce(&mut RejectSegment) -> Result<T>,
    ) -> Result<T> {
        work(self.lock().segment.as_mut().ok_or_else(left_behind)?)
    }

    /// A commit is about to be sent.
    ///
    /// # Errors
    /// The load has ended without this writer: nothing may be committed any more.
    pub(super) fn begin_commit(&self, doubt: Doubt) -> Result<()> {
        let mut papers = self.lock();
        if papers.segment.is_none() {
            return Err(left_behind());
        }
        papers.commit = Some(doubt);
        Ok(())
    }

    /// Whether a commit was sent that is not booked.
    pub(super) fn is_committing(&self) -> bool {
        self.lock().commit.is_some()
    }

    /// The answer to a commit is there, and it is no success: what is in doubt if it is no refusal
    /// either.
    ///
    /// # Errors
    /// The load has ended without this writer, and has said that the commit is in doubt.
    pub(super) fn end_commit(&self) -> Result<Doubt> {
        self.lock().commit.take().ok_or_else(left_behind)
    }

    /// A unit is committed; `count` books it. Returns where the rejects stand now.
    ///
    /// # Errors
    /// As of [`Self::end_commit`].
    pub(super) fn committed(&self, count: impl FnOnce()) -> Result<RejectMark> {
        let mut papers = self.lock();
        let mark = papers.segment.as_ref().ok_or_else(left_behind)?.mark();
        papers.commit = None;
        papers.committed = mark.clone();
        count();
        Ok(mark)
    }

    /// The rejects of a writer that has ended.
    pub(super) fn take_rejects(&self) -> Option<RejectSegment> {
        self.lock().segment.take()
    }

    /// Clears the desk: the rejects of what is committed, and the commit whose answer never came.
    /// Whatever the writer does from here on, it does for nobody.
    pub(super) fn clear(&self) -> (Option<RejectSegment>, Option<Doubt>) {
        let mut papers = self.lock();
        let (mut segment, commit) = (papers.segment.take(), papers.commit.take());
        if let (Some(segment), None) = (&mut segment, &commit)
            && let Err(error) = segment.truncate_to(&papers.committed)
        {
            tracing::warn!(%error, "rejects of an open transaction stay");
        }
        (segment, commit)
    }
}

fn left_behind() -> crate::error::Error {
    ErrorKind::Internal("a writer came back after the end of its load".to_owned()).into()
}
