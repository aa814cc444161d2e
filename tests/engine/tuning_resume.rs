//! Numbers that change while a load runs, and starts that are stopped or fail: the ledger's ranges
//! are of whatever sizes came, and the next start goes on behind them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fastload::config::{LoadConfig, Numbers, Tuning};
use fastload::engine::{Control, Load, Outcome, TargetHandle};
use fastload::report::Status;
use fastload::sink::sqlite::SqliteTarget;
use fastload::sink::{ErrorClass, SinkError};

use crate::common::open;
use crate::support::{
    Call, Hooked, check_reject_file, check_report, failure, given, ledger, line, lines, small,
};

const RECORDS: u64 = 3_000;
const BAD: &[u64] = &[1, 33, 34, 720, 2_999];

/// Most starts of a job.
const STARTS: u32 = 400;

/// How a start ends before its time.
#[derive(Debug, Clone, Copy)]
enum End {
    /// By a signal, with a transaction open.
    Stop,
    /// By an error of a write.
    Write,
    /// By an error of a commit that is a rollback for certain.
    Commit,
}

/// Throws the numbers at every write, and ends the load at one of them, or at the commit after it.
struct Thrower {
    control: Arc<Control>,
    random: Mutex<fastrand::Rng>,
    writes_left: AtomicU64,
    end: End,
}

impl Thrower {
    fn before_write(&self) -> Result<(), SinkError> {
        let mut random = self.random.lock().unwrap();
        let commit_rows = if random.bool() { random.u64(0..10) } else { random.u64(0..500) };
        let batch_rows = random.usize(0..100);
        let in_force = self.control.retune(Numbers { writers: 1, batch_rows, commit_rows });
        assert!(in_force.is_some(), "both may change");
        let left = self.writes_left.load(Ordering::Relaxed);
        self.writes_left.store(left.saturating_sub(1), Ordering::Relaxed);
        match self.end {
            End::Stop if left == 1 => self.control.stop(15),
            End::Write if left == 1 => return Err(failure(ErrorClass::Permanent)),
            End::Stop | End::Write | End::Commit => {}
        }
        Ok(())
    }

    fn before_commit(&self) -> Result<(), SinkError> {
        match self.end {
            End::Commit if self.writes_left.load(Ordering::Relaxed) == 0 => {
                Err(failure(ErrorClass::Permanent))
            }
            End::Stop | End::Write | End::Commit => Ok(()),
        }
    }
}

/// One start of the job, which ends by itself if fewer batches are left than `writes`.
fn start(path: &std::path::Path, random: &mut fastrand::Rng, end: End, writes: u64) -> Outcome {
    let mut config: LoadConfig = small(path);
    config.ledger = Some(ledger());
    config.work.tuning = Some(Tuning {
        writers: None,
        batch_rows: Some((1, 60)),
        commit_rows: Some((3, 300)),
        window: None,
    });
    config.work.parsers = random.usize(1..4);
    config.work.chunk_bytes = random.u64(50..5_000);
    config.work.memory_limit = random.usize(20_000..4_000_000);
    config.work.max_retries = 0;
    let control = Control::new();
    let thrower = Thrower {
        control: Arc::clone(&control),
        random: Mutex::new(random.fork()),
        writes_left: AtomicU64::new(writes),
        end,
    };
    let database = SqliteTarget::open(path.with_extension("db")).expect("a database");
    let target = Hooked::over(database, move |call| match call {
        Call::Write(_) => thrower.before_write(),
        Call::Commit => thrower.before_commit(),
        Call::Columns | Call::Open | Call::Rollback | Call::Reconnect => Ok(()),
    });
    let target = TargetHandle(Arc::new(target));
    let inputs = open(&config, usize::try_from(config.work.chunk_bytes).unwrap());
    Load { config, inputs, target, control }.run()
}

#[test]
fn every_record_once_over_many_starts() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let file = given(&lines(RECORDS, BAD));
        let database = rusqlite::Connection::open(file.path.with_extension("db")).unwrap();
        database.execute_batch("CREATE TABLE t (a TEXT, b TEXT)").unwrap();
        let (mut interrupted, mut failed) = (0, 0);
        for number in 0.. {
            assert!(number < STARTS, "seed {seed}: it does not end");
            let end = [End::Stop, End::Write, End::Commit][random.usize(0..3)];
            let writes = random.u64(1..25);
            let outcome = start(&file.path, &mut random, end, writes);
            check_report(&outcome);
            match outcome.report.status {
                Status::Stopped => interrupted += 1,
                Status::Failed => failed += 1,
                _ => {
                    assert!(outcome.error.is_none(), "{:?}", outcome.error);
                    break;
                }
            }
        }
        assert!(interrupted > 0 && failed > 0, "{interrupted} stopped, {failed} failed");
        let mut rows = database.prepare("SELECT a || ',' || b FROM t ORDER BY a + 0").unwrap();
        let rows: Vec<String> =
            rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let good = (1..=RECORDS).filter(|record| !BAD.contains(record));
        let expected: Vec<String> =
            good.map(|record| line(record, BAD).trim_end().to_owned()).collect();
        assert_eq!(rows, expected, "seed {seed}");
        check_reject_file(&file.path, BAD, BAD);
    }
}
