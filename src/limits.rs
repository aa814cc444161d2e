//! Every bound of the program, named, with its unit, and checked against the others at compile
//! time.

use std::time::Duration;

/// Longest record accepted by default, terminator not counted (`--max-record-bytes`).
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Longest field accepted by default (`--max-field-bytes`).
pub const MAX_FIELD_BYTES: usize = 16 << 20;

/// Largest value that either of the two options above may be given.
///
/// Field positions inside a block of records are 32-bit words with two flag bits.
pub const RECORD_BYTES_CEILING: usize = 1 << 29;

/// Nominal slice of the input handed to one parser at a time (`--chunk-bytes`).
pub const CHUNK_BYTES: u64 = 1 << 20;

/// Bytes in one owned block of the `read` and `uring` ways of input.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Bytes of bound columns in one arena (`--batch-bytes`).
pub const BATCH_BYTES: usize = 2 << 20;

/// Rows in one batch when neither the user nor the profile says otherwise (`--batch-rows`).
pub const BATCH_ROWS: usize = 5_000;

/// Full batches that may wait in one ring (`--ring-batches`), of batches that are not small.
pub const RING_BATCHES: usize = 4;

/// Rows that small batches in one ring have together: two threads that meet for every few rows
/// spend their time on waking each other.
pub const RING_ROWS: usize = 2_048;

/// Full batches that may wait in one ring by default, however small they are.
pub const RING_BATCHES_MAX: usize = 64;

/// Rows in one transaction by default (`--commit-rows`).
pub const COMMIT_ROWS: u64 = 100_000;

/// Chunks that may be read ahead of the parsers (`--read-ahead`).
pub const READ_AHEAD_CHUNKS: usize = 4;

/// Longest wait before the first replay after a transient error; `--retry-backoff` multiplies it
/// from one to the next.
pub const RETRY_FIRST_WAIT: Duration = Duration::from_secs(1);

/// Wall time of a load in waits and replays (`--retry-budget`): a database restarts in less.
pub const RETRY_BUDGET: Duration = Duration::from_secs(600);

/// Records converted together, column by column, before the next ones are split.
pub const BLOCK_RECORDS: usize = 128;

/// Columns of a file: what the field index of one block of records can hold without growing large.
pub const MAX_COLUMNS: usize = 65_535;

/// Most digits of a DECIMAL (Db2 LUW: 31; the other profiles take at least this many).
pub const DECIMAL_DIGITS: u8 = 38;

/// Diagnostic records read from a driver after one failed execute: some drivers are quadratic
/// there.
pub const DIAGNOSTICS_PER_EXECUTE: usize = 16;

/// Bytes at the head of a file that the dialect sniffer looks at.
pub const SNIFF_BYTES: usize = 1 << 20;

const _: () = assert!(MAX_FIELD_BYTES <= MAX_RECORD_BYTES);
const _: () = assert!(MAX_RECORD_BYTES <= RECORD_BYTES_CEILING);
const _: () = assert!(BLOCK_RECORDS <= BATCH_ROWS);
const _: () = assert!(RING_BATCHES >= 1 && RING_BATCHES <= RING_BATCHES_MAX);
