//! Owned blocks past the page cache: a regular file read with `O_DIRECT` through `io_uring`,
//! several reads in flight, into registered buffers in huge pages (`pages.rs`).
//!
//! The device writes into the buffers that the parsers read: nothing is copied, and what the page
//! cache holds for others stays there. As in [`super::uring`], a run waits for all its reads before
//! it returns.
//!
//! Blocks are multiples of `ALIGNMENT_BYTES`, because offset, length and address of a direct read
//! must be. What is left at the end of the file, or after a read that gave less than was asked for,
//! is read without `O_DIRECT`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::panic;
use std::rc::Rc;

use rustix::fs::OFlags;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::buf::fixed::FixedBuf;

use super::block::{BlockBytes, BlockSource, Inlet};
use super::pages::Pool;
use super::read::shrunk;
use super::uring::{UringBlocks, new_runtime};
use crate::limits;

/// What offset, length and address of a direct read are multiples of: the largest logical block of
/// the devices in use. A file system that wants more refuses the trial.
const ALIGNMENT_BYTES: usize = 4096;

/// Reads in flight, at most.
const READS_IN_FLIGHT: usize = 8;

/// Bytes of all buffers: eight in flight, those read ahead of the parsers, those being parsed.
const POOL_BYTES: usize = 16 << 20;

/// Buffers with which reading and parsing still overlap.
const BUFFERS_MIN: u16 = 4;

/// Buffers beyond which more reads in flight gain nothing.
const BUFFERS_MAX: u16 = 64;

/// Reads a regular file past the page cache.
#[derive(Debug)]
pub struct DirectBlocks {
    /// Opened with `O_DIRECT`.
    direct: File,
    /// The same file, opened without.
    buffered: File,
    length_bytes: u64,
    buffer_bytes: usize,
}

impl DirectBlocks {
    /// Opens `file` once more with `O_DIRECT` and tries what a run will do, with few buffers.
    ///
    /// Blocks will have `block_bytes` bytes, rounded up to a multiple of 4 KiB, and at most those
    /// of the default block: more would gain nothing and be locked memory. There are at least 16
    /// buffers, of which 8 are in flight, where the limit on locked memory allows that.
    ///
    /// # Errors
    /// What does not allow it.
    pub fn open(file: &File, length_bytes: u64, block_bytes: usize) -> io::Result<Self> {
        let direct = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let buffer_bytes = block_bytes.min(limits::BLOCK_BYTES).next_multiple_of(ALIGNMENT_BYTES);
        attempt(direct.try_clone()?, buffer_bytes)?;
        let buffered = file.try_clone()?;
        Ok(Self { direct, buffered, length_bytes, buffer_bytes })
    }
}

/// The pool for buffers of a size: as many as are of use, or as may be locked.
fn new_pool(buffer_bytes: usize) -> io::Result<Pool> {
    let mut buffers =
        u16::try_from(POOL_BYTES / buffer_bytes).map_or(BUFFERS_MAX, |n| n.min(BUFFERS_MAX));
    loop {
        match Pool::new(buffers, buffer_bytes) {
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory && buffers > BUFFERS_MIN => {
                buffers = (buffers / 2).max(BUFFERS_MIN);
            }
            outcome => return outcome,
        }
    }
}

/// Registers buffers and reads the first bytes of a file into one.
fn attempt(direct: File, buffer_bytes: usize) -> io::Result<()> {
    // The runtime's own set-up panics where it finds a half-working kernel.
    let outcome = panic::catch_unwind(|| {
        let runtime = new_runtime()?;
        let file = tokio_uring::fs::File::from_std(direct);
        runtime.block_on(async {
            let mut pool = Pool::new(BUFFERS_MIN, buffer_bytes)?;
            let buffer = pool.take().expect("a new pool has buffers");
            let (outcome, slice) = file.read_fixed_at(buffer.slice(..ALIGNMENT_BYTES), 0).await;
            pool.put_back(slice.into_inner());
            outcome.map(drop)
        })
    });
    outcome.unwrap_or_else(|_| Err(io::Error::other("the runtime of io_uring cannot be set up")))
}

impl BlockSource for DirectBlocks {
    fn run(self: Box<Self>, inlet: &Inlet) -> io::Result<()> {
        let runtime = new_runtime()?;
        let Ok(pool) = runtime.block_on(async { new_pool(self.buffer_bytes) }) else {
            // Other inputs have locked what may be locked since the trial.
            drop(runtime);
            return Box::new(UringBlocks::new(self.buffered, Some(self.length_bytes))).run(inlet);
        };
        let blocks = Blocks { length_bytes: self.length_bytes, block_bytes: self.buffer_bytes };
        runtime.block_on(async {
            let file = Rc::new(Files {
                direct: tokio_uring::fs::File::from_std(self.direct),
                buffered: tokio_uring::fs::File::from_std(self.buffered),
            });
            let depth = READS_IN_FLIGHT.min(pool.buffers() / 2);
            read_file(&file, blocks, pool, depth, inlet).await
        })
    }
}

