//! One pass over whole files without a sink: the types of a table that is to be created.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::control::Control;
use super::rate::RateLimit;
use crate::config::dialect::{Dialect, Encoding};
use crate::config::{InputSpec, IoWay};
use crate::error::{Error, ErrorKind, Result};
use crate::infer::ColumnGuess;
use crate::input::Input;
use crate::input::identity::{Watch, changed};
use crate::limits;
use crate::parse::fields::FieldRef;
use crate::parse::record_reader::{RecordReader, Step};
use crate::record::ByteRange;

/// Bytes of the map after which those behind are given back.
const RELEASE_BYTES: usize = 8 << 20;

/// An input and where its data begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferInput {
    /// The input; a stream cannot be read twice and is refused.
    pub spec: InputSpec,
    /// Offset of the first byte behind byte order mark, skipped lines and header.
    pub body_offset: u64,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferConfig {
    /// The inputs.
    pub inputs: Vec<InferInput>,
    /// Their dialect.
    pub dialect: Dialect,
    /// Fields that each record has.
    pub field_count: usize,
    /// For each field, whether quoted empty text is NULL.
    pub empty_as_null: Vec<bool>,
    /// Most bytes a second (`--max-rate`).
    pub max_rate: Option<u64>,
}

/// Looks at every value of every well-formed record; malformed ones will be rejects and say
/// nothing. Returns one guess for each field.
///
/// # Errors
/// An input that cannot be mapped, or a signal.
pub fn infer(config: &InferConfig, control: &Arc<Control>) -> Result<Vec<ColumnGuess>> {
    let mut guesses = vec![ColumnGuess::default(); config.field_count];
    let limit = config.max_rate.map(RateLimit::new);
    for input in &config.inputs {
        let opened = crate::input::open(&input.spec, IoWay::Mmap, limits::BLOCK_BYTES)?;
        match opened.input {
            Input::Map(map) => {
                let body = usize::try_from(input.body_offset).unwrap_or(usize::MAX);
                let (mut released, mut paid) = (0, body);
                let mut look = Look { config, guesses: &mut guesses };
                look.at_records(map.bytes(), body, |at| {
                    if at - released > RELEASE_BYTES {
                        let range = ByteRange { start: released as u64, end: at as u64 };
                        map.release(range);
                        released = at;
                    }
                    if let Some(limit) = &limit {
                        paid = wait_for_rate(limit, paid, at, control);
                    }
                    !control.is_stopped()
                });
                let watched = opened.watch.as_ref().map_or(Ok(()), Watch::check);
                watched
                    .and_then(|()| map.check())
                    .map_err(|change| changed(Path::new(&opened.path_display), &change))?;
            }
            Input::Blocks(_) if opened.length == Some(0) => {}
            Input::Blocks(_) => {
                return Err(Error::usage(
                    format!("{} cannot be read twice to find its types", opened.path_display),
                    "give the types with --schema",
                ));
            }
        }
        if control.is_stopped() {
            return Err(ErrorKind::Interrupted { signal: control.signal() }.into());
        }
    }
    Ok(guesses)
}

/// Waits until what stands before `at` may have been read, of which everything before `paid` was
/// waited for. Returns what was waited for now.
fn wait_for_rate(limit: &RateLimit, mut paid: usize, at: usize, control: &Control) -> usize {
    let stretch = usize::try_from(limit.stretch_bytes()).unwrap_or(usize::MAX);
    while at - paid >= stretch && !control.is_stopped() {
        thread::sleep(limit.take(stretch as u64));
        paid += stretch;
    }
    paid
}

struct Look<'a> {
    config: &'a InferConfig,
    guesses: &'a mut [ColumnGuess],
}

