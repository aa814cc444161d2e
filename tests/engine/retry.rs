//! Errors of the database that ask for a replay, and those that must not get one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastload::config::LoadConfig;
use fastload::engine::{Control, Load, Outcome, TargetHandle};
use fastload::error::ErrorKind;
use fastload::record::{ByteRange, RejectClass};
use fastload::report::Status;
use fastload::sink::ErrorClass::{
    CannotConnect, ConnectionLost, LoginRefused, Permanent, RolledBack, TimedOut, Transient,
};
use fastload::sink::memory::{CommitFault, Faults, MemoryTarget};
use proptest::prelude::*;

use crate::common::open;
use crate::support::{
    Call, Given, Hooked, check_all, check_report, failure, given, line, lines, load,
    loaded_records, small,
};

const BAD: &[u64] = &[7, 33, 34, 120, 199];

fn faulty(faults: Faults) -> Arc<MemoryTarget> {
    Arc::new(MemoryTarget::new(None).with_faults(faults))
}

fn run_with(faults: Faults) -> (Given, Arc<MemoryTarget>, Outcome) {
    let file = given(&lines(200, BAD));
    let target = faulty(faults);
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    (file, target, outcome)
}

fn lost_commit(commit: u64, took_effect: bool) -> CommitFault {
    CommitFault { commit, class: ConnectionLost, took_effect }
}

#[test]
fn a_deadlock_anywhere_in_a_unit_replays_all_of_it() {
    for write in 1..=22 {
        let (file, target, outcome) = run_with(Faults {
            writes: vec![(write, Transient)],
            rows: vec![(41, RejectClass::Duplicate), (150, RejectClass::Constraint)],
            ..Faults::default()
        });
        check_all(&outcome, &target, &file.path, 200, BAD, &[41, 150]);
        assert_eq!(target.reconnects(), 0);
        assert_eq!(outcome.report.status, Status::LoadedWithRejects);
    }
}

#[test]
fn a_deadlock_in_the_replay_replays_again() {
    // Writes 4 and 5 are the replay of the first two batches.
    let (file, target, outcome) = run_with(Faults {
        writes: vec![(3, Transient), (5, Transient), (6, Transient)],
        ..Faults::default()
    });
    check_all(&outcome, &target, &file.path, 200, BAD, &[]);
}

#[test]
fn a_deadlock_at_commit_replays_the_unit() {
    let (file, target, outcome) = run_with(Faults {
        commits: [2, 3, 5]
            .map(|commit| CommitFault { commit, class: Transient, took_effect: false })
            .to_vec(),
        rows: vec![(55, RejectClass::Duplicate)],
        ..Faults::default()
    });
    check_all(&outcome, &target, &file.path, 200, BAD, &[55]);
}

#[test]
fn a_lost_connection_is_made_again() {
    let (file, target, outcome) = run_with(Faults {
        writes: vec![(1, ConnectionLost), (9, ConnectionLost), (10, Transient)],
        ..Faults::default()
    });
    check_all(&outcome, &target, &file.path, 200, BAD, &[]);
    assert_eq!(target.reconnects(), 2);
}

#[test]
fn a_database_that_is_away_for_a_moment_is_waited_for() {
    let (writes, reconnects) = (AtomicU64::new(0), AtomicU64::new(0));
    let target = Arc::new(Hooked::new(move |call| match call {
        Call::Write(_) if writes.fetch_add(1, Ordering::Relaxed) == 2 => {
            Err(failure(ConnectionLost))
        }
        Call::Reconnect if reconnects.fetch_add(1, Ordering::Relaxed) < 2 => {
            Err(failure(CannotConnect))
        }
        _ => Ok(()),
    }));
    let file = given(&lines(200, BAD));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    check_all(&outcome, &target.table, &file.path, 200, BAD, &[]);
    assert_eq!(target.table.reconnects(), 1);
}

