//! Inputs that others change while they are loaded: never a crash, never a load that is called
//! loaded, always the name of what changed.
//!
//! A pipe among the inputs, which the test feeds, holds the load where the change must come.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, Run, start};

/// Ids of the file begin here, those of the pipe at 0.
const FILE_IDS: usize = 1_000_000;

const FILE_ROWS: usize = 200_000;

/// Opening a pipe for writing fails as long as nobody has it open for reading.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

fn rows(ids: std::ops::Range<usize>) -> Vec<u8> {
    let mut text = b"id,name\n".to_vec();
    for id in ids {
        writeln!(text, "{id},name {id}").expect("memory");
    }
    text
}

/// Between two looks at a process that needs the processor itself.
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// A load of a file of some MB and of a pipe, in a place of its own.
struct Held {
    place: Place,
    child: Child,
    pipe: File,
}

impl Held {
    /// Starts the load and waits until it has opened both inputs.
    fn start(inputs: [&str; 2], io: &str) -> Self {
        let place = Place::new();
        place.write("a.csv", rows(FILE_IDS..FILE_IDS + FILE_ROWS));
        let made = Command::new("mkfifo").arg(place.path("pipe")).status();
        assert!(made.expect("mkfifo runs").success());
        let mut command = place.command();
        command.args(inputs).args(["--table", "t", "--schema", "id INT, name TEXT", "--header"]);
        command.args(["-d", ",", "--io", io, "--parsers", "2", "--chunk-bytes", "64KiB"]);
        let mut child = start(command.args(["--commit-rows", "5000", "--output", "json"]));
        // Inputs are opened in order: when the pipe has a reader, the file is open.
        let path = place.path("pipe");
        let waiting = |path| File::options().write(true).custom_flags(NONBLOCK).open(path);
        let probe = loop {
            match waiting(&path) {
                Ok(probe) => break probe,
                Err(_) if child.try_wait().expect("a child").is_none() => pause(),
                Err(error) => panic!("no load: {error}, {:?}", Run::end_of(child)),
            }
        };
        let pipe = File::options().write(true).open(path).expect("a reader");
        drop(probe);
        Self { place, child, pipe }
    }

    /// Waits until rows are committed.
    fn wait_for_rows(&mut self) {
        let path = self.place.path("fastload.db");
        let count = || {
            let database = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            database.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0))
        };
        // No table yet, or locked, or empty.
        while count().unwrap_or(0) == 0 {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the load ended: {ended:?}");
            pause();
        }
    }

    /// Changes the file while no thread of the load runs: it sees all of the change or nothing.
    fn change(&self, change: fn(&Path)) {
        let process = Pid::from_child(&self.child);
        let tasks = format!("/proc/{}/task", self.child.id());
        let stopped = |task: io::Result<fs::DirEntry>| {
            // Behind the name in parentheses; a thread that is gone runs no more.
            let stat = task.and_then(|task| fs::read_to_string(task.path().join("stat")));
            stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T')))
        };
        kill_process(process, Signal::STOP).expect("a child");
        while !fs::read_dir(&tasks).expect("a process").all(stopped) {
            pause();
        }
        change(&self.place.path("a.csv"));
        kill_process(process, Signal::CONT).expect("a child");
    }

    /// Ends the pipe; what the program then did.
    fn end(self) -> (Place, Run) {
        drop(self.pipe);
        (self.place, Run::end_of(self.child))
    }
}

/// A way to change a file, and words of the message that follows.
type Change = (&'static str, fn(&Path), &'static str);

fn writable(path: &Path) -> File {
    File::options().write(true).open(path).expect("it is there")
}

fn truncate(path: &Path, bytes: u64) {
    writable(path).set_len(bytes).expect("cut");
}

const SHORTER: &str = "its length went from";

const CUTS: [Change; 4] = [
    ("to nothing", |path| truncate(path, 0), SHORTER),
    ("at a page", |path| truncate(path, 1 << 20), SHORTER),
    ("mid page, behind a record", |path| cut_behind_a_record(path), SHORTER),
    ("mid record", |path| truncate(path, (1 << 20) + 1003), SHORTER),
];

/// The bytes up to the end of the record in the middle, which is at no page.
fn cut_behind_a_record(path: &Path) {
    let bytes = fs::read(path).expect("readable");
    let newline = bytes[1 << 20..].iter().position(|&byte| byte == b'\n').expect("records");
    truncate(path, ((1 << 20) + newline + 1) as u64);
}

