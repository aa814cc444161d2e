//! `--tls` against servers with a right, a wrong, a self-signed and an expired certificate, and
//! with somebody in between who takes TLS away.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::logins::address;
use crate::proxy::StrippingProxy;
use crate::support::{Kind, Place, Run, Server};

/// The certificates of both servers are exchanged by one case at a time.
static CERTIFICATES: Mutex<()> = Mutex::new(());

fn certificates() -> MutexGuard<'static, ()> {
    CERTIFICATES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file(name: &str) -> PathBuf {
    let directory = std::env::var("FASTLOAD_TEST_TLS").expect("`scripts/databases env` gives it");
    PathBuf::from(directory).join(name)
}

/// The server's address under another name; the certificates are for `localhost`.
fn at(server: &Server, host: &str) -> String {
    let by_tcp = if server.kind == Kind::Mariadb { "TCPIP=1;" } else { "" };
    let address = address(server).replace("Server=127.0.0.1;", &format!("Server={host};"));
    assert!(address.contains(&format!("Server={host};")));
    format!("{address}{by_tcp}")
}

fn connect(address: &str, flags: &[&str]) -> Run {
    let place = Place::new();
    let mut command = place.command();
    command.env("FASTLOAD_USER", "fastload").env("FASTLOAD_PASSWORD", "only-for-tests");
    // Whatever of libpq's own is in the surroundings counts for less than what is asked for.
    command.env("PGSSLMODE", "disable").env("HOME", place.path(""));
    command.env("FASTLOAD_TO", format!("odbc:{address}"));
    Run::of(command.args(["conn", "test"]).args(flags))
}

/// How the connection is encrypted, as the server says.
fn encryption(run: &Run) -> String {
    let line = run.stdout.lines().find_map(|line| line.trim().strip_prefix("encryption "));
    line.unwrap_or_else(|| panic!("{run:?}")).trim().to_owned()
}

/// Puts a pair into the place from which the servers read theirs; the right one comes back with
/// the end of the case.
struct Presented<'s>(&'s Server);

impl<'s> Presented<'s> {
    fn present(server: &'s Server, name: &str) -> Self {
        let presented = Self(server);
        presented.put(name);
        presented
    }

    fn put(&self, name: &str) {
        for end in ["crt", "key"] {
            let bytes = fs::read(file(&format!("{name}.{end}"))).unwrap();
            // Written into the file that is there, which keeps its owner and mode.
            fs::write(file(&format!("server.{end}")), bytes).unwrap();
        }
        match self.0.kind {
            Kind::Postgresql => self.0.query("SELECT pg_reload_conf()"),
            Kind::Mariadb => self.0.query("FLUSH SSL"),
        };
    }
}

impl Drop for Presented<'_> {
    fn drop(&mut self) {
        self.put("right");
    }
}

