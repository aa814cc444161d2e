//! Writers that come and go while a load runs.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastload::config::{LoadConfig, Numbers, Tuning};
use fastload::engine::{Control, Load, Outcome, TargetHandle};
use fastload::sink::memory::MemoryTarget;
use fastload::sink::{ErrorClass, SinkError};

use crate::common::open;
use crate::support::{Call, Hooked, check_all, failure, given, lines, small};

const RECORDS: u64 = 3_000;

/// Longest wait for something that must come, before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Only writers change; nothing is measured.
const fn between(low: usize, high: usize) -> Tuning {
    Tuning { writers: Some((low, high)), batch_rows: None, commit_rows: None, window: None }
}

fn numbers(writers: usize) -> Numbers {
    Numbers { writers, batch_rows: 10, commit_rows: 50 }
}

/// A load whose every call runs `hook` first.
fn run(
    config: LoadConfig,
    control: &Arc<Control>,
    hook: impl Fn(&Call<'_>) -> Result<(), SinkError> + Send + Sync + 'static,
) -> (Outcome, MemoryTarget) {
    let target = Hooked::new(hook);
    let table = target.table.clone();
    let inputs = open(&config, 1 << 20);
    let target = TargetHandle(Arc::new(target));
    (Load { config, inputs, target, control: Arc::clone(control) }.run(), table)
}

fn is_writer(id: usize) -> bool {
    thread::current().name() == Some(&format!("fastload-write-{id}"))
}

/// Connections are made for the writers of the start, and once for those that are counted in later.
#[test]
fn a_writer_that_is_never_counted_in_has_no_connection() {
    for (most_wanted, connections) in [(None, 2), (Some(1), 2), (Some(3), 3), (Some(9), 4)] {
        let file = given(&lines(RECORDS, &[]));
        let mut config = small(&file.path);
        config.work.writers = 2;
        config.work.tuning = Some(between(1, 4));
        let control = Control::new();
        let opens = Arc::new(AtomicU64::new(0));
        let (own, opened, writes) = (Arc::clone(&control), Arc::clone(&opens), AtomicU64::new(0));
        let (outcome, table) = run(config, &control, move |call| {
            match (call, most_wanted) {
                (Call::Open, _) => {
                    opened.fetch_add(1, Ordering::Relaxed);
                }
                (Call::Write(_), Some(writers)) => {
                    let write = writes.fetch_add(1, Ordering::Relaxed);
                    own.retune(numbers(if write % 20 < 10 { writers } else { 1 }));
                    // Time to connect before the rows are all gone.
                    let began = Instant::now();
                    while write == 5
                        && opened.load(Ordering::Relaxed) < connections
                        && began.elapsed() < PATIENCE
                    {
                        thread::yield_now();
                    }
                }
                _ => {}
            }
            Ok(())
        });
        check_all(&outcome, &table, &file.path, RECORDS, &[], &[]);
        assert_eq!(opens.load(Ordering::Relaxed), connections, "{most_wanted:?}");
    }
}

/// Transactions have room for all rows, and one of two writers goes: the other one stands still
/// until that one has committed what it had.
#[test]
fn a_writer_that_goes_commits_what_it_has() {
    let file = given(&lines(RECORDS, &[]));
    let mut config = small(&file.path);
    config.work.writers = 2;
    config.work.commit_rows = 1_000_000;
    config.work.tuning = Some(between(1, 2));
    let control = Control::new();
    let own = Arc::clone(&control);
    // Of the second writer: batches sent, and how many were when it committed first.
    let (sent, committed) = (AtomicUsize::new(0), Arc::new(Mutex::new(None)));
    let is_called_off = AtomicBool::new(false);
    let seen = Arc::clone(&committed);
    let (outcome, table) = run(config, &control, move |call| {
        match call {
            Call::Write(_) if is_writer(1) => {
                sent.fetch_add(1, Ordering::Release);
                let began = Instant::now();
                while !is_called_off.load(Ordering::Acquire) && began.elapsed() < PATIENCE {
                    thread::yield_now();
                }
            }
            Call::Commit if is_writer(1) => {
                seen.lock().unwrap().get_or_insert(sent.load(Ordering::Acquire));
            }
            Call::Write(_) => {
                let began = Instant::now();
                // The first batch of each; then the second writer is to have no more, which it
                // waits for.
                while sent.load(Ordering::Acquire) == 0 && began.elapsed() < PATIENCE {
                    thread::yield_now();
                }
                own.retune(numbers(1));
                is_called_off.store(true, Ordering::Release);
                while seen.lock().unwrap().is_none() && began.elapsed() < PATIENCE {
                    thread::yield_now();
                }
            }
            _ => {}
        }
        Ok(())
    });
    check_all(&outcome, &table, &file.path, RECORDS, &[], &[]);
    // Its first batch, and those that had been in its ring.
    let batches = committed.lock().unwrap().expect("it had rows");
    assert!((1..=8).contains(&batches), "{batches}");
    let tuning = outcome.report.tuning.expect("writers may change");
    assert_eq!(tuning.writers.map(|writers| (writers.start, writers.end)), Some((2, 1)));
    assert_eq!((tuning.batch_rows, tuning.commit_rows), (None, None));
}

/// The server takes three connections: the load goes on with them, says so, and asks for no more.
#[test]
fn a_refused_connection_ends_no_load() {
    let file = given(&lines(RECORDS, &[]));
    let mut config = small(&file.path);
    config.work.writers = 2;
    config.work.tuning = Some(between(1, 6));
    let control = Control::new();
    let own = Arc::clone(&control);
    let (opens, refused) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let (writes, seen) = (AtomicU64::new(0), Arc::clone(&refused));
    let (outcome, table) = run(config, &control, move |call| {
        match call {
            Call::Open if opens.fetch_add(1, Ordering::Relaxed) >= 3 => {
                seen.fetch_add(1, Ordering::Relaxed);
                return Err(failure(ErrorClass::CannotConnect));
            }
            Call::Write(_) => {
                let write = writes.fetch_add(1, Ordering::Relaxed);
                // One after the other, so that the third gets its connection.
                own.retune(numbers(if write < 5 { 3 } else { 4 }));
                let (opened, wanted) = if write < 5 { (3, 0) } else { (4, 1) };
                let began = Instant::now();
                while (opens.load(Ordering::Relaxed) < opened
                    || seen.load(Ordering::Relaxed) < wanted)
                    && began.elapsed() < PATIENCE
                {
                    thread::yield_now();
                }
            }
            _ => {}
        }
        Ok(())
    });
    check_all(&outcome, &table, &file.path, RECORDS, &[], &[]);
    assert_eq!(refused.load(Ordering::Relaxed), 1);
    let writers = outcome.report.tuning.and_then(|tuning| tuning.writers).expect("they change");
    assert_eq!((writers.start, writers.end), (2, 3));
    let warnings = &outcome.report.warnings;
    assert!(warnings.iter().any(|text| text.contains("more than 3 writers")), "{warnings:?}");
}

/// The writers of the start are what was asked for: without their connections there is no load.
#[test]
fn a_refused_connection_of_the_start_ends_the_load() {
    let file = given(&lines(RECORDS, &[]));
    let mut config = small(&file.path);
    config.work.writers = 2;
    config.work.tuning = Some(between(1, 6));
    let opens = AtomicU64::new(0);
    let (outcome, _) = run(config, &Control::new(), move |call| match call {
        Call::Open if opens.fetch_add(1, Ordering::Relaxed) == 1 => {
            Err(failure(ErrorClass::CannotConnect))
        }
        _ => Ok(()),
    });
    assert!(outcome.error.is_some());
}

/// What a batch takes in each of several writers, in milliseconds: from a number on they get into
/// each other's way.
#[derive(Debug, Clone, Copy)]
struct Contended {
    batch_ms: f64,
    side_by_side: u32,
    each_beyond: f64,
}

impl Contended {
    fn batch_ms(&self, writers: u32) -> f64 {
        let beyond = writers.saturating_sub(self.side_by_side);
        let turns = f64::from(writers) / f64::from(writers.min(self.side_by_side));
        self.batch_ms * turns * (1.0 + self.each_beyond * f64::from(beyond))
    }

    fn batches_per_second(&self, writers: u32) -> f64 {
        1_000.0 * f64::from(writers) / self.batch_ms(writers)
    }
}

/// The climb through the whole engine: targets whose writes wait for each other from some number of
/// writers on end within a tenth of the best number.
#[test]
fn a_climb_ends_near_the_best_number_of_writers() {
    let sinks = [
        Contended { batch_ms: 4.0, side_by_side: 1, each_beyond: 0.2 },
        Contended { batch_ms: 8.0, side_by_side: 3, each_beyond: 0.3 },
        Contended { batch_ms: 8.0, side_by_side: 9, each_beyond: 0.0 },
    ];
    thread::scope(|scope| {
        for sink in sinks {
            scope.spawn(move || {
                // Enough for twelve seconds at the best number.
                let best = (1..=5).map(|writers| sink.batches_per_second(writers));
                let best = best.fold(0.0, f64::max);
                let end = writers_found(sink, best * 12.0);
                let rate = sink.batches_per_second(end);
                assert!(rate >= 0.9 * best, "{end} writers: {rate:.0} of {best:.0}, {sink:?}");
            });
        }
    });
}

/// The number of writers that a load of `batches` batches ends with.
fn writers_found(sink: Contended, batches: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
    let records = (batches * 10.0) as u64;
    let file = given(&lines(records, &[]));
    let mut config = small(&file.path);
    config.work.writers = 2;
    let window = Some(Duration::from_millis(200));
    config.work.tuning = Some(Tuning { window, ..between(1, 5) });
    let writing = AtomicUsize::new(0);
    let (outcome, table) = run(config, &Control::new(), move |call| {
        if matches!(call, Call::Write(_)) {
            let writers = writing.fetch_add(1, Ordering::Relaxed) + 1;
            let writers = u32::try_from(writers).expect("there are five");
            thread::sleep(Duration::from_secs_f64(sink.batch_ms(writers) / 1_000.0));
            writing.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    });
    check_all(&outcome, &table, &file.path, records, &[], &[]);
    let tuning = outcome.report.tuning.expect("writers may change");
    assert!(tuning.settled_seconds.is_some(), "{tuning:?}");
    u32::try_from(tuning.writers.expect("they may change").end).expect("there are five")
}
