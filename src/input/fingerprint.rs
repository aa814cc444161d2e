//! Whether a file is still the one that was read before: across restarts, and in its bytes.
//!
//! [`super::identity`] compares states of a file while it is open. Here is what is kept of a file
//! when the process is gone, and how bytes that were read once are compared with those that stand
//! in the file now. All hashes are XXH3 of 64 bits without a seed: the same on every machine. They
//! find accidents, not forgeries.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::RawSource;
use super::identity::FileIdentity;
use crate::record::ByteRange;

/// Bytes of each end of a file that a fingerprint covers.
const END_BYTES: u64 = 1 << 20;

/// First field of the text form.
const TEXT_VERSION: &str = "1";

/// A file as it was read: its identity, and hashes of its first and last MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// State when it was opened.
    pub identity: FileIdentity,
    /// Hash of the first MiB, or of all bytes where there are fewer.
    pub head: u64,
    /// Hash of the last MiB, or of all bytes where there are fewer.
    pub tail: u64,
}

impl Fingerprint {
    /// The most bytes that [`Self::to_text`] gives.
    pub const TEXT_BYTES_MAX: usize = 160;

    /// Reads both ends of `file`, whose identity is `identity`, where it lies: the file's position
    /// does not move, and a map of it is not touched.
    ///
    /// # Errors
    /// What reading gave; `UnexpectedEof` for a file that is shorter than its identity says.
    pub fn of(file: &Arc<File>, identity: FileIdentity) -> io::Result<Self> {
        let source = RawSource::File { file: Arc::clone(file), base: 0 };
        let end = identity.size_bytes;
        let head = ByteRange { start: 0, end: end.min(END_BYTES) };
        let tail = ByteRange { start: end.saturating_sub(END_BYTES), end };
        Ok(Self { identity, head: hash_range(&source, head)?, tail: hash_range(&source, tail)? })
    }

    /// Whether `now` is the same file in the same state.
    ///
    /// Compared are inode, length, modification time and both hashes. The change time is not: it
    /// moves with each `chmod`, `rename` and `link`, which leave the bytes alone. The device is not
    /// either: its number may be another one after a restart of the machine.
    ///
    /// # Errors
    /// The difference in words that follow the path: `its …`, `it was …`.
    pub fn same_file(&self, now: &Self) -> Result<(), String> {
        let (was, is) = (&self.identity, &now.identity);
        if was.ino != is.ino {
            let (was, is) = (was.ino, is.ino);
            return Err(format!(
                "it was replaced by another file of the same name (inode {was}, now {is})"
            ));
        }
        self.same_length(now)?;
        if was.mtime_ns != is.mtime_ns {
            return Err("it was written to (its modification time changed)".into());
        }
        self.same_ends(now)
    }

    /// Whether `now` has the same length and the same bytes at both ends, wherever it lies: a copy
    /// has.
    ///
    /// # Errors
    /// The difference in words that follow the path.
    pub fn same_content(&self, now: &Self) -> Result<(), String> {
        self.same_length(now)?;
        self.same_ends(now)
    }

    fn same_length(&self, now: &Self) -> Result<(), String> {
        let (was, is) = (self.identity.size_bytes, now.identity.size_bytes);
        if was == is {
            return Ok(());
        }
        Err(format!("its length went from {was} to {is} bytes"))
    }

    fn same_ends(&self, now: &Self) -> Result<(), String> {
        if self.head != now.head {
            return Err("its first bytes are others (hash of the first MiB)".into());
        }
        if self.tail != now.tail {
            return Err("its last bytes are others (hash of the last MiB)".into());
        }
        Ok(())
    }

