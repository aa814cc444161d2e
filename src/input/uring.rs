//! Owned blocks by `io_uring`: several reads of a file in flight, delivered in file order.
//!
//! The runtime lives on the feed's reader thread, inside [`UringBlocks::run`], and nothing of it
//! leaves that thread. A buffer belongs to the kernel while its read is in flight; that is why a
//! run always waits for all its reads before it returns, also after an error or a stop: the
//! runtime, dropped with reads in flight, would free their buffers before the kernel is done with
//! them.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::panic;
use std::rc::Rc;

use tokio_uring::Runtime;
use tokio_uring::buf::BoundedBuf;

use super::block::{BlockSource, Inlet};
use super::read::{Age, more_within, shrunk};

/// Reads in flight, at most; no more than the feed's read-ahead either.
const READS_IN_FLIGHT: u64 = 8;

/// Entries of the submission queue: the reads in flight and the runtime's own.
const RING_ENTRIES: u32 = 16;

/// Bytes of one read, at most: the length of a request is a 32-bit word.
const READ_BYTES: usize = 1 << 30;

/// Offset that means: where the file stands, for what has no offsets.
const CURRENT_POSITION: u64 = u64::MAX;

/// Tells whether the kernel lets this process use `io_uring`, by a request that does nothing.
///
/// # Errors
/// What forbids it: an old kernel, a security policy of the container, the limit on locked memory.
pub fn probe() -> io::Result<()> {
    // The runtime's own set-up panics where it finds a half-working kernel.
    panic::catch_unwind(|| new_runtime()?.block_on(tokio_uring::no_op()))
        .unwrap_or_else(|_| Err(io::Error::other("its runtime cannot be set up")))
}

pub(super) fn new_runtime() -> io::Result<Runtime> {
    Runtime::new(tokio_uring::builder().entries(RING_ENTRIES))
}

/// Reads a file or a stream through `io_uring`.
#[derive(Debug)]
pub struct UringBlocks {
    file: File,
    expected_bytes: Option<u64>,
}

impl UringBlocks {
    /// Reads `file`: from its byte 0 to `expected_bytes` with several reads in flight, or, without
    /// a length, from where it stands to its end with one.
    #[must_use]
    pub fn new(file: File, expected_bytes: Option<u64>) -> Self {
        Self { file, expected_bytes }
    }
}

impl BlockSource for UringBlocks {
    fn run(self: Box<Self>, inlet: &Inlet) -> io::Result<()> {
        let runtime = new_runtime()?;
        let waits = self.file.try_clone()?;
        let file = tokio_uring::fs::File::from_std(self.file);
        runtime.block_on(async {
            match self.expected_bytes {
                Some(length_bytes) => read_file(Rc::new(file), length_bytes, inlet).await,
                None => read_stream(&file, &waits, inlet).await,
            }
        })
    }
}

/// Reads a file of known length with several reads in flight.
async fn read_file(
    file: Rc<tokio_uring::fs::File>,
    length_bytes: u64,
    inlet: &Inlet,
) -> io::Result<()> {
    let depth = usize::try_from(inlet.read_ahead().min(READS_IN_FLIGHT)).unwrap_or(1);
    let mut flights = VecDeque::with_capacity(depth);
    let mut offset = 0;
    // `Some` when no read is to be started any more.
    let mut outcome = None;
    loop {
        while outcome.is_none() && flights.len() < depth && offset < length_bytes {
            let want_bytes = block_bytes_at(offset, length_bytes, inlet.block_bytes());
            let (file, buffer) = (Rc::clone(&file), inlet.buffer());
            flights.push_back(tokio_uring::spawn(read_block(file, buffer, want_bytes, offset)));
            offset += want_bytes as u64;
        }
        let Some(flight) = flights.pop_front() else {
            return outcome.unwrap_or(Ok(()));
        };
        // Awaited even after the end: its buffer is the kernel's until then.
        let block = flight.await.map_err(io::Error::other).flatten();
        if outcome.is_none() {
            outcome = match block {
                // Blocks here while the parsers have enough; the other reads go on in the kernel.
                Ok(bytes) => (!inlet.deliver(bytes)).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            };
        }
    }
}

/// Bytes of the block at `offset` of a file.
fn block_bytes_at(offset: u64, length_bytes: u64, block_bytes: usize) -> usize {
    usize::try_from(length_bytes - offset).map_or(block_bytes, |left| left.min(block_bytes))
}

/// Reads one whole block of a file; a file that ends before is an error.
async fn read_block(
    file: Rc<tokio_uring::fs::File>,
    mut buffer: Vec<u8>,
    want_bytes: usize,
    offset: u64,
) -> io::Result<Vec<u8>> {
    buffer.clear();
    while buffer.len() < want_bytes {
        let at = offset + buffer.len() as u64;
        let read_bytes;
        (read_bytes, buffer) = read_some(&file, buffer, want_bytes, at).await?;
        if read_bytes == 0 {
            return Err(shrunk((want_bytes - buffer.len()) as u64));
        }
    }
    Ok(buffer)
}