#[test]
fn retries_have_an_end() {
    // Records 1 to 50 are in; then each write fails.
    let file = given(&lines(200, BAD));
    let target = faulty(Faults {
        writes: (7..40).map(|write| (write, Transient)).collect(),
        ..Faults::default()
    });
    let mut config = small(&file.path);
    config.work.max_retries = 2;
    let outcome = load(config, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("it fails");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    assert_eq!(outcome.report.status, Status::Failed);
    check_rolled_back(&outcome, &target);
}

#[test]
fn commits_that_always_fail_have_an_end_too() {
    let file = given(&lines(200, BAD));
    let target = faulty(Faults {
        commits: (2..40)
            .map(|commit| CommitFault { commit, class: Transient, took_effect: false })
            .collect(),
        ..Faults::default()
    });
    let mut config = small(&file.path);
    config.work.max_retries = 2;
    let outcome = load(config, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("it fails");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    assert_eq!(target.commits(), 1 + 3, "the first try and two more");
    check_rolled_back(&outcome, &target);
}

/// What is committed is counted as loaded, the rest as rolled back.
fn check_rolled_back(outcome: &Outcome, target: &MemoryTarget) {
    let counts = check_report(outcome);
    assert_eq!(counts.rows_loaded, loaded_records(target).len() as u64);
    assert!(counts.rows_loaded > 0);
    assert_eq!(
        counts.rows_rolled_back,
        counts.records_read - counts.rows_loaded - counts.rows_rejected
    );
    assert!(counts.rows_rolled_back > 0);
}

#[test]
fn a_permanent_error_is_not_tried_again() {
    let (_file, target, outcome) =
        run_with(Faults { writes: vec![(7, Permanent)], ..Faults::default() });
    let error = outcome.error.as_ref().expect("it fails");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    check_rolled_back(&outcome, &target);
}

fn not_replaying(fails_at: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static) -> Arc<Hooked> {
    let mut target = Hooked::new(move |call| {
        if fails_at(call) {
            return Err(failure(Transient));
        }
        Ok(())
    });
    target.replays = Some(false);
    Arc::new(target)
}

/// True for the `nth` write, from 1.
fn write_number(nth: u64) -> impl Fn(&Call<'_>) -> bool {
    let writes = AtomicU64::new(0);
    move |call| matches!(call, Call::Write(_)) && writes.fetch_add(1, Ordering::Relaxed) + 1 == nth
}

#[test]
fn without_kept_arenas_only_a_units_first_batch_is_sent_again() {
    let file = given(&lines(200, BAD));
    let target = not_replaying(write_number(1));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    check_all(&outcome, &target.table, &file.path, 200, BAD, &[]);

    let file = given(&lines(200, BAD));
    let target = not_replaying(write_number(7));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("the unit's first batch is gone");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    check_rolled_back(&outcome, &target.table);
}

#[test]
fn a_unit_that_is_rolled_back_for_certain_is_not_in_doubt() {
    let file = given(&lines(200, BAD));
    let commits = AtomicU64::new(0);
    let target = not_replaying(move |call| {
        matches!(call, Call::Commit) && commits.fetch_add(1, Ordering::Relaxed) == 1
    });
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("it cannot be sent again");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    check_rolled_back(&outcome, &target.table);
}

#[test]
fn a_lost_answer_to_a_commit_is_in_doubt() {
    for took_effect in [false, true] {
        let (file, target, outcome) =
            run_with(Faults { commits: vec![lost_commit(2, took_effect)], ..Faults::default() });
        let error = outcome.error.as_ref().expect("nobody knows");
        let ErrorKind::InDoubt { ranges, .. } = error.kind() else {
            panic!("{error:?}");
        };
        // Each unit ends with the batch that makes it full: 50 rows.
        let before = |rows: u64| -> u64 {
            let records = (1..).filter(|n| !BAD.contains(n));
            let last = records.take(usize::try_from(rows).unwrap()).last().unwrap();
            (1..=last).map(|n| line(n, BAD).len() as u64).sum()
        };
        let range = ByteRange { start: before(50), end: before(100) };
        let found: Vec<_> = ranges.iter().map(|doubt| (&doubt.path, doubt.bytes)).collect();
        assert_eq!(found, [(&file.path, range)]);
        assert_eq!((target.commits(), target.reconnects()), (2, 0));
        assert_eq!(target.rows().len(), if took_effect { 100 } else { 50 });
        let counts = check_report(&outcome);
        assert_eq!(counts.rows_loaded, 50, "only what is certain");
    }
}

/// Any error out of a commit but one that says that all is undone.
#[test]
fn every_other_error_of_a_commit_is_in_doubt() {
    for (class, in_doubt) in [
        (ConnectionLost, true),
        (Permanent, true),
        (TimedOut, true),
        (LoginRefused, true),
        (CannotConnect, true),
        (RolledBack, false),
    ] {
        let commits = vec![CommitFault { commit: 2, class, took_effect: false }];
        let (_file, target, outcome) = run_with(Faults { commits, ..Faults::default() });
        let error = outcome.error.as_ref().expect("it fails");
        let doubted = matches!(error.kind(), ErrorKind::InDoubt { .. });
        assert_eq!(doubted, in_doubt, "{class:?}: {error:?}");
        assert_eq!(matches!(error.kind(), ErrorKind::Sql(_)), !in_doubt, "{error:?}");
        assert_eq!(outcome.report.in_doubt.rows, if in_doubt { 50 } else { 0 });
        assert_eq!(target.commits(), 2, "it is never sent again");
        check_rolled_back(&outcome, &target);
    }
}

#[test]
fn commits_in_doubt_of_several_writers_are_all_named() {
    // Each writer's first commit waits until the other's has been sent, too; then both are lost.
    let sent = AtomicU64::new(0);
    let target = Arc::new(Hooked::new(move |call| {
        if matches!(call, Call::Commit) {
            sent.fetch_add(1, Ordering::AcqRel);
            while sent.load(Ordering::Acquire) < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
            return Err(failure(ConnectionLost));
        }
        Ok(())
    }));
    let file = given(&lines(400, BAD));
    let mut config = small(&file.path);
    config.work.writers = 2;
    let outcome = load(config, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("nobody knows");
    assert!(matches!(error.kind(), ErrorKind::InDoubt { .. }), "{error:?}");
    let doubt = &outcome.report.in_doubt;
    assert_eq!(doubt.rows, 100, "two units of 50");
    assert!(doubt.ranges.len() >= 2, "{doubt:?}");
    let text = error.to_string();
    for range in &doubt.ranges {
        assert!(text.contains(&format!("bytes {}..{}", range.byte_from, range.byte_to)), "{text}");
    }
    assert!(doubt.ranges.is_sorted_by_key(|range| range.byte_from), "{doubt:?}");
    let counts = check_report(&outcome);
    assert_eq!(counts.rows_loaded, 0);
}

#[test]
fn a_statement_may_time_out_once_for_a_batch() {
    // Writes 4 to 8 are the first unit, sent again; write 9 is the second one's first.
    let faults = Faults { writes: vec![(3, TimedOut), (9, TimedOut)], ..Faults::default() };
    let (file, target, outcome) = run_with(faults);
    check_all(&outcome, &target, &file.path, 200, BAD, &[]);
    // Write 6 is the replay of write 3.
    let faults = Faults { writes: vec![(3, TimedOut), (6, TimedOut)], ..Faults::default() };
    let (_file, target, outcome) = run_with(faults);
    let error = outcome.error.as_ref().expect("it would time out for ever");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    assert!(error.to_string().contains("--query-timeout twice"), "{error}");
    assert_eq!(outcome.report.retries.replays, 1);
    let counts = check_report(&outcome);
    assert_eq!((counts.rows_loaded, target.rows().len()), (0, 0));
    assert_eq!(counts.rows_rolled_back, counts.records_read);
}

#[test]
fn a_refused_login_ends_the_load_at_once() {
    let reconnects = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reconnects);
    let writes = AtomicU64::new(0);
    let target = Arc::new(Hooked::new(move |call| match call {
        Call::Write(_) if writes.fetch_add(1, Ordering::Relaxed) == 7 => {
            Err(failure(ConnectionLost))
        }
        Call::Reconnect => {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(failure(LoginRefused))
        }
        _ => Ok(()),
    }));
    let file = given(&lines(200, BAD));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("the password has changed");
    assert!(matches!(error.kind(), ErrorKind::Login(_)), "{error:?}");
    assert_eq!(reconnects.load(Ordering::Relaxed), 1, "a second attempt may lock the account");
    check_rolled_back(&outcome, &target.table);
}

/// A target whose connection is lost at write 8 and cannot be made again.
fn gone_for_good() -> Arc<Hooked> {
    let writes = AtomicU64::new(0);
    Arc::new(Hooked::new(move |call| match call {
        Call::Write(_) if writes.fetch_add(1, Ordering::Relaxed) == 7 => {
            Err(failure(ConnectionLost))
        }
        Call::Reconnect => Err(failure(CannotConnect)),
        _ => Ok(()),
    }))
}

#[test]
fn a_database_that_stays_away_ends_the_load_when_the_budget_is_spent() {
    for budget_ms in [0, 30] {
        let file = given(&lines(200, BAD));
        let target = gone_for_good();
        let mut config = small(&file.path);
        config.work.retry_budget = Duration::from_millis(budget_ms);
        let outcome = load(config, Arc::clone(&target) as _);
        let error = outcome.error.as_ref().expect("it stays away");
        assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error:?}");
        assert!(error.to_string().contains("--retry-budget"), "{error}");
        check_rolled_back(&outcome, &target.table);
    }
}

#[test]
fn a_signal_ends_the_search_for_a_database() {
    let file = given(&lines(200, BAD));
    let target = gone_for_good();
    let control = Control::new();
    let mut config = small(&file.path);
    config.work.retry_first_wait = Duration::from_secs(600);
    let inputs = open(&config, 1 << 20);
    let stopper = {
        let (control, table) = (Arc::clone(&control), target.table.clone());
        std::thread::spawn(move || {
            // The first unit is in; the writer is on its way to the wait, or in it.
            while table.commits() < 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(20));
            control.stop(2);
        })
    };
    let handle = TargetHandle(Arc::clone(&target) as _);
    let outcome = Load { config, inputs, target: handle, control }.run();
    stopper.join().expect("no panic");
    let error = outcome.error.as_ref().expect("stopped");
    assert!(matches!(error.kind(), ErrorKind::Interrupted { signal: 2 }), "{error:?}");
    check_rolled_back(&outcome, &target.table);
}

