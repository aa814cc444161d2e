//! The hunt for a planted secret: loads that succeed and loads that fail, with everything switched
//! on that writes, and every byte of it looked at.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use crate::logins::{Login, address};
use crate::support::{Place, Run, Server, start};

/// Passwords that are hunted: a plain one, and one that must be escaped on its way.
const SECRETS: [&str; 2] = ["Hunt3dS3cret", "Hunt3d;{}=' \"S3cret"];

/// What no output may hold: it begins and ends every form of both, escaped or not.
const TRACES: [&str; 2] = ["Hunt3d", "S3cret"];

/// Files into which a case itself has written the secret.
const PLANTED: [&str; 4] = ["password", "job.yaml", "command.sh", "odbc.ini"];

/// Flags under which everything is written that can be.
const LOUD: [&[&str]; 3] = [
    &["-vv", "--output", "json", "--log-file", "log", "--log-format", "json"],
    &["-vv", "--events", "events", "--summary", "summary.json", "--progress", "json"],
    &["-vv", "--log-file", "log.txt", "--summary", "summary.csv", "--progress", "plain"],
];

#[track_caller]
fn hunt(what: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for trace in TRACES {
        assert!(!text.contains(trace), "the secret is in {what}:\n{text}");
    }
}

/// Looks at the outputs of a run and at every file below its place.
#[track_caller]
fn hunt_everywhere(place: &Place, run: &Run) {
    hunt("standard output", run.stdout.as_bytes());
    hunt("standard error", run.stderr.as_bytes());
    hunt_files(&place.path(""));
}

#[track_caller]
fn hunt_files(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            hunt_files(&path);
        } else if !PLANTED.contains(&&*name) {
            hunt(&name, &fs::read(&path).unwrap());
        }
    }
}

