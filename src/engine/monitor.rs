//! Looks at the queues every few seconds and says what is worth knowing: the old pipeline's
//! monitor, as log events, and for who listens ([`Control::on_look`]).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::climb::{Climb, STEP};
use super::control::{Control, Snapshot};
use crate::ring::{Sleeper, Waker};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// A queue that is fuller than this part of its bound is near its capacity.
const NEARLY_FULL_PERCENT: usize = 80;

/// What a look at the queues says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Parsers do not keep up with the reader.
    ParsersSlow,
    /// Writers do not keep up with the parsers.
    WritersSlow,
    /// Nothing waits anywhere.
    QueuesEmpty,
}

impl Finding {
    /// Its name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ParsersSlow => "parsers_slow",
            Self::WritersSlow => "writers_slow",
            Self::QueuesEmpty => "queues_empty",
        }
    }
}

/// One look at the queues of a running load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Time since the threads were started.
    pub elapsed: Duration,
    /// The counters.
    pub now: Snapshot,
    /// What they say.
    pub findings: Vec<Finding>,
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

fn log(look: &Look) {
    let now = &look.now;
    tracing::info!(
        chunks_ahead = now.chunks_ahead,
        chunks_ahead_max = now.chunks_ahead_max,
        ring_batches = now.ring_batches,
        ring_capacity = now.ring_capacity,
        rows_loaded = now.rows_loaded,
        "queue depths"
    );
    for finding in &look.findings {
        match finding {
            Finding::ParsersSlow => {
                tracing::warn!("read-ahead near capacity: parsers may be slow");
            }
            Finding::WritersSlow => tracing::warn!("rings near capacity: writers may be slow"),
            // A map has no queue: what parsers wait for is inside them.
            Finding::QueuesEmpty if now.chunks_ahead_max == 0 => {
                tracing::info!("rings empty: the load may be bound by its parsers or its input");
            }
            Finding::QueuesEmpty => {
                tracing::info!("queues empty: the load may be bound by its input");
            }
        }
    }
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

    /// Watches until [`Self::end`], and climbs meanwhile where there is a climb.
    pub(super) fn watch(&self, control: &Control, mut climb: Option<Climb<'_>>) {
        let sleeper = self.sleeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(mut sleeper) = sleeper else { return };
        let started = Instant::now();
        watch_by(control, |interval| {
            let is_ended = || self.ended.load(Ordering::Acquire);
            let until = Instant::now() + interval;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Some(started.elapsed());
                }
                let nap = if climb.is_some() { left.min(STEP) } else { left };
                if sleeper.sleep_until_or_timeout(nap, is_ended) {
                    return None;
                }
                if let Some(climb) = &mut climb {
                    climb.look();
                }
            }
        });
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// Looks whenever `wait` has waited for the time it is given and says what time it is; ends when
/// it says nothing.
fn watch_by(control: &Control, mut wait: impl FnMut(Duration) -> Option<Duration>) {
    while let Some(elapsed) = wait(INTERVAL) {
        let now = control.snapshot();
        let look = Look { elapsed, findings: findings(&now), now };
        log(&look);
        control.tell(&look);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_old_monitors_three_findings() {
        let now = Snapshot { ring_capacity: 10, chunks_ahead_max: 20, ..Snapshot::default() };
        assert_eq!(findings(&now), [Finding::QueuesEmpty]);
        assert_eq!(findings(&Snapshot { ring_batches: 8, ..now }), []);
        assert_eq!(findings(&Snapshot { ring_batches: 9, ..now }), [Finding::WritersSlow]);
        assert_eq!(findings(&Snapshot { chunks_ahead: 16, ..now }), []);
        assert_eq!(findings(&Snapshot { chunks_ahead: 17, ..now }), [Finding::ParsersSlow]);
        let both = Snapshot { chunks_ahead: 20, ring_batches: 10, ..now };
        assert_eq!(findings(&both), [Finding::ParsersSlow, Finding::WritersSlow]);
    }

    /// By a clock that the test moves: every 5 s a look at what is there then, and nothing before.
    #[test]
    fn a_look_every_five_seconds() {
        let control = Control::new();
        control.metrics.ring_capacity.store(10, Ordering::Relaxed);
        let ahead = Arc::new(Mutex::new((0, 4)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (depths, looks) = (Arc::clone(&ahead), Arc::clone(&seen));
        control.on_depths(Box::new(move || *depths.lock().unwrap()));
        control.on_look(Box::new(move |look| looks.lock().unwrap().push(look.clone())));
        let mut script = vec![(4, 0), (3, 9), (0, 10), (0, 0)];
        let mut clock = Duration::ZERO;
        watch_by(&control, |interval| {
            let (chunks, batches) = script.pop()?;
            clock += interval;
            ahead.lock().unwrap().0 = chunks;
            control.metrics.ring_batches.store(batches, Ordering::Relaxed);
            Some(clock)
        });
        let looks: Vec<_> = seen.lock().unwrap().drain(..).collect();
        let told = looks.iter().map(|look| {
            let now = &look.now;
            (look.elapsed.as_secs(), now.chunks_ahead, now.ring_batches, look.findings.clone())
        });
        let expected = [
            (5, 0, 0, vec![Finding::QueuesEmpty]),
            (10, 0, 10, vec![Finding::WritersSlow]),
            (15, 3, 9, vec![Finding::WritersSlow]),
            (20, 4, 0, vec![Finding::ParsersSlow]),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert!(looks.iter().all(|look| look.now.chunks_ahead_max == 4));
    }

    #[test]
    fn the_monitor_ends_when_it_is_told() {
        let (monitor, control) = (Monitor::new(), Control::new());
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| monitor.watch(&control, None));
            monitor.end();
            watching.join().expect("no panic");
        });
    }
}
