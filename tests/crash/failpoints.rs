//! SIGKILL, SIGSTOP and a panic at every named place of the program.

use std::collections::BTreeSet;
use std::path::Path;

use fastrand::Rng;

use crate::check::{assert_exact, assert_sound};
use crate::data::{Data, Wanted};
use crate::job::{Job, Way, Work};
use crate::kills::seeded;
use crate::place::{Kind, Place};

use Way::{Append, StagedAppend, StagedUpsert, Upsert};

/// The variable that arms a place.
const VARIABLE: &str = "FASTLOAD_FAILPOINT";

/// A named place, the ways that lead there, and the highest number of times that one surely comes
/// there in the first run of a job.
struct Point(&'static str, &'static [Way], u32);

const POINTS: &[Point] = &[
    Point("after-parse", &[Append, Upsert, StagedUpsert], 10),
    Point("after-execute", &[Append, Upsert, StagedUpsert], 10),
    Point("before-commit", &[Append, Upsert, StagedUpsert], 4),
    Point("after-commit", &[Append, Upsert, StagedUpsert], 4),
    Point("reject-sync", &[Append, StagedUpsert], 6),
    Point("staging-prepared", &[StagedAppend], 1),
    Point("staging-loaded", &[StagedAppend, StagedUpsert], 1),
    Point("settled", &[StagedUpsert], 1),
    Point("before-move-commit", &[StagedAppend, StagedUpsert], 1),
    Point("after-move-commit", &[StagedAppend, StagedUpsert], 1),
    Point("before-rejects-merge", &[Append, Upsert, StagedUpsert], 1),
    Point("after-rejects-merge", &[Append, Upsert, StagedUpsert], 1),
    Point("done-before-state", &[Append, Upsert, StagedUpsert], 1),
    Point("after-done", &[Append, Upsert, StagedUpsert], 1),
];

/// Many small batches and commits, so that each place is come to often.
fn small_work(rng: &mut Rng) -> Work {
    Work::random(rng)
        .and("--batch-rows", "50")
        .and("--chunk-bytes", "4KiB")
        .and("--commit-rows", "150")
}

fn job(kind: Kind, way: Way, table: &str, rng: &mut Rng) -> Job {
    let wanted = Wanted { bad_per_mille: 30, ..way.wanted(3_000, rng) };
    let data = Data::generate(wanted, rng.u64(..));
    Job::new(Place::new(kind, table), way, data)
}

/// Kills at each place, twice in a row, then lets the job end.
fn kill_at_each(kind: Kind, table: &str) {
    let mut rng = seeded(&format!("{kind:?}, failpoints"));
    for Point(name, ways, times) in POINTS {
        for &way in *ways {
            let mut job = job(kind, way, table, &mut rng);
            let mut what = format!("{kind:?} {way:?}");
            for (kill, most) in [(1, *times), (2, 1)] {
                let place = format!("{name}:{}", rng.u32(1..=most));
                job.variable(VARIABLE, Some(place.clone()));
                let ended = job.run(&small_work(&mut rng));
                what = format!("{what}, killed at {place}");
                // The second start may have nothing left that leads there.
                let may_be_done = kill == 2 && matches!(ended.status, 0 | 2);
                assert!(ended.signal == Some(9) || may_be_done, "{what}: {ended:#?}");
                assert_sound(&job, &what);
            }
            job.variable(VARIABLE, None);
            let ends = job.finish(&mut rng);
            assert_eq!(ends.len(), 1, "{what}: it takes one start to end it: {ends:#?}");
            assert_done(&job, &ends[0], &what);
        }
    }
}

/// A job that was done when it was killed answers that it is.
fn assert_done(job: &Job, last: &crate::job::Ended, what: &str) {
    if last.report["status"] == "already_loaded" {
        let problems = crate::check::finished_problems(job);
        assert!(problems.is_empty(), "{what}: {}\n{last:#?}", problems.join("\n"));
    } else {
        assert_exact(job, last, what);
    }
}

#[test]
fn sqlite_is_killed_at_each_place() {
    kill_at_each(Kind::Sqlite, "crash_places");
}

#[test]
fn sqlite_wal_is_killed_at_each_place() {
    kill_at_each(Kind::SqliteWal, "crash_places");
}

#[test]
fn postgresql_is_killed_at_each_place() {
    kill_at_each(Kind::Postgresql, "crash_places");
}

#[test]
fn mariadb_is_killed_at_each_place() {
    kill_at_each(Kind::Mariadb, "crash_places");
}

#[test]
fn db2_is_killed_at_each_place() {
    kill_at_each(Kind::Db2, "crash_places");
}

/// Names in the sources.
fn names_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("they can be listed").path();
        if path.is_dir() {
            names_below(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
            let calls = text.split("failpoint::reach(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
        }
    }
}

