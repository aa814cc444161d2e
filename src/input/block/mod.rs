//! Owned blocks of one input in file order, read ahead by a thread of their own.
//!
//! This is how everything reaches the parsers that is not a memory map. A [`BlockFeed`] gives each
//! block out once, in order ([`BlockFeed::take`]); a record that goes on past its block is followed
//! with [`Block::next`].
//!
//! # Bounds
//!
//! The reader stays at most `read_ahead` blocks before the last block taken. A demand through
//! `next` lets it go on past that bound, block by block: if all parsers wait for the end of one
//! long record, the bound must not keep it from coming.
//!
//! A record may span any number of blocks, so the blocks behind a held one stay readable through
//! `next`, whoever has taken and dropped them. What is before the oldest held block is recycled:
//! its buffers return to the reader. So nobody should hold a block longer than its records are
//! parsed; to keep bytes for longer there is [`Block::shared_bytes`]. Who follows a record that is
//! longer than memory may be gives up the blocks that it covers ([`Block::pass`]).
//!
//! Waiting here is a mutex with two condition variables: it happens once a block, not once a
//! record.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

pub use bytes::BlockBytes;

mod bytes;

/// Where blocks come from; runs on the feed's thread.
pub trait BlockSource: Send {
    /// Reads the input to its end and hands each block to `inlet`, in order.
    ///
    /// It stops when [`Inlet::wait_for_room`] or [`Inlet::deliver`] says so.
    ///
    /// # Errors
    /// What reading gave. The blocks delivered before stay valid; then the error reaches everybody
    /// who waits for a later one.
    fn run(self: Box<Self>, inlet: &Inlet) -> io::Result<()>;
}

/// An input that is read in blocks, not yet started.
pub struct BlockFeedSource {
    source: Box<dyn BlockSource>,
    block_bytes: usize,
    may_pause: bool,
}

impl BlockFeedSource {
    /// Returns a feed of blocks of `block_bytes` bytes.
    ///
    /// `may_pause` says that a read may wait for ever (pipes, terminals): nobody then waits for the
    /// reader thread when the feed is dropped early.
    ///
    /// # Panics
    /// When `block_bytes` is 0.
    #[must_use]
    pub fn new(source: Box<dyn BlockSource>, block_bytes: usize, may_pause: bool) -> Self {
        assert!(block_bytes > 0, "a block has room for at least one byte");
        Self { source, block_bytes, may_pause }
    }

    /// Makes it ready to be read: the reader thread starts when the first block is wanted, and
    /// keeps up to `read_ahead` blocks (at least one) before the taken ones. Until then it costs
    /// nothing, however many inputs wait for their turn.
    #[must_use]
    pub fn start(self, read_ahead: usize) -> BlockFeed {
        let shared = Arc::new(Shared {
            block_bytes: self.block_bytes,
            read_ahead: read_ahead.max(1) as u64,
            state: Mutex::default(),
            arrived: Condvar::new(),
            room: Condvar::new(),
        });
        let reader = Mutex::new(Reader::Waiting(self.source));
        BlockFeed { shared, reader, may_pause: self.may_pause }
    }
}

impl fmt::Debug for BlockFeedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockFeedSource")
            .field("block_bytes", &self.block_bytes)
            .field("may_pause", &self.may_pause)
            .finish_non_exhaustive()
    }
}

/// The blocks of one input; parser threads share it by reference.
///
/// Dropping it stops the reader thread, wakes everybody who waits for a block, and joins the thread
/// unless it may hang in a read of a pipe.
#[derive(Debug)]
pub struct BlockFeed {
    shared: Arc<Shared>,
    reader: Mutex<Reader>,
    may_pause: bool,
}

/// The thread of a feed, and what it is to run.
enum Reader {
    Waiting(Box<dyn BlockSource>),
    Running(JoinHandle<()>),
    Gone,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting",
            Self::Running(_) => "Running",
            Self::Gone => "Gone",
        })
    }
}

impl Reader {
    /// Starts the thread, unless that was done.
    fn start(&mut self, shared: &Arc<Shared>) {
        *self = match mem::replace(self, Self::Gone) {
            Self::Waiting(source) => {
                let inlet = Inlet { shared: Arc::clone(shared) };
                let thread = thread::Builder::new().name("fastload-input".into());
                match thread.spawn(move || read(source, &inlet)) {
                    Ok(thread) => Self::Running(thread),
                    Err(error) => {
                        shared.end(Err(error));
                        Self::Gone
                    }
                }
            }
            started => started,
        };
    }
}