impl Look<'_> {
    /// Walks over the records; `go_on` is asked after each with the offset reached.
    fn at_records(&mut self, bytes: &[u8], body: usize, mut go_on: impl FnMut(usize) -> bool) {
        let mut reader = RecordReader::new(&self.config.dialect, self.config.field_count);
        let mut fields = Vec::with_capacity(self.config.field_count);
        let mut at = body;
        reader.seek(at);
        while at < bytes.len() {
            fields.clear();
            let end = match reader.step(bytes, true, at, at, &mut fields) {
                Step::Record { end, .. } => {
                    self.at_fields(&bytes[at..], &fields);
                    end
                }
                Step::Skipped { end, .. } | Step::Malformed { end, .. } => end,
                // The window is the whole file: what has no end in it ends with it.
                Step::Endless { .. } | Step::NeedMore => bytes.len(),
            };
            at = end;
            if !go_on(at) {
                return;
            }
        }
    }

    fn at_fields(&mut self, record: &[u8], fields: &[FieldRef]) {
        let dialect = &self.config.dialect;
        for (index, (field, guess)) in fields.iter().zip(self.guesses.iter_mut()).enumerate() {
            let bytes = &record[field.start()..field.start() + field.len()];
            let null = if field.is_quoted() {
                bytes.is_empty() && self.config.empty_as_null.get(index).is_some_and(|flag| *flag)
            } else {
                bytes.is_empty() || dialect.null_values.iter().any(|null| null == bytes)
            };
            if null {
                continue;
            }
            if dialect.encoding == Encoding::Utf8 || bytes.is_ascii() {
                guess.update(bytes);
            } else {
                // Every byte is a character: the same number of any characters will do.
                let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
                guess.update(text.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(text: &[u8], dialect: &Dialect, empty_as_null: bool) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        std::fs::write(&path, text).expect("a file");
        let config = InferConfig {
            inputs: vec![InferInput { spec: InputSpec::Path(path), body_offset: 4 }],
            dialect: dialect.clone(),
            field_count: 2,
            empty_as_null: vec![empty_as_null; 2],
            max_rate: None,
        };
        let guesses = infer(&config, &Control::new()).expect("a guess");
        guesses.iter().map(|guess| guess.finish().to_string()).collect()
    }

    #[test]
    fn every_record_counts_and_nulls_do_not() {
        let csv = Dialect { null_values: vec![b"NULL".to_vec()], ..Dialect::default() };
        assert_eq!(
            types(b"a,b\n1,1.50\n,NULL\n\"2\",2.25\n", &csv, false),
            ["INTEGER", "DECIMAL(3,2)"]
        );
        assert_eq!(
            types(b"a,b\n1,\"x\"\"y\"\n007,z\n", &csv, false),
            ["VARCHAR(16)", "VARCHAR(16)"]
        );
        assert_eq!(types(b"a,b\n1,1\nx,y,z\n\"\",2\n", &csv, true), ["INTEGER", "INTEGER"]);
        assert_eq!(types(b"a,b\n1,1\n\"\",2\n", &csv, false), ["VARCHAR(16)", "INTEGER"]);
    }

    #[test]
    fn one_byte_encodings_count_characters() {
        let latin = Dialect { encoding: Encoding::Latin1, ..Dialect::default() };
        let text = [&b"a,b\n"[..], &[0xc3, 0xa4].repeat(10), b",1\n"].concat();
        assert_eq!(types(&text, &latin, false), ["VARCHAR(32)", "INTEGER"]);
    }

    #[test]
    fn the_pass_is_not_faster_than_asked_for() {
        let limit = RateLimit::new(1_000_000);
        let started = std::time::Instant::now();
        // Stretches of 10,000 bytes, the last of which is not full.
        assert_eq!(wait_for_rate(&limit, 3, 50_002, &Control::default()), 40_003);
        assert!(started.elapsed() >= std::time::Duration::from_millis(40));
        let stopped = Control::default();
        stopped.stop(15);
        assert_eq!(wait_for_rate(&limit, 3, usize::MAX, &stopped), 3);
    }

    #[test]
    fn a_stop_ends_the_pass() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        std::fs::write(&path, "1\n2\n").expect("a file");
        let config = InferConfig {
            inputs: vec![InferInput { spec: InputSpec::Path(path), body_offset: 0 }],
            dialect: Dialect::default(),
            field_count: 1,
            empty_as_null: vec![false],
            max_rate: None,
        };
        let control = Control::new();
        control.stop(15);
        let error = infer(&config, &control).expect_err("stopped");
        assert!(matches!(error.kind(), ErrorKind::Interrupted { signal: 15 }));
    }
}
