//! A call into the system that fails: the first one, the second one, and so on until the load no
//! longer comes to it; once, and from then on. strace makes the calls fail, so the program is the
//! one that users run. Each thread counts its own calls.

use std::process::Command;

use crate::aftermath::Nightly;
use crate::support::Place;

/// Never reached: a sweep that does not end is an error.
const CALLS_MAX: u32 = 1_000;

/// Whether strace can inject errors here; a container may forbid it to trace.
#[expect(clippy::print_stderr, reason = "a case that tests nothing must say so")]
fn can_inject() -> bool {
    let place = Place::new();
    let inject = ["-f", "-qq", "-o", "trace", "-e", "inject=write:error=EIO", "true"];
    let done = Command::new("strace").args(inject).current_dir(place.path("")).status();
    let can = done.is_ok_and(|status| status.success());
    if !can {
        eprintln!("nothing was tested: strace is not there or may not trace");
    }
    can
}

/// Fails the calls of one kind in turn, and checks what is left each time.
fn sweep(calls: &str, error: &str, from_then_on: bool) {
    if !can_inject() {
        return;
    }
    for number in 1..CALLS_MAX {
        let and_all = if from_then_on { "+" } else { "" };
        let inject = format!("inject={calls}:error={error}:when={number}{and_all}");
        let trace = format!("trace={calls}");
        let place = Nightly::SMALL.place();
        let arguments = ["-f", "-qq", "--seccomp-bpf", "-o", "trace", "-e", &trace, "-e", &inject];
        let output = Nightly::run(&place, "strace", &arguments);
        Nightly::SMALL.check(&place, &output, &inject);
        Nightly::SMALL.finish(&place, &output, &inject);
        if !String::from_utf8_lossy(&place.read("trace")).contains("(INJECTED)") {
            // Without a fault it must have loaded, so the sweep has gone through all calls.
            assert_eq!(output.status.code(), Some(2));
            assert!(number > 1, "{calls} was never called");
            return;
        }
    }
    panic!("{calls} was called more than {CALLS_MAX} times");
}

#[test]
fn a_full_disk_under_the_files_of_the_program() {
    sweep("write", "ENOSPC", false);
    sweep("write", "ENOSPC", true);
}

#[test]
fn a_full_disk_under_the_database() {
    sweep("pwrite64", "ENOSPC", false);
    sweep("pwrite64", "ENOSPC", true);
}

#[test]
fn a_disk_that_fails_under_the_database() {
    sweep("pwrite64", "EIO", true);
    sweep("pread64", "EIO", false);
}

#[test]
fn data_that_does_not_reach_the_disk() {
    sweep("fdatasync,fsync", "EIO", false);
    sweep("fdatasync,fsync", "EIO", true);
}

#[test]
fn files_that_cannot_be_opened() {
    sweep("openat,open", "EMFILE", false);
    sweep("openat,open", "EACCES", true);
}

#[test]
fn files_that_cannot_be_renamed_or_removed() {
    sweep("rename,renameat,renameat2", "EIO", false);
    sweep("unlink,unlinkat,rmdir", "EIO", false);
    sweep("mkdir,mkdirat", "ENOSPC", false);
}

#[test]
fn files_that_cannot_be_looked_at() {
    sweep("newfstatat,fstat,statx,lseek", "EIO", false);
}

#[test]
fn memory_that_cannot_be_had() {
    sweep("mmap", "ENOMEM", false);
    sweep("mmap", "ENOMEM", true);
    sweep("mprotect", "ENOMEM", false);
}

#[test]
fn threads_that_cannot_be_started() {
    sweep("clone3,clone", "EAGAIN", false);
    sweep("clone3,clone", "EAGAIN", true);
}

#[test]
fn an_input_that_cannot_be_read() {
    sweep("read", "EIO", false);
}