#[test]
fn every_place_in_the_sources_has_its_case() {
    let mut named = BTreeSet::new();
    names_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    let cases: BTreeSet<String> = POINTS.iter().map(|point| point.0.to_owned()).collect();
    assert_eq!(named, cases);
}

/// A job that was killed while or after it loaded all that `--limit` asks for loads no more.
#[test]
fn a_limited_load_is_killed() {
    let mut rng = seeded("limits");
    for way in [Append, Upsert, StagedAppend] {
        for place in ["after-commit:2", "before-rejects-merge"] {
            let wanted =
                Wanted { bad_per_mille: 0, keys_again: false, ..way.wanted(3_000, &mut rng) };
            let wanted = Wanted { refused_by_database: false, ..wanted };
            let data = Data::generate(wanted, rng.u64(..));
            let table = Place::new(Kind::Sqlite, "crash_limit");
            let mut job = Job::new(table, way, data).option("--limit", "1000");
            job.variable(VARIABLE, Some(place.to_owned()));
            let ended = job.run(&small_work(&mut rng));
            assert_eq!(ended.signal, Some(9), "{way:?} {place}: {ended:#?}");
            job.variable(VARIABLE, None);
            let ended = job.run(&small_work(&mut rng)).expect(0);
            assert_eq!(ended.report["status"], "loaded", "{way:?} {place}: {ended:#?}");
            assert_eq!(job.place.number("SELECT COUNT(*) FROM $T"), 1_000, "{way:?} {place}");
            let again = job.run(&small_work(&mut rng)).expect(0);
            assert_eq!(again.report["status"], "already_loaded", "{way:?} {place}: {again:#?}");
        }
    }
}

/// A thread that panics ends the load as failed; the next start does the rest.
#[test]
fn a_panic_in_a_thread() {
    let mut rng = seeded("panics");
    for kind in [Kind::Sqlite, Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
        for place in ["after-parse:8", "after-execute:8", "before-commit:2", "after-commit:2"] {
            let mut job = job(kind, Append, "crash_panic", &mut rng);
            job.variable(VARIABLE, Some(format!("{place}=panic")));
            job.run(&small_work(&mut rng)).expect(8);
            job.variable(VARIABLE, None);
            assert_sound(&job, place);
            let ends = job.finish(&mut rng);
            assert_exact(&job, ends.last().expect("a run"), place);
        }
    }
}

/// While a run of a job goes on, in an open transaction or between two, another one is refused.
#[test]
fn a_second_run_beside_the_first() {
    let mut rng = seeded("a second run");
    for kind in [Kind::Sqlite, Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
        for place in ["after-execute:4=stop", "after-commit:2=stop"] {
            let mut job = job(kind, Append, "crash_second", &mut rng);
            job.variable(VARIABLE, Some(place.to_owned()));
            let mut first = job.start(&small_work(&mut rng));
            first.await_stop();
            job.variable(VARIABLE, None);
            let second = job.run(&small_work(&mut rng)).expect(11);
            first.signal("CONT");
            let first = first.end();
            assert_exact(&job, &first, &format!("{kind:?} {place} {}", second.stderr));
        }
    }
}

/// A run that was stopped for so long that another one took its job over comes back: it writes
/// nothing and says why.
#[test]
fn a_zombie_that_comes_back() {
    let mut rng = seeded("zombies");
    for kind in [Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
        let mut job = job(kind, Append, "crash_zombie", &mut rng).option("--job-lease", "5s");
        job.variable(VARIABLE, Some("after-commit:2=stop".to_owned()));
        // With one writer no transaction is open then.
        let mut zombie = job.start(&small_work(&mut rng).and("--writers", "1"));
        zombie.await_stop();
        job.variable(VARIABLE, None);
        let mut ended = job.run(&small_work(&mut rng));
        // Held until the lease is over.
        while ended.status == 11 {
            std::thread::sleep(std::time::Duration::from_millis(200));
            ended = job.run(&small_work(&mut rng));
        }
        zombie.signal("CONT");
        zombie.end().expect(11);
        assert_exact(&job, &ended, &format!("{kind:?}"));
    }
}

/// A stop that is continued before anybody has taken the job is no fault.
#[test]
fn a_run_that_is_stopped_and_goes_on() {
    let mut rng = seeded("stops");
    for kind in [Kind::Sqlite, Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
        let mut job = job(kind, Append, "crash_stop", &mut rng);
        job.variable(VARIABLE, Some("before-commit:3=stop".to_owned()));
        let mut running = job.start(&small_work(&mut rng));
        running.await_stop();
        running.signal("CONT");
        let ended = running.end();
        job.variable(VARIABLE, None);
        assert_exact(&job, &ended, &format!("{kind:?}"));
    }
}
