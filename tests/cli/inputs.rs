//! Inputs that are odd, broken, or not there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::thread;

use crate::support::{Place, Run, row};

const SMALL: &str = "id,name\n1,ada\n2,grace\n";
const SMALL_ROWS: [[&str; 2]; 2] = [["1", "ada"], ["2", "grace"]];

#[track_caller]
fn small_rows_are_in(place: &Place) {
    let rows = place.sqlite("SELECT id, name FROM t ORDER BY id");
    assert_eq!(rows, SMALL_ROWS.map(row));
}

#[test]
fn an_input_that_is_not_there() {
    let place = Place::new();
    place.run(["none.csv", "--table", "t"]).expect(66).says(&["none.csv", "No such file"]);
    place.run(["*.csv", "--table", "t"]).expect(66).says(&["*.csv", "no file matches"]);
    place.run(["@none.list", "--table", "t"]).expect(66);
    place.write("list", "\n");
    place.run(["@list", "--table", "t"]).expect(66);
    place.write("list", "none.csv\n");
    place.run(["@list", "--table", "t"]).expect(66).says(&["none.csv"]);
    fs::create_dir(place.path("d")).expect("a directory");
    place.run(["d", "--table", "t"]).expect(66).says(&["is a directory", "d/*.csv"]);
    std::os::unix::fs::symlink("nowhere", place.path("link")).expect("a link");
    place.run(["link", "--table", "t"]).expect(66);
    assert!(!place.path("fastload.db").exists(), "no database is made for nothing");
}

/// Root may read everything, so the program is run as somebody else.
#[test]
fn an_input_that_may_not_be_read() {
    let place = Place::new();
    let file = place.write("a.csv", SMALL);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_fastload"))
        .args(["a.csv", "--table", "t", "--to", "null:", "--rejects", "r"])
        .current_dir(place.path(""));
    match command.output() {
        Ok(output) if output.status.code() != Some(127) && output.status.code() != Some(126) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            if stderr.contains("setpriv:") {
                eprintln!("nothing was tested: {stderr}");
                return;
            }
            assert_eq!(output.status.code(), Some(66), "{stderr}");
            assert!(stderr.contains("a.csv") && stderr.contains("permission denied"), "{stderr}");
        }
        other => eprintln!("nothing was tested: setpriv does not run here: {other:?}"),
    }
}

#[test]
fn empty_inputs_are_refused_unless_allowed() {
    let place = Place::new();
    place.write("empty.csv", "");
    place.write("bom.csv", "\u{feff}");
    place.write("header.csv", "id,name\n");
    place.write("full.csv", SMALL);
    for name in ["empty.csv", "bom.csv", "header.csv"] {
        let arguments = [name, "--table", "t", "--schema", "id INT, name TEXT", "-d", ","];
        let arguments = arguments.into_iter().chain(["--header"]);
        place.run(arguments.clone()).expect(66).says(&[name, "--allow-empty"]);
        let run = place.run(arguments.chain(["--allow-empty", "--output", "json"]));
        assert_eq!(run.expect(0).json()["totals"]["records_read"], 0, "{name}");
    }
    // One of several.
    place.run(["full.csv", "empty.csv", "--table", "u"]).expect(66).says(&["empty.csv"]);
    place.run(["full.csv", "empty.csv", "--table", "u", "--allow-empty"]).expect(0);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM u"), "2");
    let run = place.run_piped(&["-", "--table", "v", "--rejects", "r"], b"");
    run.expect(66).says(&["--allow-empty"]);
}

#[test]
fn standard_input() {
    for redirected in [false, true] {
        let place = Place::new();
        let arguments = ["-", "--table", "t", "--rejects", "r", "--schema", "id INT, name TEXT"];
        if redirected {
            let file = place.write("a.csv", SMALL);
            let input = File::open(file).expect("the file opens");
            Run::of(place.command().args(arguments).stdin(input)).expect(0);
        } else {
            place.run_piped(&arguments, SMALL.as_bytes()).expect(0);
        }
        small_rows_are_in(&place);
    }
    let place = Place::new();
    place.run_piped(&["-", "--table", "t"], SMALL.as_bytes()).expect(64).says(&["--rejects"]);
    // Nothing can be read twice, so every column is text.
    place
        .run_piped(&["-", "--table", "t", "--rejects", "r"], b"id,name\n007,x\n8,y\n")
        .expect(0)
        .says(&["--schema"]);
    assert_eq!(
        place.sqlite("SELECT id, typeof(id) FROM t ORDER BY name"),
        [row(["007", "text"]), row(["8", "text"])]
    );
}

#[test]
fn a_named_pipe() {
    let place = Place::new();
    let fifo = place.path("pipe");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    let writer = thread::spawn(move || {
        let mut pipe = OpenOptions::new().write(true).open(fifo).expect("the pipe opens");
        for part in SMALL.as_bytes().chunks(5) {
            pipe.write_all(part).expect("the program reads");
        }
    });
    place.run(["pipe", "--table", "t", "--schema", "id INT, name TEXT"]).expect(0);
    writer.join().expect("the writer ends");
    small_rows_are_in(&place);
}

