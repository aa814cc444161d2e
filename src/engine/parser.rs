//! A parser thread: chunks into arenas, proven arenas into the rings.

use std::time::{Duration, Instant};

use super::arenas::Shape;
use super::files::OpenFile;
use super::rejecting;
use super::routing::Router;
use super::shared::Shared;
use super::stock::Stock;
use super::times::ParserTimes;
use super::usage;
use crate::arena::{Batch, Segment};
use crate::error::{Error, ErrorKind};
use crate::failpoint;
use crate::input::RawSource;
use crate::input::fingerprint::RangeHash;
use crate::parse::rows::{Cursor, Pause, RowParser, Window};
use crate::record::ByteRange;
use crate::ring::{Consumer, Producer, PushError, Sleeper};
use crate::split::ChunkStart;

/// Base of a segment whose chunk is not proven yet.
const UNPROVEN: u64 = u64::MAX;

/// Longest sleep before a look at whether the load was stopped.
pub(super) const NAP: Duration = Duration::from_millis(200);

/// Longest range that is hashed: the bytes of a longer one are not in memory together.
const HASHED_BYTES_MAX: u64 = 64 << 20;

/// Why a chunk is not finished.
#[derive(Debug)]
pub(super) enum Halt {
    /// The guess was wrong; the chunk begins at the proven start that is named.
    Misguessed(ChunkStart),
    /// The load is stopped.
    Stopped,
    /// The load is wound down, and the rest of a record is not there.
    Cut,
    /// The load fails.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A chunk as far as it is parsed.
pub(super) struct Attempt<'f> {
    pub(super) file: &'f OpenFile,
    pub(super) index: u64,
    /// Offset in the file at which the attempt began.
    pub(super) start: u64,
    /// The proven start, once it is.
    pub(super) proven: Option<ChunkStart>,
    /// Records and lines of the chunk so far; `at` is relative to the present window.
    pub(super) cursor: Cursor,
    /// Records of the chunk when its open segment began.
    segment_records: u32,
    /// Lines of the chunk then.
    segment_lines: u32,
    /// Index of the attempt's first segment in the first of its batches that is not counted yet.
    first_segment: usize,
    /// What the open batch held when the attempt began.
    mark: crate::arena::batch::Mark,
    /// Batches that were filled by this attempt before it was proven.
    held: Vec<Batch>,
}

impl Attempt<'_> {
    /// Whether the records so far are all that are wanted of the file.
    pub(super) fn is_beyond_limit(&self) -> bool {
        self.proven.is_some_and(|start| {
            let records = start.records + u64::from(self.cursor.records);
            self.file.reached_limit(records)
        })
    }
}

/// The bytes of a range that stands in a window.
fn bytes_of(window: Window<'_>, range: ByteRange) -> Option<&[u8]> {
    let at = |offset: u64| {
        offset.checked_sub(window.byte_offset).and_then(|at| usize::try_from(at).ok())
    };
    window.bytes.get(at(range.start)?..at(range.end)?)
}

/// One parser thread's things.
pub(super) struct Parser<'s> {
    pub(super) shared: &'s Shared,
    pub(super) id: usize,
    pub(super) rows: RowParser,
    pub(super) shape: Shape,
    /// Idle arenas.
    pub(super) free: Vec<Batch>,
    pub(super) stock: Stock,
    /// The arena being filled. Only a stopped load takes it away.
    pub(super) open: Option<Batch>,
    pub(super) out: Vec<Producer<Batch>>,
    pub(super) back: Vec<Consumer<Batch>>,
    pub(super) sleeper: Sleeper,
    pub(super) times: ParserTimes,
    /// Byte of its file up to which the present chunk may be read (`--max-rate`).
    pub(super) paid_until: u64,
    pub(super) carry: Vec<u8>,
    /// Where each row has its writer; then arenas are shared out and never leave.
    pub(super) router: Option<Router>,
}

