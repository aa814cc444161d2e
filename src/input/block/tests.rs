use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;
use crate::input::read::ReadBlocks;

fn feed(reader: impl Read + Send + 'static, block_bytes: usize, read_ahead: usize) -> BlockFeed {
    BlockFeedSource::new(Box::new(ReadBlocks::new(reader, None)), block_bytes, false)
        .start(read_ahead)
}

/// Gives the bytes in reads of the given sizes, over and over, with an interruption before each.
struct Choppy {
    bytes: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    reads: usize,
}

impl Read for Choppy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads % 2 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.reads / 2 % self.sizes.len()];
        let rest = &self.bytes[self.at..];
        let bytes = rest.len().min(size).min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

/// Fails after some bytes.
struct Failing(u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        let bytes = io::repeat(b'x').take(self.0).read(buffer)?;
        self.0 -= bytes as u64;
        Ok(bytes)
    }
}

/// Counts what was read of an input without end.
struct Endless(Arc<AtomicU64>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fetch_add(buffer.len() as u64, Ordering::SeqCst);
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_are_the_input_cut_in_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        block_bytes in 1_usize..70,
        read_ahead in 1_usize..5,
        sizes in proptest::collection::vec(1_usize..30, 1..4),
        head_bytes in 0_usize..500,
    ) {
        let reader = Choppy { bytes: bytes.clone(), at: 0, sizes, reads: 0 };
        let feed = feed(reader, block_bytes, read_ahead);
        prop_assert_eq!(
            feed.head(head_bytes).expect("readable"),
            &bytes[..head_bytes.min(bytes.len())]
        );
        for (index, piece) in (0..).zip(bytes.chunks(block_bytes)) {
            let block = feed.take().expect("readable").expect("a block");
            prop_assert_eq!(block.bytes(), piece);
            prop_assert_eq!(block.index, index);
            prop_assert_eq!(block.offset, index * block_bytes as u64);
        }
        prop_assert!(feed.take().expect("readable").is_none());
        prop_assert!(feed.take().expect("readable").is_none());
    }

    #[test]
    fn threads_that_follow_records_see_every_byte(
        record_bytes in proptest::collection::vec(1_usize..200, 1..60),
        block_bytes in 1_usize..50,
        read_ahead in 1_usize..4,
        threads in 1_usize..4,
    ) {
        let mut bytes = Vec::new();
        for size in &record_bytes {
            bytes.extend(std::iter::repeat_n(b'x', size - 1));
            bytes.push(b'\n');
        }
        let (pipe, mut writer) = io::pipe().expect("a pipe");
        let writer = thread::spawn({
            let bytes = bytes.clone();
            move || writer.write_all(&bytes)
        });
        let feed = feed(pipe, block_bytes, read_ahead);
        // Each thread takes blocks and counts the records that begin in them (after a newline, or
        // at the input's first byte), following the last one to its end.
        let mut found: Vec<(u64, u64)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| records(&feed))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        found.sort_unstable();
        let mut start = 0;
        let expected: Vec<_> = record_bytes.iter().map(|&size| {
            let range = (start, start + size as u64);
            start = range.1;
            range
        }).collect();
        prop_assert_eq!(found, expected);
        writer.join().expect("no panic").expect("written");
    }
}

/// Ranges of the records that begin in the blocks this thread takes. A record belongs to the block
/// of its first byte; one that begins right after a newline that ends a block, to the block of the
/// newline.
fn records(feed: &BlockFeed) -> Vec<(u64, u64)> {
    let mut records = Vec::new();
    while let Some(block) = feed.take().expect("readable") {
        let mut starts: Vec<u64> = Vec::new();
        if block.offset == 0 {
            starts.push(0);
        }
        for (at, &byte) in block.bytes().iter().enumerate() {
            if byte == b'\n' {
                starts.push(block.offset + at as u64 + 1);
            }
        }
        for start in starts {
            if let Some(end) = record_end(&block, start) {
                records.push((start, end));
            }
        }
    }
    records
}

/// The block behind a block; `None` at the input's end.
fn following(block: &Block) -> Option<Arc<Block>> {
    match block.next().expect("readable") {
        Next::Block(next) => Some(next),
        Next::End => None,
        Next::Cut => panic!("nobody cuts here"),
    }
}