/// PostgreSQL takes a new certificate when its first process comes to it: waits until a server
/// shows the one that is expected.
fn verified_until(server: &Server, expected: i32, authority: &str) -> Run {
    let authority = file(authority);
    for _ in 0..200 {
        let flags = ["--tls", "verify", "--tls-ca", authority.to_str().unwrap()];
        let run = connect(&at(server, "localhost"), &flags);
        if run.status == expected {
            return run;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{:?} does not come to {expected}", server.kind);
}

#[test]
fn the_modes_and_who_is_trusted() {
    let _one_at_a_time = certificates();
    Server::each(|server| {
        let (authority, stranger) = (file("authority.crt"), file("stranger.crt"));
        let by = |path: &PathBuf| {
            ["--tls", "verify", "--tls-ca"]
                .map(str::to_owned)
                .into_iter()
                .chain([path.display().to_string()])
                .collect::<Vec<_>>()
        };
        let verify = |host: &str, path: &PathBuf| {
            let flags = by(path);
            connect(&at(server, host), &flags.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let plain = |flags: &[&str]| connect(&at(server, "localhost"), flags);

        // Without a word of the user the connection string decides.
        assert_eq!(encryption(&plain(&[]).expect(0)), "none");
        assert_eq!(encryption(&plain(&["--tls", "off"]).expect(0)), "none");
        for run in [
            plain(&["--tls", "require"]),
            connect(&at(server, "127.0.0.1"), &["--tls", "require"]),
            verify("localhost", &authority),
        ] {
            let run = run.expect(0);
            assert!(encryption(&run).starts_with("TLSv1."), "{run:?}");
            assert!(encryption(&run).contains("AES") || encryption(&run).contains("CHACHA"));
        }
        // The certificate is for another name.
        let run = verify("127.0.0.1", &authority).expect(10);
        assert!(run.stderr.to_lowercase().contains("certificate"), "{run:?}");
        // It comes from somebody whom nobody trusts.
        let run = verify("localhost", &stranger).expect(10);
        assert!(run.stderr.contains("certificate"), "{run:?}");
        // And without authorities nobody is trusted.
        plain(&["--tls", "verify"]).expect(10);
    });
}

#[test]
fn a_self_signed_and_an_expired_certificate() {
    let _one_at_a_time = certificates();
    Server::each(|server| {
        verified_until(server, 0, "authority.crt");
        {
            let _presented = Presented::present(server, "self-signed");
            let run = verified_until(server, 10, "authority.crt");
            assert!(run.stderr.contains("certificate"), "{run:?}");
            // Encryption alone takes it, and so does who trusts that very certificate.
            connect(&at(server, "localhost"), &["--tls", "require"]).expect(0);
            verified_until(server, 0, "self-signed.crt");
        }
        verified_until(server, 0, "authority.crt");
        {
            let _presented = Presented::present(server, "expired");
            let run = verified_until(server, 10, "authority.crt");
            assert!(run.stderr.contains("certificate"), "{run:?}");
        }
        verified_until(server, 0, "authority.crt");
    });
}

/// A server that says it knows no TLS: nothing is sent to it that it could log in with. MariaDB's
/// driver insists with `verify` only; with `require` it is fastload that finds out.
#[test]
fn a_server_without_tls_is_refused() {
    Server::each(|server| {
        let proxy = StrippingProxy::start(server);
        let port = server.text.split(';').find(|part| part.starts_with("Port=")).unwrap();
        let through = at(server, "localhost").replace(port, &format!("Port={}", proxy.port));
        let authority = file("authority.crt");
        let verify = ["--tls", "verify", "--tls-ca", authority.to_str().unwrap()];
        connect(&through, &verify).expect(10);
        assert!(!proxy.heard(b"fastload"), "the user's name went out in clear text");
        let run = connect(&through, &["--tls", "require"]).expect(10);
        match server.kind {
            Kind::Postgresql => assert!(!proxy.heard(b"fastload"), "{run:?}"),
            Kind::Mariadb => {
                run.says(&["not encrypted"]);
                assert!(!proxy.heard(b"sql_mode"), "it went on after the login");
            }
        }
        // The same way without the flag: the proxy works, and hears.
        assert_eq!(encryption(&connect(&through, &[]).expect(0)), "none");
        assert!(proxy.heard(b"fastload") && !proxy.heard(b"only-for-tests"));
    });
}

#[test]
fn what_contradicts_is_refused() {
    Server::each(|server| {
        let weaker = match server.kind {
            Kind::Postgresql => ["SSLmode=prefer;", "CA=disable;"],
            Kind::Mariadb => ["SSLVERIFY=0;", "TLSVERSION={TLSv1.0};"],
        };
        for keyword in weaker {
            let address = format!("{}{keyword}", at(server, "localhost"));
            connect(&address, &["--tls", "verify"]).expect(64).says(&["--tls"]);
        }
    });
    let place = Place::new();
    let run =
        place.run(["conn", "test", "--to", "odbc:Driver=/nowhere/other.so", "--tls", "require"]);
    run.expect(64).says(&["for this driver write its own keywords"]);
    place.run(["conn", "test", "--to", "sqlite:x.db", "--tls", "require"]).expect(64);
    let to = ["conn", "test", "--to", "dsn:x"];
    place.run(to.iter().chain(&["--tls-ca", "a.pem"])).expect(64).says(&["--tls verify"]);
    let missing = ["--tls", "verify", "--tls-ca", "a.pem"];
    place.run(to.iter().chain(&missing)).expect(78).says(&["a.pem"]);
    place.run(to.iter().chain(&["--tls", "perhaps"])).expect(64).says(&["verify"]);
}

/// The option is a key of job files and a variable, as every option is.
#[test]
fn from_the_environment_and_a_job_file() {
    Server::each(|server| {
        let place = Place::new();
        place.write("a.csv", "id\n1\n");
        let explain = |command: &mut std::process::Command| {
            command.env("FASTLOAD_TO", format!("odbc:{}", server.text));
            let load = ["a.csv", "--table", "security_tls", "--create", "--explain"];
            Run::of(command.args(load)).expect(0).stdout
        };
        let text = explain(place.command().env("FASTLOAD_TLS", "require"));
        assert!(text.contains("FASTLOAD_TLS") && text.contains("encryption: TLSv1."), "{text}");
        place.write("job.yaml", "tls: require\n");
        let text = explain(place.command().args(["--config", "job.yaml"]));
        assert!(text.contains("job.yaml tls") && text.contains("encryption: TLSv1."), "{text}");
    });
}

/// The rig speaks no TLS, so that Db2's driver must fail, and before it has sent the password.
#[test]
fn db2s_driver_does_not_fall_back() {
    let Ok(text) = std::env::var("FASTLOAD_TEST_DB2") else {
        assert!(std::env::var_os("FASTLOAD_TEST_REQUIRE_DATABASES").is_none(), "no Db2 rig");
        return;
    };
    for mode in ["require", "verify"] {
        let place = Place::new();
        let mut command = place.command();
        command.env("FASTLOAD_TO", format!("odbc:{text};"));
        let flags = ["conn", "test", "--tls", mode, "--connect-timeout", "10s"];
        Run::of(command.args(flags)).expect(10);
    }
}