const OTHERS: [Change; 6] = [
    (
        "cut and made long again",
        |path| {
            let bytes = fs::metadata(path).expect("it is there").len();
            truncate(path, (1 << 20) + 1003);
            truncate(path, bytes);
        },
        "it was written to",
    ),
    (
        "appended to",
        |path| {
            let mut file = writable(path);
            file.seek(SeekFrom::End(0)).expect("a file");
            file.write_all(b"5,five\n").expect("room");
        },
        SHORTER,
    ),
    (
        "overwritten",
        |path| writable(path).write_all_at(b"7", 1 << 20).expect("room"),
        "it was written to",
    ),
    (
        "overwritten, its time set back",
        |path| {
            let file = writable(path);
            let modified = file.metadata().and_then(|data| data.modified()).expect("fstat");
            file.write_all_at(b"7", 1 << 20).expect("room");
            file.set_modified(modified).expect("the owner may");
        },
        "its change time changed",
    ),
    (
        "replaced",
        |path| {
            let other = path.with_extension("new");
            fs::copy(path, &other).expect("room");
            fs::rename(other, path).expect("the same directory");
        },
        "it was replaced by another file",
    ),
    ("deleted", |path| fs::remove_file(path).expect("it is there"), "it was removed or renamed"),
];

/// The change comes when the file is open and no more than its head is read.
fn changed_before_it_is_read(io: &str, (name, change, words): Change) {
    let mut held = Held::start(["a.csv", "pipe"], io);
    held.change(change);
    // The load waits for the header of each input before it begins. It may be gone by now.
    let _ = held.pipe.write_all(&rows(0..10));
    let (place, run) = held.end();
    let run = run.expect(66).says(&["a.csv", "changed while it was read", words]);
    assert!(!run.stdout.contains("\"loaded\""), "{io}, {name}: {}", run.stdout);
    let rows = Connection::open(place.path("fastload.db"))
        .and_then(|database| {
            database.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0))
        })
        .unwrap_or(0);
    assert_eq!(rows, 0, "{io}, {name}");
}

/// The change comes when rows of the pipe are committed, before the file's turn.
fn changed_while_rows_are_committed(io: &str, (name, change, words): Change) {
    let mut held = Held::start(["pipe", "a.csv"], io);
    held.pipe.write_all(&rows(0..100_000)).expect("the load reads");
    held.wait_for_rows();
    held.change(change);
    let (place, run) = held.end();
    let run = run.expect(66).says(&["a.csv", "changed while it was read", words]);
    let report = run.json();
    assert_eq!(report["status"], "failed", "{io}, {name}");
    let total = place.sqlite_value("SELECT count(*) FROM t");
    assert_eq!(report["totals"]["rows_loaded"].to_string(), total, "{io}, {name}");
    let of_file = place.sqlite_value(&format!("SELECT count(*) FROM t WHERE id >= {FILE_IDS}"));
    assert_eq!(of_file, "0", "{io}, {name}");
}

#[test]
fn cut_short_before_it_is_read() {
    for io in ["mmap", "read", "uring"] {
        for change in CUTS {
            changed_before_it_is_read(io, change);
        }
    }
}

#[test]
fn cut_short_while_rows_are_committed() {
    for io in ["mmap", "read", "uring"] {
        for change in CUTS {
            changed_while_rows_are_committed(io, change);
        }
    }
}

#[test]
fn changed_otherwise() {
    for io in ["mmap", "read", "uring"] {
        for change in OTHERS {
            changed_before_it_is_read(io, change);
            changed_while_rows_are_committed(io, change);
        }
    }
}

/// The zeros behind a cut look like a bad record, which is not what went wrong.
#[test]
fn a_cut_is_not_taken_for_bad_records() {
    let mut held = Held::start(["a.csv", "pipe"], "mmap");
    held.change(|path| truncate(path, (1 << 20) + 1003));
    // It may be gone by now: a change is seen at the head of the file, too.
    let _ = held.pipe.write_all(&rows(0..10));
    let (place, run) = held.end();
    let run = run.expect(66).says(&["its length went from"]);
    assert!(!run.stderr.contains("FL-03"), "{}", run.stderr);
    assert!(!place.path("a.csv.rejects").exists());
}

#[test]
fn a_file_that_somebody_writes_to_is_warned_about() {
    let place = Place::new();
    place.write("a.csv", rows(0..10));
    let load = ["a.csv", "--table", "t", "--mode", "append"];
    let writer = writable(&place.path("a.csv"));
    let run = place.run(load).expect(0).says(&["a.csv: a process has it open for writing"]);
    assert!(!run.stderr.contains("SIGBUS"), "{}", run.stderr);
    drop(writer);
    let run = place.run(load).expect(0);
    assert!(!run.stderr.contains("open for writing"), "{}", run.stderr);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "20");
}
