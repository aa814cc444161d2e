//! From bytes to bound columns, step by step: scan, split, parse into arenas. Each step checks its
//! answer against the generator's.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::config::dialect::Dialect;
use fastload::generate::GenSize;
use fastload::parse::record_reader::{RecordReader, Step};
use fastload::parse::scan::{Positions, Scanner};
use fastload::parse::simd::Kernel;
use fastload::sink::null::NullTarget;

#[path = "parsing/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest of it")]
mod parsing;

const BYTES: u64 = 16 << 20;
const WINDOW_BYTES: usize = 16 << 10;

fn scan(c: &mut Criterion) {
    let (bytes, _) = parsing::sample(GenSize::Bytes(BYTES));
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
    let (bytes, truth) = parsing::sample(GenSize::Bytes(BYTES));
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

fn parse(c: &mut Criterion) {
    let (bytes, truth) = parsing::sample(GenSize::Bytes(BYTES));
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    for kernel in Kernel::available() {
        let mut parsing = parsing::Parsing::new(kernel, &NullTarget);
        group.bench_function(format!("accounts into arenas, {}", kernel.name()), |b| {
            b.iter(|| assert_eq!(parsing.parse(&bytes), truth.rows));
        });
    }
    group.finish();
}

criterion_group!(benches, scan, split, parse);
criterion_main!(benches);
