//! Connections that are cut, held, slow or refused: PostgreSQL and MariaDB behind the proxy. The
//! same for Db2 is in `tests/db2/faults.rs`, over the rig's shim.

use std::time::Duration;

use fastrand::Rng;

use crate::check::{assert_exact, assert_sound};
use crate::data::{Data, Wanted};
use crate::job::{Ended, Job, Way, Work};
use crate::kills::seeded;
use crate::place::{Kind, Place};
use crate::proxy::{Fault, Late, Moment, Proxy};

pub(crate) const SERVERS: [Kind; 2] = [Kind::Postgresql, Kind::Mariadb];

/// A job whose connections go through a proxy of its own.
pub(crate) fn proxied(kind: Kind, way: Way, table: &str, rng: &mut Rng) -> (Proxy, Job) {
    let text = kind.connection_text();
    let proxy = Proxy::before(kind, &text);
    let wanted = Wanted { bad_per_mille: 20, ..way.wanted(900, rng) };
    let mut place = Place::new(kind, table);
    place.url = format!("odbc:{}", proxy.through(&text));
    let job = Job::new(place, way, Data::generate(wanted, rng.u64(..)));
    (proxy, job)
}

/// Three commits or a few more, in the same order each time.
pub(crate) fn plain_work(rng: &mut Rng) -> Work {
    Work::random(rng)
        .and("--parsers", "1")
        .and("--writers", "1")
        .and("--batch-rows", "100")
        .and("--commit-rows", "300")
        .and("--chunk-bytes", "1MiB")
}

/// A run that came to its end by itself, or was ended by an error that another start cures.
#[track_caller]
pub(crate) fn settle(job: &Job, ended: Ended, rng: &mut Rng, what: &str) -> bool {
    let settled = matches!(ended.status, 0 | 2);
    assert!(settled || matches!(ended.status, 4 | 8 | 10), "{what}: {ended:#?}");
    assert_sound(job, what);
    let last = match settled {
        true => ended,
        false => job.finish(rng).pop().expect("a run"),
    };
    assert_exact(job, &last, what);
    settled
}

#[test]
fn a_load_through_the_proxy_in_peace() {
    let mut rng = seeded("peace");
    for kind in SERVERS {
        let (proxy, job) = proxied(kind, Way::Append, "crash_peace", &mut rng);
        let ended = job.run(&plain_work(&mut rng));
        assert!(proxy.counts().commits >= 3, "{:?}", proxy.counts());
        assert_eq!(ended.retries("replays") + ended.retries("reconnects"), 0, "{ended:#?}");
        // One of the writer, one of the job's lock; what is asked before and after shares some: 10
        // where nothing is shared. A machine that stops for a second may see one more.
        assert!(proxy.counts().connections <= 8, "{:?}", proxy.counts());
        assert_exact(&job, &ended, "in peace");
    }
}

/// Some of the commits of a load of so many, in order: all of them in long runs.
pub(crate) fn some_commits(commits: u64, rng: &mut Rng) -> Vec<u64> {
    let mut numbers: Vec<u64> = (1..=commits).collect();
    rng.shuffle(&mut numbers);
    numbers.truncate(crate::kills::rounds() as usize);
    numbers.sort_unstable();
    numbers
}

/// A fault at commits of a load: those of its ledger, its writers, and its end.
fn at_commits(
    case: &str,
    table: &str,
    moment: fn(u64) -> Moment,
    fault: Fault,
    meanwhile: fn(&Proxy, &mut crate::job::Running),
) {
    let mut rng = seeded(case);
    for kind in SERVERS {
        for way in [Way::Append, Way::StagedUpsert] {
            let (proxy, job) = proxied(kind, way, table, &mut rng);
            let ended = job.run(&plain_work(&mut rng));
            assert!(matches!(ended.status, 0 | 2), "in peace: {ended:#?}");
            let commits = proxy.counts().commits;
            assert!(commits > 3, "only {commits} commits were seen");
            let mut settled = 0;
            let numbers = some_commits(commits, &mut rng);
            for &number in &numbers {
                let (proxy, job) = proxied(kind, way, table, &mut rng);
                proxy.arm(moment(number), fault);
                let mut running = job.start(&plain_work(&mut rng));
                meanwhile(&proxy, &mut running);
                let ended = running.end();
                // One that has not come must not come to the next run.
                proxy.calm();
                let what = format!("{kind:?} {way:?}, {case}, commit {number} of {commits}");
                settled += usize::from(settle(&job, ended, &mut rng, &what));
            }
            println!("{kind:?} {way:?}: {settled} of {} runs ended by themselves", numbers.len());
            // Whatever else needs another start, the commits of writers are settled at once.
            let all = numbers.len() as u64 == commits;
            assert!(!all || settled >= 3, "{kind:?} {way:?}, {case}: {settled} of {commits}");
        }
    }
}

