//! The opened inputs of a load and the chunks they are cut in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::given_back::GivenBack;
use crate::config::{InputSpec, IoWay, LoadConfig};
use crate::error::{Error, Result};
use crate::input::block::{Block, BlockFeed};
use crate::input::fingerprint::Fingerprint;
use crate::input::identity::{Watch, changed};
use crate::input::mmap::MappedFile;
use crate::input::{Input, RawSource};
use crate::ledger::{Gap, RangeRow, Remainder};
use crate::record::ByteRange;
use crate::report::Counts;
use crate::split::{Chain, ChunkStart};

/// An opened input. Its head is looked at before the load begins, for dialect and header.
#[derive(Debug)]
pub struct InputFile {
    /// What it was opened from.
    pub spec: InputSpec,
    /// Its name in messages and reports.
    pub path: PathBuf,
    /// Bytes, where that is known before it is read.
    pub length: Option<u64>,
    /// The way its bytes come in, and a clause that says why.
    pub io: (IoWay, String),
    /// What was done otherwise than asked.
    pub notes: Vec<String>,
    /// Offset of the first byte behind the byte order mark, the skipped lines and the header.
    pub body_offset: u64,
    /// Lines before it.
    pub body_lines: u64,
    raw: Option<RawSource>,
    watch: Option<Watch>,
    way: Way,
}

impl InputFile {
    /// Opens an input; what comes in blocks is read ahead from the first of them on, `read_ahead`
    /// blocks of `block_bytes` bytes.
    ///
    /// # Errors
    /// As [`crate::input::open`].
    pub fn open(
        spec: &InputSpec,
        way: IoWay,
        block_bytes: usize,
        read_ahead: usize,
    ) -> Result<Self> {
        let opened = crate::input::open(spec, way, block_bytes)?;
        let way = match opened.input {
            Input::Map(map) => Way::Map(Arc::new(map)),
            Input::Blocks(source) => Way::Blocks(source.start(read_ahead)),
        };
        Ok(Self {
            spec: spec.clone(),
            path: PathBuf::from(opened.path_display),
            length: opened.length,
            io: (opened.way, opened.why),
            notes: opened.notes,
            body_offset: 0,
            body_lines: 0,
            raw: opened.raw,
            watch: opened.watch,
            way,
        })
    }

    /// The first bytes, up to `limit_bytes`, without consuming them. Fewer mean the end.
    ///
    /// # Errors
    /// What reading gave.
    pub fn head(&self, limit_bytes: usize) -> Result<Vec<u8>> {
        let head = match (&self.way, &self.raw) {
            (Way::Map(map), _) => Ok(map.bytes()[..map.bytes().len().min(limit_bytes)].to_vec()),
            // Not from its blocks: no reader is started for a file before its turn.
            (Way::Blocks(_), Some(raw)) => self.head_of(raw, limit_bytes),
            (Way::Blocks(feed), None) => feed.head(limit_bytes),
        };
        // Of a file that changed meanwhile, that is the reason of a failure.
        check_unchanged(&self.path, self.watch.as_ref(), &self.way)?;
        head.map_err(|error| {
            Error::input(&self.path, format!("cannot be read: {error}"), String::new())
        })
    }

    fn head_of(&self, raw: &RawSource, limit_bytes: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let end = self.length.map_or(0, |length| length.min(limit_bytes as u64));
        raw.copy_range(ByteRange { start: 0, end }, &mut head)?;
        Ok(head)
    }

