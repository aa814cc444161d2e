//! Numbers that change while a load runs: at every write others, at random, and each record is
//! still a row once or a reject once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fastload::config::{LoadConfig, Numbers, Tuning};
use fastload::engine::{Control, Load, Outcome, TargetHandle};
use fastload::record::RejectClass;
use fastload::sink::ErrorClass::Transient;
use fastload::sink::memory::{Faults, MemoryTarget};

use crate::common::open;
use crate::support::{Call, Hooked, check_all, failure, given, lines, small};

const RECORDS: u64 = 3_000;
const BAD: &[u64] = &[1, 33, 34, 720, 2_999];

/// Refused by the table.
const REFUSED: &[u64] = &[2, 41, 42, 1_500];

const LIMITS: Tuning =
    Tuning { writers: None, batch_rows: Some((1, 60)), commit_rows: Some((3, 300)), window: None };

/// Sizes that a run has seen: of batches, and of transactions between two commits of the only
/// writer.
#[derive(Default)]
struct Seen {
    batches: Mutex<Vec<usize>>,
    units: Mutex<Vec<u64>>,
    unit_rows: AtomicU64,
}

impl Seen {
    fn note(&self, call: &Call<'_>) {
        match call {
            Call::Write(batch) => {
                self.batches.lock().unwrap().push(batch.rows());
                self.unit_rows.fetch_add(batch.rows() as u64, Ordering::Relaxed);
            }
            Call::Commit => {
                let rows = self.unit_rows.swap(0, Ordering::Relaxed);
                self.units.lock().unwrap().push(rows);
            }
            Call::Rollback => self.unit_rows.store(0, Ordering::Relaxed),
            Call::Columns | Call::Open | Call::Reconnect => {}
        }
    }
}

/// Runs a load whose numbers are thrown at every write; one write of `fails_every` fails.
fn run_wildly(
    config: LoadConfig,
    table: &MemoryTarget,
    seed: u64,
    fails_every: u64,
) -> (Outcome, Arc<Seen>) {
    let control = Control::new();
    let (own, seen) = (Arc::clone(&control), Arc::new(Seen::default()));
    let noted = Arc::clone(&seen);
    let random = Mutex::new(fastrand::Rng::with_seed(seed));
    let writes = AtomicU64::new(0);
    let mut target = Hooked::new(move |call| {
        noted.note(call);
        if matches!(call, Call::Write(_)) {
            let mut random = random.lock().unwrap();
            let commit_rows = if random.bool() { random.u64(0..10) } else { random.u64(0..500) };
            let (writers, batch_rows) = (random.usize(0..7), random.usize(0..100));
            own.retune(Numbers { writers, batch_rows, commit_rows });
            let write = writes.fetch_add(1, Ordering::Relaxed) + 1;
            if fails_every > 0 && write.is_multiple_of(fails_every) {
                return Err(failure(Transient));
            }
        }
        Ok(())
    });
    target.table = table.clone();
    let block_bytes = usize::try_from(config.work.chunk_bytes).unwrap();
    let inputs = open(&config, block_bytes);
    (Load { config, inputs, target: TargetHandle(Arc::new(target)), control }.run(), seen)
}

fn table(log_rows: Option<usize>) -> MemoryTarget {
    let refused = |&record: &u64| (record, RejectClass::Duplicate);
    let rows = REFUSED.iter().map(refused).collect();
    MemoryTarget::new(None).with_faults(Faults { log_rows, rows, ..Faults::default() })
}

#[test]
fn every_record_once_whatever_changes_when() {
    let text = lines(RECORDS, BAD);
    for seed in 0..24 {
        let file = given(&text);
        let mut random = fastrand::Rng::with_seed(seed);
        // A log that is full now and then, or writes that fail: what is undone comes again, in
        // other units.
        let log_rows = (seed % 3 == 1).then_some(400);
        let fails_every = if seed % 3 == 2 { 41 } else { 0 };
        let table = table(log_rows);
        let mut config = small(&file.path);
        config.work.writers = random.usize(1..4);
        let writers = random.bool().then_some((1, 5));
        config.work.tuning = Some(Tuning { writers, ..LIMITS });
        config.work.parsers = random.usize(1..4);
        config.work.chunk_bytes = random.u64(50..5_000);
        config.work.ring_batches = random.usize(1..4);
        config.work.memory_limit = random.usize(20_000..4_000_000);
        config.work.max_retries = 1_000;
        let (outcome, _) = run_wildly(config, &table, seed, fails_every);
        check_all(&outcome, &table, &file.path, RECORDS, BAD, REFUSED);
        let tuning = outcome.report.tuning.expect("they may change");
        assert_eq!(tuning.writers.is_some(), writers.is_some());
        assert!(tuning.changes > 10, "seed {seed}: {tuning:?}");
        let retries = &outcome.report.retries;
        match seed % 3 {
            0 => assert_eq!((retries.replays, retries.shrinks), (0, 0), "seed {seed}"),
            // All writers share the log: a unit of one batch waits for the others' commits.
            1 => assert!(retries.replays >= retries.shrinks, "seed {seed}: {retries:?}"),
            _ => assert!(retries.replays > 0, "seed {seed}"),
        }
    }
}

