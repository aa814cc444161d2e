//! Commits of the Db2 rig that are cut off, over a shim of the case's own; more faults of that
//! connection are in `tests/db2/faults.rs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::data::{Data, Wanted};
use crate::job::{Job, Way};
use crate::kills::seeded;
use crate::network::{plain_work, settle, some_commits};
use crate::place::{Kind, Place, with};

/// A shim in front of the Derby that all tests share.
struct Shim {
    process: Child,
    port: String,
    control: String,
}

impl Shim {
    fn start() -> Self {
        let server = std::env::var("FASTLOAD_TEST_DB2_SERVER").expect("the rig runs");
        let (_, port) = server.split_once(':').expect("host:port");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/drda_shim.py");
        let mut process = Command::new("python3")
            .arg("-B")
            .arg(script)
            .args(["--server", port])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["listening", port, "control", control] = words[..] else {
            panic!("the shim does not listen: {line:?}");
        };
        Self { port: port.to_owned(), control: format!("127.0.0.1:{control}"), process }
    }

    /// Gives a command, which must be understood.
    fn tell(&self, command: &str) -> String {
        let mut control = TcpStream::connect(&self.control).expect("the control port answers");
        writeln!(control, "{command}").expect("it listens");
        let mut answer = String::new();
        BufReader::new(control).read_line(&mut answer).expect("it answers");
        let answer = answer.trim();
        assert!(answer.starts_with("ok"), "{command}: {answer}");
        answer["ok".len()..].trim().to_owned()
    }

    /// One of its counts.
    fn count(&self, name: &str) -> u64 {
        let stats: Value = serde_json::from_str(&self.tell("stats")).expect("JSON");
        stats[name].as_u64().expect("a number")
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn shimmed(way: Way, table: &str, rng: &mut fastrand::Rng) -> (Shim, Job) {
    let shim = Shim::start();
    let mut place = Place::new(Kind::Db2, table);
    let text = with(&Kind::Db2.connection_text(), "Port", &shim.port);
    place.url = format!("odbc:{text}");
    let wanted = Wanted { bad_per_mille: 20, ..way.wanted(900, rng) };
    (shim, Job::new(place, way, Data::generate(wanted, rng.u64(..))))
}

/// A fault at commits of a load: those of its ledger, its writers, and its end.
fn at_commits(fault: &str, way: Way, table: &str) {
    let mut rng = seeded(&format!("Db2, {fault}"));
    let (shim, job) = shimmed(way, table, &mut rng);
    let ended = job.run(&plain_work(&mut rng));
    assert!(matches!(ended.status, 0 | 2), "in peace: {ended:#?}");
    let commits = shim.count("commits");
    assert!(commits > 3, "only {commits} commits were seen");
    for number in some_commits(commits, &mut rng) {
        let (shim, job) = shimmed(way, table, &mut rng);
        shim.tell(&format!("{fault} {number}"));
        let ended = job.run(&plain_work(&mut rng));
        // One that has not come must not come to the next run.
        shim.tell("calm");
        settle(&job, ended, &mut rng, &format!("{way:?}, {fault} {number} of {commits}"));
    }
}

#[test]
fn db2_is_cut_before_a_commit() {
    at_commits("reset commit", Way::Append, "crash_db2_before");
}

#[test]
fn db2_is_cut_behind_a_commit() {
    at_commits("close committed", Way::Append, "crash_db2_behind");
}

#[test]
fn db2_is_cut_at_a_commit_of_a_staged_load() {
    at_commits("reset committed", Way::StagedUpsert, "crash_db2_staged");
}

/// The commit took effect, and its answer never comes: the time limit ends the wait.
#[test]
fn db2_never_answers_a_commit() {
    let mut rng = seeded("Db2, no answer");
    // The same rows and the same work each time: other ones may take a commit less.
    let same = rng.u64(..);
    let shimmed = || shimmed(Way::Append, "crash_db2_silent", &mut fastrand::Rng::with_seed(same));
    let work = || plain_work(&mut fastrand::Rng::with_seed(same));
    let (shim, job) = shimmed();
    let ended = job.run(&work());
    assert!(matches!(ended.status, 0 | 2), "in peace: {ended:#?}");
    let commits = shim.count("commits");
    drop((shim, job));
    // The last ones: those of rows, and of the end. One of the first is waited for as long as a
    // connection may take.
    let mut held = 0;
    for number in commits - 2..=commits {
        let (shim, job) = shimmed();
        // As long may a connection take, and twice that is waited for an answer.
        let job = job.option("--query-timeout", "2s").option("--connect-timeout", "5s");
        shim.tell(&format!("hold committed {number}"));
        let ended = job.run(&work());
        held += shim.count("faults");
        shim.tell("calm");
        shim.tell("reset");
        settle(&job, ended, &mut rng, &format!("no answer to commit {number} of {commits}"));
    }
    // The load in peace may have tried one again, as the rig's catalogue is shared with all cases.
    assert!(held >= 2, "{held} of the last three of {commits} commits were held");
}
