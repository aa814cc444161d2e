//! The memory map: a regular file as one slice, and pages given back behind the parsers.
//!
//! # Why mapping a file is allowed here
//!
//! A `&[u8]` promises that its bytes do not change. A map cannot keep that promise alone, because
//! another process may write to the file or cut it short. What this program does about it:
//!
//! - The map is private and read-only: nothing in this process can write through it.
//! - Bytes are read once by the split and once by the parse, and every index that one of them
//!   derives is checked against the slice again; no code keeps a length or a validated `&str` over
//!   mapped bytes and later skips a check because of it. Bytes that change in between give a wrong
//!   record, not a wild access.
//! - Wrong records do not reach the table: the file's identity (length, modification and change
//!   time, inode) is compared before every commit and at the end ([`super::identity::Watch`]), and a
//!   difference stops the load before that commit.
//! - A file cut short while it is mapped raises SIGBUS at the first page past its new end, and the
//!   process dies with its last commit as the last word. That is not a wrong load, but it is no error
//!   message either: for files that others may still write to, and for network file systems, there
//!   is `--io read`.

#![expect(
    unsafe_code,
    reason = "mapping a file and giving pages back are unsafe in memmap2"
)]

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

use crate::record::ByteRange;

/// Granule in which pages are given back: what Linux maps around one fault (`fault_around_bytes`),
/// and a multiple of every page size it uses.
const RELEASE_BYTES: u64 = 64 << 10;

/// A regular file, mapped read-only from its first byte to the length it had when it was opened.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
}

impl MappedFile {
    /// Maps the first `length_bytes` bytes of `file` and tells the kernel that they are read in order.
    ///
    /// # Errors
    /// What the system says: a file without bytes (`InvalidInput`) and files of some special file
    /// systems cannot be mapped; a length that the address space cannot hold is `OutOfMemory`.
    pub fn new(file: &File, length_bytes: u64) -> io::Result<Self> {
        if length_bytes == 0 {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let length = usize::try_from(length_bytes)
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: The contract of `map_copy_read_only` is that nobody changes the file while it is
        // mapped. The head of this file says why a break of it cannot end in memory unsafety here:
        // - the pages are read-only for this process;
        // - no bounds check is skipped on the strength of bytes that were looked at before;
        // - access past a new end of the file is SIGBUS, which ends the process.
        let map = unsafe { MmapOptions::new().len(length).map_copy_read_only(file)? };
        // Advice: a kernel that does not take it reads the same bytes, less far ahead.
        drop(map.advise(Advice::Sequential));
        Ok(Self { map })
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Takes the pages of `range` out of resident memory; they stay readable.
    ///
    /// For ranges that are parsed: resident memory then follows the parsers instead of growing to
    /// the file's size. Any thread may call it at any time, also for ranges that are read again or
    /// were given back before: a later read finds the same bytes, in the page cache or on disk. It
    /// costs one system call, so a call for each one to four MiB is right.
    ///
    /// The range is widened to multiples of 64 KiB, because that is what one fault brings in: with
    /// exact ranges every seam between two of them would stay resident, and the sum of the seams
    /// would grow with the file.
    pub fn release(&self, range: ByteRange) {
        let end_of_file = self.map.len() as u64;
        let start = (range.start - range.start % RELEASE_BYTES).min(end_of_file);
        let end = range
            .end
            .min(end_of_file)
            .next_multiple_of(RELEASE_BYTES)
            .min(end_of_file);
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return;
        };
        if start >= end || range.is_empty() {
            return;
        }
        // SAFETY: The contract of `unchecked_advise_range` is that the advice does not change memory
        // in ways that references to it cannot bear.
        // - DONTNEED on a private map of a file drops the pages, and the next read brings the file's
        //   bytes back. Only pages that this process wrote to would lose something, and the map is
        //   read-only: there are none. So the bytes behind any `&[u8]` stay what they are.
        // - `start..end` is inside the map: both are cut to its length.
        let advised = unsafe {
            self.map
                .unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
        };
        // A refusal costs memory, not correctness; it has no other cause than locked pages.
        drop(advised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn mapped(bytes: &[u8]) -> MappedFile {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        MappedFile::new(&file, bytes.len() as u64).expect("mapped")
    }

    #[test]
    fn released_bytes_read_the_same() {
        let bytes: Vec<u8> = (0..300_000_u32)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2])
            .collect();
        let map = mapped(&bytes);
        assert!(map.bytes() == bytes);
        for (start, end) in [
            (0, 300_000),
            (1, 2),
            (70_000, 140_000),
            (299_999, 300_000),
            (5, 5),
        ] {
            map.release(ByteRange { start, end });
            assert!(map.bytes() == bytes, "{start}..{end}");
        }
        // Ranges past the end are cut, not an error.
        map.release(ByteRange {
            start: 400_000,
            end: 500_000,
        });
        map.release(ByteRange {
            start: 0,
            end: u64::MAX / 2,
        });
        assert!(map.bytes() == bytes);
    }

    #[test]
    fn nothing_cannot_be_mapped() {
        let file = tempfile::tempfile().expect("a file");
        let error = MappedFile::new(&file, 0).expect_err("no bytes");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn released_pages_leave_resident_memory() {
        let bytes = vec![b'x'; 8 << 20];
        let map = mapped(&bytes);
        let touched = map.bytes().iter().filter(|&&byte| byte == b'x').count();
        assert_eq!(touched, bytes.len());
        let before = resident_kib_of(&map);
        map.release(ByteRange {
            start: 100,
            end: bytes.len() as u64 - 100,
        });
        let after = resident_kib_of(&map);
        assert!(before >= 8 << 10, "{before} KiB were resident");
        assert_eq!(after, 0, "KiB stayed resident");
    }

    /// Resident part of the map by the kernel's own account.
    fn resident_kib_of(map: &MappedFile) -> u64 {
        let start = format!("{:x}-", map.bytes().as_ptr().addr());
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux tells");
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = lines
            .find(|line| line.starts_with("Rss:"))
            .expect("each map has one");
        rss.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .expect("a number")
    }
}
