//! A process that holds a password leaves no core dump and lets nobody look into it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::support::{Place, start};

/// A shell that raises the limit as far as it may before it becomes something else.
fn raised(place: &Place, then: &str) -> Command {
    let template = place.command();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit -S -c \"$(ulimit -H -c)\"; {then}"));
    command.arg("sh").arg(template.get_program()).current_dir(place.path(""));
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::piped());
    command
}

/// A load that waits for more input, and its directory below /proc.
fn waiting(command: &mut Command) -> (Child, PathBuf) {
    let mut child = start(command);
    let files = PathBuf::from("/proc").join(child.id().to_string());
    child.stdin.as_mut().unwrap().write_all(b"id,name\n1,ada\n").unwrap();
    while fs::read_dir(files.join("task")).map_or(2, Iterator::count) < 2 {
        std::thread::yield_now();
    }
    (child, files)
}

const LOAD: &str = "exec \"$1\" - --table t --rejects r --dialect csv";

/// The most that a core file may have, as the kernel shows it.
fn core_limits(files: &std::path::Path) -> [String; 2] {
    let limits = fs::read_to_string(files.join("limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let mut words = line["Max core file size".len()..].split_whitespace();
    [words.next().unwrap().to_owned(), words.next().unwrap().to_owned()]
}

fn dumped(child: &mut Child) -> ExitStatus {
    let id = child.id().to_string();
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &format!("kill -QUIT {id}")])
            .status()
            .unwrap()
            .success()
    );
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(3), "{status:?}");
    status
}

/// Whether a core dump would be left here if nothing prevented it.
fn dumps_here(place: &Place) -> bool {
    let mut child = start(&mut raised(place, "kill -QUIT $$"));
    child.wait().unwrap().core_dumped()
}

#[test]
fn no_core_is_left_unless_it_is_asked_for() {
    let place = Place::new();
    let is_possible = dumps_here(&place);
    let (mut child, files) = waiting(&mut raised(&place, LOAD));
    assert_eq!(core_limits(&files), ["0", "0"]);
    assert!(!dumped(&mut child).core_dumped());

    let mut asked = raised(&place, LOAD);
    let (mut child, files) = waiting(asked.env("FASTLOAD_CORE_DUMPS", "1"));
    let [soft, hard] = core_limits(&files);
    assert_eq!(soft, hard, "as the shell has set it");
    assert_eq!(dumped(&mut child).core_dumped(), is_possible);
}

/// As a user who is not root, where there is a difference: what others of the same user may read
/// of the process, and that the process itself still reads what it needs.
#[test]
fn the_memory_is_closed_to_others_and_not_to_the_process() {
    let place = Place::new();
    let program = PathBuf::from(place.command().get_program());
    let everybody = |path: PathBuf| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    };
    everybody(place.path(""));
    let copy = place.path("fastload");
    fs::copy(program, &copy).unwrap();
    everybody(copy);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let user = if is_root { 65_534 } else { fs::metadata("/proc/self").unwrap().uid() };
    for (asked, owner) in [("", 0), ("1", user)] {
        let drop = if is_root {
            "exec setpriv --reuid 65534 --regid 65534 --clear-groups"
        } else {
            "exec"
        };
        let load = "./fastload - --table t --rejects r --dialect csv --output json";
        let mut command = raised(&place, &format!("{drop} {load}"));
        let (mut child, files) = waiting(command.env("FASTLOAD_CORE_DUMPS", asked));
        // setpriv itself is there for a moment, as the user.
        let environ = files.join("environ");
        while !fs::read(files.join("comm")).unwrap().starts_with(b"fastload")
            || fs::read_dir(files.join("task")).unwrap().count() < 2
        {
            std::thread::yield_now();
        }
        assert_eq!(fs::metadata(environ).unwrap().uid(), owner);
        drop_input(&mut child);
        let run = crate::support::Run::end_of(child).expect(0);
        assert_eq!(run.json()["totals"]["rows_loaded"], 1);
        assert!(run.json()["peak_rss_bytes"].as_u64().unwrap() > 0, "it reads its own files");
        // Its own standard input by a name below /proc, from a pipe of the same user.
        let pipe = "printf 'id,name\\n1,ada\\n' | ./fastload /dev/stdin --to null: --rejects r";
        let mut shell = raised(&place, &format!("{drop} /bin/sh -c \"{pipe}\""));
        crate::support::Run::of(shell.env("FASTLOAD_CORE_DUMPS", asked)).expect(0);
    }
}

fn drop_input(child: &mut Child) {
    drop(child.stdin.take());
}