/// End of the record that begins at `start`, in this block or behind it; `None` at the input's end.
fn record_end(block: &Arc<Block>, start: u64) -> Option<u64> {
    let mut block = Arc::clone(block);
    loop {
        let from = usize::try_from(start.saturating_sub(block.offset)).expect("small");
        let rest = block.bytes().get(from..).unwrap_or_default();
        if let Some(at) = rest.iter().position(|&byte| byte == b'\n') {
            return Some(block.offset + (from + at) as u64 + 1);
        }
        block = following(&block)?;
    }
}

#[test]
fn the_reader_stays_within_its_bound_until_next_asks() {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let feed = feed(Endless(Arc::clone(&read_bytes)), 10, 3);
    let first = feed.take().expect("readable").expect("a block");
    let second = feed.take().expect("readable").expect("a block");
    assert_eq!((first.offset, second.offset), (0, 10));
    // Two taken and three ahead: nobody asks for more, so no more comes, however long one waits.
    assert!(read_bytes.load(Ordering::SeqCst) <= 50);
    // All takers follow a record that is longer than any bound.
    let mut block = second;
    for _ in 0..100 {
        block = following(&block).expect("a block");
    }
    assert_eq!(block.offset, 1010);
    assert!(read_bytes.load(Ordering::SeqCst) <= 1020 + 30);
    // The blocks that were only looked at are still given out, in order.
    let third = feed.take().expect("readable").expect("a block");
    assert_eq!(third.offset, 20);
}

#[test]
fn parsers_that_all_wait_for_later_blocks_get_them() {
    let feed = feed(io::repeat(b'x').take(1000), 10, 1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut block = feed.take().expect("readable").expect("a block");
                while let Some(next) = following(&block) {
                    block = next;
                }
                assert_eq!(block.offset, 990);
            });
        }
    });
}

#[test]
fn blocks_before_the_oldest_held_one_are_recycled() {
    let feed = feed(io::repeat(b'x').take(1000), 10, 2);
    let mut held = feed.take().expect("readable").expect("a block");
    for round in 1..=20 {
        // What is behind a held block stays, although others have taken and dropped it.
        for _ in 0..3 {
            drop(feed.take().expect("readable").expect("a block"));
        }
        for _ in 0..3 {
            held = following(&held).expect("a block");
        }
        assert_eq!(held.offset, round * 30);
        let state = feed.shared.lock();
        assert_eq!(state.first_index, held.index);
        assert!(state.slots.len() <= 3 && state.spares.len() <= 2);
    }
    let bytes = held.shared_bytes();
    drop((held, feed));
    assert_eq!(*bytes, b"xxxxxxxxxx");
}

#[test]
fn a_read_error_reaches_everybody_after_the_blocks_before_it() {
    let feed = feed(Failing(25), 10, 2);
    let first = feed.take().expect("readable").expect("a block");
    let second = feed.take().expect("readable").expect("a block");
    assert_eq!(following(&first).expect("a block").offset, 10);
    for _ in 0..2 {
        assert_eq!(second.next().expect_err("fails").raw_os_error(), Some(5));
        assert_eq!(feed.take().expect_err("fails").raw_os_error(), Some(5));
    }
    assert_eq!(feed.head(20).expect("read").len(), 20);
    assert_eq!(feed.head(21).expect_err("fails").raw_os_error(), Some(5));
}

#[test]
fn a_panic_of_the_source_is_an_error_for_the_waiters() {
    struct Panicking;
    impl BlockSource for Panicking {
        fn run(self: Box<Self>, _: &Inlet) -> io::Result<()> {
            panic!("on purpose");
        }
    }
    let feed = BlockFeedSource::new(Box::new(Panicking), 10, false).start(1);
    let error = feed.take().expect_err("no end of input");
    assert_eq!(error.to_string(), "the reader thread panicked");
}

#[test]
fn dropping_the_feed_ends_the_reader_and_wakes_the_waiters() {
    let source = Box::new(ReadBlocks::new(io::repeat(b'x').take(10).chain(Hanging), None));
    let feed = BlockFeedSource::new(source, 10, true).start(1);
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let first = feed.take().expect("readable").expect("a block");
        sender.send(feed).expect("the test waits for it");
        first.next().map(|next| matches!(next, Next::Block(_)))
    });
    drop(receiver.recv().expect("the waiter has a block"));
    let error = waiter.join().expect("no panic").expect_err("stopped, not ended");
    assert_eq!(error.to_string(), "reading was stopped");
}

/// A pipe whose writer says nothing.
struct Hanging;

impl Read for Hanging {
    #[expect(clippy::infinite_loop, reason = "the type is the trait's")]
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        loop {
            thread::park();
        }
    }
}

