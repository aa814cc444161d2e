//! Inputs that are no ordinary files.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::thread;

use crate::case::reasons;
use crate::support::{Place, Run, row, start};

const SMALL: &str = "id,name\n1,ada\n2,grace\n";
const LOAD: [&str; 6] = ["--table", "t", "--dialect", "csv", "--schema", "id INT, name TEXT"];

#[track_caller]
fn small_rows_are_in(place: &Place) {
    let rows = place.sqlite("SELECT id, name FROM t ORDER BY id");
    assert_eq!(rows, [row(["1", "ada"]), row(["2", "grace"])]);
}

#[test]
fn a_link_to_a_file() {
    let place = Place::new();
    fs::create_dir(place.path("far")).expect("a directory");
    place.write("far/real.csv", format!("{SMALL}x,eve\n"));
    symlink("far/real.csv", place.path("link.csv")).expect("a link");
    place.run(["link.csv", "--max-errors", "1"].iter().chain(&LOAD)).expect(2);
    small_rows_are_in(&place);
    // The rejects stand beside the name that was given, and the link is still one.
    assert_eq!(place.read("link.csv.rejects"), b"x,eve\n");
    assert!(place.path("link.csv").symlink_metadata().expect("it is there").is_symlink());
    // A link to a link to itself.
    symlink("loop.csv", place.path("loop.csv")).expect("a link");
    place.run(["loop.csv"].iter().chain(&LOAD)).expect(66).says(&["loop.csv"]);
    // The same file under both names is one file twice.
    place.run(["link.csv", "far/real.csv"].iter().chain(&LOAD)).expect(64).says(&["twice"]);
}

#[test]
fn a_file_under_proc() {
    let place = Place::new();
    let load = ["/proc/sys/kernel/ostype", "--table", "t", "--dialect", "csv", "--no-header"];
    let more = ["--schema", "name TEXT", "--rejects", "r"];
    for io in ["mmap", "read", "uring"] {
        place.run(load.iter().chain(&more).chain(&["--io", io])).expect(0);
    }
    assert_eq!(place.sqlite("SELECT DISTINCT name FROM t"), [row(["Linux"])]);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "3");
}

#[test]
fn standard_input_by_its_name() {
    let arguments: Vec<&str> =
        ["/dev/stdin", "--rejects", "r"].iter().chain(&LOAD).copied().collect();
    let place = Place::new();
    place.run_piped(&arguments, SMALL.as_bytes()).expect(0);
    small_rows_are_in(&place);
    let place = Place::new();
    let file = File::open(place.write("in.csv", SMALL)).expect("the file opens");
    Run::of(place.command().args(&arguments).stdin(file)).expect(0);
    small_rows_are_in(&place);
    // Nothing on it, and closed.
    Run::of(place.command().args(&arguments).stdin(Stdio::null())).expect(66).says(&["/dev/stdin"]);
    let closed = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" <&-", env!("CARGO_BIN_EXE_fastload")])
        .args(&arguments)
        .current_dir(place.path(""))
        .output()
        .expect("sh runs");
    assert_eq!(closed.status.code(), Some(66), "{closed:?}");
}

/// Nobody has written yet, one writer goes away in the middle of a record, and an end without data.
#[test]
fn pipes_that_end_early() {
    for (text, rows, status) in [
        ("id,name\n1,ada\n2,gra", 2, 0),
        ("id,name\n1,ada\n2", 1, 2),
        ("id,na", 0, 66),
        ("", 0, 66),
    ] {
        let place = Place::new();
        let pipe = place.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        let child = start(place.command().arg("pipe").args(LOAD).args(["--max-errors", "all"]));
        let writer = thread::spawn(move || {
            let mut pipe = OpenOptions::new().write(true).open(pipe).expect("the pipe opens");
            pipe.write_all(text.as_bytes()).expect("the program reads");
        });
        Run::end_of(child).expect(status);
        writer.join().expect("the writer ends");
        if rows > 0 {
            assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), rows.to_string(), "{text:?}");
        }
    }
}

/// Records with bytes between them that were never written: one record of zeros, which is too long,
/// and costs neither memory nor its neighbours, whichever way it comes.
#[test]
fn a_file_with_a_hole() {
    for way in ["mmap", "read", "uring"] {
        let place = Place::new();
        let file = File::create(place.path("in.csv")).expect("a file can be made");
        let hole = write_around_a_hole(file);
        let run = place.run(["in.csv", "--io", way].iter().chain(&LOAD).chain(&HOLE));
        hole_is_one_reject(&place, run, hole);
    }
    let place = Place::new();
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let child = start(place.command().arg("pipe").args(LOAD).args(HOLE));
    let writer = thread::spawn(move || {
        let mut pipe = OpenOptions::new().write(true).open(pipe).expect("the pipe opens");
        let file = tempfile::tempfile().expect("a file can be made");
        let mut copy = file.try_clone().expect("a file can be opened twice");
        let hole = write_around_a_hole(file);
        copy.rewind().expect("a file can be read again");
        std::io::copy(&mut copy, &mut pipe).expect("the program reads");
        hole
    });
    let run = Run::end_of(child);
    hole_is_one_reject(&place, run, writer.join().expect("the writer ends"));
}

const HOLE: [&str; 8] =
    ["--max-errors", "1", "--output", "json", "--rejects", "r", "--comment", "#"];

fn write_around_a_hole(mut file: File) -> i64 {
    let hole = 300 << 20;
    // Behind as many comments as the dialect is told from.
    let comments = "#\n".repeat(5_000);
    file.write_all(format!("id,name\n1,ada\n{comments}").as_bytes()).expect("room for the file");
    file.seek(SeekFrom::Current(hole)).expect("files may have holes");
    file.write_all(b"\n2,grace\n").expect("room for the file");
    hole
}

fn hole_is_one_reject(place: &Place, run: Run, hole: i64) {
    let report = run.expect(2).json();
    small_rows_are_in(place);
    let reason = &reasons(place, "r")[0];
    assert_eq!(
        (&reason["code"], &reason["line"], &reason["byte_length"]),
        (&"FL-0304".into(), &5_003.into(), &(hole + 1).into())
    );
    let peak = report["peak_rss_bytes"].as_u64().expect("a number");
    assert!(peak < 128 << 20, "{peak} bytes");
}

#[test]
fn devices_and_sockets_are_no_inputs() {
    let place = Place::new();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).expect("a socket");
    place.run(["socket"].iter().chain(&LOAD)).expect(66).says(&["socket"]);
    place.run(["/dev/null", "--rejects", "r"].iter().chain(&LOAD)).expect(66).says(&["/dev/null"]);
}
