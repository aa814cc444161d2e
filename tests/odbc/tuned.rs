//! Writers that come and go while a load runs, and starts that are stopped meanwhile.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastload::config::dialect::Dialect;
use fastload::config::{LedgerConfig, LoadConfig, Numbers, Restart, Tuning};
use fastload::engine::{Control, Load, Outcome, TargetHandle};
use fastload::report::Status;

use super::common::{config, open, run, text};
use super::support::*;

const RECORDS: usize = 40_000;

/// Starts that are stopped.
const STOPS: usize = 6;

const LEDGER: &str = "COME_AND_GO";

/// Rows a second are few, so that connections are made before the rows are all gone.
fn job(path: &std::path::Path, table: &Table<'_>, random: &mut fastrand::Rng) -> LoadConfig {
    let mut config = config(&[path], &table.columns, Dialect::default());
    config.table.clone_from(&table.name);
    config.ledger = Some(LedgerConfig {
        job: None,
        restart: Restart::Auto,
        table: Some(LEDGER.to_owned()),
        lease: Duration::from_secs(60),
        retry_of: None,
    });
    config.work.writers = 2;
    config.work.parsers = random.usize(1..3);
    config.work.chunk_bytes = 4_000;
    (config.work.batch_rows, config.work.commit_rows) = (50, 200);
    config.work.max_rate = Some(500_000);
    let writers = Some((1, random.usize(3..6)));
    config.work.tuning = Some(Tuning {
        writers,
        batch_rows: Some((1, 60)),
        commit_rows: Some((60, 400)),
        window: None,
    });
    config
}

/// One start, whose numbers are thrown until it is stopped after some rows.
fn stopped(config: LoadConfig, table: &Table<'_>, random: &mut fastrand::Rng) -> Outcome {
    let (control, is_over) = (Control::new(), AtomicBool::new(false));
    let rows = random.u64(2_000..5_000);
    let target = TargetHandle(Arc::new(table.server.target()));
    let inputs = open(&config, 1 << 20);
    let load = Load { config, inputs, target, control: Arc::clone(&control) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let loaded = control.snapshot().rows_loaded;
                let (batch_rows, commit_rows) = (random.usize(1..60), random.u64(60..400));
                let writers = if loaded < 1_000 { 9 } else { random.usize(1..6) };
                control.retune(Numbers { writers, batch_rows, commit_rows });
                if loaded >= rows {
                    control.stop(15);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = load.run();
        is_over.store(true, Ordering::Release);
        outcome
    })
}

pub(super) fn writers_that_come_and_go(server: &Server) {
    let columns = vec![text("a", 40), text("b", 40)];
    let table = Table::create(server, "writers_that_come_and_go", columns);
    for part in ["_JOB", "_FENCE", "_FACT", ""] {
        server.query(&format!("DROP TABLE IF EXISTS {LEDGER}{part}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    (1..=RECORDS).for_each(|record| writeln!(file, "{record},v{record}").unwrap());
    drop(file);
    let mut random = fastrand::Rng::with_seed(7);
    let mut writers = BTreeSet::new();
    for _ in 0..STOPS {
        let config = job(&path, &table, &mut random);
        let outcome = stopped(config, &table, &mut random);
        assert_eq!(outcome.report.status, Status::Stopped, "{:?}", outcome.error);
        let ranges =
            server.query(&format!("SELECT DISTINCT WRITER_NO FROM {LEDGER} WHERE ROWS_LOADED > 0"));
        writers.extend(ranges.into_iter().flatten().flatten());
        // What is in the table is what the ledger has.
        let noted = server.scalar(&format!("SELECT SUM(ROWS_LOADED) FROM {LEDGER}"));
        assert_eq!(noted, table.count().to_string());
    }
    assert!(writers.len() > 2, "{writers:?}: none but those of the start had rows");
    let config = job(&path, &table, &mut random);
    let inputs = open(&config, 1 << 20);
    let outcome = run(config, inputs, Arc::new(server.target()));
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(table.count(), RECORDS);
    let distinct = format!("SELECT COUNT(DISTINCT a) FROM {}", table.sql);
    assert_eq!(server.scalar(&distinct), RECORDS.to_string());
}
