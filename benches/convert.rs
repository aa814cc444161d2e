//! Nanoseconds a field of each typed conversion, on columns as a bank's accounts file has them.
//!
//! A run converts blocks of [`BLOCK_RECORDS`] records from a window of some thousand records, so
//! that branches are not learnt by heart. Every answer is checked once before it is timed.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::arena::{CellRef, CellType, ColumnBuffer, IndicatorWidth};
use fastload::config::dialect::Dialect;
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::config::{DateFormats, FieldSource, LoadColumn};
use fastload::limits::BLOCK_RECORDS;
use fastload::parse::convert::oracle::{Cell, Field, Oracle};
use fastload::parse::convert::{Converter, FieldBlock};
use fastload::parse::fields::FieldRef;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const RECORDS: usize = 64 * BLOCK_RECORDS;
const STRIDE_BYTES: usize = 128;

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }
}

/// One column of records, each field followed by a comma.
struct Sample {
    bytes: Vec<u8>,
    fields: Vec<FieldRef>,
}

impl Sample {
    fn new(mut text: impl FnMut(&mut Random) -> String) -> Self {
        let mut random = Random(ChaCha8Rng::seed_from_u64(7));
        let mut bytes = b"0123456789abcdef,".to_vec();
        let mut fields = Vec::new();
        for _ in 0..RECORDS {
            let text = text(&mut random);
            let start = u32::try_from(bytes.len()).expect("a small window");
            let len = u32::try_from(text.len()).expect("a short field");
            fields.push(FieldRef::plain(start, len));
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b',');
        }
        bytes.extend_from_slice(&[b'\n'; 64]);
        Self { bytes, fields }
    }

    fn convert(&self, converter: &Converter, out: &mut ColumnBuffer) {
        let mut faults = Vec::new();
        for (index, fields) in self.fields.chunks_exact(BLOCK_RECORDS).enumerate() {
            let block = FieldBlock {
                bytes: &self.bytes,
                base: 0,
                fields,
                field_count: 1,
                records: BLOCK_RECORDS,
            };
            converter
                .convert(&block, out, index * BLOCK_RECORDS, &mut faults)
                .expect("the stride is wide enough");
        }
        assert!(faults.is_empty());
    }
}

fn bench(
    criterion: &mut Criterion,
    name: &str,
    (ty, cell): (SqlType, CellType),
    text: impl FnMut(&mut Random) -> String,
) {
    let sample = Sample::new(text);
    let column = LoadColumn {
        column: Column { name: name.to_owned(), ty, nullable: true, generated: false },
        source: FieldSource::Field(0),
        empty_as_null: false,
    };
    let (dialect, formats) = (Dialect::default(), DateFormats::default());
    let converter = Converter::new(&column, cell, &dialect, &formats, false).expect("supported");
    let mut out = ColumnBuffer::new(cell, IndicatorWidth::Wide);
    out.lay_out(RECORDS, STRIDE_BYTES);
    sample.convert(&converter, &mut out);
    let oracle = Oracle { column, cell, dialect, formats, nul_in_text: false };
    for (row, field) in sample.fields.iter().enumerate() {
        let field = Field {
            raw: sample.bytes[field.start()..field.start() + field.len()].to_vec(),
            quoted: false,
            escaped: false,
        };
        assert_eq!(oracle.convert(&field), Ok(Cell::from(out.cell(row))));
    }
    assert_ne!(out.cell(RECORDS - 1), CellRef::Null);

    let mut group = criterion.benchmark_group("convert");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| sample.convert(black_box(&converter), &mut out));
    });
    group.finish();
}

fn numbers(c: &mut Criterion) {
    bench(c, "bigint, 12 digits", (SqlType::BigInt, CellType::I64), |random| {
        (100_000_000_000 + random.below(800_000_000_000)).to_string()
    });
    bench(c, "integer, 1 to 9 digits", (SqlType::Integer, CellType::I32), |random| {
        let digits = u32::try_from(random.below(9)).expect("small") + 1;
        random.below(10_u64.pow(digits)).to_string()
    });
    bench(c, "smallint, 1 to 3 digits", (SqlType::SmallInt, CellType::I16), |random| {
        random.below(1_000).to_string()
    });
    let decimal = SqlType::Decimal { precision: 15, scale: 2 };
    bench(c, "decimal(15,2)", (decimal, CellType::Text), |random| {
        let digits = u32::try_from(random.below(7)).expect("small") + 1;
        let sign = if random.below(5) == 0 { "-" } else { "" };
        let whole = random.below(10_u64.pow(digits));
        format!("{sign}{whole}.{:02}", random.below(100))
    });
    bench(c, "double, 6 digits after the point", (SqlType::Double, CellType::F64), |random| {
        format!("{}.{:06}", random.below(1_000), random.below(1_000_000))
    });
}

fn days(c: &mut Criterion) {
    let date = |random: &mut Random| {
        let (year, month, day) = (random.below(50), random.below(12), random.below(28));
        format!("{}-{:02}-{:02}", 1980 + year, month + 1, day + 1)
    };
    let clock = |random: &mut Random| {
        let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
        format!("{hour:02}:{minute:02}:{second:02}")
    };
    let timestamp = SqlType::Timestamp { precision: 6 };
    bench(c, "date", (SqlType::Date, CellType::Date), date);
    bench(c, "date as text", (SqlType::Date, CellType::Text), date);
    bench(c, "time", (SqlType::Time, CellType::Time), clock);
    let stamp = |random: &mut Random| {
        let fraction = random.below(1_000_000);
        format!("{} {}.{fraction:06}", date(random), clock(random))
    };
    bench(c, "timestamp(6)", (timestamp, CellType::Timestamp), stamp);
    bench(c, "timestamp(6) as text", (timestamp, CellType::Text), stamp);
}

fn texts(c: &mut Criterion) {
    let length = |max| TextLength { max, unit: LengthUnit::Characters };
    let letters = |random: &mut Random, len: u64| -> String {
        (0..len)
            .map(|_| char::from(b'a' + u8::try_from(random.below(26)).expect("a letter")))
            .collect()
    };
    bench(c, "char(3)", (SqlType::Char(length(3)), CellType::Text), |random| letters(random, 3));
    let name = SqlType::VarChar(Some(length(40)));
    bench(c, "varchar(40), 5 to 20 bytes", (name, CellType::Text), |random| {
        let len = random.below(16) + 5;
        letters(random, len)
    });
    let remark = SqlType::VarChar(Some(length(100)));
    bench(c, "varchar(100), 10 to 60 bytes", (remark, CellType::Text), |random| {
        let len = random.below(51) + 10;
        letters(random, len)
    });
    bench(c, "varchar(100), one umlaut in ten", (remark, CellType::Text), |random| {
        let len = random.below(51) + 10;
        let umlaut = if random.below(10) == 0 { "ü" } else { "" };
        letters(random, len) + umlaut
    });
    let bytes = SqlType::VarBinary(Some(16));
    bench(c, "varbinary(16), 16 bytes", (bytes, CellType::Bytes), |random| {
        format!("{:016x}{:016x}", random.0.next_u64(), random.0.next_u64())
    });
    bench(c, "boolean, t or f", (SqlType::Boolean, CellType::Bit), |random| {
        if random.below(2) == 0 { "t" } else { "f" }.to_owned()
    });
}

criterion_group!(benches, numbers, days, texts);
criterion_main!(benches);