/// Reads what has no offsets, one read at a time; `waits` is the same file, to be waited for.
async fn read_stream(file: &tokio_uring::fs::File, waits: &File, inlet: &Inlet) -> io::Result<()> {
    while inlet.wait_for_room() {
        let mut buffer = inlet.buffer();
        buffer.clear();
        let mut age = Age::new();
        let mut is_end = false;
        while buffer.len() < inlet.block_bytes() && !is_end {
            let read_bytes;
            (read_bytes, buffer) =
                read_some(file, buffer, inlet.block_bytes(), CURRENT_POSITION).await?;
            is_end = read_bytes == 0;
            // This thread has nothing else to do meanwhile.
            match age.left() {
                Some(left) if is_end || more_within(waits, left)? => {}
                _ => break,
            }
        }
        if !inlet.deliver(buffer) || is_end {
            break;
        }
    }
    Ok(())
}

/// Appends the bytes of one read to `buffer`, which then has at most `want_bytes` bytes; none are
/// the end.
async fn read_some(
    file: &tokio_uring::fs::File,
    mut buffer: Vec<u8>,
    want_bytes: usize,
    offset: u64,
) -> io::Result<(usize, Vec<u8>)> {
    let filled_bytes = buffer.len();
    // A buffer from elsewhere may have less room; what is there already is kept.
    buffer.reserve_exact(want_bytes - filled_bytes);
    let end = want_bytes.min(filled_bytes + READ_BYTES);
    loop {
        let (outcome, slice) = file.read_at(buffer.slice(filled_bytes..end), offset).await;
        buffer = slice.into_inner();
        match outcome {
            Ok(read_bytes) => return Ok((read_bytes, buffer)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::block::{BlockFeed, BlockFeedSource};
    use proptest::prelude::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;

    /// Whether the kernel forbids what is tested here; said, not passed over.
    fn is_forbidden() -> bool {
        let answer = probe();
        if let Err(error) = &answer {
            eprintln!("not tested: the kernel forbids io_uring: {error}");
        }
        answer.is_err()
    }

    fn feed(
        file: File,
        expected_bytes: Option<u64>,
        block_bytes: usize,
        read_ahead: usize,
    ) -> BlockFeed {
        let source = Box::new(UringBlocks::new(file, expected_bytes));
        BlockFeedSource::new(source, block_bytes, false).start(read_ahead)
    }

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn blocks_of_a_file_are_the_file(
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
            block_bytes in 1_usize..700,
            read_ahead in 1_usize..12,
        ) {
            if is_forbidden() {
                return Ok(());
            }
            let feed = feed(file_of(&bytes), Some(bytes.len() as u64), block_bytes, read_ahead);
            for piece in bytes.chunks(block_bytes) {
                let block = feed.take().expect("readable").expect("a block");
                prop_assert_eq!(block.bytes(), piece);
            }
            prop_assert!(feed.take().expect("readable").is_none());
        }

        #[test]
        fn blocks_of_a_pipe_are_what_was_written(
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
            block_bytes in 1_usize..700,
            write_bytes in 1_usize..900,
        ) {
            if is_forbidden() {
                return Ok(());
            }
            let (pipe, mut writer) = io::pipe().expect("a pipe");
            let feed = feed(File::from(OwnedFd::from(pipe)), None, block_bytes, 2);
            let writer = std::thread::spawn({
                let bytes = bytes.clone();
                move || bytes.chunks(write_bytes).try_for_each(|piece| writer.write_all(piece))
            });
            for piece in bytes.chunks(block_bytes) {
                let block = feed.take().expect("readable").expect("a block");
                prop_assert_eq!(block.bytes(), piece);
            }
            prop_assert!(feed.take().expect("readable").is_none());
            writer.join().expect("no panic").expect("written");
        }
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        if is_forbidden() {
            return;
        }
        let feed = feed(file_of(&[b'x'; 25]), Some(60), 10, 4);
        for _ in 0..2 {
            assert!(feed.take().expect("readable").is_some());
        }
        let error = feed.take().expect_err("shorter");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_early_drop_waits_for_the_reads_in_flight() {
        if is_forbidden() {
            return;
        }
        for taken in 0..5 {
            let feed = feed(file_of(&[b'x'; 10_000]), Some(10_000), 10, 8);
            for _ in 0..taken {
                assert!(feed.take().expect("readable").is_some());
            }
        }
    }

    #[test]
    fn a_directory_fails_with_the_kernels_word() {
        if is_forbidden() {
            return;
        }
        let feed = feed(File::open("/").expect("opens"), Some(60), 10, 4);
        let error = feed.take().expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
