//! The arenas of a running parser: how many are made, which one is filled next.

use super::arenas::{self, ARENAS_MIN, Shape};
use super::parser::{Halt, NAP, Parser};
use super::tuned;
use crate::arena::Batch;
use crate::config::Work;
use crate::ring::Consumer;
use crate::sink::Layout;

/// What the number of a parser's arenas follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Supply {
    parsers: usize,
    ring_batches: usize,
    /// Arenas of a transaction that are kept until its commit.
    unit_arenas: usize,
    /// As many as memory is there for.
    affordable: usize,
}

impl Supply {
    /// Of a load whose first arenas are of this shape.
    pub(super) fn new(work: &Work, layout: &Layout, shape: &Shape) -> Self {
        let (rows, commit_rows) = tuned::extremes(work, shape);
        let unit = if layout.replays { commit_rows.div_ceil(rows) } else { 0 };
        // Texts grow as they are seen, up to the bound of a batch.
        let arena_bytes = (2 * shape.bytes()).min(work.batch_bytes).max(1);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).max(1);
        let smallest_bytes = arena_bytes / (shape.rows() / rows).max(1);
        Self {
            parsers: work.parsers,
            ring_batches: work.ring_batches,
            unit_arenas: usize::try_from(unit).unwrap_or(usize::MAX),
            affordable: arenas::memory_bytes(work) / smallest_bytes.max(1),
        }
    }

    /// Arenas of each parser: enough to fill the rings and the transactions of `writers` writers,
    /// as far as memory allows.
    pub(super) fn most(&self, writers: usize) -> usize {
        let units = self.unit_arenas.saturating_mul(writers);
        let wanted = (writers * self.ring_batches)
            .saturating_add(units.div_ceil(self.parsers))
            .saturating_add(2);
        wanted.min(self.affordable).max(ARENAS_MIN)
    }
}

/// How many arenas a parser has made, and what they take.
///
/// Each counts with what it was laid out for last, from then until it comes back: batches become
/// larger and smaller meanwhile, and texts longer.
#[derive(Debug)]
pub(super) struct Stock {
    made: usize,
    most: usize,
    /// What those that were made take.
    made_bytes: usize,
    /// What they may take together.
    memory_bytes: usize,
}

impl Stock {
    /// Of a parser that may make `most` arenas.
    pub(super) fn new(most: usize, work: &Work) -> Self {
        // Where batches stay as they are, `most` leaves room for texts that double. Where batches
        // may become smaller, and more of them, that room is left here.
        let parts =
            if work.tuning.is_some_and(|tuning| tuning.batch_rows.is_some()) { 2 } else { 1 };
        Self { made: 0, most, made_bytes: 0, memory_bytes: arenas::memory_bytes(work) / parts }
    }

    /// Counts one more arena of `bytes`, if there is room for it.
    fn add(&mut self, bytes: usize) -> bool {
        let fits = self.made < ARENAS_MIN || self.made_bytes + bytes <= self.memory_bytes;
        let may = fits && self.made < self.most;
        if may {
            self.made += 1;
            self.made_bytes += bytes;
        }
        may
    }

    /// From now on there are at most `most`; what is beyond is let go when it comes back.
    const fn hold_to(&mut self, most: usize) {
        self.most = most;
    }

    /// An arena that is not back was laid out again: what it takes is needed, room or not.
    pub(super) const fn relaid(&mut self, before_bytes: usize, after_bytes: usize) {
        self.made_bytes = self.made_bytes - before_bytes + after_bytes;
    }

    /// An arena of `bytes` has come back.
    const fn remove(&mut self, bytes: usize) {
        self.made -= 1;
        self.made_bytes -= bytes;
    }
}

