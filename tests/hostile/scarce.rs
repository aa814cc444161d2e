//! Little memory, few descriptors, no room on the disk, no right to write there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output};

use crate::aftermath::Nightly;
use crate::support::{Place, Run};

/// Runs a load in a shell that has set its limits, and again without them.
fn limited(nightly: &Nightly, limit: &str) -> Output {
    let place = nightly.place();
    let shell = format!("{limit}; exec \"$0\" \"$@\"");
    let output = Nightly::run(&place, "sh", &["-c", &shell]);
    nightly.check(&place, &output, limit);
    nightly.finish(&place, &output, limit);
    output
}

/// From what the dynamic linker needs up to enough.
#[test]
fn little_address_space() {
    let mut statuses = Vec::new();
    for kilobytes in (16_000..64_000).step_by(2_000).chain([100_000, 200_000, 400_000]) {
        let output = limited(&Nightly::SMALL, &format!("ulimit -v {kilobytes}"));
        statuses.push(output.status.code());
    }
    assert!(statuses.contains(&Some(8)), "no limit was too small: {statuses:?}");
    assert!(statuses.contains(&Some(2)), "no limit was enough: {statuses:?}");
}

#[test]
fn few_descriptors() {
    let mut statuses = Vec::new();
    for files in 4..40 {
        let output = limited(&Nightly::SMALL, &format!("ulimit -n {files}"));
        statuses.push(output.status.code());
    }
    assert!(statuses.contains(&Some(66)) && statuses.contains(&Some(8)), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&Some(2)));
}

/// The limit of a file's size: a megabyte of rejects does not fit, the table does. 512 bytes a
/// block.
#[test]
fn no_room_for_the_rejects() {
    let mut statuses = Vec::new();
    for kilobytes in [40, 100, 300, 500, 900, 1_500] {
        let output = limited(&Nightly::WIDE_REJECTS, &format!("ulimit -f {}", kilobytes * 2));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(8) {
            assert!(stderr.contains("rejects") && stderr.contains("File too large"), "{stderr}");
        }
        statuses.push(output.status.code());
    }
    assert!(statuses.contains(&Some(8)), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&Some(2)));
}

/// A real file system of one megabyte, in a mount namespace of its own.
#[test]
fn a_full_file_system_under_the_rejects() {
    let nightly = Nightly::WIDE_REJECTS;
    for kilobytes in [64, 256, 1_000, 8_000] {
        let place = nightly.place();
        fs::create_dir(place.path("small")).expect("a directory");
        // What is in the small file system goes with its namespace, so it is copied out.
        let shell = format!(
            "mount -t tmpfs -o size={kilobytes}k none small || exit 99; \"$0\" \"$@\"; status=$?; \
             for f in small/*; do [ ! -e \"$f\" ] || cp -a \"$f\" .; done; exit $status"
        );
        let arguments = ["-rm", "sh", "-c", &shell];
        let more = ["--rejects", "small/in.csv.rejects"];
        let output = Nightly::run_with(&place, "unshare", &arguments, &more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(99) || stderr.contains("unshare failed") {
            eprintln!("nothing was tested: no file system can be mounted here: {stderr}");
            return;
        }
        // The file system is gone with its rejects: no second load.
        nightly.check(&place, &output, &format!("{kilobytes} KiB for the rejects"));
        let expected = if kilobytes == 8_000 { 2 } else { 8 };
        assert_eq!(output.status.code(), Some(expected), "{kilobytes}: {stderr}");
        assert!(expected == 2 || stderr.contains("No space left"), "{stderr}");
    }
}

/// The log is no part of the load: it goes on, and says once that the log is at its end. What was
/// to be kept of the result is asked for, so that its loss is an error, but one that hides nothing.
#[test]
fn a_full_disk_under_log_and_events() {
    let place = Nightly::SMALL.place();
    let log = ["--log-file", "/dev/full", "-vv", "--pin-cores"];
    let output = Nightly::run_with(&place, "env", &["--"], &log);
    Nightly::SMALL.check(&place, &output, "a full disk under the log");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.matches("--log-file cannot be written any more").count(), 1, "{stderr}");
    let place = Nightly::SMALL.place();
    let output = Nightly::run_with(&place, "env", &["--"], &["--events", "/dev/full"]);
    Nightly::SMALL.check(&place, &output, "a full disk under the events");
    assert_eq!(output.status.code(), Some(8));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the result");
    assert_eq!(report["totals"]["rows_loaded"], 135);
    // Standard error itself on the full disk, as a nightly job's log is.
    let place = Place::new();
    place.write("in.csv", SMALL);
    for (more, status) in [("all", 2), ("0", 5)] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full opens");
        let options = [more, "-vv", "--rejects", more, "--restart", "new", "--pin-cores"];
        Run::of(place.command().args(LOAD).args(options).stderr(full)).expect(status);
    }
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "2");
    // A load that fails says why, whatever becomes of its events and of its result.
    let place = Place::new();
    place.write("in.csv", "id\n1\nx\n");
    let load = ["in.csv", "--table", "t", "--schema", "id INT", "--dialect", "csv"];
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full opens");
    Run::of(place.command().args(load).args(["--events", "/dev/full"]).stdout(full))
        .expect(5)
        .says(&["in.csv:3", "is unfinished", "--events"]);
}

