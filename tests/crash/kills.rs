//! SIGKILL at random moments, and a start with other numbers each time, until the job is done.
//!
//! `FASTLOAD_CRASH_ROUNDS` is the number of kills a database (10); `FASTLOAD_CRASH_SEED` repeats a
//! run whose seed was printed, as far as the moments of kills can be repeated.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::check::{assert_exact, assert_sound};
use crate::job::{Ended, Job, Way, Work};
use crate::place::Kind;

/// Kills a database where the environment names no other number.
const ROUNDS: u32 = 10;

/// Kills of one job; then it may end.
const KILLS_OF_A_JOB: u32 = 4;

/// The seed of a case: the environment's, or a new one. It is printed.
pub(crate) fn seeded(case: &str) -> Rng {
    let seed = match std::env::var("FASTLOAD_CRASH_SEED") {
        Ok(text) => text.parse().expect("FASTLOAD_CRASH_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("{case}: FASTLOAD_CRASH_SEED={seed}");
    Rng::with_seed(seed)
}

/// How often what happens at random moments happens.
pub(crate) fn rounds() -> u32 {
    match std::env::var("FASTLOAD_CRASH_ROUNDS") {
        Ok(text) => text.parse().expect("FASTLOAD_CRASH_ROUNDS is a number"),
        Err(_) => ROUNDS,
    }
}

/// What is done to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Term,
    Interrupt,
}

/// Starts the job and ends the run after a time, unless it is done before.
fn cut_short(job: &Job, work: &Work, delay: Duration, end: End) -> Ended {
    let mut running = job.start(work);
    let began = Instant::now();
    while began.elapsed() < delay && running.is_alive() {
        std::thread::sleep(Duration::from_millis(1));
    }
    if running.is_alive() {
        running.signal(match end {
            End::Kill => "KILL",
            End::Term => "TERM",
            End::Interrupt => "INT",
        });
    }
    running.end()
}

/// Kills of jobs of one kind.
fn crash(kind: Kind, way: Way, table: &str) {
    let mut rng = seeded(&format!("{kind:?} {way:?}"));
    let rounds = rounds();
    let (mut kills, mut with_rows) = (0, 0);
    while kills < rounds {
        let job = Job::of_seed(kind, table, way, 6_000, &mut rng);
        let mut of_job = 0;
        let mut span = Duration::from_millis(600);
        let last = loop {
            let work = Work::random(&mut rng);
            if of_job == KILLS_OF_A_JOB {
                // The faults stop: now it must end well.
                let ends = job.finish(&mut rng);
                break ends.into_iter().next_back().expect("one run at the least");
            }
            let end = match rng.u32(..10) {
                0 => End::Term,
                1 => End::Interrupt,
                _ => End::Kill,
            };
            let delay = span.mul_f64(rng.f64());
            let began = Instant::now();
            let what = format!("{end:?} after {delay:?} of {work:?}");
            let ended = cut_short(&job, &work, delay, end);
            match ended.status {
                0 | 2 => {
                    // Too late; the next ones are earlier.
                    span = began.elapsed();
                    break ended;
                }
                130 | 143 => {}
                _ => assert_eq!(ended.signal, Some(9), "{what}: {ended:#?}"),
            }
            of_job += 1;
            kills += 1;
            assert_sound(&job, &what);
            with_rows += u32::from(job.place.number("SELECT COUNT(*) FROM $T") > 0);
        };
        assert_exact(&job, &last, &format!("{kind:?} {way:?} after {of_job} kills"));
    }
    println!("{kind:?} {way:?}: {kills} runs were cut short, {with_rows} of them with rows in");
}

macro_rules! cases {
    ($($name:ident: $kind:ident $way:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            crash(Kind::$kind, Way::$way, concat!("crash_", stringify!($name), "_t"));
        })*
    };
}

cases! {
    sqlite_append: Sqlite Append,
    sqlite_upsert: Sqlite Upsert,
    sqlite_staged: Sqlite StagedAppend,
    sqlite_wal_append: SqliteWal Append,
    sqlite_wal_staged_upsert: SqliteWal StagedUpsert,
    postgresql_append: Postgresql Append,
    postgresql_upsert: Postgresql Upsert,
    postgresql_staged: Postgresql StagedAppend,
    postgresql_staged_upsert: Postgresql StagedUpsert,
    mariadb_append: Mariadb Append,
    mariadb_upsert: Mariadb Upsert,
    mariadb_staged: Mariadb StagedAppend,
    mariadb_staged_upsert: Mariadb StagedUpsert,
    db2_append: Db2 Append,
    db2_upsert: Db2 Upsert,
    db2_staged_upsert: Db2 StagedUpsert,
}

#[cfg(feature = "postgresql-copy")]
cases! {
    postgresql_copy_append: Postgresql CopyAppend,
    postgresql_copy_staged: Postgresql CopyStaged,
}