#[test]
fn a_byte_order_mark_is_no_data() {
    let place = Place::new();
    place.write("a.csv", format!("\u{feff}{SMALL}"));
    place.run(["a.csv", "--table", "t"]).expect(0);
    small_rows_are_in(&place);
    // In each of several files, and offsets count it.
    let place = Place::new();
    place.write("a.csv", format!("\u{feff}{SMALL}"));
    place.write("b.csv", "\u{feff}id,name\nx,eve\n");
    let run = place.run([
        "a.csv",
        "b.csv",
        "--table",
        "t",
        "--schema",
        "id INT, name TEXT",
        "--max-errors",
        "1",
    ]);
    run.expect(2);
    let line: serde_json::Value =
        serde_json::from_slice(&place.read("b.csv.rejects.jsonl")).expect("one JSON object");
    assert_eq!((&line["byte_offset"], &line["line"]), (&11.into(), &2.into()));
    assert_eq!(place.read("b.csv.rejects"), b"x,eve\n");
}

#[test]
fn utf_16_is_refused_by_name() {
    let place = Place::new();
    let wide = |big: bool| -> Vec<u8> {
        let units = format!("\u{feff}{SMALL}").encode_utf16().collect::<Vec<_>>();
        let bytes = |unit: u16| {
            if big { unit.to_be_bytes() } else { unit.to_le_bytes() }
        };
        units.into_iter().flat_map(bytes).collect()
    };
    for big in [false, true] {
        place.write("wide.csv", wide(big));
        place.run(["wide.csv", "--table", "t"]).expect(66).says(&["wide.csv", "UTF-16", "help: "]);
    }
}

#[test]
fn nul_bytes_in_text() {
    let place = Place::new();
    place.write("a.csv", b"id,name\n1,a\0b\n2,c\n");
    place.run(["a.csv", "--table", "t", "--dialect", "csv"]).expect(0);
    assert_eq!(
        place.sqlite("SELECT id, hex(name) FROM t ORDER BY id"),
        [row(["1", "610062"]), row(["2", "63"])]
    );
}

#[test]
fn header_names_that_are_not_usable() {
    let place = Place::new();
    place.write("twice.csv", "id,name,id\n1,a,2\n");
    place.run(["twice.csv", "--table", "t"]).expect(64).says(&["two columns", "`id`", "--map"]);
    place.sqlite_run("CREATE TABLE t (customer_id INTEGER, name TEXT)");
    place.write("odd.csv", "custmer_id,name\n1,a\n");
    place.run(["odd.csv", "--table", "t", "--header"]).expect(64).says(&[
        "custmer_id",
        "customer_id",
        "--map",
        "--columns",
    ]);
    place.run(["odd.csv", "--table", "t", "--map", "custmer_id=customer_id"]).expect(0);
    place.run(["odd.csv", "--table", "t", "--columns", "name"]).expect(0);
    assert_eq!(
        place.sqlite("SELECT customer_id, name FROM t ORDER BY rowid"),
        [row(["1", "a"]), vec![None, Some("a".into())]]
    );
}

#[test]
fn files_with_different_headers() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,a\n");
    place.write("b.csv", "name,id\nb,2\n");
    place.run(["a.csv", "b.csv", "--table", "t"]).expect(66).says(&[
        "b.csv",
        "header differs",
        "a.csv",
    ]);
    assert!(
        !place.path("fastload.db").exists()
            || place.sqlite("SELECT * FROM sqlite_schema").is_empty()
    );
}

fn wide(columns: usize) -> String {
    let join =
        |cell: &dyn Fn(usize) -> String| (0..columns).map(cell).collect::<Vec<_>>().join(",");
    let header = join(&|at| format!("c{at}"));
    let body = join(&|at| at.to_string());
    format!("{header}\n{body}\n{body}\n")
}

#[test]
fn ten_thousand_columns() {
    let place = Place::new();
    place.write("wide.csv", wide(10_000));
    let run = place.run(["wide.csv", "--table", "t", "--to", "null:", "--output", "json"]);
    assert_eq!(run.expect(0).json()["totals"]["rows_loaded"], 2);
    place.run(["wide.csv", "--table", "t"]).expect(4).says(&["2000", "10000", "--columns"]);
    // The most that SQLite takes by default.
    place.write("most.csv", wide(2_000));
    place.run(["most.csv", "--table", "t"]).expect(0);
    assert_eq!(place.sqlite_value("SELECT sum(c1999) FROM t"), "3998");
}

