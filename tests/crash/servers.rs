//! Servers that are killed, restarted or made read-only under a load: instances of a case's own.

use std::process::Command;

use fastload::sink::SqlSession;

use crate::check::{assert_exact, assert_sound};
use crate::data::{Data, Wanted};
use crate::job::{Job, Way};
use crate::kills::seeded;
use crate::network::{SERVERS, plain_work, settle};
use crate::place::{Kind, Place, with};
use crate::proxy::{Fault, Moment, Proxy};

/// Another instance of `scripts/databases`, with one server.
struct OwnServer {
    kind: Kind,
    directory: tempfile::TempDir,
}

impl OwnServer {
    fn start(kind: Kind) -> Self {
        let server = Self { kind, directory: tempfile::tempdir().expect("a directory") };
        server.databases("start");
        server
    }

    const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Postgresql => "postgresql",
            _ => "mariadb",
        }
    }

    /// Its connection string.
    fn text(&self) -> String {
        let variable = match self.kind {
            Kind::Postgresql => "FASTLOAD_TEST_POSTGRESQL",
            _ => "FASTLOAD_TEST_MARIADB",
        };
        let lines = self.databases("env");
        let line = lines.lines().find_map(|line| line.strip_prefix(&format!("export {variable}=")));
        let quoted = line.expect("its variable is set");
        // Quoted for a shell, which takes backslashes away.
        format!("{};", quoted.replace('\\', ""))
    }

    /// Ends it without warning.
    fn kill(&self) {
        let status = self.databases("status");
        let (_, rest) = status.split_once("process ").expect("it runs");
        let pid: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let killed = Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
        assert!(killed.success(), "the server could not be killed");
    }

    /// On its data and its port.
    fn start_again(&self) {
        self.databases("start");
    }

    fn databases(&self, command: &str) -> String {
        let output = Command::new("scripts/databases")
            .args([command, self.name()])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("FASTLOAD_DEV_DIR", self.directory.path())
            .output()
            .expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = Command::new("scripts/databases")
            .arg("stop")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("FASTLOAD_DEV_DIR", self.directory.path())
            .output();
    }
}

fn job_in(server: &OwnServer, table: &str, rng: &mut fastrand::Rng) -> (Proxy, Job) {
    let text = server.text();
    let proxy = Proxy::before(server.kind, &text);
    let mut place = Place::at(server.kind, &text, table);
    place.url = format!("odbc:{}", proxy.through(&text));
    let wanted = Wanted { bad_per_mille: 20, ..Way::Append.wanted(900, rng) };
    let job = Job::new(place, Way::Append, Data::generate(wanted, rng.u64(..)));
    (proxy, job)
}

/// Killed in a transaction of the load, or between its commit and the answer, and started again on
/// its data.
#[test]
fn a_server_that_is_killed_and_comes_back() {
    let mut rng = seeded("killed servers");
    for kind in SERVERS {
        let server = OwnServer::start(kind);
        for moment in [Moment::Commit(5), Moment::Committed(5), Moment::Bytes(40_000)] {
            let (proxy, job) = job_in(&server, "crash_restart", &mut rng);
            proxy.arm(moment, Fault::Hold);
            let running = job.start(&plain_work(&mut rng));
            proxy.wait("the hold", |counts| counts.faults == 1);
            server.kill();
            proxy.release();
            server.start_again();
            settle(&job, running.end(), &mut rng, &format!("{kind:?} {moment:?}"));
        }
    }
}

/// The sessions end and the new ones may not write: a fail-over to a read-only copy. When writing
/// is allowed again, the job is done by the load itself or by the next start.
#[test]
fn a_server_that_becomes_read_only() {
    let mut rng = seeded("read-only");
    for kind in SERVERS {
        let server = OwnServer::start(kind);
        let (proxy, mut job) = job_in(&server, "crash_readonly", &mut rng);
        if kind == Kind::Mariadb {
            // The owner may write always.
            let user = "crash_loader@'127.0.0.1'";
            job.place.execute(&format!("CREATE USER {user} IDENTIFIED BY 'only-for-tests'"));
            job.place.execute(&format!("GRANT ALL ON fastload.* TO {user}"));
            let text = proxy.through(&with(&server.text(), "UID", "crash_loader"));
            job.place.url = format!("odbc:{text}");
        }
        let mut job = job;
        job.variable("FASTLOAD_RETRY_BUDGET", Some("2s".to_owned()));
        proxy.arm(Moment::Committed(6), Fault::Hold);
        let running = job.start(&plain_work(&mut rng));
        proxy.wait("the hold", |counts| counts.faults == 1);
        let mut session = job.place.session();
        set_read_only(&mut *session, kind, true);
        if kind == Kind::Postgresql {
            for port in proxy.server_ports() {
                let sql = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = \
                     {port}"
                );
                session.query(&sql).expect("an administrator");
            }
        }
        proxy.release();
        let ended = running.end();
        assert!([4, 10].contains(&ended.status), "{kind:?}: {ended:#?}");
        assert_sound(&job, "read-only");
        set_read_only(&mut *session, kind, false);
        let ends = job.finish(&mut rng);
        assert_exact(&job, ends.last().expect("a run"), &format!("{kind:?}"));
    }
}

fn set_read_only(session: &mut dyn SqlSession, kind: Kind, read_only: bool) {
    let word = if read_only { "on" } else { "off" };
    let sql = match kind {
        Kind::Postgresql => {
            format!("ALTER DATABASE fastload SET default_transaction_read_only = {word}")
        }
        _ => format!("SET GLOBAL read_only = {word}"),
    };
    session.execute(&sql).and_then(|_| session.commit()).expect("an administrator");
}
