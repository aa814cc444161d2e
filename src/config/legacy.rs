//! The keys of the old pipeline's configuration, with their old meaning.
//!
//! | old key | option | meaning kept |
//! |---|---|---|
//! | `pipeline.reading_mode` | `input-mode` | `single`: all parsers on one file; `multi`: one |
//! | `pipeline.num_processors` | `parsers` | workers that turn text into rows |
//! | `pipeline.num_writers` | `writers` | database connections |
//! | `pipeline.raw_queue_max` | `read-ahead` | pieces of input read and not yet parsed |
//! | `pipeline.processed_queue_max` | `ring-batches` | full batches that wait for a writer |
//! | `pipeline.batch_size` | `batch-rows` and `commit-rows` | rows in a batch, one transaction |
//! | `pipeline.chunk_size` | `chunk-bytes` | bytes read at a time |
//! | `db.connection_timeout` | `connect-timeout` | seconds |
//! | `db.query_timeout` | `query-timeout` | seconds |
//! | `db.max_retries` | `max-retries` | attempts after the first |
//! | `db.retry_backoff` | `retry-backoff` | factor between waits: 1 s, 2 s, 4 s |

use std::time::Duration;

use serde::Deserialize;

use super::InputMode;
use super::options::{Options, one};
use super::setting::{Size, Span};

/// The old `pipeline:` section.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pipeline {
    #[serde(deserialize_with = "one")]
    reading_mode: Option<InputMode>,
    #[serde(deserialize_with = "one")]
    num_processors: Option<usize>,
    #[serde(deserialize_with = "one")]
    num_writers: Option<usize>,
    #[serde(deserialize_with = "one")]
    raw_queue_max: Option<usize>,
    #[serde(deserialize_with = "one")]
    processed_queue_max: Option<usize>,
    #[serde(deserialize_with = "one")]
    batch_size: Option<usize>,
    #[serde(deserialize_with = "one")]
    chunk_size: Option<Size>,
}

/// The old `db:` section.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Db {
    #[serde(deserialize_with = "one")]
    connection_timeout: Option<u64>,
    #[serde(deserialize_with = "one")]
    query_timeout: Option<u64>,
    #[serde(deserialize_with = "one")]
    max_retries: Option<usize>,
    #[serde(deserialize_with = "one")]
    retry_backoff: Option<f64>,
}

/// Each option that an old key sets, with the old key.
const OLD_KEYS: &[(&str, &str)] = &[
    ("input-mode", "pipeline.reading_mode"),
    ("parsers", "pipeline.num_processors"),
    ("writers", "pipeline.num_writers"),
    ("read-ahead", "pipeline.raw_queue_max"),
    ("ring-batches", "pipeline.processed_queue_max"),
    ("batch-rows", "pipeline.batch_size"),
    ("commit-rows", "pipeline.batch_size"),
    ("chunk-bytes", "pipeline.chunk_size"),
    ("connect-timeout", "db.connection_timeout"),
    ("query-timeout", "db.query_timeout"),
    ("max-retries", "db.max_retries"),
    ("retry-backoff", "db.retry_backoff"),
];

/// The old key that sets an option.
pub(super) fn old_key(key: &str) -> &'static str {
    OLD_KEYS.iter().find(|(new, _)| *new == key).map_or("", |(_, old)| *old)
}

/// The old sections as options.
pub(super) fn translate(pipeline: &Pipeline, db: &Db) -> Options {
    let seconds = |count: Option<u64>| count.map(|n| Span(Duration::from_secs(n)));
    Options {
        input_mode: pipeline.reading_mode,
        parsers: pipeline.num_processors,
        writers: pipeline.num_writers,
        read_ahead: pipeline.raw_queue_max,
        ring_batches: pipeline.processed_queue_max,
        batch_rows: pipeline.batch_size,
        // The old pipeline ended a transaction with every batch.
        commit_rows: pipeline.batch_size.map(|rows| rows as u64),
        chunk_bytes: pipeline.chunk_size,
        connect_timeout: seconds(db.connection_timeout),
        query_timeout: seconds(db.query_timeout),
        max_retries: db.max_retries,
        retry_backoff: db.retry_backoff,
        ..Options::default()
    }
}