const SMALL: &str = "id,name\n1,ada\nx,eve\n2,grace\n";
const LOAD: [&str; 8] =
    ["in.csv", "--table", "t", "--dialect", "csv", "--schema", "id INT, name TEXT", "--max-errors"];

/// Links with the names of the reject files, and a directory of their parts.
#[test]
fn names_of_reject_files_that_are_taken() {
    let place = Place::new();
    place.write("in.csv", SMALL);
    let victim = place.write("victim", "precious\n");
    for name in ["in.csv.rejects", "in.csv.rejects.jsonl"] {
        symlink(&victim, place.path(name)).expect("a link");
    }
    place.run(LOAD.iter().chain(&["1"])).expect(2);
    assert_eq!(place.read("victim"), b"precious\n");
    assert_eq!(place.read("in.csv.rejects"), b"x,eve\n");
    for name in ["in.csv.rejects", "in.csv.rejects.jsonl"] {
        let data = place.path(name).symlink_metadata().expect("it is there");
        assert!(data.is_file(), "{name} is no link any more");
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{name}");
    }
    for planted in ["link", "directory"] {
        let place = Place::new();
        place.write("in.csv", SMALL);
        fs::create_dir(place.path("elsewhere")).expect("a directory");
        let parts = place.path("in.csv.rejects.parts");
        match planted {
            "link" => symlink("elsewhere", &parts).expect("a link"),
            _ => fs::create_dir(&parts).expect("a directory"),
        }
        place.run(LOAD.iter().chain(&["1"])).expect(64).says(&["in.csv.rejects.parts"]);
        assert_eq!(fs::read_dir(place.path("elsewhere")).expect("it is there").count(), 0);
        if place.path("fastload.db").exists() {
            let tables = place.sqlite("SELECT name FROM sqlite_schema WHERE name = 't'");
            assert!(tables.is_empty() || place.sqlite("SELECT * FROM t").is_empty());
        }
    }
    // A directory where the file should be.
    let place = Place::new();
    place.write("in.csv", SMALL);
    fs::create_dir(place.path("d")).expect("a directory");
    let run = place.run(LOAD.iter().chain(&["1", "--rejects", "d"]));
    assert!([2, 64].contains(&run.status), "{run:?}");
    assert_eq!(place.read(if run.status == 2 { "d/in.csv.rejects" } else { "in.csv" }).len(), {
        if run.status == 2 { "x,eve\n".len() } else { SMALL.len() }
    });
}

/// Root may write everywhere, so the program is run as somebody else.
#[test]
fn no_right_to_write_the_rejects() {
    let place = Place::new();
    place.write("in.csv", SMALL);
    fs::create_dir(place.path("closed")).expect("a directory");
    for (name, mode) in [("", 0o755), ("closed", 0o555), ("in.csv", 0o644)] {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(place.path(name), mode).expect("a mode");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_fastload")).args(LOAD).args(["1", "--to", "null:"]);
    for rejects in [&[][..], &["--rejects", "closed/r"], &["--rejects", "closed"]] {
        let mut run = Command::new("setpriv");
        run.args(command.get_args()).args(rejects).current_dir(place.path(""));
        let output = run.output().expect("setpriv runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("setpriv:") {
            eprintln!("nothing was tested: {stderr}");
            return;
        }
        assert_eq!(output.status.code(), Some(64), "{rejects:?}: {stderr}");
        assert!(stderr.contains("--rejects"), "{stderr}");
    }
    assert_eq!(fs::read_dir(place.path("closed")).expect("it is there").count(), 0);
}
