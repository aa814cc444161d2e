//! Faults between the staging table and the target: a SQLite file whose sessions fail on demand.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastload::config::dialect::Dialect;
use fastload::config::schema::{Column, SqlType};
use fastload::config::{Duplicates, LoadConfig, StagingConfig};
use fastload::engine::Outcome;
use fastload::error::ErrorKind;
use fastload::report::MoveState;
use fastload::sink::sqlite::SqliteTarget;
use fastload::sink::staging::{StagingSpec, StagingTable};
use fastload::sink::{
    ErrorClass, Layout, RowAction, Sink, SinkError, SqlSession, StatementStop, Target, TargetInfo,
};

use crate::common::{column, config, open, run};
use crate::support::failure;

/// When a call of a session fails: before it is passed on, or after it took effect.
#[derive(Clone, Copy)]
enum When {
    Before,
    After,
    /// It does not fail, and takes long.
    Late,
}

/// Far longer than a load of three rows.
const LATE: Duration = Duration::from_millis(500);

/// Fails the calls whose text begins so; `COMMIT` is a commit that follows a statement of a move.
struct Fault {
    call: &'static str,
    when: When,
    class: ErrorClass,
    /// How often.
    times: AtomicUsize,
}

struct Faulty {
    inner: SqliteTarget,
    fault: Arc<Fault>,
    log: Arc<Mutex<Vec<String>>>,
}

struct FaultySession {
    inner: Box<dyn SqlSession>,
    fault: Arc<Fault>,
    log: Arc<Mutex<Vec<String>>>,
    moves: bool,
}

impl Fault {
    fn strikes(&self, call: &str) -> bool {
        call.starts_with(self.call)
            && self
                .times
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
    }
}

impl FaultySession {
    fn call<T>(
        &mut self,
        call: &str,
        work: impl FnOnce(&mut dyn SqlSession) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        self.log.lock().unwrap().push(call.to_owned());
        if !self.fault.strikes(call) {
            return work(&mut *self.inner);
        }
        match self.fault.when {
            When::Before => {}
            When::After => drop(work(&mut *self.inner)?),
            When::Late => {
                std::thread::sleep(LATE);
                return work(&mut *self.inner);
            }
        }
        Err(failure(self.fault.class))
    }
}

impl SqlSession for FaultySession {
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        self.moves |= sql.starts_with("INSERT");
        self.call(sql, |session| session.execute(sql))
    }
    fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SinkError> {
        self.inner.query(sql)
    }
    fn commit(&mut self) -> Result<(), SinkError> {
        let call = if std::mem::take(&mut self.moves) { "COMMIT" } else { "other commit" };
        self.call(call, |session| session.commit())
    }
    fn rollback(&mut self) -> Result<(), SinkError> {
        self.inner.rollback()
    }
    fn statement_stop(&self) -> Option<Box<dyn StatementStop>> {
        None
    }
}

impl Target for Faulty {
    fn info(&self) -> TargetInfo {
        self.inner.info()
    }
    fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, SinkError> {
        self.inner.columns(table)
    }
    fn has_tables(&self) -> bool {
        true
    }
    fn create_table_sql(&self, table: &str, columns: &[Column]) -> String {
        self.inner.create_table_sql(table, columns)
    }
    fn create_table(&self, table: &str, columns: &[Column]) -> Result<(), SinkError> {
        self.inner.create_table(table, columns)
    }
    fn truncate(&self, table: &str) -> Result<(), SinkError> {
        self.inner.truncate(table)
    }
    fn run_sql(&self, sql: &str) -> Result<(), SinkError> {
        self.inner.run_sql(sql)
    }
    fn layout(&self, t: &str, c: &[Column], a: &RowAction) -> Result<Layout, SinkError> {
        self.inner.layout(t, c, a)
    }
    fn open(&self, t: &str, c: &[Column], a: &RowAction) -> Result<Box<dyn Sink>, SinkError> {
        self.inner.open(t, c, a)
    }
    fn session(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        Ok(Box::new(FaultySession {
            inner: self.inner.session()?,
            fault: Arc::clone(&self.fault),
            log: Arc::clone(&self.log),
            moves: false,
        }))
    }
    fn staging(&self, spec: &StagingSpec<'_>) -> Result<StagingTable, SinkError> {
        self.inner.staging(spec)
    }
}