impl<'s> Parser<'s> {
    pub(super) fn new(
        shared: &'s Shared,
        id: usize,
        rows: RowParser,
        shape: Shape,
        out: Vec<Producer<Batch>>,
        back: Vec<Consumer<Batch>>,
        sleeper: Sleeper,
    ) -> Self {
        Self {
            shared,
            id,
            rows,
            free: Vec::new(),
            stock: Stock::new(shared.supply.most(shared.writers()), &shared.config.work),
            open: None,
            shape,
            out,
            back,
            sleeper,
            times: ParserTimes::default(),
            paid_until: 0,
            carry: Vec::new(),
            router: None,
        }
    }

    /// The same, sharing its arenas out where there is a router.
    pub(super) fn sharing(mut self, router: Option<Router>) -> Self {
        if router.is_some() {
            // One that is shared out at once, with nobody to wait for, is enough.
            self.stock = Stock::new(1, &self.shared.config.work);
        }
        self.router = router;
        self
    }

    /// Parses chunks until there are none or the load is stopped.
    pub(super) fn run(mut self) -> ParserTimes {
        let (started, before) = (Instant::now(), usage::thread_runnable());
        match self.parse_all() {
            Ok(()) | Err(Halt::Stopped) => {}
            Err(Halt::Failed(error)) => self.shared.fail(error),
            Err(halt @ (Halt::Misguessed(_) | Halt::Cut)) => {
                let message = format!("{halt:?} left its chunk");
                self.shared.fail(ErrorKind::Internal(message).into());
            }
        }
        if let (Some(before), Some(after)) = (before, usage::thread_runnable()) {
            self.times.note_blocked(started.elapsed(), after.saturating_sub(before));
        }
        self.times
    }

    fn parse_all(&mut self) -> Result<(), Halt> {
        let mut own_file = None;
        loop {
            if self.shared.is_stopped() {
                return Err(Halt::Stopped);
            }
            let started = Instant::now();
            let taken = match self.shared.next_chunk(&mut own_file) {
                // Its reader was stopped with the load: that is no error of the input.
                Err(_) if self.shared.is_stopped() => return Err(Halt::Stopped),
                taken => taken?,
            };
            self.times.input += started.elapsed();
            let Some((file, chunk)) = taken else { break };
            let (started, waited_before) = (Instant::now(), self.times.waited());
            self.parse_chunk(file, &chunk)?;
            let waited = self.times.waited().saturating_sub(waited_before);
            self.times.busy += started.elapsed().saturating_sub(waited);
        }
        match self.open.take() {
            Some(batch) if !batch.is_empty() => self.send(batch),
            _ => Ok(()),
        }
    }