#[test]
fn a_rollback_that_fails_makes_a_new_connection() {
    let (writes, rollbacks) = (AtomicU64::new(0), AtomicU64::new(0));
    let target = Arc::new(Hooked::new(move |call| match call {
        Call::Write(_) if writes.fetch_add(1, Ordering::Relaxed) == 7 => Err(failure(Transient)),
        Call::Rollback if rollbacks.fetch_add(1, Ordering::Relaxed) == 0 => Err(failure(Permanent)),
        _ => Ok(()),
    }));
    let file = given(&lines(200, BAD));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    check_all(&outcome, &target.table, &file.path, 200, BAD, &[]);
    assert_eq!(target.table.reconnects(), 1);
}

#[test]
fn one_of_several_writers_that_fails_ends_all_of_them() {
    for class in [Permanent, Transient, ConnectionLost] {
        let file = given(&lines(600, BAD));
        // From the 20th write on, for ever and for everybody.
        let target = faulty(Faults {
            writes: (20..2_000).map(|write| (write, class)).collect(),
            rows: vec![(41, RejectClass::Duplicate)],
            ..Faults::default()
        });
        let mut config = small(&file.path);
        config.work.writers = 3;
        config.work.parsers = 2;
        config.work.chunk_bytes = 300;
        let outcome = load(config, Arc::clone(&target) as _);
        let error = outcome.error.as_ref().expect("it cannot end well");
        match class {
            ConnectionLost => assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error:?}"),
            _ => assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}"),
        }
        let counts = check_report(&outcome);
        assert_eq!(counts.rows_loaded, loaded_records(&target).len() as u64);
        assert!(counts.rows_rolled_back > 0);
    }
}

