//! Defaults of the work that follow from other numbers, and why they are what they are.

use super::setting::{Rate, Size};
use crate::limits;

/// Chunks in a second under `--max-rate`, by default.
const CHUNKS_PER_SECOND: u64 = 50;

/// Smallest chunk that `--max-rate` leads to by itself.
const LEAST_PACED_CHUNK_BYTES: u64 = 4 << 10;

/// The default of `--chunk-bytes`, and why: under `--max-rate` blocks that are read, and progress,
/// come in steps of this size.
pub(super) fn chunk(max_rate: Option<Rate>) -> (Size, &'static str) {
    match max_rate.map(|Rate(bytes)| bytes / CHUNKS_PER_SECOND) {
        Some(bytes) if bytes < limits::CHUNK_BYTES => {
            (Size(bytes.max(LEAST_PACED_CHUNK_BYTES)), "a fiftieth of a second at --max-rate")
        }
        _ => (Size(limits::CHUNK_BYTES), "fast on any machine"),
    }
}

/// The default of `--ring-batches`, and why.
pub(super) fn ring(batch_rows: usize) -> (usize, &'static str) {
    let for_rows = limits::RING_ROWS / batch_rows.max(1);
    if for_rows > limits::RING_BATCHES {
        (for_rows.min(limits::RING_BATCHES_MAX), "batches are small")
    } else {
        (limits::RING_BATCHES, "hides one commit")
    }
}
