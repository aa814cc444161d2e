//! `--io auto`: which way a regular file is brought in, by a rule drawn from measurements
//! (docs/decisions/0012).

use std::fs::{self, File};

use super::mmap::MappedFile;
use crate::config::IoWay;

/// Smallest file that is read past the page cache. A smaller one is there before the buffers are.
const DIRECT_BYTES_MIN: u64 = 64 << 20;

/// Pages that are asked for, spread over the file.
const SAMPLED_PAGES: usize = 64;

/// Where the kernel says whether a process may have huge pages.
const HUGE_PAGES_FILE: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// What kind of file system a file is on, as far as the choice depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSystem {
    /// On a device of this machine.
    Local,
    /// In memory: there is no device behind the page cache.
    Memory,
    /// On another machine or in another process. A read of a map that cannot be served there is a
    /// signal and not an error.
    Remote,
}

impl FileSystem {
    /// What the kernel says; a kind that is not known is taken for local.
    pub(super) fn of(file: &File) -> Self {
        rustix::fs::fstatfs(file).map_or(Self::Local, |about| {
            // Of some machines the type is signed and sign-extended: its 32 bits are what counts.
            let bytes = about.f_type.to_le_bytes();
            Self::by_magic(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        })
    }

    /// By the numbers of `statfs(2)`.
    const fn by_magic(magic: u32) -> Self {
        match magic {
            // tmpfs, ramfs, hugetlbfs
            0x0102_1994 | 0x8584_58f6 | 0x9584_58f6 => Self::Memory,
            // NFS, SMB 1, CIFS, SMB 2, FUSE, 9P, Ceph, AFS twice, Coda
            0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x6573_5546 | 0x0102_1997
            | 0x00c3_6400 | 0x5346_414f | 0x6b41_4653 | 0x7375_7245 => Self::Remote,
            _ => Self::Local,
        }
    }
}

/// What the rule goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    length_bytes: u64,
    file_system: FileSystem,
    /// Pages that were asked for, and those of them that are in the page cache.
    sampled_pages: usize,
    resident_pages: usize,
    huge_pages: bool,
}

impl Facts {
    /// Looks at a file and its map.
    pub(super) fn of(file: &File, length_bytes: u64, map: &MappedFile) -> Self {
        let (sampled_pages, resident_pages) = map.resident_pages(SAMPLED_PAGES);
        let huge_pages =
            fs::read_to_string(HUGE_PAGES_FILE).is_ok_and(|choices| !choices.contains("[never]"));
        let file_system = FileSystem::of(file);
        Self { length_bytes, file_system, sampled_pages, resident_pages, huge_pages }
    }
}

/// The rule: the way and why. [`IoWay::Uring`] stands for reads past the page cache.
pub(super) const fn choose(facts: &Facts) -> (IoWay, &'static str) {
    match facts.file_system {
        FileSystem::Remote => {
            return (IoWay::Read, "its file system is on a network or in a process");
        }
        FileSystem::Memory => return (IoWay::Mmap, "its file system is in memory"),
        FileSystem::Local => {}
    }
    if facts.length_bytes < DIRECT_BYTES_MIN {
        (IoWay::Mmap, "it is small")
    } else if facts.resident_pages * 2 >= facts.sampled_pages {
        // Also where the pages could not be sampled.
        (IoWay::Mmap, "it is in the page cache")
    } else if !facts.huge_pages {
        (IoWay::Mmap, "it is not in the page cache, and this system gives no huge pages")
    } else {
        (IoWay::Uring, "it is not in the page cache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLD: Facts = Facts {
        length_bytes: 1 << 30,
        file_system: FileSystem::Local,
        sampled_pages: 64,
        resident_pages: 0,
        huge_pages: true,
    };

    fn way(facts: Facts) -> IoWay {
        choose(&facts).0
    }

    #[test]
    fn a_large_cold_file_is_read_past_the_page_cache() {
        assert_eq!(way(COLD), IoWay::Uring);
        assert_eq!(way(Facts { resident_pages: 31, ..COLD }), IoWay::Uring);
        assert_eq!(way(Facts { length_bytes: 64 << 20, ..COLD }), IoWay::Uring);
    }

    #[test]
    fn what_is_in_memory_or_small_is_mapped() {
        assert_eq!(way(Facts { resident_pages: 32, ..COLD }), IoWay::Mmap);
        assert_eq!(way(Facts { resident_pages: 64, ..COLD }), IoWay::Mmap);
        assert_eq!(way(Facts { sampled_pages: 0, ..COLD }), IoWay::Mmap);
        assert_eq!(way(Facts { length_bytes: (64 << 20) - 1, ..COLD }), IoWay::Mmap);
        assert_eq!(way(Facts { file_system: FileSystem::Memory, ..COLD }), IoWay::Mmap);
        assert_eq!(way(Facts { huge_pages: false, ..COLD }), IoWay::Mmap);
    }

    #[test]
    fn a_file_elsewhere_is_read_whatever_else_is_true_of_it() {
        for resident_pages in [0, 64] {
            for length_bytes in [1, 1 << 40] {
                let file_system = FileSystem::Remote;
                let facts = Facts { length_bytes, file_system, resident_pages, ..COLD };
                assert_eq!(way(facts), IoWay::Read);
            }
        }
    }

    #[test]
    fn kinds_of_file_systems() {
        assert_eq!(FileSystem::by_magic(0x6969), FileSystem::Remote);
        assert_eq!(FileSystem::by_magic(0xef53), FileSystem::Local);
        // /proc/mounts names the kinds in words.
        let mounts = fs::read_to_string("/proc/mounts").expect("Linux tells");
        let is_tmpfs = |line: &str| line.contains(" /dev/shm tmpfs ");
        if mounts.lines().any(is_tmpfs) {
            let there = File::open("/dev/shm").expect("opens");
            assert_eq!(FileSystem::of(&there), FileSystem::Memory);
        }
    }
}