    /// What tells this state of the file from another one later; `None` for a stream.
    ///
    /// # Errors
    /// What reading gave.
    pub fn fingerprint(&self) -> io::Result<Option<Fingerprint>> {
        match (&self.raw, &self.watch) {
            (Some(RawSource::File { file, .. }), Some(watch)) => {
                Fingerprint::of(file, watch.identity).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A read that failed before the load; of a file that changed meanwhile that is the reason.
    pub(super) fn read_error(&self, error: &io::Error) -> Error {
        check_unchanged(&self.path, self.watch.as_ref(), &self.way).err().unwrap_or_else(|| {
            Error::input(&self.path, format!("cannot be read: {error}"), String::new())
        })
    }

    /// The bytes of a file, to be read again.
    #[must_use]
    pub const fn raw_source(&self) -> Option<&RawSource> {
        self.raw.as_ref()
    }

    /// Reads the file by map from now on, for the reason `why`: single stretches of it are wanted.
    /// A stream stays as it is, and so does an empty file, of which there is no map.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn mapped(self, why: &str) -> Result<Self> {
        match self.way {
            Way::Blocks(feed) if self.raw.is_some() && self.length != Some(0) => {
                feed.stop();
                let opened = crate::input::open(&self.spec, IoWay::Mmap, 1)?;
                let Input::Map(map) = opened.input else {
                    return Err(Error::input(&self.path, "cannot be mapped", ""));
                };
                let io = (IoWay::Mmap, why.to_owned());
                Ok(Self { way: Way::Map(Arc::new(map)), raw: opened.raw, io, ..self })
            }
            _ => Ok(self),
        }
    }

    /// Whether the bytes can be read again from the start: a stream cannot.
    #[must_use]
    pub const fn is_rereadable(&self) -> bool {
        self.raw.is_some()
    }
}

/// One chunk of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) index: u64,
    pub(super) bytes: ChunkBytes,
}

#[derive(Debug)]
pub(super) enum ChunkBytes {
    Map { map: Arc<MappedFile>, range: ByteRange },
    Block(Arc<Block>),
}

/// Records of a file that earlier starts of the job have committed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Earlier {
    /// As rows of the target.
    pub(super) loaded: u64,
    /// As rejects.
    pub(super) rejected: u64,
}

/// A stretch of a file that is to be read, and the number of its first chunk.
#[derive(Debug, Clone, Copy)]
struct Piece {
    first_chunk: u64,
    gap: Gap,
}

impl Piece {
    /// Number of its last chunk. It has one, however short it is.
    const fn last_chunk(&self, chunk_bytes: u64) -> u64 {
        let first = self.gap.start.byte_offset / chunk_bytes;
        let last = (self.gap.end - 1) / chunk_bytes;
        self.first_chunk + (last - first)
    }
}

#[derive(Debug)]
enum Way {
    Map(Arc<MappedFile>),
    Blocks(BlockFeed),
}

fn check_unchanged(path: &Path, watch: Option<&Watch>, way: &Way) -> Result<()> {
    let watched = watch.map_or(Ok(()), Watch::check);
    let change = watched.and_then(|()| match way {
        Way::Map(map) => map.check(),
        Way::Blocks(_) => Ok(()),
    });
    change.map_err(|change| changed(path, &change))
}

/// Counts of one file, written by all threads.
#[derive(Debug, Default)]
pub(super) struct FileCounts {
    /// Records read for certain: their chunk is proven.
    pub(super) records_read: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) bytes_committed: AtomicU64,
    pub(super) loaded: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) filtered: AtomicU64,
    /// Left out for another record with the same key.
    pub(super) superseded: AtomicU64,
    /// Committed by an earlier start of the job.
    pub(super) skipped: AtomicU64,
}

/// One input of a running load.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) index: usize,
    pub(super) path: PathBuf,
    pub(super) raw: Option<RawSource>,
    pub(super) chain: Chain,
    pub(super) counts: FileCounts,
    pub(super) body: ChunkStart,
    pub(super) length: Option<u64>,
    watch: Option<Watch>,
    way: Way,
    chunk_bytes: u64,
    /// What is to be read of a mapped file, in order; `None`: all of it.
    pieces: Option<Vec<Piece>>,
    /// What earlier starts of the job have committed.
    pub(super) earlier: Earlier,
    next_chunk: Mutex<u64>,
    /// Records after which the file is not read further (`--limit`, with `--offset-records`).
    record_limit: Option<u64>,
    ended_early: AtomicBool,
    given_back: GivenBack,
}