    /// As one line of ASCII, of at most [`Self::TEXT_BYTES_MAX`] bytes, without blanks or quotes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let FileIdentity { dev, ino, size_bytes, mtime_ns, ctime_ns } = self.identity;
        let Self { head, tail, .. } = self;
        format!(
            "{TEXT_VERSION}:{dev}:{ino}:{size_bytes}:{mtime_ns}:{ctime_ns}:{head:016x}:{tail:016x}"
        )
    }

    /// Reads what [`Self::to_text`] wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        if fields.next()? != TEXT_VERSION {
            return None;
        }
        let identity = FileIdentity {
            dev: fields.next()?.parse().ok()?,
            ino: fields.next()?.parse().ok()?,
            size_bytes: fields.next()?.parse().ok()?,
            mtime_ns: fields.next()?.parse().ok()?,
            ctime_ns: fields.next()?.parse().ok()?,
        };
        let mut hash = || u64::from_str_radix(fields.next()?, 16).ok();
        let parsed = Self { identity, head: hash()?, tail: hash()? };
        // One text for each fingerprint: signs, leading zeros and what follows are refused.
        (parsed.to_text() == text).then_some(parsed)
    }
}

/// Hash of the bytes of `range` as they stand in the source now.
///
/// # Errors
/// As [`RawSource::copy_range`].
pub fn hash_range(source: &RawSource, range: ByteRange) -> io::Result<u64> {
    let mut hash = RangeHash::new();
    source.copy_range(range, &mut hash)?;
    Ok(hash.finish())
}

/// The hash of [`hash_range`], for bytes that come in pieces.
#[derive(Clone, Default)]
pub struct RangeHash(XxHash3_64);

impl RangeHash {
    /// The hash of no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        XxHash3_64::oneshot(bytes)
    }

    /// Adds the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        std::hash::Hasher::write(&mut self.0, bytes);
    }

    /// The hash of all bytes so far; where they were cut makes no difference.
    #[must_use]
    pub fn finish(&self) -> u64 {
        std::hash::Hasher::finish(&self.0)
    }
}

impl std::fmt::Debug for RangeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeHash({:016x})", self.finish())
    }
}

