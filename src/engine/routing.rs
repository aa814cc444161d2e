//! Rows whose order counts: one parser, and each key's rows to one writer.
//!
//! The parser fills an arena as ever. Before it would leave, its rows are shared out, in their
//! order, among arenas of the writers; it stays with the parser and is filled again. A share has
//! the segments of the arena it came from, with its own rows. Records that became no row, and the
//! bytes between records, go with the first writer's, so that over all shares every record and
//! every byte is counted once. A segment of which a writer's rows need several shares is cut behind
//! the last row of each: so the shares of a writer are ranges one behind the other, and what is
//! committed of them is everything before one place. A resumed job leaves out, for each writer,
//! what stands before that place.
//!
//! Only one share is in the parser's hands at a time, and all others are with the writers, who
//! commit early when the parser waits for one: a load cannot stand still for want of arenas.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::arenas::{self, Shape};
use super::parser::{Halt, NAP, Parser};
use crate::arena::{Batch, KeyNumbers, ParseReject, Segment};
use crate::config::schema::Column;
use crate::config::{LoadConfig, Work};
use crate::record::ByteRange;
use crate::ring::{Consumer, PushError};
use crate::sink::{Layout, Routing};

/// Fewest shares for each writer: one to send, one to fill.
const SHARES_MIN: usize = 2;

/// Arenas of the writers and of the one parser, in parts of the memory for arenas: two shares a
/// writer, and one arena as large as a share of each.
const PARTS: usize = SHARES_MIN + 1;

/// Holds writers and parsers to what the order of rows allows; says what was asked for in vain.
pub(super) fn hold_to_order(work: &mut Work, routing: &Routing) -> Vec<String> {
    let mut warnings = Vec::new();
    if *routing == Routing::Any {
        return warnings;
    }
    if work.parsers > 1 {
        warnings.push(format!(
            "{} parsers are asked for; one keeps the rows of a key in order",
            work.parsers
        ));
        work.parsers = 1;
    }
    if let Routing::InOrder { why } = routing
        && work.writers > 1
    {
        warnings.push(format!("{} writers are asked for; one takes all rows: {why}", work.writers));
        work.writers = 1;
    }
    warnings
}

/// How rows are shared out among writers.
#[derive(Debug, Clone)]
pub(super) struct Sharing {
    keys: KeyNumbers,
    writers: usize,
    shape: Shape,
    /// Bytes that the shares may take together.
    memory_bytes: usize,
    /// Most shares there may be.
    pub(super) arenas_max: usize,
}

impl Sharing {
    /// How the rows of a load are shared out, and the shape of the arena that the parser fills;
    /// `None` where any batch may go to any writer.
    pub(super) fn new(
        config: &LoadConfig,
        layout: &Layout,
        columns: &[Column],
    ) -> Option<(Self, Shape)> {
        let work = &config.work;
        let Routing::ByKey { key } = &layout.routing else { return None };
        if work.writers == 1 {
            return None;
        }
        let memory = arenas::memory_bytes(work);
        let share_bytes = work.batch_bytes.min(memory / (PARTS * work.writers)).max(1);
        let shape = Shape::new(layout, columns, work.batch_rows, share_bytes);
        let rows = work.batch_rows.saturating_mul(work.writers);
        let filled = Shape::new(layout, columns, rows, share_bytes * work.writers);
        let unit = if layout.replays { work.commit_rows.div_ceil(shape.rows() as u64) } else { 0 };
        let unit = usize::try_from(unit).unwrap_or(usize::MAX);
        let wanted = unit.saturating_add(work.ring_batches).saturating_mul(work.writers);
        let memory_bytes = memory.saturating_sub(share_bytes * work.writers);
        let affordable = memory_bytes / (2 * shape.bytes()).min(share_bytes).max(1);
        let sharing = Self {
            keys: KeyNumbers::new(columns, key),
            writers: work.writers,
            arenas_max: wanted.min(affordable).max(SHARES_MIN * work.writers),
            shape,
            memory_bytes,
        };
        Some((sharing, filled))
    }

    /// The writer of a row: the same for equal keys.
    fn writer_of(&self, batch: &Batch, row: usize) -> usize {
        let writers = self.writers as u64;
        let writer = self.keys.of_row(batch, row) % writers;
        usize::try_from(writer).expect("less than the number of writers")
    }
}

/// The sharing of one parser, and its shares.
pub(super) struct Router {
    sharing: Sharing,
    /// Rows of the arena that is shared out, by writer, ascending.
    rows: Vec<Vec<usize>>,
    idle: Vec<Batch>,
    made: usize,
}

impl Router {
    pub(super) fn new(sharing: Sharing) -> Self {
        let rows = vec![Vec::new(); sharing.writers];
        Self { sharing, rows, idle: Vec::new(), made: 0 }
    }

    fn sort(&mut self, batch: &Batch) {
        self.rows.iter_mut().for_each(Vec::clear);
        for row in 0..batch.rows() {
            self.rows[self.sharing.writer_of(batch, row)].push(row);
        }
    }

