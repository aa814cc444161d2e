//! What a load may spend on errors that ask for a replay: attempts of each writer, and time of the
//! whole job.

use std::iter;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::config::Work;
use crate::report::RetryReport;

/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Waits of one writer: exponential, with full jitter.
///
/// Each wait is anything from nothing to the step of the schedule, evenly: writers that failed
/// together come back apart. (backon's own jitter adds up to a step to the step, which keeps them
/// together in the first half of every wait.)
pub(super) struct Waits {
    schedule: ExponentialBuilder,
    steps: iter::Fuse<ExponentialBackoff>,
    random: fastrand::Rng,
}

impl Waits {
    pub(super) fn new(work: &Work) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a factor needs no 53 bits")]
        let schedule = ExponentialBuilder::default()
            .with_min_delay(work.retry_first_wait)
            .with_factor(work.retry_backoff as f32)
            .with_max_delay(LONGEST_WAIT.max(work.retry_first_wait))
            .without_max_times();
        Self { schedule, steps: schedule.build().fuse(), random: fastrand::Rng::new() }
    }

    /// The next wait.
    pub(super) fn take(&mut self) -> Duration {
        let step = self.steps.next().unwrap_or(LONGEST_WAIT);
        let most = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.u64(0..=most))
    }

    /// Something went well: the next wait is a first one.
    pub(super) fn start_over(&mut self) {
        self.steps = self.schedule.build().fuse();
    }
}

/// Time and numbers of all replays of a load.
#[derive(Debug)]
pub(super) struct Retries {
    budget: Duration,
    /// Writers that wait or replay; also in `clock`, here to be read without its lock.
    recovering: AtomicUsize,
    clock: Mutex<Clock>,
    replays: AtomicU64,
    reconnects: AtomicU64,
    shrinks: AtomicU64,
    /// Smallest commit size that a writer went down to; `u64::MAX`: none did.
    smallest_commit_rows: AtomicU64,
}

/// Wall time during which at least one writer was recovering.
#[derive(Debug, Default)]
struct Clock {
    writers: usize,
    since: Option<Instant>,
    spent: Duration,
}

impl Retries {
    pub(super) fn new(budget: Duration) -> Self {
        Self {
            budget,
            recovering: AtomicUsize::new(0),
            clock: Mutex::default(),
            replays: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            shrinks: AtomicU64::new(0),
            smallest_commit_rows: AtomicU64::new(u64::MAX),
        }
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        // Every change is complete before the lock is given up.
        self.clock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A writer begins to wait and to replay.
    pub(super) fn begin(&self) {
        let mut clock = self.clock();
        clock.writers += 1;
        clock.since.get_or_insert_with(Instant::now);
        self.recovering.store(clock.writers, Ordering::Release);
    }

    /// What the writer had sent before its error is sent again, or given up.
    pub(super) fn end(&self) {
        let mut clock = self.clock();
        clock.writers -= 1;
        if clock.writers == 0
            && let Some(since) = clock.since.take()
        {
            clock.spent += since.elapsed();
        }
        self.recovering.store(clock.writers, Ordering::Release);
    }

    /// Whether any writer waits or replays.
    pub(super) fn is_any_recovering(&self) -> bool {
        self.recovering.load(Ordering::Acquire) > 0
    }

    /// Time spent so far.
    pub(super) fn spent(&self) -> Duration {
        let clock = self.clock();
        clock.spent + clock.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What is left of the budget; `None` when it is spent.
    pub(super) fn left(&self) -> Option<Duration> {
        self.budget.checked_sub(self.spent()).filter(|left| !left.is_zero())
    }

    pub(super) const fn budget(&self) -> Duration {
        self.budget
    }

    pub(super) fn count_replay(&self) {
        self.replays.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// A writer goes down to commits of `rows`.
    pub(super) fn count_shrink(&self, rows: u64) {
        self.shrinks.fetch_add(1, Ordering::Relaxed);
        self.smallest_commit_rows.fetch_min(rows, Ordering::Relaxed);
    }

    /// How often transactions were undone to be sent again.
    pub(super) fn replays(&self) -> u64 {
        self.replays.load(Ordering::Relaxed)
    }

    /// How often writers went over to smaller commits.
    pub(super) fn shrinks(&self) -> u64 {
        self.shrinks.load(Ordering::Relaxed)
    }

    /// For the report.
    pub(super) fn report(&self) -> RetryReport {
        let smallest = self.smallest_commit_rows.load(Ordering::Relaxed);
        RetryReport {
            replays: self.replays.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            shrinks: self.shrinks.load(Ordering::Relaxed),
            smallest_commit_rows: (smallest < u64::MAX).then_some(smallest),
            seconds: self.spent().as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(first_ms: u64) -> Work {
        crate::config::work::WorkOptions::default()
            .settle(&crate::config::work::Surroundings::of_machine(1))
            .map(|settled| Work {
                retry_first_wait: Duration::from_millis(first_ms),
                ..settled.work
            })
            .expect("defaults are valid")
    }

    #[test]
    fn waits_are_anything_up_to_the_step() {
        // Of 1,000 first waits of up to 800 ms an even spread has about 250 in each quarter; under
        // 150 or over 350 has a chance of less than 1 in 10^11.
        let mut waits = Waits::new(&work(800));
        let mut quarters = [0; 4];
        for _ in 0..1_000 {
            let wait = waits.take();
            assert!(wait <= Duration::from_millis(800));
            quarters[usize::try_from(wait.as_millis() / 200).unwrap().min(3)] += 1;
            waits.start_over();
        }
        assert!(quarters.iter().all(|count| (150..350).contains(count)), "{quarters:?}");
    }

    #[test]
    fn steps_double_up_to_the_longest() {
        let mut waits = Waits::new(&work(1_000));
        waits.random = fastrand::Rng::with_seed(7);
        for step in [1, 2, 4, 8, 16, 30, 30, 30] {
            let wait = waits.take();
            assert!(wait <= Duration::from_secs(step), "{wait:?} of {step} s");
        }
    }

    #[test]
    fn time_counts_once_however_many_writers_recover() {
        let retries = Retries::new(Duration::from_secs(3_600));
        assert_eq!(retries.spent(), Duration::ZERO);
        retries.begin();
        retries.begin();
        assert!(retries.is_any_recovering());
        retries.end();
        assert!(retries.is_any_recovering());
        retries.end();
        assert!(!retries.is_any_recovering());
        let spent = retries.spent();
        assert_eq!(retries.spent(), spent, "nobody recovers: the clock stands");
        assert!(retries.left().is_some());
        assert!(Retries::new(Duration::ZERO).left().is_none());
    }
}
