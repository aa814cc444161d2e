//! Loads that are told to stop, and threads that panic: everything ends, nothing is miscounted.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastload::config::{FieldSource, IoWay, LoadConfig};
use fastload::engine::{Control, Load, Outcome, TargetHandle};
use fastload::error::ErrorKind;
use fastload::report::Status;
use fastload::sink::memory::{Faults, MemoryTarget};
use fastload::sink::{ErrorClass, Target};

use crate::common::open;
use crate::support::{
    Call, Hooked, check_reject_file, check_report, described_records, fifo, given, lines, load,
    loaded_records, small,
};

const STOP: fn(&Control) = |control| control.stop(15);
const WIND_DOWN: fn(&Control) = |control| control.wind_down(15);

/// Runs a load and tells it something as soon as `ready` says so.
fn told_when(
    tell: fn(&Control),
    config: LoadConfig,
    target: Arc<dyn Target>,
    ready: impl Fn(&Control) -> bool + Send + 'static,
) -> Outcome {
    let control = Control::new();
    let block_bytes = usize::try_from(config.work.chunk_bytes).expect("it is small");
    let inputs = open(&config, block_bytes);
    let stopper = {
        let control = Arc::clone(&control);
        std::thread::spawn(move || {
            while !ready(&control) {
                std::thread::sleep(Duration::from_millis(1));
            }
            tell(&control);
        })
    };
    let outcome = Load { config, inputs, target: TargetHandle(target), control }.run();
    stopper.join().expect("no panic");
    outcome
}

fn check_interrupted(outcome: &Outcome, table: &MemoryTarget) {
    let error = outcome.error.as_ref().expect("stopped");
    assert!(matches!(error.kind(), ErrorKind::Interrupted { signal: 15 }), "{error:?}");
    assert_eq!(outcome.report.status, Status::Stopped);
    let counts = check_report(outcome);
    assert_eq!(counts.rows_loaded, loaded_records(table).len() as u64);
    assert!(!table.is_finished());
}

/// A pipe that has given `bytes` and then says nothing, until the returned end is dropped.
fn silent_pipe(bytes: Vec<u8>) -> (tempfile::TempDir, PathBuf, std::sync::mpsc::Sender<()>) {
    let (dir, path) = fifo();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let writer = path.clone();
    std::thread::spawn(move || {
        let mut pipe = std::fs::File::options().write(true).open(writer).expect("a reader");
        pipe.write_all(&bytes).expect("the load reads");
        held.recv().unwrap_err();
    });
    (dir, path, hold)
}

#[test]
fn parsers_that_wait_for_a_pipe() {
    for parsers in [1, 3] {
        let (_dir, path, hold) = silent_pipe(lines(200, &[]));
        let mut config = small(&path);
        config.work.parsers = parsers;
        config.work.writers = 2;
        config.work.chunk_bytes = 100;
        let target = Arc::new(MemoryTarget::new(None));
        let outcome = told_when(STOP, config, Arc::clone(&target) as _, |control| {
            control.snapshot().rows_loaded >= 50
        });
        check_interrupted(&outcome, &target);
        drop(hold);
    }
}

#[test]
fn a_parser_in_the_middle_of_a_record() {
    let mut bytes = lines(200, &[]);
    bytes.extend_from_slice(b"201,\"not closed\n and");
    let (_dir, path, hold) = silent_pipe(bytes);
    let mut config = small(&path);
    config.work.parsers = 2;
    config.work.chunk_bytes = 100;
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = told_when(STOP, config, Arc::clone(&target) as _, |control| {
        control.snapshot().rows_loaded >= 100
    });
    check_interrupted(&outcome, &target);
    drop(hold);
}

#[test]
fn writers_that_are_slow() {
    let file = given(&lines(2_000, &[]));
    let target = Arc::new(
        MemoryTarget::new(None)
            .with_faults(Faults { write_time: Duration::from_millis(20), ..Faults::default() }),
    );
    let mut config = small(&file.path);
    config.work.parsers = 3;
    config.work.writers = 2;
    config.work.chunk_bytes = 500;
    let outcome = told_when(STOP, config, Arc::clone(&target) as _, |control| {
        control.snapshot().rows_loaded >= 50
    });
    check_interrupted(&outcome, &target);
    assert!(loaded_records(&target).len() < 2_000);
}

