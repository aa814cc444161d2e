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
//!   time, inode) is compared before every commit and at the end ([`super::identity::Watch`]), and
//!   a difference stops the load before that commit.
//! - A file cut short while it is mapped raises SIGBUS at the first page past its new end. Where
//!   the guard is installed ([`super::guard`]), zeros are read there and the map is poisoned, which
//!   stops the load before its next commit. Without the guard the process dies with its last commit
//!   as the last word: for that, and for network file systems, there is `--io read`.

#![expect(unsafe_code, reason = "mapping a file and giving pages back are unsafe in memmap2")]

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

use super::guard::LiveMap;
use crate::record::ByteRange;

/// Granule in which pages are given back.
///
/// One fault maps more than the page it is about: the whole folio of the page cache around it, of
/// up to 2 MiB, aligned to its size in the file. So what lies around a range that was read is
/// resident too, and comes back when a neighbour is read.
const RELEASE_BYTES: u64 = 2 << 20;

/// A regular file, mapped read-only from its first byte to the length it had when it was opened.
#[derive(Debug)]
pub struct MappedFile {
    // Before the map: fields are dropped in order, and the guard must know no address of a map that
    // is gone.
    live: Option<LiveMap>,
    map: Mmap,
}

impl MappedFile {
    /// Maps the first `length_bytes` bytes of `file` and tells the kernel that they are read in
    /// order.
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
        // - access past a new end of the file is SIGBUS: the guard, if there is one, puts zeros
        //   there for good (its file argues that), else the process ends.
        let map = unsafe { MmapOptions::new().len(length).map_copy_read_only(file)? };
        // Advice: a kernel that does not take it reads the same bytes, less far ahead.
        drop(map.advise(Advice::Sequential));
        let live = LiveMap::new(map.as_ptr().addr(), map.len());
        Ok(Self { live, map })
    }

    /// Whether a part of the file that was read is not there any more, and reads as zeros.
    ///
    /// Always false where no guard is installed: the process is dead by then.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.live.as_ref().is_some_and(LiveMap::is_poisoned)
    }

    /// [`Self::is_poisoned`] as a result.
    ///
    /// # Errors
    /// What happened, in words that follow the path.
    pub fn check(&self) -> Result<(), String> {
        if self.is_poisoned() {
            return Err(
                "a part of it was not there when it was read: it was cut short meanwhile, \
                        or its disk failed"
                    .into(),
            );
        }
        Ok(())
    }

    /// Whether [`super::guard`] watches this map.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.live.is_some() && super::guard::is_installed()
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Asks for up to `samples` pages, spread evenly over the file, whether they are in the page
    /// cache; returns how many were asked for, and how many are. No page is read in for that.
    ///
    /// Of a file that the process neither owns nor may write to the kernel says that all are.
    #[must_use]
    pub fn resident_pages(&self, samples: usize) -> (usize, usize) {
        let page_bytes = rustix::param::page_size();
        let pages = self.map.len().div_ceil(page_bytes);
        let asked = samples.min(pages);
        // The middle of each of `asked` parts of the same size.
        let sampled = (0..asked).map(|part| (2 * part + 1) * pages / (2 * asked));
        let is_resident = |page: usize| {
            let address = self.map.as_ptr().wrapping_add(page * page_bytes);
            let mut answer = 0_u8;
            // SAFETY: One page from a page boundary inside the map, which is alive; the kernel
            // writes one byte for it, into `answer`, and does not touch the page.
            let asked =
                unsafe { libc::mincore(address.cast_mut().cast(), page_bytes, &raw mut answer) };
            asked == 0 && answer & 1 == 1
        };
        (asked, sampled.filter(|&page| is_resident(page)).count())
    }

    /// Takes the pages of `range` out of resident memory; they stay readable.
    ///
    /// For what is parsed: resident memory then follows the parsers instead of growing to the
    /// file's size. `range` is what was read, to the last byte
    /// of a record that goes on past its chunk. Any thread may call it at any time, also for ranges
    /// that others are reading or that were given back before: a later read finds the same bytes,
    /// in the page cache or on disk, and costs a fault. The call itself is one system call; one for
    /// each one to four MiB is right.
    ///
    /// The range is widened to multiples of 2 MiB. With exact ranges, or multiples of a page, half
    /// of the file stays resident when several threads read neighbouring chunks: 350 MB of 1 GB,
    /// against 6 MB (three threads, chunks of 1 MiB and less, Linux 6.18, ext4). The byte before
    /// the range counts as read too: of pages that lie together in the page cache, up to 2 MiB, the
    /// kernel maps all when one is read, also those that were given back, and some stay.
    pub fn release(&self, range: ByteRange) {
        let end_of_file = self.map.len() as u64;
        let before = range.start.saturating_sub(1);
        let start = (before - before % RELEASE_BYTES).min(end_of_file);
        let end = range.end.min(end_of_file).next_multiple_of(RELEASE_BYTES).min(end_of_file);
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return;
        };
        if start >= end || range.is_empty() {
            return;
        }
        // SAFETY: The contract of `unchecked_advise_range` is that the advice does not change
        // memory in ways that references to it cannot bear.
        // - DONTNEED on a private map of a file drops the pages, and the next read brings the
        //   file's bytes back. Only pages that this process wrote to would lose something, and the
        //   map is read-only: there are none. So the bytes behind any `&[u8]` stay what they are.
        // - `start..end` is inside the map: both are cut to its length.
        let advised = unsafe {
            self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
        };
        // A refusal (locked pages are its one cause) costs memory, not correctness.
        drop(advised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn mapped(bytes: &[u8]) -> MappedFile {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        MappedFile::new(&file, bytes.len() as u64).expect("mapped")
    }

    #[test]
    fn released_bytes_read_the_same() {
        let bytes: Vec<u8> =
            (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2]).collect();
        let map = mapped(&bytes);
        assert!(map.bytes() == bytes);
        for (start, end) in [(0, 300_000), (1, 2), (70_000, 140_000), (299_999, 300_000), (5, 5)] {
            map.release(ByteRange { start, end });
            assert!(map.bytes() == bytes, "{start}..{end}");
        }
        // Ranges past the end are cut, not an error.
        map.release(ByteRange { start: 400_000, end: 500_000 });
        map.release(ByteRange { start: 0, end: u64::MAX / 2 });
        assert!(map.bytes() == bytes);
    }

    #[test]
    fn resident_pages_are_those_in_the_page_cache() {
        let page_bytes = rustix::param::page_size();
        let mut file = tempfile::tempfile_in(".").expect("a file");
        file.write_all(&vec![b'x'; 256 * page_bytes]).expect("written");
        file.sync_all().expect("on the disk");
        let map = MappedFile::new(&file, 256 * page_bytes as u64).expect("mapped");
        assert_eq!(map.resident_pages(64), (64, 64));
        assert_eq!(map.resident_pages(1000), (256, 256));
        let advice = rustix::fs::Advice::DontNeed;
        rustix::fs::fadvise(&file, 0, None, advice).expect("advice");
        assert_eq!(map.resident_pages(64), (64, 0));
        // The middle of one of four parts.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).expect("advice");
        file.read_exact_at(&mut [0], 96 * page_bytes as u64).expect("readable");
        assert_eq!(map.resident_pages(4), (4, 1));
        assert_eq!(mapped(b"x").resident_pages(64), (1, 1));
    }

    #[test]
    fn nothing_cannot_be_mapped() {
        let file = tempfile::tempfile().expect("a file");
        let error = MappedFile::new(&file, 0).expect_err("no bytes");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn ranges_read_and_released_in_any_order_leave_resident_memory() {
        const CHUNK_BYTES: u64 = 100_000;
        let bytes = vec![b'x'; 9 << 20];
        let length = bytes.len() as u64;
        let map = mapped(&bytes);
        assert_eq!(map.bytes().iter().find(|&&byte| byte != b'x'), None);
        let before = resident_kib(&map);
        assert!(before >= 9 << 10, "{before} KiB were resident");
        map.release(ByteRange { start: 100, end: length - 100 });
        assert_eq!(resident_kib(&map), 0);

        // With what begins a piece goes the piece before it.
        assert_eq!(map.bytes().iter().find(|&&byte| byte != b'x'), None);
        map.release(ByteRange { start: 2 * RELEASE_BYTES, end: length });
        assert_eq!(resident_kib(&map), RELEASE_BYTES / 1024);

        // Each second chunk first, each read a little past its end.
        let chunks = 0..length.div_ceil(CHUNK_BYTES);
        let (even, odd): (Vec<_>, Vec<_>) = chunks.partition(|chunk| chunk % 2 == 0);
        for chunk in even.into_iter().chain(odd) {
            let start = chunk * CHUNK_BYTES;
            let end = (start + CHUNK_BYTES + 300).min(length);
            let range =
                usize::try_from(start).expect("small")..usize::try_from(end).expect("small");
            assert_eq!(map.bytes()[range].iter().find(|&&byte| byte != b'x'), None);
            map.release(ByteRange { start, end });
        }
        assert_eq!(resident_kib(&map), 0);
    }

    /// Resident part of the map by the kernel's own account.
    fn resident_kib(map: &MappedFile) -> u64 {
        let start = format!("{:x}-", map.bytes().as_ptr().addr());
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux tells");
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = lines.find(|line| line.starts_with("Rss:")).expect("each map has one");
        rss.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}
