//! Where chunks begin: speculation and its proof.
//!
//! A file is cut in nominal chunks at arbitrary bytes. Chunk `i` owns the records that begin in
//! `(start of i, start of i + 1]`; the first chunk also owns what begins at its own start. A parser
//! guesses that the first raw newline of its chunk ends a record ([`guess`]) and goes to work.
//! Whether that is so only the left neighbour knows: the record that begins behind its own last one
//! is the first of this chunk. The [`Chain`] hands that knowledge from chunk to chunk, with the
//! number of records and lines before it. A parser whose guess was wrong parses its chunk again
//! from the proven start, so that the records are those of a sequential reader for every input.
//!
//! Nothing that was parsed on a guess may leave its parser before [`Chain::wait`] has confirmed it.

use std::sync::{Condvar, Mutex, MutexGuard};

use memchr::memchr;

use crate::config::dialect::Terminator;

/// What is known about the start of a chunk once its left neighbour is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkStart {
    /// Offset in the file of the first record that the chunk owns. It may lie behind the chunk's
    /// end: then a record of the left neighbour covers the whole chunk.
    pub byte_offset: u64,
    /// Records before it.
    pub records: u64,
    /// Lines before it.
    pub lines: u64,
}

#[derive(Debug)]
struct Frontier {
    chunk: u64,
    start: ChunkStart,
    aborted: bool,
}

/// The proven starts of one file's chunks, from left to right.
///
/// Only the leftmost chunk that is not done can be proven next, so one start is all there is to
/// store. It is asked once a chunk: a lock here is not on the path of a record.
#[derive(Debug)]
pub struct Chain {
    frontier: Mutex<Frontier>,
    moved: Condvar,
}

impl Chain {
    /// A chain whose chunk 0 begins at `start`.
    #[must_use]
    pub fn new(start: ChunkStart) -> Self {
        let frontier = Frontier { chunk: 0, start, aborted: false };
        Self { frontier: Mutex::new(frontier), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Frontier> {
        // A panicking holder leaves plain numbers behind, and aborts the chain besides.
        self.frontier.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The start of `chunk` if it is proven by now.
    #[must_use]
    pub fn proven(&self, chunk: u64) -> Option<ChunkStart> {
        let frontier = self.lock();
        (frontier.chunk == chunk && !frontier.aborted).then_some(frontier.start)
    }

    /// Waits until the start of `chunk` is proven; `None` if the load was given up meanwhile.
    #[must_use]
    pub fn wait(&self, chunk: u64) -> Option<ChunkStart> {
        let frontier = self
            .moved
            .wait_while(self.lock(), |frontier| frontier.chunk != chunk && !frontier.aborted)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        (!frontier.aborted).then_some(frontier.start)
    }

    /// Declares `chunk`, whose own start is proven, done: the next chunk begins at `next`.
    ///
    /// # Panics
    /// If `chunk` is not the one whose turn it is, or if the file would run backwards.
    pub fn publish(&self, chunk: u64, next: ChunkStart) {
        let mut frontier = self.lock();
        assert_eq!(frontier.chunk, chunk, "chunks are published in order");
        assert!(frontier.start.byte_offset <= next.byte_offset, "records run forwards");
        frontier.chunk += 1;
        frontier.start = next;
        self.moved.notify_all();
    }

    /// Ends all waiting: the load is given up.
    pub fn abort(&self) {
        self.lock().aborted = true;
        self.moved.notify_all();
    }

    /// How far the file is proven: the start of the chunk whose turn it is.
    #[must_use]
    pub fn reached(&self) -> ChunkStart {
        self.lock().start
    }
}

/// The offset in `window` at which a record begins if its first raw newline at or after `from`
/// ends one. `None` if there is no newline.
#[must_use]
pub fn guess(terminator: Terminator, window: &[u8], from: usize) -> Option<usize> {
    let after = match terminator {
        Terminator::Auto | Terminator::Lf => memchr(b'\n', &window[from..])? + 1,
        Terminator::Cr => memchr(b'\r', &window[from..])? + 1,
        Terminator::CrLf => memchr::memmem::find(&window[from..], b"\r\n")? + 2,
    };
    Some(from + after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guess_is_behind_the_first_newline() {
        assert_eq!(guess(Terminator::Auto, b"ab\ncd\n", 0), Some(3));
        assert_eq!(guess(Terminator::Auto, b"ab\ncd\n", 2), Some(3));
        assert_eq!(guess(Terminator::Auto, b"ab\ncd\n", 3), Some(6));
        assert_eq!(guess(Terminator::Auto, b"ab", 0), None);
        assert_eq!(guess(Terminator::CrLf, b"a\nb\r\nc", 0), Some(5));
        assert_eq!(guess(Terminator::Cr, b"a\nb\rc", 0), Some(4));
    }

    #[test]
    fn a_chunk_is_proven_only_in_its_turn() {
        let chain = Chain::new(ChunkStart::default());
        assert!(chain.proven(1).is_none());
        let next = ChunkStart { byte_offset: 10, records: 2, lines: 3 };
        chain.publish(0, next);
        assert!(chain.proven(0).is_none());
        assert_eq!(chain.proven(1), Some(next));
        assert_eq!(chain.wait(1), Some(next));
    }

    #[test]
    fn an_abort_wakes_who_waits() {
        let chain = Chain::new(ChunkStart::default());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| chain.wait(5));
            chain.abort();
            assert_eq!(waiter.join().expect("no panic"), None);
        });
        assert!(chain.proven(0).is_none());
    }

    #[test]
    #[should_panic(expected = "in order")]
    fn publishing_out_of_turn_is_a_bug() {
        Chain::new(ChunkStart::default()).publish(1, ChunkStart::default());
    }
}
