//! Whether a file is being written: asked of the kernel by way of a lease.
//!
//! A read lease is granted only on a file that nobody has open for writing. It is given back at
//! once: as long as somebody holds one, the kernel makes writers wait.

#![expect(unsafe_code, reason = "no safe interface has the lease commands of fcntl")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// `F_SETSIG` of Linux, which the libc crate leaves out for some of its targets.
const F_SETSIG: libc::c_int = 10;

/// File systems (`statfs`) on which a lease is a matter of what the server has granted to this
/// machine, so that its refusal says nothing about writers: NFS, SMB 1 to 3.
const NETWORK_FILE_SYSTEMS: [i64; 4] = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42];

/// Whether a process, this one included, has the file open for writing; `None` where that cannot be
/// told: network file systems, those without leases, files of other users.
pub(super) fn has_writer(file: &File) -> Option<bool> {
    let kind = rustix::fs::fstatfs(file).ok()?.f_type;
    if NETWORK_FILE_SYSTEMS.contains(&kind) {
        return None;
    }
    // Opened anew: lease and signal belong to the open file, which standard input shares with
    // others. The lease ends with it, whatever happens.
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let descriptor = file.as_raw_fd();
    // Who opens the file for writing in this very moment makes the kernel send a signal to the
    // holder. The default one, SIGIO, would end the process; this one is ignored by default.
    command(descriptor, F_SETSIG, libc::SIGURG).ok()?;
    match command(descriptor, libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => Some(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(true),
        Err(_) => None,
    }
}

fn command(descriptor: RawFd, command: libc::c_int, argument: libc::c_int) -> io::Result<()> {
    // SAFETY: Both commands take an integer and touch no memory of the process.
    let answer = unsafe { libc::fcntl(descriptor, command, argument) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_seen_as_long_as_it_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        std::fs::write(&path, "a,b\n").expect("written");
        let reader = File::open(&path).expect("opens");
        assert_eq!(has_writer(&reader), Some(false));
        // The lease is gone: somebody may write, and is seen.
        let writer = File::options().append(true).open(&path).expect("opens at once");
        assert_eq!(has_writer(&reader), Some(true));
        drop(writer);
        assert_eq!(has_writer(&reader), Some(false));
        // A directory has no leases.
        assert_eq!(has_writer(&File::open(dir.path()).expect("opens")), None);
    }
}
