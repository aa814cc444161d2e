//! Against a sink whose best settings are known.

use super::*;

/// A sink: what a batch, a row and a commit cost, how many writers work side by side, and what one
/// more does to all of them.
#[derive(Debug, Clone, Copy)]
struct Sink {
    batch_seconds: f64,
    row_seconds: f64,
    /// Grows with the square of a batch: what does not fit some cache.
    square_seconds: f64,
    commit_seconds: f64,
    writers: usize,
    /// Part of the whole that each writer beyond takes away.
    contention: f64,
    /// Rows a second of the parsers.
    parsers_rate: f64,
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
impl Sink {
    /// Seconds of a batch and of a commit, in one of `writers` writers that have all to do.
    fn costs(&self, settings: Numbers) -> (f64, f64) {
        let side_by_side = self.writers.min(settings.writers) as f64;
        let beyond = settings.writers.saturating_sub(self.writers) as f64;
        let slowdown = settings.writers as f64 / side_by_side * (1.0 + self.contention * beyond);
        let rows = settings.batch_rows as f64;
        let batch =
            self.batch_seconds + self.row_seconds * rows + self.square_seconds * rows * rows;
        (batch * slowdown, self.commit_seconds * slowdown)
    }

    /// Rows a second.
    fn rate(&self, settings: Numbers) -> f64 {
        let (batch, commit) = self.costs(settings);
        let seconds_per_row =
            batch / settings.batch_rows as f64 + commit / settings.commit_rows as f64;
        (settings.writers as f64 / seconds_per_row).min(self.parsers_rate)
    }

    /// What a window shows, up to `noise`: a quarter of a second, or up to 2 s until each writer
    /// has committed where that matters.
    fn window(&self, tuner: &Tuner, random: &mut fastrand::Rng, noise: f64) -> Window {
        let settings = tuner.settings;
        let mut blurred = |value: f64| value * (1.0 + noise * (2.0 * random.f64() - 1.0));
        let (batch, commit) = self.costs(settings);
        let unlimited = Self { parsers_rate: f64::MAX, ..*self }.rate(settings);
        let commits_seconds =
            settings.writers as f64 * settings.commit_rows as f64 / self.rate(settings);
        let most = if tuner.needs_commits() { 2.0 } else { 0.25 };
        let seconds = commits_seconds.clamp(0.25, most);
        let rows = self.rate(settings) * seconds;
        let batches = rows / settings.batch_rows as f64;
        let commits = rows / settings.commit_rows as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
        let whole = |number: f64| number.round() as u64;
        // Where no transaction ended in the window, none is seen.
        let commits = whole(commits);
        Window {
            seconds,
            batches: whole(batches).max(1),
            rows_written: whole(rows),
            write_seconds: blurred(batch * batches),
            commits,
            rows_committed: commits * settings.commit_rows,
            commit_seconds: blurred(commit * commits as f64),
            largest_unit_rows: settings.commit_rows,
            idle_seconds: seconds
                * settings.writers as f64
                * (1.0 - self.rate(settings) / unlimited),
        }
    }

    /// The best rate of all settings inside the limits, with batches that are not too long.
    fn best(&self, limits: &Limits) -> f64 {
        let (low, high) = limits.writers.unwrap();
        let mut best = 0.0_f64;
        for writers in low..=high {
            for batch_rows in doublings(limits.batch_rows.unwrap()) {
                for commit_rows in doublings_u64(limits.commit_rows.unwrap()) {
                    let settings = Numbers { writers, batch_rows, commit_rows };
                    if self.costs(settings).0 <= 2.0 * LONG_BATCH_SECONDS {
                        best = best.max(self.rate(settings));
                    }
                }
            }
        }
        best
    }
}

fn doublings((low, high): (usize, usize)) -> Vec<usize> {
    std::iter::successors(Some(low), |rows| Some(rows * 2))
        .take_while(|rows| *rows <= high)
        .collect()
}

fn doublings_u64((low, high): (u64, u64)) -> Vec<u64> {
    std::iter::successors(Some(low), |rows| Some(rows * 2))
        .take_while(|rows| *rows <= high)
        .collect()
}

fn limits() -> Limits {
    Limits {
        writers: Some((1, 8)),
        batch_rows: Some((625, 40_000)),
        commit_rows: Some((25_000, 400_000)),
    }
}

const START: Numbers = Numbers { writers: 2, batch_rows: 5_000, commit_rows: 100_000 };

/// Those of a load that is given none: batches become smaller only.
fn default_limits() -> Limits {
    Limits { batch_rows: Some((625, 5_000)), ..limits() }
}

/// The settings after each change, and the window in which it came.
fn climb(sink: &Sink, windows: u32, noise: f64, seed: u64) -> (Numbers, Vec<u32>) {
    let mut tuner = Tuner::new(limits(), START);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut settings, mut changes) = (START, Vec::new());
    for window in 0..windows {
        let shown = sink.window(&tuner, &mut random, noise);
        if let Some(next) = tuner.next(&shown) {
            settings = next;
            changes.push(window);
        }
    }
    (settings, changes)
}

