//! What the engine's tests share: inputs, configurations, runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastload::config::dialect::Dialect;
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::config::{
    DateFormats, Duplicates, FieldSource, InputMode, InputSpec, IoWay, LoadColumn, LoadConfig,
    Mode, RejectLimit, Work,
};
use fastload::engine::{Control, InputFile, Load, Outcome, TargetHandle};
use fastload::sink::Target;

/// A text column of up to `max` characters.
pub(crate) fn text(name: &str, max: u32) -> Column {
    let length = TextLength { max, unit: LengthUnit::Characters };
    column(name, SqlType::VarChar(Some(length)))
}

/// A nullable column.
pub(crate) fn column(name: &str, ty: SqlType) -> Column {
    Column { name: name.to_owned(), ty, nullable: true, generated: false }
}

/// A configuration that loads every field of `inputs` into `columns`, any number of rejects
/// allowed, into reject files beside the first input.
pub(crate) fn config(inputs: &[&Path], columns: &[Column], dialect: Dialect) -> LoadConfig {
    let load_columns = columns
        .iter()
        .enumerate()
        .map(|(field, column)| LoadColumn {
            column: column.clone(),
            source: FieldSource::Field(field),
            empty_as_null: false,
        })
        .collect();
    LoadConfig {
        inputs: inputs.iter().map(|path| InputSpec::Path(path.to_path_buf())).collect(),
        table: "t".to_owned(),
        dialect,
        field_count: columns.len(),
        columns: load_columns,
        formats: DateFormats::default(),
        work: work(),
        mode: Mode::Append,
        key: Vec::new(),
        duplicates: Duplicates::Error,
        staging: None,
        before: Vec::new(),
        after: Vec::new(),
        care: fastload::config::TableCare::default(),
        ledger: None,
        max_errors: RejectLimit::All,
        rejects: inputs.iter().map(|path| reject_path(path)).collect(),
        limit: None,
        offset_records: 0,
        allow_empty: true,
    }
}

/// Small numbers, so that tests reach every bound.
pub(crate) fn work() -> Work {
    Work {
        writers: 1,
        parsers: 1,
        pin_cores: Vec::new(),
        chunk_bytes: 1 << 20,
        read_ahead: 2,
        batch_rows: 100,
        batch_bytes: 1 << 20,
        commit_rows: 1_000,
        commit_bytes: None,
        commit_every: None,
        ring_batches: 2,
        memory_limit: 64 << 20,
        io: IoWay::Mmap,
        max_rate: None,
        input_mode: InputMode::Single,
        max_retries: 3,
        retry_backoff: 2.0,
        retry_first_wait: Duration::from_millis(1),
        retry_budget: Duration::from_secs(600),
        tuning: None,
    }
}

/// Where the rejects of an input go.
pub(crate) fn reject_path(input: &Path) -> PathBuf {
    let mut name = input.as_os_str().to_owned();
    name.push(".rejects");
    PathBuf::from(name)
}

/// Opens the inputs of a configuration, in blocks of `block_bytes` where they come in blocks.
pub(crate) fn open(config: &LoadConfig, block_bytes: usize) -> Vec<InputFile> {
    config
        .inputs
        .iter()
        .map(|spec| {
            InputFile::open(spec, config.work.io, block_bytes, config.work.read_ahead)
                .expect("the test wrote it")
        })
        .collect()
}

/// Runs a load.
pub(crate) fn run(config: LoadConfig, inputs: Vec<InputFile>, target: Arc<dyn Target>) -> Outcome {
    Load { config, inputs, target: TargetHandle(target), control: Control::new() }.run()
}