/// Writes a file that only its owner may read.
fn write_private(place: &Place, name: &str, text: &str) {
    let path = place.write(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// How the secret gets into the program: environment and flags.
struct Way {
    variables: Vec<(&'static str, String)>,
    flags: Vec<String>,
}

fn braced(value: &str) -> String {
    format!("{{{}}}", value.replace('}', "}}"))
}

/// Every way that there is, for an address and a user.
fn ways(place: &Place, address: &str, user: &str, secret: &str) -> Vec<Way> {
    let url = format!("odbc:{address}");
    let whole = format!("{url}UID={user};PWD={};", braced(secret));
    write_private(place, "password", secret);
    write_private(place, "command.sh", &format!("cat <<'E'\n{secret}\nE\n"));
    let yaml = whole.replace('\'', "''");
    write_private(place, "job.yaml", &format!("to: '{yaml}'\n"));
    let with_url = |flags: &[&str]| Way {
        variables: vec![("FASTLOAD_TO", url.clone()), ("FASTLOAD_USER", user.to_owned())],
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    let mut by_variable = with_url(&[]);
    by_variable.variables.push(("FASTLOAD_PASSWORD", secret.to_owned()));
    vec![
        by_variable,
        Way { variables: vec![("FASTLOAD_TO", whole)], flags: Vec::new() },
        with_url(&["--password-file", "password"]),
        with_url(&["--password-command", "sh command.sh"]),
        Way { variables: Vec::new(), flags: ["--config", "job.yaml"].map(str::to_owned).into() },
    ]
}

fn run(place: &Place, way: &Way, arguments: &[&str]) -> Run {
    let mut command = place.command();
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    command.envs(way.variables.iter().map(|(name, value)| (name, value)));
    Run::of(command.args(arguments).args(&way.flags))
}

const TABLE: &str = "security_hunt";

/// One load in each way, each way with another loudness; the exit status is the same in all.
fn loads(place: &Place, ways: &[Way], arguments: &[&str], status: i32) {
    for (index, way) in ways.iter().enumerate() {
        let loud = LOUD[(index + arguments.len()) % LOUD.len()];
        let all: Vec<&str> = arguments.iter().chain(loud).copied().collect();
        let run = run(place, way, &all);
        assert_eq!(run.status, status, "way {index}, {all:?}: {run:?}");
        hunt_everywhere(place, &run);
    }
    let explained: Vec<&str> = arguments.iter().copied().chain(["--explain"]).collect();
    hunt_everywhere(place, &run(place, &ways[ways.len() - 1], &explained));
}

#[test]
fn nothing_that_is_written_holds_the_secret() {
    Server::each(|server| {
        let place = Place::new();
        place.write("a.csv", "id,name\n1,ada\n2,eve\n");
        place.write("bad.csv", "id,name\n1,ada\nx,eve\n");
        server.drop_table(TABLE);
        server.query(&format!("CREATE TABLE {TABLE} (id INT, name VARCHAR(9))"));
        for secret in SECRETS {
            let login = Login::create(server, "security_hunted", secret);
            let at_home = address(server);
            let good = ways(&place, &at_home, &login.user, secret);
            loads(&place, &good, &["a.csv", "--table", TABLE], 0);
            loads(&place, &good, &["bad.csv", "--table", TABLE], 5);
            loads(&place, &good, &["bad.csv", "--table", TABLE, "--max-errors", "all"], 2);
            loads(&place, &good, &["a.csv", "--table", "no_such_table"], 64);
            loads(&place, &good, &["a.csv", "--table", TABLE, "--before", "NO SUCH WORD"], 4);
            for arguments in [&["conn", "test"][..], &["describe", TABLE]] {
                for way in good.iter().filter(|way| !way.flags.contains(&"--config".to_owned())) {
                    hunt_everywhere(&place, &run(&place, way, arguments).expect(0));
                }
            }
            // Refused: right form, wrong person.
            let refused = ways(&place, &at_home, "nobody_at_all", secret);
            loads(&place, &refused, &["a.csv", "--table", TABLE], 12);
            // Nobody there, and no such driver.
            let port = server.with("Port", "1").replace("UID=fastload;PWD=only-for-tests;", "");
            loads(&place, &ways(&place, &port, "u", secret)[..2], &["a.csv", "--table", TABLE], 10);
            let driver = "Driver={No such driver};Server=x;";
            loads(&place, &ways(&place, driver, "u", secret), &["a.csv", "--table", TABLE], 10);
        }
        server.drop_table(TABLE);
    });
}

#[test]
fn the_secret_is_not_in_what_db2s_driver_says() {
    let Ok(text) = std::env::var("FASTLOAD_TEST_DB2") else {
        assert!(std::env::var_os("FASTLOAD_TEST_REQUIRE_DATABASES").is_none(), "no Db2 rig");
        return;
    };
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    let address = text.replace("UID=fastload;PWD=only-for-tests", "");
    for secret in SECRETS {
        let ways = ways(&place, &address, "fastload", secret);
        loads(&place, &ways[..2], &["a.csv", "--table", "t"], 12);
        let nobody = address.replace("Hostname=127.0.0.1", "Hostname=no.such.host.invalid");
        let ways = self::ways(&place, &nobody, "fastload", secret);
        loads(&place, &ways[..2], &["a.csv", "--table", "t"], 10);
    }
}

#[test]
fn malformed_and_refused_texts_are_not_repeated() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    for secret in SECRETS {
        let braced = braced(secret);
        for to in [
            format!("odbc:DSN=x;PWD={{{secret}"),
            format!("odbc:DSN=x;{secret}"),
            format!("odbc:DSN=x;PWD={braced};PWD={braced}"),
            format!("odbc:DSN=x;PWD={braced}x"),
            format!("odbc:DSN=x;SAVEFILE=y;PWD={braced}"),
            format!("odbc:DSN=x;INITSTMT={braced}"),
            format!("odbc:DSN=no_such_source;PWD={braced}"),
            format!("dsn:x;PWD={braced}"),
            format!("odbcc:PWD={braced}"),
            format!("PWD={braced}"),
        ] {
            for arguments in [
                &["a.csv", "--table", "t", "-vv"][..],
                &["a.csv", "--table", "t", "--output", "json", "--explain"],
                &["conn", "test"],
                &["config", "show"],
            ] {
                let way = Way { variables: vec![("FASTLOAD_TO", to.clone())], flags: Vec::new() };
                let run = run(&place, &way, arguments);
                hunt_everywhere(&place, &run);
            }
        }
    }
}

#[test]
fn config_show_hides_what_may_be_secret() {
    let place = Place::new();
    for secret in SECRETS {
        let braced = braced(secret);
        let way = Way {
            variables: vec![
                ("FASTLOAD_TO", format!("odbc:DSN=x;UID=u;PWD={braced}")),
                ("FASTLOAD_PASSWORD", secret.to_owned()),
                ("FASTLOAD_SESSION_SQL", format!("SET ENCRYPTION PASSWORD = '{secret}'")),
                ("FASTLOAD_PASSWORD_COMMAND", format!("echo '{secret}'")),
            ],
            flags: Vec::new(),
        };
        let run = run(&place, &way, &["config", "show"]).expect(0);
        hunt_everywhere(&place, &run);
        assert!(run.stdout.contains("PWD=***") && run.stdout.contains("1 statement"), "{run:?}");
    }
}

/// The command line of a running load, as every user of the machine may read it; the load waits
/// for its input meanwhile.
#[test]
fn the_command_line_of_a_running_load_holds_no_secret() {
    const TABLE: &str = "security_running_load";
    Server::each(|server| {
        let secret = SECRETS[0];
        let login = Login::create(server, "security_running", secret);
        let place = Place::new();
        server.drop_table(TABLE);
        server.query(&format!("CREATE TABLE {TABLE} (id INT, name VARCHAR(9))"));
        for way in ways(&place, &address(server), &login.user, secret) {
            let mut command = place.command();
            command.envs(way.variables.iter().map(|(name, value)| (name, value)));
            let flags = ["-", "--table", TABLE, "--rejects", "r", "--dialect", "csv"];
            let child = command.args(flags).args(&way.flags).stdin(Stdio::piped());
            let mut child = start(child);
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"id,name\n1,ada\n").unwrap();
            let files = Path::new("/proc").join(child.id().to_string());
            let read = |name: &str| fs::read(files.join(name)).unwrap();
            // Until the connection is there, so that the driver has seen the secret too.
            while threads_of(&files) < 3 {
                std::thread::yield_now();
            }
            hunt("the command line", &read("cmdline"));
            hunt("the name of the process", &read("comm"));
            drop(input);
            Run::end_of(child).expect(0);
        }
        server.drop_table(TABLE);
    });
}

fn threads_of(files: &Path) -> usize {
    fs::read_dir(files.join("task")).map_or(usize::MAX, Iterator::count)
}

/// A password may not be typed where everybody can read it, and is not repeated then.
#[test]
fn a_password_in_arguments_is_refused() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    for secret in SECRETS {
        let to = format!("odbc:DSN=x;UID=u;PWD={}", braced(secret));
        let run = place.run(["a.csv", "--table", "t", "--to", &to]).expect(64);
        hunt_everywhere(&place, &run);
        let run = place.run(["a.csv", "--table", "t", "--to", "dsn:x", "--password", secret]);
        assert_eq!(run.status, 64, "{run:?}");
    }
}

/// What a panic or a log would show of the values that hold the secret.
#[test]
fn debug_forms_hold_no_secret() {
    use fastload::config::credentials::find_credentials;
    use fastload::config::options::Options;
    use fastload::config::resolve::resolve;
    use fastload::sink::odbc::{ConnectionText, OdbcSpec, ProfileName};

    let secret = SECRETS[0];
    let to = format!("odbc:DSN=x;UID=u;PWD={secret}");
    let environment = vec![
        ("FASTLOAD_TO".into(), to.clone().into()),
        ("FASTLOAD_PASSWORD".into(), secret.into()),
    ];
    let (options, _) = Options::from_environment(environment.clone()).unwrap();
    let resolved = resolve(Options::default(), &environment, None).unwrap();
    let credentials = find_credentials(&options, Some(secret.into())).unwrap();
    let spec = OdbcSpec {
        connection: ConnectionText::Keywords(to["odbc:".len()..].to_owned()),
        user: None,
        password: credentials.password.clone(),
        tls: resolved.tls.clone(),
        profile: Some(ProfileName::Generic),
        connect_timeout: std::time::Duration::from_secs(1),
        query_timeout: std::time::Duration::ZERO,
        session_sql: Vec::new(),
    };
    hunt("the options", format!("{options:?}").as_bytes());
    hunt("the resolved options", format!("{resolved:?}").as_bytes());
    hunt("the credentials", format!("{credentials:?}").as_bytes());
    hunt("the specification", format!("{spec:?}").as_bytes());
    let message = std::panic::catch_unwind(|| panic!("{spec:?}, {resolved:?}")).unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("OdbcSpec"), "{message}");
    hunt("the panic's message", message.as_bytes());
}