fn sinks() -> Vec<Sink> {
    let mut sinks = Vec::new();
    for writers in 1..=6 {
        for batch_seconds in [1e-5, 5e-4, 5e-3] {
            for commit_seconds in [1e-4, 5e-3, 0.05] {
                for square_seconds in [0.0, 2e-10] {
                    for contention in [0.0, 0.1] {
                        sinks.push(Sink {
                            batch_seconds,
                            row_seconds: 2e-6,
                            square_seconds,
                            commit_seconds,
                            writers,
                            contention,
                            parsers_rate: f64::MAX,
                        });
                    }
                }
            }
        }
    }
    sinks
}

/// How a climb on a sink ended: the rate over the best one, and the seconds after which the
/// numbers stayed, of two minutes.
fn judge(sink: &Sink, limits: &Limits, noise: f64, seed: u64) -> (f64, f64) {
    let mut tuner = Tuner::new(*limits, START);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut seconds, mut last_change) = (0.0, 0.0);
    while seconds < 120.0 {
        let window = sink.window(&tuner, &mut random, noise);
        seconds += window.seconds;
        if tuner.next(&window).is_some() {
            last_change = seconds;
        }
    }
    assert!(tuner.is_settled());
    (sink.rate(tuner.settings) / sink.best(limits), last_change)
}

#[test]
fn it_ends_near_the_best_settings_and_stays_there() {
    for (noise, most_seconds) in [(0.0, 20.0), (0.01, 20.0), (0.03, 30.0)] {
        for limits in [limits(), default_limits()] {
            for (seed, sink) in sinks().iter().enumerate() {
                let (part, seconds) = judge(sink, &limits, noise, seed as u64);
                let case = format!("noise {noise}, {limits:?}, {sink:?}");
                assert!(part >= 0.9, "{part:.3} of the best inside the limits: {case}");
                assert!(seconds < most_seconds, "{seconds:.1} s: {case}");
            }
        }
    }
}

/// Each window is up to 15 % off, so that one of them says little about a step: the numbers still
/// come to rest, within a tenth of the best ones but for one climb in fifty, and never far away.
#[test]
fn much_noise_does_not_keep_it_going_and_seldom_leads_it_astray() {
    let sinks = sinks();
    let climbs = (0..5).flat_map(|round| sinks.iter().zip(1_000 * round..));
    let (mut all, mut bad) = (0, 0);
    for (sink, seed) in climbs {
        let (part, seconds) = judge(sink, &limits(), 0.15, seed);
        assert!(seconds < 60.0, "{seconds:.1} s, seed {seed}, {sink:?}");
        assert!(part >= 0.8, "{part:.3} of the best, seed {seed}, {sink:?}");
        all += 1;
        bad += u32::from(part < 0.9);
    }
    assert!(bad * 50 <= all, "{bad} of {all}");
}

/// A small loss that one window shows may be noise, and another window tells; a large one is none.
#[test]
fn a_small_loss_gets_a_second_window() {
    let seen = (Some(80_000), 80_000);
    let limits = Limits { writers: None, commit_rows: None, ..limits() };
    for (spread, loss, is_one) in
        [(0.0, 1.05, false), (0.1, 1.05, false), (0.0, 1.4, true), (0.1, 1.4, true)]
    {
        let mut tuner = Tuner::new(limits, START);
        let mut windows = 0;
        while tuner.settings == START {
            windows += 1;
            let off = if windows % 2 == 0 { 1.0 + spread } else { 1.0 };
            tuner.next(&steep(&tuner, 0.4 * off, seen));
            assert!(windows < 20, "{tuner:?}");
        }
        // Twice the rows, and more than twice the time for them.
        assert_eq!(tuner.settings.batch_rows, 10_000);
        let mut trial = 1;
        while tuner.next(&steep(&tuner, 0.8 * loss, seen)).is_none() {
            trial += 1;
        }
        assert_eq!(tuner.settings, START);
        assert_eq!(trial == 1, is_one, "{spread} {loss}: {trial}");
    }
}