impl OpenFile {
    pub(super) fn new(index: usize, file: InputFile, config: &LoadConfig) -> Self {
        let body = ChunkStart { byte_offset: file.body_offset, records: 0, lines: file.body_lines };
        Self {
            index,
            path: file.path,
            raw: file.raw,
            chain: Chain::new(body),
            counts: FileCounts::default(),
            body,
            length: file.length,
            watch: file.watch,
            way: file.way,
            chunk_bytes: config.work.chunk_bytes,
            pieces: None,
            earlier: Earlier::default(),
            next_chunk: Mutex::new(0),
            record_limit: config.limit.map(|limit| limit.saturating_add(config.offset_records)),
            ended_early: AtomicBool::new(false),
            given_back: GivenBack::default(),
        }
    }

    /// The next chunk that nobody has taken; waits for streams. `None` when there is none.
    pub(super) fn take_chunk(&self) -> Result<Option<Chunk>> {
        if self.is_ended_early() {
            return Ok(None);
        }
        // Held while a stream is read: chunks are numbered in the order of their bytes.
        let mut next = self.next_chunk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let index = *next;
        let bytes = match &self.way {
            Way::Map(map) => {
                if map.is_poisoned() {
                    // What follows reads as zeros.
                    self.check_unchanged()?;
                }
                let length = map.bytes().len() as u64;
                let Some(range) = self.chunk_range(index, length) else { return Ok(None) };
                ChunkBytes::Map { map: Arc::clone(map), range }
            }
            Way::Blocks(feed) => match feed.take() {
                Ok(Some(block)) => ChunkBytes::Block(block),
                Ok(None) => return Ok(None),
                Err(_) if self.is_ended_early() => return Ok(None),
                Err(error) => return Err(self.read_error(error)),
            },
        };
        *next += 1;
        Ok(Some(Chunk { index, bytes }))
    }

    /// Bytes of a chunk of a mapped file; `None` behind the last one.
    fn chunk_range(&self, index: u64, length: u64) -> Option<ByteRange> {
        // Boundaries at multiples of the size, so that whole pages can be given back.
        let Some(pieces) = &self.pieces else {
            let first = self.body.byte_offset / self.chunk_bytes;
            let start = (first + index) * self.chunk_bytes;
            return (start < length)
                .then(|| ByteRange { start, end: length.min(start + self.chunk_bytes) });
        };
        let piece = pieces.iter().rfind(|piece| piece.first_chunk <= index)?;
        let gap = &piece.gap;
        let first = gap.start.byte_offset / self.chunk_bytes;
        let nominal = (first + index - piece.first_chunk) * self.chunk_bytes;
        // A chunk owns a record that begins at its end; the one at the end of a gap is committed.
        let end = if gap.records_at_end.is_some() { gap.end - 1 } else { length };
        if index > piece.last_chunk(self.chunk_bytes) {
            return None;
        }
        let start = nominal.max(gap.start.byte_offset);
        Some(ByteRange { start, end: end.min(nominal + self.chunk_bytes).max(start) })
    }

    /// What is to be given back of the map after a chunk of it was `read` and published.
    pub(super) fn to_give_back(&self, chunk: u64, read: ByteRange) -> Option<ByteRange> {
        let length = self.length.unwrap_or(u64::MAX);
        let is_last = self.is_ended_early() || self.chunk_range(chunk + 1, length).is_none();
        self.given_back.after(read, is_last)
    }

    /// Declares a chunk done; the next record begins at `next`.
    ///
    /// # Errors
    /// The records before a committed range do not end where it begins: the file is another one.
    pub(super) fn publish(&self, chunk: u64, next: ChunkStart) -> Result<()> {
        let pieces = self.pieces.as_deref().unwrap_or_default();
        let ended = pieces.iter().find(|piece| piece.last_chunk(self.chunk_bytes) == chunk);
        let next = match ended.map(|piece| piece.gap) {
            Some(Gap { end, records_at_end: Some(records), next: behind, .. }) => {
                if !self.is_ended_early() && (next.byte_offset, next.records) != (end, records) {
                    self.chain.abort();
                    return Err(self.check_unchanged().err().unwrap_or_else(|| {
                        Error::input(
                            &self.path,
                            format!(
                                "what is not loaded yet ends at byte {} with record {}, where the \
                                 ledger has byte {end} and record {records}",
                                next.byte_offset, next.records
                            ),
                            "the file is not the one that the job began with; --restart new or \
                             terminate ends it",
                        )
                    }));
                }
                behind
            }
            _ => next,
        };
        self.chain.publish(chunk, next);
        Ok(())
    }

