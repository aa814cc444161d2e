//! Signals that come twice or from a terminal that is gone, and outputs that nobody reads.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Place, Run, row, start};

/// A bit of a mask in the state that the kernel shows of a process.
fn has_signal(child: &Child, mask: &str, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let status = status.expect("the process is there");
    let mask = status.lines().find_map(|line| line.strip_prefix(mask)).expect("a mask");
    let bits = u64::from_str_radix(mask.trim_start_matches(':').trim(), 16).expect("a mask");
    bits & (1 << (signal - 1)) != 0
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

const INT: u32 = 2;
const HUP: u32 = 1;

/// Waits until the program takes a signal; without that it would end it.
fn wait_until_caught(child: &Child, signal: u32) {
    while !has_signal(child, "SigCgt", signal) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A statement that never ends keeps the first signal waiting; the second one does not wait.
#[test]
fn the_second_signal_ends_the_process() {
    for (name, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let place = Place::new();
        place.sqlite_run("CREATE TABLE t (id INTEGER)");
        place.write("in.csv", "id\n1\n2\n");
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       SELECT count(*) FROM n";
        let load = ["in.csv", "--table", "t", "--dialect", "csv", "--before", endless];
        let mut child = start(place.command().args(load));
        wait_until_caught(&child, INT);
        // Two that come at once may be one, so more are sent until it ends.
        while child.try_wait().expect("it can be asked").is_none() {
            send(&child, name);
            std::thread::sleep(Duration::from_millis(50));
        }
        Run::end_of(child).expect(status);
        assert_eq!(place.sqlite("SELECT count(*) FROM t"), [row(["0"])]);
        assert_eq!(place.sqlite("PRAGMA integrity_check"), [row(["ok"])]);
    }
}

/// A load from a pipe that is open and has given some records.
fn from_a_pipe(place: &Place, command: &mut Command) -> (Child, std::fs::File) {
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let child = start(command);
    let mut pipe = OpenOptions::new().write(true).open(pipe).expect("the program opens it");
    pipe.write_all("1234567\n".repeat(1 << 17).as_bytes()).expect("the program reads");
    (child, pipe)
}

const PIPE: [&str; 9] =
    ["pipe", "--table", "t", "--schema", "id INT", "--dialect", "csv", "--no-header", "--output"];

#[test]
fn a_terminal_that_goes_away() {
    let place = Place::new();
    let (child, pipe) = from_a_pipe(&place, place.command().args(PIPE).arg("json"));
    send(&child, "HUP");
    let run = Run::end_of(child).expect(129);
    drop(pipe);
    let report = run.json();
    assert_eq!((&report["status"], &report["exit_code"]), (&"stopped".into(), &129.into()));
    let loaded = report["totals"]["rows_loaded"].to_string();
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), loaded);
}

/// nohup has the signal ignored, and so it stays.
#[test]
fn a_terminal_that_may_go_away() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_fastload")]);
    command.args(PIPE).arg("json").current_dir(place.path(""));
    let (child, pipe) = from_a_pipe(&place, &mut command);
    assert!(has_signal(&child, "SigIgn", HUP));
    send(&child, "HUP");
    drop(pipe);
    let report = Run::end_of(child).expect(0).json();
    assert_eq!(report["totals"]["rows_loaded"], 1 << 17);
}

/// The reader of the result is gone: everything is loaded, and the status says that the result
/// reached nobody.
#[test]
fn a_result_that_nobody_reads() {
    let place = Place::new();
    place.write("in.csv", "id,name\n1,ada\n2,grace\n");
    let load = ["in.csv", "--table", "t", "--dialect", "csv", "--output", "json"];
    let mut command = place.command();
    command.args(load).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = Run::of(command.stdout(writer)).expect(8).says(&["standard output"]);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert_eq!(place.sqlite("SELECT name FROM t ORDER BY id"), [row(["ada"]), row(["grace"])]);
    // Without any standard descriptors: none of the files that are opened may take their places.
    let place = Place::new();
    place.write("in.csv", "id,name\n1,ada\n2,grace\n");
    let status = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-", env!("CARGO_BIN_EXE_fastload")])
        .args(load)
        .arg("-vv")
        .current_dir(place.path(""))
        .status()
        .expect("sh runs");
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.sqlite("SELECT name FROM t ORDER BY id"), [row(["ada"]), row(["grace"])]);
    assert_eq!(place.sqlite("PRAGMA integrity_check"), [row(["ok"])]);
    assert_eq!(place.read("in.csv"), b"id,name\n1,ada\n2,grace\n");
}