impl Parser<'_> {
    pub(super) fn keep_idle(&mut self, arena: Batch) {
        self.free.push(arena);
    }

    /// Returns an arena to the idle ones; there is one then, so nobody need wait for proof.
    pub(super) fn keep(&mut self, arena: Batch) -> bool {
        self.free.push(arena);
        false
    }

    fn idle_arena(&mut self) -> Option<Batch> {
        let kept = self.free.pop();
        if self.router.is_some() {
            // What comes back are shares.
            return kept;
        }
        kept.or_else(|| self.back.iter_mut().find_map(Consumer::pop))
    }

    /// An idle arena, laid out, if there is one now or one more may be made.
    pub(super) fn take_arena(&mut self) -> Option<Batch> {
        if let Some(rows) = self.shared.control.dial.batch_rows() {
            self.shape.hold_to(rows);
        }
        if let Some(writers) = self.shared.control.dial.writers() {
            self.stock.hold_to(self.shared.supply.most(writers));
        }
        while let Some(arena) = self.idle_arena() {
            self.stock.remove(self.shape.bytes_of(&arena));
            if self.stock.add(self.shape.bytes()) {
                return Some(self.lay_out(arena));
            }
        }
        self.stock.add(self.shape.bytes()).then(|| self.shape.make(self.id))
    }

    /// Lays out an arena again. Buffers do not give back what they have; where batches have become
    /// smaller they are new ones.
    fn lay_out(&self, mut arena: Batch) -> Batch {
        let has_shrunk = arena.capacity() > self.shape.rows()
            && self.shape.bytes_of(&arena) > self.shape.bytes();
        if has_shrunk {
            // First, so that the memory does not hold both.
            drop(arena);
            return self.shape.make(self.id);
        }
        self.shape.lay_out(&mut arena);
        arena
    }

    pub(super) fn wait_for_arena(&mut self) -> Result<Batch, Halt> {
        loop {
            if let Some(arena) = self.take_arena() {
                return Ok(arena);
            }
            self.wait_for_return()?;
        }
    }

    /// Waits a while for an arena, or a share of one, to come back from a writer.
    pub(super) fn wait_for_return(&mut self) -> Result<(), Halt> {
        if self.shared.is_stopped() {
            return Err(Halt::Stopped);
        }
        // A unit larger than memory must not wait for rows that have no arena to come in.
        self.starve(|parser| {
            let (shared, back) = (parser.shared, &parser.back);
            parser.sleeper.sleep_until_or_timeout(NAP, || {
                shared.is_stopped() || back.iter().any(|ring| !ring.is_empty())
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, IndicatorWidth};
    use crate::config::schema::{Column, SqlType};
    use crate::sink::memory::MemoryTarget;
    use crate::sink::{RowAction, Target};

    fn shape(rows: usize) -> Shape {
        let column = |name: &str| Column {
            name: name.into(),
            ty: SqlType::BigInt,
            nullable: true,
            generated: false,
        };
        let columns = [column("a"), column("b")];
        let mut layout = MemoryTarget::new(None).layout("t", &columns, &RowAction::Insert).unwrap();
        layout.cells = vec![CellType::I64; 2];
        layout.indicators = IndicatorWidth::Wide;
        Shape::new(&layout, &columns, rows, 1 << 20)
    }

    /// Batches of sizes that change at random: what is counted is what there is, and no more than
    /// the memory, but for the fewest arenas that a parser needs.
    #[test]
    fn what_is_counted_is_what_there_is() {
        let mut random = fastrand::Rng::with_seed(11);
        let mut shape = shape(1_000);
        let memory_bytes = 10 * shape.bytes();
        let mut stock = Stock { made: 0, most: 200, made_bytes: 0, memory_bytes };
        let mut out: Vec<Batch> = Vec::new();
        let (mut most, mut refused) = (0, 0);
        for _ in 0..20_000 {
            if random.u8(..) < 8 {
                shape.hold_to(random.usize(20..1_000));
            }
            if random.bool() && !out.is_empty() {
                let arena = out.swap_remove(random.usize(0..out.len()));
                stock.remove(shape.bytes_of(&arena));
            } else if stock.add(shape.bytes()) {
                out.push(shape.make(0));
            } else {
                refused += 1;
            }
            // Two numbers of eight bytes, their indicators, and where the row comes from.
            let row_bytes = 2 * (8 + 8) + size_of::<crate::arena::RowSource>();
            let bytes: usize = out.iter().map(|arena| arena.capacity() * row_bytes).sum();
            assert_eq!((stock.made, stock.made_bytes), (out.len(), bytes));
            assert!(bytes <= memory_bytes || out.len() <= ARENAS_MIN);
            most = most.max(out.len());
        }
        assert!(most > 10 && refused > 0, "{most} arenas at most, {refused} refused");
    }

    /// Memory for less than one: the fewest that a parser needs are made all the same.
    #[test]
    fn a_parser_always_has_its_fewest_arenas() {
        let shape = shape(1_000);
        let mut stock = Stock { made: 0, most: 8, made_bytes: 0, memory_bytes: 1 };
        for _ in 0..ARENAS_MIN {
            assert!(stock.add(shape.bytes()));
        }
        assert!(!stock.add(shape.bytes()));
        stock.remove(shape.bytes());
        assert!(stock.add(shape.bytes()));
    }
}