    /// Takes over what earlier starts of the job have committed of this file, and leaves the rest
    /// to be read.
    ///
    /// # Panics
    /// If something of the file is read already.
    pub(super) fn resume(&mut self, left: &Remainder, committed: &[RangeRow], rows_count: bool) {
        assert_eq!(*self.next_chunk.get_mut().expect("nobody has it"), 0);
        let mut first_chunk = 0;
        let pieces = left.gaps.iter().map(|&gap| {
            let piece = Piece { first_chunk, gap };
            first_chunk = piece.last_chunk(self.chunk_bytes) + 1;
            piece
        });
        self.pieces = Some(pieces.collect());
        self.chain = Chain::new(left.start);
        self.note_earlier(committed);
        self.count_committed(committed, rows_count);
    }

    /// Takes over a file of which an earlier start has read and committed all that is asked for.
    /// Where rows are shared among writers, the ranges of one writer lie over those of another.
    pub(super) fn take_as_read(
        &mut self,
        committed: &[RangeRow],
        rows_count: bool,
        is_shared: bool,
    ) {
        self.pieces = Some(Vec::new());
        *self.ended_early.get_mut() = true;
        self.note_earlier(committed);
        self.count_committed(committed, rows_count);
        if is_shared {
            let own = committed.iter().filter(|range| range.file == self.index);
            let end = own.map(|range| range.bytes.end).max().unwrap_or(0);
            *self.counts.bytes_committed.get_mut() = end.saturating_sub(self.body.byte_offset);
        }
    }

    /// Counts what earlier starts have committed as read. `rows_count`: its rows wait in the
    /// staging table, and reach the target in this run.
    fn count_committed(&mut self, committed: &[RangeRow], rows_count: bool) {
        if rows_count {
            self.earlier.loaded = 0;
        }
        let own = committed.iter().filter(|range| range.file == self.index);
        for range in own {
            let counts = &mut self.counts;
            *counts.bytes_committed.get_mut() += range.bytes.len();
            if rows_count {
                *counts.loaded.get_mut() += range.loaded;
                *counts.skipped.get_mut() += range.rejected;
            } else {
                *counts.skipped.get_mut() += range.loaded + range.rejected;
            }
            *counts.records_read.get_mut() += range.loaded + range.rejected;
        }
        // The header has a range of its own where it has bytes.
        let counted = self.counts.bytes_committed.get_mut();
        *counted = counted.saturating_sub(self.body.byte_offset);
    }

    /// Takes note of the rows and rejects that earlier starts have committed.
    pub(super) fn note_earlier(&mut self, committed: &[RangeRow]) {
        let own = committed.iter().filter(|range| range.file == self.index);
        self.earlier = own.fold(Earlier::default(), |sum, range| Earlier {
            loaded: sum.loaded + range.loaded,
            rejected: sum.rejected + range.rejected,
        });
    }