    /// Arenas that there may be for rows of `batch`.
    fn most(&self, batch: &Batch) -> usize {
        let affordable = self.sharing.memory_bytes / self.sharing.shape.bytes_for(batch).max(1);
        affordable.max(SHARES_MIN * self.sharing.writers).min(self.sharing.arenas_max)
    }

    /// An idle share laid out for rows of `batch`, if there is one or one more may be made.
    fn take(&mut self, back: &mut [Consumer<Batch>], batch: &Batch) -> Option<Batch> {
        let most = self.most(batch);
        while let Some(mut share) =
            self.idle.pop().or_else(|| back.iter_mut().find_map(Consumer::pop))
        {
            if self.made > most {
                self.made -= 1;
                continue;
            }
            self.sharing.shape.lay_out_for(&mut share, batch);
            return Some(share);
        }
        if self.made >= most {
            return None;
        }
        self.made += 1;
        let mut share = self.sharing.shape.make_bare(batch.parser);
        self.sharing.shape.lay_out_for(&mut share, batch);
        Some(share)
    }
}

/// What a share holds of a batch.
struct Cut<'a> {
    /// Its rows, ascending.
    rows: &'a [usize],
    /// Whether it holds what is no row, too.
    carries: bool,
    /// The row behind its last one that goes to the same writer: there the next share begins.
    /// `None`: this is the writer's last one of the batch.
    next: Option<usize>,
    /// Where this share begins, which is where the one before ends: segment and byte.
    from: Option<(usize, u64)>,
}

/// Index of the segment of a row, and the byte behind its record.
fn end_of_row(batch: &Batch, row: usize) -> (usize, u64) {
    let segment = batch.segments.partition_point(|segment| segment.first_row <= row) - 1;
    let source = batch.row_sources[row];
    (segment, source.byte_offset + u64::from(source.byte_length))
}

/// Where the share with row `last` ends and the one with row `next` begins: between them, in the
/// segment of `next`.
fn cut_behind(batch: &Batch, last: usize, next: usize) -> (usize, u64) {
    let (segment, _) = end_of_row(batch, next);
    let (of_last, byte) = end_of_row(batch, last);
    (segment, if of_last == segment { byte } else { batch.segments[segment].range.start })
}

/// Fills `share` with rows of a batch, and with what stands beside them. What stands before
/// `frontier`, file and byte, is committed already and left out; it is counted by `skip`: file,
/// records, bytes.
fn fill_share(
    share: &mut Batch,
    batch: &Batch,
    cut: &Cut<'_>,
    frontier: Option<(usize, u64)>,
    mut skip: impl FnMut(usize, u64, u64),
) {
    let mut rows = cut.rows;
    let first = cut.from.map_or(0, |(segment, _)| segment);
    let until = cut.next.map(|row| end_of_row(batch, row).0);
    for (index, segment) in batch.segments.iter().enumerate().skip(first) {
        if until.is_some_and(|until| index > until) {
            break;
        }
        let of_segment = batch.rows_of_segment(index);
        let (own, others) = rows.split_at(rows.partition_point(|&row| row < of_segment.end));
        rows = others;
        let start = cut.from.filter(|&(at, _)| at == index).map_or(segment.range.start, |f| f.1);
        let end = match (until == Some(index), own.last()) {
            (false, _) => segment.range.end,
            (true, Some(&last)) => end_of_row(batch, last).1,
            (true, None) => start,
        };
        // Committed records stand before all others.
        let fresh = match frontier {
            Some((file, _)) if file > segment.file => end,
            Some((file, byte)) if file == segment.file => byte.clamp(start, end),
            _ => start,
        };
        let known = Portion::of(batch, index, own, ByteRange { start, end: fresh }, cut.carries);
        let portion = Portion::of(batch, index, own, ByteRange { start: fresh, end }, cut.carries);
        if known.records() > 0 || known.bytes > 0 {
            skip(segment.file, known.records(), known.bytes);
        }
        if portion.range.is_empty() || portion.rows.is_empty() && !cut.carries {
            continue;
        }
        let place = share.segments.len();
        share.segments.push(Segment {
            range: portion.range,
            records: portion.records(),
            numbered: u32::try_from(portion.records()).unwrap_or(u32::MAX),
            digest: 0,
            first_row: share.rows(),
            share_bytes: Some(portion.bytes),
            source: segment.source.clone(),
            ..*segment
        });
        share.append_rows(batch, portion.rows);
        share.rejects.extend(portion.rejects().map(|&reject| {
            let mut reject = reject;
            reject.segment = place;
            reject
        }));
    }
}

/// What of a segment goes to one writer, in a range of its bytes that cuts no record.
struct Portion<'b> {
    range: ByteRange,
    rows: &'b [usize],
    /// Those of the segment; [`Self::rejects`] are those in the range.
    refused: &'b [ParseReject],
    /// Bytes that are counted with it.
    bytes: u64,
}

