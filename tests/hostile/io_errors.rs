//! A call into the system that fails: the first one, the second one, and so on until the load no
//! longer comes to it; once, and from then on. strace makes the calls fail, so the program is the
//! one that users run. Each thread counts its own calls. Behind the thirtieth call the steps grow,
//! unless `FASTLOAD_TEST_EVERY_CALL` is set.

use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use crate::aftermath::Nightly;
use crate::support::Place;

/// Never reached: a sweep that does not end is an error.
const CALLS_MAX: u32 = 1_000;

/// Loads at a time: most of what they do after a fault is wait before they try again.
const LOADS_AT_A_TIME: usize = 8;

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

/// From one call that fails to the next one.
fn step(number: u32) -> u32 {
    let all = number < 30 || std::env::var_os("FASTLOAD_TEST_EVERY_CALL").is_some();
    if all { 1 } else { number / 10 }
}

/// The calls that fail in turn.
fn numbers() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1), |&number| Some(number + step(number)))
        .take_while(|&number| number < CALLS_MAX)
}

/// Fails the calls of one kind in turn, and checks what is left each time.
fn sweep(calls: &str, error: &str, from_then_on: bool) {
    if !can_inject() {
        return;
    }
    let mut numbers = numbers().peekable();
    while numbers.peek().is_some() {
        let some: Vec<u32> = numbers.by_ref().take(LOADS_AT_A_TIME).collect();
        let is_swept = thread::scope(|scope| {
            let loads: Vec<_> = some
                .iter()
                .map(|&number| scope.spawn(move || comes_to(calls, error, number, from_then_on)))
                .collect();
            // The first panic is that of the test; the others have been printed too.
            let come: Vec<bool> = loads
                .into_iter()
                .map(|load| load.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect();
            come.contains(&false)
        });
        if is_swept {
            return;
        }
    }
    panic!("{calls} was called more than {CALLS_MAX} times");
}

/// Whether a load comes to the call that is to fail; without a fault it must have loaded.
fn comes_to(calls: &str, error: &str, number: u32, from_then_on: bool) -> bool {
    let and_all = if from_then_on { "+" } else { "" };
    let inject = format!("inject={calls}:error={error}:when={number}{and_all}");
    let trace = format!("trace={calls}");
    let place = Nightly::SMALL.place();
    let arguments = ["-f", "-qq", "--seccomp-bpf", "-o", "trace", "-e", &trace, "-e", &inject];
    let output = Nightly::run(&place, "strace", &arguments);
    Nightly::SMALL.check(&place, &output, &inject);
    Nightly::SMALL.finish(&place, &output, &inject);
    let is_injected = String::from_utf8_lossy(&place.read("trace")).contains("(INJECTED)");
    if !is_injected {
        assert_eq!(output.status.code(), Some(2), "{inject}");
        assert!(number > 1, "{calls} was never called");
    }
    is_injected
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

/// A lock that is refused for good is waited for as long as the retry budget says, so only the
/// error is for good here.
#[test]
fn locks_and_leases_that_cannot_be_had() {
    sweep("fcntl", "ENOLCK", false);
    sweep("fcntl", "EIO", true);
}

#[test]
fn advice_that_is_refused() {
    sweep("madvise,fadvise64,prctl,sched_setaffinity,sched_getaffinity", "EPERM", true);
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