impl Write for RangeHash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, PermissionsExt};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn fingerprint(path: &Path) -> Fingerprint {
        let file = Arc::new(File::open(path).expect("opens"));
        let identity = FileIdentity::from(&file.metadata().expect("fstat"));
        Fingerprint::of(&file, identity).expect("readable")
    }

    /// Writes in place and sets the modification time back.
    fn overwrite_unseen(path: &Path, byte_offset: u64) {
        let file = File::options().write(true).open(path).expect("opens");
        let modified = file.metadata().and_then(|metadata| metadata.modified()).expect("fstat");
        file.write_all_at(b"#", byte_offset).expect("written");
        file.set_modified(modified).expect("mtime set");
    }

    #[test]
    fn the_hash_is_xxh3() {
        // Values of the reference implementation (`xxhsum -H3`).
        assert_eq!(RangeHash::new().finish(), 0x2d06_8005_38d3_94c2);
        assert_eq!(RangeHash::of(b"a"), 0xe6c6_32b6_1e96_4e1f);
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.wrapping_mul(n).to_le_bytes()[2]).collect();
        let whole = RangeHash::of(&bytes);
        for piece_bytes in [1, 7, 64, 1000, 65_536, 299_999, 300_000] {
            let mut hash = RangeHash::new();
            bytes.chunks(piece_bytes).for_each(|piece| hash.update(piece));
            assert_eq!(hash.finish(), whole, "{piece_bytes}");
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        let from_file = RawSource::File { file: Arc::new(file), base: 0 };
        let owned = RawSource::Owned { bytes: Arc::new(bytes.clone()), base: 0 };
        for (start, end) in [(0, 300_000), (0, 0), (5, 5), (17, 200_001), (299_999, 300_000)] {
            let expected = RangeHash::of(&bytes[start..end]);
            let range = ByteRange { start: start as u64, end: end as u64 };
            assert_eq!(hash_range(&from_file, range).expect("readable"), expected);
            assert_eq!(hash_range(&owned, range).expect("readable"), expected);
        }
        let past = ByteRange { start: 299_999, end: 300_001 };
        for source in [from_file, owned] {
            let error = hash_range(&source, past).expect_err("too long");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn the_ends_are_the_first_and_the_last_mib() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        let bytes: Vec<u8> = (0..=250).cycle().take((3 << 20) + 5).collect();
        for length in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, bytes.len()] {
            std::fs::write(&path, &bytes[..length]).expect("written");
            let found = fingerprint(&path);
            assert_eq!(found.head, RangeHash::of(&bytes[..length.min(1 << 20)]));
            assert_eq!(found.tail, RangeHash::of(&bytes[length.saturating_sub(1 << 20)..length]));
        }
        let file = Arc::new(File::open(&path).expect("opens"));
        let mut identity = FileIdentity::from(&file.metadata().expect("fstat"));
        identity.size_bytes += 1;
        let error = Fingerprint::of(&file, identity).expect_err("shorter than it was");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn differences_have_names() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        std::fs::write(&path, vec![b'x'; 5 << 20]).expect("written");
        let first = fingerprint(&path);
        let difference = |path: &Path| first.same_file(&fingerprint(path)).err();

        // What leaves the bytes alone is no difference, though the change time moved.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        let moved = dir.path().join("moved");
        std::fs::rename(&path, &moved).expect("renamed");
        std::fs::hard_link(&moved, &path).expect("linked");
        assert_eq!(difference(&path), None);

        // A copy is another file with the same content.
        let copy = dir.path().join("copy");
        std::fs::copy(&path, &copy).expect("copied");
        assert!(difference(&copy).expect("a copy").contains("another file of the same name"));
        assert_eq!(first.same_content(&fingerprint(&copy)), Ok(()));

        // In the middle nobody looks; at the ends a time set back hides nothing.
        overwrite_unseen(&path, 2 << 20);
        assert_eq!(difference(&path), None);
        overwrite_unseen(&path, (1 << 20) - 1);
        assert!(difference(&path).expect("a head").contains("first bytes"));
        assert!(first.same_content(&fingerprint(&path)).is_err());
        std::fs::write(&path, vec![b'x'; 5 << 20]).expect("written");
        let second = fingerprint(&path);
        overwrite_unseen(&path, 4 << 20);
        assert!(second.same_file(&fingerprint(&path)).expect_err("a tail").contains("last bytes"));

        let file = File::options().append(true).open(&path).expect("opens");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(1, 1)).expect("mtime set");
        assert!(difference(&path).expect("a time").contains("modification time"));
        (&file).write_all(b"\n").expect("appended");
        assert_eq!(
            difference(&path).expect("longer"),
            "its length went from 5242880 to 5242881 bytes"
        );
    }

    #[test]
    fn text_comes_back_as_it_was() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a,b\n").expect("written");
        let real = fingerprint(file.path());
        let most = |ns: i128| Fingerprint {
            identity: FileIdentity {
                dev: u64::MAX,
                ino: u64::MAX,
                size_bytes: u64::MAX,
                mtime_ns: ns,
                ctime_ns: ns,
            },
            head: u64::MAX,
            tail: 0,
        };
        let second = 1_000_000_000;
        let longest = most(i128::from(i64::MIN) * second);
        for print in [real, longest, most(i128::from(i64::MAX) * second + second - 1)] {
            let text = print.to_text();
            assert!(text.is_ascii() && text.len() <= Fingerprint::TEXT_BYTES_MAX, "{text}");
            assert_eq!(Fingerprint::parse(&text), Some(print));
        }
        let text = real.to_text();
        for wrong in [
            String::new(),
            "1".to_owned(),
            format!("2{}", &text[1..]),
            format!("{text}:0"),
            format!("{text} "),
            text[..text.len() - 1].to_owned(),
            text.replacen(':', ":+", 1),
        ] {
            assert_eq!(Fingerprint::parse(&wrong), None, "{wrong}");
        }
    }
}