fn read(source: Box<dyn BlockSource>, inlet: &Inlet) {
    // Ends the feed with an error when the source panics.
    let ending = EndOnDrop(&inlet.shared);
    let outcome = source.run(inlet);
    inlet.shared.end(outcome);
    drop(ending);
}

impl BlockFeed {
    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next block that nobody has taken; waits until it is read. `None` is the end.
    ///
    /// # Errors
    /// The read error behind the last block, each time; that the feed was stopped, or has no
    /// thread.
    pub fn take(&self) -> io::Result<Option<Arc<Block>>> {
        self.reader().start(&self.shared);
        let mut state = self.shared.lock();
        loop {
            if state.is_cut {
                return Ok(None);
            }
            if state.taken_count < state.read_count {
                let index = state.taken_count;
                state.taken_count += 1;
                self.shared.room.notify_all();
                return Ok(Some(state.block(index, &self.shared)));
            }
            if let Some(end) = state.end_before(state.taken_count) {
                return end.map(|()| None);
            }
            if state.ends_when_empty {
                return Ok(None);
            }
            state = wait(&self.shared.arrived, state);
        }
    }

    /// From now on a block that is not read yet is not waited for: to [`Self::take`] that is the
    /// end, to [`Block::next`] a [`Next::Cut`].
    pub fn end_when_empty(&self) {
        self.shared.lock().ends_when_empty = true;
        self.shared.arrived.notify_all();
    }

    /// Copies the first up to `limit_bytes` bytes of the input, without taking any block.
    ///
    /// Fewer bytes mean that the input ends there. For the dialect sniffer; it may read past the
    /// bound of read-ahead.
    ///
    /// # Errors
    /// A read error among these bytes; a first block that is gone already (`InvalidInput`).
    pub fn head(&self, limit_bytes: usize) -> io::Result<Vec<u8>> {
        self.reader().start(&self.shared);
        let mut head = Vec::new();
        let mut index = 0;
        let mut state = self.shared.lock();
        while head.len() < limit_bytes {
            if index < state.read_count {
                let bytes = state.bytes(index).ok_or(io::ErrorKind::InvalidInput)?;
                let wanted_bytes = bytes.len().min(limit_bytes - head.len());
                head.extend_from_slice(&bytes[..wanted_bytes]);
                index += 1;
            } else if let Some(end) = state.end_before(index) {
                end?;
                break;
            } else {
                state.demand(index, &self.shared);
                state = wait(&self.shared.arrived, state);
            }
        }
        Ok(head)
    }

    /// Blocks that are read and not taken, and how many may be; `None` before the first one is
    /// taken and after the last one.
    #[must_use]
    pub fn depth(&self) -> Option<(usize, usize)> {
        let state = self.shared.lock();
        let ahead = state.read_count - state.taken_count;
        let is_over = ahead == 0 && state.end.is_some();
        let count = |blocks: u64| usize::try_from(blocks).unwrap_or(usize::MAX);
        (state.taken_count > 0 && !is_over).then(|| (count(ahead), count(self.shared.read_ahead)))
    }

    /// Ends the reader thread and wakes everybody who waits; blocks that are read stay usable.
    pub fn stop(&self) {
        self.shared.stop();
    }
}

impl Drop for BlockFeed {
    fn drop(&mut self) {
        self.shared.stop();
        if let Reader::Running(thread) = mem::replace(&mut *self.reader(), Reader::Gone)
            && !self.may_pause
        {
            // Its panic has already ended the feed with an error.
            drop(thread.join());
        }
    }
}

/// A piece of the input, from `offset` on.
pub struct Block {
    /// Offset in the input of the first byte.
    pub offset: u64,
    /// Number of the block, from 0.
    pub index: u64,
    length_bytes: usize,
    bytes: BlockBytes,
    shared: Arc<Shared>,
}

