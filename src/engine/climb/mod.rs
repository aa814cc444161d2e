//! Finds the numbers of a load while it runs: a climb in steps, one number at a time.
//!
//! The climb is a function of what was measured: it reads no clock and knows no thread. A step is
//! tried for as many windows as it takes to see, through the noise of windows that were alike,
//! whether the rate of rows rose; then it is kept, or taken back. A pass tries every number upwards
//! and downwards; after a pass that changed nothing, or the last one, the numbers stay. Only a rate
//! that has become another one for good starts the climb again, and not often.
//!
//! The rate is that of the writers while they are not idle: rows written over the time in writes,
//! rows committed over the time in commits. So a window need not hold whole transactions.

mod estimate;
mod live;

use estimate::{Answer, Estimate, Noise};
pub(super) use live::{Climb, STEP};

use crate::config::Numbers;

/// Part by which a step must raise the rate to be kept.
const GAIN: f64 = 0.02;

/// The same for a writer more, which is a connection more.
const WRITER_GAIN: f64 = 0.05;

/// Part that the rate may fall by for a writer less.
const WRITER_LOSS: f64 = 0.01;

/// Part of their time that writers must be busy: below it something else is the limit, and there
/// is nothing to gain.
const BUSY_SHARE: f64 = 0.7;

/// Seconds of a batch beyond which a larger one is not tried: its rows wait as long for each
/// other, and for a stop.
const LONG_BATCH_SECONDS: f64 = 0.05;

/// Part of their bound that batches and transactions must reach for a larger bound to mean
/// anything: otherwise something else ends them.
const REACHED_SHARE: f64 = 0.6;

/// Most passes of a climb.
const PASSES: u32 = 3;

/// Part by which the rate must differ from what it was when the climb ended, and for how many
/// windows in a row, to start another.
const DRIFT: f64 = 0.3;
const DRIFT_WINDOWS: u32 = 20;

/// Most climbs of a load.
const CLIMBS: u32 = 4;

/// Bounds of the numbers; `None`: the number stays as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of the writers that get batches.
    pub(super) writers: Option<(usize, usize)>,
    pub(super) batch_rows: Option<(usize, usize)>,
    pub(super) commit_rows: Option<(u64, u64)>,
}

/// What all writers did in a stretch of time under the same settings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Window {
    pub(super) seconds: f64,
    pub(super) batches: u64,
    pub(super) rows_written: u64,
    pub(super) write_seconds: f64,
    pub(super) commits: u64,
    pub(super) rows_committed: u64,
    pub(super) commit_seconds: f64,
    /// Time in which writers waited for batches.
    pub(super) idle_seconds: f64,
    /// Rows of the largest transaction of the load so far, ended or not.
    pub(super) largest_unit_rows: u64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^53")]
impl Window {
    /// Writers that were busy, on average.
    fn busy_writers(&self, writers: usize) -> f64 {
        (writers as f64 - self.idle_seconds / self.seconds.max(f64::MIN_POSITIVE)).max(0.0)
    }

    fn rows_per_batch(&self) -> f64 {
        self.rows_written as f64 / self.batches.max(1) as f64
    }

    fn batch_seconds(&self) -> f64 {
        self.write_seconds / self.batches.max(1) as f64
    }

    /// `None` without a commit.
    fn rows_per_commit(&self) -> Option<f64> {
        (self.commits > 0).then(|| self.rows_committed as f64 / self.commits as f64)
    }

    fn write_seconds_per_row(&self) -> f64 {
        self.write_seconds / self.rows_written.max(1) as f64
    }

    fn commit_seconds_per_row(&self) -> Option<f64> {
        (self.rows_committed > 0).then(|| self.commit_seconds / self.rows_committed as f64)
    }
}

/// One step of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    MoreWriters,
    FewerWriters,
    LargerBatches,
    SmallerBatches,
    LargerCommits,
    SmallerCommits,
}

/// The steps of a pass, in this order. One that was kept is tried again at once.
const STEPS: [Step; 6] = [
    Step::MoreWriters,
    Step::FewerWriters,
    Step::LargerBatches,
    Step::SmallerBatches,
    Step::LargerCommits,
    Step::SmallerCommits,
];

impl Step {
    /// Part of the rate that a step must leave, or bring, to be kept. A writer that is not needed
    /// is a connection less.
    const fn bar(self) -> f64 {
        match self {
            Self::MoreWriters => 1.0 + WRITER_GAIN,
            Self::FewerWriters => 1.0 - WRITER_LOSS,
            _ => 1.0 + GAIN,
        }
    }

    /// The step that leads back.
    const fn back(self) -> Self {
        match self {
            Self::MoreWriters => Self::FewerWriters,
            Self::FewerWriters => Self::MoreWriters,
            Self::LargerBatches => Self::SmallerBatches,
            Self::SmallerBatches => Self::LargerBatches,
            Self::LargerCommits => Self::SmallerCommits,
            Self::SmallerCommits => Self::LargerCommits,
        }
    }
}