    /// Counts records that earlier starts have committed and that are read again to be left out.
    pub(super) fn skip(&self, records: u64, bytes: u64) {
        self.counts.skipped.fetch_add(records, Ordering::Relaxed);
        self.counts.bytes_committed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether so many records are all that is asked for.
    pub(super) fn reached_limit(&self, records: u64) -> bool {
        self.record_limit.is_some_and(|limit| records >= limit)
    }

    /// No further chunk is given out; nobody waits for a stream any more.
    pub(super) fn end_early(&self) {
        self.ended_early.store(true, Ordering::Release);
        if let Way::Blocks(feed) = &self.way {
            feed.stop();
        }
    }

    pub(super) fn is_ended_early(&self) -> bool {
        self.ended_early.load(Ordering::Acquire)
    }

    /// Whether nothing of it is left; never true of a stream, whose end nobody knows.
    pub(super) fn is_read_to_its_end(&self) -> bool {
        let reached = self.chain.reached().byte_offset;
        self.is_ended_early() || self.length.is_some_and(|length| length == reached)
    }

    /// A read that failed; of a file that changed meanwhile that is the reason.
    pub(super) fn read_error(&self, error: io::Error) -> Error {
        self.check_unchanged()
            .err()
            .unwrap_or_else(|| Error::io(format!("reading {}", self.path.display()), error))
    }

    /// Blocks that are read and wait for a parser, and how many may; `None`: it is not being read,
    /// or not in blocks.
    pub(super) fn depth(&self) -> Option<(usize, usize)> {
        match &self.way {
            Way::Blocks(feed) => feed.depth(),
            Way::Map(_) => None,
        }
    }

    /// Wakes everybody who waits for this file.
    pub(super) fn abort(&self) {
        self.chain.abort();
        if let Way::Blocks(feed) = &self.way {
            feed.stop();
        }
    }

    /// What is not there yet is waited for no more, not even the rest of a record.
    pub(super) fn end_when_empty(&self) {
        if let Way::Blocks(feed) = &self.way {
            feed.end_when_empty();
        }
    }

    /// Whether the file is still what was opened.
    ///
    /// # Errors
    /// An input error that names the difference.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        check_unchanged(&self.path, self.watch.as_ref(), &self.way)
    }

    /// Committed records that are rows: of a load by way of a staging table, those that wait there.
    pub(super) fn rows(&self) -> u64 {
        self.counts.loaded.load(Ordering::Relaxed)
    }

    /// Staged records turn out not to count.
    pub(super) fn settle(&self, rejected: u64, superseded: u64) {
        self.counts.loaded.fetch_sub(rejected + superseded, Ordering::Relaxed);
        self.counts.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.counts.superseded.fetch_add(superseded, Ordering::Relaxed);
    }

    /// Rejects that [`Self::settle`] counted are rolled back.
    pub(super) fn take_back_rejects(&self, rejected: u64) {
        self.counts.rejected.fetch_sub(rejected, Ordering::Relaxed);
    }

    /// Of the staged rows only `rows` are in the target: the others are rolled back. Which bytes
    /// they stand in is not known any more.
    pub(super) fn keep_moved(&self, rows: u64) {
        self.counts.loaded.store(rows, Ordering::Relaxed);
        self.counts.superseded.store(0, Ordering::Relaxed);
        self.counts.bytes_committed.store(0, Ordering::Relaxed);
    }

    /// Counts of the report. What was read and neither committed nor filtered is rolled back.
    pub(super) fn report(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let records_read = get(&self.counts.records_read);
        let (rows_loaded, rows_rejected) = (get(&self.counts.loaded), get(&self.counts.rejected));
        let rows_filtered = get(&self.counts.filtered);
        let rows_skipped = get(&self.counts.skipped);
        let rows_superseded = get(&self.counts.superseded);
        let accounted =
            rows_loaded + rows_rejected + rows_filtered + rows_superseded + rows_skipped;
        Counts {
            bytes: get(&self.counts.bytes_committed) + self.body.byte_offset,
            records_read,
            rows_loaded,
            rows_rejected,
            rows_filtered,
            rows_superseded,
            rows_skipped,
            rows_rolled_back: records_read.saturating_sub(accounted),
        }
    }

    /// What a finished load must have done with this file.
    ///
    /// # Errors
    /// The sentence that is not true.
    pub(super) fn check_complete(&self) -> Result<(), String> {
        let counts = self.report();
        let path = self.path.display();
        if !counts.add_up() || counts.rows_rolled_back != 0 {
            return Err(format!("{path}: the counts do not add up: {counts:?}"));
        }
        if self.is_ended_early() {
            return Ok(());
        }
        let reached = self.chain.reached().byte_offset;
        if self.length.is_some_and(|length| length != reached) {
            return Err(format!("{path}: read up to byte {reached} of {:?}", self.length));
        }
        if counts.bytes != reached {
            return Err(format!("{path}: {} of {reached} bytes are committed", counts.bytes));
        }
        Ok(())
    }
}
