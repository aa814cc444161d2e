//! From bytes to bound columns, step by step: scan, split, parse into arenas. Each step checks its
//! answer against the generator's.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::arena::{Batch, CellType, IndicatorWidth, Segment};
use fastload::config::dialect::Dialect;
use fastload::config::schema_text::parse_schema;
use fastload::config::{DateFormats, FieldSource, LoadColumn};
use fastload::generate::{BadRecords, GenOptions, GenSize, Truth, accounts, accounts_schema};
use fastload::input::RawSource;
use fastload::parse::convert::Converter;
use fastload::parse::record_reader::{RecordReader, Step};
use fastload::parse::rows::{Cursor, Pause, RowParser, Window};
use fastload::parse::scan::{Positions, Scanner};
use fastload::parse::simd::Kernel;
use fastload::record::ByteRange;
use fastload::sink::RowAction;
use fastload::sink::Target;
use fastload::sink::null::NullTarget;

const BYTES: u64 = 16 << 20;
const BATCH_ROWS: usize = 4_096;
const WINDOW_BYTES: usize = 16 << 10;

fn sample() -> (Vec<u8>, Truth) {
    let mut bytes = Vec::new();
    let options =
        GenOptions { size: GenSize::Bytes(BYTES), seed: 7, header: false, bad: BadRecords::None };
    let truth = accounts(&options, &mut bytes).expect("memory takes all bytes");
    (bytes, truth)
}

fn scan(c: &mut Criterion) {
    let (bytes, _) = sample();
    let needles = b",\n\"";
    let expected = bytes.iter().filter(|byte| needles.contains(byte)).count();
    let mut group = c.benchmark_group("scan");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    for kernel in Kernel::available() {
        let scanner = Scanner::with_kernel(needles, kernel);
        let mut positions = Positions::with_window(WINDOW_BYTES);
        group.bench_function(kernel.name(), |b| {
            b.iter(|| {
                let mut found = 0;
                for window in bytes.chunks(WINDOW_BYTES) {
                    scanner.scan(window, &mut positions);
                    found += positions.as_slice().len();
                }
                assert_eq!(found, expected);
            });
        });
    }
    group.finish();
}

fn split(c: &mut Criterion) {
    let (bytes, truth) = sample();
    let mut group = c.benchmark_group("split");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut reader = RecordReader::new(&Dialect::default(), 10);
    let mut fields = Vec::new();
    group.bench_function("records and fields", |b| {
        b.iter(|| {
            let (mut at, mut records) = (0, 0);
            reader.seek(0);
            while at < bytes.len() {
                fields.clear();
                let Step::Record { end, .. } = reader.step(&bytes, true, at, at, &mut fields)
                else {
                    panic!("the sample is clean");
                };
                black_box(&fields);
                records += 1;
                at = end;
            }
            assert_eq!(records, truth.rows);
        });
    });
    group.finish();
}

fn parser() -> (RowParser, Vec<CellType>) {
    let columns = parse_schema(accounts_schema()).expect("the generator's own schema");
    let layout =
        NullTarget.layout("t", &columns, &RowAction::Insert).expect("null takes all types");
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
        });
    let fields = (0..columns.len()).map(Some).collect();
    let reader = RecordReader::new(&dialect, columns.len());
    (RowParser::new(reader, converters.collect(), fields), layout.cells)
}

fn parse(c: &mut Criterion) {
    let (bytes, truth) = sample();
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let (mut parser, cells) = parser();
    let mut batch = Batch::new(&cells, IndicatorWidth::Wide, 0);
    // As the engine lays the arena out once it has seen some values: name, balance, currency,
    // status, memo.
    batch.lay_out(BATCH_ROWS, &[0, 0, 32, 17, 3, 0, 0, 1, 0, 128]);
    let source = RawSource::Owned { bytes: std::sync::Arc::new(Vec::new()), base: 0 };
    let segment = Segment {
        file: 0,
        range: ByteRange::default(),
        base_record: 0,
        base_line: 0,
        records: 0,
        first_row: 0,
        source,
        share_bytes: None,
        records_before: 0,
        numbered: 0,
        lines_before: 0,
        lines: 0,
        digest: 0,
    };
    group.bench_function("accounts into arenas", |b| {
        b.iter(|| {
            let window = Window { bytes: &bytes, byte_offset: 0, last: true };
            let mut cursor = Cursor::default();
            let mut rows = 0;
            parser.seek(0);
            loop {
                batch.clear();
                batch.segments.push(segment.clone());
                let pause = parser.parse(window, bytes.len(), &mut cursor, &mut batch);
                assert!(batch.rejects.is_empty());
                rows += batch.rows() as u64;
                black_box(&batch);
                if pause == Pause::ChunkEnd {
                    break;
                }
                assert_eq!(pause, Pause::BatchFull);
            }
            assert_eq!(rows, truth.rows);
        });
    });
    group.finish();
}

criterion_group!(benches, scan, split, parse);
criterion_main!(benches);
