//! Every exit status that a user can cause, and what is said with it.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Place, Run, Server, Waiting, row};

const SMALL: &str = "id,name\n1,ada\nx,eve\n3,grace\n";
const SCHEMA: [&str; 4] = ["--table", "t", "--schema", "id INT, name VARCHAR(5)"];

#[test]
fn everything_or_some_loaded() {
    let place = Place::new();
    place.write("good.csv", "id,name\n1,ada\n");
    place.run(["good.csv"].into_iter().chain(SCHEMA)).expect(0);
    place.write("a.csv", SMALL);
    let run = |limit| place.run(["a.csv", "--max-errors", limit].into_iter().chain(SCHEMA));
    run("1").expect(2);
    run("all").expect(2);
    run("40%").expect(2);
    run("30%").expect(5);
    run("0").expect(5);
}

#[test]
fn a_bad_record_is_shown() {
    let place = Place::new();
    place.write("a.csv", b"id,name\n1,ada\n2,\x1b[31mm\xff\n");
    let run = place.run(["a.csv"].into_iter().chain(SCHEMA)).expect(5);
    assert!(!run.stderr.contains('\x1b'), "{}", run.stderr);
    let run = run.says(&[
        "error[FL-0318]: ",
        "a.csv:3:3 (byte 16)",
        "\n3 | 2,\\u{1b}[31mm\\xff\n",
        "^^^^^^ field 2, column name VARCHAR(5)",
        "record 2, class encoding",
        "help: `--encoding latin1`",
    ]);
    // The caret stands below the field at fault.
    let lines: Vec<&str> = run.stderr.lines().collect();
    let source = lines.iter().position(|line| line.starts_with("3 | ")).expect("the line");
    assert_eq!(lines[source + 1].find('^'), lines[source].find("\\u{1b}"));
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "0");
    place.run(["check", "a.csv"].into_iter().chain(SCHEMA)).expect(5);
}

#[test]
fn the_share_of_rejects_is_tested_at_the_end_too() {
    let place = Place::new();
    let mut text = String::from("id,name\n");
    for record in 0..3_000 {
        text.push_str(if record >= 2_900 { "x,y\n" } else { "1,y\n" });
    }
    place.write("a.csv", text);
    let run = |limit| place.run(["a.csv", "--max-errors", limit].into_iter().chain(SCHEMA));
    run("4%").expect(2);
    run("3%").expect(5);
}

#[test]
fn the_database_refuses_a_statement() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    let load = ["a.csv"].into_iter().chain(SCHEMA);
    place.run(load.clone().chain(["--before", "DELETE FROM nowhere"])).expect(4).says(&["nowhere"]);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "0");
    let run = place.run(load.clone().chain(["--after", "DELETE FROM nowhere", "--output", "json"]));
    let report = run.expect(4).json();
    assert_eq!(report["status"], "failed");
    // What was committed before stays, and is said.
    assert_eq!(report["totals"]["rows_loaded"], 1);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "1");
    // The table goes away under the load.
    place.run(load.chain(["--before", "DROP TABLE t"])).expect(4).says(&["t"]);
}

#[test]
fn constraints_of_the_table() {
    let place = Place::new();
    place.sqlite_run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'eve')) STRICT;
         INSERT INTO t VALUES (2, 'old')",
    );
    place.write("a.csv", "id,name\n1,ada\n2,new\n3,eve\n4,grace\n");
    place.run(["a.csv", "--table", "t"]).expect(5).says(&["a.csv:3"]);
    place.sqlite_run("DELETE FROM t WHERE id <> 2");
    let run = place.run(["a.csv", "--table", "t", "--max-errors", "2", "--output", "json"]);
    let classes = &run.expect(2).json()["rejects"]["by_class"];
    assert_eq!((&classes["duplicate"], &classes["constraint"]), (&1.into(), &1.into()));
    assert_eq!(place.read("a.csv.rejects"), b"2,new\n3,eve\n");
    assert_eq!(
        place.sqlite("SELECT id, name FROM t ORDER BY id"),
        [row(["1", "ada"]), row(["2", "old"]), row(["4", "grace"])]
    );
}

