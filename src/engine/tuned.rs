//! Which numbers of a load may change while it runs, and how far.

use super::arenas::Shape;
use crate::config::{Tuning, Work};
use crate::sink::{Layout, Routing};

/// Holds what may change to what load and target allow, and the numbers of the start to it.
pub(super) fn fit(work: &mut Work, layout: &Layout) {
    let Some(mut tuning) = work.tuning.take() else { return };
    if matches!(layout.routing, Routing::ByKey { .. }) {
        // Arenas are shared out there: how many there are depends on how large each is.
        return;
    }
    if work.commit_rows == u64::MAX {
        // One transaction, whatever its size, and so one writer.
        (tuning.commit_rows, tuning.writers) = (None, None);
    }
    if layout.routing != Routing::Any {
        tuning.writers = None;
    }
    if let Some((low, high)) = &mut tuning.writers {
        *high = (*high).min(layout.writers_max).max(1);
        *low = (*low).clamp(1, *high);
        work.writers = work.writers.clamp(*low, *high);
    }
    tuning.writers = tuning.writers.filter(|(low, high)| low < high);
    if let Some((low, high)) = &mut tuning.commit_rows {
        *low = (*low).max(1);
        *high = (*high).max(*low);
        work.commit_rows = work.commit_rows.clamp(*low, *high);
    }
    if let Some((low, high)) = &mut tuning.batch_rows {
        let commit_rows = tuning.commit_rows.map_or(work.commit_rows, |(_, most)| most);
        let most = layout.batch_rows_max.min(usize::try_from(commit_rows).unwrap_or(usize::MAX));
        *high = (*high).min(most).max(1);
        *low = (*low).clamp(1, *high);
        let now = usize::try_from(work.commit_rows).unwrap_or(usize::MAX).max(*low);
        work.batch_rows = work.batch_rows.clamp(*low, (*high).min(now));
        work.commit_rows = work.commit_rows.max(work.batch_rows as u64);
    }
    work.tuning = Some(tuning).filter(Tuning::is_any);
}

/// Least rows of a batch and most rows of a transaction that there may be.
pub(super) fn extremes(work: &Work, shape: &Shape) -> (u64, u64) {
    let rows = shape.rows() as u64;
    let tuning = work.tuning.as_ref();
    let batch = tuning.and_then(|tuning| tuning.batch_rows);
    let commit = tuning.and_then(|tuning| tuning.commit_rows);
    (
        batch.map_or(rows, |(low, _)| rows.min(low as u64)),
        commit.map_or(work.commit_rows, |(_, high)| high),
    )
}
