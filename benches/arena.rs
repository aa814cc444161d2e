//! What happens to rows in arenas between parser and writer: read back, given to writers by their
//! keys, copied into a writer's share, laid out anew. Each step checks its answer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::arena::{Batch, CellRef, KeyNumbers};
use fastload::generate::GenSize;
use fastload::parse::simd::Kernel;
use fastload::sink::null::NullTarget;

#[path = "parsing/mod.rs"]
mod parsing;

/// Fewer than a batch has room for: the file ends in the first one.
const ROWS: usize = 4_000;

/// One batch, and its values without text, counted in the file.
fn filled() -> (parsing::Parsing, usize) {
    let (bytes, _) = parsing::sample(GenSize::Records(ROWS as u64));
    let kernel = *Kernel::available().last().expect("the portable one at least");
    let mut parsing = parsing::Parsing::new(kernel, &NullTarget);
    assert_eq!(parsing.parse(&bytes), ROWS as u64);
    assert_eq!(parsing.batch().rows(), ROWS);
    // No value of the generator has two commas in a row, or one before a newline.
    let empty = bytes.windows(2).filter(|pair| matches!(pair, [b',', b',' | b'\n'])).count();
    (parsing, empty)
}

/// Rows of each of `shares` writers, as a router deals them.
fn dealt(batch: &Batch, key: &KeyNumbers, shares: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); shares];
    for row in 0..batch.rows() {
        let share = key.of_row(batch, row) % shares as u64;
        rows[usize::try_from(share).expect("a few")].push(row);
    }
    rows
}

fn arena(c: &mut Criterion) {
    let (parsing, empty) = filled();
    let batch = parsing.batch();
    let key = KeyNumbers::new(&parsing::columns(), &[0]);
    let mut group = c.benchmark_group("arena");
    group.throughput(Throughput::Elements(ROWS as u64));

    let values = ROWS * batch.columns.len();
    group.bench_function("read back", |b| {
        b.iter(|| {
            let cells =
                batch.columns.iter().flat_map(|column| (0..ROWS).map(|row| column.cell(row)));
            let mut nulls = 0;
            let mut seen = 0;
            for cell in cells {
                nulls += usize::from(matches!(black_box(cell), CellRef::Null));
                seen += 1;
            }
            assert_eq!((seen, nulls), (values, empty));
        });
    });
    group.bench_function("keys to two writers", |b| {
        b.iter(|| {
            let rows = dealt(batch, &key, 2);
            assert_eq!(rows.iter().map(Vec::len).sum::<usize>(), ROWS);
            black_box(rows);
        });
    });
    let rows = dealt(batch, &key, 2);
    let mut share = parsing.empty();
    group.bench_function("copy of a half", |b| {
        b.iter(|| {
            share.clear();
            share.append_rows(batch, &rows[0]);
            assert_eq!(share.rows(), rows[0].len());
        });
    });
    let (last, from) = (share.rows() - 1, *rows[0].last().expect("half of the rows"));
    for (column, other) in share.columns.iter().zip(&batch.columns) {
        assert_eq!(format!("{:?}", column.cell(last)), format!("{:?}", other.cell(from)));
    }
    group.bench_function("laid out anew", |b| {
        b.iter(|| {
            parsing::lay_out(&mut share);
            assert_eq!((share.rows(), share.capacity()), (0, parsing::BATCH_ROWS));
        });
    });
    group.finish();
}

criterion_group!(benches, arena);
criterion_main!(benches);