impl Block {
    /// The bytes, at least one; none of a block that was given up before it was taken.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Offset in the input behind its last byte.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.length_bytes as u64
    }

    /// Gives the bytes up: the block lies inside a record that is not kept, so nobody will look at
    /// them. Whoever holds the block now keeps them; who takes it later gets one without bytes.
    pub fn pass(&self) {
        let mut state = self.shared.lock();
        if let Some(slot) = state.slot_mut(self.index) {
            slot.bytes = BlockBytes::default();
        }
    }

    /// The bytes, to be kept beyond the block: they do not return to the reader then. Lent bytes
    /// are copied: their pool is small.
    #[must_use]
    pub fn shared_bytes(&self) -> Arc<Vec<u8>> {
        match &self.bytes {
            BlockBytes::Owned(bytes) => Arc::clone(bytes),
            BlockBytes::Lent(bytes) => Arc::new(bytes.bytes().to_vec()),
        }
    }

    /// The following block, whoever has taken it; waits until it is read.
    ///
    /// # Errors
    /// The read error behind this block; that the feed was stopped before the block was read.
    pub fn next(&self) -> io::Result<Next> {
        let index = self.index + 1;
        let mut state = self.shared.lock();
        loop {
            if index < state.read_count {
                return Ok(Next::Block(state.block(index, &self.shared)));
            }
            if let Some(end) = state.end_before(index) {
                return end.map(|()| Next::End);
            }
            if state.ends_when_empty {
                state.is_cut = true;
                self.shared.arrived.notify_all();
                return Ok(Next::Cut);
            }
            state.demand(index, &self.shared);
            state = wait(&self.shared.arrived, state);
        }
    }

    /// The following block, if it is read by now.
    #[must_use]
    pub fn next_if_read(&self) -> Option<Arc<Self>> {
        let mut state = self.shared.lock();
        let index = self.index + 1;
        (index < state.read_count).then(|| state.block(index, &self.shared))
    }
}

/// What follows a block.
#[derive(Debug)]
pub enum Next {
    /// Another one.
    Block(Arc<Block>),
    /// The end of the input.
    End,
    /// Nothing that is waited for ([`BlockFeed::end_when_empty`]): what goes on behind the block is
    /// to be left unread, and no further block is given out.
    Cut,
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let spares_max = self.shared.spares_max();
        // Given back before the state looks whether its slot is the last owner.
        state.give_back(mem::take(&mut self.bytes), spares_max);
        state.recycle(spares_max);
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("index", &self.index)
            .field("offset", &self.offset)
            .field("bytes", &self.length_bytes)
            .finish_non_exhaustive()
    }
}

/// The reader's side of a feed.
#[derive(Debug)]
pub struct Inlet {
    shared: Arc<Shared>,
}

impl Inlet {
    /// Bytes that a block should have.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.shared.block_bytes
    }

    /// Blocks that the reader may be ahead.
    #[must_use]
    pub fn read_ahead(&self) -> u64 {
        self.shared.read_ahead
    }

    /// Waits until the next block is wanted; false when the feed was stopped.
    #[must_use]
    pub fn wait_for_room(&self) -> bool {
        let mut state = self.shared.lock();
        loop {
            if state.is_stopped {
                return false;
            }
            if state.read_count < state.taken_count + self.shared.read_ahead
                || state.read_count < state.demanded_count
            {
                return true;
            }
            state = wait(&self.shared.room, state);
        }
    }

    /// A buffer of `block_bytes` capacity; what it holds is left over from another block.
    #[must_use]
    pub fn buffer(&self) -> Vec<u8> {
        let spare = self.shared.lock().spares.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(self.shared.block_bytes))
    }

    /// Hands over the next block, as soon as there is room for it; false when the feed was stopped.
    ///
    /// An empty one is ignored: blocks have bytes.
    #[must_use]
    pub fn deliver(&self, bytes: impl Into<BlockBytes>) -> bool {
        if !self.wait_for_room() {
            return false;
        }
        let bytes = bytes.into();
        let mut state = self.shared.lock();
        if bytes.as_slice().is_empty() {
            return !state.is_stopped;
        }
        let offset = state.read_bytes;
        let length_bytes = bytes.as_slice().len();
        state.read_bytes += length_bytes as u64;
        state.read_count += 1;
        state.slots.push_back(Slot { offset, length_bytes, bytes, handle: Weak::new() });
        self.shared.arrived.notify_all();
        !state.is_stopped
    }
}

#[derive(Debug)]
struct Shared {
    block_bytes: usize,
    read_ahead: u64,
    state: Mutex<State>,
    /// A block was read, or none will be any more.
    arrived: Condvar,
    /// A block was taken or demanded, or the feed was stopped.
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed, so a panic elsewhere (the reader's
        // source, a parser) does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().is_stopped = true;
        self.arrived.notify_all();
        self.room.notify_all();
    }