/// The driver manager's own trace holds what goes through it: its user is told.
#[test]
fn a_trace_of_the_driver_manager_is_told() {
    const TABLE: &str = "security_traced";
    Server::each(|server| {
        let place = Place::new();
        let directory = std::env::var("ODBCSYSINI").unwrap();
        let drivers = fs::read_to_string(format!("{directory}/odbcinst.ini")).unwrap();
        let trace = place.path("trace.log");
        let traced = format!("{drivers}\n[ODBC]\nTrace = Yes\nTraceFile = {}\n", trace.display());
        place.write("odbcinst.ini", traced);
        place.write("a.csv", "id\n1\n");
        server.drop_table(TABLE);
        for arguments in [&["conn", "test"][..], &["a.csv", "--table", TABLE, "--create"]] {
            for (directory, is_told) in [(place.path(""), true), (directory.clone().into(), false)]
            {
                let mut command = place.command();
                command.env("FASTLOAD_TO", format!("odbc:{}", server.text));
                let run = Run::of(command.env("ODBCSYSINI", directory).args(arguments)).expect(0);
                assert_eq!(run.stderr.contains("trace is on"), is_told, "{run:?}");
            }
        }
        assert!(trace.exists(), "the manager itself took it for on");
        server.drop_table(TABLE);
    });
}

/// Files that hold a password and that others may read.
#[test]
fn files_with_passwords_must_be_private() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    place.write("password", SECRETS[0]);
    place.write("job.yaml", format!("to: 'odbc:DSN=x;UID=u;PWD={}'\n", SECRETS[0]));
    let load = ["a.csv", "--table", "t"];
    for (name, flags) in [
        ("password", &["--password-file", "password", "--user", "u", "--to", "dsn:x"][..]),
        ("job.yaml", &["--config", "job.yaml"]),
    ] {
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(place.path(name), permissions).unwrap();
            let run = place.run(load.iter().chain(flags)).expect(78).says(&[name, "chmod 600"]);
            hunt_everywhere(&place, &run);
        }
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        // Now it is the data source that is not there.
        place.run(load.iter().chain(flags)).expect(10);
    }
    let shown = place.run(["config", "show", "job.yaml"]).expect(0);
    hunt_everywhere(&place, &shown);
}
