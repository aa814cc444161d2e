//! The arenas of a running parser: how many are made, which one is filled next.

use super::arenas::{self, ARENAS_MIN, Shape};
use super::parser::{Halt, NAP, Parser};
use crate::arena::Batch;
use crate::config::Work;
use crate::ring::Consumer;

/// How many arenas a parser has made, and how many it may.
#[derive(Debug)]
pub(super) struct Stock {
    made: usize,
    most: usize,
    /// What they may take together.
    memory_bytes: usize,
    /// Arenas that are larger than those laid out now: they were made for batches of more rows,
    /// and have not come back since.
    larger: usize,
    /// What each of them takes, at most.
    larger_bytes: usize,
}

impl Stock {
    /// Of a parser that may make `most` arenas.
    pub(super) fn new(most: usize, work: &Work) -> Self {
        let memory_bytes = arenas::memory_bytes(work);
        Self { made: 0, most, memory_bytes, larger: 0, larger_bytes: 0 }
    }

    /// Arenas that there may be now. Texts that grow make arenas larger, so that fewer of them are
    /// affordable.
    fn affordable(&self, shape: &Shape) -> usize {
        let left = self.memory_bytes.saturating_sub(self.larger * self.larger_bytes);
        let affordable = self.larger + left / shape.bytes().max(1);
        affordable.max(ARENAS_MIN).min(self.most)
    }

    /// From now on batches have at most `rows` rows.
    fn follow(&mut self, shape: &mut Shape, rows: usize) {
        let before_bytes = shape.bytes();
        if !shape.hold_to(rows) {
            return;
        }
        if shape.bytes() < before_bytes {
            self.larger_bytes = self.larger_bytes.max(before_bytes);
            self.larger = self.made;
        } else if shape.bytes() >= self.larger_bytes {
            (self.larger, self.larger_bytes) = (0, 0);
        }
    }

    /// Whether an arena that has come back is one of the larger ones, which is to be let go.
    fn is_larger(&mut self, arena: &Batch, shape: &Shape) -> bool {
        let is_larger = self.larger > 0 && arena.capacity() > shape.rows();
        self.larger -= usize::from(is_larger);
        if self.larger == 0 {
            self.larger_bytes = 0;
        }
        is_larger
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
            self.stock.follow(&mut self.shape, rows);
        }
        let arenas_max = self.stock.affordable(&self.shape);
        while let Some(mut arena) = self.idle_arena() {
            let is_larger = self.stock.is_larger(&arena, &self.shape);
            if self.stock.made > arenas_max {
                self.stock.made -= 1;
                continue;
            }
            if is_larger {
                arena = self.shape.make_bare(self.id);
            }
            self.shape.lay_out(&mut arena);
            return Some(arena);
        }
        if self.stock.made < arenas_max {
            self.stock.made += 1;
            return Some(self.shape.make(self.id));
        }
        None
    }

    pub(super) fn wait_for_arena(&mut self) -> Result<Batch, Halt> {
        loop {
            if let Some(arena) = self.take_arena() {
                return Ok(arena);
            }
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
        }
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

    /// Whatever batches were and are, what is made takes no more than the memory there is.
    #[test]
    fn smaller_batches_do_not_count_the_memory_of_larger_ones_twice() {
        let mut shape = shape(1_000);
        let large_bytes = shape.bytes();
        let mut stock = Stock {
            made: 0,
            most: 1_000,
            memory_bytes: 10 * large_bytes,
            larger: 0,
            larger_bytes: 0,
        };
        assert_eq!(stock.affordable(&shape), 10);
        stock.made = 8;
        stock.follow(&mut shape, 100);
        // Eight large ones are about; beside them there is room for two, or for twenty small ones.
        assert_eq!(stock.affordable(&shape), 8 + 20);
        let mut arena = shape.make_bare(0);
        for rest in (0..8).rev() {
            arena.lay_out(1_000, &[0, 0]);
            assert!(stock.is_larger(&arena, &shape));
            assert_eq!(stock.affordable(&shape), rest + 10 * (10 - rest));
        }
        arena.lay_out(100, &[0, 0]);
        assert!(!stock.is_larger(&arena, &shape));
        stock.made = 100;
        stock.follow(&mut shape, 1_000);
        // Ninety of the hundred are to go before another is laid out.
        assert_eq!(stock.affordable(&shape), 10);
    }
}