#[test]
fn the_system_refuses() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    let load = ["a.csv"].into_iter().chain(SCHEMA);
    for flag in ["--events", "--summary", "--log-file"] {
        let path = if flag == "--summary" { "no/such/x.json" } else { "no/such/x" };
        place.run(load.clone().chain([flag, path])).expect(8).says(&["no/such/x"]);
    }
    // A full disk under the result.
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full opens");
    let run = Run::of(place.command().args(load.clone()).stdout(full));
    run.expect(8).says(&["standard output"]);
    place.run(load.chain(["--to", "sqlite:no/such/dir.db"])).expect(10);
    place.run(["gen", "--rows", "10", "-o", "/dev/full"]).expect(8);
}

#[test]
fn usage() {
    let place = Place::new();
    place.write("a.csv", SMALL);
    let cases: [(&[&str], &str); 15] = [
        (&["a.csv"], "--table"),
        (&["--table", "t"], "no input"),
        (&["a.csv", "--table", "t", "--batch-row", "5"], "--batch-rows"),
        (&["a.csv", "--table", "t", "--batch-rows", "0"], "batch-rows"),
        (&["a.csv", "--table", "t", "--batch-rows", "many"], "many"),
        (&["a.csv", "--table", "t", "--writers", "-1"], "-1"),
        (&["a.csv", "--table", "t", "--chunk-bytes", "0"], "chunk-bytes"),
        (&["a.csv", "--table", "t", "--max-errors", "101%"], "101%"),
        (&["a.csv", "--table", "t", "--to", "oracle:x"], "oracle"),
        (&["a.csv", "--table", "t", "--to", "odbc:DSN=x;PWD=geheim"], "--password-file"),
        (&["a.csv", "--table", "t", "--password", "x"], "--password"),
        (&["a.csv", "--table", "t", "--mode", "truncate"], "--yes"),
        (&["a.csv", "--table", "t", "--mode", "upsert"], "upsert"),
        (&["a.csv", "--table", "t", "-d", ",", "--quote", ","], "delimiter"),
        (&["a.csv", "--table", "t", "--pin-cores=99999"], "99999"),
    ];
    for (arguments, piece) in cases {
        let run = place.run(arguments).expect(64).says(&[piece]);
        assert!(!run.stderr.contains("geheim"), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    let run = place.run(["a.csv", "--table", "t", "--create=false"]);
    run.expect(64).says(&["no table t", "--create"]);
}

#[test]
fn two_dialects_that_fit_equally() {
    let place = Place::new();
    place.write("tie.csv", "a,b|c\n1,2|3\n4,5|6\n7,8|9\n");
    place.run(["tie.csv", "--table", "t"]).expect(64).says(&["--dialect csv", "--dialect pipe"]);
    place.run(["tie.csv", "--table", "t", "-d", "|"]).expect(0);
    assert_eq!(place.sqlite("SELECT \"a,b\", c FROM t ORDER BY c LIMIT 1"), [row(["1,2", "3"])]);
}

#[test]
fn the_sniffed_dialect_can_be_pasted() {
    let place = Place::new();
    place.write("a.csv", "id|name\n1|\"a|b\"\n2|\"it's\"\n3|\"e\"\n");
    let run = place.run(["a.csv", "--table", "t"]).expect(0);
    let flags = run
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("fastload: dialect: "))
        .expect("the dialect is printed");
    let again = Command::new("sh")
        .args(["-c", &format!("exec \"$0\" a.csv --table u {flags}")])
        .arg(env!("CARGO_BIN_EXE_fastload"))
        .current_dir(place.path(""))
        .output()
        .expect("sh runs");
    assert!(again.status.success(), "{flags}\n{again:?}");
    assert_eq!(place.sqlite("SELECT * FROM t"), place.sqlite("SELECT * FROM u"));
    // Flags leave nothing to find.
    assert!(!String::from_utf8_lossy(&again.stderr).contains("dialect:"));
}

#[test]
fn no_connection() {
    // A port on which nobody listens: it was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
        .to_string();
    Server::each(|server| {
        let place = Place::new();
        place.write("a.csv", SMALL);
        let mut command = place.command();
        command.env("FASTLOAD_TO", format!("odbc:{}", server.with("Port", &port)));
        Run::of(command.args(["a.csv", "--table", "t", "--max-retries", "0"]))
            .expect(10)
            .says(&["cannot connect"]);
        let mut command = place.command();
        command.env("FASTLOAD_TO", format!("odbc:{}", server.with("PWD", "falsch")));
        let run = Run::of(command.args(["a.csv", "--table", "t"])).expect(12);
        assert!(run.stderr.contains("login refused"), "{}", run.stderr);
        assert!(!run.stderr.contains("falsch"), "{}", run.stderr);
    });
    let place = Place::new();
    place.write("a.csv", SMALL);
    place.run(["a.csv", "--table", "t", "--to", "odbc:Driver={No Such Driver};"]).expect(10);
    place.run(["a.csv", "--table", "t", "--to", "dsn:no_such_dsn"]).expect(10);
}

#[test]
fn a_read_only_user() {
    Server::each(|server| {
        let place = Place::new();
        place.write("a.csv", "id,name\n1,ada\n");
        server.drop_table("cli_read_only");
        server.run(&place, ["a.csv", "--table", "cli_read_only", "--create"]).expect(0);
        let reader = Server { kind: server.kind, text: server.with("UID", "fastload_reader") };
        let text = reader.with("PWD", "reader");
        let reader = Server { text, ..reader };
        reader
            .run(&place, ["a.csv", "--table", "cli_read_only", "--restart", "off"])
            .expect(4)
            .says(&["cli_read_only"]);
        // The ledger is asked for first.
        reader.run(&place, ["a.csv", "--table", "cli_read_only"]).expect(4).says(&["denied"]);
        assert_eq!(server.value("SELECT count(*) FROM cli_read_only"), "1");
        server.drop_table("cli_read_only");
    });
}

#[test]
fn signals_stop_a_load() {
    for (name, status) in [("INT", 130), ("TERM", 143)] {
        let waiting = Waiting::start(&["--output", "json"]);
        waiting.signal(name);
        let Waiting { place, child, pipe } = waiting;
        let run = Run::end_of(child).expect(status);
        drop(pipe);
        let report = run.json();
        assert_eq!((&report["status"], &report["exit_code"]), (&"stopped".into(), &status.into()));
        let loaded = report["totals"]["rows_loaded"].to_string();
        assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), loaded);
        assert!(run.stderr.contains("signal"), "{}", run.stderr);
    }
}