#[derive(Debug)]
enum Phase {
    /// The settings stay for a window, so that what comes next has something to be held against.
    Base,
    /// A step is tried.
    Trial { before: Numbers, rate: Estimate },
    /// The climb is over.
    Settled { drifting: u32 },
}

/// The climb of one load.
#[derive(Debug)]
pub(super) struct Tuner {
    limits: Limits,
    settings: Numbers,
    /// Whether a full log has shown that somebody else decides about transactions.
    is_held: bool,
    phase: Phase,
    /// Rate under the settings, as far as it is known.
    base: Option<Estimate>,
    noise: Noise,
    /// Index in [`STEPS`].
    step: usize,
    /// Steps of this pass that were kept.
    kept: Vec<Step>,
    passes: u32,
    climbs: u32,
    /// Of the last window with a commit.
    commit_seconds_per_row: f64,
    /// Of the last window with a commit.
    rows_per_commit: Option<f64>,
}

impl Tuner {
    pub(super) const fn new(limits: Limits, settings: Numbers) -> Self {
        Self {
            limits,
            settings,
            is_held: false,
            phase: Phase::Base,
            base: None,
            noise: Noise::new(),
            step: 0,
            kept: Vec::new(),
            passes: 1,
            climbs: 1,
            commit_seconds_per_row: 0.0,
            rows_per_commit: None,
        }
    }