    /// Notes the end of the input, unless one is noted.
    fn end(&self, outcome: io::Result<()>) {
        let mut state = self.lock();
        // A source that was stopped returns without an error, but that is not the input's end.
        if !(state.is_stopped && outcome.is_ok()) {
            state.end.get_or_insert(outcome);
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// Idle buffers worth keeping: as many as the reader can fill before it must wait.
    fn spares_max(&self) -> usize {
        usize::try_from(self.read_ahead).unwrap_or(usize::MAX)
    }
}

#[derive(Debug, Default)]
struct State {
    /// Blocks that somebody may still ask for; the first has the number `first_index`.
    slots: VecDeque<Slot>,
    first_index: u64,
    /// Blocks read, taken, and asked for through `next` or `head`.
    read_count: u64,
    taken_count: u64,
    demanded_count: u64,
    read_bytes: u64,
    /// Buffers without a block.
    spares: Vec<Vec<u8>>,
    end: Option<io::Result<()>>,
    is_stopped: bool,
    ends_when_empty: bool,
    /// A record was cut off where nothing was waited for: what came behind it has no beginning.
    is_cut: bool,
}

#[derive(Debug)]
struct Slot {
    offset: u64,
    length_bytes: usize,
    /// None once it was given up.
    bytes: BlockBytes,
    /// The one [`Block`] that stands for this slot, while somebody holds it.
    handle: Weak<Block>,
}

impl State {
    /// Number in `slots` of a block that is read, unless it is recycled.
    fn at(&self, index: u64) -> Option<usize> {
        let at = index.checked_sub(self.first_index)?;
        usize::try_from(at).ok()
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let at = self.at(index)?;
        self.slots.get_mut(at)
    }

    fn bytes(&self, index: u64) -> Option<&[u8]> {
        Some(self.slots.get(self.at(index)?)?.bytes.as_slice())
    }

    /// The block `index`: one that is read and not taken yet, or behind one that is held.
    fn block(&mut self, index: u64, shared: &Arc<Shared>) -> Arc<Block> {
        let at = self.at(index).expect("what is not taken or behind a held block is not recycled");
        let slot = &mut self.slots[at];
        slot.handle.upgrade().unwrap_or_else(|| {
            let block = Arc::new(Block {
                offset: slot.offset,
                index,
                length_bytes: slot.length_bytes,
                bytes: slot.bytes.clone(),
                shared: Arc::clone(shared),
            });
            slot.handle = Arc::downgrade(&block);
            block
        })
    }

    /// How the input ends before the block `index`, or `None` if that block may still come.
    fn end_before(&self, index: u64) -> Option<io::Result<()>> {
        debug_assert!(index >= self.read_count, "a block that is read is not the end");
        match &self.end {
            Some(Ok(())) => Some(Ok(())),
            Some(Err(error)) => Some(Err(repeated(error))),
            None if self.is_stopped => Some(Err(io::Error::other("reading was stopped"))),
            None => None,
        }
    }

    fn demand(&mut self, index: u64, shared: &Shared) {
        if self.demanded_count <= index {
            self.demanded_count = index + 1;
            shared.room.notify_all();
        }
    }

    /// Takes back the blocks before the oldest that is held or not taken.
    fn recycle(&mut self, spares_max: usize) {
        while self.first_index < self.taken_count
            && self.slots.front().is_some_and(|slot| slot.handle.strong_count() == 0)
        {
            self.first_index += 1;
            if let Some(slot) = self.slots.pop_front() {
                self.give_back(slot.bytes, spares_max);
            }
        }
    }

    /// Keeps the buffer of a block for the reader, if this is the last owner.
    fn give_back(&mut self, bytes: BlockBytes, spares_max: usize) {
        if let Some(buffer) = bytes.into_buffer()
            && buffer.capacity() > 0
            && self.spares.len() < spares_max
        {
            self.spares.push(buffer);
        }
    }
}

/// Ends a feed whose source panicked.
struct EndOnDrop<'a>(&'a Shared);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        // A source that was stopped has noted no end, and must not get this one.
        if thread::panicking() {
            self.0.end(Err(io::Error::other("the reader thread panicked")));
        }
    }
}

/// An error with the same number or kind and words: each waiter gets one of its own.
fn repeated(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn wait<'a>(condvar: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condvar.wait(state).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
