//! Looks at the queues every few seconds and says what is worth knowing: the old pipeline's
//! monitor, as log events.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::control::{Control, Snapshot};
use crate::ring::{Sleeper, Waker};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// A queue that is fuller than this part of its bound is near its capacity.
const NEARLY_FULL_PERCENT: usize = 80;

/// What a look at the queues says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// Parsers do not keep up with the reader.
    ParsersSlow,
    /// Writers do not keep up with the parsers.
    WritersSlow,
    /// Nothing waits anywhere.
    QueuesEmpty,
}

fn findings(now: &Snapshot) -> Vec<Finding> {
    let nearly_full =
        |depth: usize, bound: usize| bound > 0 && depth * 100 > bound * NEARLY_FULL_PERCENT;
    let mut found = Vec::new();
    if nearly_full(now.chunks_ahead, now.chunks_ahead_max) {
        found.push(Finding::ParsersSlow);
    }
    if nearly_full(now.ring_batches, now.ring_capacity) {
        found.push(Finding::WritersSlow);
    }
    if now.chunks_ahead == 0 && now.ring_batches == 0 {
        found.push(Finding::QueuesEmpty);
    }
    found
}

/// The watching thread's way to be ended.
pub(super) struct Monitor {
    ended: AtomicBool,
    sleeper: Mutex<Option<Sleeper>>,
    waker: Waker,
}

impl Monitor {
    pub(super) fn new() -> Self {
        let sleeper = Sleeper::new();
        let waker = sleeper.waker();
        Self { ended: AtomicBool::new(false), sleeper: Mutex::new(Some(sleeper)), waker }
    }

    /// Watches until [`Self::end`].
    pub(super) fn watch(&self, control: &Control) {
        let sleeper = self.sleeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(mut sleeper) = sleeper else { return };
        while !sleeper.sleep_until_or_timeout(INTERVAL, || self.ended.load(Ordering::Acquire)) {
            let now = control.snapshot();
            tracing::info!(
                chunks_ahead = now.chunks_ahead,
                ring_batches = now.ring_batches,
                rows_loaded = now.rows_loaded,
                "queue depths"
            );
            for finding in findings(&now) {
                match finding {
                    Finding::ParsersSlow => {
                        tracing::warn!("read-ahead near capacity: parsers may be slow");
                    }
                    Finding::WritersSlow => {
                        tracing::warn!("rings near capacity: writers may be slow");
                    }
                    Finding::QueuesEmpty => {
                        tracing::info!("queues empty: the load may be bound by its input");
                    }
                }
            }
        }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_monitors_three_findings() {
        let now = Snapshot { ring_capacity: 10, chunks_ahead_max: 20, ..Snapshot::default() };
        assert_eq!(findings(&now), [Finding::QueuesEmpty]);
        assert_eq!(findings(&Snapshot { ring_batches: 8, ..now }), []);
        assert_eq!(findings(&Snapshot { ring_batches: 9, ..now }), [Finding::WritersSlow]);
        assert_eq!(findings(&Snapshot { chunks_ahead: 17, ..now }), [Finding::ParsersSlow]);
    }

    #[test]
    fn the_monitor_ends_when_it_is_told() {
        let (monitor, control) = (Monitor::new(), Control::new());
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| monitor.watch(&control));
            monitor.end();
            watching.join().expect("no panic");
        });
    }
}
