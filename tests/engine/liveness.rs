//! Writers in trouble do not hold up the others, nor the others them: when the faults stop, the
//! load ends well.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastload::sink::ErrorClass::Transient;

use crate::support::{Call, Hooked, check_all, failure, fifo, given, lines, load, small};

/// Waits for what must come; false when it has not after a time that no healthy run takes.
fn comes(what: impl Fn() -> bool) -> bool {
    for _ in 0..20_000 {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

fn is_first_writer() -> bool {
    std::thread::current().name() == Some("fastload-write-0")
}

/// The second writer runs into a lock of the first one, which has nothing more to do and would not
/// commit by itself: the input goes on only when the second writer gets through.
#[test]
fn an_idle_writer_gives_its_locks_up_for_one_that_waits() {
    let held = Arc::new(AtomicBool::new(false));
    let tried = Arc::new(AtomicBool::new(false));
    let through = Arc::new(AtomicBool::new(false));
    let target = {
        let (held, tried, through) = (Arc::clone(&held), Arc::clone(&tried), Arc::clone(&through));
        Arc::new(Hooked::new(move |call| {
            match (call, is_first_writer()) {
                (Call::Write(_), true) => {
                    held.store(true, Ordering::Release);
                    // Until the second writer has got a batch, too.
                    assert!(comes(|| tried.load(Ordering::Acquire)), "one writer got everything");
                }
                (Call::Commit | Call::Rollback, true) => held.store(false, Ordering::Release),
                (Call::Write(_), false) => {
                    // Not before the first writer has its lock.
                    let locked = || held.load(Ordering::Acquire);
                    assert!(
                        tried.load(Ordering::Acquire) || comes(locked),
                        "one writer got everything"
                    );
                    tried.store(true, Ordering::Release);
                    if held.load(Ordering::Acquire) {
                        return Err(failure(Transient));
                    }
                    through.store(true, Ordering::Release);
                }
                _ => {}
            }
            Ok(())
        }))
    };
    let (_dir, path) = fifo();
    let feeder = {
        let path = path.clone();
        std::thread::spawn(move || {
            let text = lines(300, &[]);
            let mut pipe = std::fs::File::options().write(true).open(path).expect("a reader");
            let (first, rest) = text.split_at(text.len() * 4 / 5);
            pipe.write_all(first).expect("it is read");
            let came = comes(|| through.load(Ordering::Acquire));
            pipe.write_all(rest).expect("it is read");
            came
        })
    };
    let mut config = small(&path);
    config.work.writers = 2;
    config.work.chunk_bytes = 64;
    config.work.commit_rows = 100_000;
    config.work.max_retries = 1_000_000;
    let outcome = load(config, Arc::clone(&target) as _);
    assert!(feeder.join().expect("no panic"), "the first writer never gave its lock up");
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(target.table.rows().len(), 300);
    assert!(outcome.report.retries.replays > 0);
}

/// While one writer fails and fails, the others bring in what they get.
#[test]
fn other_writers_go_on_meanwhile() {
    let loaded = Arc::new(AtomicU64::new(0));
    let target = {
        let loaded = Arc::clone(&loaded);
        Arc::new(Hooked::new(move |call| {
            match (call, is_first_writer()) {
                // Not before the second writer has committed three units.
                (Call::Write(_), true) if loaded.load(Ordering::Acquire) < 3 => {
                    return Err(failure(Transient));
                }
                (Call::Commit, false) => _ = loaded.fetch_add(1, Ordering::AcqRel),
                _ => {}
            }
            Ok(())
        }))
    };
    let file = given(&lines(1_000, &[5]));
    let mut config = small(&file.path);
    config.work.writers = 2;
    config.work.max_retries = 1_000_000;
    let outcome = load(config, Arc::clone(&target) as _);
    check_all(&outcome, &target.table, &file.path, 1_000, &[5], &[]);
}

/// The transaction is rolled back before the wait: nobody waits for the locks of one that waits.
#[test]
fn a_writer_that_waits_holds_no_transaction() {
    let last_was_rollback = Arc::new(AtomicBool::new(false));
    let failing = Arc::new(AtomicU64::new(0));
    let target = {
        let (rolled, failing) = (Arc::clone(&last_was_rollback), Arc::clone(&failing));
        Arc::new(Hooked::new(move |call| {
            match call {
                Call::Rollback => rolled.store(true, Ordering::Release),
                Call::Write(_) => {
                    rolled.store(false, Ordering::Release);
                    if failing.fetch_add(1, Ordering::AcqRel) == 3 {
                        return Err(failure(Transient));
                    }
                }
                _ => {}
            }
            Ok(())
        }))
    };
    let file = given(&lines(200, &[]));
    let mut config = small(&file.path);
    // The wait lasts until the stop, which comes when the rollback has been seen.
    config.work.retry_first_wait = Duration::from_secs(3_600);
    let control = fastload::engine::Control::new();
    let inputs = crate::common::open(&config, 1 << 20);
    let stopper = {
        let control = Arc::clone(&control);
        std::thread::spawn(move || {
            let seen = comes(|| {
                failing.load(Ordering::Acquire) == 4 && last_was_rollback.load(Ordering::Acquire)
            });
            control.stop(15);
            seen
        })
    };
    let handle = fastload::engine::TargetHandle(target);
    let outcome = fastload::engine::Load { config, inputs, target: handle, control }.run();
    assert!(stopper.join().expect("no panic"), "the transaction was held during the wait");
    assert!(outcome.error.is_some());
}