/// What a load of three rows left: its outcome, the statements of its sessions, rows of the target
/// and of the staging table.
struct Left {
    outcome: Outcome,
    log: Vec<String>,
    target_rows: u64,
    staged_rows: u64,
}

fn load(
    call: &'static str,
    when: When,
    class: ErrorClass,
    times: usize,
    change: impl FnOnce(&mut LoadConfig, &SqliteTarget),
) -> Left {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.csv");
    std::fs::write(&file, "1\n2\n3\n").unwrap();
    let database = directory.path().join("x.db");
    let inner = SqliteTarget::open(&database).unwrap();
    inner.run_sql("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY)").unwrap();
    inner.run_sql("INSERT INTO t VALUES (9)").unwrap();
    let fault = Arc::new(Fault { call, when, class, times: AtomicUsize::new(times) });
    let target = Arc::new(Faulty { inner, fault, log: Arc::default() });
    let dialect = Dialect { header: false, ..Dialect::default() };
    let mut config = config(&[file.as_path()], &[column("id", SqlType::Integer)], dialect);
    config.staging = Some(StagingConfig {
        table: Some("waiting".to_owned()),
        run_id: "r1".to_owned(),
        ..StagingConfig::default()
    });
    change(&mut config, &target.inner);
    let inputs = open(&config, 1 << 16);
    let outcome = run(config, inputs, Arc::clone(&target) as Arc<dyn Target>);
    let log = target.log.lock().unwrap().clone();
    let (target_rows, staged_rows) = (rows(&database, "t"), rows(&database, "waiting"));
    let totals = outcome.report.totals;
    assert!(totals.add_up(), "{totals:?}");
    Left { outcome, log, target_rows, staged_rows }
}

fn rows(database: &Path, table: &str) -> u64 {
    let database = rusqlite::Connection::open(database).unwrap();
    let count: i64 =
        database.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    u64::try_from(count).unwrap()
}

fn inserts(log: &[String]) -> usize {
    log.iter().filter(|sql| sql.starts_with("INSERT")).count()
}

#[test]
fn a_deadlock_in_the_move_is_sent_again() {
    let left = load("INSERT", When::After, ErrorClass::Transient, 2, |_, _| {});
    assert!(left.outcome.error.is_none(), "{:?}", left.outcome.error);
    assert_eq!((left.target_rows, left.staged_rows), (4, 0));
    assert_eq!(inserts(&left.log), 3);
    assert_eq!(left.outcome.report.retries.replays, 2);
}

#[test]
fn a_connection_lost_before_the_commit_is_made_again() {
    let left = load("INSERT", When::After, ErrorClass::ConnectionLost, 1, |_, _| {});
    assert!(left.outcome.error.is_none(), "{:?}", left.outcome.error);
    assert_eq!((left.target_rows, left.staged_rows), (4, 0));
}

#[test]
fn attempts_are_counted() {
    let left = load("INSERT", When::After, ErrorClass::Transient, 9, |_, _| {});
    let error = left.outcome.error.expect("an error").to_string();
    assert!(error.contains("given up after 3 replays (--max-retries)"), "{error}");
    assert_eq!((left.target_rows, left.staged_rows), (1, 0));
    assert_eq!(inserts(&left.log), 4);
    assert_eq!(left.outcome.report.totals.rows_rolled_back, 3);
    assert_eq!(left.outcome.report.staging.unwrap().moved, MoveState::Nothing);
}

#[test]
fn a_full_log_names_the_flag_and_is_not_sent_again() {
    let left = load("INSERT", When::After, ErrorClass::Resources, 1, |_, _| {});
    let error = left.outcome.error.expect("an error").to_string();
    assert!(error.contains("--merge-rows"), "{error}");
    assert_eq!(inserts(&left.log), 1);
    assert_eq!((left.target_rows, left.staged_rows), (1, 0));
}

