//! Files that a load writes: who may read them, and where a planted link leads.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use crate::support::{Place, Run, start};

const BAD: &str = "id,name\n1,ada\nx,eve\n3,grace\n";
const LOAD: [&str; 7] =
    ["--table", "t", "--schema", "id INT, name VARCHAR(9)", "--max-errors", "all", "--dialect=csv"];

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn rejects_are_private_whatever_the_umask() {
    let place = Place::new();
    place.write("a.csv", BAD);
    // An old reject file that everybody can read is replaced, not written into.
    place.write("a.csv.rejects", "old\n");
    fs::set_permissions(place.path("a.csv.rejects"), fs::Permissions::from_mode(0o666)).unwrap();
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(place.command().get_program());
    shell.current_dir(place.path("")).args(["a.csv", "--log-file", "log"]).args(LOAD);
    Run::of(&mut shell).expect(2);
    assert_eq!(place.read("a.csv.rejects"), b"x,eve\n");
    for name in ["a.csv.rejects", "a.csv.rejects.jsonl", "log"] {
        assert_eq!(mode(&place.path(name)), 0o600, "{name}");
    }
}

/// While the load runs, its rejects are in parts.
#[test]
fn the_parts_of_a_running_load_are_private() {
    let place = Place::new();
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(place.command().get_program());
    shell.current_dir(place.path("")).args(["-", "--rejects", "r"]);
    shell.args(["--batch-rows", "10", "--chunk-bytes", "4096"]);
    let mut child = start(shell.args(LOAD).stdin(Stdio::piped()));
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"id,name\n").unwrap();
    let parts = place.path("r.parts");
    let mut seen = false;
    for _ in 0..2_000 {
        input.write_all("x,eve\n1,ada\n".repeat(50).as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        seen = fs::read_dir(&parts).is_ok_and(|files| files.count() >= 3);
        if seen {
            break;
        }
    }
    assert!(seen, "no part was made");
    assert_eq!(mode(&parts), 0o700);
    for file in fs::read_dir(&parts).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    drop(input);
    Run::end_of(child).expect(2);
    assert!(!parts.exists());
}

#[test]
fn a_planted_link_at_the_rejects_is_replaced() {
    let place = Place::new();
    place.write("a.csv", BAD);
    let victim = place.write("victim", "precious");
    for name in ["a.csv.rejects", "a.csv.rejects.jsonl"] {
        symlink(&victim, place.path(name)).unwrap();
    }
    place.run(["a.csv"].into_iter().chain(LOAD)).expect(2);
    assert_eq!(place.read("victim"), b"precious");
    assert_eq!(place.read("a.csv.rejects"), b"x,eve\n");
    assert!(!place.path("a.csv.rejects").is_symlink());
}

#[test]
fn planted_parts_are_refused() {
    let place = Place::new();
    place.write("a.csv", BAD);
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("a.csv.rejects.parts")).unwrap();
    place.run(["a.csv"].into_iter().chain(LOAD)).expect(64).says(&["a.csv.rejects.parts"]);
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn planted_links_at_other_outputs_are_refused() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    for (flag, name) in [("--log-file", "log"), ("--events", "events"), ("--summary", "s.json")] {
        for (target, exists) in [("victim", true), ("not there", false)] {
            place.write("victim", "precious");
            let link = place.path(name);
            let _ = fs::remove_file(&link);
            symlink(place.path(target), &link).unwrap();
            let run = place.run(["a.csv", flag, name].into_iter().chain(LOAD));
            run.expect(8).says(&["symbolic link", name]);
            assert_eq!(place.read("victim"), b"precious", "{flag}");
            assert_eq!(place.path(target).exists(), exists, "{flag}");
            fs::remove_file(link).unwrap();
        }
        // A plain file of that name is written, and so are devices.
        place.run(["a.csv", flag, name].into_iter().chain(LOAD)).expect(0);
        assert!(place.path(name).is_file(), "{flag}");
    }
    place.run(["a.csv", "--events", "/dev/stderr"].into_iter().chain(LOAD)).expect(0);
}
