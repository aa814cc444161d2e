//! Connection strings: what is in a value stays there, and keywords that do harm are refused.

use crate::logins::{Login, address, source};
use crate::support::{Place, Run, Server};

/// Every character that one driver or another gives a meaning to.
const ODD: &str = ";{}=' \"x";

/// Values that would set a keyword of their own if anything read them twice.
const SMUGGLED: [&str; 9] = [
    "x;DRIVER=/nowhere/evil.so",
    "x};DRIVER=/nowhere/evil.so;{",
    "x};SAVEFILE=leak;",
    "};SAVEFILE=leak;UID={y",
    "x;INITSTMT=CREATE TABLE smuggled (x INT)",
    "x}};INITSTMT={CREATE TABLE smuggled (x INT)",
    "x};PLUGIN_DIR=/nowhere;USE_MYCNF=1;",
    "x};ConnSettings={CREATE TABLE smuggled (x INT)};",
    "x' options='-c search_path=nowhere};pqopt={host=nowhere",
];

fn load(place: &Place, to: &str, user: &str, password: &str, more: &[&str]) -> Run {
    place.write("a.csv", "id,name\n1,ada\n");
    let mut command = place.command();
    command.env("FASTLOAD_USER", user).env("FASTLOAD_PASSWORD", password);
    let schema = ["--schema", "id INT, name VARCHAR(100)"];
    let load = ["a.csv", "--table", "security_login", "--create", "--to", to];
    Run::of(command.args(load).args(schema).args(more))
}

#[test]
fn odd_users_and_passwords_log_in() {
    Server::each(|server| {
        let place = Place::new();
        let logins = [
            (format!("user{ODD}"), format!("password{ODD}")),
            (format!("{{user}}{ODD}"), format!("{{pass}}{ODD}")),
            ("o'clock {a}=\"b".to_owned(), "100%25+1&?*!@()[],^$#~`|<>/:".to_owned()),
            ("x;DRIVER=/nowhere.so".to_owned(), "}};DRIVER=/nowhere.so;{".to_owned()),
        ];
        for (user, password) in logins {
            let login = Login::create(server, &user, &password);
            for to in [format!("odbc:{}", address(server)), source(server).to_owned()] {
                server.drop_table("security_login");
                let whom = ["--after", "UPDATE security_login SET name = CURRENT_USER"];
                load(&place, &to, &login.user, &login.password, &whom).expect(0);
                let name = server.value("SELECT name FROM security_login");
                assert_eq!(name.trim_end_matches("@127.0.0.1"), user, "{:?}", server.kind);
                // The same password is not the right one for another text of it.
                let wrong = format!("{password} ");
                if server.kind == crate::support::Kind::Postgresql {
                    load(&place, &to, &login.user, &wrong, &[]).expect(12);
                }
                load(&place, &to, &login.user, &password[1..], &[]).expect(12);
            }
            server.drop_table("security_login");
        }
    });
}

#[test]
fn smuggled_keywords_are_inert() {
    Server::each(|server| {
        let place = Place::new();
        server.drop_table("smuggled");
        for value in SMUGGLED {
            for to in [format!("odbc:{}", address(server)), source(server).to_owned()] {
                let as_password = load(&place, &to, "fastload", value, &[]);
                // The server was asked, and said no: nothing but the password was wrong.
                as_password.expect(12);
                load(&place, &to, value, "only-for-tests", &[]).expect(12);
            }
            let elsewhere = server.with("Database", &format!("{{{}}}", value.replace('}', "}}")));
            let mut command = place.command();
            command.env("FASTLOAD_TO", format!("odbc:{elsewhere}"));
            let run = Run::of(command.args(["a.csv", "--table", "security_login", "--create"]));
            assert!([10, 12].contains(&run.status), "{value}: {run:?}");
        }
        assert!(!place.path("leak").exists());
        let count = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'smuggled'";
        assert_eq!(server.value(count), "0");
    });
}

#[test]
fn dangerous_keywords_are_refused_with_a_reason() {
    Server::each(|server| {
        let place = Place::new();
        place.write("a.csv", "id,name\n1,ada\n");
        for (keyword, reason) in [
            ("SAVEFILE", "writes the connection string"),
            ("savefile", "writes the connection string"),
            ("FILEDSN", "settings from a file"),
            ("INITSTMT", "--session-sql"),
            ("PLUGIN_DIR", "program code"),
            ("USE_MYCNF", "settings from a file"),
            ("ConnSettings", "--session-sql"),
            ("A6", "--session-sql"),
            ("pqopt", "--tls-ca"),
            ("Trace", "log"),
            ("CommLog", "log"),
            ("TranslationDLL", "program code"),
        ] {
            let to = format!("odbc:{}{keyword}={{hush leak}};", server.text);
            let mut command = place.command();
            command.env("FASTLOAD_TO", &to);
            let run = Run::of(command.args(["a.csv", "--table", "t"])).expect(64);
            let run = run.says(&[keyword, "refused", reason]);
            assert!(!run.stderr.contains("hush"), "{run:?}");
            assert!(!place.path("hush leak").exists());
            // A job file is refused where it is checked.
            let job = place.write("job.yaml", format!("to: \"{}\"\n", to.replace('"', "\\\"")));
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&job, private).unwrap();
            place.run(["config", "check", "job.yaml"]).expect(64).says(&[keyword, reason]);
        }
    });
}

#[test]
fn unknown_keywords_are_refused_and_others_do_their_work() {
    Server::each(|server| {
        let place = Place::new();
        let run = |extra: &str| {
            let mut command = place.command();
            command.env("FASTLOAD_TO", format!("odbc:{}{extra}", server.text));
            Run::of(command.args(["conn", "test"]))
        };
        run("Prot=5432;").expect(64).says(&["Prot", "PORT", "refused"]);
        run("Schmea={hush};").expect(64).says(&["Schmea"]);
        match server.kind {
            crate::support::Kind::Postgresql => {
                run("ReadOnly=0;KeepaliveTime=30;D2=5;").expect(0);
            }
            crate::support::Kind::Mariadb => {
                run("READ_TIMEOUT=30;OPTION=2;").expect(0);
                run("OPTION=65536;").expect(64).says(&["option files"]);
                run("OPTION=4194304;").expect(64).says(&["reconnect silently"]);
            }
        }
    });
}