#[test]
fn sizes_stay_inside_their_limits_and_do_change() {
    let file = given(&lines(RECORDS, &[]));
    let table = MemoryTarget::new(None);
    let mut config = small(&file.path);
    config.work.tuning = Some(LIMITS);
    let (outcome, seen) = run_wildly(config, &table, 5, 0);
    check_all(&outcome, &table, &file.path, RECORDS, &[], &[]);
    let batches = seen.batches.lock().unwrap();
    assert!(batches.iter().all(|&rows| rows <= 60), "{batches:?}");
    assert!(batches.iter().any(|&rows| rows > 10) && batches.iter().any(|&rows| rows < 10));
    let units = seen.units.lock().unwrap();
    // A transaction that became smaller than a batch on its way is that batch.
    assert!(units.iter().all(|&rows| rows <= 300), "{units:?}");
    assert!(units.iter().any(|&rows| rows > 50) && units.iter().any(|&rows| rows < 50));
}

#[test]
fn given_numbers_stay() {
    for (batch_rows, commit_rows) in [(None, Some((3, 300))), (Some((1, 60)), None), (None, None)] {
        let file = given(&lines(RECORDS, &[]));
        let table = MemoryTarget::new(None);
        let mut config = small(&file.path);
        config.work.tuning = Some(Tuning { batch_rows, commit_rows, ..LIMITS });
        let (outcome, seen) = run_wildly(config, &table, 9, 0);
        check_all(&outcome, &table, &file.path, RECORDS, &[], &[]);
        let report = outcome.report.tuning;
        if batch_rows.is_none() {
            let batches = seen.batches.lock().unwrap();
            assert!(batches.iter().all(|&rows| rows == 10), "{batches:?}");
            assert!(report.is_none_or(|report| report.batch_rows.is_none()));
        }
        if commit_rows.is_none() {
            let units = seen.units.lock().unwrap();
            assert!(units.iter().all(|&rows| rows <= 50), "{units:?}");
            assert!(report.is_none_or(|report| report.commit_rows.is_none()));
        }
        assert_eq!(report.is_none(), (batch_rows, commit_rows) == (None, None));
    }
}

/// The climb itself, on a target whose writes take the same time whatever they hold: larger
/// batches are better, and that is what it ends with.
#[test]
fn a_climb_ends_with_larger_batches_where_writes_cost_the_same() {
    let file = given(&lines(40_000, &[]));
    let write_time = std::time::Duration::from_millis(4);
    let faults = Faults { write_time, ..Faults::default() };
    let table = MemoryTarget::new(None).with_faults(faults);
    let mut config = small(&file.path);
    config.work.commit_rows = 1_000;
    config.work.tuning = Some(Tuning {
        writers: None,
        batch_rows: Some((5, 40)),
        commit_rows: None,
        window: Some(std::time::Duration::from_millis(100)),
    });
    let inputs = open(&config, 1 << 20);
    let target = TargetHandle(Arc::new(table.clone()));
    let outcome = Load { config, inputs, target, control: Control::new() }.run();
    check_all(&outcome, &table, &file.path, 40_000, &[], &[]);
    let tuning = outcome.report.tuning.expect("batches may change");
    let batches = tuning.batch_rows.expect("they may change");
    assert!(batches.start == 10 && batches.end >= 20, "{tuning:?}");
}

/// One transaction, whatever its size (`--staging-attributes not-logged`): none is committed before
/// the end, and batches grow all the same.
#[test]
fn a_climb_without_a_commit_ends_with_larger_batches_too() {
    let file = given(&lines(40_000, BAD));
    let write_time = std::time::Duration::from_millis(4);
    let table = MemoryTarget::new(None).with_faults(Faults { write_time, ..Faults::default() });
    let commits = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&commits);
    let mut target = Hooked::new(move |call| {
        seen.fetch_add(u64::from(matches!(call, Call::Commit)), Ordering::Relaxed);
        Ok(())
    });
    target.table = table.clone();
    // What is not logged cannot be sent again.
    target.replays = Some(false);
    let mut config = small(&file.path);
    config.work.commit_rows = u64::MAX;
    config.work.tuning = Some(Tuning {
        writers: None,
        batch_rows: Some((5, 40)),
        commit_rows: Some((3, 300)),
        window: Some(std::time::Duration::from_millis(100)),
    });
    let inputs = open(&config, 1 << 20);
    let target = TargetHandle(Arc::new(target));
    let outcome = Load { config, inputs, target, control: Control::new() }.run();
    check_all(&outcome, &table, &file.path, 40_000, BAD, &[]);
    assert_eq!(commits.load(Ordering::Relaxed), 1);
    let tuning = outcome.report.tuning.expect("batches may change");
    let batches = tuning.batch_rows.expect("they may change");
    assert!(batches.start == 10 && batches.end >= 20, "{tuning:?}");
    assert_eq!(tuning.commit_rows, None);
}