    /// Begins an attempt at a chunk; an arena is open afterwards.
    pub(super) fn begin<'f>(
        &mut self,
        file: &'f OpenFile,
        index: u64,
        start: u64,
        proven: Option<ChunkStart>,
    ) -> Result<Attempt<'f>, Halt> {
        if self.open.is_none() {
            self.open = Some(self.wait_for_arena()?);
        }
        let batch = self.open_batch();
        let (mark, first_segment) = (batch.mark(), batch.segments.len());
        Ok(Attempt {
            file,
            index,
            start,
            proven,
            cursor: Cursor::default(),
            segment_records: 0,
            segment_lines: 0,
            first_segment,
            mark,
            held: Vec::new(),
        })
    }

    fn open_batch(&mut self) -> &mut Batch {
        self.open.as_mut().expect("an arena is open while a chunk is parsed")
    }

    /// Opens a segment of the attempt's chunk at `byte_offset`; what is parsed next belongs to it.
    pub(super) fn open_segment(
        &mut self,
        attempt: &mut Attempt<'_>,
        byte_offset: u64,
        source: RawSource,
    ) {
        attempt.segment_records = attempt.cursor.records;
        attempt.segment_lines = attempt.cursor.lines;
        let (base_record, base_line) =
            attempt.proven.map_or((UNPROVEN, 0), |start| (start.records, start.lines));
        let file = attempt.file.index;
        let batch = self.open_batch();
        let first_row = batch.rows();
        batch.segments.push(Segment {
            file,
            range: ByteRange { start: byte_offset, end: byte_offset },
            base_record,
            base_line,
            records: 0,
            records_before: attempt.segment_records,
            numbered: 0,
            lines_before: attempt.segment_lines,
            lines: 0,
            digest: 0,
            first_row,
            source,
            share_bytes: None,
        });
    }

    /// Closes the open segment at `byte_offset`; its bytes stand in `window`, if they do.
    pub(super) fn close_segment(
        &mut self,
        attempt: &Attempt<'_>,
        byte_offset: u64,
        window: Option<Window<'_>>,
    ) {
        let keeps_ledger = self.shared.job.is_some();
        let segment = self.open_batch().segments.last_mut().expect("a chunk has its segment open");
        segment.range.end = byte_offset;
        segment.numbered = attempt.cursor.records - attempt.segment_records;
        segment.records = u64::from(segment.numbered);
        segment.lines = attempt.cursor.lines - attempt.segment_lines;
        let is_short = segment.range.len() <= HASHED_BYTES_MAX;
        if keeps_ledger
            && is_short
            && let Some(bytes) = window.and_then(|w| bytes_of(w, segment.range))
        {
            segment.digest = RangeHash::of(bytes);
        }
        if segment.range.is_empty() {
            // A chunk inside a long record, a batch that was full at once: nothing to keep.
            self.open_batch().segments.pop();
            return;
        }
        if self.shared.needs_record_numbers() {
            self.cut_segment(attempt);
        }
    }

    /// Takes the records out that `--offset-records` and `--limit` leave out.
    fn cut_segment(&mut self, attempt: &Attempt<'_>) {
        let base = attempt.proven.expect("chunks are proven first when numbers decide").records;
        let config = &self.shared.config;
        let first = (config.offset_records + 1).saturating_sub(base);
        let last = config.limit.map_or(u64::MAX, |limit| {
            limit.saturating_add(config.offset_records).saturating_sub(base)
        });
        // Records behind the limit are not counted as read.
        let seen = u64::from(attempt.segment_records) + 1..=u64::from(attempt.cursor.records);
        let filtered = seen.filter(|&record| record < first && record <= last);
        let filtered = filtered.count() as u64;
        let batch = self.open_batch();
        let segment = batch.segments.len() - 1;
        batch.keep_records(segment, first.max(1)..=last);
        self.shared.filtered(attempt.file.index, filtered);
    }

    /// Parses what stands in `window` from `attempt.cursor` to `until`, through as many arenas as
    /// it takes. Comes back with [`Pause::ChunkEnd`], [`Pause::NeedMore`] or [`Pause::Endless`];
    /// the segment is still open then.
    pub(super) fn parse_window(
        &mut self,
        attempt: &mut Attempt<'_>,
        window: Window<'_>,
        until: usize,
        source: &RawSource,
    ) -> Result<Pause, Halt> {
        self.rows.seek(attempt.cursor.at);
        loop {
            let at = window.byte_offset + attempt.cursor.at as u64;
            let paid = self.pay(at, window.byte_offset + until as u64)? - window.byte_offset;
            let paid = usize::try_from(paid).expect("it is not behind `until`");
            let batch = self.open.as_mut().expect("an arena is open while a chunk is parsed");
            let pause = self.rows.parse(window, paid, &mut attempt.cursor, batch);
            let at = window.byte_offset + attempt.cursor.at as u64;
            match pause {
                Pause::ChunkEnd if attempt.cursor.at <= until && paid < until => {
                    self.rows.seek(attempt.cursor.at);
                    continue;
                }
                Pause::BatchFull => {
                    self.close_segment(attempt, at, Some(window));
                    self.next_arena(attempt)?;
                }
                Pause::NeedStride { column, bytes } => {
                    self.shape.widen(column, bytes);
                    self.close_segment(attempt, at, Some(window));
                    self.widen_arena(attempt)?;
                    self.rows.seek(attempt.cursor.at);
                }
                Pause::ChunkEnd | Pause::NeedMore | Pause::Endless { .. } => return Ok(pause),
            }
            self.open_segment(attempt, at, source.clone());
        }
    }

    /// Goes on in an arena of the new shape: the open one when it has no rows.
    fn widen_arena(&mut self, attempt: &mut Attempt<'_>) -> Result<(), Halt> {
        if self.open_batch().rows() > 0 {
            return self.next_arena(attempt);
        }
        // Without rows there may still be segments and rejects; laying out forgets them.
        let batch = self.open.as_mut().expect("an arena is open while a chunk is parsed");
        let segments = std::mem::take(&mut batch.segments);
        let rejects = std::mem::take(&mut batch.rejects);
        self.stock.relaid(self.shape.bytes_of(batch), self.shape.bytes());
        self.shape.lay_out(batch);
        batch.segments = segments;
        batch.rejects = rejects;
        Ok(())
    }

    /// Puts the open arena away, to the writers or to those that wait for proof, and opens another.
    fn next_arena(&mut self, attempt: &mut Attempt<'_>) -> Result<(), Halt> {
        let full = self.open.take().expect("an arena is open while a chunk is parsed");
        self.shape.settle(&full);
        attempt.held.push(full);
        if attempt.proven.is_none() && self.take_arena().is_none_or(|arena| self.keep(arena)) {
            self.prove(attempt)?;
        }
        if attempt.proven.is_some() {
            for batch in std::mem::take(&mut attempt.held) {
                let first_segment = std::mem::take(&mut attempt.first_segment);
                self.count(attempt.file.index, &batch, first_segment)?;
                self.send(batch)?;
            }
        }
        self.open = Some(self.wait_for_arena()?);
        Ok(())
    }

    /// Waits until the chunk's left neighbours are done.
    pub(super) fn wait_for_proof(
        &mut self,
        file: &OpenFile,
        index: u64,
    ) -> Result<ChunkStart, Halt> {
        let started = Instant::now();
        let start = file.chain.wait(index).ok_or(Halt::Stopped);
        self.times.proof += started.elapsed();
        start
    }

    /// Makes sure that the chunk's start is proven.
    ///
    /// # Errors
    /// [`Halt::Misguessed`] when the attempt began elsewhere; everything it parsed is forgotten.
    pub(super) fn prove(&mut self, attempt: &mut Attempt<'_>) -> Result<(), Halt> {
        if attempt.proven.is_some() {
            return Ok(());
        }
        let start = self.wait_for_proof(attempt.file, attempt.index)?;
        if start.byte_offset != attempt.start {
            self.forget(attempt);
            return Err(Halt::Misguessed(start));
        }
        attempt.proven = Some(start);
        for batch in attempt.held.iter_mut().chain(self.open.as_mut()) {
            for segment in &mut batch.segments {
                if segment.base_record == UNPROVEN {
                    segment.base_record = start.records;
                    segment.base_line = start.lines;
                }
            }
        }
        Ok(())
    }

    /// Takes back everything that the attempt put in arenas.
    fn forget(&mut self, attempt: &mut Attempt<'_>) {
        let mut filled = std::mem::take(&mut attempt.held).into_iter();
        // The first arena was open before the attempt; the others hold nothing else.
        if let Some(mut first) = filled.next() {
            first.truncate(attempt.mark);
            if let Some(batch) = self.open.replace(first) {
                self.free.push(batch);
            }
        } else if let Some(open) = &mut self.open {
            open.truncate(attempt.mark);
        }
        self.free.extend(filled);
    }

    /// The chunk is parsed and proven; `end` is the offset of the first record of the next one.
    pub(super) fn finish(&mut self, mut attempt: Attempt<'_>, end: u64) -> Result<(), Halt> {
        let start = attempt.proven.expect("only proven chunks finish");
        let next = ChunkStart {
            byte_offset: end,
            records: start.records + u64::from(attempt.cursor.records),
            lines: start.lines + u64::from(attempt.cursor.lines),
        };
        // Batches that left during the chunk were counted then; these are the rest of it.
        for batch in attempt.held.iter().chain(&self.open) {
            let first_segment = std::mem::take(&mut attempt.first_segment);
            self.count(attempt.file.index, batch, first_segment)?;
        }
        attempt.file.publish(attempt.index, next)?;
        for batch in std::mem::take(&mut attempt.held) {
            self.send(batch)?;
        }
        if attempt.file.reached_limit(next.records) {
            attempt.file.end_early();
        }
        Ok(())
    }

    /// Counts the records and rejects in `batch` from `first_segment` on, in file order, against
    /// the limit.
    fn count(&self, file: usize, batch: &Batch, first_segment: usize) -> Result<(), Halt> {
        let Some(first) = batch.segments.get(first_segment) else {
            return Ok(());
        };
        let shared = self.shared;
        let own = &batch.segments[first_segment..];
        let records = own.iter().map(|segment| segment.records).sum();
        let bytes = own.iter().map(|segment| segment.range.len()).sum();
        let records_before = shared.read(file, bytes, records);
        let before = batch.rejects.partition_point(|reject| reject.segment < first_segment);
        let rejects = &batch.rejects[before..];
        // Of records that are read again only to be skipped the rejects are counted already.
        let known =
            rejects.partition_point(|reject| shared.is_skipped(0, file, reject.byte_offset));
        let rejects = &rejects[known..];
        let Some(lowest) = rejects.first() else {
            return Ok(());
        };
        let lowest_record = batch.reject_position(lowest).record;
        let bad = |reject| rejecting::bad_record(shared, batch, reject);
        shared.counter.note_any(file, lowest_record, || bad(lowest));
        let rows = &batch.row_sources[first.first_row..batch.rows()];
        let reject_at = |index| {
            let index = usize::try_from(index).expect("rejects of a batch fit in memory");
            &rejects[index]
        };
        let records_at = |index| {
            let record = reject_at(index).record;
            let rows_before = rows.partition_point(|row| row.record < record);
            records_before + rows_before as u64 + index + 1
        };
        let passed = shared.counter.add_rejects(rejects.len() as u64, records_at);
        match passed {
            Some(index) => Err(rejecting::limit_error(shared, file, bad(reject_at(index))).into()),
            None => Ok(()),
        }
    }

    /// Gives a batch away: to the writers of its rows, or to any.
    fn send(&mut self, batch: Batch) -> Result<(), Halt> {
        failpoint::reach("after-parse");
        let Some(mut router) = self.router.take() else {
            return self.send_to_any(batch);
        };
        let sent = self.share_out(&mut router, batch);
        self.router = Some(router);
        sent
    }

    /// Gives a batch to the writer with the shortest queue, of those that get batches.
    fn send_to_any(&mut self, batch: Batch) -> Result<(), Halt> {
        let mut batch = batch;
        loop {
            if self.shared.is_stopped() {
                return Err(Halt::Stopped);
            }
            let shared = self.shared;
            let rings = self.out.iter_mut().enumerate();
            let rings = rings.filter(|(writer, _)| shared.may_have_batches(*writer));
            let open = rings.map(|(_, ring)| ring).filter(|ring| !ring.is_abandoned());
            let Some(ring) = open.min_by_key(|ring| ring.len()) else {
                return Err(Halt::Stopped);
            };
            // Counted before the push: the writer may take it at once.
            let waiting = self.shared.metrics().batch_queued();
            match ring.push(batch) {
                Ok(()) => {
                    self.shared.metrics().note_waiting(waiting);
                    return Ok(());
                }
                Err(PushError::Full(back) | PushError::Abandoned(back)) => {
                    self.shared.metrics().batch_taken();
                    batch = back;
                }
            }
            let started = Instant::now();
            let out = &self.out;
            self.sleeper.sleep_until_or_timeout(NAP, || {
                let mut rings = out.iter().enumerate();
                shared.is_stopped()
                    || rings.any(|(writer, ring)| {
                        shared.may_have_batches(writer) && (!ring.is_full() || ring.is_abandoned())
                    })
            });
            self.times.full += started.elapsed();
        }
    }
}
