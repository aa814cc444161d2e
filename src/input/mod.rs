//! Inputs: files and streams as read-only bytes.
//!
//! [`open`] looks at what stands under a path and brings it in one of two ways: a memory map, one
//! slice for the whole file, or owned blocks that a thread reads ahead, by `read`, by `io_uring`,
//! or by `io_uring` past the page cache.

pub mod block;
mod choice;
pub mod direct;
pub mod fingerprint;
pub mod guard;
pub mod identity;
mod lease;
pub mod mmap;
mod open;
mod pages;
pub mod read;
pub mod uring;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::record::ByteRange;

pub use mmap::MappedFile;
pub use open::{Input, Opened, open};

/// The bytes of a byte range of one input, kept for as long as a batch may need them (the reject
/// file holds the original bytes).
#[derive(Debug, Clone)]
pub enum RawSource {
    /// Owned bytes; the first of them stands at `base` in the file.
    Owned {
        /// The bytes.
        bytes: Arc<Vec<u8>>,
        /// Offset in the file of `bytes[0]`.
        base: u64,
    },
    /// A file that can be read again; its byte 0 stands at `base` in the input.
    File {
        /// The file.
        file: Arc<File>,
        /// Offset in the input of the file's byte 0 (a spilled record of a pipe does not start
        /// at 0).
        base: u64,
    },
}

impl RawSource {
    /// Writes the bytes of `range`, unchanged, in pieces of bounded size.
    ///
    /// # Errors
    /// What reading or writing gave; a range outside the source is `UnexpectedEof`.
    pub fn copy_range(&self, range: ByteRange, out: &mut dyn Write) -> io::Result<()> {
        const PIECE: usize = 1 << 16;
        match self {
            Self::Owned { bytes, base } => {
                let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
                let start = range.start.checked_sub(*base).ok_or_else(outside)?;
                let start = usize::try_from(start).map_err(|_| outside())?;
                let end = start + usize::try_from(range.len()).map_err(|_| outside())?;
                out.write_all(bytes.get(start..end).ok_or_else(outside)?)
            }
            Self::File { file, base } => {
                let mut piece = vec![0; PIECE];
                let mut at = range.start;
                while at < range.end {
                    let want = usize::try_from(range.end - at).map_or(PIECE, |n| n.min(PIECE));
                    file.read_exact_at(&mut piece[..want], at - base)?;
                    out.write_all(&piece[..want])?;
                    at += want as u64;
                }
                Ok(())
            }
        }
    }
}