/// A feed of a pipe that has given `bytes` and falls silent, and the pipe's other end.
fn silent(bytes: &[u8]) -> (BlockFeed, io::PipeWriter) {
    let (pipe, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(bytes).expect("there is room");
    let source = ReadBlocks::stream(File::from(OwnedFd::from(pipe)));
    (BlockFeedSource::new(Box::new(source), 10, true).start(2), writer)
}

#[test]
fn a_silent_pipe_keeps_nothing_back() {
    let (feed, mut writer) = silent(&[b'x'; 14]);
    let first = feed.take().expect("readable").expect("a block");
    assert_eq!(first.bytes().len(), 10);
    assert_eq!(following(&first).expect("what there is").bytes().len(), 4);
    writer.write_all(b"y").expect("there is room");
    drop(writer);
    let sizes = [(); 2].map(|()| feed.take().expect("readable").expect("a block").bytes().len());
    assert_eq!(sizes, [4, 1]);
    assert!(feed.take().expect("readable").is_none());
}

#[test]
fn where_nothing_is_waited_for_a_record_is_cut() {
    let (feed, writer) = silent(&[b'x'; 10]);
    let first = feed.take().expect("readable").expect("a block");
    thread::scope(|scope| {
        let next = scope.spawn(|| first.next().expect("readable"));
        let taken = scope.spawn(|| feed.take().expect("readable"));
        feed.end_when_empty();
        assert!(matches!(next.join().expect("no panic"), Next::Cut));
        assert!(taken.join().expect("no panic").is_none());
    });
    // What comes later has no beginning.
    (&writer).write_all(&[b'y'; 10]).expect("there is room");
    while feed.shared.lock().read_count < 2 {
        thread::yield_now();
    }
    assert!(feed.take().expect("readable").is_none());
}

#[test]
fn a_stopped_feed_is_not_an_ended_input() {
    let feed = feed(Endless(Arc::default()), 10, 2);
    feed.stop();
    loop {
        match feed.take() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the input has no end"),
            Err(error) => break assert_eq!(error.to_string(), "reading was stopped"),
        }
    }
    drop(feed);
}

#[test]
fn a_file_that_shrank_is_an_error() {
    let source = Box::new(ReadBlocks::new(io::repeat(b'x').take(15), Some(20)));
    let feed = BlockFeedSource::new(source, 10, false).start(1);
    assert!(feed.take().expect("readable").is_some());
    assert!(feed.take().expect("readable").is_some());
    let error = feed.take().expect_err("shorter");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("5 bytes are missing"));
}

#[test]
fn a_file_that_grew_is_read_to_its_length_at_opening() {
    let source = Box::new(ReadBlocks::new(io::repeat(b'x'), Some(25)));
    let feed = BlockFeedSource::new(source, 10, false).start(1);
    let mut sizes = Vec::new();
    while let Some(block) = feed.take().expect("readable") {
        sizes.push(block.bytes().len());
    }
    assert_eq!(sizes, [10, 10, 5]);
}

/// Who follows a record through a whole input and gives its blocks up holds few of them, whether
/// others take them meanwhile or not; they get blocks of the same places, without bytes.
#[test]
fn blocks_that_are_given_up_are_not_kept() {
    let length_bytes = 1000 * 10;
    let feed = feed(io::repeat(b'x').take(length_bytes), 10, 3);
    let first = feed.take().expect("readable").expect("a block");
    let second = feed.take().expect("readable").expect("a block");
    let kept =
        |state: &State| state.slots.iter().map(|slot| slot.bytes.as_slice().len()).sum::<usize>();
    let mut tail = Arc::clone(&first);
    while let Next::Block(next) = tail.next().expect("readable") {
        assert_eq!((next.bytes().len(), next.offset), (10, tail.end()));
        if tail.index > 0 {
            tail.pass();
        }
        tail = next;
        let state = feed.shared.lock();
        assert!(kept(&state) <= 10 * (2 + 3), "{} bytes", kept(&state));
        assert!(state.spares.iter().all(|buffer| buffer.capacity() > 0));
    }
    assert_eq!(tail.end(), length_bytes);
    assert_eq!(second.bytes(), [b'x'; 10], "who holds a block keeps it");
    let mut at = second.end();
    while let Some(block) = feed.take().expect("readable") {
        assert_eq!((block.offset, block.end()), (at, at + 10));
        assert_eq!(block.bytes().is_empty(), block.index != tail.index);
        at = block.end();
    }
    assert_eq!(at, length_bytes);
}