/// A time zone in which it is now so many seconds before noon.
fn zone_before_noon(seconds: i64) -> String {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let now = i64::try_from(since_epoch.as_secs() % DAY_SECONDS).expect("less than a day");
    // POSIX counts zones westwards.
    let west = now - (12 * 60 * 60 - seconds);
    let (sign, west) = if west < 0 { ("-", -west) } else { ("", west) };
    format!("TST{sign}{:02}:{:02}:{:02}", west / 3600, west / 60 % 60, west % 60)
}

#[test]
fn a_time_of_day_stops_a_load() {
    // It is time enough to start in, and not too long to wait for.
    let zone = zone_before_noon(15);
    let waiting = Waiting::start_in(&zone, &["--output", "json", "--stop-at", "12:00"]);
    let Waiting { place, child, pipe } = waiting;
    let run = Run::end_of(child).expect(143).says(&["12:00", "--stop-at"]);
    drop(pipe);
    let report = run.json();
    assert_eq!((&report["status"], &report["exit_code"]), (&"stopped".into(), &143.into()));
    let loaded = report["totals"]["rows_loaded"].to_string();
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), loaded);
}

#[test]
fn a_signal_asks_for_the_state() {
    let mut waiting = Waiting::start(&["--progress", "none"]);
    waiting.signal("USR1");
    let mut stderr = BufReader::new(waiting.child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("a line comes");
    assert!(line.contains("rows loaded") && line.contains("read"), "{line}");
    drop(waiting.pipe);
    assert_eq!(waiting.child.wait().expect("it ends").code(), Some(0));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("text");
    assert_eq!(waiting.place.sqlite_value("SELECT count(*) FROM t"), (1 << 18).to_string());
}
