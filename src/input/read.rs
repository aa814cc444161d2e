//! Owned blocks by plain `read`: for pipes, special files, and kernels that forbid `io_uring`.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::block::{BlockSource, Inlet};

/// Age of a block's first byte at which the block is handed over although it is not full.
///
/// A pipe that trickles would otherwise keep its records back until a whole block is there.
pub(super) const BLOCK_AGE: Duration = Duration::from_secs(1);

/// Reads anything that is `Read`, one block after the other.
#[derive(Debug)]
pub struct ReadBlocks<R> {
    reader: R,
    expected_bytes: Option<u64>,
}

impl<R: Read + Send> ReadBlocks<R> {
    /// Reads `reader` to its end.
    ///
    /// With `expected_bytes` the end must come exactly there or later bytes are left alone: a
    /// regular file is read to the length it had when it was opened.
    pub fn new(reader: R, expected_bytes: Option<u64>) -> Self {
        Self { reader, expected_bytes }
    }

    /// Fills `buffer` to its length, or to the end of the input, or to what a slow pipe has given;
    /// returns the bytes that are filled.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled_bytes = 0;
        let mut first_byte_at = None;
        while filled_bytes < buffer.len() {
            match self.reader.read(&mut buffer[filled_bytes..]) {
                Ok(0) => break,
                Ok(bytes) => filled_bytes += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if first_byte_at.get_or_insert_with(Instant::now).elapsed() >= BLOCK_AGE {
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