#[test]
fn what_is_read_is_committed_when_a_load_is_wound_down() {
    for io in [IoWay::Mmap, IoWay::Read] {
        let file = given(&lines(2_000, &[]));
        let faults = Faults { write_time: Duration::from_millis(5), ..Faults::default() };
        let target = Arc::new(MemoryTarget::new(None).with_faults(faults));
        let mut config = small(&file.path);
        config.work.io = io;
        config.work.parsers = 3;
        config.work.writers = 2;
        config.work.chunk_bytes = 500;
        let outcome = told_when(WIND_DOWN, config, Arc::clone(&target) as _, |control| {
            control.snapshot().rows_loaded >= 50
        });
        check_interrupted(&outcome, &target);
        let counts = outcome.report.totals;
        assert_eq!(counts.rows_rolled_back, 0);
        assert!(counts.rows_loaded < 2_000, "{counts:?}");
    }
}

/// Wherever in a record the pipe falls silent: what is whole is loaded without the load being wound
/// down, and the rest is not waited for then.
#[test]
fn a_silent_pipe_is_not_waited_for_when_a_load_is_wound_down() {
    let long = format!("201,\"{}", "endless ".repeat(60));
    let rests = ["", "201,\"not closed\n and", long.as_str()];
    for (rest, longest, (io, parsers)) in rests.into_iter().flat_map(|rest| {
        let ways = [(IoWay::Read, 1), (IoWay::Read, 3), (IoWay::Uring, 2)];
        let longest = if rest.len() > 100 { &[100, 1 << 20][..] } else { &[1 << 20] };
        longest.iter().flat_map(move |&longest| ways.map(|way| (rest, longest, way)))
    }) {
        let (_dir, path, hold) = silent_pipe([&lines(200, &[]), rest.as_bytes()].concat());
        let mut config = small(&path);
        config.work.io = io;
        config.work.parsers = parsers;
        config.work.chunk_bytes = 100;
        config.dialect.max_record_bytes = longest;
        let target = Arc::new(MemoryTarget::new(None));
        // What shares an arena with the record in which it falls silent waits with it, and several
        // parsers have an arena each.
        let sure = if rest.is_empty() && parsers == 1 { 200 } else { 100 };
        let outcome = told_when(WIND_DOWN, config, Arc::clone(&target) as _, move |control| {
            control.snapshot().rows_loaded >= sure
        });
        check_interrupted(&outcome, &target);
        let counts = outcome.report.totals;
        assert_eq!(counts.records_read, counts.rows_loaded, "{rest} {io:?}");
        let mut loaded = loaded_records(&target);
        loaded.sort_unstable();
        assert!(loaded.into_iter().eq(1..=counts.rows_loaded), "{rest} {io:?}");
        drop(hold);
    }
}

/// The block that ends a record is shorter than what it ends, and nothing comes behind it.
#[test]
fn a_record_that_is_whole_waits_for_nothing() {
    let field = |letter: &str, length| letter.repeat(length);
    let first = format!("{},{}\n", field("a", 24), field("b", 24));
    let second = format!("{},{}\n", field("c", 26), field("d", 25));
    let (_dir, path, hold) = silent_pipe([first, second].concat().into_bytes());
    let mut config = small(&path);
    config.work.batch_rows = 1;
    config.work.commit_rows = 1;
    config.work.chunk_bytes = 100;
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = told_when(WIND_DOWN, config, Arc::clone(&target) as _, |control| {
        control.snapshot().rows_loaded >= 2
    });
    check_interrupted(&outcome, &target);
    assert_eq!(loaded_records(&target), [1, 2]);
    drop(hold);
}

#[test]
fn a_load_that_has_read_all_is_not_cut_short() {
    let file = given(&lines(200, &[]));
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = told_when(WIND_DOWN, small(&file.path), Arc::clone(&target) as _, |control| {
        control.snapshot().rows_loaded >= 200
    });
    assert_eq!(outcome.report.status, Status::Loaded);
    assert_eq!(loaded_records(&target).len(), 200);
}

