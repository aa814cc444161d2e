//! Owned blocks by plain `read`: for pipes, special files, and kernels that forbid `io_uring`.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::block::{BlockSource, Inlet};

/// Age of a block's first byte at which the block is handed over although it is not full.
///
/// A pipe that trickles or falls silent would otherwise keep its records back until a whole block
/// is there.
const BLOCK_AGE: Duration = Duration::from_secs(1);

/// Tells whether there is more to read, or the end, within a time.
type MoreWithin<R> = fn(&R, Duration) -> io::Result<bool>;

/// Reads anything that is `Read`, one block after the other.
#[derive(Debug)]
pub struct ReadBlocks<R> {
    reader: R,
    expected_bytes: Option<u64>,
    /// Where a read may wait for ever.
    more_within: Option<MoreWithin<R>>,
}

impl ReadBlocks<File> {
    /// Reads a pipe, a terminal or the like to its end.
    #[must_use]
    pub fn stream(reader: File) -> Self {
        Self { reader, expected_bytes: None, more_within: Some(more_within) }
    }
}

/// The time that a block which is not full may still be filled, by the first byte in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age(Option<Instant>);

impl Age {
    /// Of a block without bytes.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// The block got bytes. Returns the time left to it; `None`: it is to be handed over.
    pub(super) fn left(&mut self) -> Option<Duration> {
        let age = self.0.get_or_insert_with(Instant::now).elapsed();
        BLOCK_AGE.checked_sub(age).filter(|left| !left.is_zero())
    }
}

/// Whether `stream` has bytes, or its end, within `patience`.
pub(super) fn more_within(stream: &File, patience: Duration) -> io::Result<bool> {
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut waited = [PollFd::new(stream, PollFlags::IN)];
    match poll(&mut waited, Some(&patience)) {
        Ok(ready) => Ok(ready > 0),
        // The read is interrupted just as well, and says what to do.
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

impl<R: Read + Send> ReadBlocks<R> {
    /// Reads `reader` to its end.
    ///
    /// With `expected_bytes` the end must come exactly there or later bytes are left alone: a
    /// regular file is read to the length it had when it was opened.
    pub fn new(reader: R, expected_bytes: Option<u64>) -> Self {
        Self { reader, expected_bytes, more_within: None }
    }

    /// Fills `buffer` to its length, or to the end of the input, or to what a slow pipe has given;
    /// returns the bytes that are filled.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled_bytes = 0;
        let mut age = Age::new();
        while filled_bytes < buffer.len() {
            match self.reader.read(&mut buffer[filled_bytes..]) {
                Ok(0) => break,
                Ok(bytes) => filled_bytes += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            let Some(left) = age.left() else { break };
            if filled_bytes < buffer.len()
                && let Some(more_within) = self.more_within
                && !more_within(&self.reader, left)?
            {
                break;
            }
        }
        Ok(filled_bytes)
    }
}

impl<R: Read + Send> BlockSource for ReadBlocks<R> {
    fn run(mut self: Box<Self>, inlet: &Inlet) -> io::Result<()> {
        let mut left_bytes = self.expected_bytes;
        while inlet.wait_for_room() {
            let mut buffer = inlet.buffer();
            let mut want_bytes = inlet.block_bytes();
            if let Some(left_bytes) = left_bytes {
                want_bytes = usize::try_from(left_bytes).map_or(want_bytes, |n| n.min(want_bytes));
            }
            // Only what a recycled buffer lacks is set to zero: nothing, in the steady state.
            buffer.resize(want_bytes, 0);
            let filled_bytes = self.fill(&mut buffer)?;
            buffer.truncate(filled_bytes);
            if let Some(left_bytes) = &mut left_bytes {
                *left_bytes -= filled_bytes as u64;
                if filled_bytes == 0 && *left_bytes > 0 {
                    return Err(shrunk(*left_bytes));
                }
            }
            if filled_bytes == 0 || !inlet.deliver(buffer) {
                break;
            }
        }
        Ok(())
    }
}

/// The error of a file that ended before the length it had when it was opened.
pub(super) fn shrunk(missing_bytes: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("it was cut short while it was read: {missing_bytes} bytes are missing"),
    )
}
