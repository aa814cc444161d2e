//! What a start finds of its job, and what it does.

use fastload::config::Restart;
use fastload::error::{Error, ErrorKind};
use fastload::ledger::{RangeRow, Run, Start, State};
use fastload::record::ByteRange;
use fastload::sink::Holding;

use crate::support::Job;

/// Brings a run to a state, by one statement.
fn advance(job: &Job, run: &Run, state: State) {
    let mut store = job.store();
    let sql = store.sql().advance(&run.key, run.epoch, (state, 0), 1);
    store.conditional(&run.key, &sql).expect("the run is ours");
    store.session().commit().expect("committed");
}

fn commit(job: &Job, run: &Run, range: RangeRow) {
    let mut store = job.store();
    let sql = store.sql().add_ranges(&run.key, &[range]);
    store.session().execute(&sql).expect("inserted");
    store.session().commit().expect("committed");
}

fn range(start: u64, end: u64, digest: u64) -> RangeRow {
    RangeRow { bytes: ByteRange { start, end }, digest, ..RangeRow::default() }
}

fn kind(error: Error) -> ErrorKind {
    error.into_kind()
}

#[test]
fn an_unfinished_run_is_taken_up_with_what_it_has() {
    let job = Job::new(3);
    let first = job.run();
    assert!(!first.is_resumed);
    assert_eq!((first.key.run, first.epoch, first.state), (1, 1, State::Starting));
    advance(&job, &first, State::Loading);
    commit(&job, &first, range(10, 20, 11));
    let again = job.run();
    assert!(again.is_resumed);
    assert_eq!((again.key.run, again.epoch, again.state), (1, 2, State::Loading));
    assert_eq!(again.ranges, [range(10, 20, 11)]);
    // The first one comes back, and nothing of it finds the run any more.
    let mut store = job.store();
    let sql = store.sql().advance(&first.key, first.epoch, (State::Done, 0), 1);
    let late = store.conditional(&first.key, &sql).expect_err("its epoch is over");
    assert!(matches!(kind(late), ErrorKind::JobHeld(_)));
}

#[test]
fn an_owner_that_lives_keeps_its_job() {
    let mut job = Job::new(3);
    job.run();
    // This very process, which lives.
    job.has_heartbeat = true;
    for holding in [Holding::Taken, Holding::Held, Holding::NotOffered] {
        job.holding = holding;
        let error = job.start().expect_err("held");
        assert!(matches!(kind(error), ErrorKind::JobHeld(_)), "{holding:?}");
    }
    // Heard of last in 1970.
    let mut store = job.store();
    store.session().execute("UPDATE FASTLOAD_LEDGER_JOB SET UPDATED_AT = 1").expect("aged");
    store.session().commit().expect("committed");
    assert!(job.run().is_resumed, "a zombie");
}

#[test]
fn a_lock_without_heartbeat_says_all() {
    let mut job = Job::new(3);
    job.run();
    job.holding = Holding::Taken;
    assert!(matches!(kind(job.start().expect_err("held")), ErrorKind::JobHeld(_)));
    job.holding = Holding::Held;
    assert!(job.run().is_resumed);
}

#[test]
fn what_changed_is_named() {
    let mut job = Job::new(3);
    job.run();
    job.facts.set("dialect", "tsv");
    let error = job.start().expect_err("another dialect");
    assert!(matches!(&kind(error), ErrorKind::Usage { message, .. }
        if message.contains("dialect") && message.contains("csv") && message.contains("tsv")));
    job.facts.set("dialect", "csv");
    job.facts.set("key", "id");
    let error = job.start().expect_err("a key");
    assert!(error.to_string().contains("key"), "{error}");
    let mut job = Job::new(3);
    job.run();
    job.write(4, b'x');
    let error = job.start().expect_err("a longer file");
    assert!(matches!(&kind(error), ErrorKind::Input { message, .. }
        if message.contains("30") && message.contains("40")));
    job.restart = Restart::New;
    assert_eq!(job.run().key.run, 2);
}

