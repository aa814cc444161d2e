//! The parser of an accounts file as a load would set it up.

use std::hint::black_box;
use std::sync::Arc;

use fastload::arena::{Batch, CellType, IndicatorWidth, Segment};
use fastload::config::dialect::Dialect;
use fastload::config::schema::Column;
use fastload::config::schema_text::parse_schema;
use fastload::config::{DateFormats, FieldSource, LoadColumn};
use fastload::generate::{BadRecords, GenOptions, GenSize, Truth, accounts, accounts_schema};
use fastload::input::RawSource;
use fastload::parse::convert::Converter;
use fastload::parse::record_reader::RecordReader;
use fastload::parse::rows::{Cursor, Pause, RowParser, Window};
use fastload::parse::simd::Kernel;
use fastload::record::ByteRange;
use fastload::sink::{RowAction, Target};

pub(crate) const BATCH_ROWS: usize = 4_096;

/// Strides as the engine has them once it has seen some values: name, balance, currency, date and
/// time (where the target takes them as text), status, memo.
const STRIDES: [usize; 10] = [0, 0, 32, 17, 3, 10, 26, 1, 0, 128];

/// Columns of the file.
pub(crate) fn columns() -> Vec<Column> {
    parse_schema(accounts_schema()).expect("the generator's own schema")
}

/// A file in memory without bad records or a header, and the truth about it.
pub(crate) fn sample(size: GenSize) -> (Vec<u8>, Truth) {
    let mut bytes = Vec::new();
    let options = GenOptions { size, seed: 7, header: false, bad: BadRecords::None };
    let truth = accounts(&options, &mut bytes).expect("memory takes all bytes");
    (bytes, truth)
}

/// A parser and its arena.
pub(crate) struct Parsing {
    parser: RowParser,
    cells: Vec<CellType>,
    batch: Batch,
}

impl Parsing {
    /// A parser with a certain kernel, for the layout of a target.
    pub(crate) fn new(kernel: Kernel, target: &dyn Target) -> Self {
        let columns = columns();
        let layout =
            target.layout("t", &columns, &RowAction::Insert).expect("the target takes all types");
        let dialect = Dialect::default();
        let converters =
            columns.iter().zip(&layout.cells).enumerate().map(|(field, (column, &cell))| {
                let column = LoadColumn {
                    column: column.clone(),
                    source: FieldSource::Field(field),
                    empty_as_null: false,
                };
                Converter::new(&column, cell, &dialect, &DateFormats::default(), true)
                    .expect("supported")
                    .with_kernel(kernel)
            });
        let fields = (0..columns.len()).map(Some).collect();
        let reader = RecordReader::with_kernel(&dialect, columns.len(), kernel);
        let parser = RowParser::new(reader, converters.collect(), fields);
        let cells = layout.cells.clone();
        let batch = arena(&cells);
        Self { parser, cells, batch }
    }

    /// The batch that was parsed last.
    pub(crate) const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Another one, with the same layout and no rows.
    pub(crate) fn empty(&self) -> Batch {
        arena(&self.cells)
    }

    /// Parses all of a file without bad records; its rows.
    pub(crate) fn parse(&mut self, bytes: &[u8]) -> u64 {
        let mut rows = 0;
        self.each_batch(bytes, |batch| {
            rows += batch.rows() as u64;
            black_box(batch);
        });
        rows
    }

    /// Parses a file without bad records and gives out each batch.
    pub(crate) fn each_batch(&mut self, bytes: &[u8], mut take: impl FnMut(&Batch)) {
        let window = Window { bytes, byte_offset: 0, last: true };
        let mut cursor = Cursor::default();
        self.parser.seek(0);
        loop {
            self.batch.clear();
            self.batch.segments.push(segment());
            let pause = self.parser.parse(window, bytes.len(), &mut cursor, &mut self.batch);
            assert!(self.batch.rejects.is_empty());
            take(&self.batch);
            if pause == Pause::ChunkEnd {
                return;
            }
            assert_eq!(pause, Pause::BatchFull);
        }
    }
}

fn arena(cells: &[CellType]) -> Batch {
    let mut batch = Batch::new(cells, IndicatorWidth::Wide, 0);
    lay_out(&mut batch);
    batch
}

/// Lays out a batch for the file, without rows.
pub(crate) fn lay_out(batch: &mut Batch) {
    batch.lay_out(BATCH_ROWS, &STRIDES);
}

/// A stretch of a file of which nothing is known.
pub(crate) fn segment() -> Segment {
    Segment {
        file: 0,
        range: ByteRange::default(),
        base_record: 0,
        base_line: 0,
        records: 0,
        first_row: 0,
        source: RawSource::Owned { bytes: Arc::default(), base: 0 },
        share_bytes: None,
        records_before: 0,
        numbered: 0,
        lines_before: 0,
        lines: 0,
        digest: 0,
    }
}
