//! `--max-errors`: where a load stops, which record it names, what is committed and what the
//! reject file holds.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex};

use fastload::config::{IoWay, LoadConfig, RejectLimit};
use fastload::engine::Outcome;
use fastload::error::{BadRecord, ErrorKind};
use fastload::record::RejectClass;
use fastload::report::Status;
use fastload::sink::memory::{Faults, MemoryTarget};

use crate::support::{
    Call, Given, Hooked, check_all, check_reject_file, check_report, described_records, given,
    line, lines, load, loaded_records, small,
};

fn named(outcome: &Outcome) -> &BadRecord {
    assert_eq!(outcome.report.status, Status::Stopped);
    let error = outcome.error.as_ref().expect("one too many");
    match error.kind() {
        ErrorKind::RejectLimit(bad) => bad,
        kind => panic!("{kind:?}"),
    }
}

/// Every number of parsers, several chunk sizes and batch sizes, both ways of input.
fn every_way(path: &std::path::Path, limit: RejectLimit, mut check: impl FnMut(LoadConfig)) {
    for parsers in 1..=8 {
        for chunk_bytes in [1, 7, 64, 100, 1_000, 1 << 20] {
            let mut config = small(path);
            config.max_errors = limit;
            config.work.parsers = parsers;
            config.work.chunk_bytes = chunk_bytes;
            config.work.batch_rows = 1 + parsers * 5;
            config.work.io = [IoWay::Mmap, IoWay::Read][parsers % 2];
            check(config);
        }
    }
}

/// The load stops, names `record`, counts what it committed, and keeps no other reject.
fn stops_at(file: &Given, limit: RejectLimit, bad: &[u64], record: u64) {
    every_way(&file.path, limit, |config| {
        let case = format!("{} parsers, {}", config.work.parsers, config.work.chunk_bytes);
        let target = Arc::new(MemoryTarget::new(None));
        let outcome = load(config, Arc::clone(&target) as _);
        let found = named(&outcome);
        assert_eq!(found.position.record, record, "{case}");
        assert_eq!(found.position.line, record, "{case}");
        assert_eq!(found.bytes, line(record, bad).into_bytes(), "{case}");
        assert_eq!(found.class, "field_count");
        let counts = check_report(&outcome);
        assert_eq!(counts.rows_loaded, loaded_records(&target).len() as u64);
        let kept =
            if counts.rows_rejected == 0 { Vec::new() } else { described_records(&file.path) };
        assert_eq!(counts.rows_rejected, kept.len() as u64, "{case}");
        check_reject_file(&file.path, &kept, bad);
        for suffix in ["", ".jsonl"] {
            let mut path = crate::common::reject_path(&file.path).into_os_string();
            path.push(suffix);
            drop(std::fs::remove_file(path));
        }
        assert!(!target.is_finished());
    });
}

#[test]
fn the_first_bad_record_stops_a_load_that_allows_none() {
    let bad = &[57, 58, 140, 199];
    stops_at(&given(&lines(200, bad)), RejectLimit::Count(0), bad, 57);
}

#[test]
fn the_record_over_the_limit_is_named() {
    let bad = &[3, 57, 58, 140, 199];
    let file = given(&lines(200, bad));
    stops_at(&file, RejectLimit::Count(2), bad, 58);
    stops_at(&file, RejectLimit::Count(4), bad, 199);
}

#[test]
fn a_limit_that_is_met_is_not_passed() {
    let bad = &[3, 57, 58, 140, 199];
    for limit in [RejectLimit::Count(5), RejectLimit::All, RejectLimit::Share(0.025)] {
        let file = given(&lines(200, bad));
        let mut config = small(&file.path);
        config.max_errors = limit;
        config.work.parsers = 2;
        config.work.chunk_bytes = 100;
        let target = Arc::new(MemoryTarget::new(None));
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, 200, bad, &[]);
    }
}

#[test]
fn a_share_is_tested_record_by_record_from_a_thousand_on() {
    // 12 of the first 900 is over 1 %, but nothing is tested yet; record 1,150 is the 12th of
    // 1,150, which is over 1 %.
    let bad: Vec<u64> = (1..=11).map(|n| n * 70).chain([1_150, 1_160]).collect();
    let file = given(&lines(1_200, &bad));
    stops_at(&file, RejectLimit::Share(0.01), &bad, 1_150);
}

#[test]
fn a_share_of_a_small_file_is_tested_at_the_end() {
    let bad = &[150, 20];
    let file = given(&lines(200, bad));
    let mut config = small(&file.path);
    config.max_errors = RejectLimit::Share(0.009);
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = load(config, Arc::clone(&target) as _);
    let found = named(&outcome);
    assert_eq!((found.path.clone(), found.position.record), (file.path.clone(), 20));
    // Everything was committed before it was known.
    assert_eq!(loaded_records(&target).len(), 198);
    check_reject_file(&file.path, &[20, 150], bad);
    assert!(!target.is_finished());
}

fn refusing(records: &[u64]) -> MemoryTarget {
    MemoryTarget::new(None).with_faults(Faults {
        rows: records.iter().map(|&n| (n, RejectClass::Duplicate)).collect(),
        ..Faults::default()
    })
}