#[test]
fn before_it_begins() {
    let file = given(&lines(200, &[]));
    let control = Control::new();
    control.stop(15);
    let config = small(&file.path);
    let inputs = open(&config, 100);
    let target = Arc::new(MemoryTarget::new(None));
    let outcome =
        Load { config, inputs, target: TargetHandle(Arc::clone(&target) as _), control }.run();
    check_interrupted(&outcome, &target);
    assert_eq!(loaded_records(&target).len(), 0);
}

fn check_internal(outcome: &Outcome) {
    let error = outcome.error.as_ref().expect("a panic");
    assert!(matches!(error.kind(), ErrorKind::Internal(_)), "{error:?}");
    assert_eq!(outcome.report.status, Status::Failed);
    check_report(outcome);
}

fn panicking_at(nth: u64, of: fn(&Call<'_>) -> bool) -> Arc<Hooked> {
    let calls = AtomicU64::new(0);
    Arc::new(Hooked::new(move |call| {
        assert!(
            !of(call) || calls.fetch_add(1, Ordering::Relaxed) + 1 != nth,
            "a sink panics on demand"
        );
        Ok(())
    }))
}

/// Which call panics.
type Matches = fn(&Call<'_>) -> bool;

#[test]
fn a_sink_that_panics() {
    let bad = &[7, 33, 34, 120, 199];
    let cases: [(u64, Matches); 3] = [
        (7, |call| matches!(call, Call::Write(_))),
        (2, |call| matches!(call, Call::Commit)),
        (1, |call| matches!(call, Call::Write(_))),
    ];
    for (nth, of) in cases {
        for threads in [1, 2] {
            let file = given(&lines(200, bad));
            let target = panicking_at(nth, of);
            let mut config = small(&file.path);
            config.work.writers = threads;
            config.work.parsers = threads;
            config.work.chunk_bytes = 300;
            let outcome = load(config, Arc::clone(&target) as _);
            check_internal(&outcome);
            // What was committed before stands, rejects too, and nothing else.
            let counts = outcome.report.totals;
            assert_eq!(counts.rows_loaded, loaded_records(&target.table).len() as u64);
            let kept = match counts.rows_rejected {
                0 => Vec::new(),
                _ => described_records(&file.path),
            };
            assert_eq!(counts.rows_rejected, kept.len() as u64);
            check_reject_file(&file.path, &kept, bad);
            if (nth, threads) == (7, 1) {
                assert_eq!(kept, [7, 33, 34]);
            }
        }
    }
}

#[test]
fn a_parser_that_panics() {
    let file = given(&lines(200, &[]));
    let mut config = small(&file.path);
    config.work.parsers = 3;
    config.work.writers = 2;
    config.work.chunk_bytes = 100;
    // A field that no record has: a broken configuration, which `resolve` never makes.
    config.columns[1].source = FieldSource::Field(9_999);
    let outcome = load(config, Arc::new(MemoryTarget::new(None)));
    check_internal(&outcome);
}

#[test]
fn a_connection_that_cannot_be_made() {
    let file = given(&lines(200, &[]));
    let mut config = small(&file.path);
    config.work.writers = 2;
    let target =
        Arc::new(MemoryTarget::new(None).with_faults(Faults {
            open: vec![(2, ErrorClass::CannotConnect)],
            ..Faults::default()
        }));
    let outcome = load(config, target);
    let error = outcome.error.as_ref().expect("one of two");
    assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error:?}");
    check_report(&outcome);
}

#[test]
fn a_failed_unit_leaves_no_reject_behind() {
    let bad = &[3, 7, 61, 62];
    let file = given(&lines(200, bad));
    let writes = AtomicU64::new(0);
    let target = Arc::new(Hooked::new(move |call| match call {
        Call::Write(_) if writes.fetch_add(1, Ordering::Relaxed) == 7 => {
            Err(crate::support::failure(ErrorClass::Permanent))
        }
        _ => Ok(()),
    }));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    assert_eq!(outcome.report.status, Status::Failed);
    check_report(&outcome);
    check_reject_file(&file.path, &[3, 7], bad);
    assert!(Path::new(&file.path).exists());
}
