//! Whole loads into nothing and into SQLite, threads and rings included. Each checks its counts.

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "tests use the rest of it")]
mod common;

use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::config::RejectLimit;
use fastload::config::dialect::Dialect;
use fastload::config::schema_text::parse_schema;
use fastload::generate::{BadRecords, GenOptions, GenSize, Truth, accounts, accounts_schema};
use fastload::sink::Target;
use fastload::sink::null::NullTarget;
use fastload::sink::sqlite::SqliteTarget;

const BYTES: u64 = 16 << 20;

fn sample(path: &Path) -> Truth {
    let mut file = std::fs::File::create(path).expect("a temporary file");
    let options =
        GenOptions { size: GenSize::Bytes(BYTES), seed: 7, header: false, bad: BadRecords::None };
    accounts(&options, &mut file).expect("room for the sample")
}

fn load_into(path: &Path, target: Arc<dyn Target>, parsers: usize, rows: u64) {
    let columns = parse_schema(accounts_schema()).expect("the generator's own schema");
    let mut config = common::config(&[path], &columns, Dialect::default());
    config.max_errors = RejectLimit::Count(0);
    config.work.parsers = parsers;
    config.work.batch_rows = 4_096;
    config.work.commit_rows = 100_000;
    let inputs = common::open(&config, 1 << 20);
    let outcome = common::run(config, inputs, target);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(outcome.report.totals.rows_loaded, rows);
}

/// What the database itself says, which is quickly asked beside a load.
fn rows_in(database: &Path) -> u64 {
    let database = rusqlite::Connection::open(database).expect("it was just written");
    let count = database.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0));
    u64::try_from(count.expect("a table")).expect("a count")
}

fn load(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("accounts.csv");
    let truth = sample(&path);
    let mut group = c.benchmark_group("load");
    group.throughput(Throughput::Bytes(truth.bytes)).sample_size(10);
    for parsers in [1, 2] {
        group.bench_function(format!("null, {parsers} parsers"), |b| {
            b.iter(|| load_into(&path, Arc::new(NullTarget), parsers, truth.rows));
        });
    }
    let columns = parse_schema(accounts_schema()).expect("the generator's own schema");
    group.bench_function("SQLite", |b| {
        b.iter_with_setup(
            || {
                let database = tempfile::NamedTempFile::new_in(folder.path()).expect("a file");
                let target = SqliteTarget::open(database.path()).expect("an empty database");
                target.create_table("t", &columns).expect("a new table");
                (database, target)
            },
            |(database, target)| {
                load_into(&path, Arc::new(target), 1, truth.rows);
                assert_eq!(rows_in(database.path()), truth.rows);
                database
            },
        );
    });
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);
