//! Sinks fed from memory: batches parsed before the clock starts are written and committed. The
//! database is asked, and the file read, whether all rows are there.
//!
//! Sinks behind ODBC need a driver and a server: `benches/odbc` and `benches/compare` measure them.

use std::fs;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::arena::Batch;
use fastload::generate::GenSize;
use fastload::parse::simd::Kernel;
use fastload::sink::csv::CsvTarget;
use fastload::sink::null::NullTarget;
use fastload::sink::sqlite::SqliteTarget;
use fastload::sink::{RowAction, Target};

#[path = "parsing/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest of it")]
mod parsing;

const ROWS: usize = 40_960;

/// Batches in the layout of a target.
fn batches(target: &dyn Target, bytes: &[u8]) -> Vec<Batch> {
    let kernel = *Kernel::available().last().expect("the portable one at least");
    let mut parsing = parsing::Parsing::new(kernel, target);
    let empty = parsing::Parsing::new(kernel, target);
    let rows: Vec<usize> = (0..parsing::BATCH_ROWS).collect();
    let mut all = Vec::new();
    parsing.each_batch(bytes, |batch| {
        // A batch that ends with the file may be empty.
        if batch.rows() > 0 {
            let mut copy = empty.empty();
            copy.append_rows(batch, &rows[..batch.rows()]);
            copy.segments.push(parsing::segment());
            all.push(copy);
        }
    });
    assert_eq!(all.iter().map(Batch::rows).sum::<usize>(), ROWS);
    all
}

/// Sends the batches in one transaction.
fn send(target: &dyn Target, batches: &[Batch]) {
    let mut sink = target.open("t", &parsing::columns(), &RowAction::Insert).expect("it opens");
    for batch in batches {
        let refused = sink.write(batch).expect("it takes the rows");
        assert!(refused.is_empty(), "{refused:?}");
    }
    sink.commit().expect("it commits");
}

fn sinks(c: &mut Criterion) {
    let (bytes, _) = parsing::sample(GenSize::Records(ROWS as u64));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = c.benchmark_group("sinks");
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(10);

    let for_null = batches(&NullTarget, &bytes);
    group.bench_function("null", |b| b.iter(|| send(&NullTarget, &for_null)));

    let path = folder.path().join("out.csv");
    let csv = CsvTarget::new(&path);
    let for_csv = batches(&csv, &bytes);
    group.bench_function("CSV file", |b| {
        // A file has one writer, and takes no other's place.
        let fresh = || {
            drop(fs::remove_file(&path));
            CsvTarget::new(&path)
        };
        b.iter_with_setup(fresh, |csv| {
            send(&csv, &for_csv);
            csv.finish().expect("the file takes its name");
        });
    });
    let written = fs::read(&path).expect("it is there");
    let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines(&written), lines(&bytes) + 1, "as the input, and a header");

    let columns = parsing::columns();
    let database = || {
        let file = tempfile::NamedTempFile::new_in(folder.path()).expect("a file");
        let target = SqliteTarget::open(file.path()).expect("an empty database");
        target.create_table("t", &columns).expect("a new table");
        (file, target)
    };
    let for_sqlite = batches(&database().1, &bytes);
    group.bench_function("SQLite", |b| {
        b.iter_with_setup(database, |(file, target)| {
            send(&target, &for_sqlite);
            file
        });
    });
    let (file, target) = database();
    send(&target, &for_sqlite);
    let asked = rusqlite::Connection::open(file.path()).and_then(|database| {
        database.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0))
    });
    assert_eq!(asked.expect("it answers"), i64::try_from(ROWS).expect("a few"));
    group.finish();
}

criterion_group!(benches, sinks);
criterion_main!(benches);