/// One file, opened both ways.
#[derive(Debug)]
struct Files {
    direct: tokio_uring::fs::File,
    buffered: tokio_uring::fs::File,
}

/// How a file is cut.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    length_bytes: u64,
    block_bytes: usize,
}

impl Blocks {
    /// Bytes of the block at `offset`; 0 behind the last one.
    fn bytes_at(self, offset: u64) -> usize {
        let left_bytes = self.length_bytes.saturating_sub(offset);
        usize::try_from(left_bytes).map_or(self.block_bytes, |left| left.min(self.block_bytes))
    }
}

async fn read_file(
    file: &Rc<Files>,
    blocks: Blocks,
    mut pool: Pool,
    depth: usize,
    inlet: &Inlet,
) -> io::Result<()> {
    let mut flights = VecDeque::with_capacity(depth);
    let mut offset = 0;
    // `Some` when no read is to be started any more.
    let mut outcome = None;
    loop {
        while outcome.is_none() && flights.len() < depth && blocks.bytes_at(offset) > 0 {
            let Some(buffer) = pool.take() else { break };
            let want_bytes = blocks.bytes_at(offset);
            let read = read_block(Rc::clone(file), buffer, want_bytes, offset);
            flights.push_back((want_bytes, tokio_uring::spawn(read)));
            offset += want_bytes as u64;
        }
        // `hand_over` keeps one buffer back: there are none in flight only when nothing is left.
        let Some((bytes, flight)) = flights.pop_front() else {
            return outcome.unwrap_or(Ok(()));
        };
        // Awaited even after the end: its buffer is the kernel's until then.
        let buffer = flight.await.map_err(io::Error::other).flatten();
        if outcome.is_none() {
            outcome = match buffer {
                Ok(buffer) => (!hand_over(&mut pool, buffer, bytes, inlet)).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            };
        }
    }
}

/// Delivers a block as soon as there is room for it; false when the feed was stopped.
///
/// The buffer is lent while another one is free to be read into. If the parsers hold all others (a
/// record over many blocks), the bytes are copied instead, so that reading goes on.
fn hand_over(pool: &mut Pool, buffer: FixedBuf, bytes: usize, inlet: &Inlet) -> bool {
    if !inlet.wait_for_room() {
        return false;
    }
    let block = if pool.has_free() {
        BlockBytes::from(pool.lend(buffer, bytes))
    } else {
        let mut copy = inlet.buffer();
        copy.clear();
        copy.extend_from_slice(&buffer[..bytes]);
        pool.put_back(buffer);
        BlockBytes::from(copy)
    };
    inlet.deliver(block)
}