/// A third connection is refused: the trial is taken back, and no more than two are tried again.
#[test]
fn writers_that_cannot_be_had_are_tried_once() {
    let sink = Sink { writers: 6, ..sinks()[0] };
    let mut tuner = Tuner::new(limits(), START);
    let mut random = fastrand::Rng::with_seed(2);
    let mut refusals = 0;
    for _ in 0..200 {
        if tuner.next(&sink.window(&tuner, &mut random, 0.02)).is_some_and(|n| n.writers > 2) {
            refusals += 1;
            let held = tuner.hold_writers(2).expect("the trial is taken back");
            assert_eq!(held.writers, 2);
        }
    }
    assert_eq!((refusals, tuner.settings.writers), (1, 2));
    assert_eq!(tuner.hold_writers(4), None);
    assert!(tuner.is_settled());
}

#[test]
fn nothing_is_tried_while_the_parsers_are_the_limit() {
    let sink = Sink { parsers_rate: 1e5, ..sinks()[0] };
    let (settings, changes) = climb(&sink, 100, 0.02, 3);
    assert_eq!((settings, changes.len()), (START, 0));
}

/// The best settings move once: the climb begins again, and ends again.
#[test]
fn another_rate_starts_another_climb() {
    let before = Sink { writers: 2, ..sinks()[0] };
    let after = Sink { writers: 6, row_seconds: 8e-6, ..before };
    let mut tuner = Tuner::new(limits(), START);
    let mut random = fastrand::Rng::with_seed(5);
    let mut settings = START;
    let mut last_change = 0;
    for window in 0..600 {
        let sink = if window < 200 { &before } else { &after };
        if let Some(next) = tuner.next(&sink.window(&tuner, &mut random, 0.02)) {
            settings = next;
            last_change = window;
        }
    }
    assert!((220..400).contains(&last_change), "{last_change}");
    assert!(after.rate(settings) >= 0.9 * after.best(&limits()), "{settings:?}");
    assert!(tuner.is_settled());
}

#[test]
fn limits_hold_at_every_moment() {
    let narrow =
        Limits { writers: Some((2, 3)), batch_rows: Some((3_000, 12_000)), commit_rows: None };
    for (seed, sink) in sinks().iter().enumerate() {
        let mut tuner = Tuner::new(narrow, START);
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let mut settings = START;
        for _ in 0..100 {
            settings = tuner.next(&sink.window(&tuner, &mut random, 0.3)).unwrap_or(settings);
            assert!((2..=3).contains(&settings.writers), "{settings:?}");
            assert!((3_000..=12_000).contains(&settings.batch_rows), "{settings:?}");
            assert_eq!(settings.commit_rows, START.commit_rows);
        }
    }
}

/// Batches end by their bytes, transactions by memory: larger bounds would change nothing.
#[test]
fn a_bound_that_is_not_reached_is_not_raised() {
    let mut tuner = Tuner::new(Limits { writers: None, ..limits() }, START);
    let mut raised = Vec::new();
    for _ in 0..50 {
        let window = Window {
            seconds: 0.25,
            batches: 100,
            rows_written: 100_000,
            write_seconds: 0.4,
            commits: 4,
            rows_committed: 100_000,
            commit_seconds: 0.1,
            idle_seconds: 0.0,
            largest_unit_rows: 25_000,
        };
        raised.extend(tuner.next(&window).filter(|next| {
            next.batch_rows > START.batch_rows || next.commit_rows > START.commit_rows
        }));
    }
    assert_eq!(raised, []);
}

/// Batches are full, and take the same time whatever they hold. `seen` is the rows of a commit, if
/// one ended in the window, and of the largest transaction so far.
fn steep(tuner: &Tuner, write_seconds: f64, (committed, largest): (Option<u64>, u64)) -> Window {
    let batch_rows = tuner.settings.batch_rows as u64;
    Window {
        seconds: 0.25,
        batches: 20,
        rows_written: 20 * batch_rows,
        write_seconds,
        commits: u64::from(committed.is_some()),
        rows_committed: committed.unwrap_or(0),
        commit_seconds: 0.0,
        idle_seconds: 0.0,
        largest_unit_rows: largest,
    }
}

