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
    /// What of `took`, the life of the thread, is neither in `runnable` nor a wait that was
    /// measured: it waited for pages of a map, and seemed to parse.
    pub(super) fn note_blocked(&mut self, took: Duration, runnable: Duration) {
        let blocked = took.saturating_sub(runnable).saturating_sub(self.waited()).min(self.busy);
        self.busy -= blocked;
        self.input += blocked;
    }

    pub(super) fn waited(&self) -> Duration {
        self.input + self.paced + self.full + self.proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_no_wait_and_no_work_was_input() {
        let second = Duration::from_secs;
        let mut times = ParserTimes {
            busy: second(6),
            input: second(1),
            full: second(2),
            ..Default::default()
        };
        // 10 s, of which it ran or wanted to for 4 and waited for 3.
        times.note_blocked(second(10), second(4));
        assert_eq!((times.busy, times.input), (second(3), second(4)));
        times.note_blocked(second(10), second(9));
        assert_eq!((times.busy, times.input), (second(3), second(4)));
    }
}