/// Reads one whole block of a file; a file that ends before is an error.
async fn read_block(
    file: Rc<Files>,
    mut buffer: FixedBuf,
    want_bytes: usize,
    offset: u64,
) -> io::Result<FixedBuf> {
    let mut filled_bytes = 0;
    while filled_bytes < want_bytes {
        // Whole units at aligned places past the page cache, the rest through it.
        let whole_bytes = (want_bytes - filled_bytes) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        let (way, end) = if whole_bytes > 0 && filled_bytes.is_multiple_of(ALIGNMENT_BYTES) {
            (&file.direct, filled_bytes + whole_bytes)
        } else {
            (&file.buffered, want_bytes)
        };
        let at = offset + filled_bytes as u64;
        let (outcome, slice) = way.read_fixed_at(buffer.slice(filled_bytes..end), at).await;
        buffer = slice.into_inner();
        match outcome {
            Ok(0) => return Err(shrunk((want_bytes - filled_bytes) as u64)),
            Ok(bytes) => filled_bytes += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::input::block::{Block, BlockFeed, BlockFeedSource, Next};
    use crate::input::uring;

    /// A file on the file system of the checkout, which takes direct reads where `/tmp` may not.
    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile_in(".").expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    /// The feed, or nothing where this machine does not allow it: said, not passed over.
    fn feed(
        file: &File,
        length_bytes: usize,
        block_bytes: usize,
        read_ahead: usize,
    ) -> Option<BlockFeed> {
        match DirectBlocks::open(file, length_bytes as u64, block_bytes) {
            Ok(source) => {
                let source = Box::new(source);
                Some(BlockFeedSource::new(source, block_bytes, false).start(read_ahead))
            }
            Err(error) => {
                eprintln!("not tested: no direct reads here: {error}");
                assert!(uring::probe().is_err() || error.raw_os_error().is_some(), "{error}");
                None
            }
        }
    }

    /// Bytes of which no two pieces of a length are equal.
    fn distinct(length_bytes: usize) -> Vec<u8> {
        (0..length_bytes as u64)
            .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect()
    }

    /// A length at or beside a multiple of the alignment.
    fn around_alignment() -> impl Strategy<Value = usize> {
        (0_usize..40, -2_isize..3, any::<bool>()).prop_map(|(units, beside, far)| {
            let beside = if far { beside * 700 } else { beside };
            (units * ALIGNMENT_BYTES).saturating_add_signed(beside).max(1)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn blocks_of_a_file_are_the_file(
            length_bytes in around_alignment(),
            block_bytes in prop_oneof![1_usize..20_000, around_alignment()],
            read_ahead in 1_usize..12,
            held_blocks in 0_usize..100,
        ) {
            let bytes = distinct(length_bytes);
            let Some(feed) = feed(&file_of(&bytes), length_bytes, block_bytes, read_ahead) else {
                return Ok(());
            };
            // More than there are buffers: the rest must be copies.
            let mut held: VecDeque<Arc<Block>> = VecDeque::new();
            let check = |block: &Block| {
                let start = usize::try_from(block.offset).expect("small");
                block.bytes() == &bytes[start..][..block.bytes().len()]
            };
            for piece in bytes.chunks(block_bytes.next_multiple_of(ALIGNMENT_BYTES)) {
                let block = feed.take().expect("readable").expect("a block");
                prop_assert!(block.bytes() == piece);
                held.push_back(block);
                if held.len() > held_blocks {
                    // What was held meanwhile is still what it was.
                    prop_assert!(held.pop_front().is_some_and(|block| check(&block)));
                }
            }
            prop_assert!(feed.take().expect("readable").is_none());
            drop(feed);
            prop_assert!(held.iter().all(|block| check(block)));
        }
    }

    #[test]
    fn lent_bytes_are_kept_by_copies() {
        let bytes = distinct(3 * ALIGNMENT_BYTES);
        let Some(feed) = feed(&file_of(&bytes), bytes.len(), ALIGNMENT_BYTES, 2) else { return };
        let first = feed.take().expect("readable").expect("a block");
        let kept = first.shared_bytes();
        drop(first);
        while feed.take().expect("readable").is_some() {}
        assert!(*kept == bytes[..ALIGNMENT_BYTES]);
    }

    #[test]
    fn a_record_over_all_blocks_is_followed_to_its_end() {
        const BLOCKS: usize = 200;
        let bytes = distinct(BLOCKS * ALIGNMENT_BYTES + 1);
        let Some(feed) = feed(&file_of(&bytes), bytes.len(), ALIGNMENT_BYTES, 1) else { return };
        let first = feed.take().expect("readable").expect("a block");
        let mut found = first.bytes().to_vec();
        let mut block = Arc::clone(&first);
        while let Next::Block(next) = block.next().expect("readable") {
            found.extend_from_slice(next.bytes());
            block = next;
        }
        assert!(found == bytes);
        assert!(first.bytes() == &bytes[..ALIGNMENT_BYTES]);
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        for (left_bytes, whole_blocks) in [(2 * ALIGNMENT_BYTES, 2), (10_000, 2), (4095, 0)] {
            let file = file_of(&distinct(10 * ALIGNMENT_BYTES));
            let length_bytes = 10 * ALIGNMENT_BYTES;
            let Some(feed) = feed(&file, length_bytes, ALIGNMENT_BYTES, 2) else { return };
            file.set_len(left_bytes as u64).expect("cut");
            for _ in 0..whole_blocks {
                assert!(feed.take().expect("readable").is_some());
            }
            let error = feed.take().expect_err("shorter");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(error.to_string().contains("cut short"), "{error}");
        }
    }

    #[test]
    fn a_file_that_grew_is_read_to_its_length_at_opening() {
        let bytes = distinct(5 * ALIGNMENT_BYTES);
        let length_bytes = 2 * ALIGNMENT_BYTES + 100;
        let Some(feed) = feed(&file_of(&bytes), length_bytes, ALIGNMENT_BYTES, 2) else { return };
        let mut found = Vec::new();
        while let Some(block) = feed.take().expect("readable") {
            found.extend_from_slice(block.bytes());
        }
        assert!(found == bytes[..length_bytes]);
    }

    #[test]
    fn an_early_drop_waits_for_the_reads_in_flight() {
        let bytes = distinct(300 * ALIGNMENT_BYTES);
        for taken in 0..5 {
            let file = file_of(&bytes);
            let Some(feed) = feed(&file, bytes.len(), ALIGNMENT_BYTES, 8) else { return };
            let held: Vec<_> = (0..taken).map(|_| feed.take().expect("readable")).collect();
            drop(feed);
            for (block, piece) in held.into_iter().flatten().zip(bytes.chunks(ALIGNMENT_BYTES)) {
                assert!(block.bytes() == piece);
            }
        }
    }
}