#[test]
fn a_cut_before_a_commit() {
    at_commits("cut before", "crash_before", Moment::Commit, Fault::Cut, |_, _| {});
}

#[test]
fn a_cut_behind_a_commit() {
    at_commits("cut behind", "crash_behind", Moment::Committed, Fault::Cut, |_, _| {});
}

/// Waits until the fault has come and the program has connected again, or has ended.
fn await_return(proxy: &Proxy, running: &mut crate::job::Running) {
    let is_over = |running: &mut crate::job::Running| !running.is_alive();
    while proxy.counts().faults == 0 {
        if is_over(running) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let before = proxy.counts().connections;
    while proxy.counts().connections == before && !is_over(running) {
        std::thread::sleep(Duration::from_millis(2));
    }
    // It asks, and has to wait for what the old session holds.
    std::thread::sleep(Duration::from_millis(300));
}

/// The program has lost the connection, and its commit is still on the way.
#[test]
fn a_commit_that_arrives_late() {
    at_commits("late", "crash_late", Moment::Commit, Fault::CutProgram, |proxy, running| {
        await_return(proxy, running);
        proxy.let_go(Late::Delivered);
    });
}

/// The program has lost the connection, the server does not know, and the commit never comes.
#[test]
fn an_old_session_that_lingers() {
    at_commits("lingering", "crash_linger", Moment::Commit, Fault::CutProgram, |proxy, running| {
        await_return(proxy, running);
        proxy.let_go(Late::Lost);
    });
}

/// From some byte on nothing comes and nothing goes. The time limits end the load; the network
/// comes back, and the next start does the rest.
#[test]
fn a_network_that_goes_silent() {
    let mut rng = seeded("black hole");
    for kind in SERVERS {
        for moment in [Moment::Commit(5), Moment::Committed(6), Moment::Bytes(30_000)] {
            let (proxy, job) = proxied(kind, Way::Append, "crash_silent", &mut rng);
            let job = job
                .option("--query-timeout", "2s")
                .option("--connect-timeout", "2s")
                .option("--retry-budget", "3s");
            proxy.arm(moment, Fault::BlackHole);
            let ended = job.run(&plain_work(&mut rng));
            assert_eq!(proxy.counts().faults, 1, "{kind:?} {moment:?}: {ended:#?}");
            assert!([4, 8, 10].contains(&ended.status), "{kind:?} {moment:?}: {ended:#?}");
            proxy.calm();
            settle(&job, ended, &mut rng, &format!("{kind:?} {moment:?}"));
        }
    }
}

#[test]
fn a_slow_link() {
    let mut rng = seeded("slow link");
    for kind in SERVERS {
        let (proxy, job) = proxied(kind, Way::Append, "crash_slow", &mut rng);
        proxy.delay_answers(Duration::from_millis(30));
        let ended = job.run(&plain_work(&mut rng));
        assert_eq!(ended.retries("replays"), 0, "slow is not broken: {ended:#?}");
        proxy.calm();
        assert_exact(&job, &ended, "slow");
    }
}

/// The connection is cut and nobody listens for a second.
#[test]
fn a_port_that_is_closed_for_a_while() {
    let mut rng = seeded("refused");
    for kind in SERVERS {
        for commit in 1..=9 {
            let (proxy, job) = proxied(kind, Way::Append, "crash_refused", &mut rng);
            proxy.arm(Moment::Commit(commit), Fault::Refuse);
            let running = job.start(&plain_work(&mut rng));
            proxy.wait("the fault", |counts| counts.faults == 1);
            // Attempts that the kernel refuses are seen by nobody but the program.
            std::thread::sleep(Duration::from_secs(1));
            proxy.listen();
            settle(&job, running.end(), &mut rng, &format!("{kind:?} commit {commit}"));
        }
    }
}

/// Nobody listens when the load starts; the same command again does it.
#[test]
fn a_server_that_comes_up_later() {
    let mut rng = seeded("late server");
    for kind in SERVERS {
        let (proxy, job) = proxied(kind, Way::Append, "crash_down", &mut rng);
        proxy.close();
        job.run(&plain_work(&mut rng)).expect(10);
        proxy.listen();
        let ends = job.finish(&mut rng);
        assert_exact(&job, ends.last().expect("a run"), "later");
    }
}

/// Cut anywhere, with any number of threads.
#[test]
fn cuts_after_some_bytes() {
    let mut rng = seeded("bytes");
    let rounds = crate::kills::rounds();
    for kind in SERVERS {
        for way in [Way::Append, Way::Upsert] {
            let (proxy, job) = proxied(kind, way, "crash_bytes", &mut rng);
            let ended = job.run(&Work::random(&mut rng));
            assert!(matches!(ended.status, 0 | 2), "{ended:#?}");
            let bytes = proxy.counts().bytes;
            for _ in 0..rounds {
                let (proxy, job) = proxied(kind, way, "crash_bytes", &mut rng);
                let at = rng.u64(1..bytes);
                proxy.arm(Moment::Bytes(at), Fault::Cut);
                let ended = job.run(&Work::random(&mut rng));
                // A run of fewer bytes leaves it for the next one.
                proxy.calm();
                let what = format!("{kind:?} {way:?}, cut after {at} of {bytes} bytes");
                settle(&job, ended, &mut rng, &what);
            }
        }
    }
}

/// Faults in every run, whatever they do to it; then they stop, and the next run ends well.
#[test]
fn faults_that_stop() {
    let mut rng = seeded("liveness");
    for kind in SERVERS {
        for way in [Way::Append, Way::Upsert, Way::StagedUpsert] {
            let (proxy, job) = proxied(kind, way, "crash_alive", &mut rng);
            for _ in 0..5 {
                let moment = match rng.u32(..3) {
                    0 => Moment::Commit(rng.u64(1..10)),
                    1 => Moment::Committed(rng.u64(1..10)),
                    _ => Moment::Bytes(rng.u64(1..60_000)),
                };
                let fault = if rng.bool() { Fault::Cut } else { Fault::Refuse };
                proxy.arm(moment, fault);
                let work = Work::random(&mut rng);
                let mut command = job.command(&work);
                command.env("FASTLOAD_RETRY_BUDGET", "1s");
                let ended = crate::job::Running::of(command).end();
                let what = format!("{kind:?} {way:?} {moment:?} {fault:?} {work:?}");
                assert!([0, 2, 4, 8, 10].contains(&ended.status), "{what}: {ended:#?}");
                assert_sound(&job, &what);
                proxy.calm();
            }
            let last = job.run(&Work::random(&mut rng));
            assert!(matches!(last.status, 0 | 2), "the faults have stopped: {last:#?}");
            if last.report["status"] != "already_loaded" {
                assert_exact(&job, &last, "after the faults");
            }
            let problems = crate::check::finished_problems(&job);
            assert!(problems.is_empty(), "{}", problems.join("\n"));
        }
    }
}

/// A password that is refused, or has expired, is tried once.
#[test]
fn a_wrong_password() {
    let mut rng = seeded("password");
    for kind in SERVERS {
        let (proxy, mut job) = proxied(kind, Way::Append, "crash_login", &mut rng);
        let right = proxy.through(&kind.connection_text());
        job.place.url = format!("odbc:{}", crate::place::with(&right, "PWD", "wrong"));
        let ended = job.run(&plain_work(&mut rng)).expect(12);
        assert_eq!(proxy.counts().connections, 1, "{ended:#?}");
        assert!(!ended.stderr.contains("wrong;"), "{}", ended.stderr);
    }
}

/// A server that takes a second for a batch: what is read ahead stays inside its bound.
#[test]
fn a_slow_server_and_a_large_file() {
    const FILE_BYTES: usize = 300 << 20;
    const LIMIT_BYTES: u64 = 64 << 20;
    /// The program itself, the driver and its copy of a batch.
    const BASE_BYTES: u64 = 64 << 20;
    let mut rng = seeded("slow server");
    for kind in SERVERS {
        let (proxy, job) = proxied(kind, Way::Append, "crash_large", &mut rng);
        write_large(&job.input(), FILE_BYTES);
        let job = job.option("--memory-limit", "64MiB");
        let running = job.start(&Work::random(&mut rng).and("--batch-rows", "500"));
        // Connected, and the first rows are in.
        proxy.wait("the load", |counts| counts.bytes > 200_000);
        proxy.delay_answers(Duration::from_secs(1));
        let before = proxy.counts().answers;
        proxy.wait("some slow answers", |counts| counts.answers >= before + 6);
        running.signal("TERM");
        let ended = running.end().expect(143);
        let peak = ended.report["peak_rss_bytes"].as_u64().expect("a number");
        assert!(peak < LIMIT_BYTES + BASE_BYTES, "{kind:?}: {peak} bytes at the peak");
        let read = ended.total("bytes");
        assert!(read < FILE_BYTES as u64 / 2, "{kind:?}: it was not slow: {read} bytes");
    }
}

fn write_large(path: &std::path::Path, bytes: usize) {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    writeln!(file, "id,name,v,day").expect("the disk has room");
    let line = format!(",{},1,2024-02-29", "x".repeat(60));
    for id in 0..bytes / (line.len() + 8) {
        writeln!(file, "{id:07}{line}").expect("the disk has room");
    }
}
