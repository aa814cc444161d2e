//! The SIGBUS guard: a mapped file that is cut short is an error of its load, not the end of the
//! process.
//!
//! Reading a page of a map that its file does not reach any more raises SIGBUS. The handler that
//! [`install`] sets up looks the address up in the list of live maps (`live.rs`). If ours, the
//! map is marked as poisoned and zeros take the place of the rest of it, so that the reader goes
//! on; nothing that was read there is committed, because the engine asks for the mark before each
//! commit ([`super::MappedFile::check`]). Any other SIGBUS goes to whoever had the signal before.
//!
//! What the guard does not see: bytes past the new end, in the last page that the file still
//! reaches, read as zeros without any signal, and so does everything once the file is made long
//! again. That is what the comparison of length and times before each commit is for.

#![expect(unsafe_code, reason = "signal handlers and maps at fixed addresses are unsafe")]

mod live;

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{io, mem, ptr};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

pub(super) use live::LiveMap;

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// What the handler must not ask the system for; set before it is installed.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// What happened on SIGBUS before.
    action: libc::sigaction,
    page_bytes: usize,
}

static BEFORE: OnceLock<Before> = OnceLock::new();

/// Installs the guard for the whole process and all maps, those that are there already included.
///
/// The library never calls this by itself. A program calls it once, first of all: a handler that
/// others set later takes its place, and [`is_installed`] says no from then on. It runs on the
/// alternate stack of the thread, which Rust gives to each thread that it starts.
///
/// # Errors
/// What the system says to `sigaction`.
pub fn install() -> io::Result<()> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let action = current()?;
    if is_ours(&action) {
        return Ok(());
    }
    let before = *BEFORE.get_or_init(|| Before { action, page_bytes: rustix::param::page_size() });
    // The flags of the action before are not taken over; its mask is: signals that it wanted to
    // wait still do.
    let mut ours = before.action;
    ours.sa_sigaction = on_sigbus as Handler as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    set(&ours)
}

/// Whether the handler of SIGBUS is the guard's now.
#[must_use]
pub fn is_installed() -> bool {
    current().is_ok_and(|action| is_ours(&action))
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == on_sigbus as Handler as usize
}

fn current() -> io::Result<libc::sigaction> {
    // SAFETY: All fields of the C structure are integers, or an `Option` of a function pointer:
    // zero is a value of each.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: A null pointer asks for the action without setting one, and the other pointer is to a
    // structure of that type.
    let answer = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut action) };
    if answer == 0 { Ok(action) } else { Err(io::Error::last_os_error()) }
}

/// Safe in a signal handler: one system call.
fn set(action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: `action` came from `sigaction`, with our handler in it or without. The handler is a
    // function for ever, has the signature that SA_SIGINFO asks for, and does only what a handler
    // may do, as it says itself.
    let answer = unsafe { libc::sigaction(libc::SIGBUS, action, ptr::null_mut()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The handler.
///
/// It may interrupt any code at all, so it takes no lock, allocates nothing, does not panic, and
/// leaves `errno` alone as long as the process goes on: atomics and one plain system call.
extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: With SA_SIGINFO the system passes a valid `siginfo_t`; the address is in it for a
    // fault, and for other causes it is some number.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // Positive codes are the kernel's: a fault. The others are somebody's `kill`.
    let is_fault = code > 0;
    let Some(before) = BEFORE.get() else {
        return;
    };
    if is_fault && read_zeros_from(address, before.page_bytes) {
        return;
    }
    // Not ours. A fault happens again as soon as this returns; a signal that was sent does not.
    let given_back = set(&before.action).is_ok();
    if !is_fault || !given_back {
        // SAFETY: `raise` may be called in a handler; it has no other condition.
        unsafe { libc::raise(signal) };
    }
}

/// Puts zeros where the map of `address` cannot be read: from its page to the end of the map. False
/// if no map is there.
fn read_zeros_from(address: usize, page_bytes: usize) -> bool {
    // The mark first: nobody reads a zero that the mark is not older than.
    let Some(map) = live::poison(address) else {
        return false;
    };
    let start = address - address % page_bytes;
    // SAFETY: A map at a fixed address takes the place of what is there, so what is there must be
    // ours to replace.
    // - `start` is at a page boundary; the bytes from there on are inside one live map, whose start
    //   is at a page boundary too, up to the end of its last page, which nothing else can share.
    //   The map cannot go away meanwhile: the thread that faulted in it, this one, borrows it.
    // - The old pages were private, read-only, and not readable: no byte that somebody has seen
    //   changes. Pages further on that could still be read (a disk that failed in the middle) turn
    //   to zeros; for those the argument of `super::mmap` holds, as for any change by others: no
    //   check is skipped on the strength of bytes that were seen before.
    // - `MappedFile` unmaps the whole range later, whatever is mapped there.
    let mapped = unsafe {
        let length = map.end - start;
        let start = ptr::without_provenance_mut(start);
        mmap_anonymous(start, length, ProtFlags::READ, MapFlags::PRIVATE | MapFlags::FIXED)
    };
    mapped.is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;
    use crate::input::MappedFile;

    fn mapped(bytes: &[u8]) -> (File, MappedFile) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        let map = MappedFile::new(&file, bytes.len() as u64).expect("mapped");
        (file, map)
    }

    #[test]
    fn what_was_cut_off_reads_as_zeros_and_is_marked() {
        install().expect("a handler");
        install().expect("a second time changes nothing");
        assert!(is_installed());
        let page = rustix::param::page_size();
        let length = 5 * page + 100;
        for cut_to in [0, 10, page, page + 10, 5 * page, 5 * page + 99] {
            let (file, map) = mapped(&vec![b'x'; length]);
            let (_other, other) = mapped(&vec![b'y'; length]);
            file.set_len(cut_to as u64).expect("cut");
            let (kept, lost) = map.bytes().split_at(cut_to);
            assert!(kept.iter().all(|&byte| byte == b'x'));
            assert!(!map.is_poisoned());
            // Several threads run into it at the same time.
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert!(lost.iter().rev().all(|&byte| byte == 0)));
                }
            });
            // Within the last page that is left there is no signal.
            let is_seen = cut_to.next_multiple_of(page) < length;
            assert_eq!(map.is_poisoned(), is_seen, "{cut_to}");
            assert_eq!(map.check().is_err(), is_seen);
            assert!(other.bytes().iter().all(|&byte| byte == b'y'));
            assert!(!other.is_poisoned());
            // Made long again, it stays marked.
            file.set_len(length as u64).expect("longer");
            assert_eq!(map.is_poisoned(), is_seen);
        }
    }

    /// The body of the child of the next test.
    #[test]
    fn a_fault_that_is_not_ours() {
        if std::env::var_os("FASTLOAD_TEST_FAULT").is_none() {
            return;
        }
        install().expect("a handler");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"x").expect("written");
        // SAFETY: The file is changed, and the process ends at the next access.
        let map = unsafe { memmap2::Mmap::map(&file).expect("mapped") };
        file.set_len(0).expect("cut");
        let byte = std::hint::black_box(&map)[0];
        unreachable!("read {byte}");
    }

    #[test]
    fn other_faults_end_the_process_as_before() {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "input::guard::tests::a_fault_that_is_not_ours"])
            .env("FASTLOAD_TEST_FAULT", "1")
            .output()
            .expect("it starts");
        assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{child:?}");
    }
}