/// Rows of the largest batches of 20 windows, the first of which shows `first`, the others `rest`.
fn largest_batch_rows(
    tuner: &mut Tuner,
    first: (Option<u64>, u64),
    rest: (Option<u64>, u64),
) -> usize {
    let mut largest = tuner.settings.batch_rows;
    for window in 0..20 {
        let shown = steep(tuner, 0.4, if window == 0 { first } else { rest });
        tuner.next(&shown);
        largest = largest.max(tuner.settings.batch_rows);
    }
    largest
}

/// A commit was seen once, and its rows are remembered: batches grow to half of them, however many
/// rows transactions may have, or had before they were undone.
#[test]
fn batches_stay_under_half_of_the_rows_seen_committed() {
    let mut tuner = Tuner::new(limits(), START);
    let seen = (Some(24_000), 90_000);
    assert_eq!(largest_batch_rows(&mut tuner, seen, (None, 90_000)), 12_000);
}

/// One transaction, whatever its size, and none that is committed before the end: what is written
/// is what has fitted.
#[test]
fn batches_grow_without_a_commit_to_half_of_what_was_written() {
    let one = Numbers { commit_rows: u64::MAX, ..START };
    for (written, most) in [(8_000, 5_000), (24_000, 12_000), (9_000_000, 40_000)] {
        let mut tuner = Tuner::new(Limits { commit_rows: None, ..limits() }, one);
        assert!(!tuner.needs_commits());
        let seen = (None, written);
        assert_eq!(largest_batch_rows(&mut tuner, seen, seen), most);
    }
    // The log was full before anything was committed.
    let mut tuner = Tuner::new(limits(), START);
    assert_eq!(tuner.hold_commits(), None);
    assert!(tuner.needs_commits());
    let seen = (None, 9_000_000);
    assert_eq!(largest_batch_rows(&mut tuner, seen, seen), START.batch_rows);
}

/// Runs a climb for a sink with slow commits until it tries commits of `rows` rows.
fn until_commits_of(rows: u64) -> Tuner {
    let sink = Sink { commit_seconds: 0.05, square_seconds: 2e-9, ..sinks()[0] };
    let mut tuner = Tuner::new(Limits { writers: None, ..limits() }, START);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..100 {
        if tuner.settings.commit_rows == rows {
            return tuner;
        }
        tuner.next(&sink.window(&tuner, &mut random, 0.0));
    }
    panic!("{tuner:?}");
}

#[test]
fn after_a_full_log_commits_grow_back_to_what_has_fitted() {
    // While 400,000 were tried, 200,000 had been committed; and then 400,000 were, too.
    let mut tuner = until_commits_of(400_000);
    let held = tuner.hold_commits().expect("the trial is taken back");
    assert_eq!(held.commit_rows, 200_000);
    let mut tuner = until_commits_of(400_000);
    tuner.phase = Phase::Base;
    // Memory ended transactions before their bound.
    tuner.next(&steep(&tuner, 0.4, (Some(150_000), 150_000)));
    let batch_rows = tuner.settings.batch_rows;
    let held = tuner.hold_commits().expect("there is room for less");
    assert_eq!(held.commit_rows, 150_000);
    assert!(held.batch_rows <= batch_rows);
    // Transactions that are small because the log is full do not make it smaller again.
    tuner.next(&steep(&tuner, 0.4, (Some(30_000), 150_000)));
    tuner.hold_commits();
    assert_eq!(tuner.settings.commit_rows, 150_000);
}

/// With smaller transactions every row costs twice as much: a step is held against that.
#[test]
fn after_a_full_log_steps_are_held_against_the_new_rate() {
    let seen = (Some(80_000), 80_000);
    let mut tuner = Tuner::new(Limits { writers: None, ..limits() }, START);
    for _ in 0..2 {
        tuner.next(&steep(&tuner, 0.4, seen));
    }
    assert_eq!(tuner.settings.batch_rows, 10_000);
    tuner.hold_commits();
    assert_eq!(tuner.settings.batch_rows, 5_000);
    for _ in 0..30 {
        let batch_rows = tuner.settings.batch_rows;
        // Batches of half the size are the better ones now, but far from what there was.
        let write_seconds = if batch_rows < 5_000 { 0.4 } else { 1.6 };
        let shown = steep(&tuner, write_seconds, seen);
        tuner.next(&shown);
    }
    assert!(tuner.settings.batch_rows < 5_000, "{tuner:?}");
}
