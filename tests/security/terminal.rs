//! What comes from files, headers, names and databases is never a command to a terminal.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::{Kind, Place, Run, Server};

/// Clears the screen, sets the title, rings, turns the direction, in 7 and 8 bits.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m\r\u{8}";

/// Characters that no output for people may hold.
#[track_caller]
fn harmless(what: &str, text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    assert!(!text.contains(bad), "{what}:\n{text:?}");
}

#[track_caller]
fn harmless_run(run: &Run) {
    harmless("standard output", &run.stdout);
    harmless("standard error", &run.stderr);
}

#[test]
fn a_hostile_record() {
    let place = Place::new();
    let schema = ["--table", "t", "--schema", "id INT, name VARCHAR(3)", "--dialect", "csv"];
    for record in [format!("1{EVIL},x"), format!("1,{EVIL}"), format!("1,x{EVIL}\"y\n2,{EVIL}")] {
        place.write("a.csv", format!("id,name\n{record}\n"));
        for more in [&["-vv"][..], &["--max-errors", "all", "-vv", "--progress", "plain"]] {
            let run = place.run(["a.csv"].into_iter().chain(schema).chain(more.iter().copied()));
            assert!([2, 5].contains(&run.status), "{run:?}");
            harmless_run(&run);
        }
    }
}

#[test]
fn a_hostile_header() {
    let place = Place::new();
    place.write("a.csv", format!("id,\"na{EVIL}\nme\"\n1,ada\nx,eve\n"));
    let load = ["a.csv", "--table", "t", "--dialect", "csv"];
    // Columns are made by these names, shown, and named in messages.
    for more in [
        &["--explain"][..],
        &["-vv"],
        &["--columns", "id,nosuch"],
        &["--map", "nosuch=id"],
        &["--schema", "id INT, other VARCHAR(9)"],
    ] {
        harmless_run(&place.run(load.iter().chain(more)));
    }
    harmless_run(&place.run(["describe", "t"]).expect(0));
    // The same name in a database, and a value that does not fit it.
    place.write("b.csv", format!("id,\"na{EVIL}\nme\"\n1,\"a\nb\"\nx,{EVIL}\n"));
    harmless_run(&place.run(["b.csv", "--table", "t", "--dialect", "csv", "--encoding", "utf-8"]));
    Server::each(|server| {
        if server.kind == Kind::Mariadb {
            // MariaDB takes no such names; what it says of them is shown.
            let more = ["--create", "-vv"];
            harmless_run(&server.run(&place, load.iter().chain(&more)));
            return;
        }
        server.drop_table("t");
        for more in [&["--create", "-vv"][..], &["--explain"], &["--staging", "--explain"]] {
            harmless_run(&server.run(&place, load.iter().chain(more)));
        }
        server.drop_table("t");
    });
}

#[test]
fn hostile_file_names() {
    let place = Place::new();
    let name = format!("a{EVIL}\nERROR forged.csv");
    let raw = OsStr::from_bytes(b"b\x1b[2J\xff\x9b.csv");
    place.write(&name, "id,name\n1,ada\nx,eve\n");
    place.write(raw, "id,name\n1,ada\nx,eve\n");
    place.write("empty\u{1b}[2J.csv", "");
    let schema = ["--table", "t", "--schema", "id INT, name VARCHAR(9)"];
    for file in
        [OsStr::new(&name), raw, OsStr::new("empty\u{1b}[2J.csv"), OsStr::new("no\u{1b}[2J")]
    {
        for more in [
            &["-vv"][..],
            &["--max-errors", "all", "-vv", "--log-file", "log.txt", "--progress", "plain"],
            &["--explain"],
            &["--events", "no\u{1b}[2J/such"],
            &["--rejects", "no\u{1b}[2J/such/r"],
        ] {
            let run = place.run(
                [file].into_iter().chain(schema.map(OsStr::new)).chain(more.iter().map(OsStr::new)),
            );
            harmless_run(&run);
        }
    }
    let log = String::from_utf8(place.read("log.txt")).unwrap();
    harmless("the log", &log);
    // A name with a newline makes no line of its own.
    assert!(log.lines().all(|line| !line.starts_with("ERROR forged")), "{log}");
    // And a name that looks like a flag.
    let flag = place.run(["a.csv", "--\u{1b}[2J"]).expect(64);
    harmless_run(&flag);
    harmless_run(&place.run(["--config", "no\u{1b}[2J.yaml"]).expect(78));
    place.write("job.yaml", format!("ta{}ble: x\n", "\u{1b}[2J"));
    harmless_run(&place.run(["config", "check", "job.yaml"]));
    place.write("job.yaml", "\"ta\\e[2Jble\": x\n");
    harmless_run(&place.run(["config", "check", "job.yaml"]).expect(78));
}

#[test]
fn hostile_table_names() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\nx,eve\n");
    let table = format!("\"t{EVIL}\nx\"");
    for more in [
        &["-vv"][..],
        &["--schema", "id INT, name VARCHAR(9)", "--max-errors", "all"],
        &["--explain"],
        &["--mode", "truncate"],
        &["--mode", "replace", "--staging"],
        &["--mode", "upsert", "--key", "id"],
        &["--key", "\u{1b}[2J"],
    ] {
        let run = place.run(["a.csv", "--table", &table].iter().chain(more));
        harmless_run(&run);
    }
    harmless_run(&place.run(["describe", &table]));
    harmless_run(&place.run(["describe", "nosuch\u{1b}[2J"]));
}

/// What a database says repeats the data, names of its own, and what others have put there.
#[test]
fn hostile_words_of_a_database() {
    Server::each(|server| {
        let place = Place::new();
        server.drop_table("security_words");
        server.query("CREATE TABLE security_words (id INT PRIMARY KEY, name VARCHAR(60) UNIQUE)");
        place.write("a.csv", format!("id,name\n1,\"{EVIL}\"\n2,\"{EVIL}\"\n"));
        let load = ["a.csv", "--table", "security_words", "-vv", "--log-file", "log.txt"];
        let load = load.iter().chain(&["--dialect", "csv"]);
        // The refused key is in the message.
        let run = server.run(&place, load.clone()).expect(5);
        harmless_run(&run);
        assert!(run.stderr.contains("\\u{1b}"), "the message shows the key: {run:?}");
        let statement = format!("SELECT * FROM \"nowhere{EVIL}\"");
        harmless_run(&server.run(&place, load.clone().chain(&["--before", &statement])).expect(4));
        harmless("the log", &String::from_utf8(place.read("log.txt")).unwrap());
        let colored = ["--color", "always", "--before", &statement];
        let run = server.run(&place, load.chain(&colored)).expect(4);
        assert!(!run.stderr.contains("\u{1b}[2J") && !run.stderr.contains('\u{7}'), "{run:?}");
        server.drop_table("security_words");
    });
}
