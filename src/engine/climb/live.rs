//! The climb of a running load: windows of what its writers do, on the monitor's thread.
//!
//! A window begins when what was begun under earlier numbers is through, and one in which a writer
//! was in trouble does not count. Nothing is done in the first seconds: a short load runs as
//! if there were no climb.

use std::time::{Duration, Instant};

use super::{Limits, Tuner, Window};
use crate::config::Numbers;
use crate::engine::dial::Done;
use crate::engine::shared::Shared;

/// Time between two looks.
pub(in crate::engine) const STEP: Duration = Duration::from_millis(50);

/// Time before the first window: a load that is over soon would only pay for the trials.
const WARM_UP: Duration = Duration::from_secs(3);

/// Longest window, and longest wait for one to begin: with slow transactions it does without them.
const LONGEST: Duration = Duration::from_secs(2);

/// Batches of each writer that a window should hold, to mean something.
const BATCHES: u64 = 4;

/// The climb of a running load.
pub(in crate::engine) struct Climb<'s> {
    shared: &'s Shared,
    tuner: Tuner,
    window: Duration,
    started: Instant,
    /// When the window began, or the wait for it, and what was done by then.
    since: (Instant, Done),
    /// What must be done for the window to begin; `None`: it has begun.
    awaited: Option<Done>,
    /// How often the log had been full.
    shrinks: u64,
    /// How often transactions had been undone and sent again.
    replays: u64,
    was_settled: bool,
}

impl<'s> Climb<'s> {
    /// `None` where nothing is to be found.
    pub(in crate::engine) fn new(shared: &'s Shared) -> Option<Self> {
        let work = &shared.config.work;
        let tuning = work.tuning?;
        let limits = Limits {
            writers: tuning.writers,
            batch_rows: tuning.batch_rows,
            commit_rows: tuning.commit_rows,
        };
        let settings = Numbers {
            writers: work.writers,
            batch_rows: work.batch_rows,
            commit_rows: work.commit_rows,
        };
        let now = Instant::now();
        Some(Self {
            shared,
            window: tuning.window?,
            tuner: Tuner::new(limits, settings),
            started: now,
            since: (now, Done::default()),
            awaited: None,
            shrinks: 0,
            replays: 0,
            was_settled: false,
        })
    }

    /// Looks at what was done, and changes the numbers where that helps.
    pub(in crate::engine) fn look(&mut self) {
        let now = Instant::now();
        let done = self.shared.control.dial.tally.now();
        let retries = &self.shared.retries;
        let (shrinks, replays) = (retries.shrinks(), retries.replays());
        let is_in_trouble = retries.is_any_recovering() || replays > self.replays;
        self.replays = replays;
        if shrinks > self.shrinks {
            self.shrinks = shrinks;
            let fitting = self.tuner.hold_commits();
            self.change(fitting, now, done);
        }
        if let Some(most) = self.shared.writers_refused() {
            let fewer = self.tuner.hold_writers(most);
            self.change(fewer, now, done);
        }
        if !self.shared.is_crew_ready() {
            // A connection is being made.
            self.await_begun(now, done, 0);
            return;
        }
        if now - self.started < WARM_UP || is_in_trouble {
            self.since = (now, done);
            return;
        }
        let elapsed = now - self.since.0;
        if let Some(awaited) = self.awaited {
            let is_through = done.batches >= awaited.batches && done.commits >= awaited.commits;
            if is_through || elapsed >= LONGEST {
                self.awaited = None;
                self.since = (now, done);
            }
            return;
        }
        let Some(window) = self.window(elapsed, &done) else { return };
        let next = self.tuner.next(&window);
        self.since = (now, done);
        self.change(next, now, done);
        self.note_settled(now);
    }

    /// What was done since the window began, if that is enough.
    fn window(&self, elapsed: Duration, done: &Done) -> Option<Window> {
        let before = &self.since.1;
        let writers = self.shared.writers() as u64;
        let (batches, commits) = (done.batches - before.batches, done.commits - before.commits);
        let is_enough = batches >= BATCHES * writers
            && (commits >= writers || !self.tuner.needs_commits())
            || elapsed >= LONGEST;
        if elapsed < self.window || !is_enough || batches == 0 {
            return None;
        }
        let seconds = |after: u64, before: u64| Duration::from_nanos(after - before).as_secs_f64();
        Some(Window {
            seconds: elapsed.as_secs_f64(),
            batches,
            rows_written: done.rows_written - before.rows_written,
            write_seconds: seconds(done.write_ns, before.write_ns),
            commits,
            rows_committed: done.rows_committed - before.rows_committed,
            commit_seconds: seconds(done.commit_ns, before.commit_ns),
            idle_seconds: seconds(done.idle_ns, before.idle_ns),
            largest_unit_rows: done.largest_unit_rows,
        })
    }

    /// Lets `next` be in force, and waits until what was begun before is through.
    fn change(&mut self, next: Option<Numbers>, now: Instant, done: Done) {
        let Some(next) = next else { return };
        let control = &self.shared.control;
        let commits_before = control.dial.commit_rows();
        control.retune(next);
        tracing::debug!(
            writers = next.writers,
            batch_rows = next.batch_rows,
            commit_rows = next.commit_rows,
            "numbers changed"
        );
        let has_other_commits = commits_before != control.dial.commit_rows();
        let units = if has_other_commits { self.shared.writers() as u64 } else { 0 };
        self.await_begun(now, done, units);
    }

    /// Waits until the batches that are begun are through, and `units` transactions.
    fn await_begun(&mut self, now: Instant, done: Done, units: u64) {
        // In the rings, and with each parser one that is being filled.
        let in_rings = self.shared.control.snapshot().ring_batches;
        let begun = (in_rings + self.shared.config.work.parsers) as u64;
        self.awaited =
            Some(Done { batches: done.batches + begun, commits: done.commits + units, ..done });
        self.since = (now, done);
    }

    fn note_settled(&mut self, now: Instant) {
        let is_settled = self.tuner.is_settled();
        if is_settled == self.was_settled {
            return;
        }
        self.was_settled = is_settled;
        let dial = &self.shared.control.dial;
        let elapsed = now - self.started;
        dial.settle(is_settled.then_some(elapsed));
        if is_settled {
            tracing::info!(
                writers = dial.writers(),
                batch_rows = dial.batch_rows(),
                commit_rows = dial.commit_rows(),
                seconds = elapsed.as_secs_f64(),
                "numbers settled"
            );
        }
    }
}
