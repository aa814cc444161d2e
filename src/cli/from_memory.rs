//! The `sink` step of `fastload bench`: a target fed from memory.
//!
//! What a load into the same target could reach at best: the same batches through the same sinks,
//! in commit units of the same size, but with nothing to read, split, convert or pass on. All rows
//! are held in memory, so the file must fit there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use super::bench::{Clock, Measured, map, measured, parse_file};
use super::prepare::{Prepared, open_target, prepare, settle_for};
use crate::arena::Batch;
use crate::config::resolve::Resolved;
use crate::config::schema::Column;
use crate::engine::{Control, Shape, row_action, row_parser};
use crate::error::{Error, Result, SinkError};
use crate::sink::{Layout, RowAction, Target};

/// Parses everything, then starts the clock, opens the writers' connections and sends the rows.
///
/// # Errors
/// What a load gives; a record that is refused, by the parser or by the target.
pub(super) fn from_memory(
    name: &'static str,
    resolved: &Resolved,
    control: &Arc<Control>,
) -> Result<Measured> {
    let target = open_target(resolved)?;
    let mut prepared = prepare(resolved, &*target, control)?;
    if let Some(columns) = &prepared.new_table {
        target.create_table(&prepared.config.table, columns)?;
    }
    settle_for(resolved, &*target, &mut prepared)?;
    let columns: Vec<Column> =
        prepared.config.columns.iter().map(|loaded| loaded.column.clone()).collect();
    let action = row_action(&prepared.config);
    let table = &prepared.config.table;
    let layout = target.layout(table, &columns, &action)?;
    let (batches, bytes) = parsed(&prepared, &layout, &columns)?;
    let rows = batches.iter().map(|batch| batch.rows() as u64).sum();
    let queue = Queue {
        batches: &batches,
        next: AtomicUsize::new(0),
        commit_rows: prepared.config.work.commit_rows,
    };
    let writers = prepared.config.work.writers.min(layout.writers_max);
    let started = Clock::start();
    std::thread::scope(|scope| {
        let write = || queue.send(&*target, table, &columns, &action);
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        // All are joined before the first error counts: a scope would wait for them anyway.
        let ended: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
        for result in ended {
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok::<(), Error>(())
    })?;
    Ok(measured(name, rows, bytes, started))
}

/// All rows of all inputs as batches of the target's layout, and the bytes of the inputs.
fn parsed(prepared: &Prepared, layout: &Layout, columns: &[Column]) -> Result<(Vec<Batch>, u64)> {
    let config = &prepared.config;
    let work = &config.work;
    let mut shape = Shape::new(layout, columns, work.batch_rows, work.batch_bytes);
    let mut rows = row_parser(config, layout)?;
    let spare = Shape::new(layout, columns, 1, 1);
    let (mut batches, mut bytes, mut refused) = (Vec::new(), 0, 0);
    for file in &prepared.inputs {
        let map = map(file)?;
        bytes += map.bytes().len() as u64;
        parse_file(&mut rows, &mut shape, &map, file.body_offset, &mut |batch| {
            refused += batch.rejects.len();
            batches.push(std::mem::replace(batch, spare.make(0)));
        });
    }
    if refused > 0 {
        return Err(Error::usage(
            format!("{refused} records are bad"),
            "a target is measured with good records only: see fastload check",
        ));
    }
    Ok((batches, bytes))
}

/// The batches that are left to send.
struct Queue<'b> {
    batches: &'b [Batch],
    next: AtomicUsize,
    commit_rows: u64,
}

impl Queue<'_> {
    /// One writer's part, in commit units as a load makes them.
    fn send(
        &self,
        target: &dyn Target,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<()> {
        let mut sink = target.open(table, columns, action)?;
        let mut unit_rows = 0;
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let rows = batch.rows() as u64;
            if unit_rows > 0 && unit_rows + rows > self.commit_rows {
                sink.commit()?;
                unit_rows = 0;
            }
            if let Some(refused) = sink.write(batch)?.first() {
                return Err(SinkError::permanent(refused.message.clone()).into());
            }
            unit_rows += rows;
        }
        if unit_rows > 0 {
            sink.commit()?;
        }
        Ok(())
    }
}