#[test]
fn a_signal_ends_the_wait_before_a_replay() {
    let file = given(&lines(200, BAD));
    let control = Control::new();
    let mut config: LoadConfig = small(&file.path);
    config.work.retry_first_wait = Duration::from_secs(600);
    let target = {
        let control = Arc::clone(&control);
        Arc::new(Hooked::new(move |call| {
            if matches!(call, Call::Write(_)) {
                // From another thread, as a signal does; the writer is in its wait by then or not.
                let control = Arc::clone(&control);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    control.stop(15);
                });
                return Err(failure(Transient));
            }
            Ok(())
        }))
    };
    let inputs = open(&config, 1 << 20);
    let outcome = Load { config, inputs, target: TargetHandle(target), control }.run();
    let error = outcome.error.as_ref().expect("stopped");
    assert!(matches!(error.kind(), ErrorKind::Interrupted { signal: 15 }), "{error:?}");
    assert_eq!(outcome.report.status, Status::Stopped);
    check_report(&outcome);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn faults_at_random_leave_every_record_once(
        writes in proptest::collection::vec(
            (1_u64..60, prop_oneof![Just(Transient), Just(ConnectionLost)]),
            0..6,
        ),
        commits in proptest::collection::vec(1_u64..12, 0..3),
        parsers in 1_usize..4,
        writers in 1_usize..4,
        chunk_bytes in 20_u64..600,
        commit_rows in 1_u64..90,
        memory_limit in prop_oneof![Just(1_usize), Just(64 << 20)],
    ) {
        let file = given(&lines(200, BAD));
        let target = faulty(Faults {
            writes,
            commits: commits.into_iter()
                .map(|commit| CommitFault { commit, class: Transient, took_effect: false })
                .collect(),
            rows: vec![(50, RejectClass::Null), (51, RejectClass::Other)],
            ..Faults::default()
        });
        let mut config = small(&file.path);
        config.work.parsers = parsers;
        config.work.writers = writers;
        config.work.chunk_bytes = chunk_bytes;
        config.work.commit_rows = commit_rows;
        config.work.memory_limit = memory_limit;
        config.work.max_retries = 20;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, 200, BAD, &[50, 51]);
    }
}