impl<'b> Portion<'b> {
    fn of(
        batch: &'b Batch,
        segment: usize,
        rows: &'b [usize],
        range: ByteRange,
        carries: bool,
    ) -> Self {
        let offset = |row: usize| batch.row_sources[row].byte_offset;
        let bytes_of = |row: usize| u64::from(batch.row_sources[row].byte_length);
        let from = rows.partition_point(|&row| offset(row) < range.start);
        let to = rows.partition_point(|&row| offset(row) < range.end);
        let rows = &rows[from..to.max(from)];
        let (refused, bytes) = if carries {
            let others = batch
                .rows_of_segment(segment)
                .filter(|&row| range.contains(offset(row)) && rows.binary_search(&row).is_err());
            let start = batch.rejects.partition_point(|reject| reject.segment < segment);
            let end = batch.rejects.partition_point(|reject| reject.segment <= segment);
            (&batch.rejects[start..end], range.len() - others.map(bytes_of).sum::<u64>())
        } else {
            (&[][..], rows.iter().map(|&row| bytes_of(row)).sum())
        };
        Self { range, rows, refused, bytes }
    }

    fn rejects(&self) -> impl Iterator<Item = &ParseReject> {
        self.refused.iter().filter(|reject| self.range.contains(reject.byte_offset))
    }

    fn records(&self) -> u64 {
        (self.rows.len() + self.rejects().count()) as u64
    }
}

impl Parser<'_> {
    /// Shares the rows of a batch out among the writers; the arena stays here.
    pub(super) fn share_out(&mut self, router: &mut Router, mut batch: Batch) -> Result<(), Halt> {
        router.sort(&batch);
        for writer in 0..router.rows.len() {
            let rows = std::mem::take(&mut router.rows[writer]);
            let shared = self.send_shares(router, &batch, writer, &rows);
            router.rows[writer] = rows;
            shared?;
        }
        batch.clear();
        self.keep_idle(batch);
        Ok(())
    }

    fn send_shares(
        &mut self,
        router: &mut Router,
        batch: &Batch,
        writer: usize,
        rows: &[usize],
    ) -> Result<(), Halt> {
        let mut rest = rows;
        let carries = writer == 0;
        let mut from = None;
        let mut is_first = carries;
        while !rest.is_empty() || is_first {
            let mut share = self.wait_for_share(router, batch)?;
            let (now, later) = rest.split_at(rest.len().min(share.capacity()));
            let cut = Cut { rows: now, carries, next: later.first().copied(), from };
            let shared = self.shared;
            fill_share(
                &mut share,
                batch,
                &cut,
                shared.skipped.get(writer).copied(),
                |file, records, bytes| shared.files[file].skip(records, bytes),
            );
            from =
                now.last().zip(later.first()).map(|(&last, &next)| cut_behind(batch, last, next));
            (rest, is_first) = (later, false);
            if share.is_empty() {
                router.idle.push(share);
            } else {
                self.send_to(writer, share)?;
            }
        }
        Ok(())
    }

    fn wait_for_share(&mut self, router: &mut Router, batch: &Batch) -> Result<Batch, Halt> {
        loop {
            if let Some(share) = router.take(&mut self.back, batch) {
                return Ok(share);
            }
            self.wait_for_return()?;
        }
    }

    /// Gives a share to its writer.
    fn send_to(&mut self, writer: usize, share: Batch) -> Result<(), Halt> {
        let mut share = share;
        let mut has_waited = false;
        loop {
            if self.shared.is_stopped() || self.out[writer].is_abandoned() {
                return Err(Halt::Stopped);
            }
            // Counted before the push: the writer may take it at once.
            let waiting = self.shared.metrics().batch_queued();
            match self.out[writer].push(share) {
                Ok(()) => {
                    self.shared.metrics().note_waiting(waiting);
                    return Ok(());
                }
                Err(PushError::Full(back) | PushError::Abandoned(back)) => {
                    self.shared.metrics().batch_taken();
                    share = back;
                }
            }
            let sleep = |parser: &mut Self| {
                let (shared, ring) = (parser.shared, &parser.out[writer]);
                parser.sleeper.sleep_until_or_timeout(NAP, || {
                    shared.is_stopped() || !ring.is_full() || ring.is_abandoned()
                });
            };
            if has_waited {
                // What this writer waits for may be a lock of another one, who has nothing to do
                // because the parser stands here, and would not commit.
                self.starve(sleep);
            } else {
                let started = Instant::now();
                sleep(self);
                self.times.full += started.elapsed();
            }
            has_waited = true;
        }
    }

    /// Tells idle writers to commit what they hold for as long as `wait` takes.
    pub(super) fn starve(&mut self, wait: impl FnOnce(&mut Self)) {
        let started = Instant::now();
        self.shared.starving.fetch_add(1, Ordering::AcqRel);
        self.shared.wake_writers();
        wait(self);
        self.shared.starving.fetch_sub(1, Ordering::AcqRel);
        self.times.full += started.elapsed();
    }
}
