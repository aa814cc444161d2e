//! A database that runs out of log or locks: smaller commits, and every record once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fastload::error::ErrorKind;
use fastload::record::RejectClass;
use fastload::report::Status;
use fastload::sink::ErrorClass::{Resources, Transient};
use fastload::sink::memory::{CommitFault, Faults, MemoryTarget};
use proptest::prelude::*;

use crate::support::{
    Call, Hooked, check_all, check_reject_file, check_report, failure, given, lines, load,
    loaded_records, small,
};

const BAD: &[u64] = &[7, 33, 34, 120, 199];

/// Refused by the table.
const REFUSED: &[u64] = &[2, 41, 42, 150];

fn with_log(rows: usize) -> Arc<MemoryTarget> {
    let refused = |&record: &u64| (record, RejectClass::Duplicate);
    let faults = Faults {
        log_rows: Some(rows),
        rows: REFUSED.iter().map(refused).collect(),
        ..Faults::default()
    };
    Arc::new(MemoryTarget::new(None).with_faults(faults))
}

#[test]
fn a_log_with_room_for_a_batch_takes_everything() {
    // Batches of 10 rows, units of 50: a log of 50 takes them as they are, one of 40 fails at the
    // fifth batch, and 25 is half of what was sent.
    let cases = [
        (10, Some(10)),
        (19, Some(10)),
        (20, Some(15)),
        (30, Some(20)),
        (40, Some(25)),
        (50, None),
    ];
    for (log_rows, smallest) in cases {
        let file = given(&lines(200, BAD));
        let target = with_log(log_rows);
        let mut config = small(&file.path);
        // Not one attempt is needed: smaller commits are none.
        config.work.max_retries = 1;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, 200, BAD, REFUSED);
        let retries = outcome.report.retries;
        assert_eq!(retries.smallest_commit_rows, smallest, "a log of {log_rows}: {retries:?}");
        assert_eq!(retries.shrinks > 0, smallest.is_some());
        assert_eq!(retries.replays, retries.shrinks);
        let advice = smallest.map_or_else(String::new, |rows| format!("--commit-rows {rows}"));
        let told = outcome.report.warnings.iter().any(|text| text.contains(&advice));
        assert_eq!(told, smallest.is_some(), "{:?}", outcome.report.warnings);
    }
}

#[test]
fn one_log_for_several_writers() {
    for writers in 2..=4 {
        let file = given(&lines(1_000, BAD));
        let target = with_log(10 * writers);
        let mut config = small(&file.path);
        config.work.writers = writers;
        config.work.parsers = 2;
        config.work.chunk_bytes = 700;
        config.work.max_retries = 100;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, 1_000, BAD, REFUSED);
    }
}

