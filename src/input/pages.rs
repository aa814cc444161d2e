//! A pool of buffers in huge pages that the kernel knows: reads past the page cache go into them,
//! and what was read is lent to the parsers where it lies.
//!
//! # Why this is sound
//!
//! A buffer has one owner at a time, told by the type that stands for it:
//!
//! - its number in `Pool::free`: nobody's;
//! - a [`FixedBuf`], made by [`Pool::take`] out of such a number: the reader's, or the kernel's
//!   while a read into it is in flight (the runtime owns the value until the read has ended);
//! - a [`Lent`], made by [`Pool::lend`] out of a [`FixedBuf`]: shared, and read only. Its number
//!   returns when it is dropped, and not before that can [`Pool::take`] make a [`FixedBuf`] of it.
//!
//! The registry that makes a [`FixedBuf`] of any number is private to the pool, and the pool's
//! memory is made with it, so that there are no two pools over one memory.

#![expect(unsafe_code, reason = "the kernel writes into buffers by their addresses")]

use std::fmt;
use std::io;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{Advice, MmapMut, MmapRaw};
use tokio_uring::buf::fixed::{FixedBuf, FixedBufRegistry};
use tokio_uring::buf::{IoBuf, IoBufMut};

/// A device takes only so many pieces of memory in a request: with pages of 4 KiB it is a quarter
/// to a half as fast as with these (docs/decisions/0012).
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Buffers one after the other, from the first multiple of a huge page in a map on.
struct Memory {
    map: MmapRaw,
    first_byte: usize,
    buffer_bytes: usize,
    /// Numbers of buffers that were lent and are not any more.
    returned: Mutex<Vec<u16>>,
}

impl Memory {
    fn new(buffers: u16, buffer_bytes: usize) -> io::Result<Self> {
        let wanted_bytes = usize::from(buffers)
            .checked_mul(buffer_bytes)
            .and_then(|bytes| bytes.checked_next_multiple_of(HUGE_PAGE_BYTES))
            .and_then(|bytes| bytes.checked_add(HUGE_PAGE_BYTES))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let map = MmapRaw::from(MmapMut::map_anon(wanted_bytes)?);
        // Without huge pages the reads are slower, and right.
        drop(map.advise(Advice::HugePage));
        let address = map.as_ptr().addr();
        let first_byte = address.next_multiple_of(HUGE_PAGE_BYTES) - address;
        Ok(Self { map, first_byte, buffer_bytes, returned: Mutex::default() })
    }

    /// Address of a buffer. Dereferencing it is for who owns the buffer.
    fn buffer(&self, number: u16) -> *mut u8 {
        let at = self.first_byte + usize::from(number) * self.buffer_bytes;
        debug_assert!(at + self.buffer_bytes <= self.map.len(), "the map has room for all buffers");
        self.map.as_mut_ptr().wrapping_add(at)
    }
}

/// One buffer as the registry holds it.
struct Registered {
    memory: Arc<Memory>,
    number: u16,
}

// SAFETY: The address is that of anonymous memory which does not move and stays mapped as long as
// `memory` lives, which this value shares. All its bytes are initialized: the kernel gives them as
// zeros.
unsafe impl IoBuf for Registered {
    fn stable_ptr(&self) -> *const u8 {
        self.memory.buffer(self.number)
    }

    fn bytes_init(&self) -> usize {
        self.memory.buffer_bytes
    }

    fn bytes_total(&self) -> usize {
        self.memory.buffer_bytes
    }
}

// SAFETY: As above; the memory is mapped for writing, and `Pool` makes one value for each buffer.
// There is no mark of initialized bytes to be moved, since all are.
unsafe impl IoBufMut for Registered {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.memory.buffer(self.number)
    }

    unsafe fn set_init(&mut self, _: usize) {}
}

/// The buffers, registered with the runtime of the thread that made the pool.
pub(super) struct Pool {
    registry: FixedBufRegistry<Registered>,
    memory: Arc<Memory>,
    buffers: u16,
    free: Vec<u16>,
}

impl Pool {
    /// Makes and registers `buffers` buffers; to be called inside a runtime of `tokio_uring`, once.
    ///
    /// # Errors
    /// No memory, or more than the process may lock (`OutOfMemory`).
    pub(super) fn new(buffers: u16, buffer_bytes: usize) -> io::Result<Self> {
        let memory = Arc::new(Memory::new(buffers, buffer_bytes)?);
        let registered = |number| Registered { memory: Arc::clone(&memory), number };
        let registry = FixedBufRegistry::new((0..buffers).map(registered));
        registry.register()?;
        Ok(Self { registry, memory, buffers, free: (0..buffers).rev().collect() })
    }

    /// How many buffers it has, whoever has them now.
    pub(super) fn buffers(&self) -> usize {
        usize::from(self.buffers)
    }

    /// Whether [`Self::take`] would give a buffer now.
    pub(super) fn has_free(&mut self) -> bool {
        if self.free.is_empty() {
            let mut returned = self.memory.returned.lock().unwrap_or_else(PoisonError::into_inner);
            self.free.append(&mut returned);
        }
        !self.free.is_empty()
    }

    /// A buffer that is nobody's.
    pub(super) fn take(&mut self) -> Option<FixedBuf> {
        if !self.has_free() {
            return None;
        }
        self.free.pop().and_then(|number| self.registry.check_out(usize::from(number)))
    }

    /// Gives a buffer back.
    pub(super) fn put_back(&mut self, buffer: FixedBuf) {
        let number = self.number(&buffer);
        drop(buffer);
        self.free.push(number);
    }

    /// Lends the first `length_bytes` bytes of a buffer, until what is returned is dropped.
    ///
    /// # Panics
    /// When the buffer is shorter.
    pub(super) fn lend(&mut self, buffer: FixedBuf, length_bytes: usize) -> Lent {
        assert!(length_bytes <= self.memory.buffer_bytes, "a buffer has no more bytes");
        let number = self.number(&buffer);
        drop(buffer);
        Lent { memory: Arc::clone(&self.memory), number, length_bytes }
    }

    /// The number of a buffer of this pool.
    fn number(&self, buffer: &FixedBuf) -> u16 {
        let number = buffer.buf_index();
        let own = self.memory.buffer(number);
        assert!(IoBuf::stable_ptr(buffer) == own, "the buffer is of another pool");
        number
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("free", &self.free).finish_non_exhaustive()
    }
}

/// Bytes in a buffer of a pool, to be read by any thread. Its drop returns the buffer.
pub struct Lent {
    memory: Arc<Memory>,
    number: u16,
    length_bytes: usize,
}

impl Lent {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY:
        // - The buffer lies in memory that `memory` keeps mapped, and `lend` has checked that it
        //   has `length_bytes` bytes; all are initialized, by the kernel's zeros or its reads.
        // - Nobody writes to them while this value lives: it was made of the buffer's only
        //   `FixedBuf`, which is gone, and no other is made before the drop of this value returns
        //   the buffer's number (the head of this file).
        unsafe { slice::from_raw_parts(self.memory.buffer(self.number), self.length_bytes) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut returned = self.memory.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.push(self.number);
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("number", &self.number)
            .field("length_bytes", &self.length_bytes)
            .finish_non_exhaustive()
    }
}