#[test]
fn committed_bytes_that_are_others_are_seen() {
    let job = Job::new(3);
    let run = job.run();
    advance(&job, &run, State::Loading);
    // The hash of the support is the start and one.
    commit(&job, &run, range(10, 20, 11));
    assert!(job.run().is_resumed);
    commit(&job, &run, range(20, 30, 99));
    let error = job.start().expect_err("other bytes");
    assert!(error.to_string().contains("20..30"), "{error}");
}

#[test]
fn a_finished_job_of_the_same_content_is_left_alone() {
    let mut job = Job::new(3);
    let run = job.run();
    advance(&job, &run, State::Done);
    assert!(matches!(job.start(), Ok(Start::AlreadyLoaded(..))));
    // The same bytes, written anew: another inode or time is no other content.
    job.write(3, b'x');
    assert!(matches!(job.start(), Ok(Start::AlreadyLoaded(..))));
    job.repeats = true;
    assert_eq!(job.run().key.run, 2);
}

#[test]
fn tonights_file_under_yesterdays_name_is_another_run() {
    let job = Job::new(3);
    let run = job.run();
    advance(&job, &run, State::Done);
    job.write(3, b'y');
    let tonight = job.run();
    assert_eq!((tonight.key.run, tonight.is_resumed), (2, false));
}

#[test]
fn empty_files_are_not_the_same() {
    let job = Job::new(0);
    let run = job.run();
    advance(&job, &run, State::Done);
    assert_eq!(job.run().key.run, 2);
}

#[test]
fn what_is_asked_of_earlier_runs() {
    let mut job = Job::new(3);
    job.restart = Restart::Continue;
    assert!(matches!(kind(job.start().expect_err("nothing")), ErrorKind::Usage { .. }));
    job.restart = Restart::Terminate;
    assert!(matches!(job.start(), Ok(Start::Terminated(None))));
    job.restart = Restart::Auto;
    let run = job.run();
    job.restart = Restart::Continue;
    assert!(job.run().is_resumed);
    job.restart = Restart::Terminate;
    let Ok(Start::Terminated(Some(key))) = job.start() else { panic!("there was one") };
    assert_eq!(key, run.key);
    assert_eq!(job.store().runs(None).expect("asked").pop().expect("it").state, State::Aborted);
    job.restart = Restart::Auto;
    assert_eq!(job.run().key.run, 2);
}

/// Ranges of a run over a file, each of `step` bytes; the header before them has no hash.
fn samples_of(step: u64, length: u64) -> Vec<RangeRow> {
    let job = Job::new(10);
    let run = job.run();
    let mut store = job.store();
    let ranges: Vec<RangeRow> =
        (0..length / step).map(|at| range(at * step, (at + 1) * step, at)).collect();
    let sql = store.sql().add_ranges(&run.key, &ranges);
    store.session().execute(&sql).expect("added");
    store.samples(&run.key, 0, length).expect("found")
}

#[test]
fn what_is_read_again_is_spread_and_affordable() {
    const MIB: u64 = 1 << 20;
    let starts = |samples: &[RangeRow]| {
        let mut starts: Vec<u64> = samples.iter().map(|range| range.bytes.start / MIB).collect();
        starts.sort_unstable();
        starts
    };
    // All of a small file but for what has no hash.
    assert_eq!(starts(&samples_of(MIB, 4 * MIB)), [1, 2, 3]);
    // 16 MiB of a larger one, and not all from one place.
    assert_eq!(starts(&samples_of(10 * MIB, 200 * MIB)), [10, 100]);
    // At most sixteen, of the largest.
    let many = samples_of(MIB, 400 * MIB);
    let spread: Vec<u64> = (0..16).map(|step| (step * 25).max(1)).collect();
    assert_eq!(starts(&many), spread);
}
