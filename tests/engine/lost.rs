//! Calls of a driver that never come back: the load ends all the same, and says what is true.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastload::error::ErrorKind;
use fastload::record::RejectClass;
use fastload::report::Status;
use fastload::sink::ErrorClass::ConnectionLost;
use fastload::sink::SinkError;
use fastload::sink::memory::{Faults, MemoryTarget};

use crate::support::{
    Call, Hooked, check_reject_file, check_report, failure, given, lines, load, loaded_records,
    small,
};

const BAD: &[u64] = &[7, 33, 34, 60, 120, 199];

/// A target whose `nth` call of a kind blocks, and is then said to be stuck, until it is let go.
struct Blocking {
    target: Arc<Hooked>,
    go: Arc<AtomicBool>,
    came_back: Arc<AtomicBool>,
}

fn blocking(nth: u64, of: fn(&Call<'_>) -> bool) -> Blocking {
    let stuck: Arc<Mutex<Vec<SinkError>>> = Arc::default();
    let (go, came_back) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let calls = AtomicU64::new(0);
    let mut target = {
        let (stuck, go, came_back) = (Arc::clone(&stuck), Arc::clone(&go), Arc::clone(&came_back));
        Hooked::new(move |call| {
            if of(call) && calls.fetch_add(1, Ordering::Relaxed) + 1 == nth {
                stuck.lock().unwrap().push(failure(ConnectionLost));
                while !go.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                came_back.store(true, Ordering::Release);
            }
            Ok(())
        })
    };
    target.stuck = stuck;
    let rows = vec![(41, RejectClass::Duplicate)];
    target.table = MemoryTarget::new(None).with_faults(Faults { rows, ..Faults::default() });
    Blocking { target: Arc::new(target), go, came_back }
}

impl Blocking {
    /// Lets the lost thread come back, and waits until it has done whatever it does then.
    fn let_go(&self) {
        self.go.store(true, Ordering::Release);
        while !self.came_back.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The thread holds the target until its end.
        while Arc::strong_count(&self.target) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_write_that_never_comes_back() {
    for writers in [1, 2] {
        let file = given(&lines(300, BAD));
        // The first unit of 50 rows is in, with one writer.
        let blocking = blocking(8, |call| matches!(call, Call::Write(_)));
        let mut config = small(&file.path);
        config.work.writers = writers;
        let outcome = load(config, Arc::clone(&blocking.target) as _);
        assert_eq!(outcome.lost_threads, 1);
        let error = outcome.error.as_ref().expect("it is stuck");
        assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error:?}");
        assert_eq!(outcome.report.status, Status::Failed);
        let counts = check_report(&outcome);
        let loaded = loaded_records(&blocking.target.table);
        assert_eq!(counts.rows_loaded, loaded.len() as u64);
        assert!(counts.rows_rolled_back > 0);
        if writers == 1 {
            assert_eq!(counts.rows_loaded, 49);
            check_reject_file(&file.path, &[7, 33, 34, 41], BAD);
        }
        // What it does later, it does for nobody.
        blocking.let_go();
        assert_eq!(loaded_records(&blocking.target.table), loaded);
    }
}

#[test]
fn a_commit_that_never_comes_back_is_in_doubt() {
    let file = given(&lines(300, BAD));
    let blocking = blocking(2, |call| matches!(call, Call::Commit));
    let outcome = load(small(&file.path), Arc::clone(&blocking.target) as _);
    assert_eq!(outcome.lost_threads, 1);
    let error = outcome.error.as_ref().expect("nobody knows");
    assert!(matches!(error.kind(), ErrorKind::InDoubt { .. }), "{error:?}");
    let counts = check_report(&outcome);
    assert_eq!(counts.rows_loaded, 49);
    let doubt = &outcome.report.in_doubt;
    assert_eq!((doubt.rows, doubt.ranges.len()), (50, 1));
    // 7, 33, 34 and 41 are no rows, and 60 is none of the second unit.
    assert_eq!(doubt.ranges[0].record_from, Some(54));
    check_reject_file(&file.path, &[7, 33, 34, 41, 60], BAD);
    assert_eq!(counts.rows_rejected, 5);
    assert_eq!(loaded_records(&blocking.target.table).len(), 49);
    // The commit took effect after all: that was the doubt.
    blocking.let_go();
    assert_eq!(loaded_records(&blocking.target.table).len(), 99);
}

#[test]
fn a_call_that_is_only_slow_loses_nothing() {
    let file = given(&lines(300, BAD));
    let blocking = blocking(8, |call| matches!(call, Call::Write(_)));
    // It comes back before anybody asks.
    blocking.go.store(true, Ordering::Release);
    let stuck = Arc::clone(&blocking.target.stuck);
    let clearing = std::thread::spawn(move || {
        while stuck.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        stuck.lock().unwrap().clear();
    });
    let outcome = load(small(&file.path), Arc::clone(&blocking.target) as _);
    clearing.join().expect("no panic");
    assert_eq!(outcome.lost_threads, 0);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(check_report(&outcome).rows_loaded, 300 - 7);
}