/// The transaction took a row out of the staging table too: that it is gone tells.
#[test]
fn a_commit_that_took_effect_is_found_out() {
    let left = load("COMMIT", When::After, ErrorClass::ConnectionLost, 1, |_, _| {});
    assert!(left.outcome.error.is_none(), "{:?}", left.outcome.error);
    assert_eq!((left.target_rows, left.staged_rows), (4, 0));
    assert_eq!(left.outcome.report.totals.rows_loaded, 3);
    let warnings = left.outcome.report.warnings.join("\n");
    assert!(warnings.contains("took effect"), "{warnings}");
}

/// That the row is still there tells nothing: the old connection may be at it yet.
#[test]
fn a_commit_of_unknown_outcome_keeps_the_staged_rows() {
    let left = load("COMMIT", When::Before, ErrorClass::ConnectionLost, 1, |_, _| {});
    let error = left.outcome.error.expect("an error");
    let ErrorKind::InDoubt { ranges, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(ranges.iter().map(|range| range.rows).sum::<u64>(), 3);
    let text = error.to_string();
    assert!(text.contains("SELECT COUNT(*)"), "{text}");
    assert!(text.contains("answers 2 if the move took effect, and 3 if it did not"), "{text}");
    assert_eq!(inserts(&left.log), 1);
    assert_eq!((left.target_rows, left.staged_rows), (1, 3));
    let staging = left.outcome.report.staging.unwrap();
    assert_eq!((staging.moved, staging.rows_left), (MoveState::InDoubt, true));
}

#[test]
fn parts_that_are_in_stay_when_a_later_one_fails() {
    let one = |config: &mut LoadConfig, _: &SqliteTarget| {
        config.staging.as_mut().unwrap().merge_rows = Some(2);
    };
    // The second part's commit fails for certain, on every attempt.
    let left = load(
        "DELETE FROM \"main\".\"waiting\" WHERE \"FL_RUN_ID\" = 'r1' AND \"FL_ID\" > 2",
        When::After,
        ErrorClass::Permanent,
        1,
        one,
    );
    assert!(left.outcome.error.is_some());
    assert_eq!((left.target_rows, left.staged_rows), (3, 1));
    let report = left.outcome.report;
    assert_eq!(report.totals.rows_loaded, 2);
    assert_eq!(report.totals.rows_rolled_back, 1);
    assert_eq!(report.staging.unwrap().moved, MoveState::Part);
}

/// Rows that disappear from the staging table are missed before anything is moved.
#[test]
fn a_staged_row_that_is_gone_is_missed() {
    let lose = |_: &mut LoadConfig, target: &SqliteTarget| {
        target
            .run_sql(
                "CREATE TABLE waiting (\"FL_ID\" INTEGER PRIMARY KEY, \"FL_RUN_ID\" TEXT NOT NULL, \
                 \"FL_FILE\" INTEGER NOT NULL, \"FL_RECORD\" INTEGER NOT NULL, \
                 id INTEGER NOT NULL); \
                 CREATE TRIGGER loses AFTER INSERT ON waiting WHEN NEW.id = 2 \
                 BEGIN DELETE FROM waiting WHERE id = 2; END",
            )
            .unwrap();
    };
    let left = load("nothing", When::Before, ErrorClass::Permanent, 0, lose);
    let error = left.outcome.error.expect("an error").to_string();
    assert!(error.contains("holds [2] rows of this run"), "{error}");
    assert_eq!((inserts(&left.log), left.target_rows, left.staged_rows), (0, 1, 0));
    assert_eq!(left.outcome.report.totals.rows_rolled_back, 3);
}

#[test]
fn the_slow_phase_is_named() {
    let with_key = |config: &mut LoadConfig, _: &SqliteTarget| {
        config.key = vec![0];
        config.columns[0].column.nullable = false;
        config.duplicates = Duplicates::Skip;
    };
    for (call, stage) in [("INSERT", "move"), ("DELETE", "settle")] {
        let left = load(call, When::Late, ErrorClass::Permanent, 1, with_key);
        assert!(left.outcome.error.is_none(), "{:?}", left.outcome.error);
        assert_eq!(left.outcome.report.bottleneck.stage, stage, "{:?}", left.log);
        assert_eq!(left.target_rows, 4);
    }
}
