//! The ledger: which byte ranges of which inputs are committed, in the database that they went to.
//!
//! Its rows are written in the transactions of the rows that they speak of, so that both are in or
//! neither. A start reads what is committed and does the rest. The protocol:
//!
//! - **Run.** A job is loaded in runs; a run has a state ([`State`]), an epoch and an owner. Every
//!   change of state is conditional on the epoch.
//! - **Fence.** Each transaction of a writer locks the writer's own row of the fence table, and
//!   looks at the epoch there. A takeover raises the epoch in all of them, for which it waits until
//!   every transaction of an earlier owner has ended: whoever comes back later finds another epoch.
//! - **Range.** A range is inserted, with its key, before its rows are sent, and completed before
//!   the commit. When the answer to a commit is lost, the same ranges are inserted again over a new
//!   connection: a duplicate says that they are committed; waiting, that the old transaction still
//!   lives; success, that it is gone.
//!
//! Locks are row locks that an `UPDATE` takes, which every database with transactions has.

mod facts;
mod gaps;
mod owner;
mod sql;
mod start;
mod store;

use std::fmt;

pub use facts::{Difference, Facts};
pub use gaps::{Committed, Gap, Overlap, Remainder, remainder};
pub use owner::{Liveness, Owner};
pub use sql::{DEFAULT_TABLE, JOB_CHARS, LedgerSql};
pub use start::{InputState, Request, Run, Start, abort, start};
pub use store::{RunRow, Store, is_duplicate};

use crate::record::ByteRange;
use crate::rejects::SegmentLengths;

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunKey {
    /// Name of the job.
    pub job: String,
    /// Number of the run, from 1.
    pub run: u64,
}

/// Name of the fact that says whose mended rejects a run loads.
pub const RETRY_OF: &str = "retry of";

impl RunKey {
    /// The key as the fact [`RETRY_OF`] has it: the run, a blank, the job.
    #[must_use]
    pub fn to_fact(&self) -> String {
        format!("{} {}", self.run, self.job)
    }

    /// The key that [`Self::to_fact`] wrote.
    #[must_use]
    pub fn of_fact(fact: &str) -> Option<Self> {
        let (run, job) = fact.split_once(' ')?;
        Some(Self { job: job.to_owned(), run: run.parse().ok()? })
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}, run {}", self.job, self.run)
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing is read yet; the step counts the statements of `--before` that are done.
    Starting,
    /// The table is to be emptied, and may be empty already.
    Emptying,
    /// Ranges are read and committed.
    Loading,
    /// All rows wait in the staging table.
    Loaded,
    /// Of equal keys in the staging table one is left.
    Settled,
    /// The target is to be emptied before the move, and may be empty already.
    MoveEmptying,
    /// Parts of the staged rows are moved.
    Moving,
    /// All rows are in the target; the step counts the statements after the load that are done.
    Finishing,
    /// Everything is done.
    Done,
    /// Given up.
    Aborted,
}

impl State {
    /// All, in the order in which a run goes through them.
    pub const ALL: [Self; 10] = [
        Self::Starting,
        Self::Emptying,
        Self::Loading,
        Self::Loaded,
        Self::Settled,
        Self::MoveEmptying,
        Self::Moving,
        Self::Finishing,
        Self::Done,
        Self::Aborted,
    ];

    /// Name in the table and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Emptying => "emptying",
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Settled => "settled",
            Self::MoveEmptying => "move-emptying",
            Self::Moving => "moving",
            Self::Finishing => "finishing",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Aborted)
    }
}

/// A committed range of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RangeRow {
    /// Index of the input.
    pub file: usize,
    /// Where rows are shared among writers by key: whose rows of the range these are; else 0.
    pub part: usize,
    /// Its bytes.
    pub bytes: ByteRange,
    /// Records of the file before it.
    pub records_before: u64,
    /// Records in it (of this part).
    pub records: u64,
    /// Lines of the file before it.
    pub lines_before: u64,
    /// Lines in it.
    pub lines: u64,
    /// Records that are rows.
    pub loaded: u64,
    /// Records that are rejects.
    pub rejected: u64,
    /// Records that another one with their key has replaced.
    pub superseded: u64,
    /// Epoch in which it was committed.
    pub epoch: u64,
    /// The writer that committed it.
    pub writer: usize,
    /// How long the writer's reject segment of the file was then; nothing when the range brought no
    /// rejects.
    pub rejects: SegmentLengths,
    /// Hash of its bytes; 0: not known.
    pub digest: u64,
}

impl RangeRow {
    /// The range as the gaps are computed from it.
    #[must_use]
    pub const fn committed(&self) -> Committed {
        Committed {
            bytes: self.bytes,
            records_before: self.records_before,
            records: self.records,
            lines_before: self.lines_before,
            lines: self.lines,
        }
    }
}