#[test]
fn a_log_too_small_for_one_batch_is_final() {
    let file = given(&lines(200, BAD));
    let target = with_log(9);
    let mut config = small(&file.path);
    config.work.max_retries = 2;
    let outcome = load(config, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("nothing fits");
    assert!(matches!(error.kind(), ErrorKind::Sql(_)), "{error:?}");
    let text = error.to_string();
    for part in ["given up after 2 replays", "one batch (10 rows)", "--batch-rows"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let counts = check_report(&outcome);
    assert_eq!((counts.rows_loaded, counts.rows_rejected), (0, 0));
    assert_eq!(counts.rows_rolled_back, counts.records_read);
    assert_eq!(outcome.report.retries.replays, 2);
    check_reject_file(&file.path, &[], BAD);
}

#[test]
fn without_retries_a_full_log_is_final_at_once() {
    let file = given(&lines(200, BAD));
    let target = with_log(25);
    let mut config = small(&file.path);
    config.work.max_retries = 0;
    let outcome = load(config, Arc::clone(&target) as _);
    assert!(matches!(outcome.error.as_ref().unwrap().kind(), ErrorKind::Sql(_)));
    assert_eq!(outcome.report.status, Status::Failed);
    let counts = check_report(&outcome);
    assert_eq!((counts.rows_loaded, target.commits()), (0, 0));
}

/// Rows of each commit that went well, with `fault` deciding about each call.
fn commit_sizes(
    records: u64,
    fault: impl Fn(&Call<'_>, u64) -> bool + Send + Sync + 'static,
) -> Vec<u64> {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (seen, open, calls) = (Arc::clone(&sizes), AtomicU64::new(0), AtomicU64::new(0));
    let target = Arc::new(Hooked::new(move |call| {
        if matches!(call, Call::Rollback) {
            open.store(0, Ordering::Relaxed);
            return Ok(());
        }
        if matches!(call, Call::Open) {
            return Ok(());
        }
        if fault(call, calls.fetch_add(1, Ordering::Relaxed) + 1) {
            return Err(failure(Resources));
        }
        match call {
            Call::Write(batch) => _ = open.fetch_add(batch.rows() as u64, Ordering::Relaxed),
            Call::Commit => seen.lock().unwrap().push(open.swap(0, Ordering::Relaxed)),
            Call::Columns | Call::Open | Call::Rollback | Call::Reconnect => {}
        }
        Ok(())
    }));
    let file = given(&lines(records, &[]));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    check_all(&outcome, &target.table, &file.path, records, &[], &[]);
    let sizes = sizes.lock().unwrap();
    sizes.clone()
}

#[test]
fn commits_grow_back_to_what_was_asked_for() {
    // The third write fails: 30 rows were too many, 15 are tried, which is one batch of 10 each.
    let sizes = commit_sizes(500, |call, calls| matches!(call, Call::Write(_)) && calls == 3);
    assert_eq!(sizes[..4], [10; 4]);
    assert_eq!(sizes[4..8], [30; 4]);
    assert_eq!(sizes[8..], [50, 50, 50, 50, 50, 50, 40]);
}

#[test]
fn a_commit_that_finds_no_room_is_made_in_two() {
    let sizes = commit_sizes(300, |call, calls| matches!(call, Call::Commit) && calls == 6);
    assert_eq!(sizes[..4], [20; 4]);
    assert_eq!(sizes[4..], [50, 50, 50, 50, 20]);
}

#[test]
fn a_unit_that_shrank_is_in_doubt_only_for_what_was_in_the_commit() {
    let file = given(&lines(200, BAD));
    let faults = Faults {
        log_rows: Some(20),
        rows: vec![(41, RejectClass::Null)],
        commits: vec![CommitFault {
            commit: 4,
            class: fastload::sink::ErrorClass::ConnectionLost,
            took_effect: true,
        }],
        ..Faults::default()
    };
    let target = Arc::new(MemoryTarget::new(None).with_faults(faults));
    let outcome = load(small(&file.path), Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("nobody knows");
    let ErrorKind::InDoubt { ranges, .. } = error.kind() else { panic!("{error:?}") };
    // Ten rows a commit; 7, 33 and 34 are none. 41 was sent, and refused.
    assert_eq!((ranges.len(), ranges[0].rows), (1, 9));
    assert_eq!(ranges[0].records, Some((32, 43)));
    let counts = check_report(&outcome);
    assert_eq!(counts.rows_loaded, 30);
    // What is rejected is in the reject file, whether its neighbours are in the table or not.
    check_reject_file(&file.path, &[7, 33, 34, 41], BAD);
    assert_eq!(counts.rows_rejected, 4);
    assert_eq!(outcome.report.in_doubt.rows, 9);
    assert_eq!(loaded_records(&target).len(), 39);
    assert_eq!(counts.rows_rolled_back, counts.records_read - 34);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_log_and_any_faults_leave_every_record_once(
        log_rows in 30_usize..120,
        writes in proptest::collection::vec((1_u64..60, Just(Transient)), 0..4),
        commits in proptest::collection::vec(
            (1_u64..12, prop_oneof![Just(Transient), Just(Resources)]),
            0..3,
        ),
        writers in 1_usize..4,
        commit_rows in 1_u64..120,
        memory_limit in prop_oneof![Just(1_usize), Just(64 << 20)],
    ) {
        let file = given(&lines(400, BAD));
        let faults = Faults {
            log_rows: Some(log_rows),
            writes,
            commits: commits.into_iter()
                .map(|(commit, class)| CommitFault { commit, class, took_effect: false })
                .collect(),
            rows: vec![(50, RejectClass::Null), (51, RejectClass::Other)],
            ..Faults::default()
        };
        let target = Arc::new(MemoryTarget::new(None).with_faults(faults));
        let mut config = small(&file.path);
        config.work.writers = writers;
        config.work.commit_rows = commit_rows;
        config.work.memory_limit = memory_limit;
        config.work.max_retries = 100;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, 400, BAD, &[50, 51]);
    }
}