#[test]
fn file_names_of_every_kind() {
    for name in [
        &b"with space.csv"[..],
        b"new\nline.csv",
        b"\xff\xfe.csv",
        b"-dash.csv",
        b"[x]*.csv",
        b"quote'\";.csv",
        "\u{e4}\u{1b}[31m.csv".as_bytes(),
    ] {
        let name = OsStr::from_bytes(name);
        let place = Place::new();
        place.write(name, "id,name\n1,ada\nx,eve\n2,grace\n");
        let mut arguments: Vec<OsString> =
            ["--table", "t", "--schema", "id INT, name TEXT", "--max-errors", "1", "--output"]
                .map(OsString::from)
                .to_vec();
        arguments.extend(["json".into(), "--".into(), name.to_owned()]);
        let run = place.run(&arguments).expect(2);
        assert_eq!(run.json()["totals"]["rows_rejected"], 1, "{name:?}");
        small_rows_are_in(&place);
        let mut rejects = name.to_owned();
        rejects.push(".rejects");
        assert_eq!(place.read(&rejects), b"x,eve\n");
        // The names reach the terminal without control characters.
        let run = place.run(arguments[..4].iter().chain(&arguments[8..]));
        assert!(!run.expect(5).stderr.contains('\u{1b}'));
    }
}

#[test]
fn a_file_given_twice() {
    let place = Place::new();
    place.write("a.csv", SMALL);
    for twice in [["a.csv", "a.csv"], ["a.csv", "./a.csv"], ["*.csv", "a.csv"]] {
        place.run(twice.into_iter().chain(["--table", "t"])).expect(64).says(&["a.csv", "twice"]);
    }
}

#[test]
fn globs_and_lists() {
    let place = Place::new();
    place.write("p1.csv", "id,name\n1,ada\n");
    place.write("p2.csv", "id,name\n2,grace\n");
    place.write("list", "p2.csv\np1.csv\n");
    for argument in ["p*.csv", "@list"] {
        let run = place.run([argument, "--table", "t", "--mode", "truncate", "--yes"]);
        run.expect(0);
        small_rows_are_in(&place);
    }
}

#[test]
fn rejects_of_several_files() {
    let place = Place::new();
    place.write("a.csv", "id\n1\nx\n");
    place.write("b.csv", "id\ny\n2\n");
    fs::create_dir(place.path("bad")).expect("a directory");
    let run = place.run([
        "a.csv",
        "b.csv",
        "--table",
        "t",
        "--schema",
        "id INT",
        "--header",
        "--max-errors",
        "all",
        "-d",
        ",",
        "--rejects",
        "bad",
        "--output",
        "json",
    ]);
    let report = run.expect(2).json();
    assert_eq!(place.read("bad/a.csv.rejects"), b"x\n");
    assert_eq!(place.read("bad/b.csv.rejects"), b"y\n");
    assert_eq!(report["files"][1]["rows_rejected"], 1);
    assert!(!place.path("a.csv.rejects").exists());
    let mode = |name: &str| {
        fs::metadata(place.path(name)).expect("the file is there").permissions().mode() & 0o777
    };
    assert_eq!((mode("bad/a.csv.rejects"), mode("bad/a.csv.rejects.jsonl")), (0o600, 0o600));
    // A file cannot take the rejects of two.
    place.write("c.csv", "id\n1\n");
    place
        .run(["a.csv", "c.csv", "--table", "t", "--header", "-d", ",", "--rejects", "c.csv"])
        .expect(64);
}

#[test]
fn closed_outputs_do_not_end_a_load() {
    let place = Place::new();
    place.write("a.csv", SMALL);
    let mut child = place
        .command()
        .args(["a.csv", "--table", "t"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("the program ends").code(), Some(0));
    small_rows_are_in(&place);
}

#[test]
fn no_output_takes_the_place_of_another_file() {
    let place = Place::new();
    place.write("a.csv", SMALL);
    place.write("b.csv", "id,name\nx,eve\n");
    fs::hard_link(place.path("a.csv"), place.path("same.csv")).expect("a link");
    place.run(["a.csv", "--table", "t"]).expect(0);
    let before = place.read("fastload.db");
    // Never a device of the machine: root's reject file would take its place.
    let made = Command::new("mkfifo").arg(place.path("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    for output in [
        ["--events", "b.csv"],
        ["--events", "fastload.db"],
        ["--log-file", "./b.csv"],
        ["--rejects", "fastload.db"],
        ["--rejects", "b.csv"],
        ["--rejects", "no/such/r"],
        ["--rejects", "pipe"],
        ["--to", "csv:b.csv"],
    ] {
        let load = ["b.csv", "--table", "t", "--max-errors", "all"];
        let run = place.run(load.iter().chain(&output)).expect(64);
        assert_eq!(run.stdout, "", "{output:?}");
    }
    place.run(["same.csv", "--table", "t", "--events", "a.csv"]).expect(64);
    place
        .run(["a.csv", "--table", "t", "--events", "e", "--log-file", "e"])
        .expect(64)
        .says(&["--log-file", "--events"]);
    assert_eq!(place.read("a.csv"), SMALL.as_bytes());
    assert!(place.read("fastload.db") == before);
}