#[test]
fn rows_that_the_database_refuses_count_too() {
    for (limit, record) in [(0, 12), (1, 14), (2, 15), (3, 71)] {
        let file = given(&lines(200, &[]));
        let target = Arc::new(refusing(&[12, 14, 15, 71]));
        let mut config = small(&file.path);
        config.max_errors = RejectLimit::Count(limit);
        let outcome = load(config, Arc::clone(&target) as _);
        let found = named(&outcome);
        assert_eq!(found.position.record, record);
        assert_eq!(found.bytes, line(record, &[]).into_bytes());
        assert_eq!(found.class, "duplicate");
        let counts = check_report(&outcome);
        // Only whole units are in: the first ends behind record 50, or 53 with what it refused.
        assert_eq!(counts.rows_rejected, if record == 71 { 3 } else { 0 });
        assert_eq!(counts.rows_loaded, loaded_records(&target).len() as u64);
        check_reject_file(
            &file.path,
            &[12, 14, 15][..usize::try_from(counts.rows_rejected).unwrap()],
            &[],
        );
    }
}

#[test]
fn refused_rows_and_bad_records_share_one_limit_and_one_file() {
    let (bad, refused) = (&[7_u64, 33, 120], &[8_u64, 119, 121, 200]);
    for parsers in [1, 3] {
        for writers in [1, 3] {
            let file = given(&lines(200, bad));
            let target = Arc::new(refusing(refused));
            let mut config = small(&file.path);
            config.work.parsers = parsers;
            config.work.writers = writers;
            config.work.chunk_bytes = 90;
            config.max_errors = RejectLimit::Count(7);
            let outcome = load(config.clone(), Arc::clone(&target) as _);
            check_all(&outcome, &target, &file.path, 200, bad, refused);

            config.max_errors = RejectLimit::Count(6);
            let target = Arc::new(refusing(refused));
            let outcome = load(config, Arc::clone(&target) as _);
            named(&outcome);
            check_report(&outcome);
        }
    }
}

/// Waits until two writers have batches, so that neither knows of the other's refused rows.
#[derive(Default)]
struct Meeting {
    writers: Mutex<HashSet<std::thread::ThreadId>>,
    came: Condvar,
}

impl Meeting {
    fn wait(&self) {
        let mut writers = self.writers.lock().unwrap();
        writers.insert(std::thread::current().id());
        self.came.notify_all();
        while writers.len() < 2 {
            writers = self.came.wait(writers).unwrap();
        }
    }
}

#[test]
fn two_writers_cannot_pass_the_limit_together() {
    let file = given(&lines(30, &[]));
    let meeting = Meeting::default();
    let mut target = Hooked::new(move |call| {
        if matches!(call, Call::Write(_)) {
            meeting.wait();
        }
        Ok(())
    });
    // One in each of two batches, two in the third: whoever gets what, each writer alone is fine.
    target.table = refusing(&[5, 15, 25, 26]);
    let mut config = small(&file.path);
    config.work.writers = 2;
    config.work.ring_batches = 1;
    config.work.commit_rows = 1_000;
    config.max_errors = RejectLimit::Count(3);
    let outcome = load(config, Arc::new(target));
    named(&outcome);
    check_report(&outcome);
}

#[test]
fn a_replayed_unit_counts_its_refused_rows_once() {
    let file = given(&lines(200, &[]));
    let target = Arc::new(MemoryTarget::new(None).with_faults(Faults {
        rows: vec![(3, RejectClass::Duplicate), (14, RejectClass::Duplicate)],
        writes: vec![(4, fastload::sink::ErrorClass::Transient)],
        ..Faults::default()
    }));
    let mut config = small(&file.path);
    config.max_errors = RejectLimit::Count(2);
    let outcome = load(config, Arc::clone(&target) as _);
    check_all(&outcome, &target, &file.path, 200, &[], &[3, 14]);
}

#[test]
fn a_file_of_nothing_but_bad_records() {
    let bad: Vec<u64> = (1..=20_000).collect();
    for memory_limit in [1, 64 << 20] {
        let file = given(&lines(20_000, &bad));
        let target = Arc::new(MemoryTarget::new(None));
        let mut config = small(&file.path);
        config.work.parsers = 2;
        config.work.chunk_bytes = 50_000;
        config.work.memory_limit = memory_limit;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, 20_000, &bad, &[]);
    }
}

#[test]
fn a_load_that_cannot_keep_its_rejects_leaves_the_table_alone() {
    let file = given(&lines(20, &[3]));
    let mut parts = crate::common::reject_path(&file.path).into_os_string();
    parts.push(".parts");
    std::fs::create_dir(&parts).expect("as a killed load left it");
    let target = Arc::new(MemoryTarget::new(None));
    let mut config = small(&file.path);
    config.mode = fastload::config::Mode::Truncate;
    config.before = vec!["drop index i".to_owned()];
    let outcome = load(config, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("in the way");
    assert!(matches!(error.kind(), ErrorKind::Usage { .. }), "{error:?}");
    assert!(target.statements().is_empty(), "{:?}", target.statements());
}