    /// Whether the settings stay.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Settled { .. })
    }

    /// Whether the next window must show transactions, so that it means anything.
    pub(super) fn needs_commits(&self) -> bool {
        let is_about_commits =
            || matches!(STEPS[self.step], Step::LargerCommits | Step::SmallerCommits);
        // Where all is one transaction, none ends before the load.
        let has_commits = self.settings.commit_rows < u64::MAX;
        has_commits
            && (self.base.is_none()
                || matches!(self.phase, Phase::Trial { .. }) && is_about_commits())
    }

    /// Looks at what was done under the present settings; those for the next window, if they are
    /// others.
    pub(super) fn next(&mut self, window: &Window) -> Option<Numbers> {
        let rate = self.rate(window);
        match &mut self.phase {
            Phase::Base => {
                let base = self.base.get_or_insert_default();
                base.add(rate, &mut self.noise);
                if base.is_known(&self.noise) { self.propose(window) } else { None }
            }
            Phase::Trial { before, rate: trial } => {
                trial.add(rate, &mut self.noise);
                let (before, trial) = (*before, *trial);
                let base = self.base.unwrap_or_default();
                match trial.reaches(&base, STEPS[self.step].bar(), &self.noise) {
                    Answer::Unknown => None,
                    Answer::No => Some(self.take_back(before)),
                    Answer::Yes => {
                        self.base = Some(trial);
                        self.kept.push(STEPS[self.step]);
                        self.phase = Phase::Base;
                        if trial.is_known(&self.noise) { self.propose(window) } else { None }
                    }
                }
            }
            Phase::Settled { drifting } => {
                let base = *self.base.get_or_insert_with(|| Estimate::of(rate));
                let has_drifted = base.differs(rate, DRIFT);
                *drifting = if has_drifted { *drifting + 1 } else { 0 };
                if *drifting < DRIFT_WINDOWS || self.climbs >= CLIMBS {
                    return None;
                }
                self.climbs += 1;
                self.begin_pass();
                self.passes = 1;
                self.base = Some(Estimate::of(rate));
                self.phase = Phase::Base;
                None
            }
        }
    }

    /// A log was full: from now on that decides about transactions. A trial is taken back, and
    /// transactions grow to what is known to have fitted, no more to what the climb had tried. The
    /// settings, if they are others now.
    ///
    /// Smaller transactions are slower ones, so that what comes next is held against a new rate.
    pub(super) fn hold_commits(&mut self) -> Option<Numbers> {
        let present = self.settings;
        if let Phase::Trial { before, .. } = &self.phase {
            let before = *before;
            self.take_back(before);
        }
        self.is_held = true;
        self.base = None;
        // Later on commits are small because they were made small, which says nothing new.
        if let Some((low, _)) = self.limits.commit_rows.take()
            && let Some(rows) = self.rows_per_commit
        {
            let least = low.max(self.settings.batch_rows as u64);
            let fitting = whole(rows).max(least);
            self.settings.commit_rows = self.settings.commit_rows.min(fitting);
        }
        (self.settings != present).then_some(self.settings)
    }

    /// There cannot be more than `most` writers: a trial with more is taken back. The settings, if
    /// they are others now.
    pub(super) fn hold_writers(&mut self, most: usize) -> Option<Numbers> {
        let (low, high) = self.limits.writers?;
        self.limits.writers = Some((low.min(most), high.min(most)));
        if self.settings.writers <= most {
            return None;
        }
        if let Phase::Trial { before, .. } = &self.phase {
            let before = *before;
            self.take_back(before);
        }
        self.settings.writers = self.settings.writers.min(most);
        Some(self.settings)
    }

    fn take_back(&mut self, before: Numbers) -> Numbers {
        self.settings = before;
        self.phase = Phase::Base;
        self.step += 1;
        before
    }

    /// Rows a second.
    fn rate(&mut self, window: &Window) -> f64 {
        self.rows_per_commit = window.rows_per_commit().or(self.rows_per_commit);
        if let Some(seconds) = window.commit_seconds_per_row() {
            self.commit_seconds_per_row = seconds;
        }
        let seconds_per_row = window.write_seconds_per_row() + self.commit_seconds_per_row;
        window.busy_writers(self.settings.writers) / seconds_per_row.max(f64::MIN_POSITIVE)
    }

    /// Begins the next step that makes sense.
    fn propose(&mut self, window: &Window) -> Option<Numbers> {
        self.phase = Phase::Base;
        let writers = self.settings.writers;
        #[expect(clippy::cast_precision_loss, reason = "writers are few")]
        if window.busy_writers(writers) < BUSY_SHARE * writers as f64 {
            return None;
        }
        loop {
            let Some(&step) = STEPS.get(self.step) else {
                // What the first pass has tried was held against few windows.
                let is_sure = self.passes > 1 || !self.noise.is_loud();
                if self.kept.is_empty() && is_sure || self.passes >= PASSES {
                    self.phase = Phase::Settled { drifting: 0 };
                    return None;
                }
                self.passes += 1;
                self.begin_pass();
                continue;
            };
            let leads_back = self.kept.contains(&step.back());
            match self.after(step, window).filter(|_| !leads_back) {
                Some(settings) => {
                    let before = std::mem::replace(&mut self.settings, settings);
                    self.phase = Phase::Trial { before, rate: Estimate::default() };
                    return Some(settings);
                }
                None => self.step += 1,
            }
        }
    }

    /// Rows of a transaction for which log and locks are known to have room, and no more: those of
    /// the last commits; before the first one those that were written without one, unless the log
    /// was full then.
    fn proven_rows(&self, window: &Window) -> u64 {
        let open_rows = if self.is_held { 0 } else { window.largest_unit_rows };
        self.rows_per_commit.map_or(open_rows, whole)
    }

    fn begin_pass(&mut self) {
        self.step = 0;
        self.kept.clear();
    }

    /// The settings after a step, where it stays inside the limits and may mean anything.
    fn after(&self, step: Step, window: &Window) -> Option<Numbers> {
        let mut next = self.settings;
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
        let reaches = |rows: f64, bound: u64| rows >= REACHED_SHARE * bound as f64;
        match step {
            Step::MoreWriters | Step::FewerWriters => {
                let (low, high) = self.limits.writers?;
                let is_more = step == Step::MoreWriters;
                next.writers = if is_more { next.writers + 1 } else { next.writers - 1 };
                (low.max(1)..=high).contains(&next.writers).then_some(next)
            }
            Step::LargerBatches => {
                let (_, high) = self.limits.batch_rows?;
                let is_full = reaches(window.rows_per_batch(), next.batch_rows as u64);
                let proven = usize::try_from(self.proven_rows(window) / 2).unwrap_or(usize::MAX);
                let most =
                    usize::try_from(next.commit_rows).unwrap_or(usize::MAX).min(high).min(proven);
                let larger = (next.batch_rows * 2).min(most);
                let may = is_full && window.batch_seconds() <= LONG_BATCH_SECONDS;
                let is_step = larger > next.batch_rows;
                next.batch_rows = larger;
                (may && is_step).then_some(next)
            }
            Step::SmallerBatches => {
                let (low, _) = self.limits.batch_rows?;
                let smaller = (next.batch_rows / 2).max(low).max(1);
                let is_step = smaller < next.batch_rows;
                next.batch_rows = smaller;
                is_step.then_some(next)
            }
            Step::LargerCommits => {
                let (_, high) = self.limits.commit_rows?;
                let larger = next.commit_rows.saturating_mul(2).min(high);
                let is_full = reaches(self.rows_per_commit?, next.commit_rows);
                let is_step = larger > next.commit_rows;
                next.commit_rows = larger;
                (is_full && is_step).then_some(next)
            }
            Step::SmallerCommits => {
                let (low, _) = self.limits.commit_rows?;
                let least = low.max(next.batch_rows as u64);
                let smaller = (next.commit_rows / 2).max(least);
                let is_full = reaches(self.rows_per_commit?, next.commit_rows);
                let is_step = smaller < next.commit_rows;
                next.commit_rows = smaller;
                (is_full && is_step).then_some(next)
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "row counts are positive and far below 2^53"
)]
const fn whole(rows: f64) -> u64 {
    rows as u64
}

#[cfg(test)]
mod tests;
