//! What a parser did with its time.

use std::time::Duration;

/// What a parser did with its time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ParserTimes {
    /// In chunks.
    pub(super) busy: Duration,
    /// Waiting for input.
    pub(super) input: Duration,
    /// Waiting because of `--max-rate`.
    pub(super) paced: Duration,
    /// Waiting for room in a ring or for an arena.
    pub(super) full: Duration,
    /// Waiting for the left neighbour of a chunk.
    pub(super) proof: Duration,
}

impl ParserTimes {
    pub(super) fn waited(&self) -> Duration {
        self.input + self.paced + self.full + self.proof
    }
}
