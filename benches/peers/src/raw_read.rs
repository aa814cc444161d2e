//! Raw readers: every byte is brought into memory and summed, by one thread; all say how many.
//!
//! `read` into 1 MiB with sequential advice; `mmap` with sequential advice and the pages behind
//! given back; `direct`, O_DIRECT through io_uring, eight requests of 1 MiB into registered buffers
//! in huge pages: smaller pages make requests of more segments than a device takes at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use io_uring::{IoUring, opcode, types};

use crate::Failure;

const BLOCK_BYTES: usize = 1 << 20;
const GIVEN_BACK_BYTES: usize = 8 << 20;
const HUGE_PAGE_BYTES: usize = 2 << 20;
const DEPTH: usize = 8;

/// A reader by its name.
#[must_use]
pub fn by_name(mode: &str) -> Option<fn(&str) -> Result<u64, Failure>> {
    match mode {
        "read" => Some(read),
        "mmap" => Some(mmap),
        "direct" => Some(direct),
        _ => None,
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(words, |sum, &byte| sum.wrapping_add(u64::from(byte)))
}

fn read(path: &str) -> Result<u64, Failure> {
    let mut file = File::open(path)?;
    // SAFETY: advice about an open file.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_SEQUENTIAL) };
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut total = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(total);
        }
        std::hint::black_box(sum(&buffer[..length]));
        total += length as u64;
    }
}

fn mmap(path: &str) -> Result<u64, Failure> {
    let file = File::open(path)?;
    // SAFETY: nobody writes to the file while a comparison runs.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    map.advise(memmap2::Advice::Sequential)?;
    let mut total = 0;
    for (index, piece) in map.chunks(GIVEN_BACK_BYTES).enumerate() {
        std::hint::black_box(sum(piece));
        total += piece.len() as u64;
        let at = index * GIVEN_BACK_BYTES;
        // SAFETY: the map is of a file and nobody writes to it: the pages come back when needed.
        unsafe {
            map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, at, piece.len())?;
        }
    }
    Ok(total)
}

/// Buffers one after the other in huge pages.
struct Buffers(*mut u8);

impl Buffers {
    const BYTES: usize = DEPTH * BLOCK_BYTES;

    fn new() -> io::Result<Self> {
        let wanted = Self::BYTES + HUGE_PAGE_BYTES;
        // SAFETY: new memory, of which nobody else knows; it stays until the process ends.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), wanted, protection, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = start.cast::<u8>();
        let start = start.wrapping_add(start.align_offset(HUGE_PAGE_BYTES));
        // SAFETY: the aligned part is inside the mapping, which is one huge page longer.
        unsafe {
            libc::madvise(start.cast(), Self::BYTES, libc::MADV_HUGEPAGE);
            start.write_bytes(1, Self::BYTES);
        }
        Ok(Self(start))
    }

    fn at(&self, index: usize) -> *mut u8 {
        self.0.wrapping_add(index * BLOCK_BYTES)
    }
}

fn direct(path: &str) -> Result<u64, Failure> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let length = file.metadata()?.len();
    let buffers = Buffers::new()?;
    let mut ring = IoUring::builder().setup_single_issuer().setup_coop_taskrun().build(64)?;
    let vectors: Vec<_> = (0..DEPTH)
        .map(|index| libc::iovec { iov_base: buffers.at(index).cast(), iov_len: BLOCK_BYTES })
        .collect();
    // SAFETY: the buffers live as long as the process.
    unsafe { ring.submitter().register_buffers(&vectors)? };
    ring.submitter().register_files(&[file.as_raw_fd()])?;
    let (mut next, mut under_way, mut total) = (0, 0, 0);
    let mut ask = |ring: &mut IoUring, index: usize| -> Result<usize, Failure> {
        if next >= length {
            return Ok(0);
        }
        let entry = opcode::ReadFixed::new(
            types::Fixed(0),
            buffers.at(index),
            BLOCK_BYTES as u32,
            index as u16,
        );
        let entry = entry.offset(next).build().user_data(index as u64);
        next += BLOCK_BYTES as u64;
        // SAFETY: the buffer is nobody else's until its completion is seen.
        unsafe { ring.submission().push(&entry)? };
        Ok(1)
    };
    for index in 0..DEPTH {
        under_way += ask(&mut ring, index)?;
    }
    while under_way > 0 {
        ring.submit_and_wait(1)?;
        let done: Vec<_> =
            ring.completion().map(|done| (done.user_data(), done.result())).collect();
        for (index, result) in done {
            let index = index as usize;
            let read =
                usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))?;
            // SAFETY: the request of this buffer is done, and so many bytes are filled.
            std::hint::black_box(sum(unsafe {
                std::slice::from_raw_parts(buffers.at(index), read)
            }));
            // A short read before the end would show in the sum.
            total += read as u64;
            under_way -= 1;
            under_way += ask(&mut ring, index)?;
        }
    }
    Ok(total)
}
